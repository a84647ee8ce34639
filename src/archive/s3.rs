//! Objects of S3, listed and fetched. Whoever reads them waits on a thread of its own; all requests go through
//! one thread that runs the SDK.

use std::collections::VecDeque;
use std::io::{self, Read};

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use tokio::sync::mpsc;

use super::walk::is_log;
use super::{Fetch, Input};
use crate::aws::Failure;

/// Pieces of an object that wait for their reader.
const PIECES: usize = 4;

/// Every log under `s3://BUCKET/PREFIX`, in the order of their keys; digests of a trail's files and what is no
/// log by its name left out.
///
/// # Errors
/// The bucket cannot be listed, or holds no log there.
pub async fn list(client: &Client, bucket: &str, prefix: &str) -> Result<Vec<Input>, String> {
    let mut pages = client.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| Failure::of_call("s3:ListObjectsV2", &error))?;
        for object in page.contents.unwrap_or_default() {
            let Some(key) = object.key.filter(|key| is_log(key)) else { continue };
            let size = object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
            if size > 0 {
                found.push(Input::Object { bucket: bucket.to_owned(), key, size });
            }
        }
    }
    if found.is_empty() { Err(format!("no log file in s3://{bucket}/{prefix}")) } else { Ok(found) }
}

/// A wish for an object, and where its pieces go.
struct Wish {
    bucket: String,
    key: String,
    to: mpsc::Sender<Result<Vec<u8>, String>>,
}

/// Fetches objects for readers on other threads.
#[derive(Debug)]
pub struct Fetcher {
    wishes: mpsc::UnboundedSender<Wish>,
}

impl Fetcher {
    /// Starts the thread that runs the SDK. It ends with the last of its readers.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(sdk: aws_config::SdkConfig) -> io::Result<Self> {
        let (wishes, mut wished) = mpsc::unbounded_channel::<Wish>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("s3".to_owned()).spawn(move || {
            runtime.block_on(async move {
                // Connections belong to the runtime that opens them, so the client is made here.
                let client = crate::aws::s3(&sdk);
                while let Some(wish) = wished.recv().await {
                    tokio::spawn(serve(client.clone(), wish));
                }
            });
        })?;
        Ok(Self { wishes })
    }
}

async fn serve(client: Client, wish: Wish) {
    let Wish { bucket, key, to } = wish;
    let answer = client.get_object().bucket(bucket).key(key).send().await;
    let outcome = match answer {
        Ok(answer) => pieces(answer.body, &to).await,
        Err(error) => Err(Failure::of_call("s3:GetObject", &error)),
    };
    if let Err(reason) = outcome {
        // A reader that went away wants to know nothing.
        let _ = to.send(Err(reason)).await;
    }
}

async fn pieces(mut body: ByteStream, to: &mpsc::Sender<Result<Vec<u8>, String>>) -> Result<(), String> {
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| format!("the object broke off: {error}"))?;
        if to.send(Ok(piece.to_vec())).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

impl Fetch for Fetcher {
    fn open(&self, bucket: &str, key: &str) -> io::Result<Box<dyn Read + Send>> {
        let (to, pieces) = mpsc::channel(PIECES);
        let wish = Wish { bucket: bucket.to_owned(), key: key.to_owned(), to };
        self.wishes.send(wish).map_err(|_| io::Error::other("the thread that talks to S3 has ended"))?;
        Ok(Box::new(Body { pieces, at_hand: VecDeque::new() }))
    }
}

/// An object as its pieces arrive.
struct Body {
    pieces: mpsc::Receiver<Result<Vec<u8>, String>>,
    at_hand: VecDeque<u8>,
}

impl Read for Body {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at_hand.is_empty() {
            match self.pieces.blocking_recv() {
                None => return Ok(0),
                Some(Ok(piece)) => self.at_hand = piece.into(),
                Some(Err(reason)) => return Err(io::Error::other(reason)),
            }
        }
        self.at_hand.read(into)
    }
}
