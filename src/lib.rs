//! Imagewarden tells a team, with the evidence, when somebody runs or pushes an image they did not
//! approve (MITRE ATT&CK T1204.003).
//!
//! One direction, one module a step:
//!
//! ```text
//! payload -> source -> activity -> detection (asks lookup for what it needs) -> alert -> notify
//! ```
//!
//! The core is pure. AWS calls, clocks and environment variables live in `lookup::aws`, `notify` and
//! the two binaries, nowhere else.

#![forbid(unsafe_code)]

pub mod activity;
pub mod alert;
pub mod archive;
#[cfg(feature = "aws")]
pub mod aws;
pub mod detection;
pub mod engine;
#[cfg(feature = "aws")]
pub mod function;
pub mod glob;
pub mod hash;
pub mod history;
pub mod indicators;
pub mod learn;
pub mod lookup;
#[cfg(feature = "aws")]
pub mod notify;
pub mod partition;
pub mod past;
pub mod pipeline;
pub mod policy;
#[cfg(feature = "aws")]
pub mod replay;
pub mod severity;
pub mod source;
pub mod text;
pub mod user_data;
