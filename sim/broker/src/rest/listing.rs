//! `exchangeInfo`: what is listed, under which rules ("Exchange Information").

use env::WallTime;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::{
    config::SymbolConfig,
    exchange::State,
    limits::{ORDERS_PER_10S, ORDERS_PER_MINUTE, WEIGHT_PER_MINUTE},
};

/// When a perpetual contract is delivered: 2100-12-25, as the venue has it.
const NEVER_MS: i64 = 4_133_404_800_000;
/// When the venue listed its first contract and all accounts were opened: 2019-09-25.
pub(super) const ONBOARD_MS: i64 = 1_569_398_400_000;

pub(super) fn exchange_info(state: &State, now: WallTime) -> String {
    let limit = |kind: &str, interval: &str, number: u32, limit: u32| json!({ "rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit });
    let symbols: Vec<Value> = state.markets.iter().map(|market| symbol(&market.rules)).collect();
    json!({
        "timezone": "UTC",
        "serverTime": now.as_millis(),
        "futuresType": "U_MARGINED",
        "rateLimits": [
            limit("REQUEST_WEIGHT", "MINUTE", 1, WEIGHT_PER_MINUTE),
            limit("ORDERS", "MINUTE", 1, ORDERS_PER_MINUTE),
            limit("ORDERS", "SECOND", 10, ORDERS_PER_10S),
        ],
        "exchangeFilters": [],
        "assets": [{ "asset": "USDT", "marginAvailable": true, "autoAssetExchange": "0" }],
        "symbols": symbols,
    })
    .to_string()
}

fn symbol(rules: &SymbolConfig) -> Value {
    json!({
        "symbol": rules.symbol,
        "pair": rules.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": NEVER_MS,
        "onboardDate": ONBOARD_MS,
        "status": "TRADING",
        "maintMarginPercent": rules.maintenance_rate * Decimal::ONE_HUNDRED,
        "requiredMarginPercent": (Decimal::ONE_HUNDRED / Decimal::from(rules.max_leverage.max(1))).round_dp(4),
        "baseAsset": rules.symbol.strip_suffix("USDT").unwrap_or(&rules.symbol),
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": rules.tick_size.scale(),
        "quantityPrecision": rules.step_size.scale(),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": rules.price_band,
        "liquidationFee": "0",
        "marketTakeBound": rules.price_band,
        "maxMoveOrderLimit": 10_000,
        "filters": filters(rules),
        "orderTypes": [
            "LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET",
        ],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    })
}

fn filters(rules: &SymbolConfig) -> Value {
    json!([
        {
            "filterType": "PRICE_FILTER",
            "minPrice": rules.tick_size,
            "maxPrice": rules.max_price,
            "tickSize": rules.tick_size,
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": rules.min_qty,
            "maxQty": rules.max_qty,
            "stepSize": rules.step_size,
        },
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": rules.min_qty,
            "maxQty": rules.market_max_qty,
            "stepSize": rules.step_size,
        },
        { "filterType": "MAX_NUM_ORDERS", "limit": rules.max_orders },
        { "filterType": "MAX_NUM_ALGO_ORDERS", "limit": rules.max_conditional_orders },
        { "filterType": "MIN_NOTIONAL", "notional": rules.min_notional },
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": Decimal::ONE + rules.price_band,
            "multiplierDown": Decimal::ONE - rules.price_band,
            "multiplierDecimal": "4",
        },
        { "filterType": "POSITION_RISK_CONTROL", "positionControlSide": "NONE" },
    ])
}
