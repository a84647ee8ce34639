//! A moto server: SNS, SQS, SSM, S3, ECR, EC2 and DynamoDB, emulated. Needs a Python that has moto:
//! `IMAGEWARDEN_PYTHON`, else `.venv/bin/python`.

use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{ACCOUNT, PATIENCE, sdk};

/// A stranger's public image, and one of the account's own.
pub const FOREIGN: &str = "ami-0f0e1d2c3b4a59687";
pub const OWN: &str = "ami-0a1b2c3d4e5f60718";

/// The emulator as one test sees it: give topics, buckets and parameters names of their own.
pub struct Moto {
    pub url: String,
    /// Of this test's own runtime.
    pub sdk: SdkConfig,
    _server: Arc<Server>,
}

/// Starting one takes seconds: tests that run at the same time share it, and the last one ends it.
static SERVER: Mutex<Weak<Server>> = Mutex::const_new(Weak::new());

struct Server {
    url: String,
    child: Child,
    _amis: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One image for moto to know.
fn ami(id: &str, owner: &str, name: &str, public: bool) -> Value {
    json!({
        "ami_id": id, "name": name, "owner_id": owner, "public": public,
        "creation_date": "2026-01-05T10:00:00.000Z", "description": name, "state": "available",
        "architecture": "x86_64", "virtualization_type": "hvm", "image_type": "machine",
        "image_location": format!("{owner}/{name}"), "hypervisor": "xen",
        "root_device_name": "/dev/xvda", "root_device_type": "ebs", "sriov": "simple", "platform": null,
    })
}

/// The Python with what the tests need.
pub fn python() -> String {
    std::env::var("IMAGEWARDEN_PYTHON")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/.venv/bin/python").to_owned())
}

impl Server {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("amis.json");
        let amis = [
            ami(FOREIGN, "210987654321", "ubuntu/images/hvm-ssd/free-tools", true),
            ami(OWN, ACCOUNT, "golden-2026-01", false),
        ];
        std::fs::write(&file, json!(amis).to_string()).unwrap();
        let python = python();
        // Free when asked; whoever takes it in between makes the server fail and the test say so.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(&python)
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
            .env("MOTO_AMIS_PATH", file)
            .env("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
            .env("MOTO_ACCOUNT_ID", ACCOUNT)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{python} does not start ({error}): see `make test`"));
        let mut server = Self { url: format!("http://127.0.0.1:{port}"), child, _amis: folder };
        let start = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(start.elapsed() < PATIENCE, "moto does not come up");
            let ended = server.child.try_wait().unwrap();
            assert!(ended.is_none(), "moto ended: does {python} have moto[server]?");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        server
    }
}

impl Moto {
    pub async fn start() -> Self {
        let mut shared = SERVER.lock().await;
        let server = match shared.upgrade() {
            Some(server) => server,
            None => Arc::new(Server::start().await),
        };
        *shared = Arc::downgrade(&server);
        Self { sdk: sdk(&server.url), url: server.url.clone(), _server: server }
    }

    /// A topic with a queue behind it; the topic's ARN and the queue's URL.
    pub async fn topic(&self, name: &str) -> (String, String) {
        let sns = aws_sdk_sns::Client::new(&self.sdk);
        let topic = sns.create_topic().name(name).send().await.unwrap().topic_arn.unwrap();
        let url = self.queue(name).await;
        let queue = format!("arn:aws:sqs:{}:{ACCOUNT}:{name}", super::REGION);
        sns.subscribe().topic_arn(&topic).protocol("sqs").endpoint(queue).send().await.unwrap();
        (topic, url)
    }

    /// An empty history; the table's name.
    pub async fn table(&self, name: &str) -> String {
        use aws_sdk_dynamodb::types::{
            AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
        };
        let attribute = AttributeDefinition::builder()
            .attribute_name("pk")
            .attribute_type(ScalarAttributeType::S)
            .build()
            .unwrap();
        let key = KeySchemaElement::builder().attribute_name("pk").key_type(KeyType::Hash).build().unwrap();
        aws_sdk_dynamodb::Client::new(&self.sdk)
            .create_table()
            .table_name(name)
            .attribute_definitions(attribute)
            .key_schema(key)
            .billing_mode(BillingMode::PayPerRequest)
            .send()
            .await
            .unwrap();
        name.to_owned()
    }

    pub async fn queue(&self, name: &str) -> String {
        let sqs = aws_sdk_sqs::Client::new(&self.sdk);
        sqs.create_queue().queue_name(name).send().await.unwrap().queue_url.unwrap()
    }

    /// Everything in a queue now, deleted from it.
    pub async fn drain(&self, url: &str) -> Vec<String> {
        let sqs = aws_sdk_sqs::Client::new(&self.sdk);
        let mut bodies = Vec::new();
        loop {
            let answer =
                sqs.receive_message().queue_url(url).max_number_of_messages(10).send().await.unwrap();
            let messages = answer.messages.unwrap_or_default();
            if messages.is_empty() {
                return bodies;
            }
            for message in messages {
                let receipt = message.receipt_handle.unwrap();
                sqs.delete_message().queue_url(url).receipt_handle(receipt).send().await.unwrap();
                bodies.push(message.body.unwrap());
            }
        }
    }

    /// The notifications that a topic's queue holds: what a subscriber receives.
    pub async fn received(&self, url: &str) -> Vec<Value> {
        let bodies = self.drain(url).await;
        bodies.iter().map(|body| serde_json::from_str(body).unwrap()).collect()
    }
}
