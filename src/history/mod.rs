//! What matters later: which subjects were told, which images were seen, and evidence that waits for
//! its subject.
//!
//! A store knows only [`Record`]s: small documents, one a [`Key`], each with a version. They are read
//! in one request and written in one transaction that fails as a whole when any of them has changed
//! since. Everything else here is pure: records merge whatever the order and however often the same
//! thing is remembered, so a conflict is answered by reading again, merging, and judging again.
//!
//! **Keys.** `ACCOUNT/REGION/KIND/ID`, so that no account's records share a partition with another's
//! and every write goes to the partition of its own subject: nothing is counted in one place, nothing
//! is scanned.
//!
//! **Bounds.** A record keeps at most [`Record::MOST_TRACES`] traces of at most
//! [`Trace::LONGEST_DETAIL`] bytes, [`thread::MOST_WINDOWS`] windows, and expires: see
//! [`Kind::keep`]. Deletion by the store may be late, so expiry is checked on read.

pub mod batch;
pub mod claim;
pub mod cursor;
pub mod deliver;
#[cfg(feature = "aws")]
pub mod dynamodb;
pub mod ecs;
mod evidence;
mod in_memory;
pub mod lineage;
mod memory;
pub mod place;
mod record;
pub mod seen;
pub mod sight;
pub mod storm;
pub mod thread;
pub mod trail;

pub use in_memory::InMemory;
pub use memory::{Familiarity, Memory, WARM_UP};
pub use record::{Key, Kind, Record, Sighting, Trace};

use std::future::Future;

/// Where records live.
pub trait Store: Sync {
    /// The records there are, in no order. Expired ones are as good as absent, which the caller checks.
    fn load(&self, keys: &[Key]) -> impl Future<Output = Result<Vec<Record>, StoreError>> + Send;

    /// Writes all or none. Each record's `version` is the one it was read at (0: was absent); it is
    /// stored one higher.
    fn save(&self, records: &[Record]) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Why a store did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A record has changed since it was read: read again.
    #[error("a record changed since it was read")]
    Conflict,
    /// Throttled, unreachable, or no answer: the write may or may not have happened.
    #[error("history is unavailable: {0}")]
    Unavailable(String),
}

/// The shortest of the longest waits, and the longest.
const FIRST_PAUSE: u64 = 20;
const LONGEST_PAUSE: u64 = 2_000;

/// Waits before another try: exponential back-off with full jitter, so that those who collided do not
/// collide again.
pub async fn pause(token: &str, attempt: usize) {
    let longest =
        FIRST_PAUSE.checked_shl(u32::try_from(attempt.min(16)).unwrap_or(16)).unwrap_or(LONGEST_PAUSE);
    let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), (token, attempt));
    let millis = random.checked_rem(longest.min(LONGEST_PAUSE)).unwrap_or_default();
    tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
}
