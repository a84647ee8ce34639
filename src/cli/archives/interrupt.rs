//! Ctrl-C, which keeps what was found.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use imagewarden::archive::Progress;

/// Ctrl-C. Once ends the reading, and what was found is judged; again ends that too; a third time
/// ends the process.
pub struct Interrupt(Arc<Signal>);

#[derive(Default)]
struct Signal {
    raised: AtomicUsize,
    /// How often it was raised before judging began.
    before: AtomicUsize,
    reading: Mutex<Option<Arc<Progress>>>,
}

impl Interrupt {
    /// Listens from now on. Where the system does not allow it, Ctrl-C ends the process as ever.
    pub fn listen() -> Self {
        let signal = Arc::new(Signal::default());
        let raised = signal.clone();
        let listening = ctrlc::set_handler(move || {
            if raised.raised.fetch_add(1, Ordering::SeqCst) >= 2 {
                std::process::exit(130);
            }
            if let Some(progress) = raised.reading.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
                progress.stop();
            }
        });
        if let Err(error) = listening {
            eprintln!("warning: Ctrl-C will lose what was found: {error}");
        }
        Self(signal)
    }

    /// Ends this reading when raised.
    pub fn stops(&self, progress: Arc<Progress>) {
        if self.0.raised.load(Ordering::SeqCst) > 0 {
            progress.stop();
        }
        *self.0.reading.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
    }

    /// What was read is judged now: only another Ctrl-C ends that.
    pub fn goes_on(&self) {
        self.0.before.store(self.0.raised.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    pub fn is_raised(&self) -> bool {
        self.0.raised.load(Ordering::SeqCst) > self.0.before.load(Ordering::SeqCst)
    }
}
