//! How much may be at stake: per symbol, over all, and in how many orders at once.
//!
//! An entry takes its place within the limits in the same step in which it is checked ([`Risk::reserve`]), so that no
//! two entries can pass on the same room. What it may still buy stays reserved until it is filled or over; what is filled
//! counts as held. Exits need no room. Deliberately absent: margin, which is the exchange's to judge.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::{ClientOrderId, Intent, Price, Qty, Side, Symbol};

/// The limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RiskLimits {
    /// The greatest notional of one symbol, held and ordered, in USDT.
    pub symbol_notional: Decimal,
    /// The greatest notional of all symbols together, as a multiple of the equity.
    pub exposure: Decimal,
    /// The share of the equity that one entry may cost.
    pub entry_share: Decimal,
    /// How many entries may be under way at once.
    pub open_entries: usize,
}

/// The limit that an entry would break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    /// The symbol's.
    #[error("the symbol would have a notional of {0} USDT")]
    Symbol(Decimal),
    /// The account's.
    #[error("all symbols would have a notional of {0} USDT")]
    Exposure(Decimal),
    /// The number of entries under way.
    #[error("{0} entries are under way")]
    OpenEntries(usize),
    /// Not computable, which is a breach.
    #[error("the notional is out of range")]
    OutOfRange,
}

/// What is held and what is ordered.
#[derive(Clone, Debug)]
pub struct Risk {
    limits: RiskLimits,
    symbols: BTreeMap<Symbol, Stake>,
    entries: BTreeMap<ClientOrderId, Ordered>,
}

#[derive(Clone, Debug, Default)]
struct Stake {
    held: Decimal,
    /// The newest price known; nothing is held or ordered without one.
    price: Decimal,
}

#[derive(Clone, Debug)]
struct Ordered {
    symbol: Symbol,
    price: Decimal,
    remaining: Decimal,
}

impl Risk {
    /// Nothing held, nothing ordered.
    pub const fn new(limits: RiskLimits) -> Self {
        Self { limits, symbols: BTreeMap::new(), entries: BTreeMap::new() }
    }

    /// What one entry may cost, in USDT.
    pub fn budget(&self, equity: Decimal) -> Decimal {
        equity.checked_mul(self.limits.entry_share).unwrap_or_default()
    }

    /// Sets a position: the booked one, at the start or after a reconciliation. `price` is what it is valued at until a
    /// newer one is known.
    pub fn set(&mut self, symbol: Symbol, held: Decimal, price: Decimal) {
        self.symbols.insert(symbol, Stake { held, price });
    }

    /// Takes note of a symbol's newest price.
    pub fn priced(&mut self, symbol: &Symbol, price: Price) {
        if let Some(stake) = self.symbols.get_mut(symbol) {
            stake.price = price.get();
        } else {
            self.set(symbol.clone(), Decimal::ZERO, price.get());
        }
    }

    /// Gives an entry its place within the limits.
    ///
    /// # Errors
    /// It would break a limit; nothing has changed.
    pub fn reserve(&mut self, entry: &Intent, equity: Decimal) -> Result<(), Breach> {
        if self.entries.len() >= self.limits.open_entries {
            return Err(Breach::OpenEntries(self.entries.len()));
        }
        let own = entry.qty.get().checked_mul(entry.price.get()).ok_or(Breach::OutOfRange)?;
        let sum = |sum: Decimal, more: Decimal| sum.checked_add(more).ok_or(Breach::OutOfRange);
        let symbol = sum(own, self.notional_of(&entry.symbol).ok_or(Breach::OutOfRange)?)?;
        if symbol > self.limits.symbol_notional {
            return Err(Breach::Symbol(symbol));
        }
        let all = sum(own, self.notional().ok_or(Breach::OutOfRange)?)?;
        if all > self.limits.exposure.checked_mul(equity).ok_or(Breach::OutOfRange)? {
            return Err(Breach::Exposure(all));
        }
        self.count(entry);
        Ok(())
    }

    /// Counts an entry of an earlier life, which has its place already.
    pub fn count(&mut self, entry: &Intent) {
        let Intent { client_order_id, symbol, qty, price, .. } = entry;
        let ordered = Ordered { symbol: symbol.clone(), price: price.get(), remaining: qty.get() };
        self.entries.insert(client_order_id.clone(), ordered);
    }

    /// An order was executed in part or in full.
    pub fn filled(&mut self, order: &ClientOrderId, symbol: &Symbol, side: Side, qty: Qty, price: Price) {
        self.priced(symbol, price);
        if let Some(stake) = self.symbols.get_mut(symbol) {
            stake.held += match side {
                Side::Buy => qty.get(),
                Side::Sell => -qty.get(),
            };
        }
        if let Some(ordered) = self.entries.get_mut(order) {
            ordered.remaining = (ordered.remaining - qty.get()).max(Decimal::ZERO);
        }
    }

    /// An order will buy nothing more: its place is free.
    pub fn release(&mut self, order: &ClientOrderId) {
        self.entries.remove(order);
    }

    /// The notional of everything held and ordered, in USDT; `None` when it is out of range.
    pub fn notional(&self) -> Option<Decimal> {
        let held = self.symbols.values().map(Stake::notional);
        held.chain(self.entries.values().map(Ordered::notional)).try_fold(Decimal::ZERO, add)
    }

    fn notional_of(&self, symbol: &Symbol) -> Option<Decimal> {
        let held = self.symbols.get(symbol).map(Stake::notional);
        let ordered = self.entries.values().filter(|ordered| ordered.symbol == *symbol);
        held.into_iter().chain(ordered.map(Ordered::notional)).try_fold(Decimal::ZERO, add)
    }
}

impl Stake {
    fn notional(&self) -> Option<Decimal> {
        self.held.abs().checked_mul(self.price)
    }
}

impl Ordered {
    fn notional(&self) -> Option<Decimal> {
        self.remaining.checked_mul(self.price)
    }
}

fn add(sum: Decimal, more: Option<Decimal>) -> Option<Decimal> {
    sum.checked_add(more?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: RiskLimits = RiskLimits {
        symbol_notional: Decimal::from_parts(1_000, 0, 0, false, 0),
        exposure: Decimal::TWO,
        entry_share: Decimal::ONE_HUNDRED,
        open_entries: 3,
    };

    fn entry(n: u32, symbol: &str, qty: u32) -> Intent {
        let intent_id: super::super::IntentId = format!("in-{n}").parse().unwrap();
        Intent {
            client_order_id: ClientOrderId::of(&intent_id),
            intent_id,
            symbol: symbol.parse().unwrap(),
            side: Side::Buy,
            qty: Qty::new(qty.into()).unwrap(),
            price: "100".parse().unwrap(),
            reduce_only: false,
        }
    }

    #[test]
    fn a_symbol_fills_up_with_what_is_held_and_what_is_ordered() {
        let mut risk = Risk::new(LIMITS);
        let (equity, a) = (Decimal::from(10_000), entry(1, "A", 6));
        assert_eq!(risk.reserve(&a, equity), Ok(()));
        assert_eq!(risk.reserve(&entry(2, "A", 5), equity), Err(Breach::Symbol(1_100.into())));
        assert_eq!(risk.reserve(&entry(3, "B", 5), equity), Ok(()));
        risk.filled(&a.client_order_id, &a.symbol, Side::Buy, a.qty, a.price);
        risk.release(&a.client_order_id);
        assert_eq!(risk.reserve(&entry(4, "A", 5), equity), Err(Breach::Symbol(1_100.into())));
        risk.filled(&"tw-out".parse().unwrap(), &a.symbol, Side::Sell, a.qty, a.price);
        assert_eq!(risk.reserve(&entry(5, "A", 5), equity), Ok(()));
    }

    #[test]
    fn an_order_that_is_over_leaves_the_room_of_what_it_did_not_buy() {
        let mut risk = Risk::new(LIMITS);
        let a = entry(1, "A", 10);
        risk.reserve(&a, 1_000.into()).unwrap();
        risk.filled(&a.client_order_id, &a.symbol, Side::Buy, "4".parse().unwrap(), a.price);
        assert_eq!(risk.notional(), Some(1_000.into()));
        risk.release(&a.client_order_id);
        assert_eq!(risk.notional(), Some(400.into()));
    }

    #[test]
    fn all_symbols_together_and_the_number_of_entries_are_limited() {
        let mut risk = Risk::new(LIMITS);
        let equity = Decimal::from(600);
        assert_eq!(risk.reserve(&entry(1, "A", 6), equity), Ok(()));
        assert_eq!(risk.reserve(&entry(2, "B", 7), equity), Err(Breach::Exposure(1_300.into())));
        assert_eq!(risk.reserve(&entry(3, "B", 5), equity), Ok(()));
        assert_eq!(risk.reserve(&entry(4, "C", 1), equity), Ok(()));
        assert_eq!(risk.reserve(&entry(5, "D", 0), equity), Err(Breach::OpenEntries(3)));
    }

    #[test]
    fn what_cannot_be_computed_breaks_the_limit() {
        let mut risk = Risk::new(LIMITS);
        risk.set("A".parse().unwrap(), Decimal::MAX, Decimal::TEN);
        assert_eq!(risk.reserve(&entry(1, "A", 1), 1_000.into()), Err(Breach::OutOfRange));
        assert_eq!(Risk::new(LIMITS).reserve(&entry(1, "A", 1), Decimal::MAX), Err(Breach::OutOfRange));
        assert_eq!(Risk::new(LIMITS).budget(Decimal::MAX), Decimal::ZERO);
    }

    proptest! {
        #[test]
        fn no_sequence_of_entries_fills_and_ends_passes_a_limit(
            steps in prop::collection::vec((0..3_u8, 0..2_usize, 1..12_u32, 0..8_usize), 1..200),
        ) {
            let mut risk = Risk::new(LIMITS);
            let equity = Decimal::from(700);
            let mut open: Vec<(Intent, Decimal)> = Vec::new();
            for (n, (step, symbol, qty, which)) in (0..).zip(steps) {
                match step {
                    0 => {
                        let entry = entry(n, ["A", "B"][symbol], qty);
                        if risk.reserve(&entry, equity).is_ok() {
                            open.push((entry.clone(), entry.qty.get()));
                        }
                    }
                    _ if open.is_empty() => {}
                    1 => {
                        let which = which % open.len();
                        let (entry, remaining) = &mut open[which];
                        let part = remaining.min(&mut Decimal::from(qty)).to_owned();
                        risk.filled(&entry.client_order_id, &entry.symbol, Side::Buy, Qty::new(part).unwrap(), entry.price);
                        *remaining -= part;
                    }
                    _ => {
                        let (entry, _) = open.remove(which % open.len());
                        risk.release(&entry.client_order_id);
                    }
                }
                prop_assert!(open.len() <= LIMITS.open_entries);
                prop_assert!(risk.notional().unwrap() <= equity * LIMITS.exposure);
                for symbol in ["A", "B"] {
                    prop_assert!(risk.notional_of(&symbol.parse().unwrap()).unwrap() <= LIMITS.symbol_notional);
                }
            }
        }
    }
}
