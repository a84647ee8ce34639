//! Windows user data as EC2Launch and EC2Config read it: tags anywhere in the text.

use super::{At, Content, Decoder, Kind, Language, Layer, interpreter, sniff};

/// Decodes tags: `<powershell>`, `<script>` and the settings beside them. A tag that never closes
/// reaches to the end.
pub(super) fn decode(decoder: &mut Decoder, at: &At, text: &str) -> Layer {
    let mut layer = Layer::leaf(Kind::WindowsTags, at, text.len());
    let mut count = 0_usize;
    for tag in tags(text) {
        count += 1;
        let number = if count > 1 { format!(" {count}") } else { String::new() };
        let at = at.inside(&format!("{}{number}", tag.name));
        let language = match tag.name {
            "powershell" => Language::PowerShell,
            "script" => Language::Batch,
            "powershellArguments" => {
                // Given to the shell that runs the script: `-EncodedCommand` would run there.
                let text = format!("powershell.exe {}", tag.content.trim());
                decoder.always(&at, Content::Script { language: Language::PowerShell, text });
                continue;
            }
            name => {
                decoder.setting(&at, &format!("windows.{name}"), tag.content.trim());
                layer.note(&format!("{name} {}", super::bytes::head(tag.content.trim(), 40)));
                continue;
            }
        };
        let mut child = decoder.script(&at, Kind::Script, language, tag.content);
        if !tag.closed {
            child.note("never closed");
        }
        layer.children.push(child);
    }
    layer
}

/// A script; EC2Launch finds its tags in one just the same.
pub(super) fn script(decoder: &mut Decoder, at: &At, text: &str) -> Layer {
    let mut layer = decoder.script(at, Kind::Script, interpreter::of(text), text);
    if tags(text).any(|tag| tag.name == "powershell") {
        layer.children.push(decode(decoder, at, text));
    }
    layer
}

/// Whether there is a tag that holds a script.
pub(super) fn has_tags(text: &str) -> bool {
    tags(text).any(|tag| matches!(tag.name, "powershell" | "script"))
}

struct Tag<'a> {
    name: &'static str,
    content: &'a str,
    closed: bool,
}

const NAMES: [&str; 7] =
    ["powershellArguments", "powershell", "script", "persist", "runAsLocalSystem", "version", "detach"];

/// The tags in order, without regard to case, none inside another.
fn tags(text: &str) -> impl Iterator<Item = Tag<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let open = rest.find('<')?;
            rest = rest.get(open + 1..)?;
            let name = NAMES.iter().find(|name| {
                sniff::starts_with(rest, name) && rest.as_bytes().get(name.len()) == Some(&b'>')
            });
            if let Some(name) = name {
                let content = rest.get(name.len() + 1..).unwrap_or_default();
                let end = closing(content, name);
                let content_end = end.unwrap_or(content.len());
                rest = content.get(content_end..).unwrap_or_default();
                let content = content.get(..content_end).unwrap_or_default();
                return Some(Tag { name, content, closed: end.is_some() });
            }
        }
    })
}

/// Where `</name` stands. Looked for once: without it the tag takes all that is left.
fn closing(text: &str, name: &str) -> Option<usize> {
    text.match_indices("</").map(|(at, _)| at).find(|at| {
        text.get(at + 2..).is_some_and(|rest| {
            sniff::starts_with(rest, name)
                && rest.as_bytes().get(name.len()).is_none_or(|b| !b.is_ascii_alphanumeric())
        })
    })
}
