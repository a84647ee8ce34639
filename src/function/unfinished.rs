//! Activities that could not be judged to the end for a reason that passes. They fail, so that the platform hands
//! the event over again; from the second attempt on it is told, too, what could not be checked.

use std::sync::atomic::Ordering;

use super::attempts;
use super::handler::Invocation;
use super::judge::Judged;
use super::reply::Failed;
use crate::alert;
use crate::text::clean;

/// Bytes of a text that an event chose, in a line of the log.
const LONGEST: usize = 400;

/// What is to become of an activity.
pub(super) enum Unfinished {
    /// It was judged to the end, or nobody would hand it over again: what there is is told.
    No,
    /// Nothing of it is told: the look-up may succeed when the event comes again.
    TriedAgain(Failed),
    /// It was tried before. What is known is told, and that the rest is not; the event comes again all the same.
    Told(Failed),
}

/// Whether an activity was judged to the end. One that was not is logged with its images and its actor.
pub(super) fn look(judged: &Judged, invocation: &Invocation) -> Unfinished {
    let Some(failed) = judged.passing().next() else { return Unfinished::No };
    let activity = &judged.activity;
    // Without a count nobody knows whether there will be another attempt.
    let told = judged.attempt.is_none_or(|attempt| attempt >= attempts::TELL);
    let reason = format!("{}: {}", failed.api, failed.missing.reason);
    let principal = activity.actor.as_ref().map(|actor| clean(&actor.principal, LONGEST));
    tracing::error!(
        activity = activity.id,
        account = activity.account,
        region = activity.region,
        what = clean(&alert::what(activity), LONGEST),
        principal,
        reason,
        attempt = judged.attempt,
        told,
        "could not be judged to the end"
    );
    invocation.count(|tally| tally.unfinished += 1);
    match (told, invocation.errand.load(Ordering::Relaxed)) {
        (false, _) => Unfinished::TriedAgain(Failed::Lookup(reason)),
        (true, false) => Unfinished::Told(Failed::Lookup(reason)),
        // A sweep goes on where it failed: it would fail there for ever.
        (true, true) => Unfinished::No,
    }
}
