use super::*;
use crate::user_data::Language;
use crate::user_data::script::scan;

#[test]
fn downloads_give_their_host_and_where_they_go() {
    for (line, host, output) in [
        ("curl -fsSLo /tmp/x https://a.example/y", "a.example", "/tmp/x"),
        ("curl -fsSL https://a.example/y -o x --retry 3", "a.example", "x"),
        ("curl -sLO https://a.example/d/y.sh?z=1", "a.example", "y.sh"),
        ("curl -H 'X: https://no.example' --url https://a.example/y", "a.example", "-"),
        ("curl -k 203.0.113.4:8080/y > /opt/y", "203.0.113.4", "-"),
        ("wget -q https://a.example/y.sh", "a.example", "y.sh"),
        ("wget -qO- https://a.example/y.sh", "a.example", "-"),
        ("wget -nv -P /tmp https://a.example/y.sh", "a.example", "/tmp/y.sh"),
        ("aws --region us-east-1 s3 cp s3://bucket/k/y.sh /tmp/", "bucket", "/tmp/y.sh"),
        ("aws s3 cp s3://bucket/k/y.sh .", "bucket", "y.sh"),
        ("scp -r bob@a.example:/x /opt/y", "a.example", "/opt/y"),
    ] {
        let script = scan(Language::Shell, line);
        let fetch = parse(&script.commands[0]).unwrap_or_else(|| panic!("{line}"));
        assert_eq!(fetch.urls.first().map(|url| url.host), Some(host), "{line}");
        let file = match fetch.output {
            Output::File(file) => file,
            _ => "-".to_owned(),
        };
        assert_eq!(file, output, "{line}");
    }
}

#[test]
fn what_fetches_nothing_is_no_download() {
    for line in
        ["aws s3 ls", "aws s3 cp x s3://b/k", "certutil -hashfile x", "echo curl http://x", "gsutil ls"]
    {
        let script = scan(Language::Shell, line);
        assert_eq!(parse(&script.commands[0]), None, "{line}");
    }
}
