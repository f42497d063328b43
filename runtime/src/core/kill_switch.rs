//! When a halt that a person orders, or clears, may be reported as done.
//!
//! A halt is written in three places: the supervisor's file, the ledger, and the bus, where the traders look. It is
//! *durable* when the file or the ledger has it, whichever works, and it *acts* when the bus has it, or, should the bus
//! be away, when no leader can have a lease any more. Only what is durable and acts is acknowledged: whoever reads
//! "active" may rely on it through any restart. Deliberately absent: the writing itself, and what a halt forbids.

use tokio::time::Instant;

use super::LOCK_TTL;

/// Where a halt is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The supervisor's `global_flags.json`.
    File,
    /// The ledger's table `halts`.
    Ledger,
    /// The bus's `system:halts`.
    Bus,
}

/// What can be told to the person who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not yet known.
    Pending,
    /// Done, and it stays so.
    Acknowledged,
    /// Not done. It may be in force nevertheless; the person is to ask again.
    Refused,
}

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// The halt is in force.
    Set,
    /// The halt is not in force.
    Cleared,
}

/// The progress of one wish.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    wish: Wish,
    asked: Instant,
    file: Option<bool>,
    ledger: Option<bool>,
    bus: Option<bool>,
}

impl Order {
    /// A wish of which nothing is done.
    pub const fn new(wish: Wish, now: Instant) -> Self {
        Self { wish, asked: now, file: None, ledger: None, bus: None }
    }

    /// Takes note of what became of the writing at one place.
    pub const fn settle(&mut self, place: Place, written: bool) {
        match place {
            Place::File => self.file = Some(written),
            Place::Ledger => self.ledger = Some(written),
            Place::Bus => self.bus = Some(written),
        }
    }

    /// What can be told now.
    pub fn verdict(&self, now: Instant) -> Verdict {
        match self.wish {
            Wish::Set => self.set(now),
            // A halt that one place still has would come back from there.
            Wish::Cleared => match (self.file, self.ledger, self.bus) {
                (Some(true), Some(true), Some(true)) => Verdict::Acknowledged,
                (Some(false), ..) | (_, Some(false), _) | (.., Some(false)) => Verdict::Refused,
                _ => Verdict::Pending,
            },
        }
    }

    fn set(&self, now: Instant) -> Verdict {
        match (self.file, self.ledger) {
            (Some(false), Some(false)) => Verdict::Refused,
            (Some(_), Some(_)) if self.bus == Some(true) || now >= self.lease_is_over() => {
                Verdict::Acknowledged
            }
            (Some(_), Some(_)) | (None, _) | (_, None) => Verdict::Pending,
        }
    }

    /// From when on no leader that has lost the bus may still trade.
    pub fn lease_is_over(&self) -> Instant {
        self.asked + LOCK_TTL
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use Verdict::{Acknowledged, Pending, Refused};
    use proptest::prelude::*;

    use super::*;

    fn order(wish: Wish, file: Option<bool>, ledger: Option<bool>, bus: Option<bool>) -> Order {
        let mut order = Order::new(wish, Instant::now());
        for (place, outcome) in [(Place::File, file), (Place::Ledger, ledger), (Place::Bus, bus)] {
            if let Some(written) = outcome {
                order.settle(place, written);
            }
        }
        order
    }

    #[test]
    fn a_halt_is_acknowledged_once_it_is_durable_and_acts() {
        const YES: Option<bool> = Some(true);
        const NO: Option<bool> = Some(false);
        for (file, ledger, bus, at_once, later) in [
            (None, None, None, Pending, Pending),
            (YES, None, YES, Pending, Pending),
            (YES, YES, None, Pending, Acknowledged),
            (YES, YES, NO, Pending, Acknowledged),
            (YES, YES, YES, Acknowledged, Acknowledged),
            (YES, NO, YES, Acknowledged, Acknowledged),
            (NO, YES, YES, Acknowledged, Acknowledged),
            (NO, YES, NO, Pending, Acknowledged),
            (NO, NO, YES, Refused, Refused),
        ] {
            let order = order(Wish::Set, file, ledger, bus);
            assert_eq!(order.verdict(order.asked), at_once, "{order:?}");
            assert_eq!(order.verdict(order.asked + LOCK_TTL), later, "{order:?}");
        }
    }

    #[test]
    fn a_halt_is_cleared_only_when_no_place_has_it() {
        let order = |file, ledger, bus| order(Wish::Cleared, file, ledger, bus);
        assert_eq!(order(Some(true), Some(true), Some(true)).verdict(Instant::now()), Acknowledged);
        assert_eq!(order(Some(true), Some(true), None).verdict(Instant::now()), Pending);
        assert_eq!(order(Some(true), None, Some(false)).verdict(Instant::now()), Refused);
    }

    fn outcome() -> impl Strategy<Value = Option<bool>> {
        prop_oneof![Just(None), any::<bool>().prop_map(Some)]
    }

    proptest! {
        #[test]
        fn nothing_is_acknowledged_that_a_crash_could_undo(
            file in outcome(), ledger in outcome(), bus in outcome(), seconds in 0..60_u64, set in any::<bool>(),
        ) {
            let wish = if set { Wish::Set } else { Wish::Cleared };
            let order = order(wish, file, ledger, bus);
            if order.verdict(order.asked + Duration::from_secs(seconds)) == Acknowledged {
                match wish {
                    Wish::Set => {
                        prop_assert!(file == Some(true) || ledger == Some(true));
                        prop_assert!(bus == Some(true) || seconds >= 30);
                    }
                    Wish::Cleared => prop_assert_eq!((file, ledger, bus), (Some(true), Some(true), Some(true))),
                }
            }
        }
    }
}
