//! `/fapi/v1/order` and its kin: place, test, query, change and cancel orders.

use std::{sync::Arc, time::Duration};

use env::WallTime;
use rust_decimal::Decimal;
use serde::Serialize;

use super::{
    algo::AlgoView,
    symbol,
    terms::{self, Door},
    to_json,
};
use crate::{
    error::ApiError,
    exchange::{Amendment, Change, Execution, OrderRef, Placed, Update, Which},
    fault::{Fault, Subject},
    limits::OrderCounts,
    order::{Order, OrderKind, OrderStatus, Side, TimeInForce, WorkingType},
    params::Params,
    server::Venue,
};

/// What is asked about orders that exist, or would be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Amend,
    Cancel,
    CancelAll,
    Query,
    QueryOpen,
    Test,
}

impl Endpoint {
    pub fn weight(self) -> u32 {
        match self {
            Self::Amend | Self::Test => 0,
            Self::Cancel | Self::CancelAll | Self::Query | Self::QueryOpen => 1,
        }
    }

    pub fn subject(self) -> Subject {
        match self {
            Self::Amend | Self::Test => Subject::Orders { reduces: false },
            Self::Cancel | Self::CancelAll => Subject::Orders { reduces: true },
            Self::Query | Self::QueryOpen => Subject::Queries,
        }
    }
}

/// What is answered when all orders were cancelled, whether or not there were any.
pub(super) const ALL_CANCELED: &str =
    r#"{"code":200,"msg":"The operation of cancel all open order is done."}"#;

/// From an order's arrival to its meeting the market: 2–6 ms.
const MATCHING_DELAY_US: (u64, u64) = (2_000, 4_000);
/// From the market to the answer, while events already go out: 0–3 ms.
const ANSWER_DELAY_US: (u64, u64) = (0, 3_000);

/// An order as the API shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderView<'a> {
    order_id: u64,
    symbol: &'a str,
    status: OrderStatus,
    client_order_id: &'a str,
    price: Decimal,
    avg_price: Decimal,
    orig_qty: Decimal,
    executed_qty: Decimal,
    cum_qty: Decimal,
    cum_quote: Decimal,
    time_in_force: TimeInForce,
    #[serde(rename = "type")]
    kind: OrderKind,
    reduce_only: bool,
    close_position: bool,
    side: Side,
    position_side: &'static str,
    stop_price: Decimal,
    /// As the next, only of a trailing stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    activate_price: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price_rate: Option<Decimal>,
    working_type: WorkingType,
    price_protect: bool,
    orig_type: OrderKind,
    price_match: &'static str,
    self_trade_prevention_mode: &'static str,
    good_till_date: i64,
    time: i64,
    update_time: i64,
}

impl<'a> From<&'a Order> for OrderView<'a> {
    fn from(order: &'a Order) -> Self {
        Self {
            order_id: order.id,
            symbol: &order.symbol,
            status: order.status,
            client_order_id: &order.terms.client_order_id,
            price: order.terms.price,
            avg_price: order.average_price(),
            orig_qty: order.terms.quantity,
            executed_qty: order.executed,
            cum_qty: order.executed,
            cum_quote: order.quote,
            time_in_force: order.terms.time_in_force,
            kind: order.terms.kind,
            reduce_only: order.terms.reduce_only,
            close_position: order.terms.close_position,
            side: order.terms.side,
            position_side: "BOTH",
            stop_price: order.terms.stop_price,
            activate_price: order.terms.trail.map(|trail| trail.activation_price),
            price_rate: order.terms.trail.map(|trail| trail.callback_rate),
            working_type: order.terms.working_type,
            price_protect: false,
            orig_type: order.original_kind,
            price_match: "NONE",
            self_trade_prevention_mode: "NONE",
            good_till_date: 0,
            time: order.accepted_at.as_millis(),
            update_time: order.updated_at.as_millis(),
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
    let market = symbol(&state, params)?;
    match endpoint {
        Endpoint::Query | Endpoint::QueryOpen => {
            let order = named(params)?;
            venue.view(&state, account, Subject::Queries, |view| {
                let wanted = |order: &&Order| endpoint == Endpoint::Query || order.status.is_open();
                let found = view.find(account, market, order).filter(wanted);
                Ok(to_json(&OrderView::from(found.ok_or(ApiError::NoSuchOrder)?)))
            })
        }
        Endpoint::Cancel => {
            let (order, updates) = state.cancel(now, account, market, named(params)?)?;
            venue.tell(&state, &updates);
            Ok(to_json(&OrderView::from(&order)))
        }
        Endpoint::CancelAll => {
            let updates = state.cancel_all(now, account, market, Which::Orders);
            venue.tell(&state, &updates);
            Ok(ALL_CANCELED.into())
        }
        Endpoint::Amend => {
            let side = Side::from_word(params.required("side")?).ok_or(ApiError::Side)?;
            let (quantity, price) = (params.required_parsed("quantity")?, params.required_parsed("price")?);
            venue.limits().order(now.as_millis(), account)?;
            let amendment = Amendment { side, quantity, price };
            let amended = state.amend(now, account, market, named(params)?, amendment)?;
            venue.tell(&state, &amended.updates);
            Ok(to_json(&OrderView::from(&amended.result)))
        }
        Endpoint::Test => {
            let name = client_order_id(params, Door::Order)?.unwrap_or_default();
            state.check(account, &terms::read(market, name.into(), params, Door::Order)?)?;
            Ok("{}".into())
        }
    }
}

/// Places an order; one that is refused is in the journal, too.
pub(super) async fn place(
    venue: &Venue,
    account: usize,
    params: &Params<'_>,
    door: Door,
) -> Result<(String, OrderCounts), ApiError> {
    let client_order_id: Arc<str> = match client_order_id(params, door) {
        Ok(Some(id)) => id.into(),
        Ok(None) => venue.exchange.lock().next_client_order_id(),
        Err(error) => return Err(refused(venue, account, "".into(), error)),
    };
    let outcome = try_place(venue, account, params, door, client_order_id.clone()).await;
    outcome.map_err(|reason| refused(venue, account, client_order_id, reason))
}

fn refused(venue: &Venue, account: usize, client_order_id: Arc<str>, reason: ApiError) -> ApiError {
    venue.exchange.lock().refuse(venue.env.clock.now(), account, client_order_id, &reason);
    reason
}

async fn try_place(
    venue: &Venue,
    account: usize,
    params: &Params<'_>,
    door: Door,
    client_order_id: Arc<str>,
) -> Result<(String, OrderCounts), ApiError> {
    let now = venue.env.clock.now();
    let counts = {
        let mut limits = venue.limits();
        limits.order(now.as_millis(), account)?
    };
    let wants_result = params.text("newOrderRespType") == Some("RESULT");
    let terms = {
        let state = venue.exchange.lock();
        let terms = terms::read(symbol(&state, params)?, client_order_id, params, door)?;
        state.receive(now, account, &terms);
        terms
    };
    delay(venue, "broker.order.matching_delay", MATCHING_DELAY_US).await;
    let placed = {
        let mut state = venue.exchange.lock();
        let placed = state.place(venue.env.clock.now(), account, terms)?;
        venue.tell(&state, &placed.updates);
        placed
    };
    delay(venue, "broker.order.answer_delay", ANSWER_DELAY_US).await;
    hold_back(venue, &placed).await;
    let order = if wants_result { &placed.result } else { &placed.accepted };
    let answer = match door {
        Door::Order => {
            let mut view = OrderView::from(order);
            if let Some(earlier) = confused_with(venue, account, order.id) {
                view.order_id = earlier;
            }
            to_json(&view)
        }
        Door::Algo => to_json(&AlgoView::from(order)),
    };
    Ok((answer, counts))
}

/// Lets the events of an order that traded run ahead of its answer.
async fn hold_back(venue: &Venue, placed: &Placed) {
    let is_fill =
        |update: &Update| matches!(update.change, Change::Order { execution: Execution::Trade(_), .. });
    if !placed.updates.iter().any(is_fill) {
        return;
    }
    let delay = venue.exchange.faults().strike(|fault| match fault {
        Fault::FillBeforeAck(delay) => Some(*delay),
        _ => None,
    });
    if let Some(delay) = delay {
        tokio::time::sleep(delay.draw(&*venue.env.entropy, "broker.fault.fill_before_ack")).await;
    }
}

/// The earlier order under whose id this one is confirmed.
fn confused_with(venue: &Venue, account: usize, id: u64) -> Option<u64> {
    let earlier = venue.exchange.lock().order_before(account, id)?;
    let confused = |fault: &mut Fault| matches!(fault, Fault::DuplicateConfirmation).then_some(earlier);
    venue.exchange.faults().strike(confused)
}

async fn delay(venue: &Venue, site: &'static str, (least, spread): (u64, u64)) {
    let micros = least + venue.env.entropy.below(site, spread);
    tokio::time::sleep(Duration::from_micros(micros)).await;
}

fn client_order_id<'a>(params: &'a Params<'_>, door: Door) -> Result<Option<&'a str>, ApiError> {
    match params.text(door.client_order_id()) {
        Some(id) if !is_client_order_id(id) => Err(ApiError::ClientOrderId),
        id => Ok(id),
    }
}

/// `^[.A-Z:/a-z0-9_-]{1,36}$` ("New Order", `newClientOrderId`).
fn is_client_order_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".:/_-".contains(&byte);
    (1..=36).contains(&id.len()) && id.bytes().all(allowed)
}

fn named<'a>(params: &'a Params<'_>) -> Result<OrderRef<'a>, ApiError> {
    if let Some(id) = params.parsed("orderId")? {
        return Ok(OrderRef::Id(id));
    }
    params
        .text("origClientOrderId")
        .map(OrderRef::ClientId)
        .ok_or(ApiError::MissingBoth("origClientOrderId", "orderId"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_order_ids_have_up_to_36_harmless_characters() {
        assert!(is_client_order_id("x-A.b:c/d_9"));
        assert!(is_client_order_id(&"a".repeat(36)));
        assert!(!is_client_order_id(&"a".repeat(37)));
        assert!(!is_client_order_id("a b"));
        assert!(!is_client_order_id("é"));
    }
}
