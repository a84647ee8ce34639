//! Structured logs: one JSON object a line on standard output.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging. `LOG_LEVEL` is `error`, `warn`, `info` (the default), `debug` or `trace`.
pub(super) fn start() {
    let wanted = std::env::var("LOG_LEVEL").unwrap_or_default();
    let parsed = wanted.parse::<LevelFilter>().ok().filter(|_| !wanted.is_empty());
    let level = parsed.unwrap_or(LevelFilter::INFO);
    // What the libraries say at their lower levels holds headers and bodies: only where that is asked for.
    let others = if level == LevelFilter::TRACE { LevelFilter::DEBUG } else { LevelFilter::WARN };
    let targets = Targets::new()
        .with_default(others.min(level))
        // Its span puts the request's id into every line.
        .with_target("lambda_runtime", LevelFilter::INFO.min(level))
        .with_target("imagewarden", level);
    let json = tracing_subscriber::fmt::layer().json().flatten_event(true).with_span_list(false);
    // Already set only where a test did so.
    let _ = tracing_subscriber::registry().with(targets).with(json).try_init();
    if parsed.is_none() && !wanted.is_empty() {
        tracing::warn!(
            log_level = wanted,
            "LOG_LEVEL is not error, warn, info, debug or trace; info is used"
        );
    }
}
