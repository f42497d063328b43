//! A symbol's trading rules: precision, `PRICE_FILTER`, `LOT_SIZE`, `MIN_NOTIONAL`.

use rust_decimal::Decimal;

use crate::{
    config::SymbolConfig,
    error::ApiError,
    order::{NewOrder, OrderKind},
};

/// Whether `order` keeps the rules. `last` is the latest market price, at which a market order is valued.
pub(crate) fn check(rules: &SymbolConfig, order: &NewOrder, last: Decimal) -> Result<(), ApiError> {
    on_grid(order.quantity, rules.step_size, "LOT_SIZE")?;
    if order.quantity < rules.min_qty || order.quantity > rules.max_qty {
        return Err(ApiError::Filter("LOT_SIZE"));
    }
    let price = match order.kind {
        OrderKind::Market => last,
        OrderKind::Limit => {
            on_grid(order.price, rules.tick_size, "PRICE_FILTER")?;
            if order.price <= Decimal::ZERO || order.price > rules.max_price {
                return Err(ApiError::Filter("PRICE_FILTER"));
            }
            order.price
        }
    };
    if !order.reduce_only && price * order.quantity < rules.min_notional {
        return Err(ApiError::Notional(rules.min_notional));
    }
    Ok(())
}

fn on_grid(value: Decimal, step: Decimal, filter: &'static str) -> Result<(), ApiError> {
    let value = value.normalize();
    if value.scale() > step.normalize().scale() {
        return Err(ApiError::Precision);
    }
    match value.checked_rem(step) {
        Some(rest) if rest.is_zero() => Ok(()),
        _ => Err(ApiError::Filter(filter)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{Side, TimeInForce};

    fn verdict(quantity: &str, price: &str, reduce_only: bool) -> Result<(), ApiError> {
        let rules = SymbolConfig { step_size: Decimal::new(2, 3), ..SymbolConfig::default() };
        let order = NewOrder {
            client_order_id: "c".into(),
            market: 0,
            side: Side::Buy,
            kind: OrderKind::Limit,
            time_in_force: TimeInForce::Gtc,
            quantity: quantity.parse().expect("a decimal"),
            price: price.parse().expect("a decimal"),
            reduce_only,
        };
        check(&rules, &order, Decimal::ONE)
    }

    #[test]
    fn each_rule_is_named_when_it_is_broken() {
        assert_eq!(verdict("0.0100", "42000.10", false), Ok(()));
        assert_eq!(verdict("0.0101", "42000", false), Err(ApiError::Precision));
        assert_eq!(verdict("0.01", "42000.11", false), Err(ApiError::Precision));
        assert_eq!(verdict("0.011", "42000", false), Err(ApiError::Filter("LOT_SIZE")));
        assert_eq!(verdict("0", "42000", false), Err(ApiError::Filter("LOT_SIZE")));
        assert_eq!(verdict("-0.01", "42000", false), Err(ApiError::Filter("LOT_SIZE")));
        assert_eq!(verdict("1002", "42000", false), Err(ApiError::Filter("LOT_SIZE")));
        assert_eq!(verdict("0.01", "0", false), Err(ApiError::Filter("PRICE_FILTER")));
        assert_eq!(verdict("0.01", "1000000.1", false), Err(ApiError::Filter("PRICE_FILTER")));
        assert_eq!(verdict("0.002", "42000", false), Err(ApiError::Notional(Decimal::new(100, 0))));
        assert_eq!(verdict("0.002", "42000", true), Ok(()));
    }

    #[test]
    fn the_largest_numbers_that_can_be_sent_overflow_nothing() {
        let huge = "79228162514264337593543950335";
        assert_eq!(verdict(huge, huge, false), Err(ApiError::Filter("LOT_SIZE")));
        assert_eq!(verdict("1", huge, false), Err(ApiError::Filter("PRICE_FILTER")));
    }
}
