//! Accounts that can no longer pay: warned, then liquidated ("Liquidation Protocols" of the venue's support pages).
//!
//! When wallet and unrealised profit no longer cover the maintenance margin, all orders of the account are cancelled and
//! its positions are closed by market orders named `autoclose-…`; what the book cannot absorb is tried again at the next
//! trade. Deliberately absent: partial liquidation by brackets, the clearance fee, the insurance fund and auto-deleveraging –
//! a wallet can end below zero.

use env::WallTime;
use rust_decimal::Decimal;

use super::{Change, Endangered, State, Update, Which};
use crate::{
    journal::Event,
    margin::Margin,
    order::{NewOrder, OrderKind, Side, TimeInForce, WorkingType},
};

/// An account is warned when its maintenance margin exceeds this share of its balance ("Margin Call": "when the user's
/// position risk ratio is too high").
const WARNING_RATIO: Decimal = Decimal::from_parts(80, 0, 0, false, 2);

impl State {
    /// Looks at the accounts that hold a position in `market` after its price moved.
    pub(super) fn watch_margins(&mut self, now: WallTime, market: usize, updates: &mut Vec<Update>) {
        for account in 0..self.holdings.len() {
            if self.holdings[account].position(market).amount.is_zero() {
                continue;
            }
            let margin = self.standing(account);
            if margin.is_exhausted() {
                self.liquidate(now, account, updates);
                continue;
            }
            let endangered = margin.maintenance > margin.balance() * WARNING_RATIO;
            if endangered && !self.warned[account] {
                updates.push(self.margin_call(now, account));
            }
            self.warned[account] = endangered;
        }
    }

    /// As [`State::margin`] without what only new orders depend on.
    fn standing(&self, account: usize) -> Margin {
        let holdings = &self.holdings[account];
        let mut margin = Margin { wallet: holdings.wallet, ..Margin::default() };
        for (index, market) in self.markets.iter().enumerate() {
            let position = holdings.position(index);
            if !position.amount.is_zero() {
                margin.unrealized += position.unrealized(market.mark());
                margin.maintenance += position.amount.abs() * market.mark() * market.rules.maintenance_rate;
            }
        }
        margin
    }

    fn margin_call(&self, now: WallTime, account: usize) -> Update {
        let holdings = &self.holdings[account];
        let open = self.markets.iter().enumerate().filter(|(m, _)| !holdings.position(*m).amount.is_zero());
        let positions = open.map(|(index, market)| Endangered {
            symbol: market.symbol.clone(),
            amount: holdings.position(index).amount,
            mark_price: market.mark(),
            unrealized: holdings.position(index).unrealized(market.mark()),
            maintenance: self.exposure(account, index, None).maintenance(),
        });
        let change = Change::MarginCall { wallet: holdings.wallet, positions: positions.collect() };
        Update { account, at: now, change }
    }

    fn liquidate(&mut self, now: WallTime, account: usize, updates: &mut Vec<Update>) {
        for market in 0..self.markets.len() {
            let cancelled = self.cancel_all(now, account, market, Which::All);
            updates.extend(cancelled);
        }
        for market in 0..self.markets.len() {
            let amount = self.holdings[account].position(market).amount;
            if !amount.is_zero() {
                self.close(now, account, market, amount, updates);
            }
        }
    }

    fn close(
        &mut self,
        now: WallTime,
        account: usize,
        market: usize,
        amount: Decimal,
        updates: &mut Vec<Update>,
    ) {
        let terms = NewOrder {
            client_order_id: format!("autoclose-{}", self.orders.len() + 1).into(),
            market,
            side: if amount > Decimal::ZERO { Side::Sell } else { Side::Buy },
            kind: OrderKind::Liquidation,
            time_in_force: TimeInForce::Ioc,
            quantity: amount.abs(),
            price: Decimal::ZERO,
            reduce_only: true,
            stop_price: Decimal::ZERO,
            trail: None,
            working_type: WorkingType::Contract,
            close_position: false,
            algo: false,
        };
        let (client_order_id, side, qty) = (terms.client_order_id.clone(), terms.side, terms.quantity);
        let symbol = self.markets[market].symbol.clone();
        env::fact!(
            "broker.liquidation",
            client_order_id = %client_order_id,
            symbol = %symbol,
            side = side.word(),
            qty = %qty
        );
        let id = self.open(now, account, terms, updates);
        self.record(now, account, Event::Liquidation { order_id: id, client_order_id, symbol, side, qty });
        self.meet_market(now, id, updates);
        self.settle(now, updates);
    }
}
