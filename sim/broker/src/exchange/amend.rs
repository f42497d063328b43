//! Changing the price or the quantity of a resting order ("Modify Order").

use env::WallTime;
use rust_decimal::Decimal;

use super::{Execution, OrderRef, Placed, Preview, State, Update};
use crate::{
    error::ApiError,
    filters,
    journal::Event,
    order::{NewOrder, OrderKind, OrderStatus, Side},
};

/// How often one order may be changed.
const MAX_AMENDMENTS: u32 = 10_000;

/// What an order shall be like from now on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amendment {
    /// Must be that of the order.
    pub side: Side,
    /// With what has traded.
    pub quantity: Decimal,
    pub price: Decimal,
}

impl State {
    /// Changes an open limit order. It keeps its place in the queue only if nothing but its quantity shrinks. An order whose
    /// new quantity has already traded, or that is post-only and would now take, is cancelled instead.
    ///
    /// # Errors
    /// Why it stays as it is.
    pub fn amend(
        &mut self,
        now: WallTime,
        account: usize,
        market: usize,
        order: OrderRef<'_>,
        amendment: Amendment,
    ) -> Result<Placed, ApiError> {
        let open = self.find(account, market, order).filter(|order| order.status.is_open());
        let order = open.ok_or(ApiError::NoSuchOrder)?;
        let (id, before) = (order.id, order.terms.clone());
        if before.kind != OrderKind::Limit || before.side != amendment.side {
            return Err(ApiError::AmendKind);
        }
        if (before.quantity, before.price) == (amendment.quantity, amendment.price) {
            return Err(ApiError::AmendNothing);
        }
        if order.amendments >= MAX_AMENDMENTS {
            return Err(ApiError::AmendTooOften);
        }
        let executed = order.executed;
        let mut terms = before.clone();
        (terms.quantity, terms.price) = (amendment.quantity, amendment.price);
        let of = &self.markets[market];
        filters::check(&of.rules, &terms, of.mark())?;
        terms.quantity.rescale(of.rules.step_size.scale());
        terms.price.rescale(of.rules.tick_size.scale());
        let rest = NewOrder { quantity: terms.quantity - executed, ..terms.clone() };
        let mut updates = Vec::new();
        if rest.quantity <= Decimal::ZERO {
            self.end(now, id, OrderStatus::Canceled, &mut updates);
        } else {
            self.check_funds(account, &rest, &Preview::default(), Some(id))?;
            if rest.price == before.price && terms.quantity < before.quantity {
                self.note_amendment(now, id, terms, &mut updates);
            } else {
                self.replace(now, id, terms, &rest, &mut updates);
            }
        }
        let result = self.order(id).clone();
        Ok(Placed { accepted: result.clone(), result, updates })
    }

    /// Lets the order arrive anew, without its old self in the book.
    fn replace(
        &mut self,
        now: WallTime,
        id: u64,
        terms: NewOrder,
        rest: &NewOrder,
        updates: &mut Vec<Update>,
    ) {
        self.withdraw(id);
        if self.check_arrival(rest, &self.preview(rest, rest.quantity)).is_err() {
            self.end(now, id, OrderStatus::Canceled, updates);
            return;
        }
        self.note_amendment(now, id, terms, updates);
        self.meet_market(now, id, updates);
        self.settle(now, updates);
    }

    fn note_amendment(&mut self, now: WallTime, id: u64, terms: NewOrder, updates: &mut Vec<Update>) {
        let (client_order_id, qty, price) = (terms.client_order_id.clone(), terms.quantity, terms.price);
        let order = self.order_mut(id);
        order.terms = terms;
        order.amendments += 1;
        order.updated_at = now;
        let account = order.account;
        Update::note(updates, now, self.order(id), Execution::Amended);
        env::fact!("broker.order_amended", client_order_id = %client_order_id, qty = %qty, price = %price);
        self.record(now, account, Event::OrderAmended { order_id: id, client_order_id, qty, price });
    }
}
