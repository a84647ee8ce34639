//! Where failed payloads lie: files, buckets and queues.

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_config::{Region, SdkConfig};
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};

use super::SILENCE;
use crate::aws::{Failure, is_region};

/// While a message is being replayed nobody else sees it; afterwards it comes back, unless deleted.
const HIDDEN: i32 = 900;
/// After how many receptions in a row that brought nothing from before the replay began it ends. A standard queue
/// hands messages over in no order, so that one alone proves nothing.
const VAIN: usize = 5;
/// The longest object that is fetched, in bytes: more than an invocation's payload and its record.
const LONGEST: usize = 16 << 20;

/// A place that was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Path(PathBuf),
    Bucket { bucket: String, prefix: String },
    Queue(String),
}

impl Source {
    pub(super) fn of(name: &str) -> Self {
        if let Some(rest) = name.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            return Source::Bucket { bucket: bucket.to_owned(), prefix: prefix.to_owned() };
        }
        if name.starts_with("https://") || name.starts_with("http://") {
            return Source::Queue(name.to_owned());
        }
        Source::Path(PathBuf::from(name))
    }
}

/// One file, object or message.
pub(super) struct Item {
    pub(super) place: String,
    pub(super) bytes: Result<Vec<u8>, String>,
    pub(super) origin: Origin,
}

/// What to delete once it succeeded.
pub(super) enum Origin {
    File,
    Object { bucket: String, key: String },
    Message { queue: String, receipt: String },
}

/// What is left of a source.
pub(super) enum Open {
    Files(VecDeque<PathBuf>),
    Objects { bucket: String, keys: VecDeque<String> },
    Messages(Messages),
}

/// A queue that is read until it has nothing more from before the replay began. Messages that came later are
/// left alone: the function itself may have sent them while it dealt with the others, and would again.
pub(super) struct Messages {
    queue: String,
    /// Milliseconds since 1970.
    began: u128,
    received: VecDeque<Message>,
    /// Ids of those that were received.
    seen: HashSet<String>,
    /// Receipts of those that came later: hidden until the end, so that older ones are received.
    later: Vec<String>,
    /// How many receptions in a row brought nothing to replay.
    vain: usize,
}

pub(super) struct Stores {
    sdk: SdkConfig,
    s3: aws_sdk_s3::Client,
}

impl Stores {
    pub(super) fn new(sdk: &SdkConfig) -> Self {
        Self { sdk: sdk.clone(), s3: crate::aws::s3(sdk) }
    }

    pub(super) async fn open(&self, source: Source) -> Result<Open, String> {
        match source {
            Source::Path(path) => {
                let mut files = Vec::new();
                collect(&path, &mut files).map_err(|error| error.to_string())?;
                files.sort();
                Ok(Open::Files(files.into()))
            }
            Source::Bucket { bucket, prefix } => {
                let mut keys = VecDeque::new();
                let mut pages =
                    self.s3.list_objects_v2().bucket(&bucket).prefix(prefix).into_paginator().send();
                while let Some(page) = pages.next().await {
                    let page = page.map_err(|error| Failure::of_call("s3:ListBucket", &error))?;
                    let objects = page.contents.unwrap_or_default().into_iter();
                    keys.extend(objects.filter_map(|object| object.key).filter(|key| !key.ends_with('/')));
                }
                Ok(Open::Objects { bucket, keys })
            }
            Source::Queue(queue) => {
                let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
                let (received, seen, later) = (VecDeque::new(), HashSet::new(), Vec::new());
                Ok(Open::Messages(Messages { queue, began, received, seen, later, vain: 0 }))
            }
        }
    }

    /// Deletes what need not come again. Files are the user's own: never deleted.
    pub(super) async fn done(&self, origin: &Origin, delete_objects: bool) -> Result<(), String> {
        match origin {
            Origin::Message { queue, receipt } => {
                let request = self.sqs(queue).delete_message().queue_url(queue).receipt_handle(receipt);
                let answer = request.send().await;
                answer.map(|_| ()).map_err(|error| Failure::of_call("sqs:DeleteMessage", &error))
            }
            Origin::Object { bucket, key } if delete_objects => {
                let answer = self.s3.delete_object().bucket(bucket).key(key).send().await;
                answer.map(|_| ()).map_err(|error| Failure::of_call("s3:DeleteObject", &error))
            }
            Origin::Object { .. } | Origin::File => Ok(()),
        }
    }

    /// Leaves an item to others: a message may be received again at once.
    pub(super) async fn give_back(&self, origin: &Origin) {
        if let Origin::Message { queue, receipt } = origin {
            self.release(queue, receipt).await;
        }
    }

    /// Should this fail, the message comes back when its time is over.
    async fn release(&self, queue: &str, receipt: &str) {
        let request = self.sqs(queue).change_message_visibility().queue_url(queue).receipt_handle(receipt);
        if let Err(error) = request.visibility_timeout(0).send().await {
            let reason = Failure::of_call("sqs:ChangeMessageVisibility", &error);
            tracing::debug!(reason, "a message stays hidden for a while");
        }
    }

    /// A queue lives in the region its URL names: `https://sqs.REGION.amazonaws.com/...`.
    fn sqs(&self, queue: &str) -> aws_sdk_sqs::Client {
        let region = queue.split('/').nth(2).and_then(|host| {
            let mut labels = host.split('.');
            (labels.next() == Some("sqs")).then(|| labels.next()).flatten()
        });
        match region.filter(|region| is_region(region) && region.contains('-')) {
            Some(region) => {
                let sdk = self.sdk.to_builder().region(Region::new(region.to_owned())).build();
                aws_sdk_sqs::Client::new(&sdk)
            }
            None => aws_sdk_sqs::Client::new(&self.sdk),
        }
    }

    async fn object(&self, bucket: &str, key: &str) -> Result<Vec<u8>, String> {
        let answer = self.s3.get_object().bucket(bucket).key(key).send().await;
        let mut body = answer.map_err(|error| Failure::of_call("s3:GetObject", &error))?.body;
        let mut bytes = Vec::new();
        while let Some(chunk) = body.try_next().await.map_err(|error| error.to_string())? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > LONGEST {
                return Err(format!("longer than {LONGEST} bytes"));
            }
        }
        Ok(bytes)
    }
}

impl Open {
    /// The next item, each once; `None` when there is no more.
    pub(super) async fn next(&mut self, stores: &Stores) -> Result<Option<Item>, String> {
        match self {
            Open::Files(files) => Ok(files.pop_front().map(|path| Item {
                place: path.display().to_string(),
                bytes: std::fs::read(&path).map_err(|error| error.to_string()),
                origin: Origin::File,
            })),
            Open::Objects { bucket, keys } => {
                let Some(key) = keys.pop_front() else { return Ok(None) };
                let bytes = stores.object(bucket, &key).await;
                let place = format!("s3://{bucket}/{key}");
                Ok(Some(Item { place, bytes, origin: Origin::Object { bucket: bucket.clone(), key } }))
            }
            Open::Messages(messages) => messages.next(stores).await,
        }
    }

    /// Ends reading: what was received and not replayed may be received by others at once.
    pub(super) async fn close(self, stores: &Stores) {
        if let Open::Messages(messages) = self {
            for receipt in &messages.later {
                stores.release(&messages.queue, receipt).await;
            }
        }
    }
}

impl Messages {
    async fn next(&mut self, stores: &Stores) -> Result<Option<Item>, String> {
        loop {
            if self.received.is_empty() {
                if self.vain >= VAIN {
                    return Ok(None);
                }
                self.vain += 1;
                self.received = receive(stores, &self.queue).await?.into();
            }
            let Some(message) = self.received.pop_front() else { return Ok(None) };
            let receipt = message.receipt_handle.clone().unwrap_or_default();
            let later = sent(&message).is_some_and(|sent| sent > self.began);
            let id = message.message_id.unwrap_or_default();
            if later {
                self.later.push(receipt);
                continue;
            }
            // One that failed in this very run, back early: not again.
            if !self.seen.insert(id.clone()) {
                continue;
            }
            self.vain = 0;
            return Ok(Some(Item {
                place: format!("{} message {id}", self.queue),
                bytes: Ok(message.body.unwrap_or_default().into_bytes()),
                origin: Origin::Message { queue: self.queue.clone(), receipt },
            }));
        }
    }
}

/// When a message was sent, in milliseconds since 1970.
fn sent(message: &Message) -> Option<u128> {
    message.attributes.as_ref()?.get(&MessageSystemAttributeName::SentTimestamp)?.parse().ok()
}

async fn receive(stores: &Stores, queue: &str) -> Result<Vec<Message>, String> {
    let answer = stores
        .sqs(queue)
        .receive_message()
        .queue_url(queue)
        .max_number_of_messages(10)
        .visibility_timeout(HIDDEN)
        .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
        .wait_time_seconds(i32::try_from(SILENCE.as_secs()).unwrap_or(1))
        .send()
        .await
        .map_err(|error| Failure::of_call("sqs:ReceiveMessage", &error))?;
    Ok(answer.messages.unwrap_or_default())
}

/// Every `.json`, `.jsonl` and `.gz` file in a folder and below; a file that is named whatever its name.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut folders = vec![path.to_owned()];
    if !path.is_dir() {
        std::fs::metadata(path)?;
        files.push(path.to_owned());
        return Ok(());
    }
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let path = entry.path();
            // Of links only those to files are followed: no folder is entered twice.
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if path.is_file()
                && path
                    .extension()
                    .and_then(|extension| extension.to_str())
                    .is_some_and(|extension| ["json", "jsonl", "gz"].contains(&extension))
            {
                files.push(path);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_told_by_its_form() {
        assert_eq!(Source::of("failures"), Source::Path(PathBuf::from("failures")));
        let bucket = |prefix: &str| Source::Bucket { bucket: "bucket".to_owned(), prefix: prefix.to_owned() };
        assert_eq!(Source::of("s3://bucket"), bucket(""));
        assert_eq!(Source::of("s3://bucket/aws/lambda/"), bucket("aws/lambda/"));
        let url = "https://sqs.eu-central-1.amazonaws.com/111122223333/failures";
        assert_eq!(Source::of(url), Source::Queue(url.to_owned()));
    }

    #[test]
    fn a_folder_means_its_events_in_order_and_below() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("b")).unwrap();
        for name in ["c.json", "b/a.gz", "a.jsonl", "notes.md"] {
            std::fs::write(folder.path().join(name), "{}").unwrap();
        }
        let mut files = Vec::new();
        collect(folder.path(), &mut files).unwrap();
        files.sort();
        let names: Vec<_> = files.iter().map(|path| path.strip_prefix(folder.path()).unwrap()).collect();
        assert_eq!(names, [Path::new("a.jsonl"), Path::new("b/a.gz"), Path::new("c.json")]);
        assert!(collect(&folder.path().join("nowhere"), &mut files).is_err());
    }
}
