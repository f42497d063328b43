//! The events of an account: `ORDER_TRADE_UPDATE`, `ACCOUNT_UPDATE`, `listenKeyExpired` ("User Data Streams").

use std::sync::Arc;

use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use super::algo::AlgoEvent;
use crate::{
    exchange::{Balance, Change, Endangered, Execution, Update},
    order::{Order, OrderKind, OrderStatus, Side, TimeInForce, WorkingType},
    server::Venue,
};

/// The JSON text of an update.
pub(crate) fn render(update: &Update) -> String {
    let millis = update.at.as_millis();
    match &update.change {
        Change::Order { order, execution } => {
            let o = order_fields(order, execution, millis);
            to_json(&OrderEvent { e: "ORDER_TRADE_UPDATE", event_time: millis, time: millis, o })
        }
        Change::Algo(order) => to_json(&AlgoEvent::new(order, millis)),
        Change::Balance(balance) => {
            let a = account_fields(balance);
            to_json(&AccountEvent { e: "ACCOUNT_UPDATE", event_time: millis, time: millis, a })
        }
        Change::Leverage { symbol, leverage } => to_json(&json!({
            "e": update.change.event(),
            "E": millis,
            "T": millis,
            "ac": { "s": &**symbol, "l": leverage },
        })),
        Change::MarginCall { wallet, positions } => to_json(&json!({
            "e": update.change.event(),
            "E": millis,
            "cw": wallet.normalize(),
            "p": positions.iter().map(endangered).collect::<Vec<_>>(),
        })),
    }
}

/// A position of a margin call ("Event: Margin Call").
fn endangered(position: &Endangered) -> serde_json::Value {
    json!({
        "s": &*position.symbol,
        "ps": "BOTH",
        "pa": position.amount,
        "mt": "CROSSED",
        "iw": "0",
        "mp": position.mark_price,
        "up": position.unrealized.normalize(),
        "mm": position.maintenance.normalize(),
    })
}

/// Lets listen keys expire: tells who still listens, once.
pub(crate) async fn expire_keys(venue: Arc<Venue>) {
    loop {
        let next = venue.exchange.lock().keys.next_expiry();
        let Some(next) = next else {
            venue.key_created.notified().await;
            continue;
        };
        sleep_until(next).await;
        let now = Instant::now();
        let mut state = venue.exchange.lock();
        while let Some(key) = state.keys.pop_expired(now) {
            expire(&venue, &key, false);
        }
    }
}

/// Tells those who listen to `key` that it is no longer valid, unless it is to be a secret.
pub(super) fn expire(venue: &Venue, key: &str, silent: bool) {
    env::fact!("broker.user_stream", state = "expired");
    if !silent {
        let millis = venue.env.clock.now().as_millis();
        venue
            .hub
            .publish(key, || json!({ "e": "listenKeyExpired", "E": millis, "listenKey": key }).to_string());
    }
}

fn to_json(event: &impl Serialize) -> String {
    serde_json::to_string(event).expect("our own events have text keys and finite numbers")
}

#[derive(Serialize)]
struct OrderEvent<'a> {
    e: &'static str,
    #[serde(rename = "E")]
    event_time: i64,
    #[serde(rename = "T")]
    time: i64,
    o: OrderFields<'a>,
}

/// In the order of the documentation, under its one-letter names ("Event: Order Update").
#[derive(Serialize)]
struct OrderFields<'a> {
    s: &'a str,
    #[serde(rename = "c")]
    client_order_id: &'a str,
    #[serde(rename = "S")]
    side: Side,
    #[serde(rename = "o")]
    kind: OrderKind,
    #[serde(rename = "f")]
    time_in_force: TimeInForce,
    #[serde(rename = "q")]
    quantity: Decimal,
    #[serde(rename = "p")]
    price: Decimal,
    #[serde(rename = "ap")]
    average_price: Decimal,
    #[serde(rename = "sp")]
    stop_price: Decimal,
    #[serde(rename = "x")]
    execution: &'static str,
    #[serde(rename = "X")]
    status: OrderStatus,
    #[serde(rename = "i")]
    order_id: u64,
    #[serde(rename = "l")]
    last_quantity: Decimal,
    #[serde(rename = "z")]
    executed: Decimal,
    #[serde(rename = "L")]
    last_price: Decimal,
    /// As the fee, only with an execution.
    #[serde(rename = "N", skip_serializing_if = "Option::is_none")]
    fee_asset: Option<&'static str>,
    #[serde(rename = "n", skip_serializing_if = "Option::is_none")]
    fee: Option<Decimal>,
    #[serde(rename = "T")]
    time: i64,
    #[serde(rename = "t")]
    trade_id: u64,
    /// Notional of the account's resting bids and asks: not kept by this exchange.
    #[serde(rename = "b")]
    bids: &'static str,
    #[serde(rename = "a")]
    asks: &'static str,
    #[serde(rename = "m")]
    maker: bool,
    #[serde(rename = "R")]
    reduce_only: bool,
    #[serde(rename = "wt")]
    working_type: WorkingType,
    #[serde(rename = "ot")]
    original_kind: OrderKind,
    #[serde(rename = "ps")]
    position_side: &'static str,
    #[serde(rename = "cp")]
    close_position: bool,
    /// As the next, only of a trailing stop.
    #[serde(rename = "AP", skip_serializing_if = "Option::is_none")]
    activation_price: Option<Decimal>,
    #[serde(rename = "cr", skip_serializing_if = "Option::is_none")]
    callback_rate: Option<Decimal>,
    #[serde(rename = "rp")]
    realized_pnl: Decimal,
    #[serde(rename = "pP")]
    price_protect: bool,
    /// "Ignore", says the documentation, as of the next.
    si: u8,
    ss: u8,
    #[serde(rename = "V")]
    self_trade_prevention: &'static str,
    #[serde(rename = "pm")]
    price_match: &'static str,
    #[serde(rename = "gtd")]
    good_till_date: i64,
}

fn order_fields<'a>(order: &'a Order, execution: &Execution, time: i64) -> OrderFields<'a> {
    let (word, fill) = match execution {
        Execution::New => ("NEW", None),
        Execution::Canceled => ("CANCELED", None),
        Execution::Expired => ("EXPIRED", None),
        Execution::Amended => ("AMENDMENT", None),
        Execution::Trade(fill) => ("TRADE", Some(fill)),
    };
    let of_fill = |value: fn(&crate::Fill) -> Decimal| fill.map(value).unwrap_or_default();
    OrderFields {
        s: &order.symbol,
        client_order_id: &order.terms.client_order_id,
        side: order.terms.side,
        kind: order.terms.kind,
        time_in_force: order.terms.time_in_force,
        quantity: order.terms.quantity,
        price: order.terms.price,
        average_price: order.average_price(),
        stop_price: order.terms.stop_price,
        execution: word,
        status: order.status,
        order_id: order.id,
        last_quantity: of_fill(|fill| fill.qty),
        executed: order.executed,
        last_price: of_fill(|fill| fill.price),
        fee_asset: fill.map(|_| "USDT"),
        fee: fill.map(|fill| fill.fee),
        time,
        trade_id: fill.map_or(0, |fill| fill.trade_id),
        bids: "0",
        asks: "0",
        maker: fill.is_some_and(|fill| fill.maker),
        reduce_only: order.terms.reduce_only,
        working_type: order.terms.working_type,
        original_kind: order.original_kind,
        position_side: "BOTH",
        close_position: order.terms.close_position,
        activation_price: order.terms.trail.map(|trail| trail.activation_price),
        callback_rate: order.terms.trail.map(|trail| trail.callback_rate),
        realized_pnl: of_fill(|fill| fill.realized_pnl),
        price_protect: false,
        si: 0,
        ss: 0,
        self_trade_prevention: "NONE",
        price_match: "NONE",
        good_till_date: 0,
    }
}

#[derive(Serialize)]
struct AccountEvent<'a> {
    e: &'static str,
    #[serde(rename = "E")]
    event_time: i64,
    #[serde(rename = "T")]
    time: i64,
    a: AccountFields<'a>,
}

#[derive(Serialize)]
struct AccountFields<'a> {
    m: &'static str,
    #[serde(rename = "B")]
    balances: [BalanceFields; 1],
    #[serde(rename = "P")]
    positions: [PositionFields<'a>; 1],
}

#[derive(Serialize)]
struct BalanceFields {
    a: &'static str,
    wb: Decimal,
    cw: Decimal,
    bc: &'static str,
}

/// In the order of the documentation, under its short names.
#[derive(Serialize)]
struct PositionFields<'a> {
    s: &'a str,
    pa: Decimal,
    ep: Decimal,
    bep: Decimal,
    cr: Decimal,
    up: Decimal,
    mt: &'static str,
    iw: &'static str,
    ps: &'static str,
}

fn account_fields(balance: &Balance) -> AccountFields<'_> {
    let wallet = balance.wallet.normalize();
    let position = PositionFields {
        s: &balance.symbol,
        pa: balance.amount,
        ep: balance.entry_price,
        bep: balance.break_even_price,
        cr: balance.realized.normalize(),
        up: balance.unrealized.normalize(),
        mt: "cross",
        iw: "0",
        ps: "BOTH",
    };
    let funds = BalanceFields { a: "USDT", wb: wallet, cw: wallet, bc: "0" };
    AccountFields { m: "ORDER", balances: [funds], positions: [position] }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::{Config, Exchange};

    const HOUR: Duration = Duration::from_secs(60 * 60);

    #[tokio::test(start_paused = true)]
    async fn a_listener_is_told_when_its_key_expires_and_not_before() {
        let data = tempfile::tempdir().expect("a temporary directory");
        let config = env::os::Config { data_dir: data.path().into(), ..Default::default() };
        let env = env::os::env(config).expect("an environment");
        let exchange = Exchange::new(Config::default());
        let venue = Arc::new(Venue::new(env, exchange));
        let expiry = venue.env.spawn("expiry", expire_keys(venue.clone()));
        tokio::task::yield_now().await;

        venue.exchange.lock().keys.create(0, Instant::now(), || "key".into());
        venue.key_created.notify_one();
        let (seat, mut inbox) = venue.hub.join(false);
        seat.subscribe("key");
        assert!(timeout(HOUR - Duration::from_secs(1), inbox.events.recv()).await.is_err());
        let event = timeout(Duration::from_secs(2), inbox.events.recv()).await.expect("it expires now");
        assert!(event.is_some_and(|event| event.text.contains("\"e\":\"listenKeyExpired\"")));
        assert_eq!(venue.exchange.lock().keys.active(0), None);
        expiry.abort();
    }
}
