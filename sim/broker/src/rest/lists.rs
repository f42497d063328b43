//! Lists of an account's orders, trades and bookings ("Current All Open Orders", "All Orders", "Account Trade List", "Get
//! Income History").

use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::{Value, json};

use super::{order::OrderView, symbol, to_json};
use crate::{
    candles::Period,
    error::ApiError,
    fault::Subject,
    journal::Fill,
    order::{Order, Side},
    params::Params,
    replica::View,
    server::Venue,
};

/// The longest period that orders and trades can be asked for.
const WEEK_MS: i64 = 7 * 24 * 60 * 60 * 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    AllOrders,
    Income,
    OpenOrders,
    UserTrades,
}

impl Endpoint {
    pub fn weight(self, params: &Params<'_>) -> u32 {
        match self {
            Self::AllOrders | Self::UserTrades => 5,
            Self::Income => 30,
            Self::OpenOrders if params.text("symbol").is_none() => 40,
            Self::OpenOrders => 1,
        }
    }
}

pub(super) fn answer(
    venue: &Venue,
    account: usize,
    endpoint: Endpoint,
    params: &Params<'_>,
) -> Result<String, ApiError> {
    let state = venue.exchange.lock();
    venue.view(&state, account, Subject::Queries, |view| match endpoint {
        Endpoint::AllOrders => all_orders(view, account, params),
        Endpoint::Income => income(view, account, params),
        Endpoint::OpenOrders => open_orders(view, account, params),
        Endpoint::UserTrades => user_trades(view, account, params),
    })
}

/// `startTime` and `endTime`, checked.
pub(super) fn period(params: &Params<'_>, longest_ms: i64) -> Result<Period, ApiError> {
    let period = Period { from: params.parsed("startTime")?, to: params.parsed("endTime")? };
    if let (Some(from), Some(to)) = (period.from, period.to) {
        if from > to {
            return Err(ApiError::BadPeriod);
        }
        if to - from > longest_ms {
            let hours = u32::try_from(longest_ms / (60 * 60 * 1_000)).unwrap_or(u32::MAX);
            return Err(ApiError::LongPeriod { hours });
        }
    }
    Ok(period)
}

/// `limit`, at most `most`.
pub(super) fn limit(params: &Params<'_>, default: usize, most: usize) -> Result<usize, ApiError> {
    Ok(params.parsed::<usize>("limit")?.unwrap_or(default).min(most))
}

fn open_orders(view: &View<'_>, account: usize, params: &Params<'_>) -> Result<String, ApiError> {
    let market = params.text("symbol").map(|_| symbol(view.state(), params)).transpose()?;
    let mut orders = view.open_orders(account);
    orders.retain(|order| market.is_none_or(|m| m == order.terms.market) && !order.is_algo_only());
    Ok(to_json(&orders.into_iter().map(OrderView::from).collect::<Vec<_>>()))
}

/// The oldest orders from `orderId` or `startTime` on, or else the latest ones; oldest first in either case.
fn all_orders(view: &View<'_>, account: usize, params: &Params<'_>) -> Result<String, ApiError> {
    let market = symbol(view.state(), params)?;
    let from = params.parsed::<u64>("orderId")?;
    let (period, limit) = (period(params, WEEK_MS)?, limit(params, 500, 1_000)?);
    let within = |order: &&Order| period.contains(order.accepted_at.as_millis()) && !order.is_algo_only();
    let orders = view.orders(account, market, from.unwrap_or(1)).filter(within);
    let ascending = from.is_some() || period.from.is_some();
    Ok(to_json(&page(orders, ascending, limit).into_iter().map(OrderView::from).collect::<Vec<_>>()))
}

/// The first `limit` items, or the last ones.
fn page<T>(items: impl Iterator<Item = T>, ascending: bool, limit: usize) -> Vec<T> {
    if ascending {
        return items.take(limit).collect();
    }
    let mut all: Vec<T> = items.collect();
    all.drain(..all.len().saturating_sub(limit));
    all
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TradeView<'a> {
    symbol: &'a str,
    id: u64,
    order_id: u64,
    side: Side,
    price: Decimal,
    qty: Decimal,
    realized_pnl: Decimal,
    quote_qty: Decimal,
    commission: Decimal,
    commission_asset: &'static str,
    time: i64,
    position_side: &'static str,
    buyer: bool,
    maker: bool,
}

impl<'a> From<&'a Fill> for TradeView<'a> {
    fn from(fill: &'a Fill) -> Self {
        Self {
            symbol: &fill.symbol,
            id: fill.trade_id,
            order_id: fill.order_id,
            side: fill.side,
            price: fill.price,
            qty: fill.qty,
            realized_pnl: fill.realized_pnl,
            quote_qty: fill.price * fill.qty,
            commission: fill.fee,
            commission_asset: "USDT",
            time: fill.at.as_millis(),
            position_side: "BOTH",
            buyer: fill.side == Side::Buy,
            maker: fill.maker,
        }
    }
}

/// The oldest trades from `fromId` or `startTime` on, or else the latest ones; oldest first in either case.
fn user_trades(view: &View<'_>, account: usize, params: &Params<'_>) -> Result<String, ApiError> {
    let market = symbol(view.state(), params)?;
    let from = params.parsed::<u64>("fromId")?;
    let (period, limit) = (period(params, WEEK_MS)?, limit(params, 500, 1_000)?);
    if from.is_some() && (period.from.is_some() || period.to.is_some()) {
        return Err(ApiError::BadCombination);
    }
    let order = params.parsed::<u64>("orderId")?;
    let ascending = from.is_some() || period.from.is_some();
    let fills = fills(view, account, market, from.unwrap_or(1), order);
    let fills = fills.filter(|fill| period.contains(fill.at.as_millis()));
    Ok(to_json(&page(fills, ascending, limit).into_iter().map(TradeView::from).collect::<Vec<_>>()))
}

/// What an account has traded in a market, oldest first, from trade id `from` on, of one order or of all.
fn fills<'a>(
    view: &View<'a>,
    account: usize,
    market: usize,
    from: u64,
    order: Option<u64>,
) -> impl Iterator<Item = &'a Fill> {
    let all = &view.state().markets[market].fills;
    let unseen = view.first_unseen_trade(market);
    // An order's trades lie between its first and its last.
    let (first, last) = match order {
        Some(id) => view.state().orders().get(index(id)).map_or((1, 0), |order| order.trades),
        None => (1, u64::MAX),
    };
    let range = index(from.max(first))..index(last.saturating_add(1).min(unseen)).min(all.len());
    let listed = all.get(range).unwrap_or_default();
    let wanted = move |fill: &Fill| order.is_none_or(|id| id == fill.order_id);
    listed.iter().filter(move |(owner, fill)| *owner == account && wanted(fill)).map(|(_, fill)| fill)
}

/// Where the item numbered `id` from 1 on is.
fn index(id: u64) -> usize {
    usize::try_from(id.saturating_sub(1)).unwrap_or(usize::MAX)
}

/// Bookings of an account, oldest first: of each trade its profit, if it realised one, and its fee.
fn income(view: &View<'_>, account: usize, params: &Params<'_>) -> Result<String, ApiError> {
    let markets = match params.text("symbol") {
        Some(_) => {
            let market = symbol(view.state(), params)?;
            market..market + 1
        }
        None => 0..view.state().markets.len(),
    };
    let (period, limit) = (period(params, i64::MAX)?, limit(params, 100, 1_000)?);
    let kind = params.text("incomeType");
    let mut fills: Vec<&Fill> = markets
        .flat_map(|market| fills(view, account, market, 1, None))
        .filter(|fill| period.contains(fill.at.as_millis()))
        .collect();
    fills.sort_by_key(|fill| fill.at);
    let bookings = fills.into_iter().flat_map(|fill| {
        let profit = (!fill.realized_pnl.is_zero()).then_some(("REALIZED_PNL", fill.realized_pnl));
        profit.into_iter().chain([("COMMISSION", -fill.fee)]).map(move |(kind, income)| (kind, income, fill))
    });
    let wanted = bookings.filter(|(booking, ..)| kind.is_none_or(|kind| kind == *booking));
    let shown = wanted.map(|(kind, income, fill)| {
        json!({
            "symbol": &*fill.symbol,
            "incomeType": kind,
            "income": income,
            "asset": "USDT",
            "info": fill.trade_id.to_string(),
            "time": fill.at.as_millis(),
            "tranId": fill.trade_id,
            "tradeId": fill.trade_id.to_string(),
        })
    });
    Ok(Value::Array(page(shown, period.from.is_some(), limit)).to_string())
}
