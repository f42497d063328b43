//! The dead man's switch: all orders of an account in a symbol are cancelled unless it reports again in time
//! ("Auto-Cancel All Open Orders").
//!
//! The venue looks at the countdowns about every 10 ms; here one runs out exactly when its time is over, and lives on
//! when the process does not.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

/// When which countdown runs out, by account and market.
#[derive(Debug, Default)]
pub(crate) struct Countdowns(BTreeMap<(usize, usize), Instant>);

impl Countdowns {
    /// Starts a countdown anew; a length of zero stops it.
    pub fn set(&mut self, account: usize, market: usize, now: Instant, length: Duration) {
        // A countdown that no clock can show never ends.
        match now.checked_add(length).filter(|_| !length.is_zero()) {
            Some(end) => self.0.insert((account, market), end),
            None => self.0.remove(&(account, market)),
        };
    }

    /// When the next one runs out.
    pub fn next(&self) -> Option<Instant> {
        self.0.values().min().copied()
    }

    /// Takes out one that has run out: its account and market.
    pub fn pop_over(&mut self, now: Instant) -> Option<(usize, usize)> {
        let over = self.0.iter().find(|(_, end)| **end <= now).map(|(key, _)| *key)?;
        self.0.remove(&over);
        Some(over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_countdown_runs_out_once_unless_it_is_started_anew_or_stopped() {
        let start = Instant::now();
        let second = |n| start + Duration::from_secs(n);
        let mut countdowns = Countdowns::default();
        countdowns.set(0, 0, start, Duration::from_secs(5));
        countdowns.set(0, 1, start, Duration::from_secs(7));
        assert_eq!(countdowns.next(), Some(second(5)));
        countdowns.set(0, 0, second(4), Duration::from_secs(5));
        assert_eq!(countdowns.pop_over(second(6)), None);
        countdowns.set(0, 1, second(6), Duration::ZERO);
        assert_eq!(countdowns.pop_over(second(8)), None);
        assert_eq!(countdowns.pop_over(second(9)), Some((0, 0)));
        assert_eq!((countdowns.pop_over(second(9)), countdowns.next()), (None, None));
        countdowns.set(0, 0, start, Duration::MAX);
        assert_eq!(countdowns.next(), None);
    }
}
