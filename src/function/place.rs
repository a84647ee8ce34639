//! Finding the record that could not be read, from the place that its source names.

use std::borrow::Cow;

use serde_json::Value;

/// The record that holds a place: up to its last `[n]`, so that a notification is kept whole, not only
/// the text in it that was no JSON. `None` where the place names no record of several, or cannot be
/// followed.
pub(super) fn record(payload: &Value, place: &str) -> Option<Value> {
    let end = place.rfind(']')?;
    let mut value = Cow::Borrowed(payload);
    for step in place.get(..=end)?.split('.') {
        let (name, indices) = step.split_at(step.find('[').unwrap_or(step.len()));
        if !name.is_empty() {
            value = child(value, |inner| inner.get(name), |inner| inner.get_mut(name))?;
        }
        for index in indices.split('[').filter(|index| !index.is_empty()) {
            let index: usize = index.strip_suffix(']')?.parse().ok()?;
            value = child(value, |inner| inner.get(index), |inner| inner.get_mut(index))?;
        }
    }
    Some(value.into_owned())
}

/// One step in. A text in a wrapping is JSON itself; only what is in a text is ever copied.
fn child<'a>(
    value: Cow<'a, Value>,
    borrowed: impl Fn(&'a Value) -> Option<&'a Value>,
    owned: impl Fn(&mut Value) -> Option<&mut Value>,
) -> Option<Cow<'a, Value>> {
    if let Value::String(text) = value.as_ref() {
        let mut inner: Value = serde_json::from_str(text).ok()?;
        return Some(Cow::Owned(owned(&mut inner)?.take()));
    }
    match value {
        Cow::Borrowed(value) => borrowed(value).map(Cow::Borrowed),
        Cow::Owned(mut value) => Some(Cow::Owned(owned(&mut value)?.take())),
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
