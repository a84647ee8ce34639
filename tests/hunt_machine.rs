//! The state machine of the template, run by moto, with the real function behind it.

mod support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use support::function::Function;
use support::hunting::{Buckets, archive, launched, log, relay};
use support::stub::{Request, Response};
use support::{ACCOUNT, REGION, sdk};
use tokio::net::TcpListener;

/// Step Functions, S3 and SNS as moto emulates them, in a process that runs state machines.
struct Cloud {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    url: String,
}

impl Drop for Cloud {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Cloud {
    fn start(callback: &str) -> Self {
        let mut child = Command::new(support::moto::python())
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/state_machine.py"))
            .args(["serve", callback])
            .env("AWS_REGION", REGION)
            .env("MOTO_ACCOUNT_ID", ACCOUNT)
            .env("no_proxy", "localhost,127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("run `make setup` first");
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut cloud = Self { child, input, output, url: String::new() };
        cloud.url = cloud.answer()["url"].as_str().unwrap().to_owned();
        cloud
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn run(&mut self, name: &str, values: Value, input: Value) -> Value {
        let template = concat!(env!("CARGO_MANIFEST_DIR"), "/template.yaml");
        let run = json!({"template": template, "values": values, "name": name, "input": input});
        writeln!(self.input, "{run}").unwrap();
        self.answer()
    }
}

/// What the state machine called the function with, and what may be answered in its place.
#[derive(Clone, Default)]
struct Calls {
    payloads: Arc<Mutex<Vec<Value>>>,
    /// The answer to the first summary.
    instead: Arc<Mutex<Option<Value>>>,
}

impl Calls {
    /// The payloads of one errand.
    fn of(&self, errand: &str) -> Vec<Value> {
        let payloads = self.payloads.lock().unwrap();
        payloads.iter().filter(|payload| payload["imagewarden"] == errand).cloned().collect()
    }

    /// Answers whoever calls as Lambda does.
    async fn serve(self, listener: TcpListener, function: Function) {
        let function = Arc::new(function);
        while let Ok((stream, _)) = listener.accept().await {
            let (function, calls) = (function.clone(), self.clone());
            tokio::spawn(async move {
                let mut stream = tokio::io::BufReader::new(stream);
                let Ok(Some(request)) = Request::read(&mut stream).await else { return };
                let payload: Value = serde_json::from_str(&request.body).unwrap();
                calls.payloads.lock().unwrap().push(payload.clone());
                let summary = payload["imagewarden"] == "hunt-summary";
                let instead = summary.then(|| calls.instead.lock().unwrap().take()).flatten();
                let answer = match instead {
                    Some(reply) => json!({"payload": reply}),
                    None => match function.invoke(payload).await {
                        Ok(reply) => json!({"payload": reply}),
                        Err((kind, message)) => {
                            json!({"error": {"errorType": kind, "errorMessage": message}})
                        }
                    },
                };
                Response::ok(answer.to_string()).write(&mut stream).await.unwrap();
            });
        }
    }
}

/// The objects of all batches.
fn handed(batches: &[Value]) -> BTreeSet<String> {
    let objects = batches.iter().flat_map(|batch| batch["objects"].as_array().unwrap());
    objects.map(|object| object["key"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_hunts_through_a_prefix_and_tries_failed_objects_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let callback = format!("http://{}", listener.local_addr().unwrap());
    let cloud = tokio::task::spawn_blocking(move || Cloud::start(&callback)).await.unwrap();
    let (url, cloud) = (cloud.url.clone(), Arc::new(Mutex::new(cloud)));
    let config = sdk(&url);
    let buckets = Buckets::make(&config, "machine").await;
    let (objects, logs) = archive();
    buckets.fill(&objects).await;
    buckets.put(&buckets.logs, "elsewhere/x.json.gz", log(&[launched(1)])).await;
    let sns = aws_sdk_sns::Client::new(&config);
    let topic = sns.create_topic().name("machine").send().await.unwrap().topic_arn.unwrap();
    let relay = relay(&url).await;
    let function = Function::start(&relay.url, &topic, &buckets.settings()).await;
    let calls = Calls::default();
    tokio::spawn(calls.clone().serve(listener, function));
    let values = json!({
        "HuntBucket": buckets.logs, "HuntResults": buckets.results, "HuntConcurrency": "2", "AWS::Partition": "aws",
        "HuntFunction.Arn": format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:hunt"),
    });
    let run = async |name: &'static str| {
        let (cloud, values) = (cloud.clone(), values.clone());
        let run = move || cloud.lock().unwrap().run(name, values, json!({"prefix": "AWSLogs/"}));
        let ended = tokio::task::spawn_blocking(run).await.unwrap();
        assert_eq!(ended["status"], "SUCCEEDED", "{ended}");
        let output: Value = serde_json::from_str(ended["output"].as_str().unwrap()).unwrap();
        output["told"]["summary"].clone()
    };

    let told = run("first").await;
    assert_eq!(
        (&told["told"], &told["failed"], &told["files"]),
        (&json!(true), &json!(0), &json!(logs)),
        "{told}"
    );
    let batches = calls.of("hunt");
    assert_eq!(handed(&batches), objects.keys().cloned().collect());
    assert_eq!(calls.of("hunt-summary").len(), 1, "one message");
    let found = buckets.found("first").await;
    assert_eq!(found.keys().filter(|name| name.starts_with("counts/")).count(), batches.len());

    // A batch has failed, as the summary finds: its objects go out again, and all is summed up once more.
    calls.payloads.lock().unwrap().clear();
    let failed: Vec<Value> =
        objects.iter().take(2).map(|(key, body)| json!({"key": key, "size": body.len()})).collect();
    buckets.put(&buckets.results, "hunts/second/failed.json", json!(failed).to_string()).await;
    *calls.instead.lock().unwrap() = Some(json!({"hunt_summary": {"failed": 1}}));
    let told = run("second").await;
    assert_eq!((&told["told"], &told["files"]), (&json!(true), &json!(logs)), "{told}");
    let again = calls.of("hunt").split_off(objects.len());
    assert_eq!(handed(&again), objects.keys().take(2).cloned().collect());
    let summaries = calls.of("hunt-summary");
    assert!(summaries[0]["manifest"].as_str().unwrap().ends_with("manifest.json"), "{summaries:?}");
    assert_eq!((summaries.len(), &summaries[1]["manifest"]), (2, &Value::Null));
}
