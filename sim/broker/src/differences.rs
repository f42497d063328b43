//! The order book as differences: what a reader of a stream must be told so that its own book stays ours ("Diff. Book Depth
//! Streams", "How to manage a local order book correctly").
//!
//! The book is its best [`LEVELS`] on either side, which is also the most that `/fapi/v1/depth` shows: a level that falls
//! behind is told as gone. A level may change and change back between two tellings, and somebody may have read the book
//! between: so what was read is remembered until it is told again.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

use crate::order::Side;

/// Levels on either side of the book.
pub(crate) const LEVELS: usize = 1_000;

/// Quantities by side and price.
pub(crate) type Levels = BTreeMap<(Side, Decimal), Decimal>;

/// What the listeners of a stream know.
#[derive(Debug)]
pub(crate) struct Differences {
    version: u64,
    told: Levels,
    /// Where somebody may have read something else since.
    read: BTreeSet<(Side, Decimal)>,
}

/// What has changed from one version of the book to another.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The version that was told before.
    pub previous: u64,
    pub version: u64,
    /// New quantities by price, best first; zero where nothing is left.
    pub bids: Vec<(Decimal, Decimal)>,
    pub asks: Vec<(Decimal, Decimal)>,
}

impl Differences {
    /// Listeners who know nothing of the book yet.
    pub fn new(version: u64, book: Levels) -> Self {
        Self { version, told: book, read: BTreeSet::new() }
    }

    /// Whether what was told last is no longer the book, which has this version.
    pub fn is_behind(&self, version: u64) -> bool {
        self.version != version
    }

    /// Somebody reads the book as it is.
    pub fn read(&mut self, book: &Levels) {
        self.read.extend(differing(&self.told, book));
    }

    /// What to tell now.
    pub fn tell(&mut self, version: u64, book: Levels) -> Difference {
        let mut changed = std::mem::take(&mut self.read);
        changed.extend(differing(&self.told, &book));
        let quantity = |key: &(Side, Decimal)| (key.1, book.get(key).copied().unwrap_or_default());
        let (bids, asks): (Vec<_>, Vec<_>) = changed.iter().partition(|(side, _)| *side == Side::Buy);
        let difference = Difference {
            previous: self.version,
            version,
            bids: bids.into_iter().rev().map(quantity).collect(),
            asks: asks.into_iter().map(quantity).collect(),
        };
        (self.version, self.told) = (version, book);
        difference
    }
}

/// Where two books differ.
fn differing<'a>(one: &'a Levels, other: &'a Levels) -> impl Iterator<Item = (Side, Decimal)> + 'a {
    let changed = one.iter().filter(|(key, quantity)| other.get(key) != Some(quantity)).map(|(key, _)| *key);
    changed.chain(other.keys().filter(|key| !one.contains_key(key)).copied())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn book(levels: &[(i64, i64)]) -> Levels {
        let level = |&(price, quantity): &(i64, i64)| {
            let side = if price < 50 { Side::Buy } else { Side::Sell };
            ((side, Decimal::from(price)), Decimal::from(quantity))
        };
        levels.iter().map(level).collect()
    }

    fn apply(own: &mut Levels, difference: &Difference) {
        let sides = [(Side::Buy, &difference.bids), (Side::Sell, &difference.asks)];
        for (side, (price, quantity)) in
            sides.iter().flat_map(|(s, levels)| levels.iter().map(move |l| (*s, *l)))
        {
            if quantity.is_zero() {
                own.remove(&(side, price));
            } else {
                own.insert((side, price), quantity);
            }
        }
    }

    #[test]
    fn only_what_has_changed_is_told() {
        let mut differences = Differences::new(3, book(&[(48, 1), (49, 2), (51, 3)]));
        let told = differences.tell(5, book(&[(47, 9), (48, 1), (49, 4), (52, 3)]));
        let level = |price: i64, quantity: i64| (Decimal::from(price), Decimal::from(quantity));
        assert_eq!(told.bids, [level(49, 4), level(47, 9)]);
        assert_eq!(told.asks, [level(51, 0), level(52, 3)]);
        assert_eq!((told.previous, told.version), (3, 5));
    }

    proptest! {
        #[test]
        fn whoever_read_the_book_at_any_moment_knows_it_after_the_next_telling(
            books in prop::collection::vec(prop::collection::vec((40..60_i64, 1..4_i64), 0..12), 2..30),
            told in prop::collection::vec(any::<bool>(), 30),
        ) {
            let mut differences = Differences::new(0, book(&books[0]));
            let mut readers: Vec<Levels> = Vec::new();
            for (version, (levels, told)) in books.iter().zip(told).enumerate() {
                let now = book(levels);
                if told {
                    let difference = differences.tell(version as u64, now.clone());
                    for reader in &mut readers {
                        apply(reader, &difference);
                        prop_assert_eq!(&*reader, &now);
                    }
                } else {
                    differences.read(&now);
                    readers.push(now);
                }
            }
        }
    }
}
