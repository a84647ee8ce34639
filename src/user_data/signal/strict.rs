//! The strict mode of inspection: not what a user data does, but that it does anything at all.

use super::{fetch, quote_of};
use crate::user_data::script::{self, line_at, line_number};
use crate::user_data::{Content, Finding, Piece};

/// Ids of what strict mode reports: something is run, something is fetched.
pub const EXECUTES: &str = "strict-exec";
pub const DOWNLOADS: &str = "strict-download";

/// The first directive that executes and the first that downloads, whatever they are; none for a user
/// data that only sets things.
pub fn strict_findings(pieces: &[Piece]) -> Vec<Finding> {
    let mut executes: Option<Finding> = None;
    let mut downloads: Option<Finding> = None;
    for piece in pieces {
        match &piece.content {
            Content::Script { language, text } => {
                let first =
                    text.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#')).unwrap_or("");
                if executes.is_none() && !first.is_empty() {
                    executes =
                        Some(Finding { id: EXECUTES, place: piece.path.clone(), quote: quote_of(first) });
                }
                if downloads.is_none() {
                    downloads = download_in(&piece.path, &script::scan(*language, text));
                }
            }
            Content::Include { url } if downloads.is_none() => {
                downloads = Some(Finding { id: DOWNLOADS, place: piece.path.clone(), quote: quote_of(url) });
            }
            Content::File { target, text } if executes.is_none() && script::is_script_file(target, text) => {
                let first = text.lines().next().unwrap_or("");
                executes = Some(Finding { id: EXECUTES, place: piece.path.clone(), quote: quote_of(first) });
            }
            _ => {}
        }
    }
    executes.into_iter().chain(downloads).collect()
}

fn download_in(path: &str, script: &script::Script) -> Option<Finding> {
    let command =
        script.commands.iter().find(|command| fetch::parse(command).is_some_and(|fetch| !fetch.upload))?;
    let text = script.units.get(command.unit as usize).map_or("", |unit| &*unit.text);
    let line = format!("line {}", line_number(text, command.offset));
    let place = if path.is_empty() { line } else { format!("{path} > {line}") };
    Some(Finding { id: DOWNLOADS, place, quote: quote_of(line_at(text, command.offset)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user_data::Language;

    fn ids(content: Content) -> Vec<&'static str> {
        strict_findings(&[Piece { path: String::new(), content }])
            .into_iter()
            .map(|finding| finding.id)
            .collect()
    }

    #[test]
    fn strict_reports_whatever_runs_or_fetches() {
        let script = |text: &str| Content::Script { language: Language::Shell, text: text.into() };
        assert_eq!(ids(script("#!/bin/sh\nyum -y update\n")), [EXECUTES]);
        assert_eq!(ids(script("curl https://get.docker.com -o x\n")), [EXECUTES, DOWNLOADS]);
        assert_eq!(ids(Content::Include { url: "https://a.example/x".into() }), [DOWNLOADS]);
        assert_eq!(ids(Content::File { target: "/etc/motd".into(), text: "hi".into() }), [] as [&str; 0]);
        assert_eq!(ids(Content::Setting { key: "packages".into(), value: "git".into() }), [] as [&str; 0]);
    }
}
