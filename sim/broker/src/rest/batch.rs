//! Several orders in one request ("Place Multiple Orders", "Cancel Multiple Orders"): each is served on its own, one after the
//! other, and has its own place in the answer.

use env::WallTime;
use serde_json::{Map, Value, json};

use super::{order, symbol, terms::Door, to_json};
use crate::{
    error::ApiError, exchange::OrderRef, limits::OrderCounts, params::Params, rest::order::OrderView,
    server::Venue,
};

/// The most orders that one request may place.
const MAX_PLACED: usize = 5;
/// The most orders that one request may cancel.
const MAX_CANCELED: usize = 10;

pub(super) async fn place(
    venue: &Venue,
    account: usize,
    params: &Params<'_>,
) -> Result<(String, Option<OrderCounts>), ApiError> {
    let orders: Vec<Map<String, Value>> = list(params, "batchOrders")?;
    if !(1..=MAX_PLACED).contains(&orders.len()) {
        return Err(ApiError::BatchSize);
    }
    let (mut answers, mut latest) = (Vec::with_capacity(orders.len()), None);
    for order in &orders {
        match order::place(venue, account, &Params::of_object(order), Door::Order).await {
            Ok((answer, counts)) => {
                answers.push(answer);
                latest = Some(counts);
            }
            Err(error) => answers.push(refusal(&error)),
        }
    }
    Ok((array(&answers), latest))
}

pub(super) fn cancel(
    venue: &Venue,
    now: WallTime,
    account: usize,
    params: &Params<'_>,
) -> Result<String, ApiError> {
    let mut state = venue.exchange.lock();
    let market = symbol(&state, params)?;
    let (ids, names): (Vec<u64>, Vec<String>) = match params.text("orderIdList") {
        Some(_) => (list(params, "orderIdList")?, Vec::new()),
        None => (Vec::new(), list(params, "origClientOrderIdList")?),
    };
    let orders: Vec<OrderRef<'_>> = ids
        .iter()
        .map(|id| OrderRef::Id(*id))
        .chain(names.iter().map(|name| OrderRef::ClientId(name)))
        .collect();
    if !(1..=MAX_CANCELED).contains(&orders.len()) {
        return Err(ApiError::BatchSize);
    }
    let mut answers = Vec::with_capacity(orders.len());
    for order in orders {
        match state.cancel(now, account, market, order) {
            Ok((order, updates)) => {
                venue.tell(&state, &updates);
                answers.push(to_json(&OrderView::from(&order)));
            }
            Err(error) => answers.push(refusal(&error)),
        }
    }
    Ok(array(&answers))
}

/// A parameter that is a JSON list.
fn list<T: serde::de::DeserializeOwned>(params: &Params<'_>, name: &'static str) -> Result<Vec<T>, ApiError> {
    serde_json::from_str(params.required(name)?).map_err(|_| ApiError::BadParameter(name))
}

fn refusal(error: &ApiError) -> String {
    json!({ "code": error.code(), "msg": error.to_string() }).to_string()
}

fn array(items: &[String]) -> String {
    format!("[{}]", items.join(","))
}
