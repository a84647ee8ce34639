//! Every finding is valid by the schema that OCSF publishes.
//!
//! The schema comes with a Python package, so the check runs in an interpreter: the one that
//! `IMAGEWARDEN_PYTHON` names, else the virtual environment that `make test` sets up.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

// The sample alerts of the unit tests find these under `crate::`, as they do in the library.
use imagewarden::{activity, alert, detection, severity};

#[path = "../src/alert/testing/mod.rs"]
#[allow(dead_code, unused_imports)]
mod testing;

fn python() -> PathBuf {
    match std::env::var_os("IMAGEWARDEN_PYTHON") {
        Some(python) => python.into(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python"),
    }
}

/// What the validator says about JSON lines: whether all are valid, and its report.
fn validate(lines: &str) -> (bool, String) {
    let python = python();
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/ocsf_validate.py");
    let mut child = Command::new(&python)
        .arg(script)
        .arg(alert::ocsf::VERSION)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!(
                "{}: {error}. Run `make test`, which sets it up, or name an interpreter with the packages of \
                 tests/requirements.txt in IMAGEWARDEN_PYTHON.",
                python.display()
            )
        });
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let report =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(matches!(output.status.code(), Some(0 | 1)), "the validator itself failed:\n{report}");
    (output.status.success(), report)
}

#[test]
fn findings_are_valid_by_the_published_schema() {
    let mut lines = String::new();
    let mut count = 0;
    for (_, alert) in testing::all() {
        for limits in alert::ocsf::Limits::STEPS {
            lines.push_str(&format!("{}\n", alert::ocsf::finding_within(&alert, limits)));
            count += 1;
        }
    }
    let (valid, report) = validate(&lines);
    assert!(valid, "{report}");
    assert!(report.contains(&format!("{count} valid")), "{report}");
}

/// A hunt's summary is another class of the same schema.
#[test]
fn a_hunts_summary_is_valid_too() {
    use alert::hunted::{Counts, FailedBatches, Hunted};
    let mut counts = Counts { files: 7, alerts: 3, unreadable: 1, ..Counts::default() };
    counts.by_severity.insert(severity::Severity::High, 3);
    counts.unread("s3:GetObject: access denied", 1);
    let whole = Hunted {
        run: "march".to_owned(),
        account: "111122223333".to_owned(),
        region: "eu-central-1".to_owned(),
        source: "s3://trail/AWSLogs/".to_owned(),
        results: "s3://results/hunts/march".to_owned(),
        time: chrono::Utc::now(),
        batches: 2,
        counts,
        failed: FailedBatches::default(),
    };
    let mut failed = Hunted { account: String::new(), region: String::new(), ..whole.clone() };
    failed.failed.add("OutOfTime", 250);
    let (valid, report) = validate(&format!("{}\n{}\n", whole.scan_activity(), failed.scan_activity()));
    assert!(valid && report.contains("2 valid"), "{report}");
    let mut wrong = whole.scan_activity();
    wrong["num_files"] = serde_json::json!("seven");
    assert!(!validate(&format!("{wrong}\n")).0);
}

/// A validator that takes anything would prove nothing.
#[test]
fn the_validator_sees_what_is_wrong() {
    for (path, wrong) in [
        ("/time", serde_json::json!("yesterday")),
        ("/severity_id", serde_json::json!(42)),
        ("/finding_info", serde_json::json!({})),
        ("/evidences/0", serde_json::json!({"name": "nothing else"})),
        ("/metadata/product", serde_json::json!({"colour": "red"})),
    ] {
        let mut finding = alert::ocsf::finding(&testing::not_approved());
        *finding.pointer_mut(path).unwrap() = wrong;
        let (valid, report) = validate(&format!("{finding}\n"));
        assert!(!valid, "{path} went through: {report}");
    }
}
