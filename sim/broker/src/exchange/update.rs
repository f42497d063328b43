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
    /// `ALGO_UPDATE`: an order of the algo service after the change.
    Algo(Box<Order>),
    /// `ACCOUNT_UPDATE`: wallet and position after a fill.
    Balance(Box<Balance>),
    /// `ACCOUNT_CONFIG_UPDATE`: the leverage of a symbol.
    Leverage { symbol: Arc<str>, leverage: u32 },
    /// `MARGIN_CALL`: the positions that use the margin up.
    MarginCall { wallet: Decimal, positions: Vec<Endangered> },
}

/// Wallet and one position, in USDT and units of the base asset.
pub(crate) struct Balance {
    pub wallet: Decimal,
    pub symbol: Arc<str>,
    pub amount: Decimal,
    pub entry_price: Decimal,
    pub break_even_price: Decimal,
    /// Profit realised since the account was opened, before fees.
    pub realized: Decimal,
    pub unrealized: Decimal,
}

/// A position that will be liquidated if the market goes on like this.
pub(crate) struct Endangered {
    pub symbol: Arc<str>,
    pub amount: Decimal,
    pub mark_price: Decimal,
    pub unrealized: Decimal,
    pub maintenance: Decimal,
}

impl Change {
    /// The protocol's "event type".
    pub fn event(&self) -> &'static str {
        match self {
            Self::Order { .. } => "ORDER_TRADE_UPDATE",
            Self::Algo(_) => "ALGO_UPDATE",
            Self::Balance(_) => "ACCOUNT_UPDATE",
            Self::Leverage { .. } => "ACCOUNT_CONFIG_UPDATE",
            Self::MarginCall { .. } => "MARGIN_CALL",
        }
    }
}

/// The protocol's "execution type".
pub(crate) enum Execution {
    New,
    Canceled,
    Expired,
    Amended,
    Trade(Fill),
}

impl Update {
    /// An order after a change.
    pub fn order(at: WallTime, order: &Order, execution: Execution) -> Self {
        let change = Change::Order { order: Box::new(order.clone()), execution };
        Self { account: order.account, at, change }
    }

    /// What the algo service says of an order.
    pub fn algo(at: WallTime, order: &Order) -> Self {
        Self { account: order.account, at, change: Change::Algo(Box::new(order.clone())) }
    }

    /// Notes a change of an order for its owner: who placed it with the algo service hears of it from there, and from the
    /// matching engine while that has it.
    pub fn note(updates: &mut Vec<Self>, at: WallTime, order: &Order, execution: Execution) {
        if !order.is_algo_only() {
            updates.push(Self::order(at, order, execution));
        }
        if order.algo.is_some() && (order.is_algo_only() || !order.status.is_open()) {
            updates.push(Self::algo(at, order));
        }
    }

    /// Whether the account traded.
    pub fn is_trade(&self) -> bool {
        matches!(&self.change, Change::Order { execution: Execution::Trade(_), .. })
    }
}
