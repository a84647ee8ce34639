//! What the function does beside judging events. The payload says what: on a schedule
//! `{"imagewarden": "reconcile"}`, `{"imagewarden": "self-check"}`; for the state machine of a hunt
//! `{"imagewarden": "hunt", ...}`, `{"imagewarden": "hunt-summary", ...}`.

use std::sync::Arc;

use serde_json::Value;

use super::handler::{App, Invocation};
use super::reply::{Failed, Report};
use super::{hunt, self_check, sweep};

/// # Errors
/// When the errand is none, or could not be done; one that ran out of time goes on the next time.
pub(super) async fn run(
    errand: &str,
    payload: &Value,
    app: Arc<App>,
    invocation: &Arc<Invocation>,
) -> Result<(), Failed> {
    let report = match errand {
        "reconcile" => Report::Reconcile(sweep::run(app, invocation).await?),
        "self-check" => Report::SelfCheck(self_check::run(app, invocation).await?),
        "hunt" => Report::Hunt(hunt::run(payload, &app, invocation).await?),
        "hunt-summary" => Report::HuntSummary(hunt::sum(payload, &app, invocation).await?),
        other => {
            let known = "reconcile, self-check, hunt and hunt-summary are known";
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
