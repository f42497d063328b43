//! What the account has, and the calls that flatten it.
//!
//! Source: Binance USD-M futures API, sections named at each method.

use env::WallTime;
use hyper::Method;
use rust_decimal::Decimal;
use serde::Deserialize;

use super::{Broker, BrokerError, OrderAnswer, OrderState, Query, Security, TRADES_LIMIT, UserTrade, answer};
use crate::core::{ClientOrderId, Fill, Qty, Report, Side, Symbol};

/// A position as the exchange has it (one-way mode).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldPosition {
    /// The instrument.
    pub symbol: Symbol,
    /// Long when positive, short when negative.
    #[serde(rename = "positionAmt")]
    pub qty: Decimal,
    /// The average price of what is held.
    pub entry_price: Decimal,
    /// The price by which the exchange values it.
    pub mark_price: Decimal,
    /// When it changed last, in milliseconds of the exchange's clock.
    #[serde(rename = "updateTime")]
    pub updated_ms: i64,
}

/// The balance of an asset.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Balance {
    /// For example `USDT`.
    pub asset: String,
    /// Deposits, realized profit and fees.
    #[serde(rename = "balance")]
    pub wallet: Decimal,
    /// What new positions may use.
    #[serde(rename = "availableBalance")]
    pub available: Decimal,
    /// When it changed last, in milliseconds of the exchange's clock.
    #[serde(rename = "updateTime")]
    pub updated_ms: i64,
}

/// An order that rests at the exchange.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenOrder {
    /// The instrument.
    pub symbol: Symbol,
    /// The exchange's number.
    pub order_id: u64,
    /// The name that its sender gave it; any text, because others trade on the account, too.
    pub client_order_id: String,
    /// The direction.
    pub side: Side,
    /// Where it stands.
    pub status: OrderState,
    /// How much was ordered; zero for an order that closes whatever is held.
    pub orig_qty: Qty,
    /// How much was executed.
    pub executed_qty: Qty,
    /// Whether it may only reduce a position.
    pub reduce_only: bool,
}

/// An execution, and the number of the order that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberedTrade {
    /// The exchange's number of the order.
    pub order_id: u64,
    /// The instrument.
    pub symbol: Symbol,
    /// Unique per symbol.
    pub trade_id: u64,
    /// The order's direction.
    pub side: Side,
    /// How much.
    pub qty: Qty,
    /// At which price.
    pub price: crate::core::Price,
    /// In units of the margin asset; negative for a rebate.
    pub fee: Decimal,
    /// When, by the exchange's clock.
    pub time: WallTime,
}

impl NumberedTrade {
    /// The fill that this is, once it is known which order it belongs to.
    pub fn into_fill(self, client_order_id: ClientOrderId) -> Fill {
        let Self { order_id: _, symbol, trade_id, side, qty, price, fee, time } = self;
        Fill { symbol, trade_id, client_order_id, side, qty, price, fee, time }
    }
}

/// A reduce-only market order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// The instrument.
    pub symbol: Symbol,
    /// The direction: against the position.
    pub side: Side,
    /// How much.
    pub qty: Qty,
    /// The exchange's name for the order.
    pub client_order_id: ClientOrderId,
}

impl Broker {
    /// All positions that are not flat ("Position Information V3").
    ///
    /// # Errors
    /// The question is unanswered, which does not mean that there are none.
    pub async fn positions(&self) -> Result<Vec<HeldPosition>, BrokerError> {
        let body = self.signed(Method::GET, "/fapi/v3/positionRisk", Query::default()).await?;
        let positions: Vec<HeldPosition> = answer::json(&body)?;
        Ok(positions.into_iter().filter(|position| !position.qty.is_zero()).collect())
    }

    /// The balances of all assets ("Futures Account Balance V3").
    ///
    /// # Errors
    /// The question is unanswered.
    pub async fn balances(&self) -> Result<Vec<Balance>, BrokerError> {
        let body = self.signed(Method::GET, "/fapi/v3/balance", Query::default()).await?;
        answer::json(&body)
    }

    /// The orders that rest, conditional ones included ("Current All Open Orders"), of one symbol or of all. Without a
    /// symbol the request weighs 40 instead of 1.
    ///
    /// # Errors
    /// The question is unanswered, which does not mean that there are none.
    pub async fn open_orders(&self, symbol: Option<&Symbol>) -> Result<Vec<OpenOrder>, BrokerError> {
        let mut query = Query::default();
        if let Some(symbol) = symbol {
            query.pair("symbol", symbol.as_str());
        }
        let body = self.signed(Method::GET, "/fapi/v1/openOrders", query).await?;
        answer::json(&body)
    }

    /// The account's trades of a symbol from the trade `from` on, at most 1000, in order ("Account Trade List").
    ///
    /// # Errors
    /// The question is unanswered.
    pub async fn trades_from(&self, symbol: &Symbol, from: u64) -> Result<Vec<NumberedTrade>, BrokerError> {
        let mut query = Query::default();
        query.pair("symbol", symbol.as_str());
        query.pair("fromId", &from.to_string());
        query.pair("limit", &TRADES_LIMIT.to_string());
        let body = self.signed(Method::GET, "/fapi/v1/userTrades", query).await?;
        let trades: Vec<UserTrade> = answer::json(&body)?;
        Ok(trades.into_iter().map(UserTrade::numbered).collect())
    }

    /// Where an order stands, and its sender's name for it ("Query Order", by the exchange's number); `None` when the
    /// answering replica knows no such order.
    ///
    /// # Errors
    /// The question is unanswered.
    pub async fn order_by_number(
        &self,
        symbol: &Symbol,
        order_id: u64,
    ) -> Result<Option<OpenOrder>, BrokerError> {
        let mut query = Query::default();
        query.pair("symbol", symbol.as_str());
        query.pair("orderId", &order_id.to_string());
        match self.signed(Method::GET, "/fapi/v1/order", query).await {
            Err(BrokerError::Rejected { code: answer::Refusal::NO_SUCH_ORDER, .. }) => Ok(None),
            answer => answer::json(&answer?).map(Some),
        }
    }

    /// Cancels all orders of a symbol, conditional ones included ("Cancel All Open Orders").
    ///
    /// # Errors
    /// Some may still rest.
    pub async fn cancel_all(&self, symbol: &Symbol) -> Result<(), BrokerError> {
        let mut query = Query::default();
        query.pair("symbol", symbol.as_str());
        self.signed(Method::DELETE, "/fapi/v1/allOpenOrders", query).await.map(drop)
    }

    /// Lets the exchange cancel all orders of a symbol in `ms` milliseconds unless this is said again; zero stops the
    /// countdown ("Auto-Cancel All Open Orders").
    ///
    /// # Errors
    /// The countdown of before may still run.
    pub async fn countdown_cancel_all(&self, symbol: &Symbol, ms: u64) -> Result<(), BrokerError> {
        let mut query = Query::default();
        query.pair("symbol", symbol.as_str());
        query.pair("countdownTime", &ms.to_string());
        self.signed(Method::POST, "/fapi/v1/countdownCancelAll", query).await.map(drop)
    }

    /// Places a reduce-only market order ("New Order").
    ///
    /// # Errors
    /// As [`Broker::place`].
    pub async fn close(&self, close: &Close) -> Result<Report, BrokerError> {
        let mut query = Query::default();
        query.pair("symbol", close.symbol.as_str());
        query.pair("side", close.side.as_str());
        query.pair("type", "MARKET");
        query.pair("quantity", &close.qty.to_string());
        query.pair("reduceOnly", "true");
        query.pair("newClientOrderId", close.client_order_id.as_str());
        OrderAnswer::placed(self.signed(Method::POST, "/fapi/v1/order", query).await)
    }

    /// Asks for nothing ("Test Connectivity"): shows whether, and how fast, the exchange answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn ping(&self) -> Result<(), BrokerError> {
        self.request(Method::GET, "/fapi/v1/ping", Query::default(), Security::None).await.map(drop)
    }

    async fn signed(&self, method: Method, path: &str, query: Query) -> Result<bytes::Bytes, BrokerError> {
        self.request(method, path, query, Security::Signed).await
    }
}
