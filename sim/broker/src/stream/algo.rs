//! The event of an order of the algo service: `ALGO_UPDATE` ("Event: Algo Order Update",
//! <https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams/Event-Algo-Order-Update>).

use env::WallTime;
use rust_decimal::Decimal;
use serde::Serialize;

use crate::{
    order::{AlgoStatus, Order, OrderKind, Side, TimeInForce, WorkingType},
    rest::algo_id,
};

#[derive(Serialize)]
pub(super) struct AlgoEvent<'a> {
    e: &'static str,
    #[serde(rename = "T")]
    time: i64,
    #[serde(rename = "E")]
    event_time: i64,
    o: Fields<'a>,
}

/// In the order of the documentation, under its short names.
#[derive(Serialize)]
struct Fields<'a> {
    caid: &'a str,
    aid: u64,
    at: &'static str,
    o: OrderKind,
    s: &'a str,
    #[serde(rename = "S")]
    side: Side,
    ps: &'static str,
    f: TimeInForce,
    q: Decimal,
    #[serde(rename = "X")]
    status: AlgoStatus,
    /// The order's id in the matching engine; empty before it is there.
    ai: String,
    /// As the next two, only once it is in the matching engine: mean price, quantity traded, type.
    #[serde(skip_serializing_if = "Option::is_none")]
    ap: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aq: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<OrderKind>,
    tp: Decimal,
    p: Decimal,
    #[serde(rename = "V")]
    self_trade_prevention: &'static str,
    wt: WorkingType,
    pm: &'static str,
    cp: bool,
    #[serde(rename = "pP")]
    price_protect: bool,
    #[serde(rename = "R")]
    reduce_only: bool,
    tt: i64,
    gtd: i64,
    /// Only of a trailing stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    cr: Option<Decimal>,
    /// Why the matching engine did not take it.
    #[serde(skip_serializing_if = "Option::is_none")]
    rm: Option<&'a str>,
}

impl<'a> AlgoEvent<'a> {
    pub fn new(order: &'a Order, time: i64) -> Self {
        let (terms, algo) = (&order.terms, order.algo.as_ref());
        let placed = !order.is_algo_only();
        let o = Fields {
            caid: &terms.client_order_id,
            aid: algo_id(order),
            at: "CONDITIONAL",
            o: order.original_kind,
            s: &order.symbol,
            side: terms.side,
            ps: "BOTH",
            f: terms.time_in_force,
            q: terms.quantity,
            status: algo.map_or(AlgoStatus::New, |algo| algo.status),
            ai: if placed { order.id.to_string() } else { String::new() },
            ap: placed.then(|| order.average_price()),
            aq: placed.then_some(order.executed),
            act: placed.then_some(terms.kind),
            tp: terms.stop_price,
            p: terms.price,
            self_trade_prevention: "NONE",
            wt: terms.working_type,
            pm: "NONE",
            cp: terms.close_position,
            price_protect: false,
            reduce_only: terms.reduce_only,
            tt: algo.and_then(|algo| algo.triggered_at).map_or(0, WallTime::as_millis),
            gtd: 0,
            cr: terms.trail.map(|trail| trail.callback_rate),
            rm: algo.and_then(|algo| algo.failure.as_deref()),
        };
        Self { e: "ALGO_UPDATE", time, event_time: time, o }
    }
}
