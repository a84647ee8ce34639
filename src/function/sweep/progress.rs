//! How far each part of a sweep has come, and where that is kept.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Ground, Judge, Swept};
use crate::function::reply::Failed;
use crate::history::cursor::Cursor;
use crate::history::{Key, Kind, Record, Store, StoreError, pause};

/// How often a failing store is tried.
const TRIES: usize = 4;

/// What is noted where the time or another sweep ends this one.
pub(super) const OUT_OF_TIME: &str = "out of time; the next sweep goes on there";
const NOT_ALONE: &str = "another sweep is at it";

/// A cursor in the store.
pub(super) struct Progress<'a, S> {
    store: &'a S,
    now: DateTime<Utc>,
    record: Record,
}

impl<'a, S: Store> Progress<'a, S> {
    /// Where the last sweep stopped, of which a part is known by its name. `None` at the first sweep, which
    /// begins there and says so by the note `first`.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(super) async fn resume(
        ground: &Ground<'a, S, impl Judge>,
        name: &str,
        first: &str,
        swept: &mut Swept,
    ) -> Result<Option<(Self, Cursor)>, Failed> {
        let (mut progress, cursor) = Self::load(ground, name).await?;
        let Some(mut cursor) = cursor else {
            let cursor = Cursor::begin(ground.now);
            progress.save(&cursor).await?;
            swept.reached(&cursor, ground.now);
            swept.note(name, first);
            return Ok(None);
        };
        if let Some((from, to)) = cursor.skip(ground.now) {
            let days = (to - from).max(TimeDelta::zero()).num_days();
            let gap = format!("not covered from {from} to {to} ({days} days): no sweep came this far");
            tracing::warn!(note = format!("{name}: {gap}"), "a gap");
            swept.note(name, &gap);
        }
        Ok(Some((progress, cursor)))
    }

    /// Keeps where the sweep has come to by what was judged. Whether it may go on: not where another sweep
    /// is at it, nor where time was over.
    ///
    /// # Errors
    /// When judging failed, or the store does not answer.
    pub(super) async fn keep(
        &mut self,
        cursor: &Cursor,
        judged: Result<(), Failed>,
        swept: &mut Swept,
    ) -> Result<bool, Failed> {
        let saved = self.save(cursor).await;
        if let Err(Failed::OutOfTime(_)) = judged {
            swept.note(&self.record.key.id, OUT_OF_TIME);
            return saved.map(|_| false);
        }
        judged?;
        let alone = saved?;
        if !alone {
            swept.note(&self.record.key.id, NOT_ALONE);
        }
        Ok(alone)
    }

    pub(super) async fn load(
        ground: &Ground<'a, S, impl Judge>,
        name: &str,
    ) -> Result<(Self, Option<Cursor>), Failed> {
        let (account, region) = ground.place();
        let key = Key::new(account, region, Kind::Sweep, name);
        let found = load(ground.store, std::slice::from_ref(&key)).await?;
        let record = found.into_iter().next().unwrap_or_else(|| Record::new(key)).fresh(ground.now);
        let cursor = record.cursor.clone();
        Ok((Self { store: ground.store, now: ground.now, record }, cursor))
    }

    /// Whether it could be saved: not where another sweep is at it.
    pub(super) async fn save(&mut self, cursor: &Cursor) -> Result<bool, Failed> {
        self.record.cursor = Some(cursor.clone());
        self.record.touch(self.now);
        let record = std::slice::from_ref(&self.record);
        match answer(&self.record.key.id, || self.store.save(record)).await {
            Ok(()) => {
                self.record.version = self.record.version.saturating_add(1);
                Ok(true)
            }
            Err(StoreError::Conflict) => {
                // One's own write of which the answer was lost, or another sweep's.
                let known = load(self.store, std::slice::from_ref(&self.record.key)).await?;
                let Some(known) = known.into_iter().next() else { return Ok(false) };
                let own = known.cursor == self.record.cursor;
                self.record.version = known.version;
                Ok(own)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// # Errors
/// When the store does not answer.
pub(in crate::function) async fn load<S: Store>(store: &S, keys: &[Key]) -> Result<Vec<Record>, Failed> {
    Ok(answer("sweep", || store.load(keys)).await?)
}

/// Asks a store until it answers, a few times. A conflict is an answer.
async fn answer<T, A>(token: &str, ask: impl Fn() -> A) -> Result<T, StoreError>
where
    A: Future<Output = Result<T, StoreError>>,
{
    let mut attempt = 1;
    loop {
        match ask().await {
            Err(StoreError::Unavailable(_)) if attempt < TRIES => pause(token, attempt).await,
            answer => return answer,
        }
        attempt += 1;
    }
}
