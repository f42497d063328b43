//! The order book as an arriving order sees it: the market maker's levels and the customers' resting orders, best first.
//! At one price the maker was there before.

use rust_decimal::Decimal;

use super::State;
use crate::{
    differences::{LEVELS, Levels},
    order::{NewOrder, Side},
};

/// Something to trade with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub price: Decimal,
    /// Above zero.
    pub quantity: Decimal,
    pub source: Source,
}

/// Whose an offer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Maker { ticks: i64 },
    Customer { order: u64 },
}

/// What an order would trade if it arrived now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Preview {
    pub quantity: Decimal,
    /// Σ price × quantity.
    pub quote: Decimal,
}

/// The best prices and what is there, zero when a side is empty ("Symbol Order Book Ticker").
#[derive(Clone, Copy, Debug)]
pub(crate) struct Top {
    pub version: u64,
    pub bid: (Decimal, Decimal),
    pub ask: (Decimal, Decimal),
    /// Milliseconds since the epoch; 0 before the first trade.
    pub time: i64,
}

impl State {
    /// What somebody who trades on `side` can take, best price first.
    pub(super) fn offers(&self, market: usize, side: Side) -> impl Iterator<Item = Offer> + '_ {
        let market = &self.markets[market];
        let mut levels = market.levels(side.opposite()).peekable();
        let offer = |(price, order)| Offer {
            price,
            quantity: self.tradable(order),
            source: Source::Customer { order },
        };
        let mut orders = market.book.orders(side.opposite()).map(offer).peekable();
        let both = std::iter::from_fn(move || {
            let maker_first = match (levels.peek(), orders.peek()) {
                (Some(level), Some(order)) => side.accepts(order.price, level.price),
                (level, _) => level.is_some(),
            };
            if maker_first {
                let level = levels.next()?;
                let source = Source::Maker { ticks: level.ticks };
                Some(Offer { price: level.price, quantity: level.quantity, source })
            } else {
                orders.next()
            }
        });
        both.filter(|offer| offer.quantity > Decimal::ZERO)
    }

    /// What an order with these terms would trade of `wanted`. Cautious where a customer has several reduce-only orders:
    /// together they count no more than the position.
    pub fn preview(&self, terms: &NewOrder, wanted: Decimal) -> Preview {
        let bound = self.bound(terms);
        let mut preview = Preview::default();
        let mut reduced: Vec<(usize, Decimal)> = Vec::new();
        for offer in self.offers(terms.market, terms.side) {
            let left = wanted - preview.quantity;
            if left.is_zero() || bound.is_some_and(|bound| !terms.side.accepts(bound, offer.price)) {
                break;
            }
            let quantity = self.unreserved(&offer, &mut reduced).min(left);
            preview.quantity += quantity;
            preview.quote += quantity * offer.price;
        }
        preview
    }

    /// What an offer is worth when its owner's earlier reduce-only offers, noted in `reduced`, have traded.
    fn unreserved(&self, offer: &Offer, reduced: &mut Vec<(usize, Decimal)>) -> Decimal {
        let Source::Customer { order } = offer.source else { return offer.quantity };
        let order = self.order(order);
        if !order.terms.reduce_only {
            return offer.quantity;
        }
        let position = self.holdings[order.account].position(order.terms.market).reducible(order.terms.side);
        let slot = match reduced.iter().position(|(account, _)| *account == order.account) {
            Some(slot) => slot,
            None => {
                reduced.push((order.account, Decimal::ZERO));
                reduced.len() - 1
            }
        };
        let used = &mut reduced[slot].1;
        let quantity = offer.quantity.min(position - *used);
        *used += quantity;
        quantity
    }

    /// The visible order book on `side`: prices with what is there, best first, at most `limit`.
    pub fn depth(&self, market: usize, side: Side, limit: usize) -> Vec<(Decimal, Decimal)> {
        let mut levels: Vec<(Decimal, Decimal)> = Vec::with_capacity(limit);
        for offer in self.offers(market, side.opposite()) {
            if let Some((_, quantity)) = levels.last_mut().filter(|(price, _)| *price == offer.price) {
                *quantity += offer.quantity;
            } else if levels.len() < limit {
                levels.push((offer.price, offer.quantity));
            } else {
                break;
            }
        }
        levels
    }

    /// The order book that streams of differences tell of.
    pub fn levels(&self, market: usize) -> Levels {
        let of = |side| {
            let levels = self.depth(market, side, LEVELS).into_iter();
            levels.map(move |(price, quantity)| ((side, price), quantity))
        };
        of(Side::Buy).chain(of(Side::Sell)).collect()
    }

    /// Notes that somebody has read the order book between two tellings of its differences.
    pub fn note_reading(&mut self, market: usize) {
        let of = &self.markets[market];
        if !of.differences.values().any(|listeners| listeners.is_behind(of.version)) {
            return;
        }
        let book = self.levels(market);
        self.markets[market].differences.values_mut().for_each(|listeners| listeners.read(&book));
    }

    pub fn top(&self, market: usize) -> Top {
        let best = |side| self.depth(market, side, 1).pop().unwrap_or_default();
        let of = &self.markets[market];
        Top { version: of.version, bid: best(Side::Buy), ask: best(Side::Sell), time: of.time() }
    }
}
