//! The halt lattice: a set of reasons; entries are allowed iff it is empty.
//!
//! A *cause* is raised and ended by whoever observes it. A *latch* is set by a person or on behalf of one, and only a person
//! takes it back: nothing here can end it but [`Halts::unlatch`]. Exits are allowed under every reason, except that while a
//! panic is being carried out only the emergency exit trades. Deliberately absent: where reasons are stored.

use std::{collections::BTreeSet, fmt, str::FromStr};

use super::Symbol;

/// A reason that ends when its cause does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The circuit breaker of a symbol is open: halts the entries in that symbol.
    Breaker(Symbol),
    /// The health check has not found everything in order, or has not been heard of.
    DorFalse,
    /// The order journal could not be written.
    JournalFailed,
    /// This trader does not lead.
    LeaderLost,
    /// The ledger does not store.
    LedgerDown,
    /// The exchange has told us to wait.
    RateLimited,
    /// What is known of the balance is too old.
    StaleBalance,
    /// What is known of the market is too old.
    StaleData,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Breaker(symbol) => return write!(f, "BREAKER({symbol})"),
            Self::DorFalse => "DOR_FALSE",
            Self::JournalFailed => "JOURNAL_FAILED",
            Self::LeaderLost => "LEADER_LOST",
            Self::LedgerDown => "LEDGER_DOWN",
            Self::RateLimited => "RATE_LIMITED",
            Self::StaleBalance => "STALE_BALANCE",
            Self::StaleData => "STALE_DATA",
        })
    }
}

/// A reason that only a person clears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Latch {
    /// The supervisor has given up healing.
    Failsafe,
    /// An operator has stopped trading.
    KillSwitch,
    /// The exit brain was lost and every position was closed.
    Panic,
}

impl Latch {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Failsafe, Self::KillSwitch, Self::Panic];

    /// The name on the bus and in the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failsafe => "FAILSAFE",
            Self::KillSwitch => "KILL_SWITCH",
            Self::Panic => "PANIC",
        }
    }
}

impl fmt::Display for Latch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no latch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no reason that is cleared by hand")]
pub struct UnknownLatch(String);

impl FromStr for Latch {
    type Err = UnknownLatch;

    fn from_str(text: &str) -> Result<Self, UnknownLatch> {
        Self::ALL.into_iter().find(|latch| latch.as_str() == text).ok_or_else(|| UnknownLatch(text.into()))
    }
}

/// The reasons that stand at one moment. Shown as their names, joined by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Halts {
    causes: BTreeSet<Cause>,
    latches: BTreeSet<Latch>,
    panicking: bool,
}

impl Halts {
    /// Takes note of a cause; says whether it is new.
    pub fn raise(&mut self, cause: Cause) -> bool {
        self.causes.insert(cause)
    }

    /// The cause has ended; says whether it stood.
    pub fn end(&mut self, cause: &Cause) -> bool {
        self.causes.remove(cause)
    }

    /// Takes note of a latch; says whether it is new.
    pub fn latch(&mut self, latch: Latch) -> bool {
        self.latches.insert(latch)
    }

    /// A person has cleared a latch; says whether it stood.
    pub fn unlatch(&mut self, latch: Latch) -> bool {
        self.latches.remove(&latch)
    }

    /// Whether a panic is being carried out at this moment.
    pub const fn set_panicking(&mut self, panicking: bool) {
        self.panicking = panicking;
    }

    /// Whether this latch stands.
    pub fn is_latched(&self, latch: Latch) -> bool {
        self.latches.contains(&latch)
    }

    /// Whether no reason stands.
    pub fn is_empty(&self) -> bool {
        self.causes.is_empty() && self.latches.is_empty() && !self.panicking
    }

    /// The names of what stands, sorted.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let causes = self.causes.iter().map(ToString::to_string);
        causes.chain(self.latches.iter().map(ToString::to_string))
    }

    /// Whether a position in `symbol` may be opened or grown.
    ///
    /// # Errors
    /// The reasons against it.
    pub fn may_enter(&self, symbol: &Symbol) -> Result<(), Self> {
        let concerns = |cause: &&Cause| match cause {
            Cause::Breaker(broken) => broken == symbol,
            _ => true,
        };
        let against = Self { causes: self.causes.iter().filter(concerns).cloned().collect(), ..self.clone() };
        if against.is_empty() { Ok(()) } else { Err(against) }
    }

    /// Whether a position may be reduced.
    ///
    /// # Errors
    /// A panic is being carried out.
    pub fn may_exit(&self) -> Result<(), Self> {
        if self.panicking {
            return Err(Self { latches: BTreeSet::from([Latch::Panic]), panicking: true, ..Self::default() });
        }
        Ok(())
    }
}

impl fmt::Display for Halts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.names().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{name}")?;
        }
        if self.panicking && !self.is_latched(Latch::Panic) {
            let comma = if self.causes.is_empty() && self.latches.is_empty() { "" } else { ", " };
            write!(f, "{comma}{}", Latch::Panic)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn btc() -> Symbol {
        "BTCUSDT".parse().unwrap()
    }

    fn eth() -> Symbol {
        "ETHUSDT".parse().unwrap()
    }

    fn causes() -> Vec<Cause> {
        vec![
            Cause::Breaker(btc()),
            Cause::DorFalse,
            Cause::JournalFailed,
            Cause::LeaderLost,
            Cause::LedgerDown,
            Cause::RateLimited,
            Cause::StaleBalance,
            Cause::StaleData,
        ]
    }

    #[test]
    fn each_cause_halts_entries_alone_and_never_exits() {
        for cause in causes() {
            let mut halts = Halts::default();
            assert_eq!(halts.may_enter(&btc()), Ok(()));
            assert!(halts.raise(cause.clone()));
            assert!(!halts.raise(cause.clone()), "it stood already");
            assert_eq!(halts.may_enter(&btc()).unwrap_err().to_string(), cause.to_string());
            assert_eq!(halts.may_exit(), Ok(()));
            assert!(halts.end(&cause));
            assert_eq!(halts.may_enter(&btc()), Ok(()));
        }
    }

    #[test]
    fn each_latch_halts_entries_until_it_is_taken_back_and_never_exits() {
        for latch in Latch::ALL {
            let mut halts = Halts::default();
            halts.latch(latch);
            causes().iter().for_each(|cause| assert!(!halts.end(cause)));
            assert_eq!(halts.may_enter(&btc()).unwrap_err().to_string(), latch.as_str());
            assert_eq!(halts.may_exit(), Ok(()));
            assert!(halts.unlatch(latch));
            assert!(halts.is_empty());
            assert_eq!(latch.as_str().parse(), Ok(latch));
        }
        assert!("LEDGER_DOWN".parse::<Latch>().is_err());
    }

    #[test]
    fn an_open_breaker_halts_its_own_symbol_only() {
        let mut halts = Halts::default();
        halts.raise(Cause::Breaker(btc()));
        assert_eq!(halts.may_enter(&eth()), Ok(()));
        halts.raise(Cause::StaleData);
        assert_eq!(halts.may_enter(&eth()).unwrap_err().to_string(), "STALE_DATA");
        assert_eq!(halts.may_enter(&btc()).unwrap_err().to_string(), "BREAKER(BTCUSDT), STALE_DATA");
    }

    #[test]
    fn while_a_panic_is_carried_out_nothing_leaves() {
        let mut halts = Halts::default();
        halts.set_panicking(true);
        assert_eq!(halts.may_enter(&btc()).unwrap_err().to_string(), "PANIC");
        assert_eq!(halts.may_exit().unwrap_err().to_string(), "PANIC");
        halts.latch(Latch::Panic);
        halts.set_panicking(false);
        assert!(halts.may_exit().is_ok() && halts.may_enter(&btc()).is_err());
    }

    #[derive(Clone, Debug)]
    enum Step {
        Raise(Cause),
        End(Cause),
        Latch(Latch),
        Unlatch(Latch),
        Panicking(bool),
    }

    fn step() -> impl Strategy<Value = Step> {
        let cause = || proptest::sample::select(causes());
        let latch = || proptest::sample::select(Latch::ALL.to_vec());
        prop_oneof![
            cause().prop_map(Step::Raise),
            cause().prop_map(Step::End),
            latch().prop_map(Step::Latch),
            latch().prop_map(Step::Unlatch),
            any::<bool>().prop_map(Step::Panicking),
        ]
    }

    proptest! {
        #[test]
        fn entries_are_allowed_iff_nothing_that_was_raised_has_not_ended(steps in prop::collection::vec(step(), 0..60)) {
            let mut halts = Halts::default();
            let (mut standing, mut panicking) = (BTreeSet::new(), false);
            for step in steps {
                match step {
                    Step::Raise(cause) => { standing.insert(cause.to_string()); halts.raise(cause); }
                    Step::End(cause) => { standing.remove(&cause.to_string()); halts.end(&cause); }
                    Step::Latch(latch) => { standing.insert(latch.to_string()); halts.latch(latch); }
                    Step::Unlatch(latch) => { standing.remove(latch.as_str()); halts.unlatch(latch); }
                    Step::Panicking(is) => { panicking = is; halts.set_panicking(is); }
                }
                prop_assert_eq!(halts.is_empty(), standing.is_empty() && !panicking);
                prop_assert_eq!(halts.may_enter(&btc()).is_ok(), halts.is_empty());
                prop_assert_eq!(halts.may_exit().is_ok(), !panicking);
                let names: BTreeSet<String> = halts.names().collect();
                prop_assert_eq!(&names, &standing);
            }
        }
    }
}
