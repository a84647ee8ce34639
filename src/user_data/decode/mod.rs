//! Decodes user data the way cloud-init, EC2Launch, Ignition, Bottlerocket and nodeadm would, into
//! the [`Piece`]s that first boot acts on.
//!
//! ```text
//! bytes -> base64? -> gzip? -> header sniffed -> one module a format -> pieces
//!             ^________________________________________|  (nested, at most MAX_DEPTH layers)
//! ```
//!
//! Where the real consumer is stricter (a YAML error makes cloud-init ignore the whole part), this
//! reads on: what is broken is reported as [`Content::Undecodable`] and salvaged line by line.
//!
//! Paths count `part N` and `line N` from 1, as people do, and list indices (`runcmd[0]`) from 0, as
//! cloud-init's own messages do.

mod archive;
mod aws_cli;
mod base64_text;
mod bottlerocket;
mod budget;
mod bytes;
mod cloud_config;
mod data_url;
mod ec2launch;
mod gzip;
mod ignition;
mod include;
mod interpreter;
mod jinja;
mod layer;
mod mime;
mod node_config;
mod pod;
mod salvage;
mod shape;
mod sniff;
mod tree;
mod windows;
mod write_files;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::{Content, Language, Odd, Piece};
use budget::{DEEPEST, LAST_PARTS, MAX_INFLATED, MAX_PIECES, MAX_VISITS, MOST_PARTS, TAIL};
pub use budget::{MAX_DEPTH, MAX_LAYER, MAX_PARTS, MAX_TOTAL};
pub use layer::{Kind, Layer};
use sniff::Format;

/// What [`decode`] found.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// The layers as they were nested, for printing.
    pub tree: Layer,
    /// What first boot would act on, in the order it stood.
    pub pieces: Vec<Piece>,
    /// The most encodings that lie over one another, leaving out the one EC2 itself asks for: base64
    /// around the whole. `gz+b64` of a file counts once, since gzip needs the base64 there.
    pub encodings: usize,
    /// The first part whose declared content type is not what it holds, for a person:
    /// `part 2: declared text/cloud-config, holds a script`.
    pub mismatch: Option<String>,
    /// Something in it is what cloud-init, EC2Launch or Ignition would act on, or a script without its
    /// first line. Else it is no user data: a Makefile, a plan, a picture.
    pub understood: bool,
}

/// Decodes user data, as EC2 holds it or once more in base64, or as the AWS CLI prints it.
///
/// Never fails: what cannot be decoded becomes a [`Content::Undecodable`] piece. Empty user data
/// gives no pieces.
#[must_use]
pub fn decode(bytes: &[u8]) -> Decoded {
    let mut decoder = Decoder::new(bytes.len());
    let at = At { path: String::new(), depth: 0, encodings: 0 };
    let tree = decoder.layer(&at, bytes, None);
    Decoded {
        tree,
        pieces: decoder.pieces,
        encodings: decoder.encodings,
        mismatch: decoder.mismatch,
        understood: decoder.understood,
    }
}

/// What a cloud-config document runs, as one script: for a file such as `/etc/cloud/cloud.cfg.d/x.cfg`
/// that a script writes.
pub(crate) fn cloud_config_commands(text: &str) -> String {
    let mut decoder = Decoder::new(text.len());
    let at = At { path: String::new(), depth: 0, encodings: 0 };
    decoder.layer(&at, text.as_bytes(), Some("text/cloud-config"));
    let mut script = String::new();
    for piece in decoder.pieces {
        if let Content::Script { text, .. } = piece.content {
            script.push_str(&text);
            script.push('\n');
        }
    }
    script
}

pub(crate) use pod::commands as pod_commands;

/// Where a layer stands.
#[derive(Debug, Clone)]
struct At {
    path: String,
    depth: usize,
    encodings: usize,
}

impl At {
    /// A place inside this layer: a list entry, a key.
    fn inside(&self, segment: &str) -> Self {
        Self { path: join(&self.path, segment), depth: self.depth, encodings: self.encodings }
    }

    /// A layer within this one.
    fn deeper(&self, segment: &str) -> Self {
        Self { depth: self.depth + 1, ..self.inside(segment) }
    }

    /// The same place, more exactly: `[3]`, `.sudo`.
    fn suffix(&self, suffix: &str) -> Self {
        let mut path = self.path.clone();
        push_clean(&mut path, suffix);
        Self { path, ..*self }
    }

    /// The same place, behind one more encoding.
    fn encoded(mut self) -> Self {
        self.encodings += 1;
        self
    }
}

/// `outer > inner`, with control characters out of the names, which the launcher chose.
fn join(outer: &str, inner: &str) -> String {
    let mut path = String::with_capacity(outer.len() + inner.len() + 3);
    path.push_str(outer);
    if !outer.is_empty() && !inner.is_empty() {
        path.push_str(" > ");
    }
    push_clean(&mut path, inner);
    path
}

fn push_clean(path: &mut String, name: &str) {
    const LONGEST: usize = 120;
    path.extend(name.chars().filter(|c| !c.is_control()).take(LONGEST));
}

/// The state of one decoding: what was found, and what may still be spent.
struct Decoder {
    pieces: Vec<Piece>,
    /// Length of the input.
    whole: usize,
    bytes_left: usize,
    inflate_left: usize,
    text_left: usize,
    /// Parts met.
    parts: usize,
    /// Where the pieces are that hold files, by path.
    files: HashMap<String, usize>,
    visits_left: usize,
    encodings: usize,
    mismatch: Option<String>,
    /// Something of the layer at hand went over a bound and was left out.
    over: bool,
    /// The base64 that EC2 asks for has been taken off.
    transport_seen: bool,
    /// Something was found that first boot acts on.
    understood: bool,
    /// It has been said that a bound was passed.
    bound_told: bool,
}

impl Decoder {
    fn new(whole: usize) -> Self {
        Self {
            pieces: Vec::new(),
            whole,
            bytes_left: MAX_TOTAL,
            inflate_left: MAX_INFLATED,
            text_left: MAX_TOTAL,
            parts: 0,
            files: HashMap::new(),
            visits_left: MAX_VISITS,
            encodings: 0,
            mismatch: None,
            over: false,
            transport_seen: false,
            understood: false,
            bound_told: false,
        }
    }

    /// Decodes one layer: `declared` is the content type a MIME part or archive entry gave it.
    fn layer(&mut self, at: &At, bytes: &[u8], declared: Option<&str>) -> Layer {
        if at.depth > MAX_DEPTH {
            self.over_bound(at, &format!("more than {MAX_DEPTH} nested layers"));
        }
        if at.depth > DEEPEST {
            return self.undecodable(at, bytes, &format!("more than {DEEPEST} nested layers"));
        }
        self.encodings = self.encodings.max(at.encodings);
        let kept = &*self.spend(at, bytes);
        if gzip::is(kept) {
            if let Some(declared) = declared.filter(|d| !sniff::is_gzip_type(d) && !sniff::is_untyped(d)) {
                self.mismatch(at, declared, "gzip");
            }
            return gzip::decode(self, at, kept);
        }
        if let Some(declared) = declared.filter(|d| sniff::is_gzip_type(d)) {
            self.mismatch(at, declared, "no gzip");
        }
        if bytes::trimmed(kept).is_empty() {
            self.understood = true;
            return Layer::leaf(Kind::Empty, at, bytes.len());
        }
        let Some(text) = bytes::to_text(kept) else {
            // A message may hold binary parts.
            let start = kept.get(..kept.len().min(4096)).unwrap_or_default();
            if sniff::sniff(&String::from_utf8_lossy(start)) == Format::Mime {
                return mime::decode(self, at, bytes::trimmed(kept));
            }
            return self.undecodable(at, kept, "binary data of an unknown kind");
        };
        let text = bytes::without_lead(text);
        let format = sniff::sniff(&text);
        let mut layer = match declared.and_then(|d| sniff::declared(d).map(|f| (d, f))) {
            Some(_) if format == Format::Opaque && base64_text::whole(&text).is_some() => {
                self.opaque(at, &text)
            }
            // As cloud-init does: these types are not believed, the text's own header counts.
            Some((_, Format::Script)) if format == Format::Opaque => {
                self.run(at, kept, &text, Format::Script)
            }
            None | Some((_, Format::Script)) => self.run(at, kept, &text, format),
            Some((name, _)) if format == Format::Jinja => jinja::decode(self, at, &text, Some(name)),
            Some((name, declared)) => self.declared(at, kept, &text, (name, declared), format),
        };
        if declared.is_some_and(|d| !sniff::is_known(d)) && format.has_header() {
            self.mismatch(at, declared.unwrap_or_default(), format.name());
        }
        if bytes::is_utf16(kept) {
            layer.note("UTF-16");
        }
        layer.bytes = bytes.len();
        layer
    }

    /// A part whose declared type cloud-init believes whatever the text looks like. When the text's
    /// own header says otherwise it is read both ways.
    fn declared(
        &mut self,
        at: &At,
        bytes: &[u8],
        text: &str,
        declared: (&str, Format),
        own: Format,
    ) -> Layer {
        let (name, format) = declared;
        let mut layer = self.run(at, bytes, text, format);
        if own.has_header() && own != format && !format.may_hold(own) {
            self.mismatch(at, name, own.name());
            let other = self.run(at, bytes, text, own);
            layer.children.push(other);
        }
        layer
    }

    /// Decodes text as the format it is known or said to be.
    fn run(&mut self, at: &At, bytes: &[u8], text: &str, format: Format) -> Layer {
        self.understood |= !matches!(format, Format::Json | Format::Opaque);
        let yaml;
        let text = match format {
            Format::CloudConfig | Format::Archive | Format::Ec2Launch | Format::NodeConfig => {
                yaml = bytes::yaml_breaks(text);
                &*yaml
            }
            _ => text,
        };
        match format {
            Format::Script => windows::script(self, at, text),
            Format::Mime => mime::decode(self, at, bytes::trimmed(bytes)),
            Format::CloudConfig => cloud_config::decode(self, at, text),
            Format::Archive => archive::decode(self, at, text),
            Format::Jsonp => archive::json_patch(self, at, text),
            Format::Boothook => interpreter::boothook(self, at, text),
            Format::Include => include::decode(self, at, text),
            Format::PartHandler => self.script(at, Kind::PartHandler, Language::Python, text),
            Format::Jinja => jinja::decode(self, at, text, None),
            Format::WindowsTags => windows::decode(self, at, text),
            Format::PowerShell => self.script(at, Kind::Script, Language::PowerShell, text),
            Format::Batch => self.script(at, Kind::Script, Language::Batch, text),
            Format::Ec2Launch => ec2launch::decode(self, at, text),
            Format::Json => self.json(at, text),
            Format::Bottlerocket => bottlerocket::decode(self, at, text),
            Format::NodeConfig => node_config::decode(self, at, text),
            Format::Opaque => self.opaque(at, text),
        }
    }

    fn json(&mut self, at: &At, text: &str) -> Layer {
        let tree = tree::from_json(text);
        let known =
            aws_cli::decode(self, at, text, &tree).or_else(|| ignition::decode(self, at, text, &tree));
        self.understood |= known.is_some();
        known.unwrap_or_else(|| self.script(at, Kind::Opaque, Language::Shell, text))
    }

    /// Text with no header anything knows. Nothing would run it; yet a header that is merely broken
    /// must not hide a script from the reader, so it is handed on as one.
    fn opaque(&mut self, at: &At, text: &str) -> Layer {
        if let Some(decoded) = base64_text::whole(text) {
            let transport = at.depth == 0 && !std::mem::replace(&mut self.transport_seen, true);
            let inner = if transport { at.clone() } else { at.deeper("base64").encoded() };
            let mut layer = Layer::leaf(Kind::Base64, at, text.len());
            let child = self.layer(&inner, &decoded, None);
            layer.children.push(child);
            return layer;
        }
        if let Some(layer) = aws_cli::text_output(self, at, text) {
            return layer;
        }
        if windows::has_tags(text) {
            self.understood = true;
            return windows::decode(self, at, text);
        }
        let yaml = bytes::yaml_breaks(text);
        if cloud_config::has_known_keys(&yaml) {
            self.understood = true;
            let mut layer = cloud_config::decode(self, at, &yaml);
            layer.note("no #cloud-config header");
            return layer;
        }
        self.understood |= shape::is_script(text);
        let mut layer = self.script(at, Kind::Opaque, Language::Shell, text);
        // A file that somebody inspects by hand may be a Windows script without the tags around it.
        if let Some(language) = interpreter::windows(text) {
            self.understood |= !shape::is_other(text);
            layer.note(interpreter::name(language));
            self.always(at, Content::Script { language, text: text.to_owned() });
        }
        layer.note("no header: nothing runs it");
        layer
    }

    /// Hands on a script that is a whole layer, or all of a layer that could not be read: bounded by
    /// the layer itself.
    fn script(&mut self, at: &At, kind: Kind, language: Language, text: &str) -> Layer {
        let mut layer = Layer::leaf(kind, at, text.len());
        layer.note(interpreter::name(language));
        self.always(at, Content::Script { language, text: interpreter::lines_of(language, text) });
        layer
    }

    /// Hands on a setting; an empty value says nothing.
    fn setting(&mut self, at: &At, key: &str, value: &str) {
        if !value.is_empty() {
            self.emit(at, Content::Setting { key: key.to_owned(), value: value.to_owned() });
        }
    }

    /// Hands on a URL whose content first boot trusts.
    fn include(&mut self, at: &At, url: &str) {
        self.emit(at, Content::Include { url: url.trim().to_owned() });
    }

    /// Hands on a piece read out of a tree, where aliases may repeat a text any number of times.
    fn emit(&mut self, at: &At, content: Content) {
        let cost = match &content {
            Content::Script { text, .. } => text.len(),
            Content::File { target, text } => target.len() + text.len(),
            Content::Setting { key, value } => key.len() + value.len(),
            Content::Include { url } => url.len(),
            Content::Undecodable { .. } | Content::Odd { .. } => 0,
        };
        if self.pieces.len() >= MAX_PIECES || cost > self.text_left {
            self.over = true;
            return;
        }
        self.text_left -= cost;
        self.pieces.push(Piece { path: at.path.clone(), content });
    }

    /// Hands on a piece even when others were left out: there are few of these in a layer.
    fn always(&mut self, at: &At, content: Content) {
        const SPARE: usize = 512;
        if self.pieces.len() < MAX_PIECES + SPARE {
            self.pieces.push(Piece { path: at.path.clone(), content });
        }
    }

    fn odd(&mut self, at: &At, what: Odd, text: &str) {
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
        self.always(at, Content::Odd { what, text });
    }

    /// Reports bytes that could not be decoded.
    fn undecodable(&mut self, at: &At, bytes: &[u8], reason: &str) -> Layer {
        let reason: String = reason.chars().filter(|c| !c.is_control()).take(200).collect();
        let mut layer = Layer::leaf(Kind::Undecodable, at, bytes.len());
        layer.note(&reason);
        let sha256 = hex(&Sha256::digest(bytes));
        self.always(at, Content::Undecodable { reason, sha256, len: bytes.len() });
        layer
    }

    fn mismatch(&mut self, at: &At, declared: &str, holds: &str) {
        if self.mismatch.is_none() {
            let declared: String = declared.chars().filter(|c| !c.is_control()).take(80).collect();
            let place = if at.path.is_empty() { "user data" } else { &at.path };
            self.mismatch = Some(format!("{place}: declared {declared}, holds {holds}"));
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
