//! Growing delays between attempts.

use std::time::Duration;

use env::Env;

/// The delay before the second attempt of a reconnection.
const RECONNECT_FIRST: Duration = Duration::from_millis(100);

/// The longest delay of a reconnection; a peer that is back is noticed within it.
const RECONNECT_CAP: Duration = Duration::from_secs(5);

/// A capped exponential delay of which the upper half is random, so that clients which lost the same peer do not return
/// in step.
#[derive(Clone, Debug)]
pub struct Backoff {
    site: &'static str,
    first: Duration,
    cap: Duration,
    next: Duration,
}

impl Backoff {
    /// Delays from `first` to `cap`, doubling. `site` names the random decision.
    pub const fn new(site: &'static str, first: Duration, cap: Duration) -> Self {
        Self { site, first, cap, next: first }
    }

    /// Delays for reconnecting to a peer: 100 ms to 5 s.
    pub const fn reconnect(site: &'static str) -> Self {
        Self::new(site, RECONNECT_FIRST, RECONNECT_CAP)
    }

    /// The next delay; each call doubles the one after.
    pub fn delay(&mut self, env: &Env) -> Duration {
        let half = self.next / 2;
        self.next = (self.next * 2).min(self.cap);
        let range = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
        half + Duration::from_micros(env.entropy.below(self.site, range))
    }

    /// Waits for the next delay.
    pub async fn wait(&mut self, env: &Env) {
        let delay = self.delay(env);
        tokio::time::sleep(delay).await;
    }

    /// Starts over: the last attempt succeeded.
    pub const fn reset(&mut self) {
        self.next = self.first;
    }
}
