//! The work that one user data may cost.
//!
//! Scanning is linear in the text, but a short text can ask for a long one many times over: a large
//! variable that is measured a thousand times, a file that is copied onto itself. Every such step is
//! charged to one counter that all scripts of a user data share. Steps and not seconds, so that a
//! verdict does not depend on the machine.

use std::cell::Cell;
use std::rc::Rc;

/// Steps for any text, however short.
const BASE: usize = 200_000;
/// Bytes copied or looked through that make one step.
const BYTES_A_STEP: usize = 32;

/// A counter of steps. Clones share the count.
#[derive(Debug, Clone)]
pub struct Work {
    left: Rc<Cell<usize>>,
}

impl Default for Work {
    fn default() -> Work {
        Work::for_text(0)
    }
}

impl Work {
    /// The work that a text of `len` bytes may cost.
    pub fn for_text(len: usize) -> Work {
        Work { left: Rc::new(Cell::new(len.saturating_add(BASE))) }
    }

    /// Takes `steps`; `false` when they are not there, and from then on.
    pub fn take(&self, steps: usize) -> bool {
        let rest = self.left.get().checked_sub(steps);
        self.left.set(rest.unwrap_or(0));
        rest.is_some_and(|rest| rest > 0)
    }

    /// Takes what copying or looking through `len` bytes costs.
    pub fn take_bytes(&self, len: usize) -> bool {
        self.take(len / BYTES_A_STEP + 1)
    }

    /// Whether all of it was spent.
    pub fn is_spent(&self) -> bool {
        self.left.get() == 0
    }
}
