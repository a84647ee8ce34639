//! An HTTP/1.1 server that answers as a test says, and remembers what it was asked. For what the
//! emulator cannot do: errors, throttling, silence, and the runtime API with bytes that are no JSON.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// With its query.
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Request {
    /// The next request of a connection; nothing when it ends.
    pub async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Self>> {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let mut parts = line.split_whitespace();
        let (method, path) = (parts.next().unwrap().to_owned(), parts.next().unwrap().to_owned());
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            match line.trim_end().split_once(':') {
                Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.trim().to_owned()),
                None => break,
            };
        }
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        Ok(Some(Request { method, path, headers, body: String::from_utf8(body).unwrap() }))
    }

    /// The API's name, whatever protocol it speaks: `DescribeImages`.
    pub fn action(&self) -> &str {
        match self.headers.get("x-amz-target") {
            Some(target) => target.rsplit('.').next().unwrap(),
            None => self.body.split('&').find_map(|pair| pair.strip_prefix("Action=")).unwrap_or(&self.path),
        }
    }

    /// A parameter of a form: `Message`.
    pub fn form(&self, name: &str) -> Option<String> {
        let prefix = format!("{name}=");
        let value = self.body.split('&').find_map(|pair| pair.strip_prefix(&prefix))?;
        let mut bytes = Vec::new();
        let mut rest = value.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'+' => b' ',
                b'%' => {
                    let hex = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
                }
                other => other,
            });
        }
        Some(String::from_utf8(bytes).unwrap())
    }

    /// The access key that the request was signed with.
    pub fn access_key(&self) -> Option<&str> {
        self.headers.get("authorization")?.split_once("Credential=")?.1.split('/').next()
    }

    /// The region that the request was signed for.
    pub fn region(&self) -> Option<&str> {
        self.headers.get("authorization")?.split_once("Credential=")?.1.split('/').nth(2)
    }
}

#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub delay: Duration,
}

impl Response {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), delay: Duration::ZERO }
    }

    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, body)
    }

    /// No answer, ever.
    pub fn silence() -> Self {
        Self { delay: Duration::from_secs(3600), ..Self::ok("") }
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// How EC2 fails.
    /// What EC2 answers to `GetImageAncestry` about an image that is the first of its line.
    pub fn ancestry(request: &Request) -> Self {
        Self::ok(format!(
            "<GetImageAncestryResponse><imageAncestryEntrySet><item><imageId>{}</imageId>\
             <creationDate>2026-01-05T10:00:00.000Z</creationDate></item></imageAncestryEntrySet>\
             </GetImageAncestryResponse>",
            request.form("ImageId").unwrap_or_default()
        ))
    }

    pub fn ec2_error(status: u16, code: &str) -> Self {
        Self::new(
            status,
            format!(
                "<Response><Errors><Error><Code>{code}</Code><Message>about i-0123456789abcdef0</Message></Error>\
                 </Errors><RequestID>3f1c</RequestID></Response>"
            ),
        )
    }

    /// How SNS and STS fail.
    pub fn query_error(status: u16, code: &str) -> Self {
        Self::new(
            status,
            format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error>\
                 <RequestId>3f1c</RequestId></ErrorResponse>"
            ),
        )
    }

    /// How ECR, SSM and SQS fail.
    pub fn json_error(status: u16, code: &str) -> Self {
        Self::new(status, serde_json::json!({"__type": code, "message": "no"}).to_string())
            .header("x-amzn-errortype", code)
    }

    /// Sends it, after its delay.
    pub async fn write(&self, stream: &mut BufReader<TcpStream>) -> std::io::Result<()> {
        tokio::time::sleep(self.delay).await;
        let mut head = format!(
            "HTTP/1.1 {} Answer\r\nContent-Length: {}\r\nConnection: close\r\n",
            self.status,
            self.body.len()
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).await?;
        stream.write_all(&self.body).await?;
        stream.flush().await
    }

    /// How SNS takes a message.
    pub fn published() -> Self {
        Self::ok(
            "<PublishResponse><PublishResult><MessageId>m-1</MessageId></PublishResult>\
             <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></PublishResponse>",
        )
    }
}

pub struct Stub {
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Stub {
    pub async fn start(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (seen, answer) = (requests.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answer) = (seen.clone(), answer.clone());
                tokio::spawn(async move {
                    // A client that hangs up is no failure of the test.
                    let _ = serve(stream, &seen, answer.as_ref()).await;
                });
            }
        });
        Self { url, requests }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The requests of one API.
    pub fn asked(&self, action: &str) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.action() == action).collect()
    }
}

async fn serve(
    stream: TcpStream,
    seen: &Mutex<Vec<Request>>,
    answer: &(dyn Fn(&Request) -> Response + Send + Sync),
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let Some(request) = Request::read(&mut stream).await? else { return Ok(()) };
    let response = answer(&request);
    seen.lock().unwrap().push(request);
    response.write(&mut stream).await
}
