//! From counts to a proposal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Learner;
use super::blame::MALICIOUS;
use super::draft::{Draft, Entry, takes};
use super::hours::{self, plain};
use super::images::{Key, Launched};
use super::seen::Seen;
use super::write::pusher;
use crate::activity::{Action, Activity, ActorKind, ImageRef};
use crate::alert::count;
use crate::detection::Context;
use crate::detection::Verdict;
use crate::detection::catalog::{self, Known};
use crate::detection::launch::{self, Image};
use crate::engine;
use crate::history::Memory;
use crate::lookup::{Fact, FactKey, FactValue, Facts, ImageFact, Lookup};
use crate::policy::{Pusher, Schedule};
use crate::user_data::signal::hosts::{HostKind, Url, is_drop_host, is_trusted};
use crate::user_data::{Conclusion, Content, Trust, decode, inspect};

/// Images of one foreign owner from which on the owner is proposed instead of each image.
const OWNER_IMAGES: usize = 3;
/// Repositories of one principal from which on they are told by what they begin with.
const REPOSITORIES: usize = 24;
/// Images a command names.
const COMMAND_IMAGES: usize = 100;

/// Publishers of operating systems in the Azure Marketplace.
const AZURE_PUBLISHERS: [&str; 10] = [
    "canonical",
    "redhat",
    "debian",
    "suse",
    "oracle",
    "almalinux",
    "resf",
    "microsoftwindowsserver",
    "microsoftcblmariner",
    "microsoftsqlserver",
];
/// Google's own projects of public images.
const GCP_PROJECTS: [&str; 16] = [
    "centos-cloud",
    "cos-cloud",
    "debian-cloud",
    "fedora-coreos-cloud",
    "gke-node-images",
    "opensuse-cloud",
    "oracle-linux-cloud",
    "rhel-cloud",
    "rhel-sap-cloud",
    "rocky-linux-cloud",
    "rocky-linux-accelerator-cloud",
    "suse-cloud",
    "suse-sap-cloud",
    "ubuntu-os-cloud",
    "ubuntu-os-pro-cloud",
    "windows-cloud",
];

impl Learner {
    /// The proposal. Asks the look-up about every image once.
    pub async fn conclude<L: Lookup>(&self, lookup: &L) -> Draft {
        let mut draft = Draft { header: self.header(), ..Draft::default() };
        self.images(lookup, &mut draft).await;
        self.uploads(&mut draft);
        self.registries(&mut draft);
        for (detection, seen) in &self.loud {
            draft.loud.push(Entry::refused(
                (*detection).to_owned(),
                seen.told("match", "matches"),
                "no policy excuses this",
            ));
        }
        // What policies take is not known here, but there.
        draft.hold_to_policy();
        draft
    }

    fn header(&self) -> Vec<String> {
        let mut header = Vec::new();
        let span = self.span.map_or_else(String::new, |(first, last)| {
            format!(", {} to {}", first.format("%Y-%m-%d"), last.format("%Y-%m-%d"))
        });
        header.push(format!("From {}{span}.", count(self.activities, "activity", "activities")));
        if !self.accounts.is_empty() {
            let named: Vec<&str> = self.accounts.iter().take(12).map(String::as_str).collect();
            let rest = self.accounts.len().saturating_sub(named.len());
            let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
            header.push(format!("Accounts: {}{more}.", named.join(", ")));
        }
        for (number, what) in [
            (self.images.uncounted, "launches of further images"),
            (self.pushes.uncounted, "pushes by further pushers"),
            (self.registries.uncounted, "uses of further container images"),
        ] {
            if number > 0 {
                header.push(format!("{} not told apart: there are too many.", count(number, what, what)));
            }
        }
        header
    }

    async fn images<L: Lookup>(&self, lookup: &L, draft: &mut Draft) {
        let mut usual: BTreeMap<&'static str, (Seen, BTreeSet<&str>)> = BTreeMap::new();
        let mut foreign: BTreeMap<String, Vec<Foreign<'_>>> = BTreeMap::new();
        let mut unknown: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
        let mut hosts: BTreeMap<String, (Seen, bool)> = BTreeMap::new();
        for (key, launched) in &self.images.by_image {
            let mut facts = Facts::default();
            let judgement = engine::judge(
                Arc::new(launched.latest.clone()),
                &self.base,
                lookup,
                &Memory::none(),
                &mut facts,
            )
            .await;
            let malicious = judgement.verdicts.iter().find_map(|(detection, verdict)| {
                let named = MALICIOUS.contains(&detection.id) && matches!(verdict, Verdict::Match(_));
                named.then(|| format!("{} matches it", detection.id))
            });
            let blamed = self.blame.has(&key.image) || launched.ids.iter().any(|id| self.blame.has(id));
            let malicious =
                malicious.or_else(|| blamed.then(|| "something malicious was seen in it".to_owned()));
            if malicious.is_none() {
                gather_hosts(&facts, &self.base.trust(), launched, &mut hosts);
            }
            let approval =
                judgement.verdicts.iter().find(|(detection, _)| detection.id == "machine-image-not-approved");
            let context =
                Context { policy: &self.base, facts: &facts, memory: &Memory::none(), matches: &[] };
            let known = known(&launched.latest, &context);
            match approval.map(|(_, verdict)| verdict) {
                Some(Verdict::Match(_)) => match &launched.latest.action {
                    Action::ImageLaunched(launch) => {
                        self.cloud(key, launched, &launch.image, malicious.clone(), draft);
                        if let Some(fact) = known {
                            let owner = fact.owner_id.clone().unwrap_or_default();
                            foreign.entry(owner).or_default().push(Foreign {
                                key,
                                launched,
                                fact,
                                malicious,
                            });
                        }
                    }
                    _ => continue,
                },
                Some(Verdict::CannotTell(reason)) => {
                    let review = malicious.unwrap_or_else(|| format!("not checked: {}", reason.text));
                    draft.images_unknown.push(Entry::refused(told(key), launched.told(), review));
                    let place = (key.account.clone(), key.region.clone());
                    if image_id(&key.image) {
                        unknown.entry(place).or_default().insert(key.image.clone());
                    }
                }
                Some(Verdict::Pass(_)) => {
                    let owner = known.as_ref().and_then(|fact| fact.owner_id.as_deref());
                    let place = catalog::place(&launched.latest);
                    let word = match owner {
                        Some(owner) if place.is("self", owner) => "self",
                        Some(owner) if place.is("amazon", owner) => "amazon",
                        _ => "else",
                    };
                    let (seen, images) =
                        usual.entry(word).or_insert_with(|| (launched.seen.blank(), BTreeSet::new()));
                    seen.join(&launched.seen);
                    images.insert(&key.image);
                    if let Some(why) = malicious {
                        draft.images_unknown.push(Entry::refused(
                            told(key),
                            launched.told(),
                            format!("approved already, but {why}"),
                        ));
                    }
                }
                _ => {}
            }
        }
        for word in &self.base.images.approved.owners {
            let evidence = match usual.get(word.as_str()) {
                Some((seen, images)) => {
                    format!(
                        "{}, {}",
                        count(images.len() as u64, "image", "images"),
                        seen.told("launch", "launches")
                    )
                }
                None => "in the policy; no launch was seen".to_owned(),
            };
            draft.owners.push(Entry::approved(word.clone(), evidence));
        }
        for (owner, images) in foreign {
            self.owner(&owner, &images, draft);
        }
        for (host, (seen, odd)) in hosts {
            let evidence = seen.told("launch script", "launch scripts");
            draft.hosts.push(match (odd, seen.is_habit()) {
                (true, _) => {
                    Entry::refused(host, evidence, "anybody can put files there, or it is a bare address")
                }
                (false, true) => {
                    Entry::approved(host, evidence).review("launch scripts fetch from it: is it yours?")
                }
                (false, false) => Entry::refused(host, evidence, "seldom used"),
            });
        }
        draft.facts_command = facts_command(&unknown);
    }

    /// Azure and Google Cloud say in the event whose image it is.
    fn cloud(
        &self,
        key: &Key,
        launched: &Launched,
        image: &ImageRef,
        malicious: Option<String>,
        draft: &mut Draft,
    ) {
        let (list, name, known) = match image {
            ImageRef::Azure { publisher, .. } => {
                let known = AZURE_PUBLISHERS.contains(&publisher.to_lowercase().as_str());
                (&mut draft.azure_publishers, publisher, known)
            }
            ImageRef::Gcp { project, .. } => {
                (&mut draft.gcp_projects, project, GCP_PROJECTS.contains(&project.as_str()))
            }
            ImageRef::AzureGallery { .. } => {
                let entry = Entry::refused(
                    told(key),
                    launched.told(),
                    "of another subscription or a community gallery: no key approves it",
                );
                draft.images_unknown.push(entry);
                return;
            }
            _ => return,
        };
        let entry = match malicious {
            Some(why) => Entry::refused(name.clone(), launched.told(), why),
            None if !plain(name) => {
                Entry::refused(name.clone(), launched.told(), "its name reads as a pattern")
            }
            None if known => Entry::approved(name.clone(), launched.told()),
            None => Entry::refused(
                name.clone(),
                launched.told(),
                "not a publisher of operating systems that is known here",
            ),
        };
        // Several regions and accounts are one line.
        match list.iter_mut().find(|known| known.value == entry.value) {
            Some(known) => {
                known.approved &= entry.approved;
                known.review = known.review.take().or(entry.review);
                known.evidence = format!("{}; {}", known.evidence, entry.evidence);
                known.evidence = crate::text::clean(&known.evidence, 200);
            }
            None => list.push(entry),
        }
    }

    /// An owner whom the policy does not approve, and the images of theirs that were launched.
    fn owner(&self, owner: &str, images: &[Foreign<'_>], draft: &mut Draft) {
        let Some(first) = images.first() else { return };
        let mut seen = first.launched.seen.blank();
        for image in images {
            seen.join(&image.launched.seen);
        }
        let place = catalog::place(&first.launched.latest);
        let evidence = |seen: &Seen| {
            format!("{}, {}", count(images.len() as u64, "image", "images"), seen.told("launch", "launches"))
        };
        let bad = images.iter().any(|image| image.malicious.is_some());
        let own = self.accounts.contains(owner);
        let vendor = place.vendor(owner);
        let refused_by_age = self.base.images.approved.owners.iter().any(|word| place.is(word, owner));
        if !bad && !refused_by_age && account(owner) && (own || vendor.is_some()) {
            let who = vendor.map_or("an account of this archive".to_owned(), |vendor| vendor.who.to_owned());
            draft.owners.push(Entry::approved(owner.to_owned(), format!("{who}: {}", evidence(&seen))));
            return;
        }
        let habitual = |image: &&Foreign<'_>| {
            image.malicious.is_none() && image.fact.public == Some(false) && image.launched.seen.is_habit()
        };
        let usual = images.iter().filter(habitual).count();
        if !bad && !refused_by_age && account(owner) && usual >= OWNER_IMAGES && usual == images.len() {
            let entry = Entry::approved(owner.to_owned(), evidence(&seen));
            draft.owners.push(entry.review("a foreign account that shares its images with this one"));
            return;
        }
        for image in images {
            let name = image.fact.name.as_deref().unwrap_or("unnamed");
            let evidence = format!("{name}, of {owner}: {}", image.launched.told());
            // A template or a parameter may have led to it.
            let id = if image_id(&image.fact.image_id) { &image.fact.image_id } else { &image.key.image };
            let id = id.clone();
            let entry = if let Some(why) = &image.malicious {
                Entry::refused(id, evidence, why.clone())
            } else if refused_by_age {
                Entry::refused(id, evidence, "its owner is approved, but it is too old or deprecated")
            } else if image.fact.public != Some(false) {
                Entry::refused(id, evidence, "a foreign owner's public image: anybody can offer such images")
            } else if !image_id(&id) {
                Entry::refused(id, evidence, "its id is none")
            } else if habitual(&image) {
                Entry::approved(id, evidence).review("a foreign owner's image, shared with this account")
            } else {
                Entry::refused(id, evidence, "a foreign owner's image, seldom used")
            };
            // The same image in another account is one line, and the worse answer stands.
            match draft.ids.iter_mut().find(|known| known.value == entry.value) {
                Some(known) if known.approved && !entry.approved => *known = entry,
                Some(_) => {}
                None => draft.ids.push(entry),
            }
        }
    }

    fn uploads(&self, draft: &mut Draft) {
        let defaults = self.base.uploads.schedules == [Schedule::default()];
        if defaults {
            let habits = hours::infer(&self.pushes, &self.zone);
            for inferred in habits.schedules {
                let entry = Entry::approved(inferred.schedule, inferred.evidence);
                draft.schedules.push(match inferred.review {
                    Some(review) => entry.review(review),
                    None => entry,
                });
            }
            for outside in habits.outside {
                let who = format!("{} to {}", outside.principal, outside.repository);
                let at = outside.seen.first.format("first %a %H:%M UTC");
                let evidence = format!("{}, {at}", outside.seen.told("push", "pushes"));
                draft.outside.push(Entry::refused(who, evidence, "outside the hours above"));
            }
        }
        let mut by_principal: BTreeMap<&str, Vec<(&str, &super::pushes::Pushed)>> = BTreeMap::new();
        for ((principal, repository), pushed) in &self.pushes.by_pair {
            if !self.base.pusher_allowed(repository, principal) {
                by_principal.entry(principal).or_default().push((repository, pushed));
            }
        }
        for (principal, repositories) in by_principal {
            let (mut approved, mut review) = (Vec::new(), None);
            let mut total: Option<Seen> = None;
            for (repository, pushed) in repositories {
                match self.odd_push(principal, repository, pushed) {
                    Push::Refused(why) => {
                        let pusher = Pusher {
                            principal: principal.to_owned(),
                            repositories: vec![repository.to_owned()],
                        };
                        draft.pushers.push(Entry::refused(pusher, pushed.seen.told("push", "pushes"), why));
                        continue;
                    }
                    Push::Odd(why) => review = Some(why),
                    Push::Usual => {}
                }
                approved.push(repository.to_owned());
                match &mut total {
                    Some(total) => total.join(&pushed.seen),
                    None => total = Some(pushed.seen.clone()),
                }
            }
            let Some(total) = total else { continue };
            let evidence = format!(
                "{} to {}",
                total.told("push", "pushes"),
                count(approved.len() as u64, "repository", "repositories")
            );
            if approved.len() > REPOSITORIES {
                approved = prefixes(&approved);
                review.get_or_insert("repositories by what they begin with: there are many");
            }
            let entry =
                Entry::approved(Pusher { principal: principal.to_owned(), repositories: approved }, evidence);
            draft.pushers.push(match review {
                Some(why) => entry.review(why),
                None => entry,
            });
        }
    }

    fn odd_push(&self, principal: &str, repository: &str, pushed: &super::pushes::Pushed) -> Push {
        let foreign = pushed
            .account
            .as_deref()
            .is_some_and(|account| account != pushed.event_account && !self.accounts.contains(account));
        if self.blame.has(repository) {
            Push::Refused("something malicious or critical was found in the repository")
        } else if principal.is_empty() || principal == "unknown" {
            Push::Refused("the events do not name who pushed")
        } else if !plain(principal) || !plain(repository) {
            Push::Refused("the name reads as a pattern, or is too long")
        } else if !takes_push(principal, repository) {
            Push::Refused("no policy takes this name")
        } else if pushed.kind == Some(ActorKind::Root) {
            Push::Refused("the root user")
        } else if pushed.kind == Some(ActorKind::Unknown) || pushed.kind.is_none() {
            Push::Refused("what kind of identity it is, is not known")
        } else if !pushed.seen.is_habit() {
            Push::Refused(if pushed.seen.days() < 2 { "on one day only" } else { "on two days only" })
        } else if foreign {
            Push::Odd("an identity of another account")
        } else {
            Push::Usual
        }
    }

    fn registries(&self, draft: &mut Draft) {
        for (repository, used) in &self.registries.by_repository {
            let places: Vec<&str> =
                used.places.iter().map(String::as_str).filter(|place| !place.is_empty()).collect();
            let evidence = if places.is_empty() {
                used.seen.told("use", "uses")
            } else {
                format!("{} in {}", used.seen.told("use", "uses"), places.join(", "))
            };
            let refused = |why: String| Entry::refused(repository.clone(), evidence.clone(), why);
            draft.registries.push(if self.blame.has(repository) {
                refused("something malicious was seen in it".to_owned())
            } else if used.miner {
                refused("a miner's or a mining pool's name".to_owned())
            } else if let Some(original) = used.imitates {
                refused(format!("passes for {original}"))
            } else if !plain(repository) {
                refused("the name reads as a pattern, or is too long".to_owned())
            } else if !used.seen.is_habit() {
                refused("seldom used".to_owned())
            } else if used.public && !used.well_known {
                refused("of a public registry, where anybody can publish".to_owned())
            } else if used.public {
                Entry::approved(repository.clone(), evidence.clone()).review("from a public registry")
            } else {
                Entry::approved(repository.clone(), evidence.clone())
                    .review("another registry than the account's own: is it yours?")
            });
        }
    }
}

/// One repository with a name that is none must not cost its pusher all others.
fn takes_push(principal: &str, repository: &str) -> bool {
    let value = Pusher { principal: principal.to_owned(), repositories: vec![repository.to_owned()] };
    takes(&format!("uploads: {{pushers: [{}]}}", pusher(&value)))
}

enum Push {
    Usual,
    /// Approved, for a look.
    Odd(&'static str),
    Refused(&'static str),
}

struct Foreign<'a> {
    key: &'a Key,
    launched: &'a Launched,
    fact: ImageFact,
    malicious: Option<String>,
}

impl Launched {
    fn told(&self) -> String {
        let instances = count(self.instances, "instance", "instances");
        let by: Vec<&str> = self.principals.iter().take(2).map(|it| name_of(it)).collect();
        let more = if self.principals.len() > by.len() { " and others" } else { "" };
        format!("{} ({instances}), by {}{more}", self.seen.told("launch", "launches"), by.join(", "))
    }
}

/// The last part of an ARN: what a reader knows a role or user by.
fn name_of(principal: &str) -> &str {
    match principal.rsplit(['/', ':']).next() {
        Some(name) if principal.starts_with("arn:") && !name.is_empty() => name,
        _ => principal,
    }
}

fn told(key: &Key) -> String {
    format!("{} in {} {}", key.image, key.account, key.region)
}

fn known(activity: &Activity, context: &Context<'_>) -> Option<ImageFact> {
    let Action::ImageLaunched(launched) = &activity.action else { return None };
    match launch::image(activity, launched, context) {
        Image::Known(Known { fact, .. }) => Some(fact.clone()),
        _ => None,
    }
}

fn account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What the policy takes as an image's id.
fn image_id(text: &str) -> bool {
    text.strip_prefix("ami-").is_some_and(|id| {
        matches!(id.len(), 8 | 17)
            && id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}

/// Hosts that a launch's scripts name and nobody trusts yet. Of a suspicious script none.
fn gather_hosts(
    facts: &Facts,
    trust: &Trust,
    launched: &Launched,
    hosts: &mut BTreeMap<String, (Seen, bool)>,
) {
    for (key, fact) in facts.iter() {
        let (FactKey::UserData { .. }, Fact::Known(FactValue::UserData(bytes))) = (key, fact) else {
            continue;
        };
        let inspection = inspect(bytes, trust, false);
        if bytes.is_empty()
            || matches!(inspection.conclusion, Conclusion::Suspicious | Conclusion::Undecodable)
        {
            continue;
        }
        let mut here = BTreeMap::new();
        for piece in decode::decode(bytes).pieces {
            let text = match &piece.content {
                Content::Script { text, .. } | Content::File { text, .. } => text,
                Content::Setting { value, .. } => value,
                Content::Include { url } => url,
                Content::Undecodable { .. } => continue,
            };
            for url in Url::all(text) {
                let named = matches!(url.kind(), HostKind::Name | HostKind::PublicAddress);
                if named && !is_trusted(&url, trust) && here.len() < 32 {
                    let host = url.host.trim_end_matches('.').to_ascii_lowercase();
                    let odd = url.kind() == HostKind::PublicAddress
                        || is_drop_host(&host)
                        || crate::indicators::is_mining_pool(&host)
                        || !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
                    here.insert(host, odd);
                }
            }
        }
        for (host, odd) in here {
            let (seen, known) = hosts.entry(host).or_insert_with(|| (launched.seen.blank(), odd));
            seen.join(&launched.seen);
            *known |= odd;
        }
    }
}

/// `team/*` for `team/app` and `team/web`; a repository of its own stays.
fn prefixes(repositories: &[String]) -> Vec<String> {
    let mut groups: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    for repository in repositories {
        groups.entry(repository.split_once('/').map_or("", |(first, _)| first)).or_default().push(repository);
    }
    let mut patterns = Vec::new();
    for (first, members) in groups {
        match members.as_slice() {
            [_, _, ..] if !first.is_empty() => patterns.push(format!("{first}/*")),
            members => patterns.extend(members.iter().map(|member| (*member).clone())),
        }
    }
    patterns
}

/// One command a region that prints what is missing.
fn facts_command(unknown: &BTreeMap<(String, String), BTreeSet<String>>) -> Option<String> {
    let mut lines = Vec::new();
    for ((_, region), images) in unknown.iter().take(8) {
        let sound =
            region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !sound || region.is_empty() {
            continue;
        }
        let ids: Vec<&str> = images.iter().take(COMMAND_IMAGES).map(String::as_str).collect();
        lines.push(format!(
            "aws ec2 describe-images --region {region} --include-deprecated --filters Name=image-id,Values={} >facts/images-{region}.json",
            ids.join(",")
        ));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}
