//! Where an own image comes from: its ancestors and the snapshots at its root, each with its owner.
//!
//! A chain is walked from the image to its root. An own ancestor leads on; one whose owner is approved
//! or listed vouches for everything behind it; any other is foreign. What cannot be looked up is a
//! doubt, and the walk goes on, since a foreign one further back is certain all the same.

use std::cell::Cell;
use std::collections::VecDeque;

use super::catalog::{self, Known};
use super::owners::Place;
use super::{Context, Reason, doubt};
use crate::activity::{Activity, Origin};
use crate::history::lineage;
use crate::lookup::{Answer, FactKey, ImageFact, Scope, SnapshotFact};
use crate::partition::Partition;

/// Ancestors looked up for one image, and snapshots for one root.
const BOUND: usize = 16;

/// Somebody else's image or snapshot behind an own one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Foreign {
    pub image: Option<String>,
    pub snapshot: Option<String>,
    pub name: Option<String>,
    pub region: String,
    pub owner: String,
    pub alias: Option<String>,
    pub public: Option<bool>,
    /// How many steps behind.
    pub generations: usize,
    who: String,
}

impl Foreign {
    /// `image ami-... (name) of account 666677778888`
    pub fn label(&self) -> String {
        let name = self.name.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
        let thing = match (&self.image, &self.snapshot) {
            (Some(image), _) => format!("image {image}"),
            (None, Some(snapshot)) => format!("snapshot {snapshot}"),
            (None, None) => "an image".to_owned(),
        };
        format!("{thing}{name} of account {}, which is neither approved nor a listed ancestor", self.who)
    }
}

/// What a walk has found so far.
#[derive(Debug, Default)]
pub struct Trail {
    pub foreign: Option<Foreign>,
    pub needs: Vec<FactKey>,
    pub doubts: Vec<Reason>,
    /// Who vouches for it.
    pub fine: Option<String>,
}

impl Trail {
    pub fn doubt(reason: Reason) -> Self {
        Self { doubts: vec![reason], ..Self::default() }
    }

    fn need(key: FactKey) -> Self {
        Self { needs: vec![key], ..Self::default() }
    }

    fn fine(why: String) -> Self {
        Self { fine: Some(why), ..Self::default() }
    }

    /// Somebody who is trusted settles every doubt. What is known to be foreign stays so.
    pub fn settle(&mut self, why: &str) {
        if !self.doubts.is_empty() {
            self.doubts.clear();
            self.fine.get_or_insert_with(|| why.to_owned());
        }
    }

    /// Both trails: one of several origins being foreign is enough.
    pub fn and(mut self, other: Self) -> Self {
        self.foreign = self.foreign.or(other.foreign);
        self.needs.extend(other.needs);
        self.doubts.extend(
            other.doubts.into_iter().filter(|doubt| !self.doubts.contains(doubt)).collect::<Vec<_>>(),
        );
        self.fine = self.fine.or(other.fine);
        self
    }
}

/// Walks origins for one activity. Look-ups are made with the event's account, each in the region where
/// the thing is.
pub struct Origins<'a> {
    context: &'a Context<'a>,
    account: &'a str,
    /// The event's.
    region: &'a str,
    activity: &'a Activity,
    /// Steps taken in what is remembered.
    depth: Cell<usize>,
}

/// What a snapshot that was made from no volume names as its volume.
const NO_VOLUME: &str = "vol-ffffffff";
/// How VM Import describes the snapshots that it makes.
const IMPORTED: &str = "Created by AWS-VMImport";

fn from_file() -> Reason {
    Reason::new("image-from-disk-file", "The image was imported from a disk file: nothing tells whose it is.")
}

/// An image on the way to the root.
enum Link<'a> {
    Own(&'a ImageFact),
    Vouched(String),
    Foreign(Foreign),
    Ask(FactKey),
    Doubt(Reason),
}

impl<'a> Origins<'a> {
    pub fn new(activity: &'a Activity, context: &'a Context<'a>) -> Self {
        Self { context, account: &activity.account, region: &activity.region, activity, depth: Cell::new(0) }
    }

    /// From an image that is an origin itself.
    pub fn image(&self, region: &str, image: &str) -> Trail {
        self.from(region, self.link(region, image, 1), false)
    }

    fn from(&self, region: &str, link: Link<'_>, from_instance: bool) -> Trail {
        match link {
            Link::Own(fact) => self.walk(region, Known { fact, from_instance }, 1),
            Link::Vouched(why) => Trail::fine(why),
            Link::Foreign(foreign) => Trail { foreign: Some(foreign), ..Trail::default() },
            Link::Ask(key) => Trail::need(key),
            Link::Doubt(reason) => Trail::doubt(reason),
        }
    }

    /// From the image that an own instance was started from, in the event's region.
    pub fn instance(&self, instance: &str) -> Trail {
        match self.context.facts.instance_image(&self.scope(self.region), instance) {
            Answer::Known(fact) => {
                let trail = self.from(self.region, self.judged(self.region, fact, 1), true);
                self.together(trail, &fact.image_id)
            }
            Answer::Ask(key) => Trail::need(key),
            Answer::Absent => Trail::doubt(Reason::new(
                "instance-not-found",
                "The instance that the image was made from is gone, and with it what it was started from.",
            )),
            Answer::Unavailable(why) => Trail::doubt(doubt::unavailable(
                "instance-image-lookup",
                "ec2:DescribeInstanceImageMetadata",
                why,
            )),
        }
    }

    /// Rounds of look-ups are few: what is still wanted of an image, itself and its ancestry, is asked for
    /// in one.
    fn together(&self, mut trail: Trail, image: &str) -> Trail {
        let scope = self.scope(self.region);
        let own = |key: &FactKey| matches!(key, FactKey::Image { image: id, .. } | FactKey::Ancestry { image: id, .. } if id == image);
        if trail.needs.iter().any(own) {
            let image = image.to_owned();
            let ancestry = FactKey::Ancestry { scope: scope.clone(), image: image.clone() };
            for key in [FactKey::Image { scope, image }, ancestry] {
                if !trail.needs.contains(&key) && !self.context.facts.contains(&key) {
                    trail.needs.push(key);
                }
            }
        }
        trail
    }

    /// A snapshot that an image was registered from.
    pub fn snapshot(&self, region: &str, snapshot: &str) -> Trail {
        match self.context.facts.snapshot(&self.scope(region), snapshot) {
            Answer::Ask(key) => Trail::need(key),
            Answer::Absent => Trail::doubt(Reason::new(
                "snapshot-not-found",
                "A snapshot behind the image is private or deleted: whose it was cannot be told.",
            )),
            Answer::Unavailable(why) => {
                Trail::doubt(doubt::unavailable("snapshot-lookup", "ec2:DescribeSnapshots", why))
            }
            Answer::Known(fact) => {
                let Some(owner) = fact.owner_id.as_deref() else {
                    return Trail::doubt(Reason::new(
                        "snapshot-owner-unknown",
                        "The look-up answered without the snapshot's owner.",
                    ));
                };
                let place = self.place(region);
                if place.is("self", owner) {
                    return self.own_snapshot(snapshot, fact);
                }
                if let Some(why) = catalog::vouched_owner(self.context.policy, place, owner) {
                    return Trail::fine(format!("a snapshot behind it is fine: {why}"));
                }
                let foreign = Foreign {
                    snapshot: Some(snapshot.to_owned()),
                    name: fact.description.clone().filter(|text| !text.is_empty()),
                    region: region.to_owned(),
                    owner: owner.to_owned(),
                    alias: fact.owner_alias.clone(),
                    generations: 1,
                    who: place.label(owner),
                    ..Foreign::default()
                };
                Trail { foreign: Some(foreign), ..Trail::default() }
            }
        }
    }

    /// An own snapshot: by what is remembered of its making, else by what it says of its volume.
    fn own_snapshot(&self, snapshot: &str, fact: &SnapshotFact) -> Trail {
        let remembered = lineage::remembered(self.activity, self.context.memory, snapshot);
        if !remembered.is_empty() {
            return self.lineage(&remembered);
        }
        let imported = fact.description.as_deref().is_some_and(|text| text.starts_with(IMPORTED));
        if imported || fact.volume_id.as_deref() == Some(NO_VOLUME) {
            return Trail::doubt(Reason::new(
                "snapshot-without-volume",
                "A snapshot behind the image was copied, imported, or written from outside, and was not made from a \
                 volume of the account: nothing tells whose disk it is.",
            ));
        }
        Trail::default()
    }

    /// What is remembered of the making of an image, a snapshot, a volume, or an instance's root disk.
    pub fn remembered(&self, id: &str) -> Trail {
        self.lineage(&lineage::remembered(self.activity, self.context.memory, id))
    }

    fn lineage(&self, details: &[String]) -> Trail {
        let origins = details.iter().filter_map(|detail| lineage::origin(detail)).take(BOUND);
        origins.fold(Trail::default(), |trail, (origin, _)| {
            trail.and(match origin {
                Origin::Image { id, region } => self.image(&region, &id),
                // It was asked for what is remembered of it when this was written.
                Origin::Snapshot(_) | Origin::RemoteSnapshot { .. } | Origin::Volume(_)
                    if self.depth.get() >= BOUND =>
                {
                    Trail::default()
                }
                Origin::Snapshot(id) => self.deeper(|| self.snapshot(self.region, &id)),
                Origin::RemoteSnapshot { id, region } => self.deeper(|| self.snapshot(&region, &id)),
                Origin::Volume(id) => self.deeper(|| self.remembered(&id)),
                Origin::Instance(_) => Trail::default(),
                Origin::Disk(_) => Trail::doubt(from_file()),
                Origin::Blocks => Trail::doubt(Reason::new(
                    "snapshot-written-from-outside",
                    "A snapshot behind the image was written block by block: nothing tells whose disk it is.",
                )),
            })
        })
    }

    /// One step further in what is remembered, which may turn in circles.
    fn deeper(&self, look: impl FnOnce() -> Trail) -> Trail {
        self.depth.set(self.depth.get().saturating_add(1));
        look()
    }

    /// What an image or a disk was made from, as the call says it.
    pub fn made_from(&self, origin: &Origin) -> Trail {
        match origin {
            Origin::Image { id, region } if region.is_empty() => self.image(self.region, id),
            Origin::Image { id, region } => self.image(region, id),
            // The disk may have been changed since the instance was launched.
            Origin::Instance(instance) => self.instance(instance).and(self.remembered(instance)),
            Origin::Snapshot(snapshot) => self.snapshot(self.region, snapshot),
            Origin::RemoteSnapshot { id, region } => self.snapshot(region, id),
            Origin::Volume(volume) => self.remembered(volume),
            Origin::Disk(_) => Trail::doubt(from_file()),
            Origin::Blocks => self.lineage(&["blocks".to_owned()]),
        }
    }

    /// A snapshot or a volume that became a root disk.
    pub fn disk(&self, id: &str) -> Trail {
        match id.starts_with("vol-") {
            true => self.remembered(id),
            false => self.snapshot(self.region, id),
        }
    }

    /// What stands behind an own image.
    pub fn behind(&self, region: &str, image: Known<'_>) -> Trail {
        self.walk(region, image, 0)
    }

    /// Walks from an own image to its root. `generation` is how far behind it already is.
    fn walk(&self, region: &str, start: Known<'_>, generation: usize) -> Trail {
        let mut trail = Trail::default();
        let chain = match self.chain(region, start) {
            Ok(chain) => chain,
            Err(key) => return Trail::need(key),
        };
        let mut pending: VecDeque<(String, String)> = chain.ahead;
        let mut root = Some((region.to_owned(), start));
        let mut seen = vec![(region.to_owned(), start.fact.image_id.clone())];
        while let Some((region, image)) = pending.pop_front() {
            if seen.iter().any(|(r, i)| *r == region && *i == image) {
                continue;
            }
            if seen.len() > BOUND {
                trail.doubts.push(Reason::new(
                    "ancestry-too-long",
                    format!("Only the nearest {BOUND} ancestors were looked at."),
                ));
                root = None;
                break;
            }
            let generations = generation.saturating_add(seen.len());
            seen.push((region.clone(), image.clone()));
            // Only the nearest unknown ancestor decides what comes behind it, so one that is still to be
            // fetched holds back every conclusion but the needs.
            let open = !trail.needs.is_empty();
            match self.link(&region, &image, generations) {
                Link::Ask(key) => trail.needs.push(key),
                _ if open => {}
                Link::Own(fact) => {
                    if pending.is_empty() && chain.doubt.is_some() {
                        pending.extend(parent(&region, fact));
                    }
                    root = Some((region, Known { fact, from_instance: false }));
                    continue;
                }
                Link::Vouched(why) => {
                    trail.fine = Some(why);
                    return trail;
                }
                Link::Foreign(foreign) => {
                    trail.foreign = Some(foreign);
                    return trail;
                }
                Link::Doubt(reason) => trail.doubts.push(reason),
            }
            root = None;
        }
        match root {
            Some((region, known)) if trail.needs.is_empty() => {
                trail.doubts.extend(chain.doubt);
                trail.and(self.root(&region, known))
            }
            _ => trail,
        }
    }

    /// The root of an own image's line: what its disks were made from.
    fn root(&self, region: &str, root: Known<'_>) -> Trail {
        let mut fact = root.fact;
        if root.from_instance {
            // An instance's metadata names no snapshots.
            fact = match self.context.facts.image(&self.scope(region), &fact.image_id) {
                Answer::Known(fact) => fact,
                Answer::Ask(key) => return Trail::need(key),
                Answer::Absent | Answer::Unavailable(_) => {
                    return Trail::doubt(Reason::new(
                        "image-snapshots-unknown",
                        "The image itself could not be looked up, only its instance's metadata, which names no snapshots.",
                    ));
                }
            };
        }
        let snapshots = &fact.snapshots;
        let mut trail = Trail::default();
        if snapshots.len() > BOUND {
            trail.doubts.push(Reason::new(
                "too-many-snapshots",
                format!("Only the first {BOUND} snapshots behind the image were looked at."),
            ));
        }
        snapshots.iter().take(BOUND).fold(trail, |trail, snapshot| trail.and(self.snapshot(region, snapshot)))
    }

    /// The ancestors to visit, nearest first.
    fn chain(&self, region: &str, start: Known<'_>) -> Result<Chain, FactKey> {
        let image = &start.fact.image_id;
        let pointer = |doubt| {
            let ahead: VecDeque<_> = parent(region, start.fact).into_iter().collect();
            Chain { ahead, doubt: Some(doubt) }
        };
        match self.context.facts.ancestry(&self.scope(region), image) {
            Answer::Ask(key) => Err(key),
            Answer::Unavailable(why) => {
                Ok(pointer(doubt::unavailable("ancestry-lookup", "ec2:GetImageAncestry", why)))
            }
            Answer::Absent => Ok(pointer(Reason::new(
                "ancestry-not-found",
                "EC2 tells no ancestry of the image, so what it was made from is not known.",
            ))),
            Answer::Known(entries) => {
                let mut ahead = VecDeque::new();
                let mut here = region.to_owned();
                // The first entry is the image itself, which the walk has seen; each names its parent and
                // the parent's region.
                for entry in entries.iter().take(BOUND + 2) {
                    if !entry.image_id.is_empty() {
                        ahead.push_back((here.clone(), entry.image_id.clone()));
                    }
                    if let Some(next) = entry.source_image_region.as_deref().filter(|next| !next.is_empty()) {
                        here = next.to_owned();
                    }
                    if let Some(source) = entry.source_image_id.as_deref().filter(|source| !source.is_empty())
                    {
                        ahead.push_back((here.clone(), source.to_owned()));
                    }
                }
                if ahead.iter().all(|(_, id)| id == image) {
                    ahead.extend(parent(region, start.fact));
                }
                Ok(Chain { ahead, doubt: None })
            }
        }
    }

    fn link(&self, region: &str, image: &str, generations: usize) -> Link<'a> {
        if catalog::listed(self.context.policy, image) {
            return Link::Vouched(format!("behind it stands {image}, whose id is listed in the policy"));
        }
        match self.context.facts.image(&self.scope(region), image) {
            Answer::Known(fact) => self.judged(region, fact, generations),
            Answer::Ask(key) => Link::Ask(key),
            Answer::Absent => Link::Doubt(Reason::new(
                "ancestor-not-found",
                format!(
                    "Image {image} in {region} stands behind it, and EC2 does not show it to the account (private or \
                     deregistered): whose it is cannot be told."
                ),
            )),
            Answer::Unavailable(why) => {
                Link::Doubt(doubt::unavailable("ancestor-lookup", "ec2:DescribeImages", why))
            }
        }
    }

    fn judged(&self, region: &str, fact: &'a ImageFact, generations: usize) -> Link<'a> {
        let Some(owner) = fact.owner_id.as_deref() else {
            return Link::Doubt(Reason::new(
                "ancestor-owner-unknown",
                "The look-up of an image behind it answered without the owner.",
            ));
        };
        let place = self.place(region);
        if place.is("self", owner) {
            return Link::Own(fact);
        }
        if let Some(why) = catalog::vouched(self.context.policy, place, fact) {
            return Link::Vouched(format!("behind it stands {}: {why}", fact.image_id));
        }
        Link::Foreign(Foreign {
            image: Some(fact.image_id.clone()),
            name: fact.name.clone(),
            region: region.to_owned(),
            owner: owner.to_owned(),
            alias: fact.image_owner_alias.clone(),
            public: fact.public,
            generations,
            who: place.label(owner),
            snapshot: None,
        })
    }

    fn scope(&self, region: &str) -> Scope {
        Scope { account: self.account.to_owned(), region: region.to_owned() }
    }

    fn place(&self, region: &str) -> Place<'a> {
        Place { account: self.account, partition: Partition::of_region(region) }
    }
}

struct Chain {
    /// Region and id, nearest first.
    ahead: VecDeque<(String, String)>,
    /// The ancestry is not known: each image's own source leads on, and where that ends something may
    /// still stand behind.
    doubt: Option<Reason>,
}

/// The image that an image says it was made from; in its own region unless it says otherwise.
fn parent(region: &str, fact: &ImageFact) -> Option<(String, String)> {
    let image = fact.source_image_id.clone().filter(|image| !image.is_empty())?;
    let there = fact.source_image_region.clone().filter(|there| !there.is_empty());
    Some((there.unwrap_or_else(|| region.to_owned()), image))
}
