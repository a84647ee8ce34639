//! Which format a layer is in: by its first bytes, or by the content type it was given.

use super::bytes;

/// The formats told apart by their text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Script,
    Mime,
    CloudConfig,
    Archive,
    Jsonp,
    Boothook,
    Include,
    PartHandler,
    Jinja,
    WindowsTags,
    PowerShell,
    Batch,
    Ec2Launch,
    Json,
    Bottlerocket,
    NodeConfig,
    Opaque,
}

impl Format {
    /// Whether the text itself says so, in a first line that is no accident.
    pub(super) fn has_header(self) -> bool {
        !matches!(self, Self::Opaque | Self::Json)
    }

    /// Whether honest parts of this declared type hold that format.
    pub(super) fn may_hold(self, own: Self) -> bool {
        match self {
            // ECS and many examples declare a boothook and start with `#!`.
            Self::Boothook => own == Self::Script,
            Self::Archive | Self::Jsonp => own == Self::CloudConfig,
            _ => false,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Script => "a script",
            Self::Mime => "a MIME message",
            Self::CloudConfig => "cloud-config",
            Self::Archive => "a cloud-config archive",
            Self::Jsonp => "a cloud-config JSON patch",
            Self::Boothook => "a boothook",
            Self::Include => "includes",
            Self::PartHandler => "a part handler",
            Self::Jinja => "a Jinja template",
            Self::WindowsTags | Self::PowerShell | Self::Batch => "a Windows script",
            Self::Ec2Launch => "EC2Launch tasks",
            Self::Json => "JSON",
            Self::Bottlerocket => "Bottlerocket settings",
            Self::NodeConfig => "a NodeConfig",
            Self::Opaque => "text",
        }
    }
}

/// Headers as cloud-init matches them: without regard to case, the longest first. The last three are
/// cloudbase-init's.
const HEADERS: [(&str, Format); 12] = [
    ("#!", Format::Script),
    ("#cloud-config-archive", Format::Archive),
    ("#cloud-config-jsonp", Format::Jsonp),
    ("#cloud-config", Format::CloudConfig),
    ("#cloud-boothook", Format::Boothook),
    ("#include-once", Format::Include),
    ("#include", Format::Include),
    ("#part-handler", Format::PartHandler),
    ("#upstart-job", Format::Script),
    ("#ps1", Format::PowerShell),
    ("rem cmd", Format::Batch),
    ("## template:", Format::Jinja),
];

/// The format by the text's own first lines, white space before them left out.
pub(super) fn sniff(text: &str) -> Format {
    let text = text.trim_start_matches(bytes::is_lead);
    // cloud-init looks for this first: `#!/bin/sh:` may be the name of a header.
    if is_mime(bytes::head(text, 4096)) {
        return Format::Mime;
    }
    for (header, format) in HEADERS {
        if starts_with(text, header) {
            return format;
        }
    }
    if text.starts_with('{') {
        return Format::Json;
    }
    if text.starts_with('<') && super::windows::has_tags(text) {
        return Format::WindowsTags;
    }
    by_first_lines(text)
}

/// What the first lines that are neither blank nor a comment say.
fn by_first_lines(text: &str) -> Format {
    let start = bytes::yaml_breaks(bytes::head(text, 4096));
    let (mut version, mut first) = (false, true);
    for line in start.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        if first && is_bottlerocket(line) {
            return Format::Bottlerocket;
        }
        if starts_with(line, "apiversion:") && line.contains("node.eks.aws") {
            return Format::NodeConfig;
        }
        version |= starts_with(line, "version:");
        if version && starts_with(line, "tasks:") {
            return Format::Ec2Launch;
        }
        first &= line.starts_with("---");
    }
    Format::Opaque
}

fn is_bottlerocket(line: &str) -> bool {
    let line = line.trim_start().trim_start_matches('[').trim_start();
    line.strip_prefix("settings").is_some_and(|rest| rest.starts_with(['.', ']', ' ']))
}

/// Whether a block of `Name: value` lines with a MIME header comes first. A line may end in CR alone.
fn is_mime(text: &str) -> bool {
    // CRLF is LF by now.
    for (index, line) in text.split(['\n', '\r']).enumerate() {
        if starts_with(line, "mime-version:") || starts_with(line, "content-type:") {
            return true;
        }
        let folded = index > 0 && line.starts_with([' ', '\t']);
        let envelope = index == 0 && line.starts_with("From ");
        if !folded && !envelope && !is_header_line(line) {
            return false;
        }
    }
    false
}

fn is_header_line(line: &str) -> bool {
    line.split_once(':')
        .is_some_and(|(name, _)| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic()))
}

/// The format a content type stands for; `None` for types cloud-init sniffs or does not know.
pub(super) fn declared(content_type: &str) -> Option<Format> {
    Some(match essence(content_type).as_str() {
        "text/cloud-config" => Format::CloudConfig,
        "text/cloud-config-archive" => Format::Archive,
        "text/cloud-config-jsonp" => Format::Jsonp,
        "text/cloud-boothook" => Format::Boothook,
        "text/x-include-url" | "text/x-include-once-url" => Format::Include,
        "text/part-handler" => Format::PartHandler,
        "text/jinja2" => Format::Jinja,
        "application/node.eks.aws" => Format::NodeConfig,
        other if other.starts_with("text/x-shellscript") || other == "text/upstart-job" => Format::Script,
        _ => return None,
    })
}

/// Types that say nothing: cloud-init looks at the text instead.
pub(super) fn is_untyped(content_type: &str) -> bool {
    matches!(essence(content_type).as_str(), "" | "text/plain" | "text/x-not-multipart")
}

/// The types cloud-init inflates.
pub(super) fn is_gzip_type(content_type: &str) -> bool {
    let essence = essence(content_type);
    let Some(name) = essence.strip_prefix("application/") else { return false };
    matches!(
        name.strip_prefix("x-").unwrap_or(name),
        "gzip" | "gzip-compressed" | "gzipped" | "compress" | "compressed" | "gunzip"
    )
}

/// Whether anything is known to act on the type.
pub(super) fn is_known(content_type: &str) -> bool {
    declared(content_type).is_some() || is_untyped(content_type) || is_gzip_type(content_type)
}

/// `Text/Plain; charset=x` is `text/plain`.
fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

pub(super) fn starts_with(text: &str, prefix: &str) -> bool {
    text.as_bytes().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}
