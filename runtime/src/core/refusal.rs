//! Why a signal does not become an order. The names are stable: facts, metrics and people rely on them.

/// What every name begins with.
const PREFIX: &str = "SKIP_";

/// The gate that a signal did not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// The mac is missing or wrong: nobody who may trade has issued it.
    Unauthentic,
    /// The same wish was taken up before.
    Duplicate,
    /// It would sell what is not held.
    NoPosition,
    /// The symbol's breaker is open, or its probe is under way.
    Breaker,
    /// Trading is halted, or this trader does not lead.
    Halted,
    /// The price is too old.
    StalePrice,
    /// The balance is too old, or older than the newest fill.
    StaleBalance,
    /// It would break a limit of risk.
    Limit,
    /// There is no quantity that may be traded.
    Size,
    /// Too many entries wait.
    Overflow,
    /// The exchange does not answer; the entry was written on paper.
    Paper,
}

impl Refusal {
    /// The name in facts, metrics and the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthentic => "SKIP_UNAUTHENTIC",
            Self::Duplicate => "SKIP_DUPLICATE",
            Self::NoPosition => "SKIP_NO_POSITION",
            Self::Breaker => "SKIP_BREAKER",
            Self::Halted => "SKIP_HALTED",
            Self::StalePrice => "SKIP_STALE_PRICE",
            Self::StaleBalance => "SKIP_STALE_BALANCE",
            Self::Limit => "SKIP_LIMIT",
            Self::Size => "SKIP_SIZE",
            Self::Overflow => "SKIP_OVERFLOW",
            Self::Paper => "SKIP_PAPER",
        }
    }

    /// The metric that counts it.
    pub const fn metric(self) -> &'static str {
        match self {
            Self::Unauthentic => "skip_unauthentic_total",
            Self::Duplicate => "skip_duplicate_total",
            Self::NoPosition => "skip_no_position_total",
            Self::Breaker => "skip_breaker_total",
            Self::Halted => "skip_halted_total",
            Self::StalePrice => "skip_stale_price_total",
            Self::StaleBalance => "skip_stale_balance_total",
            Self::Limit => "skip_limit_total",
            Self::Size => "skip_size_total",
            Self::Overflow => "skip_overflow_total",
            Self::Paper => "skip_paper_total",
        }
    }

    /// Whether the reason on record of an order is a refusal of ours: then it was never sent.
    pub fn is_named_in(reason: &str) -> bool {
        reason.starts_with(PREFIX)
    }
}
