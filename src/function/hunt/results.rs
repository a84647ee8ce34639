//! The bucket where hunts leave what they found.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_types::timeout::TimeoutConfig;

use crate::aws::Failure;
use crate::function::reply::Failed;

/// Alerts of a batch may be megabytes: more time than a look-up is given.
const ATTEMPT: Duration = Duration::from_secs(60);
const ALL_ATTEMPTS: Duration = Duration::from_secs(180);

/// Objects of one run.
#[derive(Clone)]
pub(super) struct Results {
    client: Client,
    bucket: String,
    folder: String,
}

impl Results {
    pub(super) fn new(sdk: &aws_config::SdkConfig, bucket: &str, run: &str) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3))
            .operation_attempt_timeout(ATTEMPT)
            .operation_timeout(ALL_ATTEMPTS)
            .build();
        let sdk = sdk.to_builder().timeout_config(timeouts).build();
        Self { client: crate::aws::s3(&sdk), bucket: bucket.to_owned(), folder: format!("hunts/{run}") }
    }

    /// `s3://BUCKET/hunts/RUN`
    pub(super) fn place(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.folder)
    }

    /// Writes an object of the run.
    pub(super) async fn put(&self, name: &str, body: Vec<u8>, kind: &str) -> Result<(), Failed> {
        let put = self.client.put_object().bucket(&self.bucket).key(format!("{}/{name}", self.folder));
        match put.content_type(kind).body(ByteStream::from(body)).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.failed(name, &Failure::of_call("s3:PutObject", &error))),
        }
    }

    /// An object of the run; `None` where there is none.
    pub(super) async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Failed> {
        self.get_key(&format!("{}/{name}", self.folder)).await
    }

    /// Any object of the bucket; `None` where there is none.
    pub(super) async fn get_key(&self, key: &str) -> Result<Option<Vec<u8>>, Failed> {
        let answer = self.client.get_object().bucket(&self.bucket).key(key).send().await;
        match answer {
            Ok(answer) => match answer.body.collect().await {
                Ok(body) => Ok(Some(body.to_vec())),
                Err(error) => Err(self.failed(key, &format!("s3:GetObject: it broke off: {error}"))),
            },
            Err(error) if error.code() == Some("NoSuchKey") => Ok(None),
            Err(error) => Err(self.failed(key, &Failure::of_call("s3:GetObject", &error))),
        }
    }

    /// The keys of the run's objects in a folder, in order.
    pub(super) async fn keys(&self, folder: &str) -> Result<Vec<String>, Failed> {
        let prefix = format!("{}/{folder}/", self.folder);
        let list = self.client.list_objects_v2().bucket(&self.bucket).prefix(&prefix);
        let mut pages = list.into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page =
                page.map_err(|error| self.failed(&prefix, &Failure::of_call("s3:ListObjectsV2", &error)))?;
            keys.extend(page.contents.unwrap_or_default().into_iter().filter_map(|object| object.key));
        }
        Ok(keys)
    }

    pub(super) fn failed(&self, name: &str, reason: &str) -> Failed {
        Failed::Hunt(format!("{name} in {}: {reason}", self.bucket))
    }
}
