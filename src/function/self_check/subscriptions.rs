//! An alert that nobody gets is none: a subscription that is not confirmed gets nothing.

use aws_config::Region;
use aws_config::SdkConfig;
use aws_sdk_sns::Client;

use super::Checked;
use crate::aws::{Failure, arn_place};
use crate::severity::Severity;

const REMEDY: &str = "Subscribe somebody to the topic, and have the subscription confirmed: SNS sends nothing before, \
                      and forgets it after two days.";
const GRANT: &str = "Let the function's role list the topic's subscriptions, or look at them by hand.";

/// Pages of a hundred subscriptions.
const PAGES: usize = 20;

#[derive(Default)]
struct Count {
    confirmed: usize,
    pending: usize,
}

pub(super) async fn check(sdk: &SdkConfig, topics: &[&str], checked: &mut Checked) {
    let mut all = Count::default();
    for topic in topics {
        match count(sdk, topic).await {
            Ok(count) => {
                all.confirmed = all.confirmed.saturating_add(count.confirmed);
                all.pending = all.pending.saturating_add(count.pending);
            }
            Err(failure) => {
                return checked.refused("subscription", "sns:ListSubscriptionsByTopic", &failure, GRANT);
            }
        }
    }
    let look = topics
        .first()
        .map(|topic| format!("aws sns list-subscriptions-by-topic --topic-arn {topic}"))
        .filter(|command| command.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '));
    let waiting = match all.pending {
        1 => "1 subscription waits for its confirmation".to_owned(),
        many => format!("{many} subscriptions wait for their confirmation"),
    };
    match (all.confirmed, all.pending) {
        (0, 0) => {
            let text = "Nobody has subscribed to the alerts.".to_owned();
            checked.failed("subscription-missing", Severity::High, text, REMEDY, look);
        }
        (0, _) => {
            let text = format!("Nobody gets the alerts: {waiting}.");
            checked.failed("subscription-missing", Severity::High, text, REMEDY, look);
        }
        (_, 0) => checked.passed.push(format!("confirmed subscriptions: {}", all.confirmed)),
        (_, _) => {
            let text = format!("Not everybody gets the alerts: {waiting}.");
            checked.failed("subscription-pending", Severity::Medium, text, REMEDY, look);
        }
    }
}

async fn count(sdk: &SdkConfig, topic: &str) -> Result<Count, Failure> {
    // A topic is where its ARN says.
    let sdk = match arn_place(topic) {
        Some((region, _)) => sdk.to_builder().region(Region::new(region.to_owned())).build(),
        None => sdk.clone(),
    };
    let client = Client::new(&sdk);
    let (mut count, mut token) = (Count::default(), None);
    for _ in 0..PAGES {
        let answer = client
            .list_subscriptions_by_topic()
            .topic_arn(topic)
            .set_next_token(token)
            .send()
            .await
            .map_err(|error| Failure::of(&error))?;
        for subscription in answer.subscriptions() {
            match subscription.subscription_arn() {
                Some(arn) if arn.starts_with("arn:") => count.confirmed = count.confirmed.saturating_add(1),
                Some("Deleted") | None => {}
                // `PendingConfirmation`
                Some(_) => count.pending = count.pending.saturating_add(1),
            }
        }
        token = answer.next_token.filter(|token| !token.is_empty());
        if token.is_none() {
            break;
        }
    }
    Ok(count)
}
