//! What an account has: balance, positions, open orders, trades.

use rust_decimal::Decimal;
use serde::Serialize;

use super::{order::OrderView, symbol, to_json};
use crate::{
    error::ApiError, fault::Subject, journal::Fill, order::Side, params::Params, replica::View, server::Venue,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Balance,
    OpenOrders,
    PositionRisk,
    UserTrades,
}

impl Endpoint {
    pub fn subject(self) -> Subject {
        match self {
            Self::Balance => Subject::Balances,
            Self::OpenOrders | Self::UserTrades => Subject::Queries,
            Self::PositionRisk => Subject::Positions,
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
    venue.view(&state, account, endpoint.subject(), |view| match endpoint {
        Endpoint::Balance => Ok(balance(view, account)),
        Endpoint::OpenOrders => open_orders(view, account, params),
        Endpoint::PositionRisk => position_risk(view, account, params),
        Endpoint::UserTrades => user_trades(view, account, params),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BalanceView {
    account_alias: String,
    asset: &'static str,
    balance: Decimal,
    cross_wallet_balance: Decimal,
    cross_un_pnl: Decimal,
    available_balance: Decimal,
    max_withdraw_amount: Decimal,
    margin_available: bool,
    update_time: i64,
}

fn balance(view: &View<'_>, account: usize) -> String {
    let wallet = view.holdings(account).wallet.normalize();
    let unrealized = view.unrealized(account).normalize();
    to_json(&[BalanceView {
        account_alias: format!("account-{account}"),
        asset: "USDT",
        balance: wallet,
        cross_wallet_balance: wallet,
        cross_un_pnl: unrealized,
        available_balance: wallet + unrealized,
        max_withdraw_amount: wallet,
        margin_available: true,
        update_time: view.changed_at(account).as_millis(),
    }])
}

fn open_orders(view: &View<'_>, account: usize, params: &Params<'_>) -> Result<String, ApiError> {
    let market = params.text("symbol").map(|_| symbol(view.state(), params)).transpose()?;
    let mut orders = view.open_orders(account);
    orders.retain(|order| market.is_none_or(|m| m == order.terms.market));
    Ok(to_json(&orders.into_iter().map(OrderView::from).collect::<Vec<_>>()))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PositionView<'a> {
    symbol: &'a str,
    position_amt: Decimal,
    entry_price: Decimal,
    break_even_price: Decimal,
    mark_price: Decimal,
    un_realized_profit: Decimal,
    liquidation_price: &'static str,
    leverage: &'static str,
    margin_type: &'static str,
    isolated_margin: &'static str,
    is_auto_add_margin: &'static str,
    position_side: &'static str,
    notional: Decimal,
    update_time: i64,
}

fn position_risk(view: &View<'_>, account: usize, params: &Params<'_>) -> Result<String, ApiError> {
    let only = params.text("symbol").map(|_| symbol(view.state(), params)).transpose()?;
    let listed =
        view.state().markets.iter().enumerate().filter(|(index, _)| only.is_none_or(|o| o == *index));
    let views = listed.map(|(index, market)| {
        let position = view.holdings(account).position(index);
        PositionView {
            symbol: &market.symbol,
            position_amt: position.amount,
            entry_price: position.entry_price(),
            break_even_price: position.entry_price(),
            mark_price: market.last(),
            un_realized_profit: position.unrealized(market.last()).normalize(),
            liquidation_price: "0",
            leverage: "20",
            margin_type: "cross",
            isolated_margin: "0",
            is_auto_add_margin: "false",
            position_side: "BOTH",
            notional: (position.amount * market.last()).normalize(),
            update_time: view.changed_at(account).as_millis(),
        }
    });
    Ok(to_json(&views.collect::<Vec<_>>()))
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
    let index = symbol(view.state(), params)?;
    let (market, unseen) = (&view.state().markets[index], view.first_unseen_trade(index));
    let limit = params.parsed::<usize>("limit")?.unwrap_or(500).min(1_000);
    let from = params.parsed::<u64>("fromId")?;
    let since = params.parsed::<i64>("startTime")?;
    let until = params.parsed::<i64>("endTime")?.unwrap_or(i64::MAX);
    let order = params.parsed::<u64>("orderId")?;
    let first = from.map_or(0, |id| usize::try_from(id.saturating_sub(1)).unwrap_or(usize::MAX));
    let later = market.fills.get(first..).unwrap_or_default();
    let wanted = |(owner, fill): &&(usize, Fill)| {
        let time = fill.at.as_millis();
        *owner == account
            && fill.trade_id < unseen
            && order.is_none_or(|id| id == fill.order_id)
            && (since.unwrap_or(i64::MIN)..=until).contains(&time)
    };
    let mut views: Vec<TradeView<'_>> = if from.is_some() || since.is_some() {
        later.iter().filter(wanted).take(limit).map(|(_, fill)| fill.into()).collect()
    } else {
        later.iter().rev().filter(wanted).take(limit).map(|(_, fill)| fill.into()).collect()
    };
    views.sort_by_key(|view| view.id);
    Ok(to_json(&views))
}
