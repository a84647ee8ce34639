//! CloudTrail's event history: management events of ninety days, kept without a trail.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
use aws_smithy_types::DateTime as SdkTime;
use chrono::{DateTime, Utc};

use crate::aws::{Cause, Failure};
use crate::history::cursor::Window;

/// Two requests a second are allowed to the account and region, and others want some too.
pub(super) const PACE: Duration = Duration::from_millis(550);

/// What one request gives at most.
const PAGE: i32 = 50;

/// A page, newest first.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) entries: Vec<Entry>,
    pub(super) next: Option<String>,
}

/// One event.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) time: Option<DateTime<Utc>>,
    /// The CloudTrail record, as JSON.
    pub(super) record: String,
}

/// Where events of the past are.
pub(super) trait EventHistory: Sync {
    /// A page of one API call's events.
    fn page(
        &self,
        call: &str,
        window: &Window,
        token: Option<&str>,
    ) -> impl Future<Output = Result<Page, Failure>> + Send;
}

pub(super) struct CloudTrail(Client);

impl CloudTrail {
    pub(super) fn new(sdk: &SdkConfig) -> Self {
        Self(Client::new(sdk))
    }
}

impl EventHistory for CloudTrail {
    async fn page(&self, call: &str, window: &Window, token: Option<&str>) -> Result<Page, Failure> {
        // One attribute is all that a request takes, beside the time.
        let attribute = LookupAttribute::builder()
            .attribute_key(LookupAttributeKey::EventName)
            .attribute_value(call)
            .build()
            .map_err(|error| own(&error))?;
        let answer = self
            .0
            .lookup_events()
            .lookup_attributes(attribute)
            .start_time(SdkTime::from_secs(window.start.timestamp()))
            // Whole seconds: a part of one is still wanted.
            .end_time(SdkTime::from_secs(window.end.timestamp().saturating_add(1)))
            .max_results(PAGE)
            .set_next_token(token.map(str::to_owned))
            .send()
            .await
            .map_err(|error| Failure::of(&error))?;
        let entries = answer.events.unwrap_or_default().into_iter().map(|event| Entry {
            time: event
                .event_time
                .and_then(|time| DateTime::from_timestamp(time.secs(), time.subsec_nanos())),
            record: event.cloud_trail_event.unwrap_or_default(),
        });
        Ok(Page { entries: entries.collect(), next: answer.next_token.filter(|token| !token.is_empty()) })
    }
}

fn own(error: &dyn std::error::Error) -> Failure {
    let cause = Cause::Other("a request of its own making".to_owned());
    Failure { cause, code: None, detail: error.to_string() }
}
