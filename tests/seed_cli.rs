//! Every seed through the public command line, with the facts that the AWS CLI would print.

mod command;
#[allow(dead_code, reason = "every runner uses its own part")]
mod seed;

use seed::Case;
use serde_json::Value;

const FACTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/events/facts");

/// What `imagewarden check` tells of a case's events.
fn told(case: &Case) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.yaml");
    std::fs::write(&policy, case.judged_by()).unwrap();
    let events = folder.path().join("events");
    std::fs::create_dir(&events).unwrap();
    for (number, event) in case.events.iter().enumerate() {
        std::fs::write(events.join(format!("{number:02}.json")), event.to_string()).unwrap();
    }
    let mut command = command::imagewarden();
    command.args(["check", "--format", "json", "--facts", FACTS, "--policy"]).arg(policy).arg(events);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", case.says);
    assert!(!said.contains("unreadable"), "{}: {said}", case.says);
    command::findings(&output)
}

macro_rules! play {
    ($($module:ident: $name:ident)*) => {
        $(#[test]
        fn $name() {
            for case in seed::$module::$name() {
                case.check(&told(&case));
            }
        })*
    };
}
seed::every_seed!(play);
