//! When a position is closed: at its stop, at its take-profit, or when it was held for too long.
//!
//! An exit that was decided on stays decided: until the position is flat it is asked for again and again, one attempt at a
//! time, each with a name of its own that follows from the position and the number of the attempt. Deliberately absent: what
//! closes a position when this rule is not applied any more (the watchdog and the emergency exit see to that).

use std::{collections::BTreeMap, fmt, time::Duration};

use env::WallTime;
use rust_decimal::Decimal;
use tokio::time::Instant;

use super::{IntentId, NameError, Price, Qty, Side, Symbol};

/// How long an attempt may take before the next one: the trader sends an exit within milliseconds, and asks for one whose
/// outcome is unknown within a second.
const ATTEMPT: Duration = Duration::from_secs(5);

/// A price that did not change for so long says nothing about the market: the limit of a tradable price.
const PRICE_AGE_LIMIT: Duration = Duration::from_secs(30);

/// When to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitRule {
    /// The loss at which a position is closed, as a fraction of its average price.
    pub stop: Decimal,
    /// The profit at which it is closed, as a fraction of its average price.
    pub take_profit: Decimal,
    /// How long it is held at most.
    pub longest: Duration,
}

impl Default for ExitRule {
    /// Out at a loss of 1 %, at a profit of 2 %, or after 10 s.
    fn default() -> Self {
        let percent = |percent| Decimal::new(percent, 2);
        Self { stop: percent(1), take_profit: percent(2), longest: Duration::from_secs(10) }
    }
}

/// A booked position that is not flat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Long when positive, short when negative.
    pub qty: Decimal,
    /// The average price of what is held.
    pub avg_price: Decimal,
    /// When it was opened; with the symbol, what tells it from the position before.
    pub since: WallTime,
}

/// The newest price of a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// What was paid.
    pub price: Price,
    /// When, by the exchange's clock.
    pub market_time: WallTime,
    /// The number of the trade: the price is as old as the time for which it has not changed.
    pub trade_id: u64,
}

/// Why a position is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCause {
    /// The loss has reached its limit.
    Stop,
    /// The profit has reached its aim.
    TakeProfit,
    /// The time is up.
    HeldTooLong,
}

impl ExitCause {
    /// The name in facts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "STOP",
            Self::TakeProfit => "TAKE_PROFIT",
            Self::HeldTooLong => "HELD_TOO_LONG",
        }
    }
}

/// One attempt to close a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The instrument.
    pub symbol: Symbol,
    /// Against the position.
    pub side: Side,
    /// All of it.
    pub qty: Qty,
    /// Why.
    pub cause: ExitCause,
    /// Which attempt for which position.
    pub number: ExitNumber,
}

/// Which attempt for which position of a symbol an exit is. Its text is a part of the exit's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExitNumber {
    /// When the position was opened.
    since: WallTime,
    /// From 1.
    attempt: u32,
}

impl ExitNumber {
    /// The id of this exit; the same for every repetition.
    ///
    /// # Errors
    /// The symbol is so long, and the attempts are so many, that the exchange would not take the order's name.
    pub fn id(self, symbol: &Symbol) -> Result<IntentId, NameError> {
        format!("{symbol}-{self}").parse()
    }

    /// The number in the id of an exit of `symbol`; `None` when it is not the id of one.
    pub fn of(symbol: &Symbol, id: &IntentId) -> Option<Self> {
        let text = id.to_string();
        let (since, attempt) = text.strip_prefix(symbol.as_str())?.strip_prefix("-x")?.split_once('-')?;
        let since = i64::from_str_radix(since, 16).ok()?;
        Some(Self { since: WallTime::from_millis(since), attempt: attempt.parse().ok()? })
    }
}

impl fmt::Display for ExitNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "x{:x}-{}", self.since.as_millis(), self.attempt)
    }
}

/// The rule applied to all positions.
#[derive(Clone, Debug)]
pub struct Exits {
    rule: ExitRule,
    watched: BTreeMap<Symbol, Watch>,
    prices: BTreeMap<Symbol, Dated>,
    /// The newest exit of each symbol whose position is not in sight: that of an earlier life of this process, or one that
    /// the bus has lost. Should it come back, its attempts are counted on.
    resumed: BTreeMap<Symbol, (ExitNumber, Instant)>,
}

/// A position under watch.
#[derive(Clone, Debug)]
struct Watch {
    since: WallTime,
    first_seen: Instant,
    /// How much of its life had passed when it was first seen.
    age_then: Duration,
    decided: Option<ExitCause>,
    attempt: u32,
    attempted: Option<Instant>,
}

/// A price, and since when there is no newer one.
#[derive(Clone, Copy, Debug)]
struct Dated {
    quote: Quote,
    first_seen: Instant,
}

impl Exits {
    /// A rule that watches nothing yet.
    pub const fn new(rule: ExitRule) -> Self {
        Self { rule, watched: BTreeMap::new(), prices: BTreeMap::new(), resumed: BTreeMap::new() }
    }

    /// Takes note of an exit that an earlier life of this process asked for: it counts as asked for now.
    pub fn resume(&mut self, now: Instant, symbol: Symbol, number: ExitNumber) {
        let newest = self.resumed.entry(symbol).or_insert((number, now));
        newest.0 = newest.0.max(number);
    }

    /// Takes note of the newest price of a symbol.
    pub fn quote(&mut self, now: Instant, symbol: &Symbol, quote: Quote) {
        match self.prices.get_mut(symbol) {
            Some(dated) if quote.trade_id <= dated.quote.trade_id => {}
            Some(dated) => *dated = Dated { quote, first_seen: now },
            None => {
                self.prices.insert(symbol.clone(), Dated { quote, first_seen: now });
            }
        }
    }

    /// The newest price of a symbol, however old.
    pub fn newest(&self, symbol: &Symbol) -> Option<Quote> {
        self.prices.get(symbol).map(|dated| dated.quote)
    }

    /// One round of decisions about all booked positions. `wall` is read at the same moment as `now`.
    pub fn decide(
        &mut self,
        now: Instant,
        wall: WallTime,
        positions: &BTreeMap<Symbol, Holding>,
    ) -> Vec<Exit> {
        let resumed = &mut self.resumed;
        self.watched.retain(|symbol, watch| {
            let there = positions.get(symbol).is_some_and(|held| held.since == watch.since);
            if let (false, Some(at)) = (there, watch.attempted) {
                let number = ExitNumber { since: watch.since, attempt: watch.attempt };
                resumed.insert(symbol.clone(), (number, at));
            }
            there
        });
        let mut exits = Vec::new();
        for (symbol, held) in positions {
            let price = fresh_price(&self.prices, symbol, now);
            let watch = match self.watched.get_mut(symbol) {
                Some(watch) => watch,
                None => {
                    let watch = Watch::new(now, wall, held, self.resumed.remove(symbol));
                    self.watched.entry(symbol.clone()).or_insert(watch)
                }
            };
            exits.extend(watch.decide(now, &self.rule, symbol, held, price));
        }
        exits
    }
}

fn fresh_price(prices: &BTreeMap<Symbol, Dated>, symbol: &Symbol, now: Instant) -> Option<Price> {
    let dated = prices.get(symbol)?;
    (now.duration_since(dated.first_seen) <= PRICE_AGE_LIMIT).then_some(dated.quote.price)
}

impl Watch {
    fn new(now: Instant, wall: WallTime, held: &Holding, resumed: Option<(ExitNumber, Instant)>) -> Self {
        let ours = resumed.filter(|(number, _)| number.since == held.since);
        Self {
            since: held.since,
            first_seen: now,
            // A clock that is behind makes a position new, not younger than that.
            age_then: wall.since(held.since),
            // What was decided before the restart stays decided; its cause is forgotten, its effect is the same.
            decided: ours.map(|_| ExitCause::HeldTooLong),
            attempt: ours.map_or(0, |(number, _)| number.attempt),
            attempted: ours.map(|(_, at)| at),
        }
    }

    fn decide(
        &mut self,
        now: Instant,
        rule: &ExitRule,
        symbol: &Symbol,
        held: &Holding,
        price: Option<Price>,
    ) -> Option<Exit> {
        let age = self.age_then + now.duration_since(self.first_seen);
        let cause = self.decided.or_else(|| cause(rule, held, age, price))?;
        self.decided = Some(cause);
        if self.attempted.is_some_and(|at| now.duration_since(at) < ATTEMPT) {
            return None;
        }
        let qty = Qty::new(held.qty.abs()).ok()?;
        let side = if held.qty.is_sign_negative() { Side::Buy } else { Side::Sell };
        self.attempt += 1;
        self.attempted = Some(now);
        let number = ExitNumber { since: self.since, attempt: self.attempt };
        Some(Exit { symbol: symbol.clone(), side, qty, cause, number })
    }
}

fn cause(rule: &ExitRule, held: &Holding, age: Duration, price: Option<Price>) -> Option<ExitCause> {
    let gain = price.and_then(|price| gain(held, price));
    if gain.is_some_and(|gain| gain <= -rule.stop) {
        Some(ExitCause::Stop)
    } else if gain.is_some_and(|gain| gain >= rule.take_profit) {
        Some(ExitCause::TakeProfit)
    } else {
        (age >= rule.longest).then_some(ExitCause::HeldTooLong)
    }
}

/// What the position has gained, as a fraction of its average price; `None` when that is no price.
fn gain(held: &Holding, price: Price) -> Option<Decimal> {
    let moved = (price.get() - held.avg_price).checked_div(held.avg_price)?;
    Some(if held.qty.is_sign_negative() { -moved } else { moved })
}

#[cfg(test)]
mod tests;
