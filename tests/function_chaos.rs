//! What an attacker or a bad day does to the real function: nothing is acknowledged untold, nothing hangs, and
//! nothing is told twice without need.

mod support;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use support::events::{launch, sqs};
use support::function::Function;
use support::moto::Moto;
use support::relay::{Relay, Turn};
use support::stub::{Request, Response, Stub};
use support::{ACCOUNT, TOPIC};

const STRANGER: &str = "210987654321";

/// The launch of an image of its own, by somebody of his own.
fn launch_number(number: usize) -> Value {
    let mut event = launch(&image_number(number));
    event["detail"]["eventID"] = json!(format!("0c0e8d1c-6a3c-4a80-b8a7-{number:012}"));
    event["detail"]["responseElements"]["reservationId"] = json!(format!("r-{number:017x}"));
    event["detail"]["responseElements"]["instancesSet"]["items"][0]["instanceId"] =
        json!(format!("i-{number:017x}"));
    event["detail"]["userIdentity"]["arn"] = json!(format!("arn:aws:iam::{ACCOUNT}:user/jo-{number}"));
    event["detail"]["userIdentity"]["userName"] = json!(format!("jo-{number}"));
    event
}

fn image_number(number: usize) -> String {
    format!("ami-{:017x}", 0x00f0_0000 + number)
}

/// EC2, where every image is a stranger's and no instance has user data, unless `user_data` says otherwise.
fn ec2(request: &Request, user_data: &(dyn Fn(&str) -> String + Send + Sync)) -> Response {
    match request.action() {
        "DescribeImages" => {
            let id = request.form("ImageId.1").unwrap();
            Response::ok(format!(
                "<DescribeImagesResponse><imagesSet><item><imageId>{id}</imageId>\
                 <imageOwnerId>{STRANGER}</imageOwnerId><name>free-tools</name><isPublic>true</isPublic>\
                 <imageState>available</imageState><creationDate>2026-01-05T10:00:00.000Z</creationDate>\
                 </item></imagesSet></DescribeImagesResponse>"
            ))
        }
        "DescribeInstanceAttribute" => {
            let id = request.form("InstanceId").unwrap();
            let text = user_data(&id);
            Response::ok(format!(
                "<DescribeInstanceAttributeResponse><instanceId>{id}</instanceId>\
                 <userData><value>{text}</value></userData></DescribeInstanceAttributeResponse>"
            ))
        }
        "GetAllowedImagesSettings" => Response::ok(
            "<GetAllowedImagesSettingsResponse><state>disabled</state></GetAllowedImagesSettingsResponse>",
        ),
        _ => Response::ec2_error(400, "InvalidAMIID.NotFound"),
    }
}

fn of_ec2(request: &Request) -> bool {
    request.body.contains("Version=2016-11-15")
}

fn none(_: &str) -> String {
    String::new()
}

fn finding(notification: &Value) -> Value {
    serde_json::from_str(notification["Message"].as_str().unwrap()).unwrap()
}

/// The images that a message names.
fn named(notification: &Value, of: usize) -> BTreeSet<usize> {
    let text = notification["Message"].as_str().unwrap();
    (0..of).filter(|number| text.contains(&image_number(*number))).collect()
}

/// An attacker who uses up the account's calls gets a delay, not silence: nothing is acknowledged, and what stays
/// unknown is told for each image and principal.
#[tokio::test]
async fn while_ec2_throttles_no_launch_is_acknowledged_and_each_is_named() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("throttled-1").await;
    let table = moto.table("throttled-1").await;
    let throttled = Arc::new(AtomicBool::new(true));
    let is_throttled = throttled.clone();
    let relay = Relay::start(&moto.url, move |_, request| match of_ec2(request) {
        true if is_throttled.load(Ordering::SeqCst) => {
            Turn::Answer(Response::ec2_error(503, "RequestLimitExceeded"))
        }
        true => Turn::Answer(ec2(request, &none)),
        false => Turn::Pass,
    })
    .await;
    let function = Function::start(&relay.url, &topic, &[("HISTORY_TABLE", &table)]).await;
    let batch = |receives: Option<usize>| {
        let bodies: Vec<String> = (0..6).map(|number| launch_number(number).to_string()).collect();
        let mut batch = sqs(&bodies);
        for record in batch["Records"].as_array_mut().unwrap() {
            if let Some(receives) = receives {
                record["attributes"] = json!({"ApproximateReceiveCount": receives.to_string()});
            }
        }
        batch
    };
    // A queue that counts: all go back, and nothing is told of the first delivery.
    let reply = function.invoke(batch(Some(1))).await.unwrap();
    assert_eq!(reply["batchItemFailures"].as_array().unwrap().len(), 6, "{reply}");
    assert!(moto.received(&queue).await.is_empty());
    // Asynchronous invocations, which the function counts itself.
    let (kind, message) = function.invoke(launch_number(6)).await.unwrap_err();
    assert_eq!(kind, "LookupFailed");
    assert!(message.contains("throttled"), "{message}");
    assert!(moto.received(&queue).await.is_empty());
    // The next attempts tell that nothing could be checked, and fail all the same.
    let reply = function.invoke(batch(Some(2))).await.unwrap();
    assert_eq!(reply["batchItemFailures"].as_array().unwrap().len(), 6, "{reply}");
    function.invoke(launch_number(6)).await.unwrap_err();
    let received = moto.received(&queue).await;
    let images: BTreeSet<usize> = received.iter().flat_map(|one| named(one, 7)).collect();
    assert_eq!(images, (0..7).collect(), "{received:#?}");
    assert!(received.iter().all(|one| finding(one)["severity"] == "Medium"));
    let logged: BTreeSet<String> = function
        .output()
        .iter()
        .filter(|line| line["message"] == "could not be judged to the end")
        .map(|line| format!("{} {}", line["what"], line["principal"]))
        .collect();
    for number in 0..7 {
        let name = format!("user/jo-{number}");
        let image = image_number(number);
        assert!(logged.iter().any(|line| line.contains(&image) && line.contains(&name)), "{logged:?}");
    }
    // Once EC2 answers, each is told for what it is.
    throttled.store(false, Ordering::SeqCst);
    let reply = function.invoke(batch(Some(3))).await.unwrap();
    assert_eq!(reply["batchItemFailures"], json!([]), "{reply}");
    function.invoke(launch_number(6)).await.unwrap();
    let high: BTreeSet<usize> = moto
        .received(&queue)
        .await
        .iter()
        .filter(|one| finding(one)["severity"] == "High")
        .flat_map(|one| named(one, 7))
        .collect();
    assert_eq!(high, (0..7).collect());
}

/// User data that was made to take the scanners' time costs the nine other messages of its batch nothing.
#[tokio::test]
async fn one_poison_message_of_ten_costs_the_nine_nothing() {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(format!("#!/bin/bash\n{}\n", "a.".repeat(500_000)).as_bytes()).unwrap();
    let poison = STANDARD.encode(packed.finish().unwrap());
    let victim = format!("i-{:017x}", 4);
    let user_data = move |id: &str| if id == victim { poison.clone() } else { String::new() };
    let stub = Stub::start(move |request| match request.action() {
        "Publish" => Response::published(),
        _ => ec2(request, &user_data),
    })
    .await;
    let mut function = Function::start(&stub.url, TOPIC, &[]).await;
    let bodies: Vec<String> = (0..10).map(|number| launch_number(number).to_string()).collect();
    let start = Instant::now();
    let reply = function.invoke_within(sqs(&bodies), 14_000).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(13), "{:?}", start.elapsed());
    let failed = reply["batchItemFailures"].as_array().unwrap();
    assert!(failed.iter().all(|item| item["itemIdentifier"] == "m-4"), "{reply}");
    let sent: Vec<String> = stub.asked("Publish").iter().filter_map(|it| it.form("Message")).collect();
    for number in (0..10).filter(|number| *number != 4 || failed.is_empty()) {
        let image = image_number(number);
        assert!(sent.iter().any(|message| message.contains(&image)), "{image} is not told: {reply}");
    }
    assert!(function.alive());
    assert_eq!(function.invoke(launch_number(11)).await.unwrap()["published"], 1);
}

/// One of two topics is down: the other has the message once, however often the event comes again.
#[tokio::test]
async fn a_topic_that_is_down_costs_the_other_no_repetition() {
    let moto = Moto::start().await;
    for down in ["main", "chat"] {
        let (main, main_queue) = moto.topic(&format!("down-{down}-1")).await;
        let (chat, chat_queue) = moto.topic(&format!("down-{down}-2")).await;
        let table = moto.table(&format!("down-{down}")).await;
        let gone = if down == "main" { main.clone() } else { chat.clone() };
        let is_down = Arc::new(AtomicBool::new(true));
        let refused = is_down.clone();
        let relay = Relay::start(&moto.url, move |_, request| match request.action() {
            "Publish"
                if refused.load(Ordering::SeqCst) && request.form("TopicArn").as_ref() == Some(&gone) =>
            {
                Turn::Answer(Response::query_error(404, "NotFound"))
            }
            _ if of_ec2(request) => Turn::Answer(ec2(request, &none)),
            _ => Turn::Pass,
        })
        .await;
        let settings = [("HISTORY_TABLE", table.as_str()), ("CHAT_TOPIC_ARN", chat.as_str())];
        let function = Function::start(&relay.url, &main, &settings).await;
        let start = Instant::now();
        for _ in 0..3 {
            let (kind, message) = function.invoke(launch_number(1)).await.unwrap_err();
            assert_eq!(kind, "NotPublished", "{message}");
        }
        // What was refused is given back, and not waited for.
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        is_down.store(false, Ordering::SeqCst);
        function.invoke(launch_number(1)).await.unwrap();
        let received = (moto.received(&main_queue).await.len(), moto.received(&chat_queue).await.len());
        assert_eq!(received, (1, 1), "{down} was down");
    }
}

/// A flood of images is a handful of messages.
#[tokio::test]
async fn a_flood_of_images_is_a_handful_of_messages() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("flood-1").await;
    let table = moto.table("flood-1").await;
    let relay = Relay::start(&moto.url, move |_, request| match of_ec2(request) {
        true => Turn::Answer(ec2(request, &none)),
        false => Turn::Pass,
    })
    .await;
    let function = Function::start(&relay.url, &topic, &[("HISTORY_TABLE", &table)]).await;
    for batch in 0..4 {
        let bodies: Vec<String> = (0..10)
            .map(|number| {
                let mut event = launch_number(batch * 10 + number);
                event["detail"]["userIdentity"]["arn"] =
                    json!(format!("arn:aws:iam::{ACCOUNT}:user/mallory"));
                event.to_string()
            })
            .collect();
        let reply = function.invoke(sqs(&bodies)).await.unwrap();
        assert_eq!(reply["batchItemFailures"], json!([]), "{reply}");
    }
    let received = moto.received(&queue).await;
    assert!((11..=14).contains(&received.len()), "{} messages", received.len());
}

/// The bus says who sent an event. A record in it that says otherwise is refused, with that reason.
#[tokio::test]
async fn a_record_of_another_account_or_region_than_its_envelope_is_refused() {
    let stub = Stub::start(|request| match request.action() {
        "Publish" => Response::published(),
        _ => ec2(request, &none),
    })
    .await;
    let function = Function::start(&stub.url, TOPIC, &[]).await;
    for (field, value) in [("account", "999900001111"), ("region", "us-east-1")] {
        let mut forged = launch_number(1);
        forged[field] = json!(value);
        let (kind, message) = function.invoke(forged).await.unwrap_err();
        assert_eq!(kind, "Unreadable");
        assert!(message.contains(field) && message.contains(value), "{message}");
    }
    assert!(stub.asked("Publish").is_empty());
}

/// One event's message was refused: the next delivery does not wait for it, and tells it.
#[tokio::test]
async fn a_refused_message_is_told_by_the_next_delivery_at_once() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("refused-1").await;
    let table = moto.table("refused-1").await;
    let refuses = Arc::new(AtomicBool::new(true));
    let is_refused = refuses.clone();
    let relay = Relay::start(&moto.url, move |_, request| match request.action() {
        "Publish" if is_refused.load(Ordering::SeqCst) => {
            Turn::Answer(Response::query_error(403, "AuthorizationError"))
        }
        _ if of_ec2(request) => Turn::Answer(ec2(request, &none)),
        _ => Turn::Pass,
    })
    .await;
    let function = Function::start(&relay.url, &topic, &[("HISTORY_TABLE", &table)]).await;
    assert_eq!(function.invoke(launch_number(1)).await.unwrap_err().0, "NotPublished");
    refuses.store(false, Ordering::SeqCst);
    // Another process, which the first one's lease would keep waiting.
    let next = Function::start(&relay.url, &topic, &[("HISTORY_TABLE", &table)]).await;
    let start = Instant::now();
    assert_eq!(next.invoke(launch_number(1)).await.unwrap()["published"], 1);
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    assert_eq!(moto.received(&queue).await.len(), 1);
}

/// The tenth event of a thread says that it is the tenth; every line of the log has each name once.
#[tokio::test]
async fn an_update_says_how_many_and_a_log_line_names_nothing_twice() {
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("tenth-1").await;
    let table = moto.table("tenth-1").await;
    let relay = Relay::start(&moto.url, |_, request| match of_ec2(request) {
        true => Turn::Answer(ec2(request, &none)),
        false => Turn::Pass,
    })
    .await;
    let function = Function::start(&relay.url, &topic, &[("HISTORY_TABLE", &table)]).await;
    for number in 0..10 {
        let mut event = launch_number(1);
        event["detail"]["eventID"] = json!(format!("event-{number}"));
        event["detail"]["responseElements"]["reservationId"] = json!(format!("r-{number:017x}"));
        function.invoke(event).await.unwrap();
    }
    let received = moto.received(&queue).await;
    let last = received.last().unwrap()["Message"].as_str().unwrap();
    assert!(received.len() >= 2 && last.contains("10"), "{last}");
    // A message that goes back to its queue was a line with two keys `message`.
    function.invoke(sqs(&["no JSON".to_owned()])).await.unwrap();
    for line in function.lines() {
        assert!(line.matches("\"message\":").count() <= 1, "{line}");
    }
}

/// One delivery of an event that is due.
struct Due {
    number: usize,
    /// How often the platform still tries it.
    left: usize,
    from: Instant,
}

/// What goes wrong, and how often it did.
struct Weather {
    begun: Instant,
    bad: AtomicBool,
    state: AtomicU64,
    failed: AtomicUsize,
    throttled: AtomicUsize,
    lost: AtomicUsize,
}

impl Weather {
    /// A number below a thousand, the same sequence for the same seed.
    fn roll(&self) -> u64 {
        let mut z = self.state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % 1_000
    }

    fn turn(&self, request: &Request) -> Turn {
        let ec2_answers = || Turn::Answer(ec2(request, &none));
        let fine = || if of_ec2(request) { ec2_answers() } else { Turn::Pass };
        if !self.bad.load(Ordering::SeqCst) {
            return fine();
        }
        let add = |count: &AtomicUsize| count.fetch_add(1, Ordering::SeqCst);
        // Two seconds of eight, EC2 takes no call at all.
        if of_ec2(request) && self.begun.elapsed().as_millis() % 8_000 < 2_000 {
            add(&self.throttled);
            return Turn::Answer(Response::ec2_error(503, "RequestLimitExceeded"));
        }
        match self.roll() {
            0..50 => {
                add(&self.failed);
                Turn::Answer(match () {
                    () if of_ec2(request) => Response::ec2_error(500, "InternalError"),
                    () if request.headers.contains_key("x-amz-target") => {
                        Response::json_error(500, "InternalServerError")
                    }
                    () => Response::query_error(500, "InternalFailure"),
                })
            }
            50..60 if !of_ec2(request) => {
                if request.action() == "Publish" {
                    add(&self.lost);
                }
                Turn::Lose
            }
            _ => fine(),
        }
    }
}

/// As the platform does with asynchronous invocations: three attempts, then the failure store.
const ATTEMPTS: usize = 3;
/// How long one may take, in milliseconds.
const TIMEOUT: u64 = 7_000;

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// 100 launches of 100 images, a tenth of them delivered twice, while calls fail, answers are lost, EC2 throttles
/// and processes are killed. Every image is named; repeats are no more than kills and lost answers.
/// `CHAOS_LAUNCHES` and `CHAOS_SEED` make it longer or another: `CHAOS_LAUNCHES=200 cargo test --features aws
/// --test function_chaos -- --nocapture in_any_weather` prints its figures.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_any_weather_every_image_is_named_and_hardly_one_twice() {
    let launches = usize::try_from(setting("CHAOS_LAUNCHES", 100)).unwrap();
    let seed = setting("CHAOS_SEED", 20_261_127);
    let moto = Moto::start().await;
    let (topic, queue) = moto.topic("chaos-1").await;
    let table = moto.table("chaos-1").await;
    let weather = Arc::new(Weather {
        begun: Instant::now(),
        bad: AtomicBool::new(true),
        state: AtomicU64::new(seed),
        failed: AtomicUsize::new(0),
        throttled: AtomicUsize::new(0),
        lost: AtomicUsize::new(0),
    });
    let sky = weather.clone();
    let relay = Relay::start(&moto.url, move |_, request| sky.turn(request)).await;
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.yaml");
    std::fs::write(&policy, POLICY).unwrap();
    let policy = format!("file:{}", policy.display());
    let settings = [("HISTORY_TABLE", table.as_str()), ("POLICY_URI", policy.as_str())];

    let now = Instant::now();
    let twice = (0..launches).filter(|number| number % 10 == 3);
    let due: VecDeque<Due> =
        (0..launches).chain(twice).map(|number| Due { number, left: ATTEMPTS, from: now }).collect();
    let (due, dead) = (Arc::new(Mutex::new(due)), Arc::new(Mutex::new(BTreeSet::new())));
    let kills = Arc::new(AtomicUsize::new(0));
    let processes: Arc<Mutex<BTreeMap<usize, u32>>> = Arc::default();
    let killer = tokio::spawn({
        let (processes, weather, kills) = (processes.clone(), weather.clone(), kills.clone());
        async move {
            loop {
                tokio::time::sleep(Duration::from_millis(1_500 + weather.roll())).await;
                let victims: Vec<u32> = processes.lock().unwrap().values().copied().collect();
                let Some(id) = victims.get(weather.roll() as usize % victims.len().max(1)) else { continue };
                let status = std::process::Command::new("kill").args(["-KILL", &id.to_string()]).status();
                kills.fetch_add(usize::from(status.unwrap().success()), Ordering::SeqCst);
            }
        }
    });
    let workers = (0..4).map(|worker| {
        let (due, dead, processes) = (due.clone(), dead.clone(), processes.clone());
        let (relay, topic) = (&relay, &topic);
        async move {
            let mut function = Function::start(&relay.url, topic, &settings).await;
            processes.lock().unwrap().insert(worker, function.id());
            let mut errors: BTreeMap<String, usize> = BTreeMap::new();
            loop {
                let next = {
                    let mut due = due.lock().unwrap();
                    let now = Instant::now();
                    let ready = due.iter().position(|one| one.from <= now);
                    match ready {
                        Some(place) => due.remove(place),
                        None if due.is_empty() => break errors,
                        None => None,
                    }
                };
                let Some(Due { number, left, .. }) = next else {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let wait = match function.invoke_or_die(launch_number(number), TIMEOUT).await {
                    Some(Ok(_)) => continue,
                    Some(Err((kind, _))) => {
                        *errors.entry(kind).or_default() += 1;
                        Duration::from_secs(1)
                    }
                    // Its claims are held until its time would have been over.
                    None => {
                        *errors.entry("killed".to_owned()).or_default() += 1;
                        function = Function::start(&relay.url, topic, &settings).await;
                        processes.lock().unwrap().insert(worker, function.id());
                        Duration::from_millis(TIMEOUT + 2_500)
                    }
                };
                if left > 1 {
                    let from = Instant::now() + wait;
                    due.lock().unwrap().push_back(Due { number, left: left - 1, from });
                } else {
                    dead.lock().unwrap().insert(number);
                }
            }
        }
    });
    let mut errors: BTreeMap<String, usize> = BTreeMap::new();
    for one in join_all(workers.collect()).await {
        for (kind, count) in one {
            *errors.entry(kind).or_default() += count;
        }
    }
    killer.abort();

    // What was given up is replayed once the weather is fine.
    weather.bad.store(false, Ordering::SeqCst);
    let function = Function::start(&relay.url, &topic, &settings).await;
    let dead = dead.lock().unwrap().clone();
    for number in &dead {
        function.invoke_within(launch_number(*number), 30_000).await.unwrap();
    }
    let received = moto.received(&queue).await;
    let named: BTreeSet<usize> = received.iter().flat_map(|one| named(one, launches)).collect();
    let mut messages: BTreeMap<String, usize> = BTreeMap::new();
    for one in &received {
        *messages.entry(finding(one)["metadata"]["uid"].to_string()).or_default() += 1;
    }
    let repeats: usize = messages.values().map(|count| count - 1).sum();
    let count = |count: &AtomicUsize| count.load(Ordering::SeqCst);
    let (kills, lost) = (count(&kills), count(&weather.lost));
    println!(
        "{launches} launches in {:.0} s, seed {seed}: {} messages, {repeats} repeats; {kills} kills, {lost} lost answers \
         of Publish, {} failed calls, {} throttled; attempts that failed: {errors:?}; given up: {}",
        weather.begun.elapsed().as_secs_f64(),
        received.len(),
        count(&weather.failed),
        count(&weather.throttled),
        dead.len()
    );
    let missing: Vec<usize> = (0..launches).filter(|number| !named.contains(number)).collect();
    assert!(missing.is_empty(), "never named: {missing:?}");
    assert!(repeats <= kills + lost, "{repeats} repeats of {kills} kills and {lost} lost answers");
    assert!(kills > 3 && count(&weather.throttled) > 10, "the weather was too fine");
}

/// All of the launches are of one account and within an hour: their number is not what this is about.
const POLICY: &str = "notify: {minimum_severity: medium, storm: {after: 10000, window: 1h}}\n";

/// Runs them all at once, on this task.
async fn join_all<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, result) in &mut futures {
            if result.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *result = Some(value);
            }
        }
        match futures.iter().all(|(_, result)| result.is_some()) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    futures.into_iter().filter_map(|(_, result)| result).collect()
}
