//! What an account chooses and what it may expect: leverage, modes, fees, brackets, countdown.
//!
//! Of the modes there is one each – cross margin, one-way, single-asset: to ask for it is refused as unnecessary, as at the
//! venue, and to ask for another as unsupported.

use std::time::Duration;

use env::WallTime;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::symbol;
use crate::{error::ApiError, exchange::State, fault::Subject, params::Params, server::Venue};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    AssetsMode,
    CommissionRate,
    Countdown,
    LeverageBracket,
    PositionMode,
    SetAssetsMode,
    SetLeverage,
    SetMarginType,
    SetPositionMode,
}

impl Endpoint {
    pub fn weight(self) -> u32 {
        match self {
            Self::AssetsMode | Self::PositionMode => 30,
            Self::CommissionRate => 20,
            Self::Countdown => 10,
            Self::LeverageBracket
            | Self::SetAssetsMode
            | Self::SetLeverage
            | Self::SetMarginType
            | Self::SetPositionMode => 1,
        }
    }

    pub fn subject(self) -> Subject {
        match self {
            Self::Countdown => Subject::Orders { reduces: true },
            _ => Subject::Account,
        }
    }
}

pub(super) fn answer(
    venue: &Venue,
    now: WallTime,
    account: usize,
    endpoint: Endpoint,
    params: &Params<'_>,
) -> Result<String, ApiError> {
    let mut state = venue.exchange.lock();
    let answer = match endpoint {
        Endpoint::AssetsMode => json!({ "multiAssetsMargin": false }),
        Endpoint::CommissionRate => commission_rate(&state, params)?,
        Endpoint::Countdown => {
            let answer = countdown(&mut state, account, params)?;
            venue.countdown_set.notify_one();
            answer
        }
        Endpoint::LeverageBracket => leverage_brackets(&state, params)?,
        Endpoint::PositionMode => json!({ "dualSidePosition": false }),
        Endpoint::SetAssetsMode => {
            let other = params.required_parsed("multiAssetsMargin")?;
            return Err(if other { ApiError::MultiAssets } else { ApiError::SameAssetsMode });
        }
        Endpoint::SetLeverage => set_leverage(venue, &mut state, now, account, params)?,
        Endpoint::SetMarginType => {
            symbol(&state, params)?;
            return Err(match params.required("marginType")? {
                "CROSSED" => ApiError::SameMarginType,
                "ISOLATED" => ApiError::IsolatedMargin,
                _ => ApiError::BadParameter("marginType"),
            });
        }
        Endpoint::SetPositionMode => {
            let other = params.required_parsed("dualSidePosition")?;
            return Err(if other { ApiError::HedgeMode } else { ApiError::SamePositionMode });
        }
    };
    Ok(answer.to_string())
}

fn set_leverage(
    venue: &Venue,
    state: &mut State,
    now: WallTime,
    account: usize,
    params: &Params<'_>,
) -> Result<Value, ApiError> {
    let market = symbol(state, params)?;
    let leverage: u32 = params.required_parsed("leverage")?;
    let update = state.set_leverage(now, account, market, leverage)?;
    venue.tell(state, &[update]);
    let of = &state.markets[market];
    Ok(json!({ "symbol": &*of.symbol, "leverage": leverage, "maxNotionalValue": of.rules.max_notional }))
}

/// "Auto-Cancel All Open Orders".
fn countdown(state: &mut State, account: usize, params: &Params<'_>) -> Result<Value, ApiError> {
    let market = symbol(state, params)?;
    let millis: u64 = params.required_parsed("countdownTime")?;
    state.countdowns.set(account, market, Instant::now(), Duration::from_millis(millis));
    Ok(json!({ "symbol": &*state.markets[market].symbol, "countdownTime": millis.to_string() }))
}

fn commission_rate(state: &State, params: &Params<'_>) -> Result<Value, ApiError> {
    let market = &state.markets[symbol(state, params)?];
    Ok(json!({
        "symbol": &*market.symbol,
        "makerCommissionRate": market.rules.maker_fee,
        "takerCommissionRate": market.rules.taker_fee,
    }))
}

/// One bracket per symbol ("Notional and Leverage Brackets").
fn leverage_brackets(state: &State, params: &Params<'_>) -> Result<Value, ApiError> {
    let only = params.text("symbol").map(|_| symbol(state, params)).transpose()?;
    let listed = state.markets.iter().enumerate().filter(|(index, _)| only.is_none_or(|only| only == *index));
    let brackets = listed.map(|(_, market)| {
        let rules = &market.rules;
        json!({
            "symbol": &*market.symbol,
            "brackets": [{
                "bracket": 1,
                "initialLeverage": rules.max_leverage,
                "notionalCap": rules.max_notional.to_u64(),
                "notionalFloor": 0,
                "maintMarginRatio": rules.maintenance_rate.to_f64(),
                "cum": 0.0,
            }],
        })
    });
    Ok(brackets.collect())
}
