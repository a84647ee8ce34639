//! What reading one CloudWatch Logs batch of 10,000 Tetragon lines costs. `benches/compare/tetragon.py` makes
//! the batch, does the same tests in a JSON loop, and sets both side by side.
//!
//! ```text
//! tetragon_batch FILE ROUNDS     reads the delivery in FILE so often; prints processor time and memory as JSON
//! ```

use chrono::Utc;
use imagewarden::source::{self, Surroundings};
use serde_json::{Value, json};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Nanoseconds that this thread, the only one, has had of a processor.
fn processor_time() -> Outcome<u64> {
    let statistics = std::fs::read_to_string("/proc/self/schedstat")?;
    Ok(statistics.split_whitespace().next().unwrap_or_default().parse()?)
}

/// The most memory that was resident at once, in KiB.
fn peak() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    Ok(line.split_whitespace().next().unwrap_or_default().parse()?)
}

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("name the file that holds the delivery")?;
    let rounds: u32 = arguments.next().map_or(Ok(1), |rounds| rounds.parse())?;
    let text = std::fs::read_to_string(file)?;
    let around = Surroundings::new(Utc::now());
    let mut activities = 0;
    let before = processor_time()?;
    for _ in 0..rounds {
        let payload: Value = serde_json::from_str(&text)?;
        let reading = source::read(&payload, &around);
        activities = std::hint::black_box(reading).activities.len();
    }
    let spent = processor_time()?.saturating_sub(before) / u64::from(rounds.max(1));
    println!("{}", json!({"cpu_ns": spent, "peak_kib": peak()?, "activities": activities}));
    Ok(())
}
