//! How often an event has come to nothing. SQS says how often it has delivered a message; Lambda does not say
//! which attempt at an asynchronous invocation it is. So each attempt that could not judge an event to the end
//! leaves a trace in the history.

use chrono::Utc;

use crate::activity::Activity;
use crate::history::{Key, Kind, Record, Store, StoreError, Trace, pause};

/// From which attempt on it is told that a check could not be made. The platform makes three: this leaves one for
/// the look-up to succeed before, and one for this invocation's being cut off.
pub(super) const TELL: u64 = 2;

/// How often the record is tried to be written.
const TRIES: usize = 8;

/// Counts this attempt, which bears the token, and says the how manieth it is.
///
/// # Errors
/// When the history does not answer.
pub(super) async fn count<S: Store>(store: &S, activity: &Activity, token: &str) -> Result<u64, StoreError> {
    let key = Key::new(&activity.account, &activity.region, Kind::Attempt, &activity.id);
    let mut last = StoreError::Conflict;
    for attempt in 1..=TRIES {
        let now = Utc::now();
        let found = store.load(std::slice::from_ref(&key)).await?.into_iter().next();
        let mut record = found.unwrap_or_else(|| Record::new(key.clone())).fresh(now);
        record.add(Trace {
            time: now,
            label: "attempt".to_owned(),
            source: token.to_owned(),
            detail: String::new(),
            place: String::new(),
            score: 0,
        });
        record.touch(now);
        match store.save(std::slice::from_ref(&record)).await {
            Ok(()) => return Ok(u64::try_from(record.traces.len()).unwrap_or(u64::MAX)),
            Err(error) => last = error,
        }
        pause(token, attempt).await;
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::testing::{launch, launched};
    use crate::history::InMemory;

    #[tokio::test]
    async fn each_attempt_counts_once_and_each_event_for_itself() {
        let store = InMemory::default();
        let one = launched(launch("ami-0f0e1d2c3b4a59687"));
        let mut other = one.clone();
        other.id = "another".to_owned();
        assert_eq!(count(&store, &one, "a").await, Ok(1));
        assert_eq!(count(&store, &one, "a").await, Ok(1), "judged again within the same attempt");
        assert_eq!(count(&store, &one, "b").await, Ok(2));
        assert_eq!(count(&store, &other, "b").await, Ok(1));
    }
}
