//! What AWS is asked, and what its answers and refusals become.

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use imagewarden::activity::TemplateRef;
use imagewarden::lookup::aws::{AwsLookup, LookupAccounts, LookupRole};
use imagewarden::lookup::{Cause, Fact, FactKey, FactValue, Lookup, Missing, Scope, UserDataOf};
use serde_json::json;
use support::stub::{Request, Response, Stub};
use support::{ACCOUNT, REGION, sdk};
use tokio::time::Instant;

fn scope_in(account: &str) -> Scope {
    Scope { account: account.to_owned(), region: REGION.to_owned() }
}

fn scope() -> Scope {
    scope_in(ACCOUNT)
}

fn image(id: &str) -> FactKey {
    FactKey::Image { scope: scope(), image: id.to_owned() }
}

fn found(id: &str, owner: &str) -> String {
    format!(
        "<DescribeImagesResponse><imagesSet><item><imageId>{id}</imageId><imageOwnerId>{owner}</imageOwnerId>\
         <isPublic>true</isPublic><imageState>available</imageState><name>n</name>\
         <creationDate>2026-01-05T10:00:00.000Z</creationDate><sourceImageId>ami-0a</sourceImageId>\
         <blockDeviceMapping><item><ebs><snapshotId>snap-1</snapshotId></ebs></item></blockDeviceMapping>\
         <tagSet><item><key>k</key><value>v</value></item></tagSet>\
         </item></imagesSet></DescribeImagesResponse>"
    )
}

/// A role for one other account.
fn role(name: &str) -> Option<LookupRole> {
    let accounts = LookupAccounts::These(BTreeSet::from(["444455556666".to_owned()]));
    Some(LookupRole { name: name.to_owned(), accounts })
}

async fn ask(stub: &Stub, key: FactKey) -> Fact {
    let lookup = AwsLookup::new(sdk(&stub.url), ACCOUNT.to_owned(), None);
    one(&lookup, key).await
}

async fn one(lookup: &AwsLookup, key: FactKey) -> Fact {
    let mut facts = lookup.fetch(&[key]).await;
    assert_eq!(facts.len(), 1);
    facts.remove(0).1
}

#[tokio::test]
async fn an_image_comes_with_owner_source_snapshots_and_tags() {
    let stub = Stub::start(|_| Response::ok(found("ami-01", "210987654321"))).await;
    let Fact::Known(FactValue::Image(image)) = ask(&stub, image("ami-01")).await else { panic!() };
    assert_eq!(image.owner_id.as_deref(), Some("210987654321"));
    assert_eq!(image.source_image_id.as_deref(), Some("ami-0a"));
    assert_eq!(image.snapshots, ["snap-1"]);
    assert_eq!(image.tags, [("k".to_owned(), "v".to_owned())]);
    assert_eq!(image.public, Some(true));
    assert!(image.created().is_some());
    let request = stub.requests().remove(0);
    assert_eq!(request.form("ImageId.1").as_deref(), Some("ami-01"));
    assert_eq!(request.form("IncludeDeprecated").as_deref(), Some("true"));
    assert_eq!(request.region(), Some(REGION));
}

#[tokio::test]
async fn a_missing_image_is_absent_however_ec2_says_so() {
    let empty = "<DescribeImagesResponse><imagesSet/></DescribeImagesResponse>";
    for answer in [
        Response::ok(empty),
        Response::ec2_error(400, "InvalidAMIID.NotFound"),
        Response::ec2_error(400, "InvalidAMIID.Unavailable"),
    ] {
        let stub = Stub::start(move |_| answer.clone()).await;
        assert_eq!(ask(&stub, image("ami-01")).await, Fact::Absent);
    }
}

/// The reason is a thread's name in alerts: an id in it would open a thread an event.
#[tokio::test]
async fn a_refusal_is_unavailable_with_a_reason_that_holds_no_ids() {
    for (answer, reason) in [
        (Response::ec2_error(403, "UnauthorizedOperation"), "access denied"),
        (Response::ec2_error(401, "AuthFailure"), "no valid credentials"),
        (Response::ec2_error(400, "InvalidParameterValue"), "failed with InvalidParameterValue"),
        (Response::new(400, "<html>oh</html>"), "failed with "),
    ] {
        let stub = Stub::start(move |_| answer.clone()).await;
        let Fact::Unavailable(Missing { reason: text, .. }) = ask(&stub, image("ami-01")).await else {
            panic!("{reason}")
        };
        assert!(text.starts_with(reason), "{text}");
        assert!(!text.contains("i-0123") && !text.contains("ami-"), "{text}");
    }
}

#[tokio::test]
async fn throttling_is_waited_out() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let stub = Stub::start(move |_| {
        if count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 2 {
            Response::ec2_error(503, "RequestLimitExceeded")
        } else {
            Response::ok(found("ami-01", ACCOUNT))
        }
    })
    .await;
    let mut retrying = sdk(&stub.url).into_builder();
    retrying.set_retry_config(Some(
        aws_config::retry::RetryConfig::standard()
            .with_max_attempts(4)
            .with_initial_backoff(Duration::from_millis(10)),
    ));
    let lookup = AwsLookup::new(retrying.build(), ACCOUNT.to_owned(), None);
    assert!(matches!(one(&lookup, image("ami-01")).await, Fact::Known(_)));
    assert_eq!(stub.requests().len(), 3);
}

#[tokio::test]
async fn endless_throttling_and_a_dead_endpoint_are_told_apart() {
    let stub = Stub::start(|_| Response::ec2_error(503, "RequestLimitExceeded")).await;
    let Fact::Unavailable(Missing { reason, .. }) = ask(&stub, image("ami-01")).await else { panic!() };
    assert!(reason.starts_with("throttled"), "{reason}");
    let lookup = AwsLookup::new(sdk("http://127.0.0.1:9"), ACCOUNT.to_owned(), None);
    assert_eq!(
        one(&lookup, image("ami-01")).await,
        Fact::Unavailable(Missing::new(Cause::Failing, "no connection"))
    );
}

#[tokio::test]
async fn silence_ends_with_the_time_limit_and_the_other_answers_count() {
    let stub = Stub::start(|request| match request.form("ImageId.1").as_deref() {
        Some("ami-01") => Response::silence(),
        _ => Response::ok(found("ami-02", ACCOUNT)),
    })
    .await;
    let lookup = AwsLookup::new(sdk(&stub.url), ACCOUNT.to_owned(), None);
    let start = Instant::now();
    let bounded = lookup.until(start + Duration::from_millis(500));
    let facts = bounded.fetch(&[image("ami-01"), image("ami-02")]).await;
    assert!(start.elapsed() < Duration::from_secs(5));
    let of = |id| facts.iter().find(|(key, _)| *key == image(id)).map(|(_, fact)| fact.clone());
    assert_eq!(of("ami-01"), Some(Fact::Unavailable(Missing::new(Cause::OutOfTime, "out of time"))));
    assert!(matches!(of("ami-02"), Some(Fact::Known(_))));
}

#[tokio::test]
async fn what_is_known_is_asked_once() {
    let stub = Stub::start(|_| Response::ok(found("ami-01", ACCOUNT))).await;
    let lookup = AwsLookup::new(sdk(&stub.url), ACCOUNT.to_owned(), None);
    for _ in 0..3 {
        assert!(matches!(one(&lookup, image("ami-01")).await, Fact::Known(_)));
    }
    assert_eq!(stub.requests().len(), 1);
}

fn assumed() -> Response {
    Response::ok(
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>AKIDMEMBER</AccessKeyId>\
         <SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
         <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>",
    )
}

#[tokio::test]
async fn another_accounts_facts_are_asked_with_its_role_assumed_once() {
    let stub = Stub::start(|request| match request.action() {
        "AssumeRole" => assumed(),
        "DescribeImages" => Response::ok(found(&request.form("ImageId.1").unwrap(), "210987654321")),
        _ => Response::json_error(400, "ScanNotFoundException"),
    })
    .await;
    let lookup = AwsLookup::new(sdk(&stub.url), ACCOUNT.to_owned(), role("audit/lookup"));
    let scope = scope_in("444455556666");
    let keys = [
        FactKey::Image { scope: scope.clone(), image: "ami-01".to_owned() },
        FactKey::Image { scope: scope.clone(), image: "ami-02".to_owned() },
        FactKey::ScanFindings {
            scope,
            registry: "444455556666".to_owned(),
            repository: "team/app".to_owned(),
            digest: "sha256:00".to_owned(),
        },
    ];
    assert!(lookup.fetch(&keys).await.iter().all(|(_, fact)| !matches!(fact, Fact::Unavailable(_))));
    let roles = stub.asked("AssumeRole");
    assert_eq!(roles.len(), 1);
    assert_eq!(
        roles[0].form("RoleArn").as_deref(),
        Some("arn:aws:iam::444455556666:role/audit/lookup"),
        "the partition is the region's"
    );
    assert!(stub.asked("DescribeImages").iter().all(|request| request.access_key() == Some("AKIDMEMBER")));
}

#[tokio::test]
async fn a_role_in_china_has_a_chinese_arn() {
    let stub = Stub::start(|request| match request.action() {
        "AssumeRole" => assumed(),
        _ => Response::ok(found("ami-01", ACCOUNT)),
    })
    .await;
    let lookup = AwsLookup::new(sdk(&stub.url), ACCOUNT.to_owned(), role("lookup"));
    let scope = Scope { account: "444455556666".to_owned(), region: "cn-north-1".to_owned() };
    one(&lookup, FactKey::Image { scope, image: "ami-01".to_owned() }).await;
    let role = stub.asked("AssumeRole").remove(0).form("RoleArn").unwrap();
    assert_eq!(role, "arn:aws-cn:iam::444455556666:role/lookup");
}

#[tokio::test]
async fn a_role_that_cannot_be_assumed_is_the_reason_given() {
    let stub = Stub::start(|_| Response::query_error(403, "AccessDenied")).await;
    let lookup = AwsLookup::new(sdk(&stub.url), ACCOUNT.to_owned(), role("lookup"));
    let key = FactKey::AllowedImages { scope: scope_in("444455556666") };
    let Fact::Unavailable(Missing { reason, .. }) = one(&lookup, key).await else { panic!() };
    assert_eq!(
        reason,
        "the role of LOOKUP_ROLE_NAME cannot be assumed in the event's account (access denied)"
    );
}

/// Whoever may forge an event names the account in it.
#[tokio::test]
async fn the_role_is_assumed_in_no_account_that_is_not_named() {
    let stub = Stub::start(|_| assumed()).await;
    let lookup = AwsLookup::new(sdk(&stub.url), ACCOUNT.to_owned(), role("lookup"));
    let key = FactKey::AllowedImages { scope: scope_in("999900001111") };
    let Fact::Unavailable(Missing { cause, reason }) = one(&lookup, key).await else { panic!() };
    assert_eq!(cause, Cause::Other);
    assert!(reason.contains("LOOKUP_ACCOUNTS"), "{reason}");
    assert_eq!(stub.requests().len(), 0);
}

#[tokio::test]
async fn where_nothing_can_be_asked_nothing_is() {
    let stub = Stub::start(|_| Response::ok("")).await;
    let foreign = FactKey::AllowedImages { scope: scope_in("444455556666") };
    let Fact::Unavailable(Missing { reason, .. }) = ask(&stub, foreign).await else { panic!() };
    assert!(reason.contains("LOOKUP_ROLE_NAME"), "{reason}");
    for region in ["", "evil.example/", "eu-central-1.evil.example"] {
        let scope = Scope { account: ACCOUNT.to_owned(), region: region.to_owned() };
        let Fact::Unavailable(Missing { reason, .. }) = ask(&stub, FactKey::AllowedImages { scope }).await
        else {
            panic!()
        };
        assert!(reason.contains("region"), "{reason}");
    }
    assert_eq!(stub.requests().len(), 0);
}

#[tokio::test]
async fn the_other_facts_of_ec2() {
    let stub = Stub::start(|request| {
        let content = match request.action() {
        "DescribeInstanceImageMetadata" =>
            "<instanceImageMetadataSet><item><instanceId>i-01</instanceId><imageMetadata><imageId>ami-01\
             </imageId><imageOwnerId>210987654321</imageOwnerId><isPublic>false</isPublic>\
             <imageState>deregistered</imageState></imageMetadata></item></instanceImageMetadataSet>",
        "GetImageAncestry" =>
            "<imageAncestryEntrySet><item><imageId>ami-01</imageId><sourceImageId>ami-00</sourceImageId>\
             <sourceImageRegion>us-east-1</sourceImageRegion><creationDate>2026-01-05T10:00:00.000Z\
             </creationDate></item><item><imageId>ami-00</imageId></item></imageAncestryEntrySet>",
        "DescribeSnapshots" =>
            "<snapshotSet><item><snapshotId>snap-01</snapshotId><ownerId>210987654321</ownerId></item>\
             </snapshotSet>",
        "GetAllowedImagesSettings" =>
            "<state>audit-mode</state><managedBy>account</managedBy><imageCriterionSet><item>\
             <imageProviderSet><item>amazon</item></imageProviderSet><creationDateCondition>\
             <maximumDaysSinceCreated>300</maximumDaysSinceCreated></creationDateCondition></item>\
             </imageCriterionSet>",
        "DescribeLaunchTemplateVersions" =>
            "<launchTemplateVersionSet><item><launchTemplateId>lt-01</launchTemplateId>\
             <versionNumber>7</versionNumber><launchTemplateData><imageId>ami-01</imageId></launchTemplateData>\
             </item></launchTemplateVersionSet>",
        "DescribeInstances" =>
            "<reservationSet><item><instancesSet><item><instanceId>i-01</instanceId><imageId>ami-01\
             </imageId><clientToken>token</clientToken></item></instancesSet></item></reservationSet>",
        other => panic!("{other}"),
        };
        Response::ok(format!("<{0}Response>{content}</{0}Response>", request.action()))
    })
    .await;
    let lookup = AwsLookup::new(sdk(&stub.url), ACCOUNT.to_owned(), None);
    let image = "ami-01".to_owned();
    let template =
        TemplateRef { id: Some("lt-01".to_owned()), name: None, version: Some("$Latest".to_owned()) };

    let key = FactKey::InstanceImage { scope: scope(), instance: "i-01".to_owned() };
    let Fact::Known(FactValue::Image(fact)) = one(&lookup, key).await else { panic!() };
    assert_eq!((fact.owner_id.as_deref(), fact.public), (Some("210987654321"), Some(false)));

    let key = FactKey::Ancestry { scope: scope(), image };
    let Fact::Known(FactValue::Ancestry(entries)) = one(&lookup, key).await else { panic!() };
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0].source_image_region.as_deref(), Some("us-east-1"));

    let key = FactKey::Snapshot { scope: scope(), snapshot: "snap-01".to_owned() };
    let Fact::Known(FactValue::Snapshot(fact)) = one(&lookup, key).await else { panic!() };
    assert_eq!(fact.owner_id.as_deref(), Some("210987654321"));

    let key = FactKey::AllowedImages { scope: scope() };
    let Fact::Known(FactValue::AllowedImages(fact)) = one(&lookup, key).await else { panic!() };
    assert_eq!(fact.state.as_deref(), Some("audit-mode"));
    assert_eq!(fact.image_criteria[0].image_providers, ["amazon"]);
    assert_eq!(fact.image_criteria[0].creation_date_condition.unwrap().days, Some(300));

    let key = FactKey::Template { scope: scope(), template };
    let Fact::Known(FactValue::Template(fact)) = one(&lookup, key).await else { panic!() };
    assert_eq!((fact.version, fact.image_id.as_deref()), (Some(7), Some("ami-01")));
    let asked: Request = stub.asked("DescribeLaunchTemplateVersions").remove(0);
    assert_eq!(asked.form("LaunchTemplateVersion.1").as_deref(), Some("$Latest"));
    assert_eq!(asked.form("ResolveAlias").as_deref(), Some("true"));

    let key = FactKey::Launched { scope: scope(), client_token: "token".to_owned() };
    let Fact::Known(FactValue::Instances(fact)) = one(&lookup, key).await else { panic!() };
    assert_eq!(fact[0].image_id.as_deref(), Some("ami-01"));
    assert_eq!(stub.asked("DescribeInstances")[0].form("Filter.1.Name").as_deref(), Some("client-token"));
}

#[tokio::test]
async fn user_data_is_read_where_it_lies() {
    let stub = Stub::start(|request| {
        let action = request.action();
        let content = match action {
            "DescribeInstanceAttribute" if request.form("InstanceId").as_deref() == Some("i-none") => {
                "<instanceId>i-none</instanceId><userData/>"
            }
            "DescribeInstanceAttribute" => {
                assert_eq!(request.form("Attribute").as_deref(), Some("userData"));
                "<instanceId>i-01</instanceId><userData><value>IyEvYmluL3No</value></userData>"
            }
            "DescribeLaunchTemplateVersions" => {
                "<launchTemplateVersionSet><item><launchTemplateData><userData>dGVtcGxhdGU=</userData>\
                 </launchTemplateData></item></launchTemplateVersionSet>"
            }
            "DescribeLaunchConfigurations" => {
                "<DescribeLaunchConfigurationsResult><LaunchConfigurations><member><LaunchConfigurationName>old\
                 </LaunchConfigurationName><UserData>b2xk</UserData></member></LaunchConfigurations>\
                 </DescribeLaunchConfigurationsResult>"
            }
            other => panic!("{other}"),
        };
        Response::ok(format!("<{action}Response>{content}</{action}Response>"))
    })
    .await;
    let template = TemplateRef { id: Some("lt-01".to_owned()), name: None, version: Some("7".to_owned()) };
    for (of, expected) in [
        (UserDataOf::Instance("i-01".to_owned()), Some("IyEvYmluL3No")),
        (UserDataOf::Instance("i-none".to_owned()), Some("")),
        (UserDataOf::Template(template), Some("dGVtcGxhdGU=")),
        (UserDataOf::Configuration("old".to_owned()), Some("b2xk")),
        (UserDataOf::Configuration("other".to_owned()), None),
    ] {
        let fact = ask(&stub, FactKey::UserData { scope: scope(), of }).await;
        let expected =
            expected.map_or(Fact::Absent, |text| Fact::Known(FactValue::UserData(text.as_bytes().to_vec())));
        assert_eq!(fact, expected);
    }
    let gone = Stub::start(|_| Response::ec2_error(400, "InvalidInstanceID.NotFound")).await;
    let of = UserDataOf::Instance("i-01".to_owned());
    assert_eq!(ask(&gone, FactKey::UserData { scope: scope(), of }).await, Fact::Absent);
}

fn scan_key() -> FactKey {
    FactKey::ScanFindings {
        scope: scope(),
        registry: ACCOUNT.to_owned(),
        repository: "team/app".to_owned(),
        digest: "sha256:cd".to_owned(),
    }
}

#[tokio::test]
async fn findings_are_read_by_digest_page_after_page_most_severe_first() {
    let stub = Stub::start(|request| {
        let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(body["imageId"], json!({"imageDigest": "sha256:cd"}));
        let second = body.get("nextToken").is_some();
        let finding = if second {
            json!({"findings": [{"name": "CVE-2", "severity": "CRITICAL", "attributes": [
                {"key": "package_name", "value": "openssl"}, {"key": "package_version", "value": "3.0"}]}]})
        } else {
            json!({"findingSeverityCounts": {"CRITICAL": 1, "LOW": 1, "TOTAL": 2}, "enhancedFindings": [
                {"severity": "LOW", "status": "ACTIVE", "exploitAvailable": "YES",
                 "packageVulnerabilityDetails": {"vulnerabilityId": "CVE-1", "vulnerablePackages": [
                    {"name": "zlib", "version": "1", "fixedInVersion": "2"}]}}]})
        };
        let mut answer = json!({"imageScanStatus": {"status": "COMPLETE"}, "imageScanFindings": finding});
        if !second {
            answer["nextToken"] = json!("more");
        }
        Response::ok(answer.to_string())
    })
    .await;
    let Fact::Known(FactValue::Scan(report)) = ask(&stub, scan_key()).await else { panic!() };
    assert_eq!(report.status.as_deref(), Some("COMPLETE"));
    assert_eq!(
        report.counts.into_iter().collect::<Vec<_>>(),
        [("CRITICAL".to_owned(), 1), ("LOW".to_owned(), 1)]
    );
    let names: Vec<_> = report.findings.iter().map(|finding| finding.name.as_str()).collect();
    assert_eq!(names, ["CVE-2", "CVE-1"]);
    assert_eq!(report.findings[0].package.as_deref(), Some("openssl"));
    assert_eq!(report.findings[1].fixed_in.as_deref(), Some("2"));
    assert_eq!(report.findings[1].exploit_available, Some(true));
    assert!(!report.truncated);
}

#[tokio::test]
async fn endless_pages_are_cut_and_that_is_said() {
    let stub = Stub::start(|request| {
        let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
        let page = body["nextToken"].as_str().map_or(0, |page| page.parse().unwrap());
        Response::ok(
            json!({"nextToken": (page + 1).to_string(), "imageScanFindings": {"findings": []}}).to_string(),
        )
    })
    .await;
    let Fact::Known(FactValue::Scan(report)) = ask(&stub, scan_key()).await else { panic!() };
    assert!(report.truncated);
    assert!(stub.requests().len() <= 6, "{}", stub.requests().len());
}

#[tokio::test]
async fn an_image_never_scanned_is_absent() {
    let stub = Stub::start(|_| Response::json_error(400, "ScanNotFoundException")).await;
    assert_eq!(ask(&stub, scan_key()).await, Fact::Absent);
    let stub = Stub::start(|_| Response::json_error(400, "AccessDeniedException")).await;
    assert_eq!(ask(&stub, scan_key()).await, Fact::Unavailable(Missing::new(Cause::Denied, "access denied")));
}
