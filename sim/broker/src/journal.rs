//! The truth: what the exchange received, decided and executed, in order. Oracles read it; no fault touches it.

use std::{
    collections::BTreeMap,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard},
};

use env::WallTime;
use rust_decimal::Decimal;

use crate::{
    order::{OrderKind, Side, TimeInForce},
    trail::Trail,
};

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The exchange's wall clock.
    pub at: WallTime,
    /// API key of the account.
    pub account: Arc<str>,
    /// What happened.
    pub event: Event,
}

/// What can happen to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A well-formed, authenticated order request arrived; accepted or refused later, unless the process dies between.
    OrderReceived(Received),
    /// The order exists from now on.
    OrderAccepted {
        /// The exchange's id.
        order_id: u64,
        /// The owner's id.
        client_order_id: Arc<str>,
    },
    /// The order never existed.
    OrderRefused {
        /// The owner's id; empty when the request had none.
        client_order_id: Arc<str>,
        /// As answered.
        code: i32,
        /// As answered.
        msg: String,
    },
    /// The price that a conditional order watches has reached its stop price.
    OrderTriggered {
        /// The exchange's id.
        order_id: u64,
        /// The owner's id.
        client_order_id: Arc<str>,
    },
    /// The owner changed an open order.
    OrderAmended {
        /// The exchange's id.
        order_id: u64,
        /// The owner's id.
        client_order_id: Arc<str>,
        /// From now on, with what had traded.
        qty: Decimal,
        /// From now on, in USDT.
        price: Decimal,
    },
    /// The exchange closes a position whose margin is used up: an order of its own, which no request came before.
    Liquidation {
        /// The exchange's id.
        order_id: u64,
        /// Begins with `autoclose-`.
        client_order_id: Arc<str>,
        /// The symbol.
        symbol: Arc<str>,
        /// Which way.
        side: Side,
        /// The whole position, in units of the base asset.
        qty: Decimal,
    },
    /// The order traded.
    Fill(Fill),
    /// The owner cancelled what was left, the owner's countdown ran out, or the account was liquidated.
    OrderCanceled {
        /// The exchange's id.
        order_id: u64,
        /// The owner's id.
        client_order_id: Arc<str>,
        /// What had not traded.
        remaining: Decimal,
    },
    /// The order's own terms ended what was left.
    OrderExpired {
        /// The exchange's id.
        order_id: u64,
        /// The owner's id.
        client_order_id: Arc<str>,
        /// What had not traded.
        remaining: Decimal,
    },
}

/// An order as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The owner's id, or the one that the exchange made up for it.
    pub client_order_id: Arc<str>,
    /// The symbol.
    pub symbol: Arc<str>,
    /// Which way.
    pub side: Side,
    /// Limit, market or conditional.
    pub kind: OrderKind,
    /// How long it lives.
    pub time_in_force: TimeInForce,
    /// In units of the base asset.
    pub qty: Decimal,
    /// Limit price in USDT; zero for an order without a limit.
    pub price: Decimal,
    /// Stop price in USDT; zero for an order that does not wait for a fixed price.
    pub stop_price: Decimal,
    /// How a trailing stop follows the price; none for other orders.
    pub trail: Option<Trail>,
    /// Whether it may only shrink a position.
    pub reduce_only: bool,
    /// Whether it closes whatever the position is when it is triggered; `qty` is then zero.
    pub close_position: bool,
}

/// A trade of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fill {
    /// The symbol.
    pub symbol: Arc<str>,
    /// 1, 2, 3 … per symbol.
    pub trade_id: u64,
    /// The exchange's id of the order.
    pub order_id: u64,
    /// The owner's id of the order.
    pub client_order_id: Arc<str>,
    /// Which way.
    pub side: Side,
    /// In units of the base asset.
    pub qty: Decimal,
    /// In USDT.
    pub price: Decimal,
    /// In USDT.
    pub fee: Decimal,
    /// In USDT, before the fee.
    pub realized_pnl: Decimal,
    /// Whether the order was resting.
    pub maker: bool,
    /// The exchange's wall clock.
    pub at: WallTime,
}

/// Append-only list of [`Record`]s, and what they sum up to.
#[derive(Debug, Default)]
pub struct Journal(Mutex<Content>);

#[derive(Debug, Default)]
struct Content {
    records: Vec<Record>,
    positions: BTreeMap<Arc<str>, Decimal>,
    wallet: Decimal,
}

impl Journal {
    /// All records. The journal is locked until the result is dropped: do not hold it across an await.
    pub fn records(&self) -> Records<'_> {
        self.since(0)
    }

    /// The records from `index` on; empty when there are none yet. Locks as [`Journal::records`].
    pub fn since(&self, index: usize) -> Records<'_> {
        Records { content: self.lock(), from: index }
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.lock().records.len()
    }

    /// Whether nothing has happened yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All fills, oldest first.
    pub fn fills(&self) -> Vec<Fill> {
        let fill = |record: &Record| match &record.event {
            Event::Fill(fill) => Some(fill.clone()),
            _ => None,
        };
        self.records().iter().filter_map(fill).collect()
    }

    /// Net position of all accounts in `symbol`; positive when long.
    pub fn position(&self, symbol: &str) -> Decimal {
        self.lock().positions.get(symbol).copied().unwrap_or_default()
    }

    /// USDT in the wallets of all accounts: opening balances + realised profit − fees.
    pub fn wallet_balance(&self) -> Decimal {
        self.lock().wallet
    }

    pub(crate) fn open(&self, balance: Decimal) {
        self.lock().wallet += balance;
    }

    pub(crate) fn append(&self, record: Record) {
        let content = &mut *self.lock();
        if let Event::Fill(fill) = &record.event {
            *content.positions.entry(fill.symbol.clone()).or_default() += fill.side.signed(fill.qty);
            content.wallet += fill.realized_pnl - fill.fee;
        }
        content.records.push(record);
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().expect("no holder of this lock panics")
    }
}

/// Records of a locked [`Journal`].
pub struct Records<'a> {
    content: MutexGuard<'a, Content>,
    from: usize,
}

impl Deref for Records<'_> {
    type Target = [Record];

    fn deref(&self) -> &[Record] {
        self.content.records.get(self.from..).unwrap_or_default()
    }
}
