//! The lease: for how long this trader may believe that it leads.
//!
//! `lock:leader` on the bus expires by the bus's clock; what counts here is an earlier moment of the own monotonic clock, so
//! that an order which left in time cannot arrive after somebody else has taken the lock. Whoever wins the lock is a
//! *candidate*; it leads once it has a fencing epoch higher than any before. Deliberately absent: the commands that do it.

use std::{fmt, time::Duration};

use tokio::time::Instant;

/// How long the lock lives on the bus without being extended. Source: leader-lock suite ("TTL is 30s").
pub const LOCK_TTL: Duration = Duration::from_secs(30);

/// How long before the lock's end the lease ends: the broker's receive window of 5 s, its tolerance of 1 s for time stamps
/// that lie ahead, and 1 s for what the clocks of the hosts may disagree.
pub const MARGIN: Duration = Duration::from_secs(7);

/// How often the lock is extended.
pub const EXTEND_EVERY: Duration = Duration::from_secs(1);

/// How often the leader asks the bus what it may do.
pub const POLL_EVERY: Duration = Duration::from_millis(250);

/// An answer to that question, reckoned from when it was asked, is no answer any more after this.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// A fencing epoch: whoever leads later has a greater one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// The epoch with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The epoch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What happened to the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The bus says that the lock is ours and lives for [`LOCK_TTL`] from now on; it was asked to at `sent`.
    Extended {
        /// When the command was handed to the network.
        sent: Instant,
    },
    /// The bus says that the lock is ours; it was asked at `sent`.
    Confirmed {
        /// When the command was handed to the network.
        sent: Instant,
    },
    /// What earlier leaders left behind is known and resolved, under this epoch.
    TookOver(Epoch),
    /// The lock is somebody else's, or the bus has not said whose it is.
    Lost,
}

/// What the lease has become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The lock is ours; nothing may be sent yet.
    Won,
    /// We lead.
    Leads(Epoch),
    /// We led, or were about to, and do no longer.
    Ended,
}

/// Why nothing may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLease {
    /// The lock is not ours.
    #[error("the lock is not ours")]
    Follower,
    /// The lock is ours, but what earlier leaders left behind is not resolved yet.
    #[error("the lead is being taken over")]
    Candidate,
    /// The lock may be somebody else's by the time at which an order arrives.
    #[error("the lease has run out")]
    Expired,
    /// The bus has not been heard of for longer than [`ANSWER_LIMIT`].
    #[error("the bus has not answered in time")]
    Unconfirmed,
}

/// The lease of one trader.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lease {
    held: Option<Held>,
    /// The last epoch that this trader led under.
    newest: Epoch,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    extended: Instant,
    confirmed: Instant,
    epoch: Option<Epoch>,
}

impl Lease {
    /// Takes note of an event. One that cannot be (a takeover without the lock, or under an epoch that is not new) changes
    /// nothing.
    pub fn step(&mut self, event: Event) -> Option<Change> {
        match (event, &mut self.held) {
            (Event::Extended { sent }, Some(held)) => {
                held.extended = held.extended.max(sent);
                held.confirmed = held.confirmed.max(sent);
                None
            }
            (Event::Extended { sent }, None) => {
                self.held = Some(Held { extended: sent, confirmed: sent, epoch: None });
                Some(Change::Won)
            }
            (Event::Confirmed { sent }, Some(held)) => {
                held.confirmed = held.confirmed.max(sent);
                None
            }
            (Event::TookOver(epoch), Some(held @ Held { epoch: None, .. })) if epoch > self.newest => {
                held.epoch = Some(epoch);
                self.newest = epoch;
                Some(Change::Leads(epoch))
            }
            (Event::TookOver(_) | Event::Confirmed { .. } | Event::Lost, None)
            | (Event::TookOver(_), Some(_)) => None,
            (Event::Lost, Some(_)) => {
                self.held = None;
                Some(Change::Ended)
            }
        }
    }

    /// Whether something may leave at `now`, and under which epoch.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, now: Instant) -> Result<Epoch, NoLease> {
        let Held { extended, confirmed, epoch } = self.held.ok_or(NoLease::Follower)?;
        if now >= extended + (LOCK_TTL - MARGIN) {
            return Err(NoLease::Expired);
        }
        let epoch = epoch.ok_or(NoLease::Candidate)?;
        if now > confirmed + ANSWER_LIMIT {
            return Err(NoLease::Unconfirmed);
        }
        Ok(epoch)
    }

    /// Whether it is time to extend the lock; never for whoever does not hold it.
    pub fn is_extension_due(&self, now: Instant) -> bool {
        self.held.is_some_and(|held| now >= held.extended + EXTEND_EVERY)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn leader(start: Instant) -> Lease {
        let mut lease = Lease::default();
        assert_eq!(lease.step(Event::Extended { sent: start }), Some(Change::Won));
        assert_eq!(lease.step(Event::TookOver(Epoch::new(3))), Some(Change::Leads(Epoch::new(3))));
        lease
    }

    #[test]
    fn a_follower_sends_nothing_whatever_it_hears_but_that_the_lock_is_its_own() {
        let now = Instant::now();
        let mut lease = Lease::default();
        for event in [Event::Confirmed { sent: now }, Event::TookOver(Epoch::new(9)), Event::Lost] {
            assert_eq!(lease.step(event), None);
            assert_eq!(lease.check(now), Err(NoLease::Follower));
        }
        assert_eq!(lease.step(Event::Extended { sent: now }), Some(Change::Won));
        assert_eq!(lease.check(now), Err(NoLease::Candidate));
    }

    #[test]
    fn the_lease_ends_23_seconds_after_the_last_extension_was_sent() {
        let start = Instant::now();
        let mut lease = leader(start);
        let confirm = |lease: &mut Lease, after| lease.step(Event::Confirmed { sent: start + after });
        confirm(&mut lease, ms(22_999));
        assert_eq!(lease.check(start + ms(22_999)), Ok(Epoch::new(3)));
        confirm(&mut lease, ms(23_000));
        assert_eq!(lease.check(start + ms(23_000)), Err(NoLease::Expired));
        lease.step(Event::Extended { sent: start + ms(1_000) });
        assert_eq!(lease.check(start + ms(23_000)), Ok(Epoch::new(3)));
        assert_eq!(lease.check(start + ms(24_000)), Err(NoLease::Expired));
    }

    #[test]
    fn an_answer_counts_from_when_it_was_asked_for_and_for_a_second() {
        let start = Instant::now();
        let mut lease = leader(start);
        assert_eq!(lease.check(start + ms(1_000)), Ok(Epoch::new(3)));
        assert_eq!(lease.check(start + ms(1_001)), Err(NoLease::Unconfirmed));
        lease.step(Event::Confirmed { sent: start + ms(500) });
        assert_eq!(lease.check(start + ms(1_500)), Ok(Epoch::new(3)));
        lease.step(Event::Confirmed { sent: start });
        assert_eq!(lease.check(start + ms(1_500)), Ok(Epoch::new(3)), "an answer that was overtaken");
    }

    #[test]
    fn whoever_lost_the_lock_leads_again_only_under_a_higher_epoch() {
        let start = Instant::now();
        let mut lease = leader(start);
        assert_eq!(lease.step(Event::Lost), Some(Change::Ended));
        assert_eq!(lease.check(start), Err(NoLease::Follower));
        assert_eq!(lease.step(Event::Extended { sent: start }), Some(Change::Won));
        assert_eq!(lease.step(Event::TookOver(Epoch::new(3))), None);
        assert_eq!(lease.check(start), Err(NoLease::Candidate));
        assert_eq!(lease.step(Event::TookOver(Epoch::new(5))), Some(Change::Leads(Epoch::new(5))));
        assert_eq!(lease.step(Event::TookOver(Epoch::new(6))), None, "one term has one epoch");
        assert_eq!(lease.check(start), Ok(Epoch::new(5)));
    }

    #[test]
    fn an_extension_is_due_each_second_for_the_holder_only() {
        let start = Instant::now();
        assert!(!Lease::default().is_extension_due(start));
        let lease = leader(start);
        assert!(!lease.is_extension_due(start + ms(999)));
        assert!(lease.is_extension_due(start + ms(1_000)));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Pass(u64),
        Extend { ago: u64 },
        Confirm { ago: u64 },
        TakeOver(u64),
        Lose,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0_u64..5_000).prop_map(Step::Pass),
            3 => (0_u64..2_000).prop_map(|ago| Step::Extend { ago }),
            3 => (0_u64..2_000).prop_map(|ago| Step::Confirm { ago }),
            2 => (0_u64..12).prop_map(Step::TakeOver),
            1 => Just(Step::Lose),
        ]
    }

    proptest! {
        #[test]
        fn nothing_leaves_after_the_lease_nor_under_an_old_epoch(steps in prop::collection::vec(step(), 0..80)) {
            let start = Instant::now() + Duration::from_secs(60);
            let (mut now, mut lease) = (start, Lease::default());
            let (mut extended, mut heard, mut led) = (None, None, Epoch::default());
            for step in steps {
                let change = match step {
                    Step::Pass(millis) => { now += ms(millis); None }
                    Step::Extend { ago } => {
                        let sent = now - ms(ago);
                        extended = extended.max(Some(sent));
                        heard = heard.max(Some(sent));
                        lease.step(Event::Extended { sent })
                    }
                    Step::Confirm { ago } => {
                        heard = heard.max(extended.map(|_| now - ms(ago)));
                        lease.step(Event::Confirmed { sent: now - ms(ago) })
                    }
                    Step::TakeOver(epoch) => lease.step(Event::TookOver(Epoch::new(epoch))),
                    Step::Lose => {
                        (extended, heard) = (None, None);
                        lease.step(Event::Lost)
                    }
                };
                if let Some(Change::Leads(epoch)) = change {
                    prop_assert!(epoch > led);
                    led = epoch;
                }
                if let Ok(epoch) = lease.check(now) {
                    prop_assert_eq!(epoch, led);
                    prop_assert!(extended.is_some_and(|sent| now < sent + LOCK_TTL - MARGIN));
                    prop_assert!(heard.is_some_and(|sent| now <= sent + ANSWER_LIMIT));
                }
            }
        }
    }
}
