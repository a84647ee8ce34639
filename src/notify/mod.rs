//! Publishing: where an alert leaves the function.

mod sns;

pub use sns::{PublishError, Sns};
