//! Reconciliation: what the exchange knows and the books do not.
//!
//! It compares complete answers only: who asks passes on all three lists or none, so that a failed question is never read as
//! "flat". A list of positions that is older than a trade it should contain is refused. Trades are imported, orders are to be
//! asked about, and what is left over is reported as drift; positions are never changed to match. Deliberately absent: asking.

use std::collections::{BTreeMap, BTreeSet};

use env::WallTime;
use rust_decimal::Decimal;

use super::{Qty, Side, Symbol};

/// What the books hold of one symbol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Booked {
    /// The net position that the booked fills make.
    pub qty: Decimal,
    /// The trades that are booked.
    pub trades: BTreeSet<u64>,
    /// When the newest of them happened, by the exchange's clock.
    pub newest: Option<WallTime>,
}

/// A trade of the account, as the exchange lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// The instrument.
    pub symbol: Symbol,
    /// Unique per symbol.
    pub trade_id: u64,
    /// The exchange's number of the order.
    pub order_id: u64,
    /// The order's direction.
    pub side: Side,
    /// How much.
    pub qty: Qty,
    /// When, by the exchange's clock.
    pub time: WallTime,
}

/// The exchange's view: complete answers to the three questions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Venue {
    /// The positions that are not flat, and when each changed last.
    pub positions: BTreeMap<Symbol, (Decimal, WallTime)>,
    /// The account's trades, from before the first that the books may lack.
    pub trades: Vec<Execution>,
    /// The exchange's numbers of the orders that rest.
    pub resting: BTreeSet<(Symbol, u64)>,
}

/// What follows from a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Trades that are to be booked, by symbol and id.
    pub import: Vec<(Symbol, u64)>,
    /// Orders that are to be asked about: those of the imported trades, and those that rest.
    pub ask: BTreeSet<(Symbol, u64)>,
    /// By how much the exchange's position exceeds what the books hold once the imports are booked; zero is left out.
    pub drift: BTreeMap<Symbol, Decimal>,
}

/// Why nothing follows from a comparison; the questions are to be asked again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The positions were listed by somebody who had not heard of a trade yet.
    #[error("the exchange's position of {0} is older than its newest trade")]
    Older(Symbol),
}

/// Compares the books with the exchange.
///
/// # Errors
/// The exchange's view contradicts itself.
pub fn reconcile(books: &BTreeMap<Symbol, Booked>, venue: &Venue) -> Result<Findings, Unfit> {
    let mut findings = Findings { ask: venue.resting.clone(), ..Findings::default() };
    let mut expected: BTreeMap<&Symbol, (Decimal, Option<WallTime>)> =
        books.iter().map(|(symbol, booked)| (symbol, (booked.qty, booked.newest))).collect();
    let mut imported = BTreeSet::new();
    for trade in &venue.trades {
        let key = (trade.symbol.clone(), trade.trade_id);
        let booked = books.get(&trade.symbol).is_some_and(|booked| booked.trades.contains(&trade.trade_id));
        if booked || !imported.insert(key.clone()) {
            continue;
        }
        let (qty, newest) = expected.entry(&trade.symbol).or_default();
        *qty += trade.side.signed(trade.qty);
        *newest = (*newest).max(Some(trade.time));
        findings.ask.insert((trade.symbol.clone(), trade.order_id));
        findings.import.push(key);
    }
    let symbols: BTreeSet<&Symbol> = expected.keys().copied().chain(venue.positions.keys()).collect();
    for symbol in symbols {
        let (expected, newest) = expected.get(symbol).copied().unwrap_or_default();
        let held = venue.positions.get(symbol);
        let drift = held.map(|(qty, _)| *qty).unwrap_or_default() - expected;
        if drift.is_zero() {
            continue;
        }
        if held.is_some_and(|(_, updated)| Some(*updated) < newest) {
            return Err(Unfit::Older(symbol.clone()));
        }
        findings.drift.insert(symbol.clone(), drift.normalize());
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn symbol(name: &str) -> Symbol {
        name.parse().unwrap()
    }

    fn at(millis: i64) -> WallTime {
        WallTime::from_millis(millis)
    }

    fn trade(trade_id: u64, side: Side, qty: u32) -> Execution {
        Execution {
            symbol: symbol("BTCUSDT"),
            trade_id,
            order_id: 100 + trade_id,
            side,
            qty: Qty::new(qty.into()).unwrap(),
            time: at(i64::try_from(trade_id).unwrap()),
        }
    }

    fn booked(trades: &[Execution]) -> BTreeMap<Symbol, Booked> {
        let mut books: BTreeMap<Symbol, Booked> = BTreeMap::new();
        for trade in trades {
            let booked = books.entry(trade.symbol.clone()).or_default();
            booked.qty += trade.side.signed(trade.qty);
            booked.trades.insert(trade.trade_id);
            booked.newest = booked.newest.max(Some(trade.time));
        }
        books
    }

    fn venue(position: i64, updated: i64, trades: Vec<Execution>) -> Venue {
        let positions = BTreeMap::from([(symbol("BTCUSDT"), (Decimal::from(position), at(updated)))]);
        Venue { positions, trades, resting: BTreeSet::new() }
    }

    #[test]
    fn books_that_agree_with_the_exchange_have_nothing_to_do() {
        let trades = vec![trade(1, Side::Buy, 3), trade(2, Side::Sell, 1)];
        assert_eq!(reconcile(&booked(&trades), &venue(2, 2, trades)), Ok(Findings::default()));
        assert_eq!(reconcile(&BTreeMap::new(), &Venue::default()), Ok(Findings::default()));
    }

    #[test]
    fn a_trade_that_only_the_exchange_knows_is_imported_and_its_order_asked_about() {
        let trades = vec![trade(1, Side::Buy, 3), trade(2, Side::Sell, 1)];
        let findings = reconcile(&booked(&trades[..1]), &venue(2, 2, trades)).unwrap();
        assert_eq!(findings.import, [(symbol("BTCUSDT"), 2)]);
        assert_eq!(findings.ask, BTreeSet::from([(symbol("BTCUSDT"), 102)]));
        assert!(findings.drift.is_empty());
    }

    #[test]
    fn a_hole_between_booked_trades_is_filled_and_a_trade_listed_twice_counts_once() {
        let trades = [trade(1, Side::Buy, 3), trade(2, Side::Buy, 1), trade(3, Side::Sell, 1)];
        let books = booked(&[trades[0].clone(), trades[2].clone()]);
        let listed = vec![trades[1].clone(), trades[1].clone(), trades[2].clone()];
        let findings = reconcile(&books, &venue(3, 3, listed)).unwrap();
        assert_eq!((findings.import, findings.drift), (vec![(symbol("BTCUSDT"), 2)], BTreeMap::new()));
    }

    #[test]
    fn what_no_trade_explains_is_reported_and_nothing_else() {
        let trades = vec![trade(1, Side::Buy, 3)];
        let findings = reconcile(&booked(&trades), &venue(5, 9, trades.clone())).unwrap();
        assert_eq!(findings.drift, BTreeMap::from([(symbol("BTCUSDT"), Decimal::from(2))]));
        assert!(findings.import.is_empty() && findings.ask.is_empty());
        let flat = Venue { trades, ..Venue::default() };
        let findings = reconcile(&booked(&flat.trades), &flat).unwrap();
        assert_eq!(findings.drift, BTreeMap::from([(symbol("BTCUSDT"), Decimal::from(-3))]));
    }

    #[test]
    fn positions_older_than_the_trades_decide_nothing() {
        let trades = vec![trade(1, Side::Buy, 3), trade(7, Side::Buy, 3)];
        let refused = Err(Unfit::Older(symbol("BTCUSDT")));
        assert_eq!(reconcile(&booked(&trades), &venue(3, 1, trades.clone())), refused);
        assert_eq!(reconcile(&BTreeMap::new(), &venue(3, 1, trades)), refused);
    }

    #[test]
    fn an_order_that_rests_is_asked_about() {
        let resting = BTreeSet::from([(symbol("ETHUSDT"), 5)]);
        let findings = reconcile(&BTreeMap::new(), &Venue { resting: resting.clone(), ..Venue::default() });
        assert_eq!(findings, Ok(Findings { ask: resting, ..Findings::default() }));
    }

    proptest! {
        #[test]
        fn after_the_imports_books_and_exchange_agree_up_to_the_drift(
            trades in prop::collection::vec((any::<bool>(), 1_u32..100, any::<bool>()), 0..30),
            excess in -3_i64..3,
        ) {
            let listed: Vec<(Execution, bool)> = trades.iter().enumerate().map(|(id, &(buys, qty, known))| {
                (trade(id as u64, if buys { Side::Buy } else { Side::Sell }, qty), known)
            }).collect();
            let all: Vec<Execution> = listed.iter().map(|(trade, _)| trade.clone()).collect();
            let known: Vec<Execution> =
                listed.iter().filter(|(_, known)| *known).map(|(trade, _)| trade.clone()).collect();
            let truth: Decimal = all.iter().map(|trade| trade.side.signed(trade.qty)).sum();
            let mut venue = venue(0, 1_000, all.clone());
            venue.positions.insert(symbol("BTCUSDT"), (truth + Decimal::from(excess), at(1_000)));
            let findings = reconcile(&booked(&known), &venue).unwrap();
            let imports: Vec<u64> = findings.import.iter().map(|(_, id)| *id).collect();
            let missing: Vec<u64> =
                listed.iter().filter(|(_, known)| !known).map(|(trade, _)| trade.trade_id).collect();
            prop_assert_eq!(imports, missing);
            let drift = findings.drift.get(&symbol("BTCUSDT")).copied().unwrap_or_default();
            prop_assert_eq!(drift, Decimal::from(excess));
            let again = reconcile(&booked(&all), &venue).unwrap();
            prop_assert!(again.import.is_empty() && again.ask.is_empty());
        }
    }
}
