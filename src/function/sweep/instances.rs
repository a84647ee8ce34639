//! Instances that run, and of whose launch no event is known. Judged as a launch by nobody: EC2 does not
//! say who launched what.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use super::fleet::{Fleet, Running};
use super::progress::Progress;
use super::{Ground, INSTANCES, Judge, Swept, known, stopped};
use crate::activity::{Action, Activity, Cloud, ImageRef, Launch};
use crate::function::reply::Failed;
use crate::history::cursor::{Counts, Cursor, Window};
use crate::history::{Key, Kind, Store, seen};

/// Launches that are judged before time is looked at again.
const AT_ONCE: usize = 8;

/// After the events: what they told is known by then.
///
/// # Errors
/// See [`super::run`].
pub(super) async fn sweep<S: Store, J: Judge, F: Fleet>(
    ground: &Ground<'_, S, J>,
    fleet: &F,
    swept: &mut Swept,
) -> Result<(), Failed> {
    let first = "the first sweep; those that run by now are taken as they are";
    let Some((mut progress, mut cursor)) = Progress::resume(ground, INSTANCES, first, swept).await? else {
        return Ok(());
    };
    let result = slices(ground, fleet, &mut cursor, &mut progress, swept).await;
    swept.reached(&cursor, ground.now);
    result
}

async fn slices<S: Store, J: Judge, F: Fleet>(
    ground: &Ground<'_, S, J>,
    fleet: &F,
    cursor: &mut Cursor,
    progress: &mut Progress<'_, S>,
    swept: &mut Swept,
) -> Result<(), Failed> {
    while let Some(window) = cursor.window(ground.now) {
        let Some(running) = all(ground, fleet, &window, swept).await? else { return Ok(()) };
        let (found, judged) = compare(ground, running).await;
        cursor.count(ground.now.date_naive(), Counts { arrived: 0, missed: found });
        swept.missed_instances = swept.missed_instances.saturating_add(found);
        if judged.is_ok() {
            cursor.finished();
        }
        if !progress.keep(cursor, judged, swept).await? {
            return Ok(());
        }
    }
    Ok(())
}

/// The instances that were made within the window; `None` where time or the API did not allow it.
async fn all<S: Store, J: Judge, F: Fleet>(
    ground: &Ground<'_, S, J>,
    fleet: &F,
    window: &Window,
    swept: &mut Swept,
) -> Result<Option<Vec<Running>>, Failed> {
    // One that was stopped since has a later launch time than the one it was made at.
    let hours = hours(window.start, ground.now);
    let mut running: Vec<Running> = Vec::new();
    let mut token: Option<String> = None;
    loop {
        if token.is_some() && Instant::now() >= ground.until {
            swept.note(INSTANCES, "out of time; the next sweep looks at them");
            return Ok(None);
        }
        let (page, next) = match fleet.page(&hours, token.as_deref()).await {
            Ok(page) => page,
            Err(failure) => return stopped("ec2:DescribeInstances", &failure, swept).map(|()| None),
        };
        let within = |born: DateTime<Utc>| window.start <= born && born <= window.end;
        running.extend(page.into_iter().filter(|one| one.born.is_some_and(within)));
        token = next;
        if token.is_none() {
            return Ok(Some(running));
        }
    }
}

/// The hours from one time to another, as filters take them.
fn hours(from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<String> {
    let mut hours = Vec::new();
    let mut time = from;
    while time < to + TimeDelta::hours(1) {
        hours.push(time.format("%Y-%m-%dT%H").to_string());
        time += TimeDelta::hours(1);
    }
    hours
}

/// How many instances no launch is known of; these are judged.
async fn compare<S: Store, J: Judge>(
    ground: &Ground<'_, S, J>,
    running: Vec<Running>,
) -> (u64, Result<(), Failed>) {
    let (account, region) = ground.place();
    let key = |id| Key::new(account, region, Kind::Seen, id);
    let by_reservation = |one: &Running| seen::launch(one.reservation.as_deref(), None).map(key);
    let by_token = |one: &Running| seen::launch(None, one.client_token.as_deref()).map(key);
    let mut keys: Vec<Key> =
        running.iter().flat_map(|one| by_reservation(one).into_iter().chain(by_token(one))).collect();
    keys.sort();
    keys.dedup();
    let known = match known(ground.store, &keys, ground.now).await {
        Ok(known) => known,
        Err(failed) => return (0, Err(failed)),
    };
    let mut launches: BTreeMap<(String, String), Vec<Running>> = BTreeMap::new();
    for one in running {
        let marks = by_reservation(&one).into_iter().chain(by_token(&one));
        if marks.into_iter().any(|mark| known.contains(&mark)) {
            continue;
        }
        let launch = one.reservation.clone().unwrap_or_else(|| one.instance.id.clone());
        launches.entry((launch, one.image.clone().unwrap_or_default())).or_default().push(one);
    }
    let mut found = 0_u64;
    let launches: Vec<((String, String), Vec<Running>)> = launches.into_iter().collect();
    for some in launches.chunks(AT_ONCE) {
        let activities: Vec<Activity> =
            some.iter().map(|(launch, running)| activity(account, region, launch, running)).collect();
        for (activity, (_, running)) in activities.iter().zip(some) {
            let instances: Vec<&str> = running.iter().map(|one| one.instance.id.as_str()).collect();
            let instances = instances.join(" ");
            tracing::warn!(
                launch = activity.id,
                instances,
                "instances run of whose launch no event is known"
            );
        }
        if let Err(failed) = ground.judge.judge(activities).await {
            return (found, Err(failed));
        }
        let judged: usize = some.iter().map(|(_, running)| running.len()).sum();
        found = found.saturating_add(u64::try_from(judged).unwrap_or(u64::MAX));
    }
    (found, Ok(()))
}

/// A launch as far as its instances tell.
fn activity(
    account: &str,
    region: &str,
    (launch, image): &(String, String),
    running: &[Running],
) -> Activity {
    let first = running.first();
    let born = running.iter().filter_map(|one| one.born).min();
    Activity {
        id: format!("running/{launch}/{image}"),
        time: born.unwrap_or(DateTime::<Utc>::UNIX_EPOCH),
        time_is_arrival: false,
        time_claimed: None,
        shared: false,
        account: account.to_owned(),
        region: region.to_owned(),
        cloud: Cloud::Aws,
        actor: None,
        api: None,
        action: Action::ImageLaunched(Launch {
            image: if image.is_empty() { ImageRef::Unknown } else { ImageRef::Id(image.clone()) },
            instances: running.iter().map(|one| one.instance.clone()).collect(),
            count: u32::try_from(running.len()).unwrap_or(u32::MAX),
            instance_type: first.and_then(|one| one.instance.instance_type.clone()),
            subnet: first.and_then(|one| one.instance.subnet.clone()),
            tags: first.map(|one| one.instance.tags.clone()).unwrap_or_default(),
            reservation: first.and_then(|one| one.reservation.clone()),
            client_token: first.and_then(|one| one.client_token.clone()),
            found_running: true,
            ..Launch::default()
        }),
    }
}
