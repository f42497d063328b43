//! What a process tells of itself: whether it is ready, and its metrics.
//!
//! A condition of readiness holds only as long as it is confirmed again and again: whoever stops confirming, because it failed
//! or because it hangs, makes the process unready within a second.

mod server;

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rust_decimal::Decimal;
use tokio::time::Instant;

pub use server::{Answer, Asked, PORT, Routes, serve};

/// How long a confirmation holds (`/ready` is true only if its conditions held within the last second).
pub const CONFIRMATION: Duration = Duration::from_secs(1);

/// The state of a process as others may see it. Cheap to clone; clones show the same.
#[derive(Clone, Default)]
pub struct Status(Arc<Mutex<Board>>);

#[derive(Default)]
struct Board {
    conditions: BTreeMap<&'static str, Condition>,
    metrics: BTreeMap<&'static str, BTreeMap<Option<Label>, Value>>,
}

struct Condition {
    confirmed: Option<Instant>,
    why_not: String,
}

/// The one label of a metric: its name and value.
type Label = (&'static str, String);

enum Value {
    Number(Decimal),
    Since(Instant),
}

impl Status {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the process unready until `condition` is confirmed.
    pub fn declare(&self, condition: &'static str) {
        self.deny(condition, "not yet");
    }

    /// The condition holds now.
    pub fn confirm(&self, condition: &'static str) {
        let confirmed = Some(Instant::now());
        self.board().conditions.insert(condition, Condition { confirmed, why_not: String::new() });
    }

    /// The condition does not hold.
    pub fn deny(&self, condition: &'static str, why: impl Into<String>) {
        self.board().conditions.insert(condition, Condition { confirmed: None, why_not: why.into() });
    }

    /// What keeps the process from being ready: conditions and why they do not hold. Empty when it is ready.
    pub fn missing(&self) -> Vec<(&'static str, String)> {
        let now = Instant::now();
        let board = self.board();
        let unmet = board.conditions.iter().filter_map(|(name, condition)| match condition.confirmed {
            Some(at) if now.duration_since(at) <= CONFIRMATION => None,
            Some(at) => Some((*name, format!("last held {} ms ago", now.duration_since(at).as_millis()))),
            None => Some((*name, condition.why_not.clone())),
        });
        unmet.collect()
    }

    /// Sets a metric.
    pub fn gauge(&self, name: &'static str, value: impl Into<Decimal>) {
        self.set(name, None, Value::Number(value.into()));
    }

    /// Sets a metric that has a value for each value of a label.
    pub fn gauge_of(&self, name: &'static str, label: (&'static str, &str), value: impl Into<Decimal>) {
        self.set(name, Some((label.0, label.1.to_owned())), Value::Number(value.into()));
    }

    /// Adds one to a metric.
    pub fn count(&self, name: &'static str) {
        let mut board = self.board();
        let value =
            board.metrics.entry(name).or_default().entry(None).or_insert(Value::Number(Decimal::ZERO));
        if let Value::Number(number) = value {
            *number += Decimal::ONE;
        }
    }

    /// Something happened now; the metric shows for how many seconds it has not happened again.
    pub fn beat(&self, name: &'static str) {
        self.set(name, None, Value::Since(Instant::now()));
    }

    fn set(&self, name: &'static str, label: Option<Label>, value: Value) {
        self.board().metrics.entry(name).or_default().insert(label, value);
    }

    /// The metrics in Prometheus's text format (version 0.0.4).
    pub fn metrics(&self) -> String {
        let now = Instant::now();
        let mut text = String::new();
        for (name, values) in &self.board().metrics {
            for (label, value) in values {
                // Writing to a string does not fail.
                let _ = match label {
                    Some((label, value)) => write!(text, "{name}{{{label}=\"{}\"}} ", escaped(value)),
                    None => write!(text, "{name} "),
                };
                let _ = match value {
                    Value::Number(number) => writeln!(text, "{number}"),
                    Value::Since(at) => {
                        let age = now.duration_since(*at);
                        writeln!(text, "{}.{:03}", age.as_secs(), age.subsec_millis())
                    }
                };
            }
        }
        text
    }
}

/// A label's value as the format wants it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_condition_holds_for_a_second_after_its_confirmation() {
        let status = Status::default();
        assert!(status.missing().is_empty());
        status.declare("leads");
        assert_eq!(status.missing(), [("leads", "not yet".into())]);
        status.confirm("leads");
        tokio::time::advance(CONFIRMATION).await;
        assert!(status.missing().is_empty());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(status.missing(), [("leads", "last held 1001 ms ago".into())]);
        status.deny("leads", "the bus is down");
        assert_eq!(status.missing(), [("leads", "the bus is down".into())]);
    }

    #[tokio::test(start_paused = true)]
    async fn metrics_are_shown_in_prometheus_format() {
        let status = Status::default();
        status.gauge("throttle_queue_depth", 7);
        status.gauge_of("halt_reason", ("reason", "a \"b\"\\"), 1);
        status.count("duplicate_signals_total");
        status.count("duplicate_signals_total");
        status.beat("order_heartbeat_seconds");
        tokio::time::advance(Duration::from_millis(1_250)).await;
        assert_eq!(
            status.metrics(),
            "duplicate_signals_total 2\nhalt_reason{reason=\"a \\\"b\\\"\\\\\"} 1\norder_heartbeat_seconds 1.250\n\
             throttle_queue_depth 7\n"
        );
    }
}
