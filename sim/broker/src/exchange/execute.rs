//! Orders trade: against the market when they arrive, or when the market reaches them in the book.

use env::{Entropy, WallTime};
use rust_decimal::Decimal;

use super::{Change, Execution, State, Update};
use crate::{
    fault::Fault,
    journal::{Event, Fill},
    matching::pieces,
    order::OrderStatus,
    tape::AggTrade,
};

/// Fee of an order that takes liquidity: 4 basis points of the notional.
const TAKER_FEE: Decimal = Decimal::from_parts(4, 0, 0, false, 4);
/// Fee of an order that was resting: 2 basis points of the notional.
const MAKER_FEE: Decimal = Decimal::from_parts(2, 0, 0, false, 4);
/// An order of more steps than this may trade in several parts.
const SPLIT_ABOVE_STEPS: u64 = 10;
/// The most parts that an arriving order trades in.
const MAX_PARTS: u64 = 3;

/// A part of an order that trades.
pub(super) struct Part {
    pub quantity: Decimal,
    pub price: Decimal,
    pub maker: bool,
}

impl State {
    /// Plays the next market trade and fills the resting orders that it reaches; none when the tape is empty.
    pub fn trade(&mut self, now: WallTime, market: usize) -> Option<(AggTrade, Vec<Update>)> {
        let trade = self.markets[market].advance(now)?;
        let mut updates = Vec::new();
        while let Some(id) = self.markets[market].book.pop_crossed(trade.price) {
            let part = Part { quantity: self.tradable(id), price: self.order(id).terms.price, maker: true };
            self.execute(now, id, part, &mut updates);
            self.expire_rest(now, id, &mut updates);
        }
        Some((trade, updates))
    }

    /// What an order may still trade: what is left of it, and no more than the position if it is reduce-only.
    pub(super) fn tradable(&self, id: u64) -> Decimal {
        let order = self.order(id);
        if !order.terms.reduce_only {
            return order.remaining();
        }
        let position = self.holdings[order.account].position(order.terms.market);
        order.remaining().min(position.reducible(order.terms.side))
    }

    /// What the market offers to an arriving order: all that it may trade, or a share of it in whole steps under a fault.
    pub(super) fn offered(&self, id: u64) -> Decimal {
        let tradable = self.tradable(id);
        let share = self.faults.strike(|fault| match fault {
            Fault::PartialFill { percent } => Some(Decimal::new((*percent).cast_signed(), 2)),
            _ => None,
        });
        let step = self.markets[self.order(id).terms.market].rules.step_size;
        share.map_or(tradable, |share| (tradable * share / step).trunc() * step)
    }

    /// Trades a part of an arriving order, a large one piece by piece.
    pub(super) fn take(
        &mut self,
        now: WallTime,
        id: u64,
        part: Part,
        entropy: &dyn Entropy,
        updates: &mut Vec<Update>,
    ) {
        let Part { quantity, price, maker } = part;
        let step = self.markets[self.order(id).terms.market].rules.step_size;
        let parts = if quantity > step * Decimal::from(SPLIT_ABOVE_STEPS) {
            1 + entropy.below("broker.fill.parts", MAX_PARTS)
        } else {
            1
        };
        for quantity in pieces(quantity, step, parts) {
            self.execute(now, id, Part { quantity, price, maker }, updates);
        }
    }

    pub(super) fn expire_rest(&mut self, now: WallTime, id: u64, updates: &mut Vec<Update>) {
        if self.order(id).status.is_open() {
            updates.push(self.end(now, id, OrderStatus::Expired));
        }
    }

    fn execute(&mut self, now: WallTime, id: u64, part: Part, updates: &mut Vec<Update>) {
        let Part { quantity, price, maker } = part;
        if quantity.is_zero() {
            return;
        }
        let rate = if maker { MAKER_FEE } else { TAKER_FEE };
        let fee = (price * quantity * rate).round_dp(8).normalize();
        let order = self.order_mut(id);
        order.executed += quantity;
        order.quote += price * quantity;
        order.updated_at = now;
        order.status =
            if order.remaining().is_zero() { OrderStatus::Filled } else { OrderStatus::PartiallyFilled };
        let order = order.clone();
        if !order.status.is_open() {
            self.open.remove(&id);
        }
        let (account, terms) = (order.account, &order.terms);
        self.changed_at[account] = now;
        let holdings = &mut self.holdings[account];
        let realized_pnl = holdings.fill(terms.market, terms.side, quantity, price, fee).normalize();
        let (wallet, position) = (holdings.wallet, *holdings.position(terms.market));
        let market = &mut self.markets[terms.market];
        let fill = Fill {
            symbol: order.symbol.clone(),
            trade_id: market.fills.len() as u64 + 1,
            order_id: id,
            client_order_id: terms.client_order_id.clone(),
            side: terms.side,
            qty: quantity,
            price,
            fee,
            realized_pnl,
            maker,
            at: now,
        };
        env::fact!(
            "broker.order_filled",
            client_order_id = %fill.client_order_id,
            symbol = %fill.symbol,
            trade_id = fill.trade_id,
            qty = %fill.qty,
            price = %fill.price,
            status = order.status.word()
        );
        market.fills.push((account, fill.clone()));
        let balance = Change::Balance {
            wallet,
            symbol: order.symbol.clone(),
            amount: position.amount,
            entry_price: position.entry_price(),
            unrealized: position.unrealized(market.last()),
        };
        self.record(now, account, Event::Fill(fill.clone()));
        updates.push(Update { account, at: now, change: balance });
        let change = Change::Order { order: Box::new(order), execution: Execution::Trade(fill) };
        updates.push(Update { account, at: now, change });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        config::Config,
        exchange::Exchange,
        order::{NewOrder, OrderKind, Side, TimeInForce},
    };

    /// Gives the largest number asked for.
    struct Most;

    impl Entropy for Most {
        fn bits(&self, _site: &'static str) -> u64 {
            u64::MAX
        }
    }

    fn order(n: usize, side: bool, limit: bool, lots: u32, ticks: i64, reduce_only: bool) -> NewOrder {
        NewOrder {
            client_order_id: format!("c{n}").into(),
            market: 0,
            side: if side { Side::Buy } else { Side::Sell },
            kind: if limit { OrderKind::Limit } else { OrderKind::Market },
            time_in_force: TimeInForce::Gtc,
            quantity: Decimal::new(lots.into(), 3),
            price: if limit { Decimal::new(420_000 + ticks, 1) } else { Decimal::ZERO },
            reduce_only,
        }
    }

    proptest! {
        #[test]
        fn the_journal_sums_up_to_the_accounts_and_reduce_only_never_grows_a_position(
            steps in prop::collection::vec(
                (any::<bool>(), any::<bool>(), 3..500_u32, -60..60_i64, any::<bool>(), 0..4_u8), 1..60),
        ) {
            let exchange = Exchange::new(Config::default());
            let mut state = exchange.lock();
            for (n, (side, limit, lots, ticks, reduce_only, trades)) in steps.into_iter().enumerate() {
                let now = WallTime::from_millis(n as i64);
                let _ = state.place(now, 0, order(n, side, limit, lots, ticks, reduce_only), &Most);
                for _ in 0..trades {
                    state.trade(now, 0);
                }
            }
            let journal = exchange.journal();
            prop_assert_eq!(journal.position("BTCUSDT"), state.holdings(0).position(0).amount);
            prop_assert_eq!(journal.wallet_balance(), state.holdings(0).wallet);
            let mut position = Decimal::ZERO;
            let mut traded = vec![Decimal::ZERO; state.orders.len()];
            for (fill, id) in journal.fills().iter().zip(1..) {
                prop_assert_eq!(fill.trade_id, id);
                let order = state.order(fill.order_id);
                let after = position + fill.side.signed(fill.qty);
                if order.terms.reduce_only {
                    prop_assert!(after.abs() < position.abs() && (after * position) >= Decimal::ZERO);
                }
                position = after;
                traded[fill.order_id as usize - 1] += fill.qty;
            }
            for (order, traded) in state.orders.iter().zip(traded) {
                prop_assert_eq!(order.executed, traded);
                prop_assert!(traded <= order.terms.quantity);
                prop_assert_eq!(order.status.is_open(), state.open.contains(&order.id));
            }
        }
    }
}
