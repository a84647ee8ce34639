//! A trail's bucket to hunt through, and one for what is found.

use std::collections::BTreeMap;
use std::io::Write;

use aws_sdk_s3::primitives::ByteStream;
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use super::events::{launch, push_at_night};
use super::moto::FOREIGN;
use super::relay::{Relay, Turn};
use super::stub::{Request, Response};
use super::{ACCOUNT, REGION};

/// A log file of a trail, packed, in which these calls were made.
pub fn log(records: &[Value]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(json!({"Records": records}).to_string().as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// A launch of a stranger's image by somebody of that number, so many hours into a day.
pub fn launched(number: usize) -> Value {
    let mut record = launch(FOREIGN)["detail"].clone();
    record["eventID"] = json!(format!("0c0e8d1c-6a3c-4a80-b8a7-{number:012}"));
    record["eventTime"] = json!(format!("2026-03-03T{:02}:15:00Z", number % 24));
    record["userIdentity"]["arn"] = json!(format!("arn:aws:iam::{ACCOUNT}:user/jo-{number}"));
    record["responseElements"]["reservationId"] = json!(format!("r-{number:017x}"));
    record["responseElements"]["instancesSet"]["items"][0]["instanceId"] = json!(format!("i-{number:017x}"));
    record
}

/// A call that nobody judges.
fn read_only(number: usize) -> Value {
    let mut record = launched(number);
    record["eventName"] = json!("DescribeVpcs");
    record
}

/// The bucket of a trail, as of a morning, and what in it is a log. Files come in no order of time.
pub fn archive() -> (BTreeMap<String, Vec<u8>>, usize) {
    let folder = format!("AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/2026/03/03");
    let mut objects = BTreeMap::new();
    for number in 0..6 {
        let records = [read_only(100 + number), launched(11 - number), launched(number), read_only(number)];
        objects.insert(format!("{folder}/{number}.json.gz"), log(&records));
    }
    objects.insert(format!("{folder}/6.json.gz"), log(&[push_at_night()["detail"].clone()]));
    let logs = objects.len();
    objects.insert(format!("AWSLogs/{ACCOUNT}/CloudTrail-Digest/d.json.gz"), log(&[launched(900)]));
    objects.insert(format!("{folder}/manual.pdf"), b"no log".to_vec());
    objects.insert(format!("{folder}/"), Vec::new());
    (objects, logs)
}

/// Calls of EC2 that the emulator knows nothing of fail at once, and not after four tries.
pub fn unknown(request: &Request) -> Option<Turn> {
    let known = ["DescribeImages", "DescribeSnapshots"];
    let of_ec2 = request.body.contains("Version=2016-11-15") && !known.contains(&request.action());
    of_ec2.then(|| Turn::Answer(Response::ec2_error(400, "InvalidParameterValue")))
}

pub async fn relay(url: &str) -> Relay {
    Relay::start(url, |_, request| unknown(request).unwrap_or(Turn::Pass)).await
}

pub struct Buckets {
    pub s3: aws_sdk_s3::Client,
    pub logs: String,
    pub results: String,
}

impl Buckets {
    pub async fn make(config: &aws_config::SdkConfig, name: &str) -> Self {
        let s3 = imagewarden::aws::s3(config);
        let (logs, results) = (format!("{name}-logs"), format!("{name}-results"));
        for bucket in [&logs, &results] {
            let place = aws_sdk_s3::types::CreateBucketConfiguration::builder()
                .location_constraint(REGION.into())
                .build();
            s3.create_bucket().bucket(bucket).create_bucket_configuration(place).send().await.unwrap();
        }
        Self { s3, logs, results }
    }

    pub async fn put(&self, bucket: &str, key: &str, body: impl Into<Vec<u8>>) {
        let body = ByteStream::from(body.into());
        self.s3.put_object().bucket(bucket).key(key).body(body).send().await.unwrap();
    }

    pub async fn fill(&self, objects: &BTreeMap<String, Vec<u8>>) {
        for (key, body) in objects {
            self.put(&self.logs, key, body.clone()).await;
        }
    }

    /// What there is of a run's results, by name.
    pub async fn found(&self, run: &str) -> BTreeMap<String, Vec<u8>> {
        let prefix = format!("hunts/{run}/");
        let list = self.s3.list_objects_v2().bucket(&self.results).prefix(&prefix).send().await.unwrap();
        let mut found = BTreeMap::new();
        for object in list.contents.unwrap_or_default() {
            let key = object.key.unwrap();
            let body = self.s3.get_object().bucket(&self.results).key(&key).send().await.unwrap().body;
            let name = key.strip_prefix(&prefix).unwrap().to_owned();
            found.insert(name, body.collect().await.unwrap().to_vec());
        }
        found
    }

    pub fn settings(&self) -> [(&str, &str); 1] {
        [("HUNT_RESULTS", &self.results)]
    }

    pub fn batch<'a>(&self, run: &str, objects: impl IntoIterator<Item = (&'a String, usize)>) -> Value {
        let objects: Vec<Value> =
            objects.into_iter().map(|(key, size)| json!({"key": key, "size": size})).collect();
        json!({
            "imagewarden": "hunt", "run": run, "started": "2026-11-22T07:00:00Z", "bucket": self.logs,
            "objects": objects,
        })
    }
}
