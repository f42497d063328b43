//! The algo service: conditional orders, which it keeps until they are triggered ("New Algo Order", "Cancel Algo Order",
//! "Query Algo Order", "Current All Algo Open Orders", "Cancel All Algo Open Orders", under
//! <https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api>).
//!
//! Deliberately absent: other types of algo orders than `CONDITIONAL`, and orders that ended long ago (`allAlgoOrders`).

use env::WallTime;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::json;

use super::{order::ALL_CANCELED, symbol, to_json};
use crate::{
    error::ApiError,
    exchange::{OrderRef, Which},
    fault::Subject,
    order::{AlgoStatus, Order, OrderKind, Side, TimeInForce, WorkingType},
    params::Params,
    server::Venue,
};

/// Ids of the algo service are not ids of orders: here they are these in a range of their own, so that who takes one for the
/// other finds nothing.
const FIRST_ID: u64 = 1_000_000_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Cancel,
    CancelAll,
    OpenOrders,
    Query,
}

impl Endpoint {
    pub fn weight(self, params: &Params<'_>) -> u32 {
        match self {
            Self::OpenOrders if params.text("symbol").is_none() => 40,
            Self::Cancel | Self::CancelAll | Self::OpenOrders | Self::Query => 1,
        }
    }

    pub fn subject(self) -> Subject {
        match self {
            Self::Cancel | Self::CancelAll => Subject::Orders { reduces: true },
            Self::OpenOrders | Self::Query => Subject::Queries,
        }
    }
}

pub(super) fn answer(
    venue: &Venue,
    now: WallTime,
    account: usize,
    endpoint: Endpoint,
    params: &Params<'_>,
) -> Result<String, ApiError> {
    let mut state = venue.exchange.lock();
    match endpoint {
        Endpoint::Cancel => {
            let (order, updates) = state.cancel_algo(now, account, named(params)?)?;
            venue.tell(&state, &updates);
            let answer = json!({
                "algoId": id(&order),
                "clientAlgoId": &*order.terms.client_order_id,
                "code": "200",
                "msg": "success",
            });
            Ok(answer.to_string())
        }
        Endpoint::CancelAll => {
            let market = symbol(&state, params)?;
            let updates = state.cancel_all(now, account, market, Which::Algo);
            venue.tell(&state, &updates);
            Ok(ALL_CANCELED.into())
        }
        Endpoint::OpenOrders => {
            let market = params.text("symbol").map(|_| symbol(&state, params)).transpose()?;
            venue.view(&state, account, Subject::Queries, |view| {
                let mut orders = view.open_orders(account);
                orders.retain(|order| {
                    order.is_algo_only() && market.is_none_or(|market| market == order.terms.market)
                });
                Ok(to_json(&orders.into_iter().map(AlgoView::from).collect::<Vec<_>>()))
            })
        }
        Endpoint::Query => {
            let order = named(params)?;
            venue.view(&state, account, Subject::Queries, |view| {
                let found = view.find_algo(account, order).ok_or(ApiError::NoSuchOrder)?;
                Ok(to_json(&AlgoView::from(found)))
            })
        }
    }
}

/// The algo service's id of an order.
pub(crate) fn id(order: &Order) -> u64 {
    FIRST_ID + order.id
}

fn named<'a>(params: &'a Params<'_>) -> Result<OrderRef<'a>, ApiError> {
    if let Some(id) = params.parsed::<u64>("algoId")? {
        return Ok(OrderRef::Id(id.saturating_sub(FIRST_ID)));
    }
    let name = params.text("clientAlgoId").map(OrderRef::ClientId);
    name.ok_or(ApiError::MissingBoth("algoId", "clientAlgoId"))
}

/// An order as the algo service shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AlgoView<'a> {
    algo_id: u64,
    client_algo_id: &'a str,
    algo_type: &'static str,
    order_type: OrderKind,
    symbol: &'a str,
    side: Side,
    position_side: &'static str,
    time_in_force: TimeInForce,
    quantity: Decimal,
    algo_status: AlgoStatus,
    /// Empty before it was triggered.
    actual_order_id: String,
    actual_price: Decimal,
    trigger_price: Decimal,
    price: Decimal,
    iceberg_quantity: Option<Decimal>,
    self_trade_prevention_mode: &'static str,
    working_type: WorkingType,
    price_match: &'static str,
    close_position: bool,
    price_protect: bool,
    reduce_only: bool,
    /// As the next, only of a trailing stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    activate_price: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    callback_rate: Option<Decimal>,
    create_time: i64,
    update_time: i64,
    /// 0 before it was triggered.
    trigger_time: i64,
    good_till_date: i64,
}

impl<'a> From<&'a Order> for AlgoView<'a> {
    fn from(order: &'a Order) -> Self {
        let (terms, algo) = (&order.terms, order.algo.as_ref());
        Self {
            algo_id: id(order),
            client_algo_id: &terms.client_order_id,
            algo_type: "CONDITIONAL",
            order_type: order.original_kind,
            symbol: &order.symbol,
            side: terms.side,
            position_side: "BOTH",
            time_in_force: terms.time_in_force,
            quantity: terms.quantity,
            algo_status: algo.map_or(AlgoStatus::New, |algo| algo.status),
            actual_order_id: if order.is_algo_only() { String::new() } else { order.id.to_string() },
            actual_price: order.average_price(),
            trigger_price: terms.stop_price,
            price: terms.price,
            iceberg_quantity: None,
            self_trade_prevention_mode: "NONE",
            working_type: terms.working_type,
            price_match: "NONE",
            close_position: terms.close_position,
            price_protect: false,
            reduce_only: terms.reduce_only,
            activate_price: terms.trail.map(|trail| trail.activation_price),
            callback_rate: terms.trail.map(|trail| trail.callback_rate),
            create_time: order.accepted_at.as_millis(),
            update_time: order.updated_at.as_millis(),
            trigger_time: algo.and_then(|algo| algo.triggered_at).map_or(0, WallTime::as_millis),
            good_till_date: 0,
        }
    }
}
