//! Market data endpoints, open to everyone.

use env::WallTime;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::{Value, json};

use super::{symbol, to_json};
use crate::{
    config::SymbolConfig,
    error::ApiError,
    exchange::State,
    limits::{ORDERS_PER_10S, ORDERS_PER_MINUTE, WEIGHT_PER_MINUTE},
    params::Params,
    server::Venue,
    tape::AggTrade,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    AggTrades,
    BookTicker,
    ExchangeInfo,
    Ping,
    Time,
}

pub(super) fn answer(
    venue: &Venue,
    now: WallTime,
    endpoint: Endpoint,
    params: &Params<'_>,
) -> Result<String, ApiError> {
    match endpoint {
        Endpoint::Ping => Ok("{}".into()),
        Endpoint::Time => Ok(json!({ "serverTime": now.as_millis() }).to_string()),
        Endpoint::ExchangeInfo => Ok(exchange_info(venue, now)),
        Endpoint::AggTrades => agg_trades(venue, params),
        Endpoint::BookTicker => book_ticker(venue, params),
    }
}

#[derive(Serialize)]
struct AggTradeView {
    a: u64,
    p: Decimal,
    q: Decimal,
    f: u64,
    l: u64,
    #[serde(rename = "T")]
    time: i64,
    m: bool,
}

impl From<&AggTrade> for AggTradeView {
    fn from(trade: &AggTrade) -> Self {
        Self {
            a: trade.id,
            p: trade.price,
            q: trade.quantity,
            f: trade.first_trade_id,
            l: trade.last_trade_id,
            time: trade.time,
            m: trade.is_buyer_maker,
        }
    }
}

fn agg_trades(venue: &Venue, params: &Params<'_>) -> Result<String, ApiError> {
    let state = venue.exchange.lock();
    let market = &state.markets[symbol(&state, params)?];
    let limit = params.parsed::<usize>("limit")?.unwrap_or(500).min(1_000);
    let trades: Vec<AggTradeView> = market.trades(params.parsed("fromId")?, limit).map(Into::into).collect();
    Ok(to_json(&trades))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TickerView<'a> {
    symbol: &'a str,
    bid_price: Decimal,
    bid_qty: Decimal,
    ask_price: Decimal,
    ask_qty: Decimal,
    time: i64,
    last_update_id: u64,
}

fn book_ticker(venue: &Venue, params: &Params<'_>) -> Result<String, ApiError> {
    fn view(state: &State, market: usize) -> TickerView<'_> {
        let top = state.top(market);
        TickerView {
            symbol: &state.markets[market].symbol,
            bid_price: top.bid.0,
            bid_qty: top.bid.1,
            ask_price: top.ask.0,
            ask_qty: top.ask.1,
            time: top.time,
            last_update_id: top.version,
        }
    }
    let state = venue.exchange.lock();
    if params.text("symbol").is_none() {
        let views: Vec<_> = (0..state.markets.len()).map(|market| view(&state, market)).collect();
        return Ok(to_json(&views));
    }
    Ok(to_json(&view(&state, symbol(&state, params)?)))
}

fn exchange_info(venue: &Venue, now: WallTime) -> String {
    let limit = |kind: &str, interval: &str, number: u32, limit: u32| json!({ "rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit });
    let symbols: Vec<Value> =
        venue.exchange.lock().markets.iter().map(|market| listing(&market.rules)).collect();
    json!({
        "timezone": "UTC",
        "serverTime": now.as_millis(),
        "futuresType": "U_MARGINED",
        "rateLimits": [
            limit("REQUEST_WEIGHT", "MINUTE", 1, WEIGHT_PER_MINUTE),
            limit("ORDERS", "MINUTE", 1, ORDERS_PER_MINUTE),
            limit("ORDERS", "SECOND", 10, ORDERS_PER_10S),
        ],
        "exchangeFilters": [],
        "assets": [{ "asset": "USDT", "marginAvailable": true }],
        "symbols": symbols,
    })
    .to_string()
}

fn listing(rules: &SymbolConfig) -> Value {
    let lot = |filter: &str| {
        json!({
            "filterType": filter,
            "minQty": rules.min_qty,
            "maxQty": rules.max_qty,
            "stepSize": rules.step_size,
        })
    };
    json!({
        "symbol": rules.symbol,
        "pair": rules.symbol,
        "contractType": "PERPETUAL",
        "status": "TRADING",
        "baseAsset": rules.symbol.strip_suffix("USDT").unwrap_or(&rules.symbol),
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": rules.tick_size.scale(),
        "quantityPrecision": rules.step_size.scale(),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": rules.tick_size,
                "maxPrice": rules.max_price,
                "tickSize": rules.tick_size,
            },
            lot("LOT_SIZE"),
            lot("MARKET_LOT_SIZE"),
            { "filterType": "MIN_NOTIONAL", "notional": rules.min_notional },
        ],
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK"],
    })
}
