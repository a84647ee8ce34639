//! An activity in plain English. Nothing here is made safe: names stand as the event has them, and
//! every renderer sends the finished line through [`super::safe`].

use super::{Alert, deeds};
use crate::activity::{
    Action, Activity, Actor, ActorKind, Artifact, Cloud, Derivation, DerivationKind, GuardRail,
    GuardRailChange, Launch, LaunchOutcome, Origin, Push, Scan, ScanStatus, Share,
};
use crate::detection::Subject;

/// How many names of a list are told before the rest is a count.
const LISTED: usize = 5;

/// The most severe detection's title; that of an alert about blindness must not sound like a match.
pub fn title(alert: &Alert) -> &'static str {
    match (&alert.subject, alert.lead()) {
        (Subject::Blind { .. }, _) if itself(alert) => "Imagewarden cannot see, or cannot tell anybody",
        (Subject::Blind { .. } | Subject::Unchecked { .. }, _) => {
            "Could not tell whether an image is approved"
        }
        (_, Some(lead)) => lead.detection.title,
        (_, None) => "Something to look at",
    }
}

/// About the function itself.
fn itself(alert: &Alert) -> bool {
    matches!(alert.activity.action, Action::SelfChecked(_))
}

/// The title, `Update:` before it in a thread opened before.
pub fn headline(alert: &Alert) -> String {
    if alert.update { format!("Update: {}", title(alert)) } else { title(alert).to_owned() }
}

/// What an alert is about, short.
pub fn about(subject: &Subject) -> String {
    match subject {
        Subject::MachineImage { image, .. } | Subject::Unchecked { image, .. } => image.clone(),
        Subject::Push { repository, .. } | Subject::Repository { repository } => repository.clone(),
        Subject::Scan { repository, digest } => format!("{repository} {}", short(digest)),
        Subject::GuardRail { setting, target } => format!("{setting} of {target}"),
        Subject::ContainerImage { repository } => repository.clone(),
        Subject::Runtime { place } => place.clone(),
        Subject::Template { template } => template.clone(),
        Subject::Blind { code, .. } => code.clone(),
        Subject::Storm { detection } => detection.clone(),
    }
}

/// What every form tells of an activity: a label, and one line each.
pub fn facts(activity: &Activity) -> impl Iterator<Item = (&'static str, String)> {
    let known = [
        ("What", what(activity)),
        ("Who", who(activity)),
        ("Where", place(activity)),
        ("When", when(activity)),
    ];
    known.into_iter().chain(origin(activity).map(|origin| ("From", origin)))
}

/// What happened, in one line.
pub fn what(activity: &Activity) -> String {
    match &activity.action {
        Action::ImageLaunched(launch) => launched(launch),
        Action::ImageDerived(derivation) => derived(derivation),
        Action::DiskMade(disk) => format!("made {} from {}", disk.id, made_from(&disk.origin)),
        Action::VolumeAttached(attachment) => deeds::attached(attachment),
        Action::ImageShared(share) => shared(share),
        Action::ImagePushed(push) => pushed(push),
        Action::ImageScanned(scan) => scanned(scan),
        Action::GuardRailChanged(guard_rail) => changed(guard_rail),
        Action::LaunchTemplateChanged(change) => deeds::template(change),
        Action::UserDataChanged(change) => deeds::user_data(change),
        Action::InstanceStopped(change) => deeds::instances("stopped", change),
        Action::InstanceStarted(change) => deeds::instances("started", change),
        Action::ImagesSearched(search) => deeds::searched(search),
        Action::ImagePulled(pull) => deeds::pulled(pull),
        Action::WorkloadDeclared(workload) => deeds::declared(workload),
        Action::ContainerStarted(start) => deeds::container(start),
        Action::ProcessStarted(process) => deeds::process(process),
        Action::Connected(connection) => deeds::connected(connection),
        Action::NameResolved(resolution) => deeds::resolved(resolution),
        Action::VerdictReported(reported) => deeds::reported(reported),
        Action::MonitoringChanged(change) => deeds::monitoring(change),
        Action::PolicyChanged(change) => deeds::policy(change),
        Action::SelfChecked(check) => {
            let found = count(check.failures.len() as u64, "failure", "failures");
            format!("self-check of {}: {found}", activity.time.format("%Y-%m-%d"))
        }
    }
}

/// Who did it, the person first where one is known.
pub fn who(activity: &Activity) -> String {
    let Some(actor) = &activity.actor else {
        return match &activity.action {
            Action::SelfChecked(_) => "Imagewarden, about itself".to_owned(),
            Action::ImageLaunched(launch) if launch.found_running => "not known: EC2 does not say".to_owned(),
            _ => "nobody is named by the event".to_owned(),
        };
    };
    let mut text = if actor.name.is_empty() { actor.principal.clone() } else { actor.name.clone() };
    text.push_str(kind(actor.kind));
    if actor.principal != actor.name && actor.principal != "unknown" && !actor.name.is_empty() {
        text.push_str(&format!(", {}", actor.principal));
    }
    if let Some(session) = actor.session.as_ref().filter(|session| **session != actor.name) {
        text.push_str(&format!(", session {session}"));
    }
    if let Some(identity) = &actor.source_identity {
        text.push_str(&format!(", source identity {identity}"));
    }
    if let Some(service) = actor.invoked_by.as_ref().filter(|service| **service != actor.name) {
        text.push_str(&format!(", through {service}"));
    }
    if let Some(account) = foreign(actor, activity) {
        text.push_str(&format!(", of ANOTHER ACCOUNT ({account})"));
    }
    if actor.mfa == Some(false) && matches!(actor.kind, ActorKind::Root | ActorKind::IamUser) {
        text.push_str(", without MFA");
    }
    text
}

fn foreign<'a>(actor: &'a Actor, activity: &Activity) -> Option<&'a str> {
    let account = actor.account.as_deref()?;
    (!activity.account.is_empty() && account != activity.account).then_some(account)
}

fn kind(kind: ActorKind) -> &'static str {
    match kind {
        ActorKind::Root => " (root user)",
        ActorKind::IamUser => " (IAM user)",
        ActorKind::AssumedRole => " (assumed role)",
        ActorKind::SsoUser => " (IAM Identity Center)",
        ActorKind::FederatedUser => " (federated user)",
        ActorKind::WebIdentityUser => " (web identity)",
        ActorKind::SamlUser => " (SAML user)",
        ActorKind::Service => " (AWS service)",
        ActorKind::ServiceLinkedRole => " (service-linked role)",
        ActorKind::AwsAccount => " (AWS account)",
        ActorKind::IdentityCenterUser => " (Identity Center user)",
        ActorKind::Unknown => "",
    }
}

/// Account and region.
pub fn place(activity: &Activity) -> String {
    let named = |name: &str| if name.is_empty() { "not named".to_owned() } else { name.to_owned() };
    let account = match activity.cloud {
        Cloud::Aws => "account",
        Cloud::Azure => "Azure subscription",
        Cloud::Gcp => "Google Cloud project",
    };
    format!("{account} {}, region {}", named(&activity.account), named(&activity.region))
}

/// Event time with the day of the week, since hours and weekends are judged.
pub fn when(activity: &Activity) -> String {
    let time = activity.time.format("%a %Y-%m-%d %H:%M:%S UTC");
    match activity.time_claimed {
        Some(claimed) => {
            let claimed = claimed.format("%Y-%m-%d %H:%M:%S UTC");
            format!("{time} (arrival: the event gives a time to come, {claimed})")
        }
        None if activity.time_is_arrival => format!("{time} (arrival: the event carries no time)"),
        None => time.to_string(),
    }
}

/// Address and client of the call.
pub fn origin(activity: &Activity) -> Option<String> {
    let api = activity.api.as_ref()?;
    match (&api.source_ip, &api.user_agent) {
        (Some(ip), Some(agent)) if ip != agent => Some(format!("{ip}, with {agent}")),
        (Some(one), _) | (None, Some(one)) => Some(one.clone()),
        (None, None) => None,
    }
}

/// Why a reader should care: what the subject means to T1204.003.
pub fn why(alert: &Alert) -> &'static str {
    if alert.lead().is_some_and(|lead| lead.detection.id.starts_with("user-data-")) {
        return "User data runs as root, at the first boot and before any agent. Whoever writes it owns the machine \
                and its role's credentials, whatever image is under it.";
    }
    match (&alert.subject, &alert.activity.action) {
        (
            Subject::MachineImage { .. },
            Action::ImageLaunched(Launch { outcome: LaunchOutcome::Attempted(_), .. }),
        ) => {
            "Nothing was started. But whoever tries images, sizes or permissions until one works may \
             be holding stolen credentials, and a next attempt can succeed."
        }
        (Subject::MachineImage { .. }, Action::ImageDerived(_)) => {
            "An image made here counts as the account's own from now on, whatever is in it. Copying \
             or registering a foreign image is how one gets past a check of the owner."
        }
        (Subject::MachineImage { .. }, _) => {
            "Whoever made an image decides what runs in it, as root and from the first second: a miner, \
             a back door, a stealer of the instance role's credentials."
        }
        (Subject::Push { .. }, _) => {
            "What is pushed to a repository is what the next deployment runs. A push at an odd hour, or by \
             somebody who never pushes, is how a malicious image gets in under a trusted name."
        }
        (Subject::Repository { .. }, _) => {
            "Each of these alone may have an innocent reason. So many of different kinds in one repository within so \
             short a time seldom do."
        }
        (Subject::Scan { .. }, _) => {
            "Every container started from this image carries these weaknesses, and those already running \
             do now. A scan finds known weaknesses, not malware: a clean one would prove little."
        }
        (Subject::GuardRail { .. }, _) => {
            "This setting keeps bad images out or makes them visible. Lowering it is a step that comes \
             before using one, and what happens after it may go unseen."
        }
        (Subject::ContainerImage { .. }, _) => {
            "Whoever made the image decides what runs in every container started from it, beside your data and \
             with the permissions of its task or service account."
        }
        (Subject::Runtime { .. }, _) => {
            "What ran here is what a malicious image is for: mining, a back door, a search for credentials. It \
             runs now, so look at it before the image."
        }
        (Subject::Template { .. }, _) => {
            "Everything launched from it from now on runs this as root, at its first boot, and Auto Scaling \
             launches without anybody looking."
        }
        (Subject::Storm { .. }, _) => {
            "Either something is wrong on a large scale, or somebody floods this channel to hide one event among \
             many. Further alerts of this detection are counted here and not told singly until they become fewer."
        }
        (Subject::Unchecked { .. }, _) => {
            "Silence from a check that cannot see would look like all is well. Take the image for one that is \
             not approved until somebody has looked at it."
        }
        (Subject::Blind { .. }, _) => {
            "Silence from a check that cannot see would look like all is well. Until this is mended, \
             images here are not checked. More of the same cause joins this thread for the rest of the day."
        }
    }
}

/// `1 instance`, `3 instances`, `12,000 instances`.
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number), if number == 1 { one } else { many })
}

/// `12,000`
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `a, b, c and 7 more`.
pub fn list<'a>(items: impl IntoIterator<Item = &'a str>, total: usize) -> String {
    let shown: Vec<&str> = items.into_iter().take(LISTED).collect();
    let rest = total.saturating_sub(shown.len());
    let text = shown.join(", ");
    if rest == 0 { text } else { format!("{text} and {}", count(rest as u64, "more", "more")) }
}

fn launched(launch: &Launch) -> String {
    let number = u64::from(launch.count).max(launch.instances.len() as u64);
    let mut instances = if number == 0 {
        "instances (how many is not told)".to_owned()
    } else {
        count(number, "instance", "instances")
    };
    if let Some(size) = &launch.instance_type {
        instances = format!("{instances} of type {size}");
    }
    let image = match launch.image.label().as_str() {
        "unknown" => "an image the event does not name".to_owned(),
        label => label.to_owned(),
    };
    match &launch.outcome {
        LaunchOutcome::Succeeded if launch.found_running => {
            let ids = list(launch.instances.iter().map(|instance| instance.id.as_str()), number as usize);
            format!("found {instances} of {image} running, with no event of the launch: {ids}")
        }
        LaunchOutcome::Succeeded if launch.instances.is_empty() => {
            format!("launched {instances} from {image}")
        }
        LaunchOutcome::Succeeded => {
            let ids = list(launch.instances.iter().map(|instance| instance.id.as_str()), number as usize);
            format!("launched {instances} from {image}: {ids}")
        }
        LaunchOutcome::Attempted(error) => {
            format!("tried to launch {instances} from {image}, and failed: {error}")
        }
        LaunchOutcome::DryRun => format!("dry run of launching {instances} from {image}"),
    }
}

fn derived(derivation: &Derivation) -> String {
    let verb = match derivation.kind {
        DerivationKind::Copied => "copied",
        DerivationKind::Created => "created",
        DerivationKind::Registered => "registered",
        DerivationKind::Imported => "imported",
        DerivationKind::Restored => "restored",
    };
    let image = derivation.image.as_deref().unwrap_or("a new image");
    let mut text = match &derivation.name {
        Some(name) => format!("{verb} {image} (named {name})"),
        None => format!("{verb} {image}"),
    };
    let origins: Vec<String> = derivation.origins.iter().map(made_from).collect();
    if !origins.is_empty() {
        text.push_str(&format!(" from {}", list(origins.iter().map(String::as_str), origins.len())));
    }
    text
}

fn made_from(origin: &Origin) -> String {
    match origin {
        Origin::Image { id, region } | Origin::RemoteSnapshot { id, region } if region.is_empty() => {
            id.clone()
        }
        Origin::Image { id, region } | Origin::RemoteSnapshot { id, region } => format!("{id} in {region}"),
        Origin::Instance(id) | Origin::Snapshot(id) | Origin::Volume(id) | Origin::Disk(id) => id.clone(),
        Origin::Blocks => "blocks written from outside".to_owned(),
    }
}

fn shared(share: &Share) -> String {
    let to = |accounts: &[String]| {
        list(accounts.iter().map(|to| if to == "all" { "everyone (public)" } else { to }), accounts.len())
    };
    let mut text = format!("changed who may launch {}", share.image);
    if !share.added.is_empty() {
        text.push_str(&format!("; added {}", to(&share.added)));
    }
    if !share.removed.is_empty() {
        text.push_str(&format!("; removed {}", to(&share.removed)));
    }
    text
}

fn pushed(push: &Push) -> String {
    let thing = match push.artifact {
        Artifact::Image | Artifact::Index => "",
        Artifact::Signature => "a signature to ",
        Artifact::Attestation => "an attestation to ",
        Artifact::Other => "an artifact to ",
    };
    let public = if push.public { ", a PUBLIC repository" } else { "" };
    let name = reference(&push.repository, push.tag.as_deref(), push.digest.as_deref());
    match &push.failed {
        Some(error) => format!("tried to push {thing}{name}{public}, and failed: {error}"),
        None => format!("pushed {thing}{name}{public}"),
    }
}

fn scanned(scan: &Scan) -> String {
    let tags = scan.tags.first().map(String::as_str);
    let name = reference(&scan.repository, tags, Some(&scan.digest));
    match &scan.status {
        ScanStatus::Failed(status) => format!("scan of {name} did not complete: {status}"),
        ScanStatus::Closed(status) => format!("finding about {name} is {}", status.to_lowercase()),
        ScanStatus::Complete => {
            const ORDER: [&str; 4] = ["CRITICAL", "HIGH", "MEDIUM", "LOW"];
            let rank =
                |severity: &str| ORDER.iter().position(|known| *known == severity).unwrap_or(ORDER.len());
            let mut counts: Vec<(&String, &u64)> = scan.counts.iter().collect();
            counts.sort_by_key(|(severity, _)| rank(severity));
            let counts: Vec<String> = counts
                .iter()
                .map(|(severity, number)| format!("{number} {}", severity.to_lowercase()))
                .collect();
            let found = if counts.is_empty() { "nothing found".to_owned() } else { counts.join(", ") };
            format!("scan of {name}: {found}")
        }
    }
}

/// `team/app:1.4 (sha256:98c8b060c21d)`
fn reference(repository: &str, tag: Option<&str>, digest: Option<&str>) -> String {
    let repository = if repository.is_empty() { "a repository the event does not name" } else { repository };
    let digest = digest.filter(|digest| !digest.is_empty()).map(short);
    match (tag, digest) {
        (Some(tag), Some(digest)) => format!("{repository}:{tag} ({digest})"),
        (Some(tag), None) => format!("{repository}:{tag}"),
        (None, Some(digest)) => format!("{repository} (untagged, {digest})"),
        (None, None) => repository.to_owned(),
    }
}

/// A digest's first twelve digits, as container tools show it.
pub fn short(digest: &str) -> &str {
    digest.get(..19).unwrap_or(digest)
}

fn changed(guard_rail: &GuardRail) -> String {
    let target = if guard_rail.target.is_empty() { "an unnamed target" } else { guard_rail.target.as_str() };
    let change = match &guard_rail.change {
        GuardRailChange::AllowedImagesDisabled => "switched Allowed AMIs off".to_owned(),
        GuardRailChange::AllowedImagesEnabled(state) if state.is_empty() => {
            "switched Allowed AMIs on".to_owned()
        }
        GuardRailChange::AllowedImagesEnabled(state) => format!("set Allowed AMIs to {state}"),
        GuardRailChange::AllowedImagesCriteria(criteria) => {
            let providers: Vec<&str> =
                criteria.iter().flat_map(|criterion| &criterion.providers).map(String::as_str).collect();
            let providers = list(providers.iter().copied(), providers.len());
            let number = count(criteria.len() as u64, "criterion", "criteria");
            format!("replaced the criteria of Allowed AMIs by {number} (providers: {providers})")
        }
        GuardRailChange::ScanOnPush(Some(true)) => "switched scan on push on".to_owned(),
        GuardRailChange::ScanOnPush(Some(false)) => "switched scan on push off".to_owned(),
        GuardRailChange::ScanOnPush(None) => "changed scan on push".to_owned(),
        GuardRailChange::RegistryScanning { scan_type, rules } => {
            let rules = count(rules.len() as u64, "rule", "rules");
            format!(
                "set registry scanning to {} with {rules}",
                scan_type.as_deref().unwrap_or("an unnamed type")
            )
        }
        GuardRailChange::TagMutability(setting) => format!("set tag mutability to {setting}"),
        GuardRailChange::AccessGranted { registry: true, .. } => "replaced the registry policy".to_owned(),
        GuardRailChange::AccessGranted { registry: false, .. } => "replaced the repository policy".to_owned(),
        GuardRailChange::PullThroughCache { upstream, prefix } => {
            format!("made a pull-through cache of {upstream} under {prefix}")
        }
        GuardRailChange::ReplicationTo(registries) if registries.is_empty() => {
            "switched replication off".to_owned()
        }
        GuardRailChange::ReplicationTo(registries) => {
            let to = list(registries.iter().map(String::as_str), registries.len());
            format!("set replication to {to}")
        }
        GuardRailChange::ReplicatedFrom { account, region, image } => {
            format!("stored {image}, replicated from account {account} in {region},")
        }
        GuardRailChange::Signing(None) => "deleted the signing configuration".to_owned(),
        GuardRailChange::Signing(Some(profiles)) => {
            format!("set {} to sign images", count(profiles.len() as u64, "profile", "profiles"))
        }
        GuardRailChange::PublicImagesUnblocked => "allowed images to be made public".to_owned(),
        GuardRailChange::WatermarkDetached { image, key } => {
            format!("detached the watermark {key} from {image}")
        }
    };
    match &guard_rail.failed {
        Some(error) => format!("tried, and failed ({error}): {change} for {target}"),
        None => format!("{change} for {target}"),
    }
}
