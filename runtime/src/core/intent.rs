//! What somebody wants to trade: a signal, and the intent that the trader makes of it.

use env::WallTime;
use serde::{Deserialize, Serialize};

use super::{ClientOrderId, IntentId, Price, Qty, Side, Symbol};

/// A strategy's wish to trade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Equal for every delivery of the same wish.
    pub id: IntentId,
    /// The instrument.
    pub symbol: Symbol,
    /// The direction.
    pub side: Side,
    /// How much.
    pub qty: Qty,
    /// The market price that the decision was based on.
    pub price: Price,
    /// Whether it may only reduce a position: an exit. Everything else is an entry.
    pub reduce_only: bool,
    /// When the exchange reported that price.
    pub market_time: WallTime,
}

/// A decision to place one order, stored durably before the order is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The exchange's name for the order.
    pub client_order_id: ClientOrderId,
    /// The decision.
    pub intent_id: IntentId,
    /// The instrument.
    pub symbol: Symbol,
    /// The direction.
    pub side: Side,
    /// How much.
    pub qty: Qty,
    /// The market price that the decision was based on.
    pub price: Price,
    /// Whether this is an exit.
    pub reduce_only: bool,
}

impl From<Signal> for Intent {
    fn from(signal: Signal) -> Self {
        let Signal { id, symbol, side, qty, price, reduce_only, market_time: _ } = signal;
        Self { client_order_id: ClientOrderId::of(&id), intent_id: id, symbol, side, qty, price, reduce_only }
    }
}
