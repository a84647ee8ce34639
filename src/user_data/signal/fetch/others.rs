//! Downloads that are neither curl's nor wget's.

use super::{Fetch, Output, remote_name, to_file};
use crate::user_data::script::Command;
use crate::user_data::signal::hosts::Url;

/// `aws s3 cp s3://bucket/key file`, `aws s3api get-object`.
pub(super) fn aws_s3(command: &Command) -> Option<Fetch<'_>> {
    let operands: Vec<&str> = command.operands().map(|word| word.text.as_str()).collect();
    let at = operands.iter().position(|text| *text == "s3")?;
    let verb = operands.get(at + 1)?;
    if !matches!(*verb, "cp" | "mv" | "sync") {
        return None;
    }
    let from = operands.get(at + 2)?;
    let to = operands.get(at + 3).copied().unwrap_or("");
    if !from.starts_with("s3://") {
        return None;
    }
    let urls: Vec<Url<'_>> = Url::argument(from).into_iter().collect();
    Some(Fetch { output: local_target(&urls, to), urls, ..Fetch::default() })
}

/// The file that a copy to `to` makes.
fn local_target(urls: &[Url<'_>], to: &str) -> Output {
    if to.is_empty() || to == "." || to.ends_with('/') {
        let Output::File(name) = remote_name(urls) else { return Output::Standard };
        let folder = to.trim_start_matches('.');
        return Output::File(format!("{folder}{name}"));
    }
    to_file(to)
}

pub(super) fn cloud_copy(command: &Command) -> Option<Fetch<'_>> {
    let mut urls: Vec<Url<'_>> = command
        .operands()
        .filter(|word| word.text.contains("://"))
        .filter_map(|word| Url::argument(&word.text))
        .collect();
    urls.truncate(1);
    let to = command.operands().last().map_or("", |word| word.text.as_str());
    if urls.is_empty() || to.contains("://") {
        return None;
    }
    Some(Fetch { output: local_target(&urls, to), urls, ..Fetch::default() })
}

pub(super) fn remote_copy(command: &Command) -> Option<Fetch<'_>> {
    let mut urls = Vec::new();
    let mut output = Output::Standard;
    let mut upload = false;
    let operands: Vec<&str> = command.operands().map(|word| word.text.as_str()).collect();
    for (index, text) in operands.iter().enumerate() {
        let host = text.split(':').next().unwrap_or(text).rsplit('@').next().unwrap_or(text);
        let remote = (text.contains(':') && !text.starts_with('/'))
            || matches!(command.name.as_str(), "tftp" | "ftp" | "ftpget");
        if let Some(url) = Url::argument(host).filter(|_| remote) {
            upload =
                index > 0 && index + 1 == operands.len() && matches!(command.name.as_str(), "scp" | "rsync");
            urls.push(url);
        } else if index + 1 == operands.len() {
            output = to_file(text);
        }
    }
    if urls.is_empty() {
        return None;
    }
    Some(Fetch { urls, output, upload, insecure: false })
}

/// PowerShell's and Windows' own ways.
pub(super) fn windows(command: &Command) -> Option<Fetch<'_>> {
    let lower: Vec<String> = command.words.iter().map(|word| word.text.to_ascii_lowercase()).collect();
    let mentions = |text: &str| lower.iter().any(|word| word.contains(text));
    match command.name.as_str() {
        "certutil" if !mentions("urlcache") && !mentions("verifyctl") => return None,
        "new-object" if !mentions("webclient") && !mentions("httpclient") && !mentions("xmlhttp") => {
            return None;
        }
        _ => {}
    }
    let urls: Vec<Url<'_>> = command.args().iter().flat_map(|word| Url::all(&word.text)).collect();
    let mut output = Output::Standard;
    let mut upload = mentions("uploadfile") || mentions("uploadstring") || mentions("uploaddata");
    for (index, word) in lower.iter().enumerate() {
        let next = || command.words.get(index + 1).map_or("", |word| word.text.as_str());
        match word.as_str() {
            "-outfile" | "-o" | "-destination" | "-out" | "-outf" => output = Output::File(next().to_owned()),
            "-method" => upload |= matches!(next().to_ascii_lowercase().as_str(), "post" | "put"),
            "-body" | "-infile" => upload = true,
            _ if word.contains("downloadfile") => {
                output =
                    command.words.last().map_or(Output::Standard, |word| Output::File(word.text.clone()));
            }
            _ => {}
        }
    }
    if matches!(command.name.as_str(), "certutil" | "bitsadmin" | "start-bitstransfer")
        && output == Output::Standard
    {
        output = command.operands().last().map_or(Output::Standard, |word| to_file(&word.text));
    }
    Some(Fetch { urls, output, upload, insecure: false })
}
