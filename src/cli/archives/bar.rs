//! How far the reading is.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use imagewarden::archive::{Input, Progress};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

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
