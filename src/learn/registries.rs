//! Which container images were used that the policy does not approve yet, by repository.

use std::collections::{BTreeMap, BTreeSet};

use super::seen::Seen;
use crate::activity::Activity;
use crate::detection::container_image_lookalike::{imitated, is_well_known};
use crate::detection::reference::Reference;
use crate::detection::registry::{self, Standing};
use crate::policy::Policy;

/// Where an image was used that are remembered.
const PLACES: usize = 4;

/// What is known of one repository's use.
#[derive(Debug)]
pub struct Used {
    pub seen: Seen,
    /// Namespaces or accounts it was used in.
    pub places: BTreeSet<String>,
    /// Anybody can fetch from there.
    pub public: bool,
    /// An official image, or of a publisher on the list.
    pub well_known: bool,
    /// Which well-known name it imitates.
    pub imitates: Option<&'static str>,
    /// A miner's name is in it.
    pub miner: bool,
}

/// All uses.
#[derive(Debug)]
pub struct Registries {
    most: usize,
    pub by_repository: BTreeMap<String, Used>,
    /// Uses of images that are approved already.
    pub approved: u64,
    /// Images that name no repository.
    pub unnamed: u64,
    pub uncounted: u64,
}

impl Registries {
    pub fn new(most: usize) -> Self {
        Self { most, by_repository: BTreeMap::new(), approved: 0, unnamed: 0, uncounted: 0 }
    }

    pub fn see(&mut self, activity: &Activity, policy: &Policy) {
        for used in registry::used(activity).unwrap_or_default() {
            match registry::standing(activity, policy, &used) {
                Standing::Approved(_) => self.approved = self.approved.saturating_add(1),
                Standing::Unsure(_) => self.unnamed = self.unnamed.saturating_add(1),
                Standing::Foreign(_) => {
                    let Some(reference) = used.reference.as_ref() else { continue };
                    let place = used.namespace.unwrap_or(&activity.account);
                    self.count(activity, reference, used.upstream.as_ref(), place);
                }
            }
        }
    }

    fn count(
        &mut self,
        activity: &Activity,
        reference: &Reference,
        upstream: Option<&Reference>,
        place: &str,
    ) {
        let repository = reference.repository();
        if let Some(known) = self.by_repository.get_mut(&repository) {
            known.seen.add(activity.time);
            if known.places.len() < PLACES {
                known.places.insert(place.to_owned());
            }
            return;
        }
        if self.by_repository.len() >= self.most {
            self.uncounted = self.uncounted.saturating_add(1);
            return;
        }
        // Behind a pull-through cache stands who published it.
        let source = upstream.unwrap_or(reference);
        let parts = || source.path.split('/').chain(source.tag.as_deref());
        let used = Used {
            seen: Seen::new(activity.time),
            places: BTreeSet::from([place.to_owned()]),
            public: registry::is_public(&source.host),
            well_known: is_well_known(source),
            imitates: imitated(source).map(|(name, _)| name),
            miner: parts().any(crate::indicators::is_miner)
                || crate::indicators::is_mining_pool(source.host.split(':').next().unwrap_or_default()),
        };
        self.by_repository.insert(repository, used);
    }
}
