//! The policy as it holds for one event.

use std::borrow::Cow;

use chrono::NaiveDate;

use super::listed::holds;
use super::{Approved, Policy};
use crate::activity::Activity;

impl Policy {
    /// The policy without the entries that have ended or hold for other accounts.
    pub fn at(&self, activity: &Activity) -> Cow<'_, Policy> {
        if !self.is_bounded() {
            return Cow::Borrowed(self);
        }
        let mut policy = self.clone();
        policy.keep(&activity.account, activity.time.date_naive());
        Cow::Owned(policy)
    }

    fn is_bounded(&self) -> bool {
        let approved = &self.images.approved;
        let Approved { owners, ids, names, tags, watermarks, azure_publishers, gcp_projects } = approved;
        [owners, ids, watermarks, azure_publishers, gcp_projects]
            .into_iter()
            .flatten()
            .any(super::Listed::is_bounded)
            || names.iter().any(|it| it.until.is_some() || !it.accounts.is_empty())
            || tags.iter().any(|it| it.until.is_some() || !it.accounts.is_empty())
            || self.images.builders.iter().any(|it| it.until.is_some() || !it.accounts.is_empty())
    }

    fn keep(&mut self, account: &str, day: NaiveDate) {
        let Approved { owners, ids, names, tags, watermarks, azure_publishers, gcp_projects } =
            &mut self.images.approved;
        for list in [owners, ids, watermarks, azure_publishers, gcp_projects] {
            list.retain(|it| holds(it.until, &it.accounts, account, day));
        }
        names.retain(|it| holds(it.until, &it.accounts, account, day));
        tags.retain(|it| holds(it.until, &it.accounts, account, day));
        self.images.builders.retain(|it| holds(it.until, &it.accounts, account, day));
    }

    /// Whether the event's actor may import, restore, copy and register images.
    pub fn is_builder(&self, activity: &Activity) -> bool {
        let day = activity.time.date_naive();
        self.images.builders.iter().any(|builder| {
            holds(builder.until, &builder.accounts, &activity.account, day)
                && super::like_principal(&builder.principal, activity.principal(), &activity.account)
        })
    }
}
