//! Events as their services send them, made small.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use super::{ACCOUNT, REGION};

/// `AWS API Call via CloudTrail` from EventBridge, in an account.
pub fn cloudtrail(account: &str, source: &str, name: &str, request: Value, response: Value) -> Value {
    json!({
        "version": "0", "id": "4bfe4ff1-7a1d-4322-8fa1-0f0dc1b1746b",
        "detail-type": "AWS API Call via CloudTrail", "source": format!("aws.{source}"),
        "account": account, "time": "2026-03-03T10:15:00Z", "region": REGION, "resources": [],
        "detail": {
            "eventVersion": "1.11",
            "userIdentity": {
                "type": "IAMUser", "principalId": "AIDAEXAMPLE", "userName": "jo",
                "arn": format!("arn:aws:iam::{account}:user/jo"), "accountId": account
            },
            "eventTime": "2026-03-03T10:15:00Z", "eventSource": format!("{source}.amazonaws.com"),
            "eventName": name, "awsRegion": REGION, "sourceIPAddress": "198.51.100.24",
            "userAgent": "aws-cli/2.31.4", "requestParameters": request, "responseElements": response,
            "requestID": "da224c5b-2f5a-400f-8877-3dd0840861fc",
            "eventID": "0c0e8d1c-6a3c-4a80-b8a7-0a3b6d6a3a11", "readOnly": false,
            "eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": account,
            "eventCategory": "Management"
        }
    })
}

/// A launch of one instance.
pub fn launch(image: &str) -> Value {
    launch_in(ACCOUNT, image)
}

pub fn launch_in(account: &str, image: &str) -> Value {
    let instance = json!({"instanceId": "i-0e9251f53d2fc69ad", "imageId": image, "instanceType": "t3.micro"});
    cloudtrail(
        account,
        "ec2",
        "RunInstances",
        json!({"instancesSet": {"items": [{"imageId": image, "minCount": 1, "maxCount": 1}]}}),
        json!({"reservationId": "r-006eb09435761688b", "instancesSet": {"items": [instance]}}),
    )
}

/// A push on a Sunday night.
pub fn push_at_night() -> Value {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": 1},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest, "size": 1}]
    });
    let mut event = cloudtrail(
        ACCOUNT,
        "ecr",
        "PutImage",
        json!({
            "registryId": ACCOUNT, "repositoryName": "team/app", "imageTag": "v1",
            "imageManifest": manifest.to_string(),
            "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json"
        }),
        json!({"image": {
            "registryId": ACCOUNT, "repositoryName": "team/app",
            "imageId": {"imageDigest": digest, "imageTag": "v1"}, "imageManifest": manifest.to_string()
        }}),
    );
    event["time"] = json!("2026-03-01T02:30:00Z");
    event["detail"]["eventTime"] = json!("2026-03-01T02:30:00Z");
    event
}

/// A scan's result.
pub fn scan(status: &str, counts: Value) -> Value {
    json!({
        "version": "0", "id": "85fc3613-e913-7fc4-a80c-a3753e4aa9ae", "detail-type": "ECR Image Scan",
        "source": "aws.ecr", "account": ACCOUNT, "time": "2026-03-03T10:20:00Z", "region": REGION,
        "resources": [format!("arn:aws:ecr:{REGION}:{ACCOUNT}:repository/team/app")],
        "detail": {
            "scan-status": status, "repository-name": "team/app", "image-tags": ["v1"],
            "image-digest": format!("sha256:{}", "cd".repeat(32)), "finding-severity-counts": counts
        }
    })
}

/// An SQS delivery of these bodies, their ids `m-0`, `m-1` ...
pub fn sqs(bodies: &[String]) -> Value {
    let records: Vec<Value> = bodies
        .iter()
        .enumerate()
        .map(|(index, body)| {
            json!({
                "messageId": format!("m-{index}"), "receiptHandle": "handle", "body": body,
                "attributes": {}, "messageAttributes": {}, "eventSource": "aws:sqs",
                "eventSourceARN": format!("arn:aws:sqs:{REGION}:{ACCOUNT}:events"), "awsRegion": REGION
            })
        })
        .collect();
    json!({"Records": records})
}

/// A batch of log lines as CloudWatch Logs hands it over: compressed.
pub fn log_batch(text: &str) -> Value {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    json!({"awslogs": {"data": STANDARD.encode(encoder.finish().unwrap())}})
}
