//! What the owner of an account is told when something happens to it.

use std::sync::Arc;

use env::WallTime;
use rust_decimal::Decimal;

use crate::{journal::Fill, order::Order};

/// One event of an account's user stream.
pub(crate) struct Update {
    pub account: usize,
    pub at: WallTime,
    pub change: Change,
}

pub(crate) enum Change {
    /// `ORDER_TRADE_UPDATE`: the order after the change, and what changed it.
    Order { order: Box<Order>, execution: Execution },
    /// `ACCOUNT_UPDATE`: wallet and position after a fill.
    Balance { wallet: Decimal, symbol: Arc<str>, amount: Decimal, entry_price: Decimal, unrealized: Decimal },
}

impl Change {
    /// The protocol's "event type".
    pub fn event(&self) -> &'static str {
        match self {
            Self::Order { .. } => "ORDER_TRADE_UPDATE",
            Self::Balance { .. } => "ACCOUNT_UPDATE",
        }
    }
}

/// The protocol's "execution type".
pub(crate) enum Execution {
    New,
    Canceled,
    Expired,
    Trade(Fill),
}
