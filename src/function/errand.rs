//! What the function does on a schedule, beside judging events. The schedule's input is the payload:
//! `{"imagewarden": "reconcile"}`, `{"imagewarden": "self-check"}`.

use std::sync::Arc;

use super::handler::{App, Invocation};
use super::reply::{Failed, Report};
use super::{self_check, sweep};

/// # Errors
/// When the errand is none, or could not be done; one that ran out of time goes on the next time.
pub(super) async fn run(errand: &str, app: Arc<App>, invocation: &Arc<Invocation>) -> Result<(), Failed> {
    let report = match errand {
        "reconcile" => Report::Reconcile(sweep::run(app, invocation).await?),
        "self-check" => Report::SelfCheck(self_check::run(app, invocation).await?),
        other => {
            let known = "reconcile and self-check are known";
            return Err(Failed::Unreadable(format!(
                "there is no errand `{}`: {known}",
                crate::text::clean(other, 40)
            )));
        }
    };
    // Set once: an invocation has one payload.
    let _ = invocation.report.set(report);
    Ok(())
}
