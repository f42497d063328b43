//! Orders come and go: received, placed or refused, queried, cancelled.

use std::sync::Arc;

use env::WallTime;
use rust_decimal::Decimal;

use super::{Execution, Preview, State, Update, index};
use crate::{
    algo::Algo,
    config::ClientOrderIds,
    error::{ApiError, Filter},
    filters,
    journal::{Event, Received},
    order::{NewOrder, Order, OrderKind, OrderStatus, TimeInForce},
};

/// An order that was accepted.
pub(crate) struct Placed {
    /// As it was when it was accepted (the answer type `ACK`).
    pub accepted: Order,
    /// As it is after meeting the market (the answer type `RESULT`).
    pub result: Order,
    pub updates: Vec<Update>,
}

/// How a request names an order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OrderRef<'a> {
    Id(u64),
    ClientId(&'a str),
}

/// Which of an account's open orders a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    /// Those that wait in the algo service.
    Algo,
    /// Those that do not.
    Orders,
}

impl Which {
    pub fn has(self, order: &Order) -> bool {
        match self {
            Self::All => true,
            Self::Algo => order.is_algo_only(),
            Self::Orders => !order.is_algo_only(),
        }
    }
}

impl State {
    /// A client order id for an order that came without one.
    pub fn next_client_order_id(&mut self) -> Arc<str> {
        self.unnamed += 1;
        format!("auto-{}", self.unnamed).into()
    }

    /// Notes that an order request arrived.
    pub fn receive(&self, now: WallTime, account: usize, order: &NewOrder) {
        let received = Received {
            client_order_id: order.client_order_id.clone(),
            symbol: self.markets[order.market].symbol.clone(),
            side: order.side,
            kind: order.kind,
            time_in_force: order.time_in_force,
            qty: order.quantity,
            price: order.price,
            stop_price: order.stop_price,
            trail: order.trail,
            reduce_only: order.reduce_only,
            close_position: order.close_position,
        };
        self.record(now, account, Event::OrderReceived(received));
        env::detail!("broker.order_received", client_order_id = %order.client_order_id);
    }

    /// Notes that an order request was turned down.
    pub fn refuse(&self, now: WallTime, account: usize, client_order_id: Arc<str>, reason: &ApiError) {
        let (code, msg) = (reason.code(), reason.to_string());
        env::fact!(
            "broker.order_refused",
            client_order_id = %client_order_id,
            code = i64::from(code),
            reason = msg.as_str()
        );
        self.record(now, account, Event::OrderRefused { client_order_id, code, msg });
    }

    /// Accepts an order and lets it meet the market.
    ///
    /// # Errors
    /// Why it is refused; then nothing has changed.
    pub fn place(&mut self, now: WallTime, account: usize, terms: NewOrder) -> Result<Placed, ApiError> {
        self.check(account, &terms)?;
        let mut updates = Vec::new();
        let id = self.accept(now, account, terms, &mut updates);
        let accepted = self.order(id).clone();
        if accepted.is_waiting() {
            let market = &mut self.markets[accepted.terms.market];
            let watched = market.watched(accepted.terms.working_type);
            market.triggers.insert(&accepted.terms, id, watched);
        } else {
            self.meet_market(now, id, &mut updates);
            self.settle(now, &mut updates);
        }
        Ok(Placed { accepted, result: self.order(id).clone(), updates })
    }

    /// Whether an order would be accepted.
    ///
    /// # Errors
    /// Why it would be refused.
    pub fn check(&self, account: usize, terms: &NewOrder) -> Result<(), ApiError> {
        let market = &self.markets[terms.market];
        filters::check(&market.rules, terms, market.mark())?;
        self.check_unique(account, &terms.client_order_id)?;
        self.check_number(account, terms)?;
        if terms.kind.is_conditional() {
            return self.check_condition(account, terms);
        }
        let wanted = self.check_reducible(account, terms)?;
        let preview = self.preview(terms, wanted);
        self.check_arrival(terms, &preview)?;
        self.check_funds(account, terms, &preview, None)
    }

    /// An account's order.
    pub fn find(&self, account: usize, market: usize, order: OrderRef<'_>) -> Option<&Order> {
        let order = self.look_up(account, order)?;
        (order.terms.market == market && !order.is_algo_only()).then_some(order)
    }

    /// An account's order, whoever has it.
    pub fn look_up(&self, account: usize, order: OrderRef<'_>) -> Option<&Order> {
        let id = match order {
            OrderRef::Id(id) => id,
            OrderRef::ClientId(name) => *self.by_client_id.get(&(account, name.into()))?,
        };
        let order = self.orders.get(usize::try_from(id.checked_sub(1)?).ok()?)?;
        (order.account == account).then_some(order)
    }

    /// The account's order before the one with `id`.
    pub fn order_before(&self, account: usize, id: u64) -> Option<u64> {
        let earlier = self.orders[..index(id)].iter().rev();
        earlier.filter(|order| order.account == account).map(|order| order.id).next()
    }

    /// Cancels what is left of an open order.
    ///
    /// # Errors
    /// [`ApiError::UnknownOrder`] when there is no such order or it is no longer open.
    pub fn cancel(
        &mut self,
        now: WallTime,
        account: usize,
        market: usize,
        order: OrderRef<'_>,
    ) -> Result<(Order, Vec<Update>), ApiError> {
        let open = self.find(account, market, order).filter(|order| order.status.is_open());
        let id = open.ok_or(ApiError::UnknownOrder)?.id;
        Ok(self.cancel_one(now, id))
    }

    /// As [`State::cancel`], of an order that waits in the algo service.
    ///
    /// # Errors
    /// [`ApiError::UnknownOrder`] when none does.
    pub fn cancel_algo(
        &mut self,
        now: WallTime,
        account: usize,
        order: OrderRef<'_>,
    ) -> Result<(Order, Vec<Update>), ApiError> {
        let waiting = |order: &&Order| order.is_algo_only() && order.status.is_open();
        let id = self.look_up(account, order).filter(waiting).ok_or(ApiError::UnknownOrder)?.id;
        Ok(self.cancel_one(now, id))
    }

    fn cancel_one(&mut self, now: WallTime, id: u64) -> (Order, Vec<Update>) {
        let mut updates = Vec::new();
        self.end(now, id, OrderStatus::Canceled, &mut updates);
        (self.order(id).clone(), updates)
    }

    /// Cancels the open orders of an account in a market.
    pub fn cancel_all(&mut self, now: WallTime, account: usize, market: usize, which: Which) -> Vec<Update> {
        let wanted = |order: &&Order| order.terms.market == market && which.has(order);
        let ids: Vec<u64> = self.open_orders(account).filter(wanted).map(|order| order.id).collect();
        let mut updates = Vec::with_capacity(ids.len());
        ids.into_iter().for_each(|id| self.end(now, id, OrderStatus::Canceled, &mut updates));
        updates
    }

    /// Ends an order before it is filled.
    pub(super) fn end(&mut self, now: WallTime, id: u64, status: OrderStatus, updates: &mut Vec<Update>) {
        self.withdraw(id);
        self.open.remove(&id);
        let order = self.order_mut(id);
        order.status = status;
        order.updated_at = now;
        if let Some(algo) = &mut order.algo {
            algo.end(status);
        }
        let order = &*order;
        let (client_order_id, remaining) = (order.terms.client_order_id.clone(), order.remaining());
        let (event, execution) = match status {
            OrderStatus::Canceled => {
                (Event::OrderCanceled { order_id: id, client_order_id, remaining }, Execution::Canceled)
            }
            _ => (Event::OrderExpired { order_id: id, client_order_id, remaining }, Execution::Expired),
        };
        let account = order.account;
        Update::note(updates, now, order, execution);
        self.record(now, account, event);
    }

    /// Takes an order out of the book or from the conditional orders, if it is there.
    pub(super) fn withdraw(&mut self, id: u64) {
        let order = &mut self.orders[index(id)];
        let market = &mut self.markets[order.terms.market];
        let rank = std::mem::take(&mut order.rank);
        if rank > 0 {
            market.book.remove(order.terms.side, order.terms.price, rank);
            market.version += 1;
        } else if order.is_waiting() {
            market.triggers.remove(&order.terms, id);
        }
    }

    fn check_unique(&self, account: usize, client_order_id: &Arc<str>) -> Result<(), ApiError> {
        let Some(earlier) = self.by_client_id.get(&(account, client_order_id.clone())) else {
            return Ok(());
        };
        match self.client_order_ids {
            ClientOrderIds::UniqueAmongOpen if !self.order(*earlier).status.is_open() => Ok(()),
            ClientOrderIds::UniqueAmongOpen | ClientOrderIds::UniqueForEver => {
                Err(ApiError::DuplicateClientOrderId)
            }
        }
    }

    /// `MAX_NUM_ORDERS` and `MAX_NUM_ALGO_ORDERS`: how many orders may be open and how many of them may wait.
    fn check_number(&self, account: usize, terms: &NewOrder) -> Result<(), ApiError> {
        let rules = &self.markets[terms.market].rules;
        let (mut open, mut waiting) = (0, 0);
        for order in self.open_orders(account).filter(|order| order.terms.market == terms.market) {
            open += 1;
            waiting += usize::from(order.is_waiting());
        }
        if terms.kind.is_conditional() && waiting >= rules.max_conditional_orders {
            return Err(ApiError::TooManyConditional);
        }
        let may_rest =
            matches!(terms.time_in_force, TimeInForce::Gtc | TimeInForce::Gtx) && terms.kind.has_limit();
        if may_rest && open >= rules.max_orders { Err(ApiError::TooManyOpen) } else { Ok(()) }
    }

    /// How much of an arriving order can trade: a reduce-only one no more than the position that resting ones leave to it.
    fn check_reducible(&self, account: usize, terms: &NewOrder) -> Result<Decimal, ApiError> {
        if !terms.reduce_only {
            return Ok(terms.quantity);
        }
        let reducible = self.holdings[account].position(terms.market).reducible(terms.side);
        if reducible.is_zero() {
            return Err(ApiError::ReduceOnly);
        }
        let same = |o: &&Order| {
            o.terms.reduce_only
                && !o.is_waiting()
                && o.terms.market == terms.market
                && o.terms.side == terms.side
        };
        let reserved: Decimal = self.open_orders(account).filter(same).map(Order::remaining).sum();
        if reserved >= reducible {
            Err(ApiError::ReduceOnlyReserved)
        } else {
            Ok(terms.quantity.min(reducible))
        }
    }

    /// Whether the order's own terms let it meet the market as it is.
    pub(super) fn check_arrival(&self, terms: &NewOrder, preview: &Preview) -> Result<(), ApiError> {
        match (terms.kind, terms.time_in_force) {
            (OrderKind::Limit, TimeInForce::Gtx) if preview.quantity > Decimal::ZERO => {
                Err(ApiError::PostOnly)
            }
            (OrderKind::Limit, TimeInForce::Fok) if preview.quantity < terms.quantity => {
                Err(ApiError::FillOrKill)
            }
            (OrderKind::Market, _) if preview.quantity.is_zero() => Err(ApiError::Filter(Filter::BandMarket)),
            _ => Ok(()),
        }
    }

    fn accept(&mut self, now: WallTime, account: usize, terms: NewOrder, updates: &mut Vec<Update>) -> u64 {
        let id = self.open(now, account, terms, updates);
        let order = self.order(id);
        let client_order_id = order.terms.client_order_id.clone();
        env::fact!(
            "broker.order_accepted",
            client_order_id = %client_order_id,
            symbol = %order.symbol,
            side = order.terms.side.word(),
            qty = %order.terms.quantity,
            reduce_only = order.terms.reduce_only
        );
        self.record(now, account, Event::OrderAccepted { order_id: id, client_order_id });
        id
    }

    /// Makes an order exist.
    pub(super) fn open(
        &mut self,
        now: WallTime,
        account: usize,
        mut terms: NewOrder,
        updates: &mut Vec<Update>,
    ) -> u64 {
        let id = self.orders.len() as u64 + 1;
        let market = &self.markets[terms.market];
        terms.quantity.rescale(market.rules.step_size.scale());
        terms.price.rescale(market.rules.tick_size.scale());
        terms.stop_price.rescale(market.rules.tick_size.scale());
        if let Some(trail) = terms.trail.as_mut().filter(|trail| trail.activation_price.is_zero()) {
            trail.activation_price = market.watched(terms.working_type).normalize();
        }
        let order = Order {
            id,
            account,
            symbol: market.symbol.clone(),
            original_kind: terms.kind,
            algo: terms.algo.then(Algo::new),
            terms,
            status: OrderStatus::New,
            executed: Decimal::ZERO,
            quote: Decimal::ZERO,
            rank: 0,
            trades: (0, 0),
            amendments: 0,
            accepted_at: now,
            updated_at: now,
        };
        self.by_client_id.insert((account, order.terms.client_order_id.clone()), id);
        self.open.insert(id);
        Update::note(updates, now, &order, Execution::New);
        self.orders.push(order);
        id
    }
}
