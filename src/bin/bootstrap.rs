//! The function on AWS Lambda. Everything it does is in `imagewarden::function`.

use std::process::ExitCode;

// One event at a time: a second thread would cost start-up time and do nothing.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // The error is in the log, and with the runtime API where that still listens.
    imagewarden::function::run().await.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}
