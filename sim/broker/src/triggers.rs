//! The conditional orders of one symbol that wait for their stop prices ("New Order", "Condition orders will be triggered
//! when …").

use std::{cmp::Reverse, collections::BTreeSet};

use rust_decimal::Decimal;

use crate::order::{NewOrder, WorkingType};

/// Waiting orders, by the price they watch and by whether it must rise or fall to their stop price.
#[derive(Debug, Default)]
pub(crate) struct Triggers {
    contract: Watch,
    mark: Watch,
}

#[derive(Debug, Default)]
struct Watch {
    above: BTreeSet<(Decimal, u64)>,
    below: BTreeSet<(Reverse<Decimal>, u64)>,
}

impl Triggers {
    pub fn insert(&mut self, terms: &NewOrder, order: u64) {
        let watch = self.of(terms.working_type);
        if terms.kind.triggers_above(terms.side) {
            watch.above.insert((terms.stop_price, order));
        } else {
            watch.below.insert((Reverse(terms.stop_price), order));
        }
    }

    pub fn remove(&mut self, terms: &NewOrder, order: u64) {
        let watch = self.of(terms.working_type);
        if terms.kind.triggers_above(terms.side) {
            watch.above.remove(&(terms.stop_price, order));
        } else {
            watch.below.remove(&(Reverse(terms.stop_price), order));
        }
    }

    /// Takes out an order that the latest trade's price `last` or the mark price has reached.
    pub fn pop_reached(&mut self, last: Decimal, mark: Decimal) -> Option<u64> {
        self.contract.pop_reached(last).or_else(|| self.mark.pop_reached(mark))
    }

    fn of(&mut self, working_type: WorkingType) -> &mut Watch {
        match working_type {
            WorkingType::Contract => &mut self.contract,
            WorkingType::Mark => &mut self.mark,
        }
    }
}

impl Watch {
    fn pop_reached(&mut self, price: Decimal) -> Option<u64> {
        if self.above.first().is_some_and(|(stop, _)| *stop <= price) {
            return self.above.pop_first().map(|(_, order)| order);
        }
        if self.below.first().is_some_and(|(stop, _)| stop.0 >= price) {
            return self.below.pop_first().map(|(_, order)| order);
        }
        None
    }
}

/// Whether an order with these terms would be triggered at once at `price`.
pub(crate) fn reached(terms: &NewOrder, price: Decimal) -> bool {
    if terms.kind.triggers_above(terms.side) { price >= terms.stop_price } else { price <= terms.stop_price }
}
