//! Orders trade: against the book when they arrive, or when the tape's trades reach them there.

use env::WallTime;
use rust_decimal::Decimal;

use super::{
    Balance, Change, Execution, State, Update,
    offers::{Offer, Source},
};
use crate::{
    book::Resting,
    fault::Fault,
    filters,
    journal::{Event, Fill},
    order::{NewOrder, Order, OrderKind, OrderStatus, TimeInForce},
    tape::AggTrade,
};

/// A part of an order that trades.
struct Part {
    quantity: Decimal,
    price: Decimal,
    maker: bool,
}

impl State {
    /// Plays the next market trade: fills the resting orders that it reaches, triggers the conditional ones and liquidates
    /// who can no longer pay; none when the tape is empty.
    pub fn trade(&mut self, now: WallTime, market: usize) -> Option<(AggTrade, Vec<Update>)> {
        let trade = self.markets[market].advance(now)?;
        let mut updates = Vec::new();
        self.fill_resting(now, market, &trade, &mut updates);
        self.trigger_reached(now, market, &mut updates);
        self.watch_margins(now, market, &mut updates);
        Some((trade, updates))
    }

    /// Shares a market trade's quantity among the orders that it reaches, best price first, then oldest. One at exactly the
    /// trade's price gets what is left after the market maker's queue before it.
    fn fill_resting(&mut self, now: WallTime, market: usize, trade: &AggTrade, updates: &mut Vec<Update>) {
        let mut left = trade.quantity;
        while let Some(side) = self.markets[market].book.reached(trade.price) {
            left = self.markets[market].book.queue(side, trade.price, left);
            let Some((price, id)) = self.markets[market].book.orders(side).next() else { break };
            let quantity = self.whole_steps(market, left).min(self.tradable(id));
            if quantity.is_zero() {
                break;
            }
            left -= quantity;
            self.execute(now, id, Part { quantity, price, maker: true }, updates);
            self.settle(now, updates);
        }
    }

    fn whole_steps(&self, market: usize, quantity: Decimal) -> Decimal {
        let step = self.markets[market].rules.step_size;
        (quantity / step).floor() * step
    }

    /// What an order may still trade: what is left of it, and no more than the position if it only reduces.
    pub(super) fn tradable(&self, id: u64) -> Decimal {
        let order = self.order(id);
        if !order.terms.reduces() {
            return order.remaining();
        }
        let position = self.holdings[order.account].position(order.terms.market);
        order.remaining().min(position.reducible(order.terms.side))
    }

    /// Lets an order take what the book offers at its price; the rest waits there or expires.
    pub(super) fn meet_market(&mut self, now: WallTime, id: u64, updates: &mut Vec<Update>) {
        let mut room = self.room(id);
        let killed =
            self.order(id).terms.time_in_force == TimeInForce::Fok && room < self.order(id).remaining();
        while let Some((offer, quantity)) = self.next_match(id).filter(|_| !killed && room > Decimal::ZERO) {
            let quantity = quantity.min(room);
            room -= quantity;
            self.take(now, id, &offer, quantity, updates);
        }
        if !self.order(id).status.is_open() {
            return;
        }
        if self.may_rest(id) {
            self.rest(id);
        } else {
            self.end(now, id, OrderStatus::Expired, updates);
        }
    }

    /// The most that an arriving order may trade: all of it or, under a fault, a share in whole steps.
    fn room(&self, id: u64) -> Decimal {
        let tradable = self.tradable(id);
        if self.next_match(id).is_none() {
            return tradable;
        }
        let share = self.faults.strike(|fault| match fault {
            Fault::PartialFill { percent } => Some(Decimal::new((*percent).cast_signed(), 2)),
            _ => None,
        });
        share.map_or(tradable, |share| self.whole_steps(self.order(id).terms.market, tradable * share))
    }

    /// Whether what is left of an order may wait in the book. Where a fault keeps it from trading with another customer, it
    /// may not: their orders would cross.
    fn may_rest(&self, id: u64) -> bool {
        let terms = &self.order(id).terms;
        let patient = matches!(terms.time_in_force, TimeInForce::Gtc | TimeInForce::Gtx);
        let opposite = self.markets[terms.market].book.best(terms.side.opposite());
        let crosses = opposite.is_some_and(|price| terms.side.accepts(terms.price, price));
        terms.kind == OrderKind::Limit && patient && !crosses && self.tradable(id) > Decimal::ZERO
    }

    /// The best offer that an arriving order can take, and how much of it.
    fn next_match(&self, id: u64) -> Option<(Offer, Decimal)> {
        let terms = &self.order(id).terms;
        let wanted = self.tradable(id);
        if wanted.is_zero() {
            return None;
        }
        let offer = self.offers(terms.market, terms.side).next()?;
        let within = self.bound(terms).is_none_or(|bound| terms.side.accepts(bound, offer.price));
        within.then(|| (offer, wanted.min(offer.quantity)))
    }

    /// The worst price that an order may trade at: its own limit or, for a market order, the symbol's `PERCENT_PRICE`. The
    /// exchange's own liquidations have none.
    pub(super) fn bound(&self, terms: &NewOrder) -> Option<Decimal> {
        let market = &self.markets[terms.market];
        match terms.kind {
            OrderKind::Liquidation => None,
            _ => {
                Some(terms.limit().unwrap_or_else(|| filters::band(&market.rules, terms.side, market.mark())))
            }
        }
    }

    fn take(&mut self, now: WallTime, id: u64, offer: &Offer, quantity: Decimal, updates: &mut Vec<Update>) {
        let Order { terms, .. } = self.order(id);
        let (index, side, price) = (terms.market, terms.side.opposite(), offer.price);
        match offer.source {
            Source::Maker { ticks } => {
                let market = &mut self.markets[index];
                market.maker.take(side, ticks, quantity);
                market.book.queue(side, price, quantity);
                market.version += 1;
            }
            Source::Customer { order } => {
                self.execute(now, order, Part { quantity, price, maker: true }, updates)
            }
        }
        self.execute(now, id, Part { quantity, price, maker: false }, updates);
    }

    fn rest(&mut self, id: u64) {
        self.ranks += 1;
        let rank = self.ranks;
        let order = self.order_mut(id);
        order.rank = rank;
        let (index, side, price) = (order.terms.market, order.terms.side, order.terms.price);
        let market = &mut self.markets[index];
        let ahead = market.maker.queue(side, price);
        market.book.insert(side, price, rank, Resting { order: id, ahead });
        market.version += 1;
    }

    /// After trades: ends the orders of those who traded that have nothing left to reduce or to close.
    pub(super) fn settle(&mut self, now: WallTime, updates: &mut Vec<Update>) {
        let mut traded: Vec<usize> = updates.iter().filter(|u| u.is_trade()).map(|u| u.account).collect();
        traded.dedup();
        for account in traded {
            let idle = |order: &&Order| match (order.is_waiting(), order.terms.close_position) {
                (true, closes) => {
                    closes && self.holdings[account].position(order.terms.market).amount.is_zero()
                }
                (false, _) => order.terms.reduce_only && self.tradable(order.id).is_zero(),
            };
            let idle: Vec<u64> = self.open_orders(account).filter(idle).map(|order| order.id).collect();
            for id in idle {
                self.end(now, id, OrderStatus::Expired, updates);
            }
        }
    }

    fn execute(&mut self, now: WallTime, id: u64, part: Part, updates: &mut Vec<Update>) {
        let Part { quantity, price, maker } = part;
        let index = self.order(id).terms.market;
        let trade_id = self.markets[index].fills.len() as u64 + 1;
        let order = self.order_mut(id);
        order.executed += quantity;
        order.quote += price * quantity;
        order.updated_at = now;
        order.status =
            if order.remaining().is_zero() { OrderStatus::Filled } else { OrderStatus::PartiallyFilled };
        order.trades = (if order.trades.0 == 0 { trade_id } else { order.trades.0 }, trade_id);
        if !order.status.is_open() {
            if let Some(algo) = &mut order.algo {
                algo.end(order.status);
            }
            self.open.remove(&id);
            self.withdraw(id);
        }
        let order = &self.orders[super::index(id)];
        let (account, terms) = (order.account, &order.terms);
        self.changed_at[account] = now;
        let market = &mut self.markets[index];
        market.version += 1;
        let rate = if maker { market.rules.maker_fee } else { market.rules.taker_fee };
        let fee = (price * quantity * rate).round_dp(8).normalize();
        let holdings = &mut self.holdings[account];
        let realized_pnl = holdings.fill(index, terms.side, quantity, price, fee).normalize();
        let position = holdings.position(index);
        let fill = Fill {
            symbol: order.symbol.clone(),
            trade_id,
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
        let balance = Balance {
            wallet: holdings.wallet,
            symbol: order.symbol.clone(),
            amount: position.amount,
            entry_price: position.entry_price(),
            break_even_price: position.break_even_price(),
            realized: holdings.realized(index),
            unrealized: position.unrealized(market.mark()),
        };
        updates.push(Update { account, at: now, change: Change::Balance(Box::new(balance)) });
        Update::note(updates, now, order, Execution::Trade(fill.clone()));
        self.record(now, account, Event::Fill(fill));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        Account, AggTrade, Config, Exchange, Liquidity, Side, SymbolConfig, Tape,
        order::{NewOrder, WorkingType},
    };

    fn dec(text: &str) -> Decimal {
        text.parse().expect("a decimal")
    }

    /// Two customers in a market that trades one unit at each of these prices, in which the maker has one unit per level.
    fn exchange(prices: &[&str]) -> Arc<Exchange> {
        let trade = |(id, price): (u64, &&str)| AggTrade {
            id,
            price: dec(price),
            quantity: Decimal::ONE,
            first_trade_id: id,
            last_trade_id: id,
            time: 0,
            is_buyer_maker: true,
        };
        let symbol = SymbolConfig {
            liquidity: Liquidity { least: Decimal::ONE, most: Decimal::ONE, levels: 5 },
            tape: Tape::Once(Arc::new((1..).zip(prices).map(trade).collect())),
            ..SymbolConfig::default()
        };
        let account = |key: &str| Account {
            api_key: key.into(),
            secret: String::new(),
            balance: Decimal::from(1_000_000),
        };
        Exchange::new(Config {
            accounts: vec![account("a"), account("b")],
            symbols: vec![symbol],
            ..Config::default()
        })
    }

    fn order(name: &str, side: Side, quantity: &str, limit: Option<&str>) -> NewOrder {
        NewOrder {
            client_order_id: name.into(),
            market: 0,
            side,
            kind: if limit.is_some() { OrderKind::Limit } else { OrderKind::Market },
            time_in_force: TimeInForce::Gtc,
            quantity: dec(quantity),
            price: limit.map_or(Decimal::ZERO, dec),
            reduce_only: false,
            stop_price: Decimal::ZERO,
            trail: None,
            working_type: WorkingType::Contract,
            close_position: false,
            algo: false,
        }
    }

    const NOW: WallTime = WallTime::from_micros(0);

    fn fills(exchange: &Exchange) -> Vec<(String, Decimal, Decimal, bool)> {
        let of = |fill: Fill| (fill.client_order_id.to_string(), fill.qty, fill.price, fill.maker);
        exchange.journal().fills().into_iter().map(of).collect()
    }

    #[test]
    fn a_resting_order_is_filled_by_what_the_market_trades_through_it() {
        let exchange = exchange(&["42000.0", "41999.0", "41999.0", "41999.0"]);
        let mut state = exchange.lock();
        state.trade(NOW, 0);
        state.place(NOW, 0, order("x", Side::Buy, "2.5", Some("41999.5"))).expect("a good order");
        for executed in ["1", "2", "2.5"] {
            state.trade(NOW, 0);
            assert_eq!(state.orders()[0].executed, dec(executed));
        }
        assert!(fills(&exchange).iter().all(|(_, _, price, maker)| *price == dec("41999.5") && *maker));
    }

    #[test]
    fn at_its_own_price_an_order_waits_for_those_who_came_before() {
        let exchange = exchange(&["42000.0", "41999.0", "41999.0", "41999.0"]);
        let mut state = exchange.lock();
        state.trade(NOW, 0);
        for (account, name) in [(0, "first"), (1, "second")] {
            state.place(NOW, account, order(name, Side::Buy, "1", Some("41999.0"))).expect("a good order");
        }
        let mut filled = || {
            state.trade(NOW, 0);
            fills(&exchange).into_iter().map(|(name, ..)| name).collect::<Vec<_>>()
        };
        assert_eq!(filled(), [] as [&str; 0], "the maker's unit went first");
        assert_eq!(filled(), ["first"]);
        assert_eq!(filled(), ["first", "second"]);
    }

    #[test]
    fn customers_trade_with_each_other_after_the_maker_at_the_same_price() {
        let exchange = exchange(&["42000.0"]);
        let mut state = exchange.lock();
        state.trade(NOW, 0);
        state.place(NOW, 0, order("ask", Side::Sell, "1", Some("42000.1"))).expect("a good order");
        state.place(NOW, 1, order("taker", Side::Buy, "2.5", None)).expect("a good order");
        let part = |name: &str, quantity, price, maker| (name.to_owned(), dec(quantity), dec(price), maker);
        assert_eq!(
            fills(&exchange),
            [
                part("taker", "1", "42000.1", false),
                part("ask", "1", "42000.1", true),
                part("taker", "1", "42000.1", false),
                part("taker", "0.5", "42000.2", false),
            ]
        );
    }

    #[test]
    fn the_rest_of_a_market_order_that_finds_no_more_liquidity_expires() {
        let exchange = exchange(&["42000.0"]);
        let mut state = exchange.lock();
        state.trade(NOW, 0);
        let placed = state.place(NOW, 0, order("x", Side::Sell, "7", None)).expect("a good order");
        assert_eq!((placed.result.status, placed.result.executed), (OrderStatus::Expired, dec("5")));
    }
}
