//! Finding the record that could not be read, from the place that its source names.

use serde_json::Value;

/// The record that holds a place: up to its last `[n]`, so that a notification is kept whole, not only
/// the text in it that was no JSON. `None` where the place names no record of several, or cannot be
/// followed.
pub(super) fn record(payload: &Value, place: &str) -> Option<Value> {
    let end = place.rfind(']')?;
    let mut value = payload.clone();
    for step in place.get(..=end)?.split('.') {
        let (name, indices) = step.split_at(step.find('[').unwrap_or(step.len()));
        if !name.is_empty() {
            value = parsed(value)?.get_mut(name)?.take();
        }
        for index in indices.split('[').filter(|index| !index.is_empty()) {
            let index: usize = index.strip_suffix(']')?.parse().ok()?;
            value = parsed(value)?.get_mut(index)?.take();
        }
    }
    Some(value)
}

/// A text in a wrapping is JSON itself.
fn parsed(value: Value) -> Option<Value> {
    match value {
        Value::String(text) => serde_json::from_str(&text).ok(),
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn records_are_found_through_wrappings() {
        let log = json!({"Records": [{"eventName": "RunInstances"}, {"no": "name"}]});
        assert_eq!(record(&log, "Records[1]"), Some(json!({"no": "name"})));
        let queue = json!({"Records": [{"messageId": "m", "body": log.to_string()}]});
        assert_eq!(record(&queue, "Records[0].body.Records[1]"), Some(json!({"no": "name"})));
        let topic = json!({"Records": [{"Sns": {"Message": "not JSON"}}]});
        assert_eq!(record(&topic, "Records[0].Sns.Message"), Some(json!({"Sns": {"Message": "not JSON"}})));
        assert_eq!(record(&json!([[1, 2], [3]]), "[0][1]"), Some(json!(2)));
    }

    #[test]
    fn what_is_no_record_of_several_is_not_cut_out() {
        let log = json!({"Records": [1]});
        for place in ["", "requestPayload", "Records[1]", "Records[x]", "Other[0]", "Records[0].body[0]", "]"]
        {
            assert_eq!(record(&log, place), None, "{place}");
        }
    }
}
