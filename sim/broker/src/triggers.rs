//! The conditional orders of one symbol that wait for their prices ("New Order", "Condition orders will be triggered when …").

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use rust_decimal::Decimal;

use crate::{
    order::{NewOrder, WorkingType},
    trail::Trailing,
};

/// Waiting orders, by the price they watch and by whether it must rise or fall to their stop price, or is followed.
#[derive(Debug, Default)]
pub(crate) struct Triggers {
    contract: Watch,
    mark: Watch,
}

#[derive(Debug, Default)]
struct Watch {
    above: BTreeSet<(Decimal, u64)>,
    below: BTreeSet<(Reverse<Decimal>, u64)>,
    trailing: BTreeMap<u64, Trailing>,
}

impl Triggers {
    /// Lets an order wait; `price` is now what it watches.
    pub fn insert(&mut self, terms: &NewOrder, order: u64, price: Decimal) {
        let watch = self.of(terms.working_type);
        if let Some(trail) = terms.trail {
            watch.trailing.insert(order, Trailing::new(terms.side, trail, price));
        } else if terms.kind.triggers_above(terms.side) {
            watch.above.insert((terms.stop_price, order));
        } else {
            watch.below.insert((Reverse(terms.stop_price), order));
        }
    }

    pub fn remove(&mut self, terms: &NewOrder, order: u64) {
        let watch = self.of(terms.working_type);
        if terms.trail.is_some() {
            watch.trailing.remove(&order);
        } else if terms.kind.triggers_above(terms.side) {
            watch.above.remove(&(terms.stop_price, order));
        } else {
            watch.below.remove(&(Reverse(terms.stop_price), order));
        }
    }

    /// Takes out an order that the latest trade's price `last` or the mark price has reached. After none is left, every
    /// trailing stop has seen the two prices.
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
        let order =
            self.trailing.iter_mut().find_map(|(order, stop)| stop.follow(price).then_some(*order))?;
        self.trailing.remove(&order);
        Some(order)
    }
}

/// Whether an order with these terms would be triggered at once at `price`; of a trailing stop, whether its activation price
/// is already behind it.
pub(crate) fn reached(terms: &NewOrder, price: Decimal) -> bool {
    let rises = terms.kind.triggers_above(terms.side);
    match terms.trail {
        Some(trail) if trail.activation_price.is_zero() => false,
        Some(trail) if rises => trail.activation_price >= price,
        Some(trail) => trail.activation_price <= price,
        None if rises => price >= terms.stop_price,
        None => price <= terms.stop_price,
    }
}
