//! A span that begins with the first request that meets it.

use std::time::Duration;

use tokio::time::Instant;

/// How long everybody has to wait, from the first request on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    span: Duration,
    until: Option<Instant>,
}

impl Wait {
    /// A span that has not begun.
    pub fn new(span: Duration) -> Self {
        Self { span, until: None }
    }

    /// How long it is in full.
    pub fn span(&self) -> Duration {
        self.span
    }

    /// What is left of it at `now`; none when it is over. The first call begins it.
    pub(crate) fn left(&mut self, now: Instant) -> Option<Duration> {
        let until = *self.until.get_or_insert(now + self.span);
        Some(until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_begins_with_the_first_who_asks_and_comes_once() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut wait = Wait::new(2 * second);
        assert_eq!(wait.left(start + second), Some(2 * second));
        assert_eq!(wait.left(start + 2 * second), Some(second));
        assert_eq!(wait.left(start + 3 * second), None);
        assert_eq!(wait.left(start + 9 * second), None);
    }
}
