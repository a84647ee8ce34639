//! Launches and pushes of the event history that have not arrived.

use std::collections::BTreeMap;

use serde_json::json;
use tokio::time::Instant;

use super::event_history::{Entry, EventHistory};
use super::progress::{OUT_OF_TIME, Progress};
use super::{Ground, Judge, Swept, known, stopped};
use crate::activity::Activity;
use crate::function::reply::Failed;
use crate::history::cursor::{Counts, Cursor, Window};
use crate::history::{Key, Kind, Store, seen};
use crate::source;

/// Events that are judged before time is looked at again.
const AT_ONCE: usize = 8;

/// Compares all events of one API call up to now with what has arrived, as far as time allows, and has
/// those judged that have not.
///
/// # Errors
/// See [`super::run`].
pub(super) async fn sweep<S: Store, J: Judge, H: EventHistory>(
    ground: &Ground<'_, S, J>,
    history: &H,
    call: &str,
    swept: &mut Swept,
) -> Result<(), Failed> {
    let first = "the first sweep, which later ones count from";
    let Some((mut progress, mut cursor)) = Progress::resume(ground, call, first, swept).await? else {
        return Ok(());
    };
    let result = slices(ground, history, call, &mut cursor, &mut progress, swept).await;
    swept.reached(&cursor, ground.now);
    result
}

async fn slices<S: Store, J: Judge, H: EventHistory>(
    ground: &Ground<'_, S, J>,
    history: &H,
    call: &str,
    cursor: &mut Cursor,
    progress: &mut Progress<'_, S>,
    swept: &mut Swept,
) -> Result<(), Failed> {
    let mut next_request = Instant::now();
    let mut pages = 0_u32;
    while let Some(window) = cursor.window(ground.now) {
        let mut token: Option<String> = None;
        loop {
            // The first page is read whatever the clock says: else a slow account would never be swept.
            if pages > 0 && Instant::now() >= ground.until {
                swept.note(call, OUT_OF_TIME);
                return Ok(());
            }
            tokio::time::sleep_until(next_request).await;
            next_request = Instant::now() + ground.pace;
            let page = match history.page(call, &window, token.as_deref()).await {
                Ok(page) => page,
                Err(failure) => return stopped("cloudtrail:LookupEvents", &failure, swept),
            };
            pages = pages.saturating_add(1);
            let oldest = page.entries.iter().filter_map(|entry| entry.time).min();
            let (counts, judged) = compare(ground, &window, call, page.entries, swept).await;
            cursor.count(ground.now.date_naive(), counts);
            swept.compared = swept.compared.saturating_add(counts.arrived).saturating_add(counts.missed);
            swept.missed_events = swept.missed_events.saturating_add(counts.missed);
            if judged.is_ok() {
                cursor.passed(oldest);
                if page.next.is_none() {
                    cursor.finished();
                }
            }
            if !progress.keep(cursor, judged, swept).await? {
                return Ok(());
            }
            token = page.next;
            if token.is_none() {
                break;
            }
        }
    }
    Ok(())
}

/// What of a page had arrived and what had not; the latter is judged. Counts hold even where judging
/// failed half way: what was judged is marked, and would not be found again.
async fn compare<S: Store, J: Judge>(
    ground: &Ground<'_, S, J>,
    window: &Window,
    call: &str,
    entries: Vec<Entry>,
    swept: &mut Swept,
) -> (Counts, Result<(), Failed>) {
    let mut counts = Counts::default();
    let mut events: BTreeMap<Key, Vec<Activity>> = BTreeMap::new();
    for entry in entries {
        let reading = source::read(&json!({"CloudTrailEvent": entry.record}), ground.surroundings);
        for one in &reading.unreadable {
            swept.unreadable = swept.unreadable.saturating_add(1);
            tracing::warn!(call, reason = one.reason, "an entry of the event history is unreadable");
        }
        for activity in reading.activities {
            if !seen::keys(&activity).is_empty() {
                let id = seen::event(&activity.id);
                let key = Key::new(&activity.account, &activity.region, Kind::Seen, id);
                events.entry(key).or_default().push(activity);
            }
        }
    }
    let keys: Vec<Key> = events.keys().cloned().collect();
    let known = match known(ground.store, &keys, ground.now).await {
        Ok(known) => known,
        Err(failed) => return (counts, Err(failed)),
    };
    let mut missed: Vec<(Key, Vec<Activity>)> = Vec::new();
    for (key, activities) in events {
        let new = activities.iter().any(|activity| activity.time >= window.new_from);
        match known.contains(&key) {
            true => counts.arrived = counts.arrived.saturating_add(u64::from(new)),
            false => missed.push((key, activities)),
        }
    }
    let mut missed = missed.into_iter();
    loop {
        let (keys, some): (Vec<Key>, Vec<Vec<Activity>>) = missed.by_ref().take(AT_ONCE).unzip();
        if some.is_empty() {
            return (counts, Ok(()));
        }
        for activity in some.iter().filter_map(|activities| activities.first()) {
            tracing::warn!(
                event = activity.id,
                call,
                time = %activity.time,
                principal = activity.principal(),
                "an event that had not arrived was found in the event history"
            );
        }
        let judged = ground.judge.judge(some.into_iter().flatten().collect()).await;
        let found = match judged {
            Ok(()) => keys.len(),
            Err(_) => super::known(ground.store, &keys, ground.now).await.map_or(0, |marked| marked.len()),
        };
        counts.missed = counts.missed.saturating_add(u64::try_from(found).unwrap_or(u64::MAX));
        if judged.is_err() {
            return (counts, judged);
        }
    }
}
