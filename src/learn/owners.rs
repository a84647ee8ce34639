//! From launches to a proposal: whose images are in use, and which of them may be approved.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Learner;
use super::blame::MALICIOUS;
use super::draft::{Draft, Entry};
use super::hosts;
use super::hours::plain;
use super::images::{Key, Launched};
use super::seen::Seen;
use crate::activity::{Action, Activity, ImageRef};
use crate::alert::count;
use crate::detection::catalog::{self, Known, clouds};
use crate::detection::launch::{self, Image};
use crate::detection::{Context, Verdict, shape};
use crate::engine::{self, Judgement};
use crate::history::Memory;
use crate::lookup::{Facts, ImageFact, Lookup};
use crate::policy::is_id;

/// Images of one foreign owner from which on the owner is proposed instead of each image.
const OWNER_IMAGES: usize = 3;
/// Images a command names.
const COMMAND_IMAGES: usize = 100;

impl Learner {
    pub(super) async fn images<L: Lookup>(&self, lookup: &L, draft: &mut Draft) {
        let mut usual: BTreeMap<&'static str, (Seen, BTreeSet<&str>)> = BTreeMap::new();
        let mut foreign: BTreeMap<String, Vec<Foreign<'_>>> = BTreeMap::new();
        let mut unknown: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
        let mut fetched = hosts::Hosts::new();
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
            let mut malicious = self.malice(key, launched, &judgement);
            if let (None, Some((launch, memory))) = (&malicious, &launched.suspect) {
                let launch = Arc::new(launch.clone());
                let judgement = engine::judge(launch, &self.base, lookup, memory, &mut facts).await;
                malicious = self.malice(key, launched, &judgement);
            }
            if malicious.is_none() {
                hosts::gather(&facts, &self.base.trust(), launched, &mut fetched);
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
                Some((seen, images)) => images_and_launches(images.len(), seen),
                None => "in the policy; no launch was seen".to_owned(),
            };
            draft.owners.push(Entry::approved(word.to_string(), evidence));
        }
        for (owner, images) in foreign {
            self.owner(&owner, &images, draft);
        }
        draft.hosts.extend(hosts::propose(fetched));
        draft.facts_command = facts_command(&unknown);
    }

    /// What speaks against an image, whoever owns it.
    fn malice(&self, key: &Key, launched: &Launched, judgement: &Judgement) -> Option<String> {
        let matched = judgement.verdicts.iter().find_map(|(detection, verdict)| {
            let named = MALICIOUS.contains(&detection.id) && matches!(verdict, Verdict::Match(_));
            named.then(|| format!("{} matches it", detection.id))
        });
        let blamed = self.blame.has(&key.image) || launched.ids.iter().any(|id| self.blame.has(id));
        matched.or_else(|| blamed.then(|| "something malicious was seen in it".to_owned()))
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
                (&mut draft.azure_publishers, publisher, clouds::is_known_publisher(publisher))
            }
            ImageRef::Gcp { project, .. } => (&mut draft.gcp_projects, project, clouds::is_google(project)),
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
        let evidence = images_and_launches(images.len(), &seen);
        let bad = images.iter().any(|image| image.malicious.is_some());
        let own = self.accounts.contains(owner);
        let vendor = place.vendor(owner);
        let refused_by_age = self.base.images.approved.owners.iter().any(|word| place.is(word, owner));
        let approvable = !bad && !refused_by_age && shape::account(owner).is_some();
        if approvable && (own || vendor.is_some()) {
            let who = vendor.map_or("an account of this archive".to_owned(), |vendor| vendor.who.to_owned());
            draft.owners.push(Entry::approved(owner.to_owned(), format!("{who}: {evidence}")));
            return;
        }
        let habitual = |image: &&Foreign<'_>| {
            image.malicious.is_none() && image.fact.public == Some(false) && image.launched.seen.is_habit()
        };
        let usual = images.iter().filter(habitual).count();
        if approvable && usual >= OWNER_IMAGES && usual == images.len() {
            let entry = Entry::approved(owner.to_owned(), evidence);
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

fn images_and_launches(images: usize, seen: &Seen) -> String {
    format!("{}, {}", count(images as u64, "image", "images"), seen.told("launch", "launches"))
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

/// What the policy takes as an image's id.
fn image_id(text: &str) -> bool {
    is_id(text, "ami-")
}

/// One command a region that prints what is missing.
fn facts_command(unknown: &BTreeMap<(String, String), BTreeSet<String>>) -> Option<String> {
    let mut lines = Vec::new();
    for ((_, region), images) in unknown.iter().take(8) {
        if shape::region(region).is_none() {
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
