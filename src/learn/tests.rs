use std::sync::Arc;

use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;
use crate::activity::{ActorKind, ImageRef, Instance};
use crate::detection::testing::{
    AMAZON, STRANGER, UBUNTU, at, declared, image, launch, launched, push, pushed, started, workload,
};
use crate::detection::{Subject, Verdict};
use crate::engine;
use crate::history::{InMemory, Memory, Store};
use crate::lookup::{Fact, FactKey, FactValue, Facts, ImageFact, Lookup};

const OWN: &str = "111122223333";
/// Shares its images with the account, and shows in no event.
const PARTNER: &str = "888899990000";

/// Machine images: id, owner, public. Of the last nothing is known.
const IMAGES: [(&str, &str, bool); 7] = [
    ("ami-00000000000000001", OWN, false),
    ("ami-00000000000000002", AMAZON, true),
    ("ami-00000000000000003", UBUNTU, true),
    ("ami-00000000000000004", PARTNER, false),
    ("ami-00000000000000005", PARTNER, false),
    ("ami-00000000000000006", STRANGER, true),
    ("ami-00000000000000007", "", false),
];
const PUBLIC_STRANGERS: &str = "ami-00000000000000006";

/// Container images; the last three nobody may approve, however often they are used.
const CONTAINERS: [&str; 9] = [
    "111122223333.dkr.ecr.eu-central-1.amazonaws.com/team/app:1",
    "registry.example.com/team/app:1",
    "registry.example.com/team/web:1",
    "nginx:1.27",
    "888899990000.dkr.ecr.eu-central-1.amazonaws.com/tools/x:1",
    "bitnami/redis:7",
    "somebody/tool:1",
    "alpineos/alpine:3",
    "registry.example.com/xmrig:6",
];
const NEVER: [&str; 3] =
    ["docker.io/somebody/tool", "docker.io/alpineos/alpine", "registry.example.com/xmrig"];

const PRINCIPALS: [&str; 5] = [
    "arn:aws:iam::111122223333:role/ci/build",
    "arn:aws:iam::111122223333:user/alice \"#\n- evil: [*]",
    "arn:aws:iam::111122223333:role/night: {x: y}",
    "arn:aws:iam::111122223333:user/*",
    "unknown",
];
const REPOSITORIES: [&str; 3] = ["team/app", "team/web # x", "*"];

struct Images;

impl Lookup for Images {
    async fn fetch(&self, keys: &[FactKey]) -> Vec<(FactKey, Fact)> {
        let answer = |key: &FactKey| match key {
            FactKey::Image { image: id, .. } => {
                match IMAGES.iter().find(|(known, owner, _)| known == id && !owner.is_empty()) {
                    Some((_, owner, public)) => {
                        let fact =
                            ImageFact { image_id: id.clone(), public: Some(*public), ..image(id, owner) };
                        Fact::Known(FactValue::Image(Box::new(fact)))
                    }
                    None => Fact::Absent,
                }
            }
            _ => Fact::Absent,
        };
        keys.iter().map(|key| (key.clone(), answer(key))).collect()
    }
}

/// Something that happened, `minutes` after the first of March.
fn happened(kind: usize, which: usize, who: usize, minutes: i64, number: usize) -> Activity {
    let mut activity = match kind {
        0 => {
            let mut it = launch(IMAGES[which % IMAGES.len()].0);
            it.image = ImageRef::Id(IMAGES[which % IMAGES.len()].0.to_owned());
            it.instances = vec![Instance { id: format!("i-{number:017x}"), ..Instance::default() }];
            launched(it)
        }
        1 => {
            let mut it = push();
            it.repository = REPOSITORIES[which % REPOSITORIES.len()].to_owned();
            pushed(it)
        }
        _ => started(CONTAINERS[which % CONTAINERS.len()]),
    };
    activity.id = format!("event-{number}");
    activity.time = at("2026-03-01T00:00:00Z") + TimeDelta::minutes(minutes);
    activity.account = OWN.to_owned();
    if let Some(actor) = activity.actor.as_mut() {
        actor.kind = ActorKind::AssumedRole;
        actor.principal = PRINCIPALS[who % PRINCIPALS.len()].to_owned();
        actor.account = Some(OWN.to_owned());
    }
    activity
}

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn learned(activities: &[Activity], zone: &str) -> (Draft, String) {
    let mut learner = Learner::new(Policy::default(), zone.parse().unwrap(), Bounds::default());
    for activity in activities {
        learner.see(activity.clone());
    }
    let draft = block(learner.conclude(&Images));
    let yaml = draft.to_yaml().unwrap();
    (draft, yaml)
}

/// The lines that a person is asked to look at.
fn reviews(yaml: &str) -> Vec<&str> {
    yaml.lines().filter(|line| line.contains("review: ")).collect()
}

/// What the four checks that a policy can quieten tell of an activity.
fn told(activity: &Activity, policy: &Policy) -> Vec<(&'static str, Vec<String>)> {
    let mut facts = Facts::default();
    let memory = Memory::none();
    let judged = block(engine::judge(Arc::new(activity.clone()), policy, &Images, &memory, &mut facts));
    let quiet = [
        "machine-image-not-approved",
        "ecr-push-outside-hours",
        "ecr-push-unknown-user",
        "container-image-not-approved",
    ];
    let mut told = Vec::new();
    for (detection, verdict) in judged.verdicts.iter().filter(|(detection, _)| quiet.contains(&detection.id))
    {
        let names = match verdict {
            Verdict::Match(matches) => matches
                .iter()
                .flat_map(|found| match &found.subject {
                    Subject::MachineImage { image, .. } => vec![image.clone()],
                    Subject::Push { repository, principal } => vec![repository.clone(), principal.clone()],
                    Subject::ContainerImage { repository } => vec![repository.clone()],
                    other => panic!("{other:?}"),
                })
                .collect(),
            Verdict::CannotTell(_) if detection.approval => match &activity.action {
                Action::ImageLaunched(launch) => vec![launch.image.label()],
                _ => continue,
            },
            _ => continue,
        };
        told.push((detection.id, names));
    }
    told
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn under_the_learned_policy_only_what_was_marked_is_told(
        events in prop::collection::vec((0_usize..3, 0_usize..9, 0_usize..5, 0_i64..60 * 24 * 60), 1..160),
        office in any::<bool>(),
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns", "Pacific/Apia"]),
    ) {
        let activities: Vec<Activity> = events
            .iter()
            .enumerate()
            .map(|(number, (kind, which, who, minutes))| {
                // Half of the cases keep to hours, so that there is a habit to find.
                let minutes = if office { minutes / 1440 * 1440 + 480 + minutes % 540 } else { *minutes };
                happened(*kind, *which, *who, minutes, number)
            })
            .collect();
        let (_, yaml) = learned(&activities, zone);
        let policy = Policy::parse(&yaml, "learned").unwrap();
        let reviews = reviews(&yaml);
        for activity in &activities {
            for (detection, names) in told(activity, &policy) {
                // In a comment names stand cleaned, in a value quoted.
                let forms: Vec<[String; 2]> = names
                    .iter()
                    .map(|name| [crate::text::clean(name, 300), write::quoted(name)])
                    .collect();
                let marked = reviews.iter().any(|line| {
                    forms.iter().all(|forms| forms.iter().any(|form| line.contains(form.as_str())))
                });
                prop_assert!(marked, "{detection} tells of {names:?}, and nothing marks it:\n{yaml}");
            }
        }
        let approved = &policy.images.approved;
        prop_assert!(!approved.owners.contains(&STRANGER.into()));
        prop_assert!(!approved.ids.contains(&PUBLIC_STRANGERS.into()));
        for registry in &policy.containers.registries {
            prop_assert!(!NEVER.contains(&registry.as_str()), "{registry}");
        }
        for pusher in &policy.uploads.pushers {
            prop_assert!(!pusher.principal.contains(['*', '?']) && pusher.principal != "unknown");
            prop_assert!(!pusher.repositories.iter().any(|repository| repository.contains(['*', '?'])));
        }
        // Whatever the order in which the files were read.
        let mut reversed = activities.clone();
        reversed.reverse();
        prop_assert_eq!(learned(&reversed, zone).1, yaml);
    }
}

/// An activity a working day, for a month.
fn daily(kind: usize, which: usize, hour: i64) -> Vec<Activity> {
    (0..30)
        .filter(|day| !matches!(day % 7, 0 | 6))
        .map(|day| {
            let number = kind * 100_000 + which * 1_000 + usize::try_from(day).unwrap();
            happened(kind, which, 0, day * 1440 + hour * 60, number)
        })
        .collect()
}

#[test]
fn habits_are_approved_with_their_evidence() {
    let mut activities = daily(0, 2, 9);
    activities.extend(daily(0, 3, 9));
    activities.extend(daily(1, 0, 10));
    activities.extend(daily(2, 1, 10));
    activities.extend(daily(2, 3, 10));
    let (_, yaml) = learned(&activities, "UTC");
    let policy = Policy::parse(&yaml, "learned").unwrap();
    assert_eq!(policy.images.approved.owners, ["self", "amazon", UBUNTU]);
    assert_eq!(policy.images.approved.ids, [IMAGES[3].0]);
    assert_eq!(policy.uploads.pushers.len(), 1);
    assert_eq!(policy.uploads.schedules[0].label(), "mon-fri 08:00-20:00 UTC");
    assert_eq!(policy.containers.registries, ["docker.io/library/nginx", "registry.example.com/team/app"]);
    let line = |part: &str| {
        yaml.lines().find(|line| line.contains(part)).unwrap_or_else(|| panic!("{part}: {yaml}"))
    };
    assert!(
        line(UBUNTU).contains("Canonical (Ubuntu): 1 image, 22 launches, 2026-03-02 to 2026-03-31")
            || line(UBUNTU).contains("launches")
    );
    assert!(line(IMAGES[3].0).contains("# review: a foreign owner's image"));
    assert!(line("nginx").contains("# review: from a public registry"));
    assert!(!line("role/ci/build").contains("review"));
}

#[test]
fn months_of_malice_are_no_habit() {
    let mut activities = daily(0, 5, 9);
    for which in 6..9 {
        activities.extend(daily(2, which, 10));
    }
    // A miner ran on an instance of a partner's image, which would be approved otherwise.
    activities.extend(daily(0, 3, 9));
    let mut miner =
        crate::detection::testing::process("/tmp/xmrig", "xmrig -o stratum+tcp://pool.minexmr.com:4444");
    miner.place =
        crate::activity::Place { instance: Some(format!("i-{:017x}", 3_002)), ..Default::default() };
    let mut ran = crate::detection::testing::executed(miner);
    ran.account = OWN.to_owned();
    activities.push(ran);
    let mut learner = Learner::new(Policy::default(), "UTC".parse().unwrap(), Bounds::default());
    activities.iter().for_each(|activity| learner.see(activity.clone()));
    let seeded: Vec<&str> = learner.sightings().map(|record| record.key.id.as_str()).collect();
    assert!(!seeded.iter().any(|id| id.contains(IMAGES[3].0)), "what a miner ran on stays news: {seeded:?}");
    let (draft, yaml) = learned(&activities, "UTC");
    let policy = Policy::parse(&yaml, "learned").unwrap();
    assert_eq!(policy.images.approved.owners, ["self", "amazon"]);
    assert!(policy.images.approved.ids.is_empty(), "{yaml}");
    assert!(policy.containers.registries.is_empty(), "{yaml}");
    for (id, why) in [
        (IMAGES[5].0, "anybody can offer such images"),
        (IMAGES[3].0, "something malicious was seen in it"),
        ("docker.io/somebody/tool", "anybody can publish"),
        ("docker.io/alpineos/alpine", "malicious"),
        ("registry.example.com/xmrig", "miner"),
        ("miner-process", "no policy excuses this"),
    ] {
        assert!(reviews(&yaml).iter().any(|line| line.contains(id) && line.contains(why)), "{id}: {yaml}");
    }
    assert!(draft.reviews() >= 6);
}

#[test]
fn hours_are_those_of_the_zone_with_its_summer_time() {
    // 09:30 in Berlin, before and after the clocks change on 29 March 2026.
    let mut activities = Vec::new();
    for day in 0..60_i64 {
        if matches!(day % 7, 0 | 6) {
            continue;
        }
        let offset = if day < 28 { 1 } else { 2 };
        for hour in [9, 14] {
            let minutes = day * 1440 + (hour - offset) * 60 + 30;
            activities.push(happened(1, 0, 0, minutes, usize::try_from(day * 24 + hour).unwrap()));
        }
    }
    let (draft, yaml) = learned(&activities, "Europe/Berlin");
    let policy = Policy::parse(&yaml, "learned").unwrap();
    assert_eq!(policy.uploads.schedules[0].label(), "mon-fri 08:00-16:00 Europe/Berlin");
    assert!(draft.outside.is_empty());
    activities.push(happened(1, 0, 0, 13 * 1440 + 180, 9_999));
    let (draft, yaml) = learned(&activities, "Europe/Berlin");
    assert_eq!(draft.outside.len(), 1);
    assert!(yaml.contains("1 push, 2026-03-14, first Sat 03:00 UTC"), "{yaml}");
}

/// One nightly build opened the night for everybody.
#[test]
fn a_nightly_build_has_a_schedule_of_its_own_and_widens_nobodys() {
    let mut activities: Vec<Activity> = (9..18).flat_map(|hour| daily(1, 0, hour)).collect();
    for night in 0..30_i64 {
        let number = 900_000 + usize::try_from(night).unwrap();
        activities.push(happened(1, 0, 2, night * 1440 + 150, number));
    }
    let (_, yaml) = learned(&activities, "UTC");
    let policy = Policy::parse(&yaml, "learned").unwrap();
    let [night, others] = policy.uploads.schedules.as_slice() else { panic!("{yaml}") };
    assert_eq!(night.hours.to_string(), "00:00-05:00");
    assert_eq!(night.principals, [PRINCIPALS[2]]);
    assert_eq!((others.label().as_str(), others.principals[0].as_str()), ("mon-fri 08:00-19:00 UTC", "*"));
    assert!(yaml.contains("a habit at other hours"), "{yaml}");
}

/// The organisation's trail and the account's own hold the same events.
#[test]
fn an_event_that_two_trails_hold_counts_once() {
    let once = daily(1, 0, 10);
    let twice: Vec<Activity> = once.iter().chain(&once).cloned().collect();
    assert_eq!(learned(&twice, "UTC").1, learned(&once, "UTC").1);
}

/// A verdict of two matches was not read.
#[test]
fn what_ran_beside_several_malicious_images_is_not_approved() {
    let dropper = "registry.evil.example/team/dropper";
    let activities: Vec<Activity> = (0..6)
        .map(|day| {
            let mut it = workload(crate::activity::WorkloadKind::PodTemplate, "vibersastra/golang");
            for image in ["evil/pyhton", dropper] {
                let mut container = it.containers[0].clone();
                container.image = crate::activity::ContainerImage::parse(image);
                it.containers.push(container);
            }
            let mut activity = declared(it);
            activity.id = format!("declared-{day}");
            activity.time = at("2026-03-01T00:00:00Z") + TimeDelta::days(day);
            activity
        })
        .collect();
    let (_, yaml) = learned(&activities, "UTC");
    assert!(yaml.contains(dropper), "{yaml}");
    assert!(Policy::parse(&yaml, "learned").unwrap().containers.registries.is_empty(), "{yaml}");
}

#[test]
fn who_pushes_around_the_clock_has_a_schedule_of_their_own() {
    let mut activities = daily(1, 0, 10);
    for number in 0..24 * 8_i64 {
        activities.push(happened(1, 0, 2, number * 60, usize::try_from(number).unwrap()));
    }
    let (_, yaml) = learned(&activities, "UTC");
    let policy = Policy::parse(&yaml, "learned").unwrap();
    let [always, others] = policy.uploads.schedules.as_slice() else { panic!("{yaml}") };
    assert_eq!(
        (always.label().as_str(), always.principals.as_slice()),
        ("daily 00:00-24:00 UTC", &[PRINCIPALS[2].to_owned()][..])
    );
    assert_eq!(others.label(), "mon-fri 08:00-20:00 UTC");
}

#[test]
fn few_pushes_leave_the_default_hours_and_say_so() {
    let (_, yaml) = learned(&daily(1, 0, 3)[..5], "UTC");
    let policy = Policy::parse(&yaml, "learned").unwrap();
    assert_eq!(policy.uploads.schedules[0].label(), "mon-fri 08:00-20:00 UTC");
    assert!(yaml.contains("too few pushes to tell usual hours"));
    assert!(yaml.contains("outside the hours above"));
}

#[test]
fn names_past_the_bounds_are_counted_and_said() {
    let bounds = Bounds { images: 1, pushers: 1, registries: 1, sightings: 2 };
    let mut learner = Learner::new(Policy::default(), "UTC".parse().unwrap(), bounds);
    for number in 0..9 {
        for kind in 0..3 {
            learner.see(happened(kind, number, number, 60, number));
        }
    }
    let draft = block(learner.conclude(&Images));
    assert!(
        draft.header.iter().filter(|line| line.contains("not told apart")).count() == 3,
        "{:?}",
        draft.header
    );
    let mut seed = Vec::new();
    let written = learner.write_seed(&mut seed).unwrap();
    assert_eq!(written.records, 2);
    assert!(written.left_out > 0);
}

#[test]
fn a_seed_is_read_back_and_sown_once() {
    let mut learner = Learner::new(Policy::default(), "UTC".parse().unwrap(), Bounds::default());
    for activity in daily(0, 0, 9).into_iter().chain(daily(1, 0, 9)) {
        learner.see(activity);
    }
    let mut seed = Vec::new();
    learner.write_seed(&mut seed).unwrap();
    let records = read_seed(seed.as_slice()).unwrap();
    assert_eq!(records.len(), 3, "the image, the pusher, and since when the account is watched");
    let store = InMemory::default();
    assert_eq!(block(sow(&store, &records)).unwrap(), 3);
    assert_eq!(block(sow(&store, &records)).unwrap(), 0, "again changes nothing");
    let keys: Vec<_> = records.iter().map(|record| record.key.clone()).collect();
    let found = block(store.load(&keys)).unwrap();
    assert!(found.iter().all(|record| record.sighting.as_ref().unwrap().first == at("2026-03-02T09:00:00Z")));
}

#[test]
fn a_seed_that_is_none_is_refused_with_its_line() {
    let mut learner = Learner::new(Policy::default(), "UTC".parse().unwrap(), Bounds::default());
    learner.see(happened(0, 0, 0, 0, 0));
    let mut seed = Vec::new();
    learner.write_seed(&mut seed).unwrap();
    let sound = String::from_utf8(seed).unwrap();
    for (text, expected) in [
        (String::new(), "holds no record".to_owned()),
        (format!("{sound}nonsense\n"), format!("line {} is no history record", sound.lines().count() + 1)),
        (sound.replace("\"sighting\"", "\"claim\""), "line 1".to_owned()),
        (sound.replace("\"kind\":\"sighting\"", "\"kind\":\"thread\""), "something else".to_owned()),
    ] {
        let error = read_seed(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn what_a_detection_of_malice_matched_stays_news() {
    let mut learner = Learner::new(Policy::default(), "UTC".parse().unwrap(), Bounds::default());
    let digest = format!("sha256:{}", "0a".repeat(32));
    // Of what else the same image did, only that the account is watched.
    // A run shows the image and that it was run.
    for (binary, sightings) in [("/usr/bin/xmrig", 0), ("/usr/bin/true", 2)] {
        let mut process = crate::detection::testing::process(binary, "");
        process.place.image = Some(crate::activity::ContainerImage {
            name: "team/app".to_owned(),
            digest: Some(digest.clone()),
        });
        learner.see(crate::detection::testing::executed(process));
        assert_eq!(learner.sightings().count(), sightings, "{binary}");
    }
}
