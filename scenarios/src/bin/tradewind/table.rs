//! The table at the end of a run.

use std::{fmt::Write, time::Duration};

use scenarios::Scenario;
use sim::Outcome;

/// What a sweep has found about one scenario.
pub struct Row {
    pub name: &'static str,
    pub planned: u64,
    held: u64,
    failed: u64,
    simulated: Duration,
    wall: Duration,
}

impl Row {
    pub fn new(scenario: &Scenario, planned: u64) -> Self {
        Self {
            name: scenario.name,
            planned,
            held: 0,
            failed: 0,
            simulated: Duration::ZERO,
            wall: Duration::ZERO,
        }
    }

    pub fn add(&mut self, outcome: &Outcome) {
        if outcome.verdict.held() {
            self.held += 1;
        } else {
            self.failed += 1;
        }
        self.simulated += outcome.simulated;
        self.wall += outcome.wall;
    }
}

/// One line per scenario; times are means per seed, speed is simulated per real time on one core.
pub fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0).max("scenario".len());
    let mut text = format!(
        "{:width$}  {:>7}  {:>7}  {:>7}  {:>11}  {:>9}  {:>8}\n",
        "scenario", "seeds", "held", "failed", "simulated", "wall", "speed"
    );
    for row in rows {
        let runs = (row.held + row.failed).max(1) as f64;
        let (simulated, wall) = (row.simulated.as_secs_f64(), row.wall.as_secs_f64());
        let speed = if wall > 0.0 { simulated / wall } else { 0.0 };
        let _ = writeln!(
            text,
            "{:width$}  {:>7}  {:>7}  {:>7}  {:>9.1} s  {:>6.0} ms  {:>6.0} ×",
            row.name,
            row.held + row.failed,
            row.held,
            row.failed,
            simulated / runs,
            1_000.0 * wall / runs,
            speed
        );
    }
    let failed: u64 = rows.iter().map(|row| row.failed).sum();
    let total: u64 = rows.iter().map(|row| row.held + row.failed).sum();
    let _ = write!(
        text,
        "\n{}",
        if failed == 0 {
            format!("all {total} runs held")
        } else {
            format!("{failed} of {total} runs failed")
        }
    );
    text
}
