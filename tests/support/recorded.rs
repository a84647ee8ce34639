//! AWS as one test needs it: EC2 and ECR answer from the facts beside the samples, and everything else is
//! the emulator's, which knows no ancestry, no Allowed AMIs setting and no user data of chosen instances.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::stub::{Request, Response, Stub};

fn facts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("events/facts")
}

/// Starts it in front of an emulator.
pub async fn start(emulator: &str) -> Stub {
    let emulator = emulator.trim_start_matches("http://").to_owned();
    Stub::start(move |request| answer(request).unwrap_or_else(|| forward(&emulator, request))).await
}

/// The entry of a list in any of the facts' files.
fn entry(list: &str, key: &str, id: &str) -> Option<Value> {
    let files = std::fs::read_dir(facts()).unwrap().map(|file| file.unwrap().path());
    let documents =
        files.filter(|path| path.extension().is_some_and(|kind| kind == "json")).map(|path| read(&path));
    documents
        .filter_map(|document| document.get(list)?.as_array().cloned())
        .flatten()
        .find(|it| it[key] == id)
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn answer(request: &Request) -> Option<Response> {
    let action = request.action();
    let first = |name: &str| request.form(name).unwrap_or_default();
    let body = match action {
        "DescribeImages" => match entry("Images", "ImageId", &first("ImageId.1")) {
            Some(image) => format!("<imagesSet><item>{}</item></imagesSet>", image_xml(&image)),
            None => return Some(Response::ec2_error(400, "InvalidAMIID.NotFound")),
        },
        "DescribeInstanceImageMetadata" => {
            match entry("InstanceImageMetadata", "InstanceId", &first("InstanceId.1")) {
                Some(instance) => format!(
                    "<instanceImageMetadataSet><item>{}<imageMetadata>{}</imageMetadata></item>\
                     </instanceImageMetadataSet>",
                    element("instanceId", &instance["InstanceId"]),
                    image_xml(&instance["ImageMetadata"])
                ),
                None => return Some(Response::ec2_error(400, "InvalidInstanceID.NotFound")),
            }
        }
        "GetImageAncestry" => {
            format!("<imageAncestryEntrySet>{}</imageAncestryEntrySet>", ancestry(&first("ImageId")))
        }
        "DescribeSnapshots" => match entry("Snapshots", "SnapshotId", &first("SnapshotId.1")) {
            Some(snapshot) => format!(
                "<snapshotSet><item>{}{}</item></snapshotSet>",
                element("snapshotId", &snapshot["SnapshotId"]),
                element("ownerId", &snapshot["OwnerId"])
            ),
            None => return Some(Response::ec2_error(400, "InvalidSnapshot.NotFound")),
        },
        "GetAllowedImagesSettings" => allowed(request.region().unwrap_or_default()),
        "DescribeInstanceAttribute" => {
            let instance = first("InstanceId");
            let bytes = std::fs::read(facts().join("user-data").join(&instance)).ok();
            let value = bytes.map(|bytes| format!("<value>{}</value>", STANDARD.encode(bytes)));
            format!("<userData>{}</userData>", value.unwrap_or_default())
        }
        "DescribeLaunchTemplateVersions" => {
            return Some(Response::ec2_error(400, "InvalidLaunchTemplateId.NotFound"));
        }
        "DescribeImageScanFindings" => return Some(findings(&request.body)),
        _ => return None,
    };
    Some(Response::ok(format!("<{action}Response>{body}</{action}Response>")))
}

fn element(name: &str, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => format!("<{name}>{text}</{name}>"),
        other => format!("<{name}>{other}</{name}>"),
    }
}

fn image_xml(image: &Value) -> String {
    // An image, and an instance's metadata about one, name whether it is public differently.
    let public = if image["Public"].is_null() { &image["IsPublic"] } else { &image["Public"] };
    let mut xml: String = [
        ("imageId", &image["ImageId"]),
        ("name", &image["Name"]),
        ("imageOwnerAlias", &image["ImageOwnerAlias"]),
        ("imageState", &image["State"]),
        ("creationDate", &image["CreationDate"]),
        ("deprecationTime", &image["DeprecationTime"]),
        ("sourceImageId", &image["SourceImageId"]),
        ("sourceImageRegion", &image["SourceImageRegion"]),
        ("sourceInstanceId", &image["SourceInstanceId"]),
        ("isPublic", public),
        ("imageOwnerId", &image["OwnerId"]),
    ]
    .into_iter()
    .map(|(name, value)| element(name, value))
    .collect();
    let list = |key: &str| image[key].as_array().cloned().unwrap_or_default();
    let disks: String = list("BlockDeviceMappings")
        .iter()
        .map(|disk| format!("<item><ebs>{}</ebs></item>", element("snapshotId", &disk["Ebs"]["SnapshotId"])))
        .collect();
    let tags: String = list("Tags")
        .iter()
        .map(|tag| format!("<item>{}{}</item>", element("key", &tag["Key"]), element("value", &tag["Value"])))
        .collect();
    xml.push_str(&format!("<blockDeviceMapping>{disks}</blockDeviceMapping><tagSet>{tags}</tagSet>"));
    xml
}

fn ancestry(image: &str) -> String {
    let files = std::fs::read_dir(facts()).unwrap().map(|file| file.unwrap().path());
    let documents =
        files.filter(|path| path.extension().is_some_and(|kind| kind == "json")).map(|path| read(&path));
    let found = documents
        .into_iter()
        .find(|document| document["ImageId"] == image && document.get("ImageAncestryEntries").is_some());
    let entries = found.and_then(|document| document["ImageAncestryEntries"].as_array().cloned());
    let entry = |entry: &Value| {
        let fields = [
            ("creationDate", "CreationDate"),
            ("imageId", "ImageId"),
            ("imageOwnerAlias", "ImageOwnerAlias"),
            ("sourceImageId", "SourceImageId"),
            ("sourceImageRegion", "SourceImageRegion"),
        ];
        let xml: String = fields.iter().map(|(name, key)| element(name, &entry[*key])).collect();
        format!("<item>{xml}</item>")
    };
    entries.unwrap_or_default().iter().map(entry).collect()
}

fn allowed(region: &str) -> String {
    let regional = facts().join("regions").join(region).join("allowed-images.json");
    let setting = read(&if regional.exists() { regional } else { facts().join("allowed-images.json") });
    let criteria: String = setting["ImageCriteria"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|criterion| {
            let items = |key: &str| -> String {
                let names = criterion[key].as_array().into_iter().flatten();
                names.map(|name| element("item", name)).collect()
            };
            format!(
                "<item><imageProviderSet>{}</imageProviderSet><imageNameSet>{}</imageNameSet></item>",
                items("ImageProviders"),
                items("ImageNames")
            )
        })
        .collect();
    format!("{}<imageCriterionSet>{criteria}</imageCriterionSet>", element("state", &setting["State"]))
}

/// What ECR knows of a digest. Times go: the CLI prints them in words, the service in numbers.
fn findings(body: &str) -> Response {
    let asked: Value = serde_json::from_str(body).unwrap();
    let digest = &asked["imageId"]["imageDigest"];
    let files = std::fs::read_dir(facts()).unwrap().map(|file| file.unwrap().path());
    let documents =
        files.filter(|path| path.extension().is_some_and(|kind| kind == "json")).map(|path| read(&path));
    match documents.into_iter().find(|document| document["imageId"]["imageDigest"] == *digest) {
        Some(mut found) => {
            without_times(&mut found);
            Response::ok(found.to_string())
        }
        None => Response::json_error(400, "ScanNotFoundException"),
    }
}

fn without_times(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, _| !key.ends_with("At") && !key.ends_with("Date"));
            fields.values_mut().for_each(without_times);
        }
        Value::Array(items) => items.iter_mut().for_each(without_times),
        _ => {}
    }
}

/// Passes a request on as it came, and the answer back.
fn forward(emulator: &str, request: &Request) -> Response {
    let mut stream = std::net::TcpStream::connect(emulator).unwrap();
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.path);
    for (name, value) in &request.headers {
        if name != "connection" {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    head.push_str("connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(request.body.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("an HTTP answer");
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap().parse().unwrap();
    let mut response = Response::new(status, answer[end + 4..].to_vec());
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        if !["content-length", "connection", "transfer-encoding"]
            .contains(&name.to_ascii_lowercase().as_str())
        {
            response = response.header(name, value);
        }
    }
    response
}
