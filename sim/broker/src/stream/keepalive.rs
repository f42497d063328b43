//! When a stream's connection is probed and when it ends: a pure timer ("Websocket Market Streams": ping every 3 minutes,
//! disconnected without a pong in 10, and after 24 hours in any case; at most 10 incoming messages a second).

use std::time::Duration;

use tokio::time::Instant;

const PING_EVERY: Duration = Duration::from_secs(3 * 60);
const PONG_WITHIN: Duration = Duration::from_secs(10 * 60);
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
const MESSAGES_PER_SECOND: u32 = 10;

pub(crate) struct Keepalive {
    next_ping: Instant,
    pong_by: Instant,
    end: Instant,
    second: Instant,
    messages: u32,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Ping,
    /// The client has not answered for too long.
    Silent,
    /// The connection is a day old.
    Old,
}

impl Keepalive {
    pub fn new(now: Instant) -> Self {
        Self {
            next_ping: now + PING_EVERY,
            pong_by: now + PONG_WITHIN,
            end: now + LIFETIME,
            second: now,
            messages: 0,
        }
    }

    /// When [`Keepalive::due`] next has something to say.
    pub fn deadline(&self) -> Instant {
        self.next_ping.min(self.pong_by).min(self.end)
    }

    /// What is due at `now`, which is at or after the deadline.
    pub fn due(&mut self, now: Instant) -> Due {
        if now >= self.end {
            Due::Old
        } else if now >= self.pong_by {
            Due::Silent
        } else {
            self.next_ping = now + PING_EVERY;
            Due::Ping
        }
    }

    pub fn pong(&mut self, now: Instant) {
        self.pong_by = now + PONG_WITHIN;
    }

    /// Counts an incoming message of whatever kind; false when it is one too many for this second.
    pub fn message(&mut self, now: Instant) -> bool {
        if now.duration_since(self.second) >= Duration::from_secs(1) {
            self.second = now;
            self.messages = 0;
        }
        self.messages += 1;
        self.messages <= MESSAGES_PER_SECOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_is_pinged_three_times_and_given_up_after_ten_minutes() {
        let start = Instant::now();
        let minute = |n: u64| start + Duration::from_secs(60 * n);
        let mut life = Keepalive::new(start);
        for n in [3, 6, 9] {
            assert_eq!(life.deadline(), minute(n));
            assert_eq!(life.due(minute(n)), Due::Ping);
        }
        assert_eq!(life.deadline(), minute(10));
        assert_eq!(life.due(minute(10)), Due::Silent);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answering_client_is_served_for_exactly_a_day() {
        let start = Instant::now();
        let mut life = Keepalive::new(start);
        loop {
            let now = life.deadline();
            match life.due(now) {
                Due::Ping => life.pong(now),
                Due::Silent => panic!("the client has answered"),
                Due::Old => break assert_eq!(now - start, LIFETIME),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_eleventh_message_in_a_second_is_one_too_many() {
        let start = Instant::now();
        let mut life = Keepalive::new(start);
        assert!((0..10).all(|_| life.message(start)));
        assert!(!life.message(start + Duration::from_millis(999)));
        assert!(life.message(start + Duration::from_secs(1)));
    }
}
