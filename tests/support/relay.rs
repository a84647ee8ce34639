//! A relay in front of an endpoint: it counts requests, and may fail one, lose its answer, hold it back, or
//! do something at exactly that moment. DynamoDB's requests go through one at a time: the emulator undoes a
//! refused transaction by putting the whole table back, and whatever was written meanwhile would go with it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex as Turnstile;

use super::stub::{Request, Response};

/// What becomes of one request.
pub enum Turn {
    /// Goes through.
    Pass,
    /// Is answered here.
    Answer(Response),
    /// Goes through, and its answer is lost.
    Lose,
    /// As [`Turn::Lose`], and something happens before anybody could have had the answer.
    LoseAnd(Box<dyn FnOnce() + Send>),
    /// Goes through after a while.
    Delay(Duration),
}

pub struct Relay {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A request: the API's name, and the call that it is one try of.
type Seen = (String, String);

impl Relay {
    /// `turn` is asked about each request, by its number.
    pub async fn start(target: &str, turn: impl Fn(usize, &Request) -> Turn + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let target = target.trim_start_matches("http://").to_owned();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (noted, turn, target) = (seen.clone(), Arc::new(turn), Arc::new((target, Turnstile::new(()))));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (noted, turn, target) = (noted.clone(), turn.clone(), target.clone());
                tokio::spawn(async move {
                    // Clients and endpoints that hang up are what this is about.
                    let _ = serve(stream, &target, &noted, turn.as_ref()).await;
                });
            }
        });
        Self { url, seen }
    }

    /// In front of an emulator of EC2 that knows no ancestry: each image is the first of its line.
    pub async fn with_ancestry(target: &str) -> Self {
        Self::start(target, |_, request| match request.action() {
            "GetImageAncestry" => Turn::Answer(Response::ancestry(request)),
            _ => Turn::Pass,
        })
        .await
    }

    /// The APIs that were called since the last time, in order.
    pub fn take(&self) -> Vec<String> {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        seen.into_iter().map(|(action, _)| action).collect()
    }

    /// As [`Relay::take`], DynamoDB's alone, each call once: a busy machine's emulator may be too slow for
    /// the first try.
    pub fn take_history(&self) -> Vec<String> {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        let mut calls = std::collections::BTreeSet::new();
        let of_history = |action: &str| ["BatchGetItem", "PutItem", "TransactWriteItems"].contains(&action);
        let once = seen.into_iter().filter(|(action, call)| of_history(action) && calls.insert(call.clone()));
        once.map(|(action, _)| action).collect()
    }
}

async fn serve(
    stream: TcpStream,
    target: &(String, Turnstile<()>),
    seen: &Mutex<Vec<Seen>>,
    turn: &(dyn Fn(usize, &Request) -> Turn + Send + Sync),
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let Some(request) = Request::read(&mut stream).await? else { return Ok(()) };
    let number = {
        let mut seen = seen.lock().unwrap();
        let call = request.headers.get("amz-sdk-invocation-id").cloned().unwrap_or_default();
        seen.push((request.action().to_owned(), call));
        seen.len()
    };
    match turn(number, &request) {
        Turn::Pass => {
            let answer = forward(target, &request).await?;
            stream.write_all(&answer).await?;
        }
        Turn::Delay(time) => {
            tokio::time::sleep(time).await;
            let answer = forward(target, &request).await?;
            stream.write_all(&answer).await?;
        }
        Turn::Lose => drop(forward(target, &request).await?),
        Turn::LoseAnd(then) => {
            forward(target, &request).await?;
            then();
        }
        Turn::Answer(response) => response.write(&mut stream).await?,
    }
    stream.flush().await
}

/// The answer as it came.
async fn forward((target, one): &(String, Turnstile<()>), request: &Request) -> std::io::Result<Vec<u8>> {
    let of_dynamodb = request.headers.get("x-amz-target").is_some_and(|name| name.starts_with("DynamoDB"));
    let _turn = if of_dynamodb { Some(one.lock().await) } else { None };
    let mut stream = TcpStream::connect(target).await?;
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.path);
    for (name, value) in request.headers.iter().filter(|(name, _)| *name != "connection") {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).await?;
    stream.write_all(request.body.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}
