//! A symbol's trading rules: precision, `PRICE_FILTER`, `PERCENT_PRICE`, `LOT_SIZE`, `MARKET_LOT_SIZE`, `MIN_NOTIONAL`
//! ("Exchange Information", `filters`).

use rust_decimal::Decimal;

use crate::{
    config::SymbolConfig,
    error::{ApiError, Filter},
    order::{NewOrder, Side},
    trail::Trail,
};

/// Whether `order` keeps the rules that depend on the symbol alone, and on `mark`, its mark price.
pub(crate) fn check(rules: &SymbolConfig, order: &NewOrder, mark: Decimal) -> Result<(), ApiError> {
    if !order.close_position {
        quantity(rules, order)?;
    }
    if order.kind.has_limit() {
        limit_price(rules, order, mark)?;
    }
    if order.kind.has_stop_price() {
        stop_price(rules, order)?;
    }
    if let Some(trail) = &order.trail {
        activation_price(rules, trail)?;
    }
    let valued_at = if order.kind.has_limit() {
        order.price
    } else if order.kind.has_stop_price() {
        order.stop_price
    } else {
        mark
    };
    if !order.reduces() && valued_at * order.quantity < rules.min_notional {
        return Err(ApiError::Notional(rules.min_notional));
    }
    Ok(())
}

/// The highest price that a buyer, or the lowest that a seller, may trade at when the mark price is `mark`.
pub(crate) fn band(rules: &SymbolConfig, side: Side, mark: Decimal) -> Decimal {
    match side {
        Side::Buy => mark * (Decimal::ONE + rules.price_band),
        Side::Sell => mark * (Decimal::ONE - rules.price_band),
    }
}

fn quantity(rules: &SymbolConfig, order: &NewOrder) -> Result<(), ApiError> {
    let (most, exceeded) = if order.kind.has_limit() {
        (rules.max_qty, Filter::QuantityAboveMax)
    } else {
        (rules.market_max_qty, Filter::MarketQuantityAboveMax)
    };
    precise(order.quantity, rules.step_size)?;
    let broken = if order.quantity <= Decimal::ZERO {
        Filter::QuantityZero
    } else if order.quantity < rules.min_qty {
        Filter::QuantityBelowMin
    } else if order.quantity > most {
        exceeded
    } else if !on_grid(order.quantity, rules.step_size) {
        Filter::StepSize
    } else {
        return Ok(());
    };
    Err(ApiError::Filter(broken))
}

fn limit_price(rules: &SymbolConfig, order: &NewOrder, mark: Decimal) -> Result<(), ApiError> {
    precise(order.price, rules.tick_size)?;
    let broken = if order.price < Decimal::ZERO {
        Filter::PriceBelowZero
    } else if order.price < rules.tick_size {
        Filter::PriceBelowMin
    } else if order.price > rules.max_price {
        Filter::PriceAboveMax
    } else if !on_grid(order.price, rules.tick_size) {
        Filter::TickSize
    } else {
        return in_band(rules, order, mark);
    };
    Err(ApiError::Filter(broken))
}

/// The limit of a conditional order is measured from its stop price, where the market will be when it counts.
fn in_band(rules: &SymbolConfig, order: &NewOrder, mark: Decimal) -> Result<(), ApiError> {
    let middle = if order.kind.is_conditional() { order.stop_price } else { mark };
    let bound = band(rules, order.side, middle);
    if order.side.accepts(bound, order.price) {
        return Ok(());
    }
    let shown = bound.round_dp(rules.tick_size.scale());
    Err(ApiError::Filter(match order.side {
        Side::Buy => Filter::BandTop(shown),
        Side::Sell => Filter::BandBottom(shown),
    }))
}

fn stop_price(rules: &SymbolConfig, order: &NewOrder) -> Result<(), ApiError> {
    precise(order.stop_price, rules.tick_size)?;
    let broken = if order.stop_price <= Decimal::ZERO {
        Filter::StopBelowZero
    } else if order.stop_price > rules.max_price {
        Filter::StopAboveMax
    } else if !on_grid(order.stop_price, rules.tick_size) {
        Filter::TickSize
    } else {
        return Ok(());
    };
    Err(ApiError::Filter(broken))
}

/// Zero stands for the latest price.
fn activation_price(rules: &SymbolConfig, trail: &Trail) -> Result<(), ApiError> {
    let price = trail.activation_price;
    precise(price, rules.tick_size)?;
    if price > rules.max_price || !on_grid(price, rules.tick_size) {
        return Err(ApiError::ActivationPrice);
    }
    Ok(())
}

/// Numbers may have no more decimals than the step that they are multiples of.
fn precise(value: Decimal, step: Decimal) -> Result<(), ApiError> {
    if value.normalize().scale() > step.normalize().scale() { Err(ApiError::Precision) } else { Ok(()) }
}

fn on_grid(value: Decimal, step: Decimal) -> bool {
    value.checked_rem(step).is_some_and(|rest| rest.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{OrderKind, TimeInForce, WorkingType};

    fn dec(text: &str) -> Decimal {
        text.parse().expect("a decimal")
    }

    fn order(kind: OrderKind, quantity: &str, price: &str, stop_price: &str) -> NewOrder {
        NewOrder {
            client_order_id: "c".into(),
            market: 0,
            side: Side::Buy,
            kind,
            time_in_force: TimeInForce::Gtc,
            quantity: dec(quantity),
            price: dec(price),
            reduce_only: false,
            stop_price: dec(stop_price),
            trail: None,
            working_type: WorkingType::Contract,
            close_position: false,
            algo: false,
        }
    }

    fn verdict(order: &NewOrder) -> Result<(), ApiError> {
        let rules = SymbolConfig { step_size: Decimal::new(2, 3), ..SymbolConfig::default() };
        check(&rules, order, dec("42000"))
    }

    fn limit(quantity: &str, price: &str) -> Result<(), ApiError> {
        verdict(&order(OrderKind::Limit, quantity, price, "0"))
    }

    #[test]
    fn each_rule_is_named_when_it_is_broken() {
        let broken = |filter| Err(ApiError::Filter(filter));
        assert_eq!(limit("0.0100", "42000.10"), Ok(()));
        assert_eq!(limit("0.0101", "42000"), Err(ApiError::Precision));
        assert_eq!(limit("0.01", "42000.11"), Err(ApiError::Precision));
        assert_eq!(limit("0.011", "42000"), broken(Filter::StepSize));
        assert_eq!(limit("0", "42000"), broken(Filter::QuantityZero));
        assert_eq!(limit("-0.01", "42000"), broken(Filter::QuantityZero));
        assert_eq!(limit("1002", "42000"), broken(Filter::QuantityAboveMax));
        assert_eq!(limit("0.01", "-1"), broken(Filter::PriceBelowZero));
        assert_eq!(limit("0.01", "0"), broken(Filter::PriceBelowMin));
        assert_eq!(limit("0.01", "1000000.1"), broken(Filter::PriceAboveMax));
        assert_eq!(limit("0.01", "44100.1"), broken(Filter::BandTop(dec("44100.0"))));
        assert_eq!(limit("0.01", "10000"), Ok(()), "who wants to pay less may");
        assert_eq!(limit("0.002", "42000"), Err(ApiError::Notional(Decimal::new(100, 0))));
    }

    #[test]
    fn who_only_reduces_may_trade_small_and_market_orders_may_not_be_as_large_as_others() {
        let small = NewOrder { reduce_only: true, ..order(OrderKind::Limit, "0.002", "42000", "0") };
        assert_eq!(verdict(&small), Ok(()));
        assert_eq!(limit("200", "42000"), Ok(()));
        let market = verdict(&order(OrderKind::Market, "200", "0", "0"));
        assert_eq!(market, Err(ApiError::Filter(Filter::MarketQuantityAboveMax)));
    }

    #[test]
    fn stop_prices_are_prices_and_a_limit_behind_one_is_measured_from_it() {
        let stop = |price, stop| verdict(&order(OrderKind::Stop, "0.01", price, stop));
        assert_eq!(stop("60000", "60000"), Ok(()));
        assert_eq!(stop("64000", "60000"), Err(ApiError::Filter(Filter::BandTop(dec("63000.0")))));
        assert_eq!(stop("60000", "60000.01"), Err(ApiError::Precision));
        assert_eq!(
            verdict(&order(OrderKind::StopMarket, "0.01", "0", "0")),
            Err(ApiError::Filter(Filter::StopBelowZero))
        );
    }

    #[test]
    fn the_largest_numbers_that_can_be_sent_overflow_nothing() {
        let huge = "79228162514264337593543950335";
        assert_eq!(limit(huge, huge), Err(ApiError::Filter(Filter::QuantityAboveMax)));
        assert_eq!(limit("1", huge), Err(ApiError::Filter(Filter::PriceAboveMax)));
        let stop = verdict(&order(OrderKind::StopMarket, "1", "0", huge));
        assert_eq!(stop, Err(ApiError::Filter(Filter::StopAboveMax)));
    }
}
