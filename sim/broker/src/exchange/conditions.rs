//! Conditional orders: accepted, and triggered when the price that they watch reaches their stop price, or has come back as
//! far as they trail behind it.
//!
//! A triggered order keeps its id and becomes a market or limit order. Its owner first hears that the conditional order
//! expired and then that the new one exists, both under the same ids; of one that was placed with the algo service, that
//! it is triggered and then, for the first time, of an order. It needs margin only from then on.

use env::WallTime;

use super::{Execution, State, Update};
use crate::{
    error::ApiError,
    journal::Event,
    order::{AlgoStatus, NewOrder, Order, OrderStatus, TimeInForce},
    triggers::reached,
};

impl State {
    pub(super) fn check_condition(&self, account: usize, terms: &NewOrder) -> Result<(), ApiError> {
        if reached(terms, self.markets[terms.market].watched(terms.working_type)) {
            return Err(ApiError::ImmediateTrigger);
        }
        let same_direction = |order: &Order| {
            order.is_waiting()
                && order.terms.close_position
                && order.terms.market == terms.market
                && order.terms.side == terms.side
                && order.terms.kind.triggers_above(order.terms.side) == terms.kind.triggers_above(terms.side)
        };
        if terms.close_position && self.open_orders(account).any(same_direction) {
            return Err(ApiError::CloseExists);
        }
        Ok(())
    }

    /// Triggers the orders whose stop price the market has reached.
    pub(super) fn trigger_reached(&mut self, now: WallTime, market: usize, updates: &mut Vec<Update>) {
        loop {
            let of = &mut self.markets[market];
            let (last, mark) = (of.last(), of.mark());
            let Some(id) = of.triggers.pop_reached(last, mark) else { return };
            self.trigger(now, id, updates);
            self.settle(now, updates);
        }
    }

    fn trigger(&mut self, now: WallTime, id: u64, updates: &mut Vec<Update>) {
        let order = self.order(id);
        let (account, client_order_id) = (order.account, order.terms.client_order_id.clone());
        env::fact!("broker.order_triggered", client_order_id = %client_order_id);
        self.record(now, account, Event::OrderTriggered { order_id: id, client_order_id });
        self.tell_trigger(now, id, updates);
        let order = &mut self.orders[super::index(id)];
        let terms = &mut order.terms;
        terms.kind = terms.kind.triggered();
        if terms.close_position {
            terms.quantity = self.holdings[account].position(terms.market).reducible(terms.side);
        }
        order.updated_at = now;
        let outcome = self.check_trade(account, id);
        let order = &mut self.orders[super::index(id)];
        match (&mut order.algo, &outcome) {
            (Some(algo), Ok(())) => {
                algo.status = AlgoStatus::Triggered;
                updates.push(Update::algo(now, order));
            }
            (Some(algo), Err(reason)) => algo.failure = Some(reason.to_string().into()),
            (None, _) => {}
        }
        if !order.is_algo_only() {
            updates.push(Update::order(now, order, Execution::New));
        }
        match outcome {
            Ok(()) => self.meet_market(now, id, updates),
            Err(_) => self.end(now, id, OrderStatus::Expired, updates),
        }
    }

    /// The algo service says that it hands the order on; elsewhere the conditional order ends.
    fn tell_trigger(&mut self, now: WallTime, id: u64, updates: &mut Vec<Update>) {
        let order = &mut self.orders[super::index(id)];
        if let Some(algo) = &mut order.algo {
            (algo.status, algo.triggered_at) = (AlgoStatus::Triggering, Some(now));
            updates.push(Update::algo(now, order));
        } else {
            let mut expired = order.clone();
            expired.status = OrderStatus::Expired;
            updates.push(Update::order(now, &expired, Execution::Expired));
        }
    }

    /// The checks that other orders pass when they arrive.
    fn check_trade(&self, account: usize, id: u64) -> Result<(), ApiError> {
        let terms = &self.order(id).terms;
        let preview = self.preview(terms, self.tradable(id));
        if terms.reduces() && self.tradable(id).is_zero() {
            return Err(ApiError::ReduceOnly);
        }
        if matches!(terms.time_in_force, TimeInForce::Fok | TimeInForce::Gtx) {
            self.check_arrival(terms, &preview)?;
        }
        self.check_funds(account, terms, &preview, Some(id))
    }
}
