//! The Subject of an SNS message, which mail programs make threads of.

use super::safe::{self, ascii};
use super::{Alert, shape, words};
use crate::activity::Cloud;
use crate::detection::Subject;

/// SNS takes less than 100 characters.
const MAX: usize = 99;

/// ASCII, at most 99 characters, the same for every message of a thread: nothing in it changes with
/// counts, severities or later findings.
pub fn subject(alert: &Alert) -> String {
    let activity = &alert.activity;
    // Other clouds have their own names for accounts and regions.
    let elsewhere = |text: &str| activity.cloud != Cloud::Aws && plain(text);
    let sound = |text: &str, shape: fn(&str) -> bool| shape(text) || elsewhere(text);
    let account =
        if sound(&activity.account, shape::account) { activity.account.as_str() } else { "unknown account" };
    let region =
        if sound(&activity.region, shape::region) { activity.region.as_str() } else { "unknown region" };
    let tail = format!(" in {account} {region} {}", alert.window_start.format("%Y-%m-%d"));
    let about = match &alert.subject {
        Subject::MachineImage { image, principal } => format!("{image} by {}", name(principal)),
        Subject::Push { repository, principal } => format!("push to {repository} by {}", name(principal)),
        Subject::Repository { repository } => format!("repository {repository}"),
        Subject::Scan { repository, digest } => format!("scan of {repository} {}", words::short(digest)),
        Subject::GuardRail { setting, target } => format!("guard rail {setting} of {target}"),
        Subject::ContainerImage { repository } => format!("container image {repository}"),
        Subject::Runtime { place } => format!("activity in {place}"),
        Subject::Template { template } => format!("launch template {template}"),
        Subject::Unchecked { image, principal } => format!("cannot check {image} by {}", name(principal)),
        Subject::Blind { code, .. } => format!("cannot check images: {code}"),
        Subject::Storm { detection } => format!("many alerts of {detection}"),
    };
    let room = MAX.saturating_sub("Imagewarden: ".len()).saturating_sub(tail.len());
    let about = ascii(&safe::shown(&about, 512));
    let about = if about.len() <= room {
        about
    } else {
        let kept: String = about.chars().take(room.saturating_sub(3)).collect();
        format!("{kept}...")
    };
    format!("Imagewarden: {about}{tail}")
}

/// A subscription, a project or a region: nothing but letters, digits and hyphens, and short.
fn plain(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// The last part of an ARN: `role/ci/deploy` is told as `deploy`, Identity Center's
/// `AWSReservedSSO_Developer_0123456789abcdef` as `SSO Developer`.
fn name(principal: &str) -> String {
    let last = match principal.rsplit(['/', ':']).next() {
        Some(name) if !name.is_empty() && principal.starts_with("arn:") => name,
        _ => principal,
    };
    match last.strip_prefix("AWSReservedSSO_").and_then(|set| set.rsplit_once('_')) {
        Some((set, _)) => format!("SSO {set}"),
        None => last.to_owned(),
    }
}

#[cfg(test)]
mod tests;
