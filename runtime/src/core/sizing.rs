//! How much an order may be: what is wanted, what the risk budget pays for, and what the exchange's filters admit.
//!
//! Every amount is an exact decimal, so that there is no NaN to compare false; what cannot be computed is no trade.

use rust_decimal::Decimal;

use super::{Price, Qty};

/// The exchange's filters of a symbol ("Exchange Information", `LOT_SIZE`, `MARKET_LOT_SIZE`, `MIN_NOTIONAL`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filters {
    /// Quantities are multiples of this.
    pub step: Decimal,
    /// The smallest quantity.
    pub min_qty: Decimal,
    /// The largest quantity of a market order.
    pub max_qty: Decimal,
    /// The smallest price × quantity of an entry, in USDT.
    pub min_notional: Decimal,
}

/// Why nothing is traded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTrade {
    /// There is no budget, or nothing is wanted.
    #[error("there is nothing to spend")]
    Nothing,
    /// Less than the exchange trades.
    #[error("{0} is below the smallest quantity")]
    BelowStep(Decimal),
    /// Worth less than the exchange trades.
    #[error("{0} USDT are below the smallest notional")]
    BelowNotional(Decimal),
    /// Not computable.
    #[error("the quantity is out of range")]
    OutOfRange,
}

/// The quantity of an entry: what is wanted, but no more than `budget` (USDT) pays for, in whole steps.
///
/// # Errors
/// There is no such quantity.
pub fn entry(wanted: Qty, price: Price, budget: Decimal, filters: &Filters) -> Result<Qty, NoTrade> {
    if wanted.is_zero() || budget <= Decimal::ZERO {
        return Err(NoTrade::Nothing);
    }
    let affordable = budget.checked_div(price.get()).ok_or(NoTrade::OutOfRange)?;
    let qty = whole_steps(wanted.get().min(affordable), filters)?;
    let notional = qty.get().checked_mul(price.get()).ok_or(NoTrade::OutOfRange)?;
    if notional < filters.min_notional { Err(NoTrade::BelowNotional(notional)) } else { Ok(qty) }
}

/// The quantity of an exit: what is held for it, in whole steps. An exit need have no least notional ("Error Codes", −4164).
///
/// # Errors
/// There is no such quantity; what is left is dust.
pub fn exit(held: Qty, filters: &Filters) -> Result<Qty, NoTrade> {
    if held.is_zero() { Err(NoTrade::Nothing) } else { whole_steps(held.get(), filters) }
}

fn whole_steps(qty: Decimal, filters: &Filters) -> Result<Qty, NoTrade> {
    let capped = qty.min(filters.max_qty);
    let steps = capped.checked_div(filters.step).ok_or(NoTrade::OutOfRange)?.floor();
    let whole = steps.checked_mul(filters.step).ok_or(NoTrade::OutOfRange)?;
    if whole < filters.min_qty || whole <= Decimal::ZERO {
        return Err(NoTrade::BelowStep(qty));
    }
    Qty::new(whole).map_err(|_| NoTrade::OutOfRange)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filters() -> Filters {
        let number = |text: &str| text.parse().unwrap();
        Filters {
            step: number("0.001"),
            min_qty: number("0.001"),
            max_qty: number("120"),
            min_notional: number("100"),
        }
    }

    fn sized(wanted: &str, price: &str, budget: &str) -> Result<String, NoTrade> {
        let budget = budget.parse().unwrap();
        entry(wanted.parse().unwrap(), price.parse().unwrap(), budget, &filters()).map(|qty| qty.to_string())
    }

    #[test]
    fn an_entry_is_what_is_wanted_as_far_as_the_budget_pays_in_whole_steps() {
        assert_eq!(sized("0.003", "42000", "1000"), Ok("0.003".into()));
        assert_eq!(sized("1", "42000", "1000"), Ok("0.023".into()));
        assert_eq!(sized("0.0039", "42000", "1000"), Ok("0.003".into()));
        assert_eq!(sized("1000000000000", "1", "1000000000000"), Ok("120".into()));
    }

    #[test]
    fn what_is_nothing_too_little_or_not_computable_is_no_trade() {
        assert_eq!(sized("0", "42000", "1000"), Err(NoTrade::Nothing));
        assert_eq!(sized("1", "42000", "0"), Err(NoTrade::Nothing));
        assert_eq!(sized("1", "42000", "-5"), Err(NoTrade::Nothing));
        assert!(matches!(sized("1", "42000", "10"), Err(NoTrade::BelowStep(_))));
        assert!(matches!(sized("0.002", "42000", "1000"), Err(NoTrade::BelowNotional(_))));
        let tiny = sized("1", "0.000000000001", "79228162514264337593543950335");
        assert_eq!(tiny, Err(NoTrade::OutOfRange));
        let broken = Filters { step: Decimal::ZERO, ..filters() };
        assert_eq!(exit("1".parse().unwrap(), &broken), Err(NoTrade::OutOfRange));
    }

    #[test]
    fn an_exit_may_be_worth_little_but_not_less_than_a_step() {
        assert_eq!(exit("0.0015".parse().unwrap(), &filters()), Ok("0.001".parse().unwrap()));
        assert!(matches!(exit("0.0005".parse().unwrap(), &filters()), Err(NoTrade::BelowStep(_))));
        assert_eq!(exit(Qty::ZERO, &filters()), Err(NoTrade::Nothing));
    }

    proptest! {
        #[test]
        fn an_entry_exceeds_neither_wish_nor_budget_and_passes_the_filters(
            wanted in 0..10_000_000_u64, price in 1..100_000_000_u64, budget in -1_000..10_000_000_i64,
        ) {
            let (wanted, price) = (Decimal::new(wanted as i64, 4), Decimal::new(price as i64, 2));
            let budget = Decimal::new(budget, 1);
            let sized = entry(Qty::new(wanted).unwrap(), Price::new(price).unwrap(), budget, &filters());
            if let Ok(qty) = sized {
                let qty = qty.get();
                prop_assert!(qty > Decimal::ZERO && qty <= wanted && qty * price <= budget);
                prop_assert!((qty % filters().step).is_zero() && qty * price >= filters().min_notional);
            }
        }
    }
}
