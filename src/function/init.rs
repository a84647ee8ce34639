//! Telling the platform why the function cannot start, so that it stands in the console and not only
//! in the log.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

/// Posts the error to the runtime API's `init/error`, as plain HTTP: no client exists yet, and none may
/// be needed to say that none can be made.
pub(super) fn report(error: &dyn std::error::Error) {
    let Ok(api) = std::env::var("AWS_LAMBDA_RUNTIME_API") else { return };
    if let Err(failure) = post(&api, &error.to_string()) {
        tracing::error!(error = %failure, "the runtime API could not be told");
    }
}

fn post(api: &str, message: &str) -> std::io::Result<()> {
    let host = api.trim_start_matches("http://");
    let (host, base) = host.split_once('/').unwrap_or((host, ""));
    let slash = if base.is_empty() { "" } else { "/" };
    let body =
        json!({"errorType": "Imagewarden.Setup", "errorMessage": message, "stackTrace": []}).to_string();
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.set_write_timeout(Some(Duration::from_secs(2)))?;
    write!(
        stream,
        "POST {slash}{base}/2018-06-01/runtime/init/error HTTP/1.1\r\nHost: {host}\r\n\
         Content-Type: application/json\r\nLambda-Runtime-Function-Error-Type: Imagewarden.Setup\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    // The answer says nothing of use, but leaving before it is there may lose the message.
    stream.read_to_end(&mut Vec::new()).map(|_| ())
}
