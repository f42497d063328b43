//! The account's own events: a listen key that is kept alive and the stream behind it.
//!
//! Source: Binance USD-M futures API, "User Data Streams". The order of events of one kind is kept; events are lost while
//! the stream is down, so its owner asks for what it missed whenever the stream comes up.

use std::time::Duration;

use env::{Env, WallTime};
use rust_decimal::Decimal;
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};

use super::{
    broker::{Broker, BrokerError, OrderState},
    websocket::{Socket, SocketError},
};
use crate::core::{ClientOrderId, Fill, Price, Qty, Report, Side, Symbol};

/// How often the listen key is extended: half of the 60 minutes that it is valid.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(30 * 60);

/// Why the stream is of no more use.
#[derive(Debug, thiserror::Error)]
pub enum UserStreamError {
    /// The listen key could not be had or extended.
    #[error("listen key: {0}")]
    ListenKey(#[from] BrokerError),
    /// The exchange let the listen key expire.
    #[error("the listen key expired")]
    Expired,
    /// The socket is lost.
    #[error(transparent)]
    Socket(#[from] SocketError),
}

/// What the exchange reports of one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderUpdate {
    /// The order.
    pub client_order_id: ClientOrderId,
    /// Where it stands.
    pub report: Report,
    /// The execution that the update reports, if it reports one.
    pub fill: Option<Fill>,
}

/// An open user stream.
pub struct UserStream {
    broker: Broker,
    socket: Socket,
    keep_alive_at: Instant,
}

impl UserStream {
    /// Gets a listen key and opens its stream.
    ///
    /// # Errors
    /// The caller waits and opens it again.
    pub async fn open(env: &Env, broker: Broker) -> Result<Self, UserStreamError> {
        let key = broker.listen_key().await?;
        let socket = Socket::open(env, &format!("/ws/{key}")).await?;
        Ok(Self { broker, socket, keep_alive_at: Instant::now() + KEEP_ALIVE_EVERY })
    }

    /// Waits for the next update of an order whose client order id could be one of ours.
    ///
    /// # Errors
    /// The stream is lost: open another, and ask for what happened meanwhile.
    pub async fn next(&mut self) -> Result<OrderUpdate, UserStreamError> {
        loop {
            let text = tokio::select! { biased;
                text = self.socket.next() => text?,
                () = sleep_until(self.keep_alive_at) => {
                    self.broker.extend_listen_key().await?;
                    self.keep_alive_at = Instant::now() + KEEP_ALIVE_EVERY;
                    continue;
                }
            };
            if let Some(update) = read(&text)? {
                return Ok(update);
            }
        }
    }
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(rename = "e")]
    name: &'a str,
}

#[derive(Deserialize)]
struct OrderTradeUpdate<'a> {
    #[serde(rename = "o", borrow)]
    order: OrderEvent<'a>,
}

/// The part `o` of an `ORDER_TRADE_UPDATE`.
#[derive(Deserialize)]
struct OrderEvent<'a> {
    #[serde(rename = "s")]
    symbol: Symbol,
    #[serde(rename = "c")]
    client_order_id: &'a str,
    #[serde(rename = "S")]
    side: Side,
    #[serde(rename = "x")]
    execution: &'a str,
    #[serde(rename = "X")]
    state: OrderState,
    #[serde(rename = "i")]
    order_id: u64,
    #[serde(rename = "l")]
    last_qty: Qty,
    #[serde(rename = "z")]
    executed: Qty,
    #[serde(rename = "L")]
    last_price: &'a str,
    #[serde(rename = "n", default)]
    fee: Decimal,
    #[serde(rename = "T")]
    time: i64,
    #[serde(rename = "t")]
    trade_id: i64,
}

fn read(text: &str) -> Result<Option<OrderUpdate>, UserStreamError> {
    let malformed = |what: &dyn std::fmt::Display| SocketError::Malformed(format!("{what} in {text:.300}"));
    let Kind { name } = serde_json::from_str(text).map_err(|error| malformed(&error))?;
    match name {
        "ORDER_TRADE_UPDATE" => {}
        "listenKeyExpired" => return Err(UserStreamError::Expired),
        _ => return Ok(None),
    }
    let OrderTradeUpdate { order } = serde_json::from_str(text).map_err(|error| malformed(&error))?;
    // An order that somebody placed elsewhere may have any name.
    let Ok(client_order_id) = order.client_order_id.parse::<ClientOrderId>() else {
        return Ok(None);
    };
    let fill = match order.execution {
        "TRADE" => Some(Fill {
            symbol: order.symbol,
            trade_id: u64::try_from(order.trade_id).map_err(|error| malformed(&error))?,
            client_order_id: client_order_id.clone(),
            side: order.side,
            qty: order.last_qty,
            price: order.last_price.parse::<Price>().map_err(|error| malformed(&error))?,
            fee: order.fee,
            time: WallTime::from_millis(order.time),
        }),
        _ => None,
    };
    let report = Report { order_id: order.order_id, status: order.state.status(), executed: order.executed };
    Ok(Some(OrderUpdate { client_order_id, report, fill }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Status;

    fn event(execution: &str, state: &str, trade_id: i64, last_price: &str) -> String {
        format!(
            r#"{{"e":"ORDER_TRADE_UPDATE","E":1700000000001,"T":1700000000000,"o":{{"s":"BTCUSDT","c":"tw-BTCUSDT-7-in",
            "S":"BUY","o":"MARKET","f":"GTC","q":"0.002","p":"0","ap":"65000.1","x":"{execution}","X":"{state}","i":11,
            "l":"0.001","z":"0.001","L":"{last_price}","n":"0.026","N":"USDT","T":1700000000000,"t":{trade_id},"m":false,
            "R":false,"rp":"0"}}}}"#
        )
    }

    #[test]
    fn an_execution_carries_its_fill_and_where_the_order_stands() {
        let update = read(&event("TRADE", "PARTIALLY_FILLED", 5, "65000.10")).unwrap().unwrap();
        assert_eq!(
            update.report,
            Report { order_id: 11, status: Status::Partial, executed: "0.001".parse().unwrap() }
        );
        let fill = update.fill.unwrap();
        assert_eq!((fill.trade_id, fill.fee), (5, "0.026".parse().unwrap()));
        assert_eq!(fill.client_order_id, update.client_order_id);
    }

    #[test]
    fn an_update_without_execution_has_no_fill_although_it_has_the_fields() {
        let update = read(&event("NEW", "NEW", 0, "0")).unwrap().unwrap();
        assert_eq!((update.report.status, update.fill), (Status::Acked, None));
    }

    #[test]
    fn other_events_are_passed_over_and_an_expired_key_ends_the_stream() {
        assert_eq!(read(r#"{"e":"ACCOUNT_UPDATE","a":{}}"#).unwrap(), None);
        assert_eq!(read(&event("NEW", "NEW", 0, "0").replace("tw-", "web é ")).unwrap(), None);
        assert!(matches!(read(r#"{"e":"listenKeyExpired"}"#), Err(UserStreamError::Expired)));
    }

    #[test]
    fn what_cannot_be_understood_ends_the_stream_so_that_its_content_is_asked_for() {
        for text in ["", "{}", "[1]", &event("TRADE", "FILLED", -1, "1"), &event("TRADE", "WHAT", 1, "1")] {
            assert!(read(text).is_err(), "{text} was understood");
        }
    }
}
