//! Orders and the words that the protocol has for their properties.

use std::sync::Arc;

use env::WallTime;
use rust_decimal::Decimal;

use crate::{algo::Algo, trail::Trail};

/// A closed set of words of the protocol: each variant with its spelling on the wire.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// The spelling on the wire.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            #[allow(dead_code, reason = "the exchange reads some of these words and only writes the others")]
            pub(crate) fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.word())
            }
        }
    };
}

words! {
    /// Which way an order trades.
    Side {
        /// Buys.
        Buy = "BUY",
        /// Sells.
        Sell = "SELL",
    }
}

words! {
    /// How an order finds its price ("New Order", `type`).
    OrderKind {
        /// At its own price or better.
        Limit = "LIMIT",
        /// At whatever the market offers.
        Market = "MARKET",
        /// Becomes a limit order when the price has moved against its owner as far as the stop price.
        Stop = "STOP",
        /// Becomes a market order then.
        StopMarket = "STOP_MARKET",
        /// Becomes a limit order when the price has moved in favour of its owner as far as the stop price.
        TakeProfit = "TAKE_PROFIT",
        /// Becomes a market order then.
        TakeProfitMarket = "TAKE_PROFIT_MARKET",
        /// Becomes a market order when the price has come back from the best it has been by the callback rate.
        TrailingStopMarket = "TRAILING_STOP_MARKET",
        /// A market order of the exchange itself that closes a position without margin; nobody can send it.
        Liquidation = "LIQUIDATION",
    }
}

words! {
    /// How long an order lives.
    TimeInForce {
        /// Good till cancelled.
        Gtc = "GTC",
        /// Immediate or cancel: what does not trade at once expires.
        Ioc = "IOC",
        /// Fill or kill: trades at once in full or is refused.
        Fok = "FOK",
        /// Good till crossing, or post-only: rests or is refused.
        Gtx = "GTX",
    }
}

words! {
    /// Which price a conditional order watches.
    WorkingType {
        /// The latest trade's.
        Contract = "CONTRACT_PRICE",
        /// The mark price.
        Mark = "MARK_PRICE",
    }
}

words! {
    /// Where an order of the algo service is in its life ("Event: Algo Order Update").
    AlgoStatus {
        /// Waits for its condition.
        New = "NEW",
        /// Cancelled before it was triggered.
        Canceled = "CANCELED",
        /// The condition is met.
        Triggering = "TRIGGERING",
        /// The matching engine has it.
        Triggered = "TRIGGERED",
        /// It ended in the matching engine.
        Finished = "FINISHED",
        /// The matching engine did not take it.
        Rejected = "REJECTED",
        /// Ended by its own terms before it was triggered.
        Expired = "EXPIRED",
    }
}

words! {
    /// Where an order is in its life.
    OrderStatus {
        /// Accepted, nothing traded.
        New = "NEW",
        /// Part of it traded; the rest is still open.
        PartiallyFilled = "PARTIALLY_FILLED",
        /// All of it traded.
        Filled = "FILLED",
        /// Cancelled by its owner.
        Canceled = "CANCELED",
        /// Ended by its own terms.
        Expired = "EXPIRED",
    }
}

impl Side {
    /// `quantity` as a change of position: positive when bought.
    pub fn signed(self, quantity: Decimal) -> Decimal {
        match self {
            Self::Buy => quantity,
            Self::Sell => -quantity,
        }
    }
}

impl OrderKind {
    /// Whether the order waits for a price before it meets the market.
    pub fn is_conditional(self) -> bool {
        self.has_stop_price() || self == Self::TrailingStopMarket
    }

    /// Whether the price that it waits for is fixed.
    pub fn has_stop_price(self) -> bool {
        matches!(self, Self::Stop | Self::StopMarket | Self::TakeProfit | Self::TakeProfitMarket)
    }

    /// Whether the order has a limit price, now or once it is triggered.
    pub fn has_limit(self) -> bool {
        matches!(self, Self::Limit | Self::Stop | Self::TakeProfit)
    }

    /// What the order becomes when it is triggered.
    pub(crate) fn triggered(self) -> Self {
        if self.has_limit() { Self::Limit } else { Self::Market }
    }

    /// Whether an order of `side` is triggered by a price at or above its stop price, not at or below.
    pub(crate) fn triggers_above(self, side: Side) -> bool {
        let stop = matches!(self, Self::Stop | Self::StopMarket | Self::TrailingStopMarket);
        stop == (side == Side::Buy)
    }
}

impl Side {
    /// The other side.
    pub(crate) fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }

    /// Whether someone who trades on this side at `limit` or better may trade at `price`.
    pub(crate) fn accepts(self, limit: Decimal, price: Decimal) -> bool {
        match self {
            Self::Buy => price <= limit,
            Self::Sell => price >= limit,
        }
    }
}

impl OrderStatus {
    /// Whether the order may still trade.
    pub fn is_open(self) -> bool {
        matches!(self, Self::New | Self::PartiallyFilled)
    }
}

/// An order as its owner asks for it, well-formed but not yet checked against the market.
#[derive(Clone, Debug)]
pub(crate) struct NewOrder {
    pub client_order_id: Arc<str>,
    pub market: usize,
    pub side: Side,
    pub kind: OrderKind,
    pub time_in_force: TimeInForce,
    /// Zero when the order closes the position, whatever that is when it is triggered.
    pub quantity: Decimal,
    /// Zero for an order without a limit.
    pub price: Decimal,
    pub reduce_only: bool,
    /// Zero for an order that does not wait for a fixed price.
    pub stop_price: Decimal,
    /// How a trailing stop follows the price; none for other orders.
    pub trail: Option<Trail>,
    pub working_type: WorkingType,
    pub close_position: bool,
    /// Whether it is placed with the algo service.
    pub algo: bool,
}

impl NewOrder {
    /// The worst price that the order may trade at; none for a market order.
    pub fn limit(&self) -> Option<Decimal> {
        self.kind.has_limit().then_some(self.price)
    }

    /// Whether the order can only shrink a position.
    pub fn reduces(&self) -> bool {
        self.reduce_only || self.close_position
    }
}

/// An order that the exchange has accepted.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub id: u64,
    /// Index of the owner in the exchange's accounts.
    pub account: usize,
    pub symbol: Arc<str>,
    pub terms: NewOrder,
    /// As it was asked for; `terms.kind` changes when a conditional order is triggered.
    pub original_kind: OrderKind,
    pub status: OrderStatus,
    /// What the algo service knows of it; none of an order that was not placed there.
    pub algo: Option<Algo>,
    /// Quantity traded so far.
    pub executed: Decimal,
    /// Σ price × quantity traded so far.
    pub quote: Decimal,
    /// Its place in the queue of its price: the smaller, the earlier. Zero while it does not rest.
    pub rank: u64,
    /// Ids of its first and last trade; zero before the first.
    pub trades: (u64, u64),
    /// How often its price or quantity was changed.
    pub amendments: u32,
    pub accepted_at: WallTime,
    pub updated_at: WallTime,
}

impl Order {
    pub fn remaining(&self) -> Decimal {
        self.terms.quantity - self.executed
    }

    /// Whether the algo service has it and the matching engine does not.
    pub fn is_algo_only(&self) -> bool {
        self.algo.as_ref().is_some_and(|algo| !algo.is_placed())
    }

    /// Whether it waits for its condition.
    pub fn is_waiting(&self) -> bool {
        self.status.is_open() && self.terms.kind.is_conditional()
    }

    /// Mean price of what traded, in USDT; zero before the first fill.
    pub fn average_price(&self) -> Decimal {
        self.quote.checked_div(self.executed).unwrap_or_default().round_dp(8).normalize()
    }
}
