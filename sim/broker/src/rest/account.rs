//! What an account has: balance, positions, margin ("Account Endpoints"; fields as their pages list them).
//!
//! The versions differ in their fields: version 3 of positions and accounts leaves out settings, and symbols with neither
//! position nor orders.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{listing::ONBOARD_MS, symbol};
use crate::{
    account::Position,
    error::ApiError,
    fault::Subject,
    margin::{Exposure, Margin, liquidation_price},
    market::Market,
    params::Params,
    replica::View,
    server::Venue,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    AccountV2,
    AccountV3,
    Balance,
    PositionRiskV2,
    PositionRiskV3,
}

impl Endpoint {
    pub fn subject(self) -> Subject {
        match self {
            Self::AccountV2 | Self::AccountV3 => Subject::Account,
            Self::Balance => Subject::Balances,
            Self::PositionRiskV2 | Self::PositionRiskV3 => Subject::Positions,
        }
    }
}

pub(super) fn answer(
    venue: &Venue,
    account: usize,
    endpoint: Endpoint,
    params: &Params<'_>,
) -> Result<String, ApiError> {
    let state = venue.exchange.lock();
    venue.view(&state, account, endpoint.subject(), |view| {
        let statement = Statement::new(view, account);
        Ok(match endpoint {
            Endpoint::AccountV2 => statement.account_v2(),
            Endpoint::AccountV3 => statement.account_v3(),
            Endpoint::Balance => statement.balance(),
            Endpoint::PositionRiskV2 => statement.positions(params, |holding| holding.risk_v2())?,
            Endpoint::PositionRiskV3 => statement.positions(params, |holding| holding.risk_v3())?,
        }
        .to_string())
    })
}

/// An account as a query sees it.
struct Statement<'a> {
    view: &'a View<'a>,
    account: usize,
    margin: Margin,
    exposures: Vec<Exposure>,
}

/// A symbol of an account.
struct Holding<'a> {
    market: &'a Market,
    position: &'a Position,
    exposure: &'a Exposure,
    margin: &'a Margin,
    leverage: u32,
    updated: i64,
}

impl<'a> Statement<'a> {
    fn new(view: &'a View<'a>, account: usize) -> Self {
        let (margin, exposures) = view.funds(account);
        Self { view, account, margin, exposures }
    }

    /// When the account last traded; 0 before it ever did, as a position says that was never open.
    fn updated(&self) -> i64 {
        self.view.changed_at(self.account).as_millis()
    }

    /// When the wallet last changed: when the account was opened, if it has never traded.
    fn asset_updated(&self) -> i64 {
        self.updated().max(ONBOARD_MS)
    }

    fn holdings(&self) -> impl Iterator<Item = Holding<'_>> {
        let holdings = self.view.holdings(self.account);
        self.view.state().markets.iter().zip(&self.exposures).enumerate().map(
            move |(index, (market, exposure))| Holding {
                market,
                position: holdings.position(index),
                exposure,
                margin: &self.margin,
                leverage: holdings.leverage(index),
                updated: self.updated(),
            },
        )
    }

    fn balance(&self) -> Value {
        let Margin { wallet, unrealized, .. } = &self.margin;
        json!([{
            "accountAlias": format!("account-{}", self.account),
            "asset": "USDT",
            "balance": wallet.normalize(),
            "crossWalletBalance": wallet.normalize(),
            "crossUnPnl": unrealized.normalize(),
            "availableBalance": self.margin.available().normalize(),
            "maxWithdrawAmount": self.margin.withdrawable().normalize(),
            "marginAvailable": true,
            "updateTime": self.asset_updated(),
        }])
    }

    fn positions(
        &self,
        params: &Params<'_>,
        show: fn(&Holding<'_>) -> Option<Value>,
    ) -> Result<Value, ApiError> {
        let only = params.text("symbol").map(|_| symbol(self.view.state(), params)).transpose()?;
        let wanted = self.holdings().enumerate().filter(|(index, _)| only.is_none_or(|only| only == *index));
        Ok(wanted.filter_map(|(_, holding)| show(&holding)).collect())
    }

    fn account_v2(&self) -> Value {
        let mut answer = self.totals();
        let settings = json!({
            "feeTier": 0,
            "feeBurn": false,
            "canTrade": true,
            "canDeposit": true,
            "canWithdraw": true,
            "updateTime": 0,
            "multiAssetsMargin": false,
            "tradeGroupId": -1,
            "positions": self.holdings().map(|holding| holding.position_v2()).collect::<Vec<_>>(),
        });
        merge(&mut answer, settings);
        answer["assets"][0]["marginAvailable"] = true.into();
        answer
    }

    fn account_v3(&self) -> Value {
        let mut answer = self.totals();
        let positions: Vec<Value> = self.holdings().filter_map(|holding| holding.position_v3()).collect();
        merge(&mut answer, json!({ "positions": positions }));
        answer
    }

    /// The totals of an account that has one asset, and that asset.
    fn totals(&self) -> Value {
        let margin = &self.margin;
        let wallet = margin.wallet.normalize();
        let unrealized = margin.unrealized.normalize();
        let balance = margin.balance().normalize();
        let initial = margin.initial().normalize();
        let maintenance = margin.maintenance.normalize();
        let of_positions = margin.position_initial.normalize();
        let of_orders = margin.order_initial.normalize();
        let available = margin.available().normalize();
        let withdrawable = margin.withdrawable().normalize();
        json!({
            "totalInitialMargin": initial,
            "totalMaintMargin": maintenance,
            "totalWalletBalance": wallet,
            "totalUnrealizedProfit": unrealized,
            "totalMarginBalance": balance,
            "totalPositionInitialMargin": of_positions,
            "totalOpenOrderInitialMargin": of_orders,
            "totalCrossWalletBalance": wallet,
            "totalCrossUnPnl": unrealized,
            "availableBalance": available,
            "maxWithdrawAmount": withdrawable,
            "assets": [{
                "asset": "USDT",
                "walletBalance": wallet,
                "unrealizedProfit": unrealized,
                "marginBalance": balance,
                "maintMargin": maintenance,
                "initialMargin": initial,
                "positionInitialMargin": of_positions,
                "openOrderInitialMargin": of_orders,
                "crossWalletBalance": wallet,
                "crossUnPnl": unrealized,
                "availableBalance": available,
                "maxWithdrawAmount": withdrawable,
                "updateTime": self.asset_updated(),
            }],
        })
    }
}

impl Holding<'_> {
    fn unrealized(&self) -> Decimal {
        self.position.unrealized(self.market.mark()).normalize()
    }

    /// Whether there is a position or an order that binds margin.
    fn is_active(&self) -> bool {
        !self.exposure.largest().is_zero()
    }

    fn liquidation_price(&self) -> Decimal {
        let price = liquidation_price(self.margin, self.exposure, self.position.amount, self.market.mark());
        price.round_dp(8).normalize()
    }

    /// What all versions say of a position.
    fn common(&self) -> Value {
        json!({
            "symbol": &*self.market.symbol,
            "positionSide": "BOTH",
            "positionAmt": self.position.amount,
            "notional": self.exposure.notional.normalize(),
            "isolatedWallet": "0",
            "updateTime": self.updated,
        })
    }

    fn risk_v2(&self) -> Option<Value> {
        let mut view = self.common();
        let more = json!({
            "entryPrice": self.position.entry_price(),
            "breakEvenPrice": self.position.break_even_price(),
            "markPrice": self.market.mark().normalize(),
            "unRealizedProfit": self.unrealized(),
            "liquidationPrice": self.liquidation_price(),
            "leverage": self.leverage.to_string(),
            "maxNotionalValue": self.market.rules.max_notional,
            "marginType": "cross",
            "isolatedMargin": "0",
            "isAutoAddMargin": "false",
        });
        merge(&mut view, more);
        Some(view)
    }

    fn risk_v3(&self) -> Option<Value> {
        if !self.is_active() {
            return None;
        }
        let mut view = self.common();
        let more = json!({
            "entryPrice": self.position.entry_price(),
            "breakEvenPrice": self.position.break_even_price(),
            "markPrice": self.market.mark().normalize(),
            "unRealizedProfit": self.unrealized(),
            "liquidationPrice": self.liquidation_price(),
            "isolatedMargin": "0",
            "marginAsset": "USDT",
            "adl": 0,
        });
        merge(&mut view, more);
        merge(&mut view, self.margins());
        merge(&mut view, self.orders());
        Some(view)
    }

    fn position_v2(&self) -> Value {
        let mut view = self.common();
        let more = json!({
            "unrealizedProfit": self.unrealized(),
            "leverage": self.leverage.to_string(),
            "isolated": false,
            "entryPrice": self.position.entry_price(),
            "breakEvenPrice": self.position.break_even_price(),
            "maxNotional": self.market.rules.max_notional,
        });
        merge(&mut view, more);
        merge(&mut view, self.margins());
        merge(&mut view, self.orders());
        view
    }

    fn position_v3(&self) -> Option<Value> {
        if !self.is_active() {
            return None;
        }
        let mut view = self.common();
        let more = json!({ "unrealizedProfit": self.unrealized(), "isolatedMargin": "0" });
        merge(&mut view, more);
        let margins = self.margins();
        for name in ["initialMargin", "maintMargin"] {
            view[name] = margins[name].clone();
        }
        Some(view)
    }

    fn margins(&self) -> Value {
        json!({
            "initialMargin": self.exposure.initial().normalize(),
            "maintMargin": self.exposure.maintenance().normalize(),
            "positionInitialMargin": self.exposure.position_initial().normalize(),
            "openOrderInitialMargin": self.exposure.order_initial().normalize(),
        })
    }

    fn orders(&self) -> Value {
        json!({
            "bidNotional": self.exposure.bids.normalize(),
            "askNotional": self.exposure.asks.normalize(),
        })
    }
}

/// Adds the members of the object `more` to the object `all`.
fn merge(all: &mut Value, more: Value) {
    if let (Value::Object(all), Value::Object(more)) = (all, more) {
        all.extend(more);
    }
}
