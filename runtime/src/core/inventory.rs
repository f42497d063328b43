//! What an exit may take: nothing that is not held, and nothing twice.
//!
//! The system is long-only: an entry buys, an exit sells (or buys back a short that should not be). An exit may take what is
//! held minus what the exits under way will take. The own book may lag behind the exchange, so it alone never refuses one: it
//! demands a look at the exchange's positions first ([`Verdict::Ask`]). Deliberately absent: where the positions come from.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::{ClientOrderId, Intent, Qty, Side, Symbol};

/// Whether an exit is covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This much of it is: the whole wish, or what is left.
    Covered(Qty),
    /// The own book holds nothing for it; the exchange's positions decide.
    Ask,
    /// Nothing is held for it: `SKIP_NO_POSITION`.
    NoPosition,
}

/// Which word counts for what is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The own book, from the fills known here.
    OwnBook,
    /// The exchange, asked after the wish arrived: this signed quantity.
    Exchange(Decimal),
}

/// The positions as far as they are known here, and what is promised of them.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    held: BTreeMap<Symbol, Decimal>,
    /// What each exit under way may still take.
    reserved: BTreeMap<ClientOrderId, (Symbol, Side, Decimal)>,
}

impl Inventory {
    /// Sets a position: the booked one, at the start or after a reconciliation.
    pub fn set(&mut self, symbol: Symbol, qty: Decimal) {
        self.held.insert(symbol, qty);
    }

    /// The signed position as known here.
    pub fn held(&self, symbol: &Symbol) -> Decimal {
        self.held.get(symbol).copied().unwrap_or_default()
    }

    /// What orders of this side may still take from a position.
    pub fn available(&self, symbol: &Symbol, side: Side, source: Source) -> Decimal {
        let held = match source {
            Source::OwnBook => self.held(symbol),
            Source::Exchange(held) => held,
        };
        let promises = self.reserved.values().filter(|(of, by, _)| of == symbol && *by == side);
        let promised: Decimal = promises.map(|(_, _, qty)| *qty).sum();
        match side {
            Side::Sell => held - promised,
            Side::Buy => -held - promised,
        }
    }

    /// Whether a wish to take `qty` is covered.
    pub fn covers(&self, symbol: &Symbol, side: Side, qty: Qty, source: Source) -> Verdict {
        let available = self.available(symbol, side, source);
        match (Qty::new(qty.get().min(available)), source) {
            (Ok(covered), _) if !covered.is_zero() => Verdict::Covered(covered),
            (_, Source::OwnBook) => Verdict::Ask,
            (_, Source::Exchange(_)) => Verdict::NoPosition,
        }
    }

    /// Promises what an exit will take.
    pub fn reserve(&mut self, exit: &Intent) {
        let promise = (exit.symbol.clone(), exit.side, exit.qty.get());
        self.reserved.insert(exit.client_order_id.clone(), promise);
    }

    /// An order was executed in part or in full.
    pub fn filled(&mut self, order: &ClientOrderId, symbol: &Symbol, side: Side, qty: Qty) {
        let signed = match side {
            Side::Buy => qty.get(),
            Side::Sell => -qty.get(),
        };
        match self.held.get_mut(symbol) {
            Some(held) => *held += signed,
            None => self.set(symbol.clone(), signed),
        }
        if let Some((_, _, promised)) = self.reserved.get_mut(order) {
            *promised = (*promised - qty.get()).max(Decimal::ZERO);
        }
    }

    /// An order will take nothing more: its promise ends.
    pub fn release(&mut self, order: &ClientOrderId) {
        self.reserved.remove(order);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn symbol() -> Symbol {
        "BTCUSDT".parse().unwrap()
    }

    fn qty(text: &str) -> Qty {
        text.parse().unwrap()
    }

    fn number(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn exit(n: u32, qty: Qty) -> Intent {
        let intent_id: super::super::IntentId = format!("exit-{n}").parse().unwrap();
        Intent {
            client_order_id: ClientOrderId::of(&intent_id),
            intent_id,
            symbol: symbol(),
            side: Side::Sell,
            qty,
            price: "65000".parse().unwrap(),
            reduce_only: true,
        }
    }

    #[test]
    fn an_exit_without_a_holding_is_refused_once_the_exchange_has_none_either() {
        let inventory = Inventory::default();
        assert_eq!(inventory.covers(&symbol(), Side::Sell, qty("0.001"), Source::OwnBook), Verdict::Ask);
        let none = Source::Exchange(Decimal::ZERO);
        assert_eq!(inventory.covers(&symbol(), Side::Sell, qty("0.001"), none), Verdict::NoPosition);
        let short = Source::Exchange(number("-1"));
        assert_eq!(inventory.covers(&symbol(), Side::Sell, qty("0.001"), short), Verdict::NoPosition);
        assert_eq!(
            inventory.covers(&symbol(), Side::Buy, qty("0.001"), short),
            Verdict::Covered(qty("0.001"))
        );
    }

    #[test]
    fn a_stale_book_does_not_block_a_true_exit() {
        let inventory = Inventory::default();
        let held = Source::Exchange(number("0.003"));
        assert_eq!(
            inventory.covers(&symbol(), Side::Sell, qty("0.003"), held),
            Verdict::Covered(qty("0.003"))
        );
        assert_eq!(
            inventory.covers(&symbol(), Side::Sell, qty("0.005"), held),
            Verdict::Covered(qty("0.003"))
        );
    }

    #[test]
    fn what_an_exit_under_way_will_take_is_not_taken_again() {
        let mut inventory = Inventory::default();
        inventory.set(symbol(), number("0.003"));
        let first = exit(1, qty("0.002"));
        inventory.reserve(&first);
        assert_eq!(
            inventory.covers(&symbol(), Side::Sell, qty("0.003"), Source::OwnBook),
            Verdict::Covered(qty("0.001"))
        );
        inventory.filled(&first.client_order_id, &symbol(), Side::Sell, qty("0.001"));
        assert_eq!(inventory.available(&symbol(), Side::Sell, Source::OwnBook), number("0.001"));
        inventory.release(&first.client_order_id);
        assert_eq!(inventory.available(&symbol(), Side::Sell, Source::OwnBook), number("0.002"));
    }

    proptest! {
        #[test]
        fn covered_exits_together_never_exceed_what_was_bought(
            steps in prop::collection::vec((0..3_u8, 1..20_u32, 0..8_usize), 1..100),
        ) {
            let mut inventory = Inventory::default();
            let mut open: Vec<(Intent, u32)> = Vec::new();
            let (mut bought, mut sold) = (0, 0);
            for (n, (step, amount, which)) in (0..).zip(steps) {
                match step {
                    0 => {
                        inventory.filled(&"tw-in".parse().unwrap(), &symbol(), Side::Buy, Qty::new(amount.into()).unwrap());
                        bought += amount;
                    }
                    1 => {
                        let wish = Qty::new(amount.into()).unwrap();
                        if let Verdict::Covered(covered) = inventory.covers(&symbol(), Side::Sell, wish, Source::OwnBook) {
                            let exit = exit(n, covered);
                            inventory.reserve(&exit);
                            open.push((exit, 0));
                        }
                    }
                    _ if open.is_empty() => {}
                    _ => {
                        let (exit, _) = open.remove(which % open.len());
                        inventory.filled(&exit.client_order_id, &symbol(), Side::Sell, exit.qty);
                        inventory.release(&exit.client_order_id);
                        sold += u32::try_from(exit.qty.get()).unwrap();
                    }
                }
                let promised: Decimal = open.iter().map(|(exit, _)| exit.qty.get()).sum();
                prop_assert!(Decimal::from(bought) >= Decimal::from(sold) + promised);
                prop_assert_eq!(inventory.held(&symbol()), Decimal::from(bought) - Decimal::from(sold));
            }
        }
    }
}
