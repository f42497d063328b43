//! The customers' resting orders of one symbol, by price and then by time.
//!
//! An order waits behind what the market maker had at its price when it came; trades at that price use this up first.

use std::{cmp::Reverse, collections::BTreeMap};

use rust_decimal::Decimal;

use crate::order::Side;

/// Resting orders; keys are price and rank.
#[derive(Debug, Default)]
pub(crate) struct Book {
    bids: BTreeMap<(Reverse<Decimal>, u64), Resting>,
    asks: BTreeMap<(Decimal, u64), Resting>,
}

/// An order in the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resting {
    /// Its id.
    pub order: u64,
    /// What the maker had at its price before it, and still has.
    pub ahead: Decimal,
}

impl Book {
    pub fn insert(&mut self, side: Side, price: Decimal, rank: u64, resting: Resting) {
        match side {
            Side::Buy => self.bids.insert((Reverse(price), rank), resting),
            Side::Sell => self.asks.insert((price, rank), resting),
        };
    }

    pub fn remove(&mut self, side: Side, price: Decimal, rank: u64) {
        match side {
            Side::Buy => self.bids.remove(&(Reverse(price), rank)),
            Side::Sell => self.asks.remove(&(price, rank)),
        };
    }

    /// The best price on `side`.
    pub fn best(&self, side: Side) -> Option<Decimal> {
        match side {
            Side::Buy => self.bids.first_key_value().map(|((price, _), _)| price.0),
            Side::Sell => self.asks.first_key_value().map(|((price, _), _)| *price),
        }
    }

    /// Prices and ids on `side`, best price first, then oldest.
    pub fn orders(&self, side: Side) -> impl Iterator<Item = (Decimal, u64)> + '_ {
        let (bids, asks) = match side {
            Side::Buy => (Some(&self.bids), None),
            Side::Sell => (None, Some(&self.asks)),
        };
        let bids = bids.into_iter().flatten().map(|((price, _), resting)| (price.0, resting.order));
        bids.chain(asks.into_iter().flatten().map(|((price, _), resting)| (*price, resting.order)))
    }

    /// The side whose best order a market trade at `price` reaches. The two sides never overlap, so it is at most one.
    pub fn reached(&self, price: Decimal) -> Option<Side> {
        if self.best(Side::Buy).is_some_and(|bid| bid >= price) {
            Some(Side::Buy)
        } else if self.best(Side::Sell).is_some_and(|ask| ask <= price) {
            Some(Side::Sell)
        } else {
            None
        }
    }

    /// Lets a trade of `quantity` at exactly `price` use up what the maker has before the best order of `side` there, and
    /// returns what is left of it.
    pub fn queue(&mut self, side: Side, price: Decimal, quantity: Decimal) -> Decimal {
        let first = match side {
            Side::Buy => self.bids.first_key_value().filter(|((p, _), _)| p.0 == price).map(|(_, r)| r.ahead),
            Side::Sell => self.asks.first_key_value().filter(|((p, _), _)| *p == price).map(|(_, r)| r.ahead),
        };
        let used = first.unwrap_or_default().min(quantity);
        if used > Decimal::ZERO {
            let shorten = |resting: &mut Resting| resting.ahead = (resting.ahead - used).max(Decimal::ZERO);
            match side {
                Side::Buy => {
                    self.bids.range_mut(at(Reverse(price))).for_each(|(_, resting)| shorten(resting))
                }
                Side::Sell => self.asks.range_mut(at(price)).for_each(|(_, resting)| shorten(resting)),
            }
        }
        quantity - used
    }
}

/// All ranks at one price.
fn at<P: Copy>(price: P) -> std::ops::RangeInclusive<(P, u64)> {
    (price, 0)..=(price, u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dec(text: &str) -> Decimal {
        text.parse().expect("a decimal")
    }

    fn behind(order: u64, ahead: &str) -> Resting {
        Resting { order, ahead: dec(ahead) }
    }

    #[test]
    fn orders_are_sorted_by_price_and_then_by_time() {
        let mut book = Book::default();
        book.insert(Side::Buy, dec("99"), 1, behind(1, "0"));
        book.insert(Side::Buy, dec("100"), 3, behind(3, "0"));
        book.insert(Side::Buy, dec("100"), 2, behind(2, "0"));
        book.insert(Side::Buy, dec("100"), 4, behind(4, "0"));
        book.insert(Side::Sell, dec("101"), 5, behind(5, "0"));
        book.remove(Side::Buy, dec("100"), 4);
        let ids = |side| book.orders(side).map(|(_, order)| order).collect::<Vec<_>>();
        assert_eq!(ids(Side::Buy), [2, 3, 1]);
        assert_eq!(ids(Side::Sell), [5]);
        assert_eq!(book.reached(dec("100.5")), None);
        assert_eq!(book.reached(dec("100")), Some(Side::Buy));
        assert_eq!(book.reached(dec("101")), Some(Side::Sell));
    }

    #[test]
    fn a_trade_at_its_price_reaches_an_order_only_after_the_queue_before_it() {
        let mut book = Book::default();
        book.insert(Side::Buy, dec("100"), 1, behind(1, "3"));
        book.insert(Side::Buy, dec("100"), 2, behind(2, "4"));
        assert_eq!(book.queue(Side::Buy, dec("100"), dec("2")), dec("0"));
        assert_eq!(book.queue(Side::Buy, dec("100"), dec("2")), dec("1"));
        assert_eq!(book.queue(Side::Buy, dec("99"), dec("2")), dec("2"), "it trades through the order");
        book.remove(Side::Buy, dec("100"), 1);
        assert_eq!(
            book.queue(Side::Buy, dec("100"), dec("2")),
            dec("1"),
            "of 4 before the second order 1 was left"
        );
    }
}
