//! EC2Launch v2 YAML: `version: 1.x` and a list of tasks.

use super::tree::{self, Fault, Ref};
use super::{At, Content, Decoder, Kind, Language, Layer, cloud_config, salvage, write_files};

pub(super) fn decode(decoder: &mut Decoder, at: &At, text: &str) -> Layer {
    let mut layer = Layer::leaf(Kind::Ec2Launch, at, text.len());
    let at = at.inside("ec2launch");
    let tree = tree::from_yaml(text);
    let over = std::mem::take(&mut decoder.over);
    let tasks = tree.roots().filter_map(|root| root.get("tasks")).flat_map(Ref::each);
    for (index, task) in tasks.enumerate() {
        let name = task.text_at(&["task"]).unwrap_or_default();
        layer.note(&name.chars().filter(|c| c.is_ascii_alphanumeric()).take(40).collect::<String>());
        let inputs = task.get("inputs").map(Ref::each).unwrap_or_default();
        for (input, node) in inputs.into_iter().enumerate() {
            if !decoder.visits(1 + node.len()) {
                break;
            }
            let at = at.inside(&format!("tasks[{index}] {name}[{input}]"));
            run(decoder, &at, name, node, &mut layer);
        }
    }
    let error = tree.error.clone().or(decoder.over.then(|| Fault::bound("YAML: expands beyond the bounds")));
    decoder.over = over;
    if let Some(error) = error {
        salvage::hand_on(decoder, &at, text, &error, Language::PowerShell, &mut layer);
    }
    layer
}

fn run(decoder: &mut Decoder, at: &At, task: &str, input: Ref<'_>, layer: &mut Layer) {
    let content = input.text_at(&["content"]);
    match task {
        "executeScript" => {
            let batch = input.text_at(&["type"]).is_some_and(|kind| kind.eq_ignore_ascii_case("batch"));
            let language = if batch { Language::Batch } else { Language::PowerShell };
            if let Some(text) = content {
                let text = super::interpreter::lines_of(language, text);
                decoder.emit(at, Content::Script { language, text });
            }
            if let Some(arguments) = input.get("arguments").map(words).filter(|words| !words.is_empty()) {
                let at = at.suffix(".arguments");
                let text = format!("powershell.exe {arguments}");
                decoder.emit(&at, Content::Script { language: Language::PowerShell, text });
            }
        }
        "executeProgram" => {
            let program = input.text_at(&["path"]).map(quote).unwrap_or_default();
            let text = format!("{program} {}", input.get("arguments").map(words).unwrap_or_default());
            decoder.emit(at, Content::Script { language: Language::Batch, text });
        }
        "writeFile" => {
            let target = input.text_at(&["destination"]).unwrap_or_default();
            write_files::write(
                decoder,
                at,
                target,
                content.unwrap_or_default().as_bytes(),
                (false, false),
                layer,
            );
        }
        "setAdminAccount" => {
            decoder.setting(at, "users.name", input.text_at(&["name"]).unwrap_or("Administrator"));
            decoder.setting(
                at,
                "users.plain_text_passwd",
                input.text_at(&["password", "data"]).unwrap_or_default(),
            );
        }
        _ => cloud_config::walk(decoder, at, &format!("ec2launch.{task}"), input, 0),
    }
}

fn words(node: Ref<'_>) -> String {
    if let Some(text) = node.text() {
        return text.to_owned();
    }
    node.each().into_iter().filter_map(Ref::text).map(quote).collect::<Vec<_>>().join(" ")
}

/// Quotes as Windows programs read their command line.
fn quote(word: &str) -> String {
    if word.contains([' ', '\t']) && !word.contains('"') { format!("\"{word}\"") } else { word.to_owned() }
}
