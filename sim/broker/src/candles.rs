//! Candlesticks: one per minute in which somebody traded, folded into longer ones when asked for ("Kline/Candlestick Data").

use std::collections::VecDeque;

use rust_decimal::Decimal;

use crate::tape::AggTrade;

/// The minutes that are remembered: a week.
const MAX_MINUTES: usize = 7 * 24 * 60;
const MINUTE_MS: i64 = 60_000;

/// Length of a candlestick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Interval {
    /// As the API writes it.
    pub word: &'static str,
    minutes: i64,
}

/// All intervals on offer.
const INTERVALS: [Interval; 11] = [
    Interval { word: "1m", minutes: 1 },
    Interval { word: "3m", minutes: 3 },
    Interval { word: "5m", minutes: 5 },
    Interval { word: "15m", minutes: 15 },
    Interval { word: "30m", minutes: 30 },
    Interval { word: "1h", minutes: 60 },
    Interval { word: "2h", minutes: 2 * 60 },
    Interval { word: "4h", minutes: 4 * 60 },
    Interval { word: "6h", minutes: 6 * 60 },
    Interval { word: "12h", minutes: 12 * 60 },
    Interval { word: "1d", minutes: 24 * 60 },
];

impl Interval {
    pub const MINUTE: Self = INTERVALS[0];

    pub fn from_word(word: &str) -> Option<Self> {
        INTERVALS.into_iter().find(|interval| interval.word == word)
    }

    /// In milliseconds.
    pub fn length(self) -> i64 {
        self.minutes * MINUTE_MS
    }

    /// Start of the candlestick that `time` belongs to; both in milliseconds since the epoch.
    pub fn start(self, time: i64) -> i64 {
        time - time.rem_euclid(self.length())
    }
}

/// What happened in an interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candle {
    /// Milliseconds since the epoch.
    pub start: i64,
    pub open: Decimal,
    pub high: Decimal,
    pub low: Decimal,
    pub close: Decimal,
    /// In units of the base asset.
    pub volume: Decimal,
    /// Σ price × quantity.
    pub quote: Decimal,
    /// Of `volume`, what buyers took.
    pub taker_volume: Decimal,
    /// Of `quote`, what buyers took.
    pub taker_quote: Decimal,
    /// Ids of the first and the last single trade; none in a candlestick without trades.
    pub trades: Option<(u64, u64)>,
}

impl Candle {
    /// Without trades: the price stays where it was.
    fn flat(start: i64, price: Decimal) -> Self {
        Self {
            start,
            open: price,
            high: price,
            low: price,
            close: price,
            volume: Decimal::ZERO,
            quote: Decimal::ZERO,
            taker_volume: Decimal::ZERO,
            taker_quote: Decimal::ZERO,
            trades: None,
        }
    }

    /// How many single trades there were.
    pub fn count(&self) -> u64 {
        self.trades.map_or(0, |(first, last)| last - first + 1)
    }

    fn add(&mut self, trade: &AggTrade) {
        let quote = trade.price * trade.quantity;
        self.high = self.high.max(trade.price);
        self.low = self.low.min(trade.price);
        self.close = trade.price;
        self.volume += trade.quantity;
        self.quote += quote;
        if !trade.is_buyer_maker {
            self.taker_volume += trade.quantity;
            self.taker_quote += quote;
        }
        let first = self.trades.map_or(trade.first_trade_id, |(first, _)| first);
        self.trades = Some((first, trade.last_trade_id));
    }

    /// Adds a later candlestick.
    fn append(&mut self, later: &Self) {
        self.high = self.high.max(later.high);
        self.low = self.low.min(later.low);
        self.close = later.close;
        self.volume += later.volume;
        self.quote += later.quote;
        self.taker_volume += later.taker_volume;
        self.taker_quote += later.taker_quote;
        self.trades = match (self.trades, later.trades) {
            (Some((first, _)), Some((_, last))) => Some((first, last)),
            (trades, None) | (None, trades) => trades,
        };
    }
}

/// The minutes of a market, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Candles(VecDeque<Candle>);

impl Candles {
    /// Adds a trade. One whose time lies before the latest minute, because a clock was set back, counts into that minute.
    pub fn add(&mut self, trade: &AggTrade) {
        let start = trade.time - trade.time.rem_euclid(MINUTE_MS);
        match self.0.back_mut() {
            Some(minute) if start <= minute.start => minute.add(trade),
            _ => {
                if self.0.len() == MAX_MINUTES {
                    self.0.pop_front();
                }
                let mut minute = Candle::flat(start, trade.price);
                minute.add(trade);
                self.0.push_back(minute);
            }
        }
    }

    /// The candlesticks that start within `from..=to`, oldest first: at most `limit`, the first ones when `from` is given and
    /// the latest otherwise. Those without trades are there, too, from the first trade of all to `now`.
    pub fn list(&self, interval: Interval, period: Period, limit: usize, now: i64) -> Vec<Candle> {
        let (Some(oldest), Some(newest)) = (self.0.front(), self.0.back()) else {
            return Vec::new();
        };
        let reach =
            interval.length().saturating_mul(i64::try_from(limit).unwrap_or(i64::MAX).saturating_sub(1));
        let first = interval.start(oldest.start);
        let end = interval.start(period.to.unwrap_or(i64::MAX).min(now.max(newest.start)).max(first - 1));
        let start = match period.from {
            Some(from) => interval.start(from.max(first).saturating_add(interval.length() - 1)).max(first),
            None => end.saturating_sub(reach).max(first),
        };
        let end = end.min(start.saturating_add(reach));
        let mut minutes = self.0.range(self.0.partition_point(|minute| minute.start < start)..).peekable();
        let before = self.0.partition_point(|minute| minute.start < start).checked_sub(1);
        let mut price = before.map_or(oldest.open, |index| self.0[index].close);
        let mut candles = Vec::new();
        let mut at = start;
        while at <= end {
            let mut candle: Option<Candle> = None;
            while let Some(minute) = minutes.next_if(|minute| minute.start < at + interval.length()) {
                match &mut candle {
                    None => candle = Some(Candle { start: at, ..minute.clone() }),
                    Some(candle) => candle.append(minute),
                }
            }
            let candle = candle.unwrap_or_else(|| Candle::flat(at, price));
            price = candle.close;
            candles.push(candle);
            at += interval.length();
        }
        candles
    }
}

/// Milliseconds since the epoch, either end optional and inclusive.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Period {
    pub from: Option<i64>,
    pub to: Option<i64>,
}

impl Period {
    pub fn contains(self, time: i64) -> bool {
        self.from.is_none_or(|from| from <= time) && self.to.is_none_or(|to| time <= to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candles(trades: &[(i64, i64)]) -> Candles {
        let mut candles = Candles::default();
        for (id, (time, price)) in (1..).zip(trades) {
            candles.add(&AggTrade {
                id,
                price: Decimal::from(*price),
                quantity: Decimal::ONE,
                first_trade_id: id * 2,
                last_trade_id: id * 2 + 1,
                time: *time,
                is_buyer_maker: id % 2 == 0,
            });
        }
        candles
    }

    fn shape(candle: &Candle) -> (i64, [Decimal; 4], u64) {
        (candle.start, [candle.open, candle.high, candle.low, candle.close], candle.count())
    }

    fn prices(list: [i64; 4]) -> [Decimal; 4] {
        list.map(Decimal::from)
    }

    #[test]
    fn minutes_without_trades_are_flat_and_longer_candles_are_made_of_minutes() {
        let candles = candles(&[(5, 10), (59_999, 14), (60_000, 12), (190_000, 8)]);
        let minutes = candles.list(Interval::MINUTE, Period::default(), 10, 250_000);
        assert_eq!(
            minutes.iter().map(shape).collect::<Vec<_>>(),
            [
                (0, prices([10, 14, 10, 14]), 4),
                (60_000, prices([12, 12, 12, 12]), 2),
                (120_000, prices([12, 12, 12, 12]), 0),
                (180_000, prices([8, 8, 8, 8]), 2),
                (240_000, prices([8, 8, 8, 8]), 0),
            ]
        );
        let three = candles.list(INTERVALS[1], Period::default(), 10, 250_000);
        assert_eq!(
            three.iter().map(shape).collect::<Vec<_>>(),
            [(0, prices([10, 14, 10, 12]), 6), (180_000, prices([8, 8, 8, 8]), 2)]
        );
        assert_eq!((three[0].volume, three[0].taker_volume), (Decimal::from(3), Decimal::from(2)));
        assert_eq!(three[0].trades, Some((2, 7)));
    }

    #[test]
    fn a_start_gives_the_first_candles_and_none_the_latest() {
        let candles = candles(&[(0, 1), (60_000, 2), (120_000, 3), (180_000, 4)]);
        let starts = |from, to, limit| {
            let list = candles.list(Interval::MINUTE, Period { from, to }, limit, 180_001);
            list.iter().map(|candle| candle.start / 60_000).collect::<Vec<_>>()
        };
        assert_eq!(starts(None, None, 2), [2, 3]);
        assert_eq!(starts(Some(60_000), None, 2), [1, 2]);
        assert_eq!(starts(Some(60_001), None, 2), [2, 3]);
        assert_eq!(starts(Some(-5), Some(60_000), 10), [0, 1]);
        assert_eq!(starts(None, Some(120_001), 2), [1, 2]);
        assert_eq!(starts(Some(i64::MAX), None, 5), [] as [i64; 0]);
        assert_eq!(starts(None, Some(i64::MIN), 5), [] as [i64; 0]);
    }

    #[test]
    fn a_clock_set_back_loses_no_trade() {
        let candles = candles(&[(120_000, 5), (0, 7)]);
        let list = candles.list(Interval::MINUTE, Period::default(), 5, 0);
        assert_eq!(list.iter().map(shape).collect::<Vec<_>>(), [(120_000, prices([5, 7, 5, 7]), 4)]);
    }
}
