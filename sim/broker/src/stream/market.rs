//! Plays a symbol's market and tells it on the streams `<symbol>@aggTrade`, `@bookTicker`, `@depth`, `@depth<5|10|20>`,
//! `@kline_<interval>` and `@markPrice`.
//!
//! The hottest path of a simulation: one task per symbol that sleeps until the next trade, and no rendering unless
//! somebody listens. Everything is told with a trade, nothing by a timer of its own: a candlestick is told to be closed
//! with the first trade after its end, a depth or mark price no more often than its stream says; the differences of a
//! depth hold what customers have changed since the trade before. Deliberately absent: events between two trades.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    sync::Arc,
};

use rust_decimal::Decimal;
use tokio::time::{Instant, sleep_until};

use crate::{
    candles::{Candle, Interval, Period},
    differences::{Difference, Differences},
    exchange::{State, Top},
    market::Market,
    order::Side,
    server::Venue,
    tape::AggTrade,
};

/// Room for an event of most kinds.
const EVENT_BYTES: usize = 192;

/// Plays until the process ends or the tape is empty. Trades happen whether or not somebody listens.
pub(crate) async fn play(venue: Arc<Venue>, market: usize) {
    let (symbol, mut delay) = {
        let state = venue.exchange.lock();
        (state.markets[market].symbol.clone(), state.markets[market].cursor.delay())
    };
    let mut feed = Feed { prefix: format!("{}@", symbol.to_lowercase()), market, paced: BTreeMap::new() };
    let mut due = Instant::now();
    while let Some(pause) = delay {
        due += pause;
        sleep_until(due).await;
        let now = venue.env.clock.now();
        let heard = venue.hub.listened(&feed.prefix);
        let (trade, events) = {
            let mut state = venue.exchange.lock();
            let before = state.markets[market].time();
            let Some((trade, updates)) = state.trade(now, market) else {
                return;
            };
            venue.tell(&state, &updates);
            delay = state.markets[market].cursor.delay();
            let events = feed.events(&mut state, before, &trade, &heard);
            (trade, events)
        };
        env::detail!(
            "broker.trade",
            symbol = %symbol,
            trade_id = trade.id,
            price = %trade.price,
            qty = %trade.quantity
        );
        for (name, event) in events {
            venue.hub.publish(name, || event);
        }
    }
}

/// Whether a market has a stream whose name ends with `name`, after the `@`.
pub(super) fn is_topic(name: &str) -> bool {
    Topic::read(name).is_some()
}

/// What of a market is told to whom.
struct Feed {
    /// All streams of the market begin with this.
    prefix: String,
    market: usize,
    /// When each stream with a pace of its own last told something, in milliseconds since the epoch.
    paced: BTreeMap<Arc<str>, i64>,
}

/// A stream of a market, read from its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Topic {
    AggTrade,
    BookTicker,
    /// Levels on either side, and milliseconds between two events.
    Depth(usize, i64),
    /// Milliseconds between two events.
    Differences(i64),
    Kline(Interval),
    /// Milliseconds between two events.
    MarkPrice(i64),
}

impl Topic {
    /// `name` is what follows the `@`.
    fn read(name: &str) -> Option<Self> {
        Some(match name {
            "aggTrade" => Self::AggTrade,
            "bookTicker" => Self::BookTicker,
            "markPrice" => Self::MarkPrice(3_000),
            "markPrice@1s" => Self::MarkPrice(1_000),
            _ => {
                if let Some(interval) = name.strip_prefix("kline_") {
                    return Interval::from_word(interval).map(Self::Kline);
                }
                let levels = name.strip_prefix("depth")?;
                let (levels, pace) = levels.split_once('@').unwrap_or((levels, "250ms"));
                let pace = ["100ms", "250ms", "500ms"].contains(&pace).then(|| pace[..3].parse().ok())??;
                if levels.is_empty() {
                    return Some(Self::Differences(pace));
                }
                let levels = ["5", "10", "20"].contains(&levels).then(|| levels.parse().ok())??;
                Self::Depth(levels, pace)
            }
        })
    }

    fn pace(self) -> Option<i64> {
        match self {
            Self::Depth(_, pace) | Self::Differences(pace) | Self::MarkPrice(pace) => Some(pace),
            Self::AggTrade | Self::BookTicker | Self::Kline(_) => None,
        }
    }
}

impl Feed {
    /// What the streams in `heard` say after `trade`; the one before it happened at `before`.
    fn events<'a>(
        &mut self,
        state: &mut State,
        before: i64,
        trade: &AggTrade,
        heard: &'a [Arc<str>],
    ) -> Vec<(&'a str, String)> {
        let mut events = Vec::with_capacity(heard.len());
        // Listeners that come later begin anew.
        state.markets[self.market].differences.retain(|name, _| heard.binary_search(name).is_ok());
        for name in heard {
            let Some(topic) = Topic::read(&name[self.prefix.len()..]) else { continue };
            if topic.pace().is_some_and(|pace| !self.is_due(name, pace, trade.time)) {
                continue;
            }
            let market = &state.markets[self.market];
            let event = match topic {
                Topic::AggTrade => agg_trade(&market.symbol, trade),
                Topic::BookTicker => book_ticker(&market.symbol, &state.top(self.market)),
                Topic::Depth(levels, _) => depth(state, self.market, levels),
                Topic::Differences(_) => match differences(state, self.market, name) {
                    Some(event) => event,
                    None => continue,
                },
                Topic::MarkPrice(_) => mark_price(market, trade.time),
                Topic::Kline(interval) => {
                    let (old, new) = (interval.start(before), interval.start(trade.time));
                    if before > 0 && old < new {
                        events.extend(kline(market, interval, old, trade.time).map(|event| (&**name, event)));
                    }
                    match kline(market, interval, new, trade.time) {
                        Some(event) => event,
                        None => continue,
                    }
                }
            };
            events.push((&**name, event));
        }
        events
    }

    /// Whether a stream may tell something again; a clock that was set back does not silence it.
    fn is_due(&mut self, name: &Arc<str>, pace: i64, now: i64) -> bool {
        let told = self.paced.entry(name.clone()).or_insert(i64::MIN);
        let due = now.saturating_sub(*told) >= pace || now < *told;
        if due {
            *told = now;
        }
        due
    }
}

fn agg_trade(symbol: &str, trade: &AggTrade) -> String {
    let AggTrade { id, price, quantity, first_trade_id, last_trade_id, time, is_buyer_maker } = trade;
    render(format_args!(
        r#"{{"e":"aggTrade","E":{time},"s":"{symbol}","a":{id},"p":"{price}","q":"{quantity}","f":{first_trade_id},"l":{last_trade_id},"T":{time},"m":{is_buyer_maker}}}"#
    ))
}

fn book_ticker(symbol: &str, top: &Top) -> String {
    let Top { version, bid: (bid, bids), ask: (ask, asks), time } = top;
    render(format_args!(
        r#"{{"e":"bookTicker","u":{version},"E":{time},"T":{time},"s":"{symbol}","b":"{bid}","B":"{bids}","a":"{ask}","A":"{asks}"}}"#
    ))
}

fn depth(state: &State, index: usize, levels: usize) -> String {
    let market = &state.markets[index];
    let (symbol, version, time) = (&market.symbol, market.version, market.time());
    let bids = Levels(state.depth(index, Side::Buy, levels));
    let asks = Levels(state.depth(index, Side::Sell, levels));
    render(format_args!(
        r#"{{"e":"depthUpdate","E":{time},"T":{time},"s":"{symbol}","U":{version},"u":{version},"pu":{},"b":{bids},"a":{asks}}}"#,
        version.saturating_sub(1)
    ))
}

/// What has changed in the order book since the stream `name` last told it; nothing the first time.
fn differences(state: &mut State, index: usize, name: &Arc<str>) -> Option<String> {
    let book = state.levels(index);
    let market = &mut state.markets[index];
    let (version, time) = (market.version, market.time());
    let Some(listeners) = market.differences.get_mut(name) else {
        market.differences.insert(name.clone(), Differences::new(version, book));
        return None;
    };
    let Difference { previous, version, bids, asks } = listeners.tell(version, book);
    let (symbol, first, bids, asks) = (&market.symbol, previous + 1, Levels(bids), Levels(asks));
    Some(render(format_args!(
        r#"{{"e":"depthUpdate","E":{time},"T":{time},"s":"{symbol}","U":{first},"u":{version},"pu":{previous},"b":{bids},"a":{asks}}}"#
    )))
}

/// Levels as the API writes them: `[["price","quantity"],…]`.
struct Levels(Vec<(Decimal, Decimal)>);

impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('[')?;
        for (index, (price, quantity)) in self.0.iter().enumerate() {
            write!(f, "{}[\"{price}\",\"{quantity}\"]", if index == 0 { "" } else { "," })?;
        }
        f.write_char(']')
    }
}

/// There is no index and no funding: index and settle price are the mark price, the rate is zero.
fn mark_price(market: &Market, time: i64) -> String {
    let (symbol, mark, next) = (&market.symbol, market.mark(), market.next_funding(time));
    render(format_args!(
        r#"{{"e":"markPriceUpdate","E":{time},"s":"{symbol}","p":"{mark}","i":"{mark}","P":"{mark}","r":"0","T":{next}}}"#
    ))
}

/// The candlestick that starts at `start`, as it is at `now`.
fn kline(market: &Market, interval: Interval, start: i64, now: i64) -> Option<String> {
    let period = Period { from: Some(start), to: Some(start) };
    let candle = market.candles.list(interval, period, 1, now).pop()?;
    let count = candle.count();
    let Candle { open, high, low, close, volume, quote, taker_volume, taker_quote, trades, .. } = candle;
    let (first, last) = trades.map_or((-1, -1), |(first, last)| (first as i64, last as i64));
    let (symbol, word, end) = (&market.symbol, interval.word, start + interval.length() - 1);
    let closed = now > end;
    Some(render(format_args!(
        r#"{{"e":"kline","E":{now},"s":"{symbol}","k":{{"t":{start},"T":{end},"s":"{symbol}","i":"{word}","f":{first},"L":{last},"o":"{open}","c":"{close}","h":"{high}","l":"{low}","v":"{volume}","n":{count},"x":{closed},"q":"{quote}","V":"{taker_volume}","Q":"{taker_quote}","B":"0"}}}}"#
    )))
}

fn render(event: std::fmt::Arguments<'_>) -> String {
    let mut text = String::with_capacity(EVENT_BYTES);
    text.write_fmt(event).expect("a string takes any text");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Exchange};

    #[test]
    fn market_events_have_the_documented_fields() {
        let trade = AggTrade {
            id: 5,
            price: "42000.10".parse().expect("a decimal"),
            quantity: "0.003".parse().expect("a decimal"),
            first_trade_id: 8,
            last_trade_id: 9,
            time: 1_700_000_000_000,
            is_buyer_maker: true,
        };
        assert_eq!(
            agg_trade("BTCUSDT", &trade),
            r#"{"e":"aggTrade","E":1700000000000,"s":"BTCUSDT","a":5,"p":"42000.10","q":"0.003","f":8,"l":9,"T":1700000000000,"m":true}"#
        );
        let top = (trade.price, trade.quantity);
        let top = Top { version: 9, bid: top, ask: top, time: 7 };
        assert_eq!(
            book_ticker("BTCUSDT", &top),
            r#"{"e":"bookTicker","u":9,"E":7,"T":7,"s":"BTCUSDT","b":"42000.10","B":"0.003","a":"42000.10","A":"0.003"}"#
        );
    }

    #[test]
    fn the_name_of_a_stream_says_what_it_tells_and_how_often() {
        assert_eq!(Topic::read("depth5@100ms"), Some(Topic::Depth(5, 100)));
        assert_eq!(Topic::read("depth20"), Some(Topic::Depth(20, 250)));
        assert_eq!(Topic::read("depth"), Some(Topic::Differences(250)));
        assert_eq!(Topic::read("depth@100ms"), Some(Topic::Differences(100)));
        assert_eq!(Topic::read("markPrice@1s"), Some(Topic::MarkPrice(1_000)));
        assert!(matches!(Topic::read("kline_1m"), Some(Topic::Kline(_))));
        for name in ["", "depth@", "depth7", "depth5@1s", "depth5@", "kline_", "kline_2m", "é"] {
            assert_eq!(Topic::read(name), None, "{name}");
        }
    }

    #[test]
    fn every_event_is_json_and_a_candle_closes_with_the_first_trade_after_it() {
        let exchange = Exchange::new(Config::default());
        let mut state = exchange.lock();
        let names =
            ["aggTrade", "bookTicker", "depth5@100ms", "kline_1m", "kline_1h", "markPrice", "nothing"];
        let heard: Vec<Arc<str>> = names.iter().map(|name| format!("btcusdt@{name}").into()).collect();
        let mut feed = Feed { prefix: "btcusdt@".into(), market: 0, paced: BTreeMap::new() };
        let mut told: BTreeMap<&str, Vec<serde_json::Value>> = BTreeMap::new();
        for n in 0..10 {
            let before = state.markets[0].time();
            let now = env::WallTime::from_millis(60_000 + n * 10_000);
            let (trade, _) = state.trade(now, 0).expect("a synthetic tape has no end");
            for (name, event) in feed.events(&mut state, before, &trade, &heard) {
                told.entry(name).or_default().push(serde_json::from_str(&event).expect("JSON"));
            }
        }
        let number = |name: &str| told[format!("btcusdt@{name}").as_str()].len();
        assert_eq!(names[..6].iter().map(|name| number(name)).collect::<Vec<_>>(), [10, 10, 10, 11, 10, 10]);
        let closed: Vec<_> =
            told["btcusdt@kline_1m"].iter().filter(|event| event["k"]["x"] == true).collect();
        assert_eq!(closed.len(), 1);
        assert_eq!((&closed[0]["k"]["t"], &closed[0]["k"]["T"]), (&60_000.into(), &119_999.into()));
        assert_eq!(told["btcusdt@depth5@100ms"][0]["b"].as_array().map(Vec::len), Some(5));
        assert_eq!(told.get("btcusdt@nothing"), None);
    }

    #[test]
    fn a_stream_with_a_pace_skips_what_comes_too_early() {
        let mut feed = Feed { prefix: "x@".into(), market: 0, paced: BTreeMap::new() };
        let name = "x@depth5@100ms".into();
        let due = [0, 50, 99, 100, 150, 90, 200].map(|now| feed.is_due(&name, 100, now));
        assert_eq!(due, [true, false, false, true, false, true, true]);
    }
}
