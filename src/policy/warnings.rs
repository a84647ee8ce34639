//! What is allowed in a policy, and likely not meant.

use chrono::{Days, NaiveDate};

use super::pattern::catches_all;
use super::{AllowedImagesSetting, Policy, Suppression};

impl Policy {
    /// Suppressions whose last day is before `today` (UTC). They suppress nothing any more.
    pub fn expired(&self, today: NaiveDate) -> Vec<&Suppression> {
        self.suppress.iter().filter(|suppression| suppression.until < today).collect()
    }

    /// What `policy check` tells besides errors: one sentence each, in the order of the keys.
    pub fn warnings(&self, today: NaiveDate) -> Vec<String> {
        let mut warnings = Vec::new();
        self.about_images(&mut warnings);
        self.about_uploads(&mut warnings);
        for suppression in self.expired(today) {
            warnings.push(format!(
                "suppress: the one for `{}` ({}) ended on {} and suppresses nothing; remove or renew it",
                suppression.detection, suppression.reason, suppression.until
            ));
        }
        for suppression in self.suppress.iter().filter(|suppression| suppression.until >= today) {
            let anything =
                [&suppression.repository, &suppression.image, &suppression.principal, &suppression.account]
                    .iter()
                    .all(|part| part.as_deref().is_none_or(catches_all));
            if anything {
                warnings.push(format!(
                    "suppress: the one for `{}` ({}) names no repository, image, principal or account, so \
                     it hides every such alert until {}",
                    suppression.detection, suppression.reason, suppression.until
                ));
            }
            if catches_all(&suppression.detection) {
                warnings.push(format!(
                    "suppress: the one for `{}` ({}) holds for every detection; name the one that is meant",
                    suppression.detection, suppression.reason
                ));
            }
            if today.checked_add_days(Days::new(366)).is_some_and(|year| suppression.until > year) {
                warnings.push(format!(
                    "suppress: the one for `{}` ({}) holds until {}, more than a year ahead; end it sooner and \
                     renew it",
                    suppression.detection, suppression.reason, suppression.until
                ));
            }
        }
        warnings
    }

    fn about_images(&self, warnings: &mut Vec<String>) {
        let approved = &self.images.approved;
        for name in approved.names.iter().filter(|name| catches_all(&name.pattern)) {
            warnings.push(format!(
                "images.approved.names: the pattern `{}` approves everything that {} owns; if that is \
                 meant, say so in images.approved.owners",
                name.pattern, name.owner
            ));
        }
        let empty = approved.owners.is_empty()
            && approved.ids.is_empty()
            && approved.names.is_empty()
            && approved.tags.is_empty();
        if empty && self.images.allowed_images_setting == AllowedImagesSetting::Ignore {
            warnings.push("images.approved: nothing is approved, so every launch is an alert".to_owned());
        }
    }

    fn about_uploads(&self, warnings: &mut Vec<String>) {
        let mut caught_by = None;
        for (index, schedule) in self.uploads.schedules.iter().enumerate() {
            if let Some(earlier) = caught_by {
                warnings.push(format!(
                    "uploads.schedules[{index}]: is never used, since schedules[{earlier}] before it \
                     matches every push; put the particular ones first"
                ));
                continue;
            }
            if schedule.repositories.iter().any(|pattern| catches_all(pattern))
                && schedule.principals.iter().any(|pattern| catches_all(pattern))
            {
                caught_by = Some(index);
            }
            if schedule.days.is_empty() {
                warnings.push(format!(
                    "uploads.schedules[{index}]: has no days, so every push it matches is outside hours"
                ));
            } else if schedule.zone.is_none() {
                warnings.push(format!(
                    "uploads.schedules[{index}]: names no zone, so {} is taken as UTC; add `zone: \
                     Europe/Berlin` or your own",
                    schedule.hours
                ));
            }
        }
        for (index, pusher) in self.uploads.pushers.iter().enumerate() {
            if catches_all(&pusher.principal)
                && pusher.repositories.iter().any(|pattern| catches_all(pattern))
            {
                warnings.push(format!(
                    "uploads.pushers[{index}]: lets everybody push everywhere, so ecr-push-unknown-user \
                     can never match"
                ));
            } else if catches_all(&pusher.principal) {
                warnings.push(format!(
                    "uploads.pushers[{index}]: lets everybody push to {}",
                    pusher.repositories.join(", ")
                ));
            }
        }
    }
}
