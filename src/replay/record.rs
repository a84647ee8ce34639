//! From a failure record back to the payload that failed.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The longest text that is unpacked, in bytes: twice what an invocation takes, and its record.
const LONGEST: u64 = 16 << 20;

/// What Lambda writes to an on-failure destination, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FailureRecord<'a> {
    #[serde(borrow)]
    request_payload: Option<&'a RawValue>,
}

/// The payloads in a file, an object or a message: a failure record, a plain event, or several of these
/// one after the other; gzip or not. Their text is kept as it is, whatever it nests.
///
/// # Errors
/// When it is not JSON, or nothing at all.
pub(super) fn payloads(bytes: &[u8]) -> Result<Vec<String>, String> {
    let unpacked;
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        unpacked = unpack(bytes)?;
        unpacked.as_slice()
    } else {
        bytes
    };
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let mut payloads = Vec::new();
    for value in serde_json::Deserializer::from_slice(bytes).into_iter::<Box<RawValue>>() {
        let value = value.map_err(|error| format!("not JSON: {error}"))?;
        payloads.push(payload(value.get()));
    }
    if payloads.is_empty() { Err("empty".to_owned()) } else { Ok(payloads) }
}

fn payload(text: &str) -> String {
    // A list would pass for a record whose first field is its first element.
    let record = Some(text).filter(|text| text.starts_with('{'));
    let record = record.and_then(|text| serde_json::from_str::<FailureRecord<'_>>(text).ok());
    let payload = record.and_then(|record| record.request_payload).map(RawValue::get);
    // Records of events that were no JSON hold them as a string, and would hold it again if handed in so:
    // the function says what is wrong with it.
    payload.unwrap_or(text).to_owned()
}

fn unpack(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let limited = MultiGzDecoder::new(bytes).take(LONGEST + 1).read_to_end(&mut text);
    limited.map_err(|error| format!("not gzip: {error}"))?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > LONGEST {
        return Err(format!("unpacks to more than {LONGEST} bytes"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_failure_record_gives_back_its_payload_to_the_letter() {
        let event = r#"{"detail-type":"X",  "n": 1.50, "deep": [[[]]]}"#;
        let record = format!(
            r#"{{"version":"1.0","requestContext":{{"condition":"RetriesExhausted"}},"requestPayload":{event}}}"#
        );
        assert_eq!(payloads(record.as_bytes()).unwrap(), [event]);
    }

    #[test]
    fn a_plain_event_is_its_own_payload() {
        let event = r#"{"detail-type":"AWS API Call via CloudTrail"}"#;
        assert_eq!(payloads(event.as_bytes()).unwrap(), [event]);
    }

    #[test]
    fn several_lines_and_gzip_are_taken_apart() {
        let lines = "{\"a\":1}\n{\"requestPayload\":{\"b\":2}}\n[3]\n";
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(lines.as_bytes()).unwrap();
        let expected = ["{\"a\":1}", "{\"b\":2}", "[3]"];
        assert_eq!(payloads(lines.as_bytes()).unwrap(), expected);
        assert_eq!(payloads(&packed.finish().unwrap()).unwrap(), expected);
    }

    #[test]
    fn what_is_no_record_says_so() {
        assert!(payloads(b"").unwrap_err().contains("empty"));
        assert!(payloads(b"oh no").unwrap_err().contains("not JSON"));
        assert!(payloads(&[0x1f, 0x8b, 0, 0]).unwrap_err().contains("not gzip"));
    }

    /// The deepest payload is the one most likely to have failed: it must not fail the replay too.
    #[test]
    fn deep_nesting_does_not_overflow() {
        let deep = format!("{{\"requestPayload\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(payloads(deep.as_bytes()).unwrap().len(), 1);
    }
}
