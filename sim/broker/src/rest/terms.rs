//! Reads an order from a request ("New Order"): which parameters each type needs, and which words they may be.
//!
//! Deliberately absent: good-till-date, hedge mode, `priceMatch` and self-trade prevention; who asks for one of them is refused.

use std::sync::Arc;

use rust_decimal::Decimal;

use crate::{
    error::ApiError,
    order::{NewOrder, OrderKind, Side, TimeInForce, WorkingType},
    params::Params,
    trail::Trail,
};

/// Where an order is placed. The two doors take the same terms under names of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// `POST /fapi/v1/order`.
    Order,
    /// `POST /fapi/v1/algoOrder`, for conditional orders only ("New Algo Order").
    Algo,
}

impl Door {
    pub fn client_order_id(self) -> &'static str {
        match self {
            Self::Order => "newClientOrderId",
            Self::Algo => "clientAlgoId",
        }
    }

    fn stop_price(self) -> &'static str {
        match self {
            Self::Order => "stopPrice",
            Self::Algo => "triggerPrice",
        }
    }

    fn activation_price(self) -> &'static str {
        match self {
            Self::Order => "activationPrice",
            Self::Algo => "activatePrice",
        }
    }

    /// Whether an order may come through it.
    fn check(self, params: &Params<'_>, kind: OrderKind) -> Result<(), ApiError> {
        match self {
            Self::Order => Ok(()),
            Self::Algo if params.required("algoType")? != "CONDITIONAL" => {
                Err(ApiError::BadParameter("algoType"))
            }
            Self::Algo if !kind.is_conditional() => Err(ApiError::OrderType),
            Self::Algo => Ok(()),
        }
    }
}

pub(super) fn read(
    market: usize,
    client_order_id: Arc<str>,
    params: &Params<'_>,
    door: Door,
) -> Result<NewOrder, ApiError> {
    let side = Side::from_word(params.required("side")?).ok_or(ApiError::Side)?;
    let kind = kind(params.required("type")?)?;
    door.check(params, kind)?;
    refuse_unsupported(params)?;
    let close_position = params.parsed("closePosition")?.unwrap_or(false);
    let reduce_only = params.parsed("reduceOnly")?.unwrap_or(false);
    let quantity = quantity(params, kind, close_position)?;
    if close_position && reduce_only {
        return Err(ApiError::NotRequired("reduceonly"));
    }
    let price = match (kind.has_limit(), params.text("price")) {
        (true, _) => params.required_parsed("price")?,
        (false, Some(_)) => return Err(ApiError::NotRequired("price")),
        (false, None) => Decimal::ZERO,
    };
    let stop_price = match (kind.has_stop_price(), params.text(door.stop_price())) {
        (true, _) => params.required_parsed(door.stop_price())?,
        (false, Some(_)) => return Err(ApiError::NotRequired("stopprice")),
        (false, None) => Decimal::ZERO,
    };
    Ok(NewOrder {
        client_order_id,
        market,
        side,
        kind,
        time_in_force: time_in_force(params, kind)?,
        quantity,
        price,
        reduce_only,
        stop_price,
        trail: trail(params, kind, door)?,
        working_type: working_type(params)?,
        close_position,
        algo: door == Door::Algo,
    })
}

fn kind(word: &str) -> Result<OrderKind, ApiError> {
    match OrderKind::from_word(word) {
        Some(OrderKind::Liquidation) | None => Err(ApiError::OrderType),
        Some(kind) => Ok(kind),
    }
}

/// Asking for what is not simulated is an error, so that nobody relies on it.
fn refuse_unsupported(params: &Params<'_>) -> Result<(), ApiError> {
    if params.text("positionSide").is_some_and(|side| side != "BOTH") {
        return Err(ApiError::PositionSide);
    }
    if params.text("priceMatch").is_some_and(|word| word != "NONE") {
        return Err(ApiError::BadParameter("priceMatch"));
    }
    if params.text("selfTradePreventionMode").is_some_and(|word| word != "NONE") {
        return Err(ApiError::BadParameter("selfTradePreventionMode"));
    }
    if params.parsed::<bool>("priceProtect")?.unwrap_or(false) {
        return Err(ApiError::BadParameter("priceProtect"));
    }
    Ok(())
}

fn quantity(params: &Params<'_>, kind: OrderKind, close_position: bool) -> Result<Decimal, ApiError> {
    if !close_position {
        return params.required_parsed("quantity");
    }
    if !matches!(kind, OrderKind::StopMarket | OrderKind::TakeProfitMarket) {
        return Err(ApiError::CloseKind(kind.word()));
    }
    match params.parsed::<Decimal>("quantity")? {
        Some(quantity) if !quantity.is_zero() => Err(ApiError::CloseQuantity),
        _ => Ok(Decimal::ZERO),
    }
}

/// Limit orders must say how long they live; others are good till cancelled, which for a market order means nothing.
fn time_in_force(params: &Params<'_>, kind: OrderKind) -> Result<TimeInForce, ApiError> {
    let word = match (kind, params.text("timeInForce")) {
        (OrderKind::Limit, _) => params.required("timeInForce")?,
        (_, Some(word)) => word,
        (_, None) => return Ok(TimeInForce::Gtc),
    };
    let life = TimeInForce::from_word(word).ok_or(ApiError::TimeInForce)?;
    match kind {
        OrderKind::Market => Err(ApiError::NotRequired("timeinforce")),
        _ => Ok(life),
    }
}

/// The callback rate is in steps of 0.1 per cent, from 0.1 to 10.
fn trail(params: &Params<'_>, kind: OrderKind, door: Door) -> Result<Option<Trail>, ApiError> {
    if kind != OrderKind::TrailingStopMarket {
        let surplus = [("callbackRate", "callbackrate"), (door.activation_price(), "activationprice")]
            .into_iter()
            .find(|(name, _)| params.text(name).is_some());
        return surplus.map_or(Ok(None), |(_, shown)| Err(ApiError::NotRequired(shown)));
    }
    let callback_rate: Decimal = params.required_parsed("callbackRate")?;
    if callback_rate.normalize().scale() > 1 || !(Decimal::new(1, 1)..=Decimal::TEN).contains(&callback_rate)
    {
        return Err(ApiError::CallbackRate);
    }
    let activation_price = params.parsed(door.activation_price())?;
    if activation_price == Some(Decimal::ZERO) {
        return Err(ApiError::ActivationPrice);
    }
    Ok(Some(Trail { activation_price: activation_price.unwrap_or_default(), callback_rate }))
}

fn working_type(params: &Params<'_>) -> Result<WorkingType, ApiError> {
    let word = params.text("workingType").map(WorkingType::from_word);
    word.unwrap_or(Some(WorkingType::Contract)).ok_or(ApiError::BadParameter("workingType"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(query: &str) -> Result<NewOrder, ApiError> {
        read(0, "c".into(), &Params::parse(query, ""), Door::Order)
    }

    fn refusal(query: &str) -> ApiError {
        order(query).expect_err("the order is malformed")
    }

    #[test]
    fn each_malformed_parameter_has_its_own_refusal() {
        assert_eq!(refusal("type=MARKET&quantity=1"), ApiError::MissingParameter("side"));
        assert_eq!(refusal("side=HOLD&type=MARKET&quantity=1"), ApiError::Side);
        assert_eq!(refusal("side=BUY&type=LIQUIDATION&quantity=1"), ApiError::OrderType);
        assert_eq!(
            refusal("side=BUY&type=LIMIT&quantity=1&price=1"),
            ApiError::MissingParameter("timeInForce")
        );
        let limit = "side=BUY&type=LIMIT&quantity=1&timeInForce=";
        assert_eq!(refusal(&format!("{limit}DAY&price=1")), ApiError::TimeInForce);
        assert_eq!(refusal(&format!("{limit}GTC")), ApiError::MissingParameter("price"));
        assert_eq!(refusal(&format!("{limit}GTC&price=1&stopPrice=1")), ApiError::NotRequired("stopprice"));
        let market = "side=BUY&type=MARKET&quantity=1";
        assert_eq!(refusal(&format!("{market}&price=1")), ApiError::NotRequired("price"));
        assert_eq!(refusal(&format!("{market}&timeInForce=GTC")), ApiError::NotRequired("timeinforce"));
        assert_eq!(refusal(&format!("{market}&workingType=INDEX")), ApiError::BadParameter("workingType"));
    }

    #[test]
    fn a_conditional_order_needs_a_stop_price_and_may_close_whatever_there_is() {
        let stop = "side=SELL&type=STOP_MARKET";
        assert_eq!(refusal(&format!("{stop}&quantity=1")), ApiError::MissingParameter("stopPrice"));
        assert_eq!(
            refusal("side=SELL&type=STOP&quantity=1&stopPrice=2"),
            ApiError::MissingParameter("price")
        );
        let close = order(&format!("{stop}&stopPrice=2&closePosition=true&workingType=MARK_PRICE"));
        let close = close.expect("a good order");
        assert!(close.close_position && close.quantity.is_zero());
        assert_eq!((close.working_type, close.stop_price), (WorkingType::Mark, Decimal::TWO));
        let with = |more: &str| refusal(&format!("{stop}&stopPrice=2&closePosition=true&{more}"));
        assert_eq!(with("quantity=1"), ApiError::CloseQuantity);
        assert_eq!(with("reduceOnly=true"), ApiError::NotRequired("reduceonly"));
        assert_eq!(refusal("side=SELL&type=MARKET&closePosition=true"), ApiError::CloseKind("MARKET"));
    }

    #[test]
    fn the_algo_service_takes_conditional_orders_under_its_own_names() {
        let algo = |query: &str| read(0, "c".into(), &Params::parse(query, ""), Door::Algo);
        let refusal = |query: &str| algo(query).expect_err("the order is malformed");
        let stop = "side=SELL&type=STOP_MARKET&quantity=1&triggerPrice=2";
        assert_eq!(refusal(stop), ApiError::MissingParameter("algoType"));
        assert_eq!(refusal(&format!("{stop}&algoType=VP")), ApiError::BadParameter("algoType"));
        let order = algo(&format!("{stop}&algoType=CONDITIONAL")).expect("a good order");
        assert!(order.algo && order.stop_price == Decimal::TWO);
        let market = "side=SELL&type=MARKET&quantity=1&algoType=CONDITIONAL";
        assert_eq!(refusal(market), ApiError::OrderType);
        let trail = "side=SELL&type=TRAILING_STOP_MARKET&quantity=1&algoType=CONDITIONAL&callbackRate=1";
        let trail = algo(&format!("{trail}&activatePrice=9")).expect("a good order").trail;
        assert_eq!(trail.map(|trail| trail.activation_price), Some(Decimal::from(9)));
    }

    #[test]
    fn a_trailing_stop_needs_a_callback_rate_of_a_tenth_to_ten_per_cent() {
        let stop = "side=SELL&type=TRAILING_STOP_MARKET&quantity=1";
        assert_eq!(refusal(stop), ApiError::MissingParameter("callbackRate"));
        for rate in ["0", "0.09", "0.15", "10.1"] {
            assert_eq!(refusal(&format!("{stop}&callbackRate={rate}")), ApiError::CallbackRate, "{rate}");
        }
        let trail = |query: &str| order(query).expect("a good order").trail.expect("it trails");
        let open = trail(&format!("{stop}&callbackRate=10.0"));
        assert_eq!((open.activation_price, open.callback_rate), (Decimal::ZERO, Decimal::TEN));
        let stop = format!("{stop}&callbackRate=0.1&activationPrice=");
        assert_eq!(trail(&format!("{stop}7")).activation_price, Decimal::from(7));
        assert_eq!(refusal(&format!("{stop}0")), ApiError::ActivationPrice);
        assert_eq!(refusal(&format!("{stop}7&stopPrice=1")), ApiError::NotRequired("stopprice"));
        assert_eq!(
            refusal(&format!("{stop}7&closePosition=true")),
            ApiError::CloseKind("TRAILING_STOP_MARKET")
        );
        let market = "side=BUY&type=MARKET&quantity=1&callbackRate=1";
        assert_eq!(refusal(market), ApiError::NotRequired("callbackrate"));
    }

    #[test]
    fn what_is_not_simulated_is_refused_by_name() {
        let market = "side=BUY&type=MARKET&quantity=1";
        assert_eq!(refusal(&format!("{market}&positionSide=LONG")), ApiError::PositionSide);
        assert_eq!(refusal(&format!("{market}&priceMatch=QUEUE")), ApiError::BadParameter("priceMatch"));
        let prevention = format!("{market}&selfTradePreventionMode=EXPIRE_TAKER");
        assert_eq!(refusal(&prevention), ApiError::BadParameter("selfTradePreventionMode"));
        assert!(order(&format!("{market}&positionSide=BOTH&priceMatch=NONE")).is_ok());
    }
}
