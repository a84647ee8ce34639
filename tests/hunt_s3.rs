//! `imagewarden hunt s3://...` against an emulated S3.

mod command;
mod support;

use aws_sdk_s3::primitives::ByteStream;
use command::{gzip, imagewarden};
use serde_json::json;
use support::REGION;
use support::moto::Moto;

fn log(number: usize) -> Vec<u8> {
    let record = json!({
        "eventVersion": "1.11", "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/ana"},
        "eventTime": "2026-03-01T10:00:00Z", "eventSource": "ec2.amazonaws.com", "eventName": "RunInstances",
        "awsRegion": REGION, "eventID": format!("event-{number}"),
        "requestParameters": {"instancesSet": {"items": [{"imageId": "ami-0f0e1d2c3b4a59687"}]}},
    });
    gzip(&json!({"Records": [record]}).to_string())
}

fn hunt(moto: &Moto, paths: &[&str]) -> (Option<i32>, String, String) {
    let output = imagewarden()
        .env("AWS_ENDPOINT_URL", &moto.url)
        .env("AWS_ACCESS_KEY_ID", "AKIDTEST")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_REGION", REGION)
        .args(["hunt", "--format", "json"])
        .args(paths)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_log_under_a_prefix_is_read_and_nothing_else() {
    let moto = Moto::start().await;
    let s3 = imagewarden::aws::s3(&moto.sdk);
    let bucket = "hunt-logs";
    let place =
        aws_sdk_s3::types::CreateBucketConfiguration::builder().location_constraint(REGION.into()).build();
    s3.create_bucket().bucket(bucket).create_bucket_configuration(place).send().await.unwrap();
    let put = async |key: String, body: Vec<u8>| {
        s3.put_object().bucket(bucket).key(key).body(ByteStream::from(body)).send().await.unwrap();
    };
    for number in 0..40 {
        let key = format!("org/AWSLogs/o-1/444455556666/CloudTrail/{REGION}/2026/03/01/{number:02}.json.gz");
        put(key, log(number)).await;
    }
    put("org/AWSLogs/o-1/444455556666/CloudTrail-Digest/x.json.gz".to_owned(), log(900)).await;
    put("elsewhere/x.json.gz".to_owned(), log(901)).await;
    put("org/AWSLogs/o-1/444455556666/CloudTrail/broken.json.gz".to_owned(), b"\x1f\x8b\x08broken".to_vec())
        .await;
    put("alone/x.json.gz".to_owned(), log(902)).await;
    put("org/manual.pdf".to_owned(), b"no log".to_vec()).await;
    let (code, _, told) = hunt(&moto, &["s3://hunt-logs/alone/"]);
    assert_eq!(code, Some(0), "a prefix of exactly one object: {told}");
    assert!(told.contains("1 record"), "{told}");
    let (code, _, told) = hunt(&moto, &["s3://hunt-logs/org/"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("41 files") && told.contains("40 records"), "{told}");
    assert!(told.contains("40 launches of 1 image"), "{told}");
    assert!(told.contains("444455556666"), "the account of the key: {told}");
    assert!(
        told.contains("unreadable: s3://hunt-logs/org/AWSLogs/o-1/444455556666/CloudTrail/broken.json.gz"),
        "{told}"
    );
    for (wrong, reason) in
        [("s3://hunt-logs/nothing/", "no log file"), ("s3://no-such-bucket/", "s3:ListObjectsV2")]
    {
        let (code, _, told) = hunt(&moto, &[wrong]);
        assert_eq!(code, Some(2), "{told}");
        assert!(told.contains(reason), "{told}");
    }
}
