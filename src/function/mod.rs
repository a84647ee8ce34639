//! The function on AWS Lambda: any payload that `check` takes in, alerts out to SNS.
//!
//! ```text
//! payload -> source::read -> engine::judge (AwsLookup, history) -> alert::alerts -> claims -> notify::Sns -> reply
//! ```
//!
//! An invocation succeeds only when everything it was given was read and every alert was published.
//! Whatever else happens is its error: the platform tries again, and keeps the payload in the end.

mod attempts;
mod errand;
mod failure_queue;
mod handler;
mod hunt;
mod init;
mod judge;
mod log;
mod metrics;
mod off_thread;
mod place;
mod policy;
mod reply;
mod self_check;
mod settings;
mod sweep;
mod tell;
mod unfinished;
mod work;

use std::sync::Arc;

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::value::RawValue;

use handler::App;
pub use settings::{Settings, SettingsError};

/// How many activities of one payload are judged at once.
const AT_ONCE: usize = 8;

/// Reads the environment, and serves invocations until the platform ends the process.
///
/// # Errors
/// When the environment does not allow a start; the runtime API has been told then. Every error has
/// been logged.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    log::start();
    let app = match App::start().await {
        Ok(app) => Arc::new(app),
        Err(error) => {
            tracing::error!(error = %error, "cannot start");
            init::report(&error);
            return Err(error.into());
        }
    };
    let handler = service_fn(move |event: LambdaEvent<Box<RawValue>>| {
        let app = app.clone();
        async move { app.handle(event).await }
    });
    lambda_runtime::run(handler).await.inspect_err(|error| tracing::error!(%error, "the runtime ended"))
}
