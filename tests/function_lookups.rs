//! The real function where AWS refuses, stalls or throttles, and what exactly it hands to SNS.

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::events::{launch, launch_in, sqs};
use support::function::Function;
use support::stub::{Request, Response, Stub};
use support::{ACCOUNT, TOPIC, assert_sns_rules};

const IMAGE: &str = "ami-0f0e1d2c3b4a59687";

fn image(id: &str, owner: &str) -> Response {
    Response::ok(format!(
        "<DescribeImagesResponse><imagesSet><item><imageId>{id}</imageId><imageOwnerId>{owner}</imageOwnerId>\
         <name>ubuntu-24.04</name><isPublic>true</isPublic><imageState>available</imageState>\
         <creationDate>2026-01-05T10:00:00.000Z</creationDate></item></imagesSet></DescribeImagesResponse>"
    ))
}

fn allowed(state: &str, provider: &str) -> Response {
    Response::ok(format!(
        "<GetAllowedImagesSettingsResponse><state>{state}</state><imageCriterionSet><item><imageProviderSet>\
         <item>{provider}</item></imageProviderSet></item></imageCriterionSet></GetAllowedImagesSettingsResponse>"
    ))
}

/// Publishes are taken; everything else is the test's.
async fn stub(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Stub {
    Stub::start(move |request| match request.action() {
        "Publish" => Response::published(),
        _ => answer(request),
    })
    .await
}

/// What was published, by protocol, having passed SNS's rules.
fn published(stub: &Stub) -> Vec<Value> {
    stub.asked("Publish")
        .iter()
        .map(|request| {
            assert_eq!(request.form("TopicArn").as_deref(), Some(TOPIC));
            assert_eq!(request.form("MessageStructure").as_deref(), Some("json"));
            let attributes: usize = (1..=10)
                .map(|entry| {
                    let of = |name: &str| {
                        let value = request.form(&format!("MessageAttributes.entry.{entry}.{name}"));
                        value.map_or(0, |value| {
                            assert!(!value.is_empty(), "SNS refuses empty attributes");
                            value.len()
                        })
                    };
                    of("Name") + of("Value.DataType") + of("Value.StringValue")
                })
                .sum();
            let (subject, message) = (request.form("Subject").unwrap(), request.form("Message").unwrap());
            assert_sns_rules(&subject, &message, attributes)
        })
        .collect()
}

fn finding(body: &Value) -> Value {
    serde_json::from_str(body["default"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_message_keeps_every_rule_of_sns_and_says_it_in_every_protocol() {
    let stub = stub(|request| match request.action() {
        "DescribeImages" => image(IMAGE, "210987654321"),
        _ => allowed("disabled", "none"),
    })
    .await;
    let function = Function::start(&stub.url, TOPIC, &[]).await;
    assert_eq!(function.invoke(launch(IMAGE)).await.unwrap()["published"], 1);
    let body = published(&stub).remove(0);
    for protocol in ["default", "email", "https", "sms"] {
        assert!(body[protocol].as_str().unwrap().contains("210987654321") || protocol == "sms", "{protocol}");
    }
    let chat: Value = serde_json::from_str(body["https"].as_str().unwrap()).unwrap();
    assert_eq!((&chat["version"], &chat["source"]), (&json!("1.0"), &json!("custom")));
}

#[tokio::test]
async fn https_subscribers_get_the_finding_where_that_is_asked_for() {
    let stub = stub(|_| image(IMAGE, "210987654321")).await;
    let function = Function::start(&stub.url, TOPIC, &[("HTTPS_BODY", "ocsf")]).await;
    function.invoke(launch(IMAGE)).await.unwrap();
    let body = published(&stub).remove(0);
    assert_eq!(body["https"], body["default"]);
}

/// Silence would mean clean: that nothing could be looked up is an alert of its own.
#[tokio::test]
async fn a_denied_look_up_is_told_not_passed() {
    let stub = stub(|_| Response::ec2_error(403, "UnauthorizedOperation")).await;
    let function = Function::start(&stub.url, TOPIC, &[]).await;
    let reply = function.invoke(launch(IMAGE)).await.unwrap();
    assert_eq!(reply["published"], 1, "{reply}");
    let finding = finding(&published(&stub)[0]);
    assert_eq!(finding["finding_info"]["analytic"]["uid"], "machine-image-not-approved");
    assert_eq!(finding["severity"], "Medium");
    assert!(finding.to_string().contains("access denied"), "{finding}");
    assert!(function.metric("UnavailableLookups") >= 1.0);
}

#[tokio::test]
async fn another_accounts_launch_is_judged_with_its_role_or_said_to_be_unseen() {
    let answer = |request: &Request| match request.action() {
        "AssumeRole" => Response::ok(
            "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>AKIDMEMBER</AccessKeyId>\
             <SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
             <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>",
        ),
        // Visible to the member account alone, and its own.
        "DescribeImages" if request.access_key() == Some("AKIDMEMBER") => image(IMAGE, "444455556666"),
        "GetImageAncestry" if request.access_key() == Some("AKIDMEMBER") => Response::ancestry(request),
        _ => Response::ec2_error(400, "InvalidAMIID.NotFound"),
    };
    let with_role = stub(answer).await;
    let settings = [("LOOKUP_ROLE_NAME", "lookup"), ("LOOKUP_ACCOUNTS", "444455556666")];
    let function = Function::start(&with_role.url, TOPIC, &settings).await;
    let reply = function.invoke(launch_in("444455556666", IMAGE)).await.unwrap();
    assert_eq!(reply["alerts"], 0, "{reply}");
    assert_eq!(with_role.asked("AssumeRole").len(), 1);
    // Whoever may forge an event names the account in it: nothing is asked there, and that is said.
    function.invoke(launch_in("999900001111", IMAGE)).await.unwrap();
    assert!(finding(&published(&with_role)[0]).to_string().contains("LOOKUP_ACCOUNTS"));
    assert_eq!(with_role.asked("AssumeRole").len(), 1);
    let without = stub(answer).await;
    let function = Function::start(&without.url, TOPIC, &[]).await;
    function.invoke(launch_in("444455556666", IMAGE)).await.unwrap();
    let finding = finding(&published(&without)[0]);
    assert!(finding.to_string().contains("LOOKUP_ROLE_NAME"), "{finding}");
}

/// `DescribeImages` hides what is gone, private or not allowed; the instance's own record does not.
#[tokio::test]
async fn a_deregistered_image_is_known_by_its_instance() {
    let stub = stub(|request| match request.action() {
        "DescribeImages" => Response::ok("<DescribeImagesResponse><imagesSet/></DescribeImagesResponse>"),
        "DescribeInstanceImageMetadata" => Response::ok(format!(
            "<DescribeInstanceImageMetadataResponse><instanceImageMetadataSet><item>\
             <instanceId>i-0e9251f53d2fc69ad</instanceId><imageMetadata><imageId>{IMAGE}</imageId>\
             <imageOwnerId>210987654321</imageOwnerId><imageState>deregistered</imageState></imageMetadata>\
             </item></instanceImageMetadataSet></DescribeInstanceImageMetadataResponse>"
        )),
        _ => allowed("disabled", "none"),
    })
    .await;
    let function = Function::start(&stub.url, TOPIC, &[]).await;
    function.invoke(launch(IMAGE)).await.unwrap();
    let finding = finding(&published(&stub)[0]);
    assert_eq!(finding["severity"], "High");
    assert!(finding.to_string().contains("210987654321"));
}

#[tokio::test]
async fn the_accounts_own_setting_is_a_second_catalog() {
    for (state, alerts) in [("enabled", 0), ("audit-mode", 0), ("disabled", 1)] {
        let stub = stub(move |request| match request.action() {
            "DescribeImages" => image(IMAGE, "210987654321"),
            _ => allowed(state, "210987654321"),
        })
        .await;
        let function = Function::start(&stub.url, TOPIC, &[]).await;
        let reply = function.invoke(launch(IMAGE)).await.unwrap();
        assert_eq!(reply["alerts"], alerts, "{state}: {reply}");
    }
}

/// What AWS never answers is told within the function's time, not lost with it. It fails all the same: the platform
/// tries again.
#[tokio::test]
async fn silence_is_told_before_the_time_is_up() {
    let stub = stub(|_| Response::silence()).await;
    let function = Function::start(&stub.url, TOPIC, &[]).await;
    let start = Instant::now();
    let (kind, message) = function.invoke_within(launch(IMAGE), 9_000).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(9), "{:?}", start.elapsed());
    assert_eq!(kind, "LookupFailed", "{message}");
    assert!(finding(&published(&stub)[0]).to_string().contains("out of time"));
}

/// Of a batch that there is no time for, everything goes back; the first is told all the same.
#[tokio::test]
async fn what_there_is_no_time_for_goes_back() {
    let stub = stub(|_| Response::silence()).await;
    let function = Function::start(&stub.url, TOPIC, &[]).await;
    let bodies = [launch(IMAGE).to_string(), launch("ami-0a1b2c3d4e5f60718").to_string()];
    let reply = function.invoke_within(sqs(&bodies), 9_000).await.unwrap();
    assert_eq!(reply["published"], 1, "{reply}");
    assert_eq!(reply["batchItemFailures"], json!([{"itemIdentifier": "m-0"}, {"itemIdentifier": "m-1"}]));
}

#[tokio::test]
async fn sns_failing_is_the_invocations_failure() {
    for (error, word) in [("AuthorizationError", "access denied"), ("KMSAccessDenied", "access denied")] {
        let stub = Stub::start(move |request| match request.action() {
            "Publish" => Response::query_error(403, error),
            _ => image(IMAGE, "210987654321"),
        })
        .await;
        let function = Function::start(&stub.url, TOPIC, &[]).await;
        let (kind, message) = function.invoke(launch(IMAGE)).await.unwrap_err();
        assert_eq!(kind, "NotPublished");
        assert!(message.contains(word) && message.contains(TOPIC), "{message}");
        // The next delivery of the event is judged and published as if nothing had happened before.
        assert_eq!(function.output().iter().filter(|line| line["message"] == "alert published").count(), 0);
    }
}

#[tokio::test]
async fn a_warm_function_asks_once_about_the_same_image() {
    let stub = stub(|request| match request.action() {
        "DescribeImages" => image(IMAGE, ACCOUNT),
        "GetImageAncestry" => Response::ancestry(request),
        _ => Response::ec2_error(400, "InvalidAMIID.NotFound"),
    })
    .await;
    let function = Function::start(&stub.url, TOPIC, &[]).await;
    for _ in 0..3 {
        assert_eq!(function.invoke(launch(IMAGE)).await.unwrap()["alerts"], 0);
    }
    assert_eq!(stub.asked("DescribeImages").len(), 1);
}

/// Every sample event is dealt with: no error, no panic, and what is published keeps SNS's rules.
#[tokio::test]
async fn every_sample_event_is_dealt_with() {
    let stub = stub(|request| match request.headers.contains_key("x-amz-target") {
        true => Response::json_error(400, "ScanNotFoundException"),
        false => Response::ec2_error(403, "UnauthorizedOperation"),
    })
    .await;
    let mut function = Function::start(&stub.url, TOPIC, &[]).await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/events");
    let mut alerts = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let event: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let reply = function.invoke(event).await;
        let reply = reply.unwrap_or_else(|error| panic!("{}: {error:?}", path.display()));
        assert_eq!(reply["unreadable"], 0, "{}", path.display());
        alerts += reply["published"].as_u64().unwrap();
    }
    assert!(alerts > 0 && function.alive());
    assert_eq!(u64::try_from(published(&stub).len()).unwrap(), alerts);
}
