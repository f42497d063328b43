//! The broker's REST interface: signed requests, and answers sorted by what they mean for an order.
//!
//! Source: Binance USD-M futures API, sections named at each method. Deliberately absent: retries and any opinion on when to
//! ask, except that nothing is asked while the exchange has told us to wait.

pub mod account;
mod answer;
mod http;
mod limits;
mod listing;

use std::{sync::Arc, time::Duration};

pub use account::{Balance, Close, HeldPosition, NumberedTrade, OpenOrder};
pub use answer::{BrokerError, OrderState};
use env::{Env, WallTime};
use form_urlencoded::Serializer;
use hmac::{Hmac, KeyInit, Mac};
use hyper::Method;
use serde::Deserialize;
use sha2::Sha256;

use self::{answer::Refusal, http::Http};
use crate::core::{ClientOrderId, Fill, Intent, MarketTrade, Price, Qty, Report, Side, Symbol};

/// For how long after its time stamp a request is valid: the exchange's default, sent explicitly because the life of an
/// order is reckoned with it ("Timing security").
const RECEIVE_WINDOW: Duration = Duration::from_secs(5);

/// The most trades that one request returns ("Compressed/Aggregate Trades List", "Account Trade List").
const TRADES_LIMIT: u64 = 1000;

/// The key pair of an account.
#[derive(Clone)]
pub struct Credentials {
    /// Sent with each request.
    pub api_key: String,
    /// Signs them, and is never sent.
    pub secret: String,
}

/// A client of one account. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Broker {
    env: Env,
    http: Http,
    account: Option<Arc<Account>>,
}

struct Account {
    api_key: String,
    mac: Hmac<Sha256>,
}

/// How a request proves who sends it.
enum Security {
    None,
    Key,
    Signed,
}

impl Broker {
    /// A client for the endpoints that need no account.
    pub fn public(env: Env) -> Self {
        Self { http: Http::new(env.clone()), env, account: None }
    }

    /// A client of an account.
    pub fn new(env: Env, credentials: Credentials) -> Self {
        let mac =
            Hmac::new_from_slice(credentials.secret.as_bytes()).expect("HMAC takes a key of any length");
        let account = Account { api_key: credentials.api_key, mac };
        Self { http: Http::new(env.clone()), env, account: Some(Arc::new(account)) }
    }

    /// The weight that this address has used in the present minute, as the exchange told last.
    pub fn used_weight(&self) -> u32 {
        self.http.limits.used_weight()
    }

    /// The account's orders in the exchange's present windows of 10 s and of a minute, if an answer told since the last call.
    pub fn take_order_counts(&self) -> Option<(u32, u32)> {
        self.http.limits.take_orders()
    }

    /// Places a market order ("New Order"). The answer only acknowledges; executions are reported by the user stream.
    ///
    /// # Errors
    /// `Rejected`, `Busy` and `NotSent` are definite; after `Unknown` the order may exist.
    pub async fn place(&self, intent: &Intent) -> Result<Report, BrokerError> {
        let mut query = Query::default();
        query.pair("symbol", intent.symbol.as_str());
        query.pair("side", intent.side.as_str());
        query.pair("type", "MARKET");
        query.pair("quantity", &intent.qty.to_string());
        if intent.reduce_only {
            query.pair("reduceOnly", "true");
        }
        query.pair("newClientOrderId", intent.client_order_id.as_str());
        OrderAnswer::placed(self.request(Method::POST, "/fapi/v1/order", query, Security::Signed).await)
    }

    /// Asks where an order stands ("Query Order"); `None` when the answering replica knows no such order.
    ///
    /// # Errors
    /// The question is unanswered.
    pub async fn order(&self, symbol: &Symbol, id: &ClientOrderId) -> Result<Option<Report>, BrokerError> {
        let mut query = Query::default();
        query.pair("symbol", symbol.as_str());
        query.pair("origClientOrderId", id.as_str());
        let answer = self.request(Method::GET, "/fapi/v1/order", query, Security::Signed).await;
        match answer {
            Err(BrokerError::Rejected { code: Refusal::NO_SUCH_ORDER, .. }) => Ok(None),
            answer => OrderAnswer::read(&answer?).map(Some),
        }
    }

    /// The executions of the order that the exchange numbers `order_id` ("Account Trade List").
    ///
    /// # Errors
    /// The question is unanswered.
    pub async fn trades(
        &self,
        symbol: &Symbol,
        order_id: u64,
        client_order_id: &ClientOrderId,
    ) -> Result<Vec<Fill>, BrokerError> {
        let mut query = Query::default();
        query.pair("symbol", symbol.as_str());
        query.pair("orderId", &order_id.to_string());
        query.pair("limit", &TRADES_LIMIT.to_string());
        let body = self.request(Method::GET, "/fapi/v1/userTrades", query, Security::Signed).await?;
        let trades: Vec<UserTrade> = answer::json(&body)?;
        let ours = trades.into_iter().filter(|trade| trade.order_id == order_id);
        Ok(ours.map(|trade| trade.numbered().into_fill(client_order_id.clone())).collect())
    }

    /// The market trades from `from` on, at most `limit` (capped at 1000), in order ("Compressed/Aggregate Trades List").
    ///
    /// # Errors
    /// The question is unanswered.
    pub async fn market_trades(
        &self,
        symbol: &Symbol,
        from: u64,
        limit: u64,
    ) -> Result<Vec<MarketTrade>, BrokerError> {
        let mut query = Query::default();
        query.pair("symbol", symbol.as_str());
        query.pair("fromId", &from.to_string());
        query.pair("limit", &limit.min(TRADES_LIMIT).to_string());
        let body = self.request(Method::GET, "/fapi/v1/aggTrades", query, Security::None).await?;
        let trades: Vec<AggTrade> = answer::json(&body)?;
        Ok(trades.into_iter().map(AggTrade::into_trade).collect())
    }

    /// The account's listen key, created or extended ("Start User Data Stream").
    ///
    /// # Errors
    /// There is none.
    pub async fn listen_key(&self) -> Result<String, BrokerError> {
        let body = self.request(Method::POST, "/fapi/v1/listenKey", Query::default(), Security::Key).await?;
        let ListenKey { listen_key } = answer::json(&body)?;
        if listen_key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            Ok(listen_key.to_owned())
        } else {
            Err(BrokerError::Unknown("a listen key that is no key".into()))
        }
    }

    /// Keeps the account's listen key valid for another 60 minutes ("Keepalive User Data Stream").
    ///
    /// # Errors
    /// The key may expire.
    pub async fn extend_listen_key(&self) -> Result<(), BrokerError> {
        self.request(Method::PUT, "/fapi/v1/listenKey", Query::default(), Security::Key).await.map(drop)
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        mut query: Query,
        security: Security,
    ) -> Result<bytes::Bytes, BrokerError> {
        let account = match security {
            Security::None => None,
            Security::Key | Security::Signed => Some(
                self.account
                    .as_deref()
                    .ok_or_else(|| BrokerError::NotSent("this client has no account".into()))?,
            ),
        };
        if let (Security::Signed, Some(account)) = (&security, account) {
            query.pair("recvWindow", &RECEIVE_WINDOW.as_millis().to_string());
            query.pair("timestamp", &self.env.clock.now().as_millis().to_string());
            let signature = account.sign(&query.0);
            query.pair("signature", &signature);
        }
        let uri = if query.0.is_empty() { path.to_owned() } else { format!("{path}?{}", query.0) };
        let response =
            self.http.request(method, &uri, account.map(|account| account.api_key.as_str())).await?;
        answer::meaning(response)
    }
}

/// The parameters of a request, URL-encoded.
#[derive(Default)]
struct Query(String);

impl Query {
    fn pair(&mut self, name: &str, value: &str) {
        let mut pairs = Serializer::new(std::mem::take(&mut self.0));
        self.0 = pairs.append_pair(name, value).finish();
    }
}

impl Account {
    /// HMAC-SHA256 of the parameters, in hex ("SIGNED Endpoint Security").
    fn sign(&self, payload: &str) -> String {
        let mut mac = self.mac.clone();
        mac.update(payload.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrderAnswer {
    order_id: u64,
    status: OrderState,
    executed_qty: Qty,
}

impl OrderAnswer {
    /// The meaning of the answer to a new order.
    fn placed(answer: Result<bytes::Bytes, BrokerError>) -> Result<Report, BrokerError> {
        match answer {
            // Of two orders with one name the first is an earlier attempt of ours: it arrived.
            Err(BrokerError::Rejected { code: Refusal::DUPLICATE_CLIENT_ORDER_ID, msg }) => {
                Err(BrokerError::Unknown(msg))
            }
            answer => Self::read(&answer?),
        }
    }

    fn read(body: &[u8]) -> Result<Report, BrokerError> {
        let Self { order_id, status, executed_qty } = answer::json(body)?;
        Ok(Report { order_id, status: status.status(), executed: executed_qty })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserTrade {
    id: u64,
    order_id: u64,
    symbol: Symbol,
    side: Side,
    price: Price,
    qty: Qty,
    commission: rust_decimal::Decimal,
    time: i64,
}

impl UserTrade {
    fn numbered(self) -> NumberedTrade {
        let Self { id, order_id, symbol, side, price, qty, commission, time } = self;
        let time = WallTime::from_millis(time);
        NumberedTrade { order_id, symbol, trade_id: id, side, qty, price, fee: commission, time }
    }
}

#[derive(Deserialize)]
struct AggTrade {
    #[serde(rename = "a")]
    id: u64,
    #[serde(rename = "p")]
    price: Price,
    #[serde(rename = "q")]
    qty: Qty,
    #[serde(rename = "T")]
    time: i64,
    #[serde(rename = "m")]
    buyer_is_maker: bool,
}

impl AggTrade {
    fn into_trade(self) -> MarketTrade {
        let Self { id, price, qty, time, buyer_is_maker } = self;
        MarketTrade { id, price, qty, time: WallTime::from_millis(time), buyer_is_maker }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListenKey<'a> {
    listen_key: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_signed_as_in_the_exchanges_own_example() {
        // Binance USD-M futures API, "SIGNED Endpoint Examples for POST /fapi/v1/order", example 1.
        let secret = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9";
        let payload = "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC&recvWindow=5000&timestamp=1591702613943";
        let account = Account {
            api_key: String::new(),
            mac: Hmac::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length"),
        };
        assert_eq!(account.sign(payload), "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9");
    }

    #[test]
    fn an_answer_tells_where_an_order_stands_and_other_shapes_leave_it_unknown() {
        let body = br#"{"clientOrderId":"tw-1","cumQuote":"0","executedQty":"0.001","orderId":22542179,"avgPrice":"0.00",
            "origQty":"0.002","status":"PARTIALLY_FILLED","symbol":"BTCUSDT","type":"MARKET"}"#;
        let report = OrderAnswer::read(body).unwrap();
        assert_eq!((report.order_id, report.executed.to_string()), (22_542_179, "0.001".into()));
        for body in [&b""[..], b"{}", b"[]", br#"{"orderId":1,"status":"ODD","executedQty":"0"}"#] {
            assert!(matches!(OrderAnswer::read(body), Err(BrokerError::Unknown(_))));
        }
    }
}
