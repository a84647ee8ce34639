//! Builders for activities and facts, so that a test says only what it is about.

mod story;

pub use story::*;

use chrono::{DateTime, Utc};

use super::{Context, Detection, Match, Reason, Verdict};
use crate::activity::{
    Action, Activity, Actor, ActorKind, ApiCall, Cloud, Connection, ContainerImage, DeclaredContainer,
    Derivation, DerivationKind, GuardRail, GuardRailChange, ImageRef, Instance, Launch, Origin, Place,
    Process, Pull, Push, Scan, Start, Workload, WorkloadKind,
};
use crate::lookup::{
    Ancestor, Cause, Fact, FactKey, FactValue, Facts, ImageFact, Missing, Scope, SnapshotFact,
};
use crate::policy::Policy;

pub const ACCOUNT: &str = "111122223333";
pub const STRANGER: &str = "666677778888";
pub const AMAZON: &str = "137112412989";
pub const UBUNTU: &str = "099720109477";
pub const REGION: &str = "eu-central-1";
pub const AMI: &str = "ami-0a1b2c3d4e5f60718";
/// What a derivation made.
pub const COPY: &str = "ami-0c0c0c0c0c0c0c0c0";
pub const INSTANCE: &str = "i-0123456789abcdef0";
pub const ROLE: &str = "arn:aws:iam::111122223333:role/ci/build";

/// A policy from YAML.
pub fn policy(yaml: &str) -> Policy {
    serde_saphyr::from_str(yaml).unwrap()
}

pub fn scope(region: &str) -> Scope {
    Scope { account: ACCOUNT.to_owned(), region: region.to_owned() }
}

pub fn actor() -> Actor {
    Actor {
        kind: ActorKind::AssumedRole,
        principal: ROLE.to_owned(),
        name: "build".to_owned(),
        account: Some(ACCOUNT.to_owned()),
        session: Some("run-42".to_owned()),
        source_identity: None,
        invoked_by: None,
        access_key_id: Some("ASIAIOSFODNN7EXAMPLE".to_owned()),
        mfa: None,
    }
}

/// An activity of the role `build` on a Wednesday at noon.
pub fn activity(action: Action) -> Activity {
    Activity {
        id: "event-1".to_owned(),
        time: at("2026-05-13T12:00:00Z"),
        time_is_arrival: false,
        time_claimed: None,
        shared: false,
        account: ACCOUNT.to_owned(),
        region: REGION.to_owned(),
        cloud: Cloud::Aws,
        actor: Some(actor()),
        api: Some(ApiCall {
            service: "ec2.amazonaws.com".to_owned(),
            operation: "RunInstances".to_owned(),
            error_code: None,
            error_message: None,
            request_id: None,
            source_ip: Some("198.51.100.7".to_owned()),
            user_agent: None,
        }),
        action,
    }
}

pub fn at(time: &str) -> DateTime<Utc> {
    time.parse().unwrap()
}

/// One instance started from an image id.
pub fn launch(image: &str) -> Launch {
    Launch {
        image: ImageRef::Id(image.to_owned()),
        instances: vec![Instance { id: INSTANCE.to_owned(), ..Instance::default() }],
        count: 1,
        instance_type: Some("t3.micro".to_owned()),
        ..Launch::default()
    }
}

pub fn launched(launch: Launch) -> Activity {
    activity(Action::ImageLaunched(launch))
}

pub fn derived(kind: DerivationKind, origins: Vec<Origin>) -> Activity {
    let image = Some(COPY.to_owned());
    activity(Action::ImageDerived(Derivation { kind, image, name: Some("golden".to_owned()), origins }))
}

pub fn push() -> Push {
    Push {
        repository: "team/app".to_owned(),
        registry: ACCOUNT.to_owned(),
        tag: Some("1.4".to_owned()),
        digest: Some(digest()),
        ..Push::default()
    }
}

pub fn pushed(push: Push) -> Activity {
    activity(Action::ImagePushed(push))
}

pub fn digest() -> String {
    format!("sha256:{}", "ab".repeat(32))
}

/// Scan results, which name no actor.
pub fn scanned(scan: Scan) -> Activity {
    Activity { actor: None, ..activity(Action::ImageScanned(scan)) }
}

/// A complete scan of `team/app` with these counts.
pub fn counts(counts: &[(&str, u64)]) -> Scan {
    Scan {
        repository: "team/app".to_owned(),
        registry: ACCOUNT.to_owned(),
        digest: digest(),
        counts: counts.iter().map(|(severity, count)| ((*severity).to_owned(), *count)).collect(),
        ..Scan::default()
    }
}

/// The single findings of [`counts`]'s image are not there.
pub fn no_findings() -> Given {
    no_findings_fact(Fact::Absent)
}

pub fn no_findings_fact(fact: Fact) -> Given {
    let key = FactKey::ScanFindings {
        scope: scope(REGION),
        registry: ACCOUNT.to_owned(),
        repository: "team/app".to_owned(),
        digest: digest(),
    };
    Given::none().fact(key, fact)
}

pub fn changed(change: GuardRailChange) -> Activity {
    activity(Action::GuardRailChanged(GuardRail { change, target: ACCOUNT.to_owned(), failed: None }))
}

pub fn image(id: &str, owner: &str) -> ImageFact {
    ImageFact {
        image_id: id.to_owned(),
        owner_id: Some(owner.to_owned()),
        name: Some("some-image".to_owned()),
        creation_date: Some("2026-01-10T00:00:00.000Z".to_owned()),
        ..ImageFact::default()
    }
}

/// Facts by hand. What is not given is asked for.
#[derive(Default)]
pub struct Given(pub Facts);

impl Given {
    pub fn none() -> Self {
        Self::default()
    }

    pub fn fact(mut self, key: FactKey, fact: Fact) -> Self {
        self.0.insert(key, fact);
        self
    }

    pub fn image(self, fact: ImageFact) -> Self {
        self.image_in(REGION, fact)
    }

    pub fn image_in(self, region: &str, fact: ImageFact) -> Self {
        let key = FactKey::Image { scope: scope(region), image: fact.image_id.clone() };
        self.fact(key, Fact::Known(FactValue::Image(Box::new(fact))))
    }

    pub fn no_image(self, id: &str, fact: Fact) -> Self {
        self.no_image_in(REGION, id, fact)
    }

    pub fn no_image_in(self, region: &str, id: &str, fact: Fact) -> Self {
        self.fact(FactKey::Image { scope: scope(region), image: id.to_owned() }, fact)
    }

    pub fn instance_image(self, instance: &str, fact: Fact) -> Self {
        self.fact(FactKey::InstanceImage { scope: scope(REGION), instance: instance.to_owned() }, fact)
    }

    pub fn ancestry(self, image: &str, chain: &[(&str, Option<&str>)]) -> Self {
        let entries = chain
            .iter()
            .enumerate()
            .map(|(position, (id, region))| Ancestor {
                image_id: (*id).to_owned(),
                source_image_id: chain.get(position + 1).map(|(id, _)| (*id).to_owned()),
                source_image_region: region.map(str::to_owned),
                ..Ancestor::default()
            })
            .collect();
        self.ancestry_fact(image, Fact::Known(FactValue::Ancestry(entries)))
    }

    pub fn ancestry_fact(self, image: &str, fact: Fact) -> Self {
        self.fact(FactKey::Ancestry { scope: scope(REGION), image: image.to_owned() }, fact)
    }

    pub fn snapshot(self, id: &str, owner: &str) -> Self {
        let fact = SnapshotFact {
            snapshot_id: id.to_owned(),
            owner_id: Some(owner.to_owned()),
            ..SnapshotFact::default()
        };
        let key = FactKey::Snapshot { scope: scope(REGION), snapshot: id.to_owned() };
        self.fact(key, Fact::Known(FactValue::Snapshot(fact)))
    }

    pub fn allowed_images(self, fact: Fact) -> Self {
        self.fact(FactKey::AllowedImages { scope: scope(REGION) }, fact)
    }

    /// `GetAllowedImagesSettings` as the CLI prints it.
    pub fn allowed_images_json(self, json: &str) -> Self {
        self.allowed_images(Fact::Known(FactValue::AllowedImages(serde_json::from_str(json).unwrap())))
    }

    pub fn facts(&self) -> &Facts {
        &self.0
    }

    pub fn judge(&self, detection: &Detection, activity: &Activity, policy: &Policy) -> Verdict {
        (detection.judge)(activity, &context(policy, &self.0))
    }
}

pub fn denied() -> Fact {
    Fact::Unavailable(Missing::new(Cause::Denied, "AccessDenied"))
}

#[track_caller]
pub fn matched(verdict: Verdict) -> Match {
    match verdict {
        Verdict::Match(mut matches) if matches.len() == 1 => matches.remove(0),
        other => panic!("expected one match, got {other:?}"),
    }
}

/// The matches about several subjects.
#[track_caller]
pub fn all_matched(verdict: Verdict) -> Vec<Match> {
    assert!(verdict.matches().len() > 1, "expected several matches, got {verdict:?}");
    verdict.matches().to_vec()
}

#[track_caller]
pub fn passed(verdict: Verdict) -> String {
    match verdict {
        Verdict::Pass(why) => why.into_owned(),
        other => panic!("expected a pass, got {other:?}"),
    }
}

#[track_caller]
pub fn not_applicable(verdict: Verdict) -> String {
    match verdict {
        Verdict::NotApplicable(why) => why.into_owned(),
        other => panic!("expected not applicable, got {other:?}"),
    }
}

#[track_caller]
pub fn cannot_tell(verdict: Verdict) -> Reason {
    match verdict {
        Verdict::CannotTell(reason) => reason,
        other => panic!("expected doubt, got {other:?}"),
    }
}

#[track_caller]
pub fn needed(verdict: Verdict) -> Vec<FactKey> {
    match verdict {
        Verdict::Need(keys) => keys,
        other => panic!("expected needs, got {other:?}"),
    }
}

/// A context without history.
pub fn context<'a>(policy: &'a Policy, facts: &'a Facts) -> Context<'a> {
    static NONE: std::sync::LazyLock<crate::history::Memory> =
        std::sync::LazyLock::new(crate::history::Memory::none);
    Context { policy, facts, memory: &NONE, matches: &[] }
}

/// A pod `web-1` in the namespace `web`, with this image.
pub fn pod(image: &str) -> Place {
    Place {
        cluster: Some("shop".to_owned()),
        namespace: Some("web".to_owned()),
        pod: Some("web-1".to_owned()),
        container: Some("0123456789ab".to_owned()),
        image: Some(ContainerImage { name: image.to_owned(), digest: None }),
        ..Place::default()
    }
}

/// Something that happened at run time, which names no actor and no call.
pub fn ran(action: Action) -> Activity {
    Activity { actor: None, api: None, ..activity(action) }
}

pub fn started(image: &str) -> Activity {
    ran(Action::ContainerStarted(Start { place: pod(image), ..Start::default() }))
}

pub fn pulled(image: &str) -> Activity {
    let image = ContainerImage { name: image.to_owned(), digest: None };
    ran(Action::ImagePulled(Pull { image, ..Pull::default() }))
}

/// A program started in the pod of [`pod`].
pub fn process(binary: &str, arguments: &str) -> Process {
    Process {
        place: pod("111122223333.dkr.ecr.eu-central-1.amazonaws.com/team/app:1"),
        binary: binary.to_owned(),
        arguments: arguments.to_owned(),
        ..Process::default()
    }
}

pub fn executed(process: Process) -> Activity {
    ran(Action::ProcessStarted(process))
}

/// A declaration of one container with this image.
pub fn workload(kind: WorkloadKind, image: &str) -> Workload {
    Workload {
        kind,
        name: "web".to_owned(),
        cluster: None,
        namespace: None,
        containers: vec![DeclaredContainer {
            name: "app".to_owned(),
            image: ContainerImage { name: image.to_owned(), digest: None },
            ..DeclaredContainer::default()
        }],
        cpu: None,
        count: None,
        definition: None,
        command: None,
        failed: None,
    }
}

pub fn declared(workload: Workload) -> Activity {
    activity(Action::WorkloadDeclared(workload))
}

pub fn connection(destination: &str, port: u16) -> Connection {
    Connection {
        place: pod("111122223333.dkr.ecr.eu-central-1.amazonaws.com/team/app:1"),
        destination: destination.parse().unwrap(),
        port,
        protocol: Some("tcp".to_owned()),
        process: Some("/app/server".to_owned()),
        domain: None,
        rejected: false,
    }
}

pub fn connected(connection: Connection) -> Activity {
    ran(Action::Connected(connection))
}
