//! The positions that the booked fills make, and their two forms: rows of the ledger, and a hash on the bus.

use std::collections::{BTreeMap, VecDeque};

use env::WallTime;
use redis::{Cmd, Pipeline, cmd};
use serde_json::json;

use crate::{
    clients::ledger::Statement,
    core::{Epoch, Fill, Position, Symbol},
    streams,
};

const SET: &str = "INSERT INTO positions (symbol, qty, avg_price, since, epoch) VALUES ($1, $2, $3, $4, $5) \
    ON CONFLICT (symbol) DO UPDATE SET qty = excluded.qty, avg_price = excluded.avg_price, since = excluded.since, \
    epoch = excluded.epoch WHERE positions.epoch <= excluded.epoch";

/// How many of a symbol's newest fills a late one can still be put between; a fill is late by seconds, never by so many trades.
const RECENT: usize = 256;

/// What is held in one symbol, and since when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Holding {
    pub(super) position: Position,
    /// When it was opened from flat, by the exchange's clock.
    pub(super) since: Option<WallTime>,
}

/// What is held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Holdings(BTreeMap<Symbol, Course>);

/// How a symbol's holding came about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Course {
    holding: Holding,
    /// The newest fills in the exchange's order, each with what was held before it.
    recent: VecDeque<(Holding, Fill)>,
}

impl Course {
    /// Puts a fill where its trade id belongs: stream and REST may tell of fills in another order than the exchange's, in
    /// which alone they make its average price.
    fn apply(&mut self, fill: Fill) -> Holding {
        let place = self.recent.partition_point(|(_, earlier)| earlier.trade_id < fill.trade_id);
        let later = self.recent.split_off(place);
        if let Some((before, _)) = later.front() {
            self.holding = *before;
        }
        for fill in std::iter::once(fill).chain(later.into_iter().map(|(_, fill)| fill)) {
            let before = self.holding;
            self.holding.apply(&fill);
            self.recent.push_back((before, fill));
        }
        while self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        self.holding
    }
}

impl Holdings {
    /// Adds a fill; what is held in its symbol then.
    pub(super) fn apply(&mut self, fill: &Fill) -> Holding {
        self.0.entry(fill.symbol.clone()).or_default().apply(fill.clone())
    }

    /// What these fills make, in their order.
    pub(super) fn of<'a>(fills: impl IntoIterator<Item = &'a Fill>) -> Self {
        let mut holdings = Self::default();
        for fill in fills {
            holdings.apply(fill);
        }
        holdings
    }

    /// What is held in each symbol that was ever held.
    pub(super) fn positions(&self) -> impl Iterator<Item = (Symbol, Position)> {
        self.0.iter().map(|(symbol, course)| (symbol.clone(), course.holding.position))
    }

    /// The rows that say the same.
    pub(super) fn rows(&self, epoch: Epoch) -> impl Iterator<Item = Statement> {
        self.0.iter().map(move |(symbol, course)| course.holding.row(symbol, epoch))
    }

    /// The commands after which the hash on the bus says the same, at once.
    pub(super) fn on_bus(&self) -> Pipeline {
        let mut set = Pipeline::new();
        set.atomic().cmd("DEL").arg(streams::POSITIONS);
        for (symbol, Course { holding, .. }) in &self.0 {
            if !holding.position.qty.is_zero() {
                set.add_command(holding.field(symbol));
            }
        }
        set
    }
}

impl Holding {
    fn apply(&mut self, fill: &Fill) {
        let was_flat = self.position.qty.is_zero();
        self.position.fill(fill.side, fill.qty, fill.price);
        if self.position.qty.is_zero() {
            self.since = None;
        } else if was_flat {
            self.since = Some(fill.time);
        }
    }

    /// The row of a symbol; no leader writes over a later one's.
    pub(super) fn row(&self, symbol: &Symbol, epoch: Epoch) -> Statement {
        Statement::new(SET)
            .text(symbol)
            .number(self.position.qty)
            .number(self.position.avg_price)
            .optional_time(self.since)
            .int(i64::try_from(epoch.get()).unwrap_or(i64::MAX))
    }

    /// The command after which the hash on the bus has it.
    pub(super) fn field(&self, symbol: &Symbol) -> Cmd {
        if self.position.qty.is_zero() {
            let mut gone = cmd("HDEL");
            gone.arg(streams::POSITIONS).arg(symbol.as_str());
            return gone;
        }
        let text = json!({
            "qty": self.position.qty.to_string(),
            "avg_price": self.position.avg_price.to_string(),
            "since": self.since.map(WallTime::as_millis),
        });
        let mut set = cmd("HSET");
        set.arg(streams::POSITIONS).arg(symbol.as_str()).arg(text.to_string());
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Side;

    fn fill(trade_id: u64, side: Side, qty: &str) -> Fill {
        Fill {
            symbol: "BTCUSDT".parse().unwrap(),
            trade_id,
            client_order_id: "tw-1".parse().unwrap(),
            side,
            qty: qty.parse().unwrap(),
            price: "100".parse().unwrap(),
            fee: "0".parse().unwrap(),
            time: WallTime::from_millis(i64::try_from(trade_id).unwrap()),
        }
    }

    fn words(command: &Cmd) -> Vec<String> {
        let word = |arg| match arg {
            redis::Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => panic!("a plain command"),
        };
        command.args_iter().map(word).collect()
    }

    #[test]
    fn a_position_is_held_since_it_was_opened_from_flat() {
        let mut holdings = Holdings::default();
        assert_eq!(holdings.apply(&fill(1, Side::Buy, "2")).since, Some(WallTime::from_millis(1)));
        assert_eq!(holdings.apply(&fill(2, Side::Buy, "1")).since, Some(WallTime::from_millis(1)));
        assert_eq!(holdings.apply(&fill(3, Side::Sell, "3")), Holding::default());
        assert_eq!(holdings.apply(&fill(4, Side::Buy, "1")).since, Some(WallTime::from_millis(4)));
    }

    #[test]
    fn a_late_fill_counts_where_the_exchange_had_it() {
        let priced = |trade_id, side, qty, price: &str| Fill {
            price: price.parse().unwrap(),
            ..fill(trade_id, side, qty)
        };
        let fills = [
            priced(1, Side::Buy, "1", "100"),
            priced(2, Side::Buy, "1", "110"),
            priced(3, Side::Sell, "1", "120"),
            priced(4, Side::Buy, "2", "130"),
        ];
        let in_order = Holdings::of(&fills);
        for order in [[0, 2, 1, 3], [3, 2, 1, 0], [1, 3, 0, 2]] {
            assert_eq!(Holdings::of(order.map(|n| &fills[n])), in_order, "{order:?}");
        }
    }

    #[test]
    fn a_flat_symbol_has_no_field_on_the_bus() {
        let mut holdings = Holdings::default();
        let held = holdings.apply(&fill(1, Side::Buy, "2"));
        let symbol: Symbol = "BTCUSDT".parse().unwrap();
        let text = r#"{"avg_price":"100","qty":"2","since":1}"#;
        assert_eq!(words(&held.field(&symbol)), ["HSET", "positions", "BTCUSDT", text]);
        assert_eq!(holdings.on_bus().cmd_iter().count(), 2);
        let flat = holdings.apply(&fill(2, Side::Sell, "2"));
        assert_eq!(words(&flat.field(&symbol)), ["HDEL", "positions", "BTCUSDT"]);
        assert_eq!(holdings.on_bus().cmd_iter().count(), 1);
    }
}
