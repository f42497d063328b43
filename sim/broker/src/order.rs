//! Orders and the words that the protocol has for their properties.

use std::sync::Arc;

use env::WallTime;
use rust_decimal::Decimal;

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
    /// How an order finds its price.
    OrderKind {
        /// At its own price or better.
        Limit = "LIMIT",
        /// At whatever the market offers.
        Market = "MARKET",
    }
}

words! {
    /// How long an order lives.
    TimeInForce {
        /// Good till cancelled.
        Gtc = "GTC",
        /// Immediate or cancel: what does not trade at once expires.
        Ioc = "IOC",
        /// Fill or kill: trades at once in full or not at all.
        Fok = "FOK",
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
    pub quantity: Decimal,
    /// Zero for a market order.
    pub price: Decimal,
    pub reduce_only: bool,
}

/// An order that the exchange has accepted.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub id: u64,
    /// Index of the owner in the exchange's accounts.
    pub account: usize,
    pub symbol: Arc<str>,
    pub terms: NewOrder,
    pub status: OrderStatus,
    /// Quantity traded so far.
    pub executed: Decimal,
    /// Σ price × quantity traded so far.
    pub quote: Decimal,
    pub accepted_at: WallTime,
    pub updated_at: WallTime,
}

impl Order {
    pub fn remaining(&self) -> Decimal {
        self.terms.quantity - self.executed
    }

    /// Mean price of what traded, in USDT; zero before the first fill.
    pub fn average_price(&self) -> Decimal {
        self.quote.checked_div(self.executed).unwrap_or_default().round_dp(8).normalize()
    }
}
