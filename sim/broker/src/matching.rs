//! What happens to an order when it meets the market: pure decisions on prices.
//!
//! The market's own liquidity has no end: whatever crosses trades in full, one tick worse than the latest price.

use std::{cmp::Reverse, collections::BTreeSet};

use rust_decimal::Decimal;

use crate::order::{OrderKind, Side, TimeInForce};

/// The market price that an order meets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quote {
    /// The latest trade's price.
    pub last: Decimal,
    pub tick: Decimal,
}

impl Quote {
    /// What a taker of `side` pays: one tick worse than the latest price, but never nothing.
    pub fn taker_price(self, side: Side) -> Decimal {
        match side {
            Side::Buy => self.last + self.tick,
            Side::Sell => (self.last - self.tick).max(self.tick),
        }
    }
}

/// What becomes of an order on its arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It trades at this price.
    Take(Decimal),
    /// It waits in the book.
    Rest,
    /// Its terms forbid it to wait.
    Expire,
}

/// Decides on an order's arrival.
pub(crate) fn arrive(
    kind: OrderKind,
    life: TimeInForce,
    side: Side,
    limit: Decimal,
    quote: Quote,
) -> Arrival {
    let price = quote.taker_price(side);
    let marketable = match (kind, side) {
        (OrderKind::Market, _) => true,
        (OrderKind::Limit, Side::Buy) => limit >= price,
        (OrderKind::Limit, Side::Sell) => limit <= price,
    };
    match (marketable, life) {
        (true, _) => Arrival::Take(price),
        (false, TimeInForce::Gtc) => Arrival::Rest,
        (false, TimeInForce::Ioc | TimeInForce::Fok) => Arrival::Expire,
    }
}

/// The customers' resting orders of one symbol, by price and then by age.
#[derive(Debug, Default)]
pub(crate) struct Book {
    bids: BTreeSet<(Reverse<Decimal>, u64)>,
    asks: BTreeSet<(Decimal, u64)>,
}

impl Book {
    pub fn insert(&mut self, side: Side, price: Decimal, order: u64) {
        match side {
            Side::Buy => self.bids.insert((Reverse(price), order)),
            Side::Sell => self.asks.insert((price, order)),
        };
    }

    pub fn remove(&mut self, side: Side, price: Decimal, order: u64) {
        match side {
            Side::Buy => self.bids.remove(&(Reverse(price), order)),
            Side::Sell => self.asks.remove(&(price, order)),
        };
    }

    /// Takes out the best order that a market trade at `price` reaches.
    pub fn pop_crossed(&mut self, price: Decimal) -> Option<u64> {
        if self.bids.first().is_some_and(|(bid, _)| bid.0 >= price) {
            return self.bids.pop_first().map(|(_, order)| order);
        }
        if self.asks.first().is_some_and(|(ask, _)| *ask <= price) {
            return self.asks.pop_first().map(|(_, order)| order);
        }
        None
    }
}

/// Cuts `quantity` into at most `parts` pieces of whole steps, the last one the largest.
pub(crate) fn pieces(quantity: Decimal, step: Decimal, parts: u64) -> impl Iterator<Item = Decimal> {
    let piece = (quantity / Decimal::from(parts) / step).trunc() * step;
    let equal = if piece.is_zero() { 0 } else { parts - 1 };
    let last = quantity - piece * Decimal::from(equal);
    (0..equal).map(move |_| piece).chain([last])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dec(text: &str) -> Decimal {
        text.parse().expect("a decimal")
    }

    #[test]
    fn arrival_depends_on_price_and_life() {
        let quote = Quote { last: dec("100"), tick: dec("0.1") };
        let limit = |life, side, price| arrive(OrderKind::Limit, life, side, dec(price), quote);
        use Arrival::*;
        assert_eq!(
            arrive(OrderKind::Market, TimeInForce::Gtc, Side::Sell, dec("0"), quote),
            Take(dec("99.9"))
        );
        assert_eq!(limit(TimeInForce::Gtc, Side::Buy, "100.1"), Take(dec("100.1")));
        assert_eq!(limit(TimeInForce::Gtc, Side::Buy, "105"), Take(dec("100.1")));
        assert_eq!(limit(TimeInForce::Gtc, Side::Buy, "100"), Rest);
        assert_eq!(limit(TimeInForce::Ioc, Side::Buy, "100"), Expire);
        assert_eq!(limit(TimeInForce::Fok, Side::Sell, "100"), Expire);
        assert_eq!(limit(TimeInForce::Fok, Side::Sell, "99.9"), Take(dec("99.9")));
    }

    #[test]
    fn a_trade_reaches_resting_orders_best_price_first_then_oldest() {
        let mut book = Book::default();
        book.insert(Side::Buy, dec("99"), 1);
        book.insert(Side::Buy, dec("100"), 3);
        book.insert(Side::Buy, dec("100"), 2);
        book.insert(Side::Buy, dec("100"), 4);
        book.insert(Side::Sell, dec("101"), 5);
        book.remove(Side::Buy, dec("100"), 4);
        let mut reached = |price| std::iter::from_fn(|| book.pop_crossed(dec(price))).collect::<Vec<_>>();
        assert_eq!(reached("100.5"), [] as [u64; 0]);
        assert_eq!(reached("100"), [2, 3]);
        assert_eq!(reached("102"), [5]);
        assert_eq!(reached("98"), [1]);
    }

    #[test]
    fn pieces_are_whole_steps_and_add_up() {
        let cut = |quantity, parts| pieces(dec(quantity), dec("0.001"), parts).collect::<Vec<_>>();
        assert_eq!(cut("0.010", 3), [dec("0.003"), dec("0.003"), dec("0.004")]);
        assert_eq!(cut("0.010", 1), [dec("0.010")]);
        assert_eq!(cut("0.002", 3), [dec("0.002")]);
    }
}
