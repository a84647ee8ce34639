//! What is told on standard error: how far it is, and what it came to. And how it is ended.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use imagewarden::alert::Alert;
use imagewarden::archive::{Input, Progress, Summary};
use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressStyle};

use super::launches::Launches;

/// What could not be read is told one by one up to this.
const NAMED: usize = 10;

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

/// A bar on a terminal, with rate and time left; nothing anywhere else.
pub struct Bar {
    thread: Option<(JoinHandle<()>, std::sync::mpsc::Sender<()>)>,
}

impl Bar {
    pub fn start(inputs: &[Input], progress: Arc<Progress>) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self { thread: None };
        }
        let total: u64 = inputs.iter().map(Input::size).sum();
        let (bar, template) = if total > 0 {
            let template = "{bar:32} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left, {msg} records";
            (ProgressBar::new(total), template)
        } else {
            (ProgressBar::new_spinner(), "{spinner} {bytes} {bytes_per_sec}, {msg} records")
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let (end, ended) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            while ended.recv_timeout(Duration::from_millis(100))
                == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
            {
                bar.set_position(progress.bytes.load(Ordering::Relaxed));
                bar.set_message(HumanCount(progress.records.load(Ordering::Relaxed)).to_string());
            }
            bar.finish_and_clear();
        });
        Self { thread: Some((thread, end)) }
    }

    /// Takes the bar away.
    pub fn end(self) {
        if let Some((thread, end)) = self.thread {
            drop(end);
            let _ = thread.join();
        }
    }
}

/// Counts of what was judged.
#[derive(Debug, Default)]
pub struct Tally {
    pub activities: u64,
    pub repetitions: u64,
    pub suppressed: u64,
    pub below_floor: u64,
    /// By the most severe detection of each.
    pub alerts: BTreeMap<&'static str, u64>,
    /// Judging was ended before all was judged.
    pub stopped: bool,
}

impl Tally {
    pub fn add(&mut self, alert: &Alert) {
        if let Some(lead) = alert.lead() {
            *self.alerts.entry(lead.detection.id).or_default() += 1;
        }
        self.below_floor += u64::from(alert.below_floor);
    }
}

/// All that was found out.
pub struct Told<'a> {
    pub summary: &'a Summary,
    pub tally: &'a Tally,
    pub launches: &'a Launches,
    pub elapsed: Duration,
}

impl Told<'_> {
    pub fn is_stopped(&self) -> bool {
        self.summary.stopped || self.tally.stopped
    }
}

/// The summary, on standard error.
pub fn summary(told: &Told<'_>) {
    let Told { summary, tally, launches, elapsed } = told;
    let count = |number: u64, one: &str, many: &str| {
        format!("{} {}", HumanCount(number), if number == 1 { one } else { many })
    };
    for problem in summary.problems.iter().take(NAMED) {
        let place = if problem.place.is_empty() { String::new() } else { format!(", {}", problem.place) };
        eprintln!("unreadable: {}{place}: {}", problem.file, problem.reason);
    }
    let unnamed = summary.unreadable.saturating_sub(summary.problems.len().min(NAMED) as u64);
    if unnamed > 0 {
        eprintln!("unreadable: and {} more", HumanCount(unnamed));
    }
    let rate = summary.inflated as f64 / elapsed.as_secs_f64().max(0.001);
    let took = if elapsed.as_secs() < 5 {
        format!("{:.1} seconds", elapsed.as_secs_f64())
    } else {
        HumanDuration(*elapsed).to_string()
    };
    eprintln!(
        "{} ({}), {} in {took}: {} of logs a second",
        count(summary.files, "file", "files"),
        HumanBytes(summary.bytes),
        count(summary.records, "record", "records"),
        // A rate below zero or beyond all bounds does not come up.
        HumanBytes(rate as u64),
    );
    let alerts: u64 = tally.alerts.values().sum();
    let mut line = format!(
        "{} judged: {}",
        count(tally.activities, "activity", "activities"),
        count(alerts, "alert", "alerts")
    );
    let unjudged = launches.total();
    for (number, what) in [
        (tally.below_floor, "below the notification floor"),
        (tally.repetitions, "repetitions counted in their threads"),
        (tally.suppressed, "suppressed"),
        (unjudged, "launches whose image's owner is not known"),
        (summary.unreadable, "unreadable"),
    ] {
        if number > 0 {
            line.push_str(&format!(", {} {what}", HumanCount(number)));
        }
    }
    eprintln!("{line}");
    let mut detections: Vec<_> = tally.alerts.iter().collect();
    detections.sort_by_key(|(id, number)| (std::cmp::Reverse(**number), **id));
    for (id, number) in detections {
        eprintln!("  {id}: {}", HumanCount(*number));
    }
    if told.is_stopped() {
        eprintln!("interrupted: this is what was found until then");
    }
}
