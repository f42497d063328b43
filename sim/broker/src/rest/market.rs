//! Market data endpoints, open to everyone ("Market Data Endpoints").
//!
//! Deliberately absent: funding, open interest and whatever else needs other people's positions.

use env::WallTime;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    listing,
    lists::{limit, period},
    symbol, to_json,
};
use crate::{
    candles::{Candle, Interval, Period},
    error::ApiError,
    exchange::State,
    order::Side,
    params::Params,
    server::Venue,
    tape::AggTrade,
};

/// How many levels an order book can be asked for.
const DEPTHS: [usize; 7] = [5, 10, 20, 50, 100, 500, 1_000];
const HOUR_MS: i64 = 60 * 60 * 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    AggTrades,
    BookTicker,
    Depth,
    ExchangeInfo,
    HistoricalTrades,
    Klines,
    Ping,
    PremiumIndex,
    Ticker24h,
    TickerPrice,
    Time,
    Trades,
}

impl Endpoint {
    /// Whether an API key must be sent, though nothing signed ("Endpoint Security Type", `MARKET_DATA`).
    pub fn needs_key(self) -> bool {
        self == Self::HistoricalTrades
    }

    pub fn weight(self, params: &Params<'_>) -> u32 {
        let asked = params.parsed::<usize>("limit").ok().flatten().unwrap_or(500);
        let of_one = params.text("symbol").is_some();
        match self {
            Self::AggTrades | Self::HistoricalTrades => 20,
            Self::Trades => 5,
            Self::BookTicker if of_one => 2,
            Self::BookTicker => 5,
            Self::Depth => match asked {
                ..=50 => 2,
                51..=100 => 5,
                101..=500 => 10,
                501.. => 20,
            },
            Self::Klines => match asked {
                ..=99 => 1,
                100..=499 => 2,
                500..=1_000 => 5,
                1_001.. => 10,
            },
            Self::PremiumIndex if !of_one => 10,
            Self::Ticker24h if !of_one => 40,
            Self::TickerPrice if !of_one => 2,
            Self::ExchangeInfo
            | Self::Ping
            | Self::PremiumIndex
            | Self::Ticker24h
            | Self::TickerPrice
            | Self::Time => 1,
        }
    }
}

pub(super) fn answer(
    venue: &Venue,
    now: WallTime,
    endpoint: Endpoint,
    params: &Params<'_>,
) -> Result<String, ApiError> {
    let mut state = venue.exchange.lock();
    match endpoint {
        Endpoint::AggTrades => agg_trades(&state, params),
        Endpoint::BookTicker => each(&state, params, book_ticker),
        Endpoint::Depth => depth(&mut state, now, params),
        Endpoint::ExchangeInfo => Ok(listing::exchange_info(&state, now)),
        Endpoint::HistoricalTrades => {
            let limit = limit(params, 100, 500)?;
            single_trades(&state, params, params.parsed("fromId")?, limit)
        }
        Endpoint::Klines => klines(&state, now, params),
        Endpoint::Ping => Ok("{}".into()),
        Endpoint::PremiumIndex => each(&state, params, |state, index| premium_index(state, index, now)),
        Endpoint::Ticker24h => each(&state, params, |state, index| ticker_24h(state, index, now)),
        Endpoint::TickerPrice => each(&state, params, ticker_price),
        Endpoint::Time => Ok(format!("{{\"serverTime\":{}}}", now.as_millis())),
        Endpoint::Trades => single_trades(&state, params, None, limit(params, 500, 1_000)?),
    }
}

/// What `show` says of the symbol asked for or, when none is, a list of what it says of each.
fn each(
    state: &State,
    params: &Params<'_>,
    show: impl Fn(&State, usize) -> Value,
) -> Result<String, ApiError> {
    if params.text("symbol").is_some() {
        return Ok(show(state, symbol(state, params)?).to_string());
    }
    Ok((0..state.markets.len()).map(|market| show(state, market)).collect::<Value>().to_string())
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

/// From `fromId` or `startTime` on, or else the latest ones.
fn agg_trades(state: &State, params: &Params<'_>) -> Result<String, ApiError> {
    let market = &state.markets[symbol(state, params)?];
    let (period, limit) = (period(params, HOUR_MS)?, limit(params, 500, 1_000)?);
    let from = params.parsed("fromId")?;
    let trades: Vec<AggTradeView> = if period.from.is_none() && period.to.is_none() {
        market.trades(from, limit).map(Into::into).collect()
    } else if from.is_some() {
        return Err(ApiError::BadCombination);
    } else {
        let within = |trade: &&AggTrade| period.contains(trade.time);
        market.history.iter().filter(within).take(limit).map(Into::into).collect()
    };
    Ok(to_json(&trades))
}

/// From `from` on, or else the latest ones ("Recent Trades List", "Old Trades Lookup").
fn single_trades(
    state: &State,
    params: &Params<'_>,
    from: Option<u64>,
    limit: usize,
) -> Result<String, ApiError> {
    let market = &state.markets[symbol(state, params)?];
    let trades = market.single_trades(from, limit).into_iter().map(|trade| {
        json!({
            "id": trade.id,
            "price": trade.price,
            "qty": trade.quantity,
            "quoteQty": trade.price * trade.quantity,
            "time": trade.time,
            "isBuyerMaker": trade.is_buyer_maker,
            "isRPITrade": false,
        })
    });
    Ok(trades.collect::<Value>().to_string())
}

fn book_ticker(state: &State, market: usize) -> Value {
    let top = state.top(market);
    json!({
        "symbol": &*state.markets[market].symbol,
        "bidPrice": top.bid.0,
        "bidQty": top.bid.1,
        "askPrice": top.ask.0,
        "askQty": top.ask.1,
        "time": top.time,
        "lastUpdateId": top.version,
    })
}

fn ticker_price(state: &State, market: usize) -> Value {
    let market = &state.markets[market];
    json!({ "symbol": &*market.symbol, "price": market.last(), "time": market.time() })
}

/// There is no index and no funding: the index is the mark price, rates are zero.
fn premium_index(state: &State, market: usize, now: WallTime) -> Value {
    let (market, now) = (&state.markets[market], now.as_millis());
    json!({
        "symbol": &*market.symbol,
        "markPrice": market.mark(),
        "indexPrice": market.mark(),
        "estimatedSettlePrice": market.mark(),
        "lastFundingRate": "0",
        "interestRate": "0",
        "nextFundingTime": market.next_funding(now),
        "time": now,
    })
}

fn depth(state: &mut State, now: WallTime, params: &Params<'_>) -> Result<String, ApiError> {
    let index = symbol(state, params)?;
    let limit = params.parsed("limit")?.unwrap_or(500);
    if !DEPTHS.contains(&limit) {
        return Err(ApiError::DepthLimit(limit));
    }
    state.note_reading(index);
    let market = &state.markets[index];
    Ok(to_json(&DepthView {
        last_update_id: market.version,
        event_time: now.as_millis(),
        time: market.time(),
        bids: state.depth(index, Side::Buy, limit),
        asks: state.depth(index, Side::Sell, limit),
    }))
}

#[derive(Serialize)]
struct DepthView {
    #[serde(rename = "lastUpdateId")]
    last_update_id: u64,
    #[serde(rename = "E")]
    event_time: i64,
    #[serde(rename = "T")]
    time: i64,
    bids: Vec<(Decimal, Decimal)>,
    asks: Vec<(Decimal, Decimal)>,
}

fn klines(state: &State, now: WallTime, params: &Params<'_>) -> Result<String, ApiError> {
    let market = &state.markets[symbol(state, params)?];
    let interval = Interval::from_word(params.required("interval")?).ok_or(ApiError::Interval)?;
    let (period, limit) = (period(params, i64::MAX)?, limit(params, 500, 1_500)?);
    let candles = market.candles.list(interval, period, limit, now.as_millis());
    let rows = candles.iter().map(|candle| {
        let end = candle.start + interval.length() - 1;
        json!([
            candle.start,
            candle.open,
            candle.high,
            candle.low,
            candle.close,
            candle.volume,
            end,
            candle.quote,
            candle.count(),
            candle.taker_volume,
            candle.taker_quote,
            "0",
        ])
    });
    Ok(rows.collect::<Value>().to_string())
}

/// The last 24 hours, to the minute.
fn ticker_24h(state: &State, market: usize, now: WallTime) -> Value {
    let market = &state.markets[market];
    let now = now.as_millis();
    let from = now - 24 * HOUR_MS;
    let minute = Interval::MINUTE;
    let minutes = market.candles.list(minute, Period { from: Some(from), to: None }, 24 * 60 + 1, now);
    let sum = |of: fn(&Candle) -> Decimal| minutes.iter().map(of).sum::<Decimal>();
    let (volume, quote) = (sum(|minute| minute.volume), sum(|minute| minute.quote));
    let open = minutes.first().map_or(market.last(), |minute| minute.open);
    let change = market.last() - open;
    let percent = (change * Decimal::ONE_HUNDRED).checked_div(open).unwrap_or_default().round_dp(3);
    json!({
        "symbol": &*market.symbol,
        "priceChange": change,
        "priceChangePercent": percent,
        "weightedAvgPrice": quote.checked_div(volume).unwrap_or(market.last()).round_dp(8),
        "lastPrice": market.last(),
        "lastQty": market.history.back().map_or(Decimal::ZERO, |trade| trade.quantity),
        "openPrice": open,
        "highPrice": minutes.iter().map(|minute| minute.high).max().unwrap_or(market.last()),
        "lowPrice": minutes.iter().map(|minute| minute.low).min().unwrap_or(market.last()),
        "volume": volume,
        "quoteVolume": quote,
        "openTime": from,
        "closeTime": now,
        "firstId": minutes.iter().find_map(|minute| minute.trades).map_or(-1, |(first, _)| first as i64),
        "lastId": minutes.iter().rev().find_map(|minute| minute.trades).map_or(-1, |(_, last)| last as i64),
        "count": minutes.iter().map(Candle::count).sum::<u64>(),
    })
}
