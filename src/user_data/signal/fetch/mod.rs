//! Downloads and uploads: what a command fetches, from where, and where it puts it.

mod others;
#[cfg(test)]
mod tests;

use super::hosts::{HostKind, Url, bucket_of, is_trusted};
use crate::user_data::Trust;
use crate::user_data::script::{Command, basename};

/// What one command fetches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetch<'a> {
    pub urls: Vec<Url<'a>>,
    pub output: Output,
    /// The check of the server's certificate is switched off.
    pub insecure: bool,
    /// It sends a file or data.
    pub upload: bool,
}

/// Where a download goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Output {
    #[default]
    Standard,
    File(String),
    Nowhere,
}

/// How far a download is to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// The instance's own metadata or host, or nothing at all: no download in this sense.
    Local,
    /// Hosts that only resolve inside, and buckets whose name the launch fills in.
    Internal,
    /// A trusted host, over https.
    Trusted,
    /// A trusted host, over a connection that anyone on the way may change.
    Open,
    /// Anybody else.
    Untrusted,
}

impl Fetch<'_> {
    /// How far to trust it: the worst of its URLs.
    pub fn standing(&self, trust: &Trust) -> Standing {
        self.urls.iter().map(|url| standing(url, self.insecure, trust)).max().unwrap_or(Standing::Untrusted)
    }

    /// Whether it comes over a connection that anyone on the way may change.
    pub fn is_open(&self) -> bool {
        let open = |url: &Url<'_>| {
            (self.insecure || matches!(url.scheme, "http" | "ftp" | "tftp"))
                && matches!(url.kind(), HostKind::Name | HostKind::PublicAddress)
        };
        self.urls.iter().any(open)
    }
}

fn standing(url: &Url<'_>, insecure: bool, trust: &Trust) -> Standing {
    match url.kind() {
        HostKind::Metadata => return Standing::Local,
        HostKind::Internal if url.scheme != "s3" => {
            let local = matches!(url.host, "localhost" | "127.0.0.1" | "::1" | "0.0.0.0");
            return if local { Standing::Local } else { Standing::Internal };
        }
        _ => {}
    }
    if is_trusted(url, trust) {
        let secure = !insecure && matches!(url.scheme, "https" | "s3");
        return if secure { Standing::Trusted } else { Standing::Open };
    }
    // A bucket that the template names is the account's own.
    if bucket_of(url).is_some_and(|bucket| bucket.contains('$')) {
        return Standing::Internal;
    }
    Standing::Untrusted
}

/// What PowerShell's web clients do: `$client.DownloadFile(...)`.
const OF_WEB_CLIENT: &[&str] = &[
    ".downloadfile",
    ".downloadstring",
    ".downloaddata",
    ".openread",
    ".uploadfile",
    ".uploadstring",
    ".uploaddata",
];

/// What a command fetches or sends; `None` for commands that do neither.
pub fn parse(command: &Command) -> Option<Fetch<'_>> {
    match command.name.as_str() {
        "curl" => Some(curl(command)),
        "wget" | "wget2" => Some(wget(command)),
        "aria2c" | "axel" | "fetch" | "lwp-download" | "lwp-request" | "GET" | "lynx" | "links"
        | "elinks" | "w3m" | "http" | "https" | "xh" => Some(generic(command)),
        "aws" => others::aws_s3(command),
        "gsutil" | "s3cmd" | "s5cmd" | "mc" | "rclone" | "azcopy" => others::cloud_copy(command),
        "tftp" | "ftp" | "ftpget" | "scp" | "sftp" | "rsync" => others::remote_copy(command),
        "invoke-webrequest" | "iwr" | "invoke-restmethod" | "irm" | "start-bitstransfer" | "bitsadmin"
        | "certutil" | "new-object" | "webclient" => others::windows(command),
        name if OF_WEB_CLIENT.iter().any(|method| name.ends_with(method)) => others::windows(command),
        _ => None,
    }
    .filter(|fetch| !fetch.urls.is_empty() || command.args().iter().any(|word| word.dynamic))
}

/// The last URL's own name, as `-O` and wget use it.
fn remote_name(urls: &[Url<'_>]) -> Output {
    let path = urls.last().map_or("", |url| url.path.split(['?', '#']).next().unwrap_or(""));
    let name = basename(path);
    Output::File(if name.is_empty() { "index.html".to_owned() } else { name.to_owned() })
}

fn to_file(text: &str) -> Output {
    match text {
        "-" | "/dev/stdout" => Output::Standard,
        "/dev/null" => Output::Nowhere,
        file => Output::File(file.to_owned()),
    }
}

fn curl(command: &Command) -> Fetch<'_> {
    const VALUED: &str = "HdXuAexmwTFbcKrCyYzEPQtDhoU";
    const VALUED_LONG: &[&str] = &[
        "header",
        "data",
        "data-raw",
        "data-binary",
        "data-urlencode",
        "request",
        "user",
        "user-agent",
        "referer",
        "proxy",
        "max-time",
        "connect-timeout",
        "retry",
        "retry-delay",
        "retry-max-time",
        "write-out",
        "upload-file",
        "form",
        "cookie",
        "cookie-jar",
        "config",
        "range",
        "cacert",
        "capath",
        "cert",
        "key",
        "resolve",
        "interface",
        "limit-rate",
        "output-dir",
        "dump-header",
        "ciphers",
        "tls-max",
        "json",
        "aws-sigv4",
        "max-redirs",
        "output",
        "unix-socket",
        "socks5",
        "socks5-hostname",
        "proxy-user",
        "form-string",
        "max-filesize",
        "dns-servers",
        "doh-url",
    ];
    let mut fetch = Fetch::default();
    let mut remote = false;
    let mut directory = "";
    let mut args = command.args().iter().map(|word| word.text.as_str());
    while let Some(text) = args.next() {
        if let Some(long) = text.strip_prefix("--") {
            let (name, inline) =
                long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
            let value = match inline {
                Some(value) => value,
                None if VALUED_LONG.contains(&name) || name == "url" => args.next().unwrap_or(""),
                None => "",
            };
            match name {
                "output" => fetch.output = to_file(value),
                "output-dir" => directory = value,
                "remote-name" | "remote-name-all" => remote = true,
                "insecure" => fetch.insecure = true,
                "url" => fetch.urls.extend(Url::argument(value)),
                "upload-file" | "form" | "data" | "data-binary" | "data-raw" | "data-urlencode" | "json" => {
                    fetch.upload = true;
                }
                _ => {}
            }
        } else if let Some(short) = text.strip_prefix('-').filter(|short| !short.is_empty()) {
            for (at, letter) in short.char_indices() {
                match letter {
                    'O' => remote = true,
                    'k' => fetch.insecure = true,
                    _ => {}
                }
                if VALUED.contains(letter) {
                    let attached = short.get(at + letter.len_utf8()..).unwrap_or("");
                    let value = if attached.is_empty() { args.next().unwrap_or("") } else { attached };
                    match letter {
                        'o' => fetch.output = to_file(value),
                        'd' | 'F' | 'T' => fetch.upload = true,
                        _ => {}
                    }
                    break;
                }
            }
        } else {
            fetch.urls.extend(Url::argument(text));
        }
    }
    if remote && fetch.output == Output::Standard {
        fetch.output = remote_name(&fetch.urls);
    }
    if let (Output::File(file), false) = (&mut fetch.output, directory.is_empty()) {
        *file = format!("{}/{file}", directory.trim_end_matches('/'));
    }
    fetch
}

fn wget(command: &Command) -> Fetch<'_> {
    const VALUED: &str = "OoPUtTQwDeiIRABaX";
    const VALUED_LONG: &[&str] = &[
        "output-document",
        "output-file",
        "directory-prefix",
        "user-agent",
        "tries",
        "timeout",
        "wait",
        "header",
        "post-data",
        "post-file",
        "body-data",
        "body-file",
        "method",
        "user",
        "password",
        "execute",
        "input-file",
        "ca-certificate",
        "limit-rate",
        "waitretry",
        "append-output",
        "load-cookies",
    ];
    let mut fetch = Fetch::default();
    let mut output = None;
    let mut directory = "";
    let mut args = command.args().iter().map(|word| word.text.as_str());
    while let Some(text) = args.next() {
        if let Some(long) = text.strip_prefix("--") {
            let (name, inline) =
                long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
            let value = match inline {
                Some(value) => value,
                None if VALUED_LONG.contains(&name) => args.next().unwrap_or(""),
                None => "",
            };
            match name {
                "output-document" => output = Some(to_file(value)),
                "directory-prefix" => directory = value,
                "no-check-certificate" => fetch.insecure = true,
                "post-data" | "post-file" | "body-data" | "body-file" => fetch.upload = true,
                _ => {}
            }
        } else if let Some(short) = text.strip_prefix('-').filter(|short| !short.is_empty()) {
            // `-nv`, `-nc`: two letters, no value.
            let mut letters = short.char_indices();
            while let Some((at, letter)) = letters.next() {
                if letter == 'n' {
                    letters.next();
                    continue;
                }
                if VALUED.contains(letter) {
                    let attached = short.get(at + letter.len_utf8()..).unwrap_or("");
                    let value = if attached.is_empty() { args.next().unwrap_or("") } else { attached };
                    match letter {
                        'O' => output = Some(to_file(value)),
                        'P' => directory = value,
                        _ => {}
                    }
                    break;
                }
            }
        } else {
            fetch.urls.extend(Url::argument(text));
        }
    }
    let named = output.is_some();
    fetch.output = output.unwrap_or_else(|| remote_name(&fetch.urls));
    if let (Output::File(file), false, false) = (&mut fetch.output, directory.is_empty(), named) {
        *file = format!("{}/{file}", directory.trim_end_matches('/'));
    }
    fetch
}

fn generic(command: &Command) -> Fetch<'_> {
    let mut fetch = Fetch {
        urls: command.operands().filter_map(|word| Url::argument(&word.text)).collect(),
        ..Fetch::default()
    };
    let saves = matches!(command.name.as_str(), "aria2c" | "axel" | "fetch" | "lwp-download");
    let mut args = command.args().iter().map(|word| word.text.as_str());
    let mut directory = "";
    if saves {
        fetch.output = remote_name(&fetch.urls);
    }
    while let Some(text) = args.next() {
        match text {
            "-o" | "--out" | "--output" => fetch.output = to_file(args.next().unwrap_or("")),
            "-d" | "--dir" => directory = args.next().unwrap_or(""),
            _ => {}
        }
    }
    if let (Output::File(file), false) = (&mut fetch.output, directory.is_empty()) {
        *file = format!("{}/{file}", directory.trim_end_matches('/'));
    }
    fetch
}
