//! How old the prices and balances are that an entry rests on.
//!
//! A span on this host is measured with its monotonic clock. Whether a balance is newer than a fill is told by the
//! exchange's own stamps on both, which one clock has made. Deliberately absent: fetching anything.

use std::{fmt, time::Duration};

use env::WallTime;
use tokio::time::Instant;

/// The oldest market price that an entry may rest on when it is sent (chaos procedures, "Stale Price Data").
pub const PRICE_LIMIT: Duration = Duration::from_secs(30);

/// The oldest balance that an entry may rest on when it is sent; the tiered suite wants one that was not left alone for
/// ten minutes (tiered suite, manual verification 4).
pub const BALANCE_LIMIT: Duration = Duration::from_secs(600);

/// The age of a price, which was not new when it came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceAge {
    arrived_at: Instant,
    age_then: Duration,
}

impl PriceAge {
    /// A price that arrived at `arrived_at`, and was `age_then` old by the exchange's stamp and this host's wall clock.
    pub const fn new(arrived_at: Instant, age_then: Duration) -> Self {
        Self { arrived_at, age_then }
    }

    /// How old it is at `now`.
    pub fn at(&self, now: Instant) -> Duration {
        self.age_then.saturating_add(now.saturating_duration_since(self.arrived_at))
    }

    /// Whether an entry sent at `now` may rest on it.
    pub fn allows_entry(&self, now: Instant) -> bool {
        self.at(now) <= PRICE_LIMIT
    }
}

/// Whether the known balance may be relied upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reliance {
    /// It may.
    Fresh,
    /// It has not been read yet.
    Unknown,
    /// It was read this long ago.
    TooOld(Duration),
    /// It was made before the newest fill.
    BeforeFill,
}

impl fmt::Display for Reliance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fresh => f.write_str("the balance is fresh"),
            Self::Unknown => f.write_str("the balance has not been read yet"),
            Self::TooOld(age) => write!(f, "the balance is {} s old", age.as_secs()),
            Self::BeforeFill => f.write_str("the balance is older than the newest fill"),
        }
    }
}

/// What is known of the age of the balance.
#[derive(Clone, Copy, Debug, Default)]
pub struct BalanceAge {
    read: Option<Reading>,
    newest_fill: Option<WallTime>,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    /// When it was asked for: it is no younger than the question, whenever the answer came.
    asked_at: Instant,
    /// The exchange's stamp of the last change that it contains.
    changed_at: WallTime,
}

impl BalanceAge {
    /// Takes note of a fill with the exchange's stamp.
    pub fn filled(&mut self, at: WallTime) {
        self.newest_fill = self.newest_fill.max(Some(at));
    }

    /// Takes note of an answer to the question asked at `asked_at`, whose newest change is stamped `changed_at`. Says whether
    /// it counts: one that knows less than the balance at hand, from a replica that lags, does not.
    pub fn read(&mut self, asked_at: Instant, changed_at: WallTime) -> bool {
        let counts =
            self.read.is_none_or(|known| changed_at >= known.changed_at && asked_at >= known.asked_at);
        if counts {
            self.read = Some(Reading { asked_at, changed_at });
        }
        counts
    }

    /// Whether an entry sent at `now` may rest on the balance.
    pub fn at(&self, now: Instant) -> Reliance {
        let Some(Reading { asked_at, changed_at }) = self.read else {
            return Reliance::Unknown;
        };
        let age = now.saturating_duration_since(asked_at);
        if age > BALANCE_LIMIT {
            Reliance::TooOld(age)
        } else if self.newest_fill.is_some_and(|fill| fill > changed_at) {
            Reliance::BeforeFill
        } else {
            Reliance::Fresh
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn stamp(secs: i64) -> WallTime {
        WallTime::from_millis(secs * 1_000)
    }

    #[test]
    fn a_price_ages_from_what_it_was_on_arrival_to_its_limit() {
        let start = Instant::now();
        let price = PriceAge::new(start, secs(25));
        assert!(price.allows_entry(start + secs(5)));
        assert!(!price.allows_entry(start + secs(5) + Duration::from_millis(1)));
        assert!(!PriceAge::new(start, Duration::MAX).allows_entry(start + secs(1)));
    }

    #[test]
    fn a_balance_is_good_for_ten_minutes_from_the_question_and_until_the_next_fill() {
        let start = Instant::now();
        let mut balance = BalanceAge::default();
        assert_eq!(balance.at(start), Reliance::Unknown);
        assert!(balance.read(start, stamp(100)));
        assert_eq!(balance.at(start + BALANCE_LIMIT), Reliance::Fresh);
        let late = BALANCE_LIMIT + Duration::from_millis(1);
        assert_eq!(balance.at(start + late), Reliance::TooOld(late));
        balance.filled(stamp(101));
        assert_eq!(balance.at(start), Reliance::BeforeFill);
        assert!(balance.read(start + secs(1), stamp(101)));
        assert_eq!(balance.at(start + secs(1)), Reliance::Fresh);
    }

    #[test]
    fn a_balance_that_answers_after_the_fill_but_was_made_before_it_is_not_relied_upon() {
        let start = Instant::now();
        let mut balance = BalanceAge::default();
        balance.read(start, stamp(100));
        balance.filled(stamp(101));
        assert!(balance.read(start + secs(3), stamp(100)), "it is read anew, which does not help");
        assert_eq!(balance.at(start + secs(3)), Reliance::BeforeFill);
    }

    #[test]
    fn an_answer_of_a_lagging_replica_does_not_replace_what_is_known() {
        let start = Instant::now();
        let mut balance = BalanceAge::default();
        balance.read(start, stamp(100));
        assert!(!balance.read(start + secs(1), stamp(99)));
        assert_eq!(balance.at(start + BALANCE_LIMIT + secs(1)), Reliance::TooOld(BALANCE_LIMIT + secs(1)));
    }

    proptest! {
        #[test]
        fn fresh_means_read_within_ten_minutes_and_not_before_any_fill(
            steps in prop::collection::vec((0..200_u64, any::<bool>(), 0..50_i64), 1..60),
        ) {
            let mut now = Instant::now();
            let mut balance = BalanceAge::default();
            let (mut reads, mut fills) = (Vec::new(), Vec::new());
            for (pause, fill, at) in steps {
                now += secs(pause);
                if fill {
                    balance.filled(stamp(at));
                    fills.push(at);
                } else if balance.read(now, stamp(at)) {
                    reads.push((now, at));
                }
                let good = reads.last().is_some_and(|(asked, made)| {
                    now - *asked <= BALANCE_LIMIT && fills.iter().all(|fill| fill <= made)
                });
                prop_assert_eq!(balance.at(now) == Reliance::Fresh, good);
            }
        }
    }
}
