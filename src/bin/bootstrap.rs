//! The function on AWS Lambda. Everything it does is in `imagewarden::function`.

use std::process::ExitCode;

/// Bytes of stack for threads that judge: as much as a program's first thread has, for which the depth of
/// everything that nests is bounded.
const STACK: usize = 8 << 20;

fn main() -> ExitCode {
    // One event at a time: more threads for the network would cost start-up time and do nothing.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().thread_stack_size(STACK).build();
    let Ok(runtime) = runtime else { return ExitCode::FAILURE };
    // The error is in the log, and with the runtime API where that still listens.
    let result = runtime.block_on(imagewarden::function::run());
    // What was given up is not waited for.
    runtime.shutdown_background();
    result.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}
