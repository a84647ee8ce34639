//! Wrappings: what queues, topics and Lambda put around an event.
//!
//! A message in an EventBridge dead-letter queue is the plain event in an SQS body; a failure record in
//! S3 is the same document that a queue would get. Wrappings may stand inside each other up to a bound.

use serde_json::Value;

use super::envelope::Envelope;
use super::fields::{any, get, str};
use super::{
    Reading, Surroundings, awslogs, azure, cloudtrail, eventbridge, gcp, guardduty, inspector, lines, ocsf,
};

/// A failure record of a queue's delivery of a topic's notification of an event is four deep, each step
/// counted twice (the list and the text within).
const MAX_DEPTH: usize = 12;

pub(super) fn read(value: &Value, envelope: &Envelope<'_>) -> Reading {
    if envelope.depth > MAX_DEPTH {
        return Reading::unreadable(&envelope.place, format!("wrapped more than {MAX_DEPTH} times"));
    }
    match value {
        Value::Array(elements) => read_all(elements, envelope, ""),
        Value::Object(object) if object.is_empty() => Reading::unreadable(&envelope.place, "an empty object"),
        Value::Object(_) => read_object(value, envelope),
        other => Reading::unreadable(&envelope.place, format!("JSON, but {}, no event", kind(other))),
    }
}

fn read_object(value: &Value, envelope: &Envelope<'_>) -> Reading {
    // What comes most, as it is written: asking for all that it might be instead costs more than reading it.
    if cloudtrail::is_plain(value) {
        return cloudtrail::read(value, envelope);
    }
    if eventbridge::is_plain(value) && str(value, "source") != Some("aws.s3") {
        return eventbridge::read(value, envelope);
    }
    // The function's own errands: there is nothing in them to judge.
    if errand(value).is_some() {
        return Reading::ignored();
    }
    // Lambda's failure record: the event stands beside why and how often it failed.
    if let Some(payload) = get(value, "requestPayload") {
        return read_inner(payload, &envelope.inside("requestPayload"));
    }
    if let Some(elements) = get(value, "Records").and_then(Value::as_array) {
        return read_all(elements, envelope, "Records");
    }
    if let Some(reason) = misplaced(value) {
        return Reading::unreadable(&envelope.place, reason);
    }
    if is_of_no_interest(value) {
        return Reading::ignored();
    }
    // What `aws sqs receive-message` and `aws cloudtrail lookup-events` print.
    if let Some(elements) = get(value, "Messages").and_then(Value::as_array) {
        return read_all(elements, envelope, "Messages");
    }
    // `aws logs filter-log-events`, `get-log-events` and `get-query-results`.
    if let Some(read) = awslogs::read_printed(value, envelope) {
        return read;
    }
    // `aws guardduty get-findings`, `aws inspector2 list-findings`.
    if let Some(elements) = get(value, "Findings").and_then(Value::as_array) {
        return read_all(elements, envelope, "Findings");
    }
    if let Some(elements) = get(value, "Events").and_then(Value::as_array) {
        return read_all(elements, envelope, "Events");
    }
    if awslogs::is_delivery(value) {
        return awslogs::read(value, envelope);
    }
    if let Some(event) = str(value, "CloudTrailEvent") {
        return read_text(event, &envelope.inside("CloudTrailEvent"));
    }
    if is_sqs_message(value) {
        return match get(value, "body") {
            Some(body) => read_inner(body, &envelope.inside("body")),
            None => Reading::unreadable(&envelope.place, "SQS message without body"),
        };
    }
    if let Some(sns) = get(value, "Sns").filter(|sns| sns.is_object()) {
        return read_notification(sns, &envelope.inside("Sns"));
    }
    if is_notification(value) {
        return read_notification(value, envelope);
    }
    if eventbridge::is_event(value) {
        return eventbridge::read(value, envelope);
    }
    if ocsf::is_record(value) {
        return ocsf::read(value, envelope);
    }
    // Azure's REST form has an `eventName` too.
    if azure::is_record(value) {
        return azure::read(value, envelope);
    }
    if gcp::is_record(value) {
        return gcp::read(value, envelope);
    }
    // Azure's Activity Log API answers so.
    if let Some(elements) = get(value, "value").and_then(Value::as_array) {
        return read_all(elements, envelope, "value");
    }
    if cloudtrail::is_record(value) {
        return cloudtrail::read(value, envelope);
    }
    if inspector::is_finding(value) {
        return inspector::finding(value, envelope);
    }
    if guardduty::is_finding(value) {
        return guardduty::read(value, envelope);
    }
    if let Some(read) = lines::read_document(value, envelope) {
        return read;
    }
    let reason = if get(value, "requestContext").is_some() {
        "a failure record without requestPayload"
    } else if get(value, "SchemaVersion").is_some() && get(value, "ProductArn").is_some() {
        "a finding of Security Hub: give GuardDuty's or Inspector's own, or Security Lake's"
    } else if get(value, "awslogs").is_some() {
        "CloudWatch Logs subscription data that is no object"
    } else if get(value, "s3").is_some() {
        NOTIFICATION
    } else if get(value, "Records").is_some() {
        "Records is no list"
    } else {
        "no EventBridge event, CloudTrail record, SQS or SNS delivery, or failure record"
    };
    Reading::unreadable(&envelope.place, reason)
}

const NOTIFICATION: &str = "an S3 notification: it names an object and does not hold it. Read the object itself: \
                            imagewarden hunt s3://BUCKET/KEY";

/// What was sent here by mistake, and what it is.
fn misplaced(value: &Value) -> Option<&'static str> {
    let source = str(value, "eventSource").unwrap_or_default();
    let has = |key| get(value, key).is_some();
    if source == "aws:s3"
        || get(value, "s3").is_some_and(|s3| get(s3, "object").is_some() && get(s3, "bucket").is_some())
    {
        return Some(NOTIFICATION);
    }
    if str(value, "source") == Some("aws.s3")
        && str(value, "detail-type").is_some_and(|it| it.starts_with("Object "))
    {
        return Some(NOTIFICATION);
    }
    match source {
        "aws:kafka" | "SelfManagedKafka" => return Some("a batch of Kafka records, which are not read"),
        "aws:ses" => return Some("an e-mail that SES received, no event"),
        "aws:kinesis" | "aws:kinesisStream" => return Some("a batch of Kinesis records, which are not read"),
        "aws:dynamodb" => return Some("a change of a DynamoDB table, no event"),
        "aws:rmq" | "aws:amq" => return Some("a batch of messages of Amazon MQ, which are not read"),
        _ => {}
    }
    let context = get(value, "requestContext")?;
    if get(context, "elb").is_some() {
        return Some("a request that a load balancer passed on, no event");
    }
    let of_gateway = has("httpMethod") || has("rawPath") || has("routeKey") || has("headers");
    let of_context = ["http", "apiId", "routeKey", "connectionId"];
    let of_gateway = of_gateway || of_context.into_iter().any(|key| get(context, key).is_some());
    (of_gateway && !has("requestPayload"))
        .then_some("a request that API Gateway or a function URL passed on, no event")
}

/// Files that stand beside a trail's own in a bucket, and notices of AWS's services about themselves.
fn is_of_no_interest(value: &Value) -> bool {
    let has = |key| get(value, key).is_some();
    let digest = has("digestStartTime") && has("logFiles");
    let configuration = has("configurationItems") && (has("fileVersion") || has("configSnapshotId"));
    let s3_test = str(value, "Event") == Some("s3:TestEvent");
    digest || configuration || s3_test
}

/// Errands of the hunt's state machine: what they are about stands beside the name.
const WITH_MORE: [&str; 2] = ["hunt", "hunt-summary"];

/// What a schedule asks the function to do: `{"imagewarden": "reconcile"}`, and nothing beside it; or what the
/// state machine of a hunt asks: `{"imagewarden": "hunt", "run": ...}`.
pub fn errand(payload: &Value) -> Option<&str> {
    let object = payload.as_object()?;
    let errand = object.get("imagewarden")?.as_str()?;
    (object.len() == 1 || WITH_MORE.contains(&errand)).then_some(errand)
}

/// Each element on its own. A list of nothing is understood, and holds nothing to judge.
fn read_all(elements: &[Value], envelope: &Envelope<'_>, name: &str) -> Reading {
    if elements.is_empty() {
        return Reading::ignored();
    }
    let mut reading = Reading::default();
    for (index, element) in elements.iter().enumerate() {
        reading.add(read(element, &envelope.inside(&format!("{name}[{index}]"))));
    }
    reading
}

/// SQS records one by one: message id and what the message held. `None` where the payload is no SQS
/// delivery. A message without an id has an empty one, and cannot be handed back on its own.
pub fn read_sqs(payload: &Value, surroundings: &Surroundings) -> Option<Vec<(String, Reading)>> {
    let records = get(payload, "Records")?.as_array()?;
    if records.is_empty() || !records.iter().any(is_sqs_message) {
        return None;
    }
    let outer = Envelope::outermost(surroundings);
    let readings = records.iter().enumerate().map(|(index, record)| {
        let id = str(record, "messageId").unwrap_or_default().to_owned();
        (id, read(record, &outer.inside(&format!("Records[{index}]"))))
    });
    Some(readings.collect())
}

fn is_sqs_message(value: &Value) -> bool {
    let from_sqs = str(value, "eventSource") == Some("aws:sqs");
    from_sqs
        || (any(value, &["messageId", "receiptHandle", "eventSourceARN"]).is_some()
            && get(value, "body").is_some())
}

/// SNS puts this around a message in a queue, unless raw delivery is on.
fn is_notification(value: &Value) -> bool {
    str(value, "Type") == Some("Notification")
        || (get(value, "TopicArn").is_some() && get(value, "Message").is_some())
}

fn read_notification(value: &Value, envelope: &Envelope<'_>) -> Reading {
    match get(value, "Message") {
        Some(message) => read_inner(message, &envelope.inside("Message")),
        None => Reading::unreadable(&envelope.place, "SNS notification without Message"),
    }
}

fn read_inner(value: &Value, envelope: &Envelope<'_>) -> Reading {
    match value {
        Value::String(text) => read_text(text, envelope),
        other => read(other, envelope),
    }
}

fn read_text(text: &str, envelope: &Envelope<'_>) -> Reading {
    match super::parse(text) {
        Ok(inner) => read(&inner, envelope),
        Err(error) => Reading::unreadable(&envelope.place, format!("not JSON: {error}")),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::source::tests::{sample, surroundings};

    fn told(value: &Value) -> Vec<(String, String)> {
        let reading = super::super::read(value, &surroundings());
        reading.unreadable.into_iter().map(|it| (it.place, it.reason)).collect()
    }

    #[test]
    fn the_same_event_is_the_same_activity_however_it_is_wrapped() {
        let event = sample("put-image-at-night");
        let activities = |value: &Value| super::super::read(value, &surroundings()).activities;
        let expected = activities(&event);
        assert_eq!(expected.len(), 1);
        let text = event.to_string();
        let notification = json!({"Type": "Notification", "TopicArn": "arn", "Message": text});
        let queued =
            |body: String| json!({"Records": [{"messageId": "1", "body": body, "eventSource": "aws:sqs"}]});
        let failed = |payload: Value| json!({"requestContext": {}, "requestPayload": payload});
        for wrapped in [
            json!([event]),
            queued(text.clone()),
            queued(notification.to_string()),
            json!({"Records": [{"EventSource": "aws:sns", "Sns": notification}]}),
            failed(event.clone()),
            failed(json!(text)),
            failed(queued(failed(event.clone()).to_string())),
            json!({"Messages": [{"MessageId": "1", "ReceiptHandle": "x", "Body": text}]}),
        ] {
            assert_eq!(activities(&wrapped), expected, "{wrapped}");
        }
    }

    #[test]
    fn each_queue_message_is_read_on_its_own() {
        let event = sample("put-image-at-night").to_string();
        let payload = json!({"Records": [
            {"messageId": "good", "body": event, "eventSource": "aws:sqs"},
            {"messageId": "bad", "body": "{", "eventSource": "aws:sqs"},
            {"messageId": "empty", "eventSource": "aws:sqs"},
        ]});
        let messages = read_sqs(&payload, &surroundings()).unwrap();
        let outcomes: Vec<_> = messages
            .iter()
            .map(|(id, reading)| (id.as_str(), reading.activities.len(), reading.unreadable.len()))
            .collect();
        assert_eq!(outcomes, [("good", 1, 0), ("bad", 0, 1), ("empty", 0, 1)]);
        assert!(messages[1].1.unreadable[0].place.starts_with("Records[1].body"));
        assert!(read_sqs(&sample("cloudtrail-log-file"), &surroundings()).is_none());
        assert!(read_sqs(&sample("put-image-at-night"), &surroundings()).is_none());
    }

    #[test]
    fn one_bad_record_costs_no_other() {
        let mut file = sample("cloudtrail-log-file");
        file["Records"][1] = json!("garbage");
        let reading = super::super::read(&file, &surroundings());
        assert_eq!((reading.activities.len(), reading.ignored), (2, 2));
        assert_eq!(reading.unreadable[0].place, "Records[1]");
    }

    #[test]
    fn errands_are_nothing_to_judge() {
        for (payload, name) in [
            (json!({"imagewarden": "reconcile"}), Some("reconcile")),
            (json!({"imagewarden": "hunt", "run": "march", "objects": []}), Some("hunt")),
            (json!({"imagewarden": "hunt-summary", "run": "march"}), Some("hunt-summary")),
            (json!({"imagewarden": "reconcile", "detail": {}}), None),
            (json!({"imagewarden": 7}), None),
        ] {
            assert_eq!(errand(&payload), name, "{payload}");
            assert_eq!(told(&payload).is_empty(), name.is_some(), "{payload}");
        }
    }

    #[test]
    fn wrappings_end_somewhere() {
        let mut value = sample("put-image-at-night");
        for _ in 0..100 {
            value = json!({ "requestPayload": value });
        }
        assert!(told(&value)[0].1.starts_with("wrapped more than"));
    }

    #[test]
    fn what_is_not_known_is_told_with_its_place() {
        for (value, place, reason) in [
            (json!({}), "", "an empty object"),
            (json!("text"), "", "JSON, but a string, no event"),
            (json!([1]), "[0]", "JSON, but a number, no event"),
            (json!({"Records": 7}), "", "Records is no list"),
            (json!({"Records": [{"s3": {"object": {}}}]}), "Records[0]", "an S3 notification"),
            (
                json!({"requestContext": {}, "responsePayload": {}}),
                "",
                "a failure record without requestPayload",
            ),
            (json!({"requestPayload": "x"}), "requestPayload", "not JSON"),
            (json!({"detail-type": "ECR Image Scan"}), "", "EventBridge event without detail"),
            (json!({"detail": {"a": 1}, "source": "aws.ecr"}), "", "EventBridge event without detail-type"),
            (json!({"detail": 7, "detail-type": "x"}), "detail", "EventBridge detail is no object"),
        ] {
            let told = told(&value);
            assert_eq!((told.len(), told[0].0.as_str()), (1, place), "{value}");
            assert!(told[0].1.starts_with(reason), "{value}: {told:?}");
        }
    }
}
