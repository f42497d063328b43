//! The life of one order: INTENT → SENT → {ACKED, UNKNOWN} → PARTIAL → {FILLED, CANCELED, EXPIRED, REJECTED}.
//!
//! The rank of the status and the executed quantity never decrease, a terminal status is final, and only a definite answer
//! rejects: everything ambiguous leaves the order UNKNOWN until a query or an event of the exchange resolves it.
//!
//! An order is *settled* when it is terminal and each of its fills is known. Deliberately absent: when to ask again (the
//! driver's business) and cancelling.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use env::WallTime;
use rust_decimal::Decimal;

use super::{ClientOrderId, Intent, Price, Qty, Side, Symbol};

/// How long after it was sent an order that the exchange does not know has definitely not arrived: the receive window of a
/// request (5 s; plus the 1 s that a time stamp may lie ahead of the exchange), plus ample time for the replica that
/// answers queries to catch up. Source: Binance USD-M futures API, "Timing security".
const MISSING_IS_DEFINITE_AFTER: Duration = Duration::from_secs(30);

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Durable, not sent.
    Intent,
    /// Handed to the network.
    Sent,
    /// The exchange has it.
    Acked,
    /// The exchange may have it.
    Unknown,
    /// A part is executed.
    Partial,
    /// Executed completely.
    Filled,
    /// Ended by a cancellation, perhaps after partial execution.
    Canceled,
    /// Ended by the exchange, perhaps after partial execution.
    Expired,
    /// Never became an order of the exchange.
    Rejected,
}

impl Status {
    const ALL: [Self; 9] = [
        Self::Intent,
        Self::Sent,
        Self::Acked,
        Self::Unknown,
        Self::Partial,
        Self::Filled,
        Self::Canceled,
        Self::Expired,
        Self::Rejected,
    ];

    /// How far along an order is; never decreases.
    pub const fn rank(self) -> u8 {
        match self {
            Self::Intent => 0,
            Self::Sent => 1,
            Self::Acked | Self::Unknown => 2,
            Self::Partial => 3,
            Self::Filled | Self::Canceled | Self::Expired | Self::Rejected => 4,
        }
    }

    /// Whether nothing can follow.
    pub const fn is_terminal(self) -> bool {
        self.rank() == 4
    }

    /// The name in the ledger and in facts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intent => "INTENT",
            Self::Sent => "SENT",
            Self::Acked => "ACKED",
            Self::Unknown => "UNKNOWN",
            Self::Partial => "PARTIAL",
            Self::Filled => "FILLED",
            Self::Canceled => "CANCELED",
            Self::Expired => "EXPIRED",
            Self::Rejected => "REJECTED",
        }
    }

    /// Whether an order may go from here to `to`.
    const fn may_become(self, to: Self) -> bool {
        // Within one rank only knowledge is gained.
        to.rank() > self.rank() || matches!((self, to), (Self::Unknown, Self::Acked))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text is no status of an order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the status of an order")]
pub struct UnknownStatus(String);

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| UnknownStatus(text.into()))
    }
}

/// What the exchange says of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The exchange's number of the order.
    pub order_id: u64,
    /// One of ACKED, PARTIAL, FILLED, CANCELED, EXPIRED, REJECTED.
    pub status: Status,
    /// Executed so far.
    pub executed: Qty,
}

/// One execution of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fill {
    /// The instrument.
    pub symbol: Symbol,
    /// Unique per symbol.
    pub trade_id: u64,
    /// The order.
    pub client_order_id: ClientOrderId,
    /// The order's direction.
    pub side: Side,
    /// How much.
    pub qty: Qty,
    /// At which price.
    pub price: Price,
    /// In units of the margin asset; negative for a rebate.
    pub fee: Decimal,
    /// When, by the exchange's clock.
    pub time: WallTime,
}

/// What happened to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The request is handed to the network.
    Sent,
    /// The exchange reported, by answer or by event.
    Reported(Report),
    /// The exchange executed a part.
    Traded(Fill),
    /// A definite answer: this is not, and will not become, an order.
    Refused(String),
    /// The exchange has definitely not got the request, which says nothing of the next attempt.
    NotTaken(String),
    /// No answer, or none that says whether the order exists.
    Unanswered(String),
    /// A query found no such order, this long after it was sent last.
    Missing(Duration),
}

/// What the driver of an order must do, in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Book a fill that was not known before.
    Book(Fill),
    /// Record the new status.
    Became {
        /// The status before.
        from: Status,
        /// The status now.
        to: Status,
        /// Why, for a person.
        reason: Option<String>,
    },
    /// Send the same order again: it has definitely not arrived, and it is an exit.
    SendAgain,
    /// Nothing more will happen.
    Settled,
}

/// What is left to ask the exchange about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Where it stands.
    Status,
    /// Which trades executed it; asked with the exchange's number.
    Trades(u64),
}

/// An order and all that is known of it.
#[derive(Clone, Debug)]
pub struct Order {
    intent: Intent,
    status: Status,
    order_id: Option<u64>,
    executed: Qty,
    fills: BTreeMap<u64, (Qty, Price)>,
    settled: bool,
    /// Whether this is the term in which it was decided.
    fresh: bool,
}

impl Order {
    /// An order whose intent is durable.
    pub const fn new(intent: Intent) -> Self {
        Self {
            intent,
            status: Status::Intent,
            order_id: None,
            executed: Qty::ZERO,
            fills: BTreeMap::new(),
            settled: false,
            fresh: true,
        }
    }

    /// An order of an earlier life of this process: its recorded status and its booked fills.
    pub fn restored(intent: Intent, status: Status, fills: BTreeMap<u64, (Qty, Price)>) -> Self {
        let executed = fills.values().map(|(qty, _)| *qty).sum();
        Self { intent, status, order_id: None, executed, fills, settled: false, fresh: false }
    }

    /// What was decided.
    pub const fn intent(&self) -> &Intent {
        &self.intent
    }

    /// Where it stands.
    pub const fn status(&self) -> Status {
        self.status
    }

    /// Executed so far.
    pub const fn executed(&self) -> Qty {
        self.executed
    }

    /// The intent for what is not executed yet.
    pub fn remaining(&self) -> Intent {
        let left = self.intent.qty.get() - self.executed.get();
        Intent { qty: Qty::new(left).unwrap_or(Qty::ZERO), ..self.intent.clone() }
    }

    /// The average price of the known fills, to eight decimal places; `None` before the first.
    pub fn avg_price(&self) -> Option<Decimal> {
        let qty: Decimal = self.fills.values().map(|(qty, _)| qty.get()).sum();
        let cost: Decimal = self.fills.values().map(|(qty, price)| qty.get() * price.get()).sum();
        cost.checked_div(qty).map(|average| average.round_dp(8).normalize())
    }

    /// What is left to ask; `None` when the order is settled or was never sent.
    pub fn question(&self) -> Option<Question> {
        match (self.status, self.order_id) {
            _ if self.settled => None,
            (Status::Intent, _) => None,
            (status, Some(order_id)) if status.is_terminal() || self.known_fills() < self.executed => {
                Some(Question::Trades(order_id))
            }
            _ => Some(Question::Status),
        }
    }

    /// Takes note of what happened.
    pub fn apply(&mut self, input: Input) -> Vec<Decision> {
        let mut decisions = Vec::new();
        if self.settled {
            return decisions;
        }
        match input {
            Input::Sent => self.become_(Status::Sent, None, &mut decisions),
            Input::Reported(report) => {
                self.order_id.get_or_insert(report.order_id);
                // A replica that lags tells of the past.
                if report.executed >= self.executed {
                    self.executed = report.executed;
                    self.become_(report.status, None, &mut decisions);
                }
            }
            Input::Traded(fill) => self.traded(fill, &mut decisions),
            Input::Refused(reason) => {
                if self.may_not_exist() {
                    self.become_(Status::Rejected, Some(reason), &mut decisions);
                }
            }
            Input::NotTaken(reason) => self.not_there(reason, &mut decisions),
            Input::Unanswered(reason) => self.become_(Status::Unknown, Some(reason), &mut decisions),
            Input::Missing(age) if age >= MISSING_IS_DEFINITE_AFTER => {
                self.not_there("it never reached the exchange".into(), &mut decisions);
            }
            Input::Missing(_) => {}
        }
        if self.status.is_terminal() && self.known_fills() >= self.executed {
            self.settled = true;
            decisions.push(Decision::Settled);
        }
        decisions
    }

    fn traded(&mut self, fill: Fill, decisions: &mut Vec<Decision>) {
        if self.fills.contains_key(&fill.trade_id) {
            return;
        }
        self.fills.insert(fill.trade_id, (fill.qty, fill.price));
        decisions.push(Decision::Book(fill));
        self.executed = self.executed.max(self.known_fills());
        let to = if self.executed >= self.intent.qty { Status::Filled } else { Status::Partial };
        self.become_(to, None, decisions);
    }

    /// The exchange has not got it. An entry's moment has passed; an exit is due whatever happened, but only whoever decided
    /// it may send it again: a later leader has other positions, and other exits.
    fn not_there(&mut self, reason: String, decisions: &mut Vec<Decision>) {
        match self.may_not_exist() {
            true if self.intent.reduce_only && self.fresh => decisions.push(Decision::SendAgain),
            true => self.become_(Status::Rejected, Some(reason), decisions),
            false => {}
        }
    }

    const fn may_not_exist(&self) -> bool {
        matches!(self.status, Status::Intent | Status::Sent | Status::Unknown)
    }

    fn become_(&mut self, to: Status, reason: Option<String>, decisions: &mut Vec<Decision>) {
        if self.status.may_become(to) {
            decisions.push(Decision::Became { from: self.status, to, reason });
            self.status = to;
        }
    }

    fn known_fills(&self) -> Qty {
        self.fills.values().map(|(qty, _)| *qty).sum()
    }
}

#[cfg(test)]
mod tests;
