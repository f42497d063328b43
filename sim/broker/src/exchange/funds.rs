//! What an account has and owes: its margin, and whether it covers an order.

use rust_decimal::Decimal;

use super::{Preview, State};
use crate::{
    account::Holdings,
    error::ApiError,
    margin::{Exposure, Margin},
    market::Market,
    order::{NewOrder, Order, Side},
};

impl State {
    /// What an account binds in a market, leaving out the order with id `except`.
    pub fn exposure(&self, account: usize, market: usize, except: Option<u64>) -> Exposure {
        let orders = self.open_orders(account).filter(|order| Some(order.id) != except);
        exposure(&self.markets, &self.holdings[account], market, orders)
    }

    /// An account's margin over all markets.
    pub fn margin(&self, account: usize) -> Margin {
        let mut margin = Margin {
            wallet: self.holdings[account].wallet,
            unrealized: self.unrealized(account),
            ..Margin::default()
        };
        for market in 0..self.markets.len() {
            margin += &self.exposure(account, market, None);
        }
        margin
    }

    /// Whether the account can afford an order that would trade as `preview` says and then rest. An order that can only shrink
    /// the position is always affordable. `except` is the order that this one replaces.
    pub(super) fn check_funds(
        &self,
        account: usize,
        terms: &NewOrder,
        preview: &Preview,
        except: Option<u64>,
    ) -> Result<(), ApiError> {
        if terms.reduces() || self.only_reduces(account, terms, except) {
            return Ok(());
        }
        let (market, mark) = (&self.markets[terms.market], self.markets[terms.market].mark());
        let before = self.exposure(account, terms.market, except);
        let (quantity, own) = match terms.limit() {
            Some(limit) => (terms.quantity, terms.quantity * limit),
            None => (preview.quantity, preview.quote),
        };
        let at_mark = quantity * mark;
        let (value, open_loss, after) = match terms.side {
            Side::Buy => (own, own - at_mark, Exposure { bids: before.bids + own, ..before }),
            Side::Sell => {
                let value = own.max(at_mark);
                (value, at_mark - own, Exposure { asks: before.asks + value, ..before })
            }
        };
        if after.largest() > market.rules.max_notional && after.largest() > before.largest() {
            return Err(ApiError::MaxPosition);
        }
        let fee = value * market.rules.taker_fee.max(market.rules.maker_fee);
        let cost = after.initial() - before.initial() + open_loss.max(Decimal::ZERO) + fee;
        let margin = self.margin(account);
        let replaced = match except {
            Some(_) => self.exposure(account, terms.market, None).initial() - before.initial(),
            None => Decimal::ZERO,
        };
        if cost > margin.free() + replaced { Err(ApiError::Margin) } else { Ok(()) }
    }

    /// Whether an order together with the older ones on its side can at most close the position.
    fn only_reduces(&self, account: usize, terms: &NewOrder, except: Option<u64>) -> bool {
        let reducible = self.holdings[account].position(terms.market).reducible(terms.side);
        if reducible < terms.quantity {
            return false;
        }
        let same = |order: &&Order| {
            order.terms.market == terms.market
                && order.terms.side == terms.side
                && !order.is_waiting()
                && Some(order.id) != except
        };
        let others: Decimal = self.open_orders(account).filter(same).map(Order::remaining).sum();
        others + terms.quantity <= reducible
    }

    fn unrealized(&self, account: usize) -> Decimal {
        unrealized(&self.markets, &self.holdings[account])
    }
}

/// Profit of open positions at the mark prices, in USDT.
pub(crate) fn unrealized(markets: &[Market], holdings: &Holdings) -> Decimal {
    let of = |(index, market): (usize, &Market)| holdings.position(index).unrealized(market.mark());
    markets.iter().enumerate().map(of).sum()
}

/// What a position and the `orders` of its owner bind in a market.
pub(crate) fn exposure<'a>(
    markets: &[Market],
    holdings: &Holdings,
    market: usize,
    orders: impl Iterator<Item = &'a Order>,
) -> Exposure {
    let of = &markets[market];
    let mark = of.mark();
    let mut exposure = Exposure {
        notional: holdings.position(market).amount * mark,
        leverage: holdings.leverage(market),
        maintenance_rate: of.rules.maintenance_rate,
        ..Exposure::default()
    };
    let binds =
        |order: &&Order| order.terms.market == market && !order.terms.reduces() && !order.is_waiting();
    for order in orders.filter(binds) {
        match order.terms.side {
            Side::Buy => exposure.bids += order.remaining() * order.terms.price,
            Side::Sell => exposure.asks += order.remaining() * order.terms.price.max(mark),
        }
    }
    exposure
}
