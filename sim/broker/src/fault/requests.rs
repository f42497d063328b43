//! Which requests a fault hits, and what becomes of them.

use std::fmt;

use env::Entropy;
use faults::{Unexpected, Words};

/// A share of the requests of a class. A plan writes `[PERCENT] [CLASS]`: all of them, unless told otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requests {
    /// How many of a hundred.
    pub percent: u64,
    /// Of which.
    pub class: Class,
}

/// Requests of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `all`: every request.
    All,
    /// `balances`: balances and the account.
    Balances,
    /// `keys`: listen keys.
    Keys,
    /// `market`: what needs no account.
    Market,
    /// `orders`: everything that places, changes or cancels orders.
    Orders,
    /// `positions`: positions and the account.
    Positions,
    /// `queries`: orders and trades of the account.
    Queries,
}

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Balances and positions at once.
    Account,
    /// Balances.
    Balances,
    /// Listen keys.
    Keys,
    /// What needs no account.
    Market,
    /// Orders to be placed, changed or cancelled.
    Orders {
        /// Whether it can only shrink positions or withdraw orders.
        reduces: bool,
    },
    /// Positions.
    Positions,
    /// Orders and trades to be looked up.
    Queries,
}

/// Whether a request is executed although its answer does not say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Half of them, drawn one by one.
    Drawn,
    /// `dropped`: never.
    Dropped,
    /// `executed`: always.
    Executed,
}

impl Requests {
    /// A share of the orders.
    pub(super) fn of_orders(percent: u64) -> Self {
        Self { percent, class: Class::All }
    }

    /// Whether a request about `subject` is hit; the share is drawn.
    pub(crate) fn hit(self, subject: Subject, entropy: &dyn Entropy) -> bool {
        self.class.covers(subject) && chance(self.percent, entropy, "broker.fault.request")
    }
}

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.percent != 100 {
            write!(f, " {}%", self.percent)?;
        }
        f.write_str(self.class.suffix())
    }
}

impl Class {
    pub(super) const NARROW: [Self; 6] =
        [Self::Balances, Self::Keys, Self::Market, Self::Orders, Self::Positions, Self::Queries];

    pub(super) fn read(words: &mut Words<'_>) -> Self {
        let narrow = Self::NARROW.into_iter().find(|class| words.skip(class.suffix().trim_start()));
        narrow.unwrap_or_else(|| {
            words.skip("all");
            Self::All
        })
    }

    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::All => "",
            Self::Balances => " balances",
            Self::Keys => " keys",
            Self::Market => " market",
            Self::Orders => " orders",
            Self::Positions => " positions",
            Self::Queries => " queries",
        }
    }

    fn covers(self, subject: Subject) -> bool {
        match self {
            Self::All => true,
            Self::Balances => matches!(subject, Subject::Balances | Subject::Account),
            Self::Keys => subject == Subject::Keys,
            Self::Market => subject == Subject::Market,
            Self::Orders => matches!(subject, Subject::Orders { .. }),
            Self::Positions => matches!(subject, Subject::Positions | Subject::Account),
            Self::Queries => subject == Subject::Queries,
        }
    }
}

impl Fate {
    pub(super) fn read(words: &mut Words<'_>) -> Self {
        if words.skip("executed") {
            Self::Executed
        } else if words.skip("dropped") {
            Self::Dropped
        } else {
            Self::Drawn
        }
    }

    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Drawn => "",
            Self::Dropped => " dropped",
            Self::Executed => " executed",
        }
    }

    /// Whether this request is executed.
    pub(crate) fn executes(self, entropy: &dyn Entropy) -> bool {
        match self {
            Self::Drawn => chance(50, entropy, "broker.fault.executed"),
            Self::Dropped => false,
            Self::Executed => true,
        }
    }
}

/// Whether something of this probability happens.
pub(crate) fn chance(percent: u64, entropy: &dyn Entropy, site: &'static str) -> bool {
    percent == 100 || entropy.below(site, 100) < percent
}

/// `30%`, or all of them.
pub(super) fn share(words: &mut Words<'_>) -> Result<u64, Unexpected> {
    let Some(word) = words.next_if(|word| word.ends_with('%')) else { return Ok(100) };
    Words::new(word).percent()
}
