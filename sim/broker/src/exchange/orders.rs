//! Orders come and go: received, placed or refused, queried, cancelled.

use std::sync::Arc;

use env::{Entropy, WallTime};
use rust_decimal::Decimal;

use super::{Change, Execution, State, Update, execute::Part, index};
use crate::{
    config::ClientOrderIds,
    error::ApiError,
    filters,
    journal::{Event, Received},
    matching::{Arrival, arrive},
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
            reduce_only: order.reduce_only,
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
    pub fn place(
        &mut self,
        now: WallTime,
        account: usize,
        terms: NewOrder,
        entropy: &dyn Entropy,
    ) -> Result<Placed, ApiError> {
        filters::check(&self.markets[terms.market].rules, &terms, self.markets[terms.market].last())?;
        self.check_unique(account, &terms.client_order_id)?;
        self.check_reducible(account, &terms)?;
        let mut updates = Vec::new();
        let id = self.accept(now, account, terms, &mut updates);
        let accepted = self.order(id).clone();
        self.meet_market(now, id, entropy, &mut updates);
        Ok(Placed { accepted, result: self.order(id).clone(), updates })
    }

    /// An account's order.
    pub fn find(&self, account: usize, market: usize, order: OrderRef<'_>) -> Option<&Order> {
        let id = match order {
            OrderRef::Id(id) => id,
            OrderRef::ClientId(name) => *self.by_client_id.get(&(account, name.into()))?,
        };
        let order = self.orders.get(usize::try_from(id.checked_sub(1)?).ok()?)?;
        (order.account == account && order.terms.market == market).then_some(order)
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
    ) -> Result<(Order, Update), ApiError> {
        let open = self.find(account, market, order).filter(|order| order.status.is_open());
        let id = open.ok_or(ApiError::UnknownOrder)?.id;
        self.leave_book(id);
        let update = self.end(now, id, OrderStatus::Canceled);
        Ok((self.order(id).clone(), update))
    }

    /// Ends an order before it is filled.
    pub(super) fn end(&mut self, now: WallTime, id: u64, status: OrderStatus) -> Update {
        self.open.remove(&id);
        let order = self.order_mut(id);
        order.status = status;
        order.updated_at = now;
        let order = order.clone();
        let (client_order_id, remaining) = (order.terms.client_order_id.clone(), order.remaining());
        let (event, execution) = match status {
            OrderStatus::Canceled => {
                (Event::OrderCanceled { order_id: id, client_order_id, remaining }, Execution::Canceled)
            }
            _ => (Event::OrderExpired { order_id: id, client_order_id, remaining }, Execution::Expired),
        };
        self.record(now, order.account, event);
        Update {
            account: order.account,
            at: now,
            change: Change::Order { order: Box::new(order), execution },
        }
    }

    fn leave_book(&mut self, id: u64) {
        let terms = &self.orders[index(id)].terms;
        self.markets[terms.market].book.remove(terms.side, terms.price, id);
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

    fn check_reducible(&self, account: usize, terms: &NewOrder) -> Result<(), ApiError> {
        if !terms.reduce_only {
            return Ok(());
        }
        let reducible = self.holdings[account].position(terms.market).reducible(terms.side);
        if reducible.is_zero() {
            return Err(ApiError::ReduceOnly);
        }
        let same =
            |o: &&Order| o.terms.reduce_only && o.terms.market == terms.market && o.terms.side == terms.side;
        let reserved: Decimal = self.open_orders(account).filter(same).map(Order::remaining).sum();
        if reserved >= reducible { Err(ApiError::ReduceOnlyReserved) } else { Ok(()) }
    }

    fn accept(
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
        let order = Order {
            id,
            account,
            symbol: market.symbol.clone(),
            terms,
            status: OrderStatus::New,
            executed: Decimal::ZERO,
            quote: Decimal::ZERO,
            accepted_at: now,
            updated_at: now,
        };
        let client_order_id = order.terms.client_order_id.clone();
        env::fact!(
            "broker.order_accepted",
            client_order_id = %client_order_id,
            symbol = %order.symbol,
            side = order.terms.side.word(),
            qty = %order.terms.quantity,
            reduce_only = order.terms.reduce_only
        );
        self.by_client_id.insert((account, client_order_id.clone()), id);
        self.open.insert(id);
        self.record(now, account, Event::OrderAccepted { order_id: id, client_order_id });
        let change = Change::Order { order: Box::new(order.clone()), execution: Execution::New };
        updates.push(Update { account, at: now, change });
        self.orders.push(order);
        id
    }

    fn meet_market(&mut self, now: WallTime, id: u64, entropy: &dyn Entropy, updates: &mut Vec<Update>) {
        let NewOrder { market, side, kind, time_in_force, quantity, price, .. } = self.order(id).terms;
        match arrive(kind, time_in_force, side, price, self.markets[market].quote()) {
            Arrival::Take(taker_price) => {
                let offered = self.offered(id);
                if time_in_force == TimeInForce::Fok && offered < quantity {
                    updates.push(self.end(now, id, OrderStatus::Expired));
                    return;
                }
                let part = Part { quantity: offered, price: taker_price, maker: false };
                self.take(now, id, part, entropy, updates);
                let may_rest = kind == OrderKind::Limit && time_in_force == TimeInForce::Gtc;
                if may_rest && !self.tradable(id).is_zero() {
                    self.markets[market].book.insert(side, price, id);
                } else {
                    self.expire_rest(now, id, updates);
                }
            }
            Arrival::Rest => self.markets[market].book.insert(side, price, id),
            Arrival::Expire => updates.push(self.end(now, id, OrderStatus::Expired)),
        }
    }
}
