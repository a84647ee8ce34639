//! Judging what has happened already, as the command line and hunts in the cloud do: each event at its own time,
//! with a memory that lives as long as this. Alerts come back, and nobody is told.

use std::future::{Future, ready};
use std::sync::Arc;

use chrono::TimeDelta;

use crate::activity::Activity;
use crate::alert::Alert;
use crate::history::InMemory;
use crate::history::deliver::{DeliveryError, Publisher};
use crate::lookup::Lookup;
use crate::pipeline::{Pipeline, Processed};
use crate::policy::Policy;

/// How many activities go by between two looks at what the history may forget.
const FORGET_AFTER: usize = 4_096;

/// Judges activities that come in the order of their times.
pub struct Past<'a> {
    policy: &'a Policy,
    policy_note: Option<&'a str>,
    warm_up: bool,
    history: InMemory,
    judged: usize,
}

impl<'a> Past<'a> {
    /// `policy_note` says that the configured policy could not be loaded; `warm_up` is as in [`Pipeline`].
    pub fn new(policy: &'a Policy, policy_note: Option<&'a str>, warm_up: bool, history: InMemory) -> Self {
        Self { policy, policy_note, warm_up, history, judged: 0 }
    }

    /// Judges the next activity.
    ///
    /// # Errors
    /// As [`Pipeline::process`].
    pub async fn judge<L: Lookup>(
        &mut self,
        activity: Activity,
        lookup: &L,
    ) -> Result<Processed, DeliveryError> {
        let time = activity.time;
        self.judged = self.judged.saturating_add(1);
        if self.judged.is_multiple_of(FORGET_AFTER) {
            self.history.forget(time);
        }
        let pipeline = Pipeline {
            policy: self.policy,
            policy_note: self.policy_note,
            lookup,
            store: Some(&self.history),
            publisher: &Nobody,
            token: "past",
            deadline: time + TimeDelta::minutes(1),
            warm_up: self.warm_up,
            now: &move || time,
        };
        pipeline.process(Arc::new(activity)).await
    }
}

/// Alerts go to whoever asked.
struct Nobody;

impl Publisher for Nobody {
    fn publish(&self, _: &'static str, _: &Alert) -> impl Future<Output = Result<(), String>> + Send {
        ready(Ok(()))
    }
}
