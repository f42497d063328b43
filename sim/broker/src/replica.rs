//! What the exchange knew a while ago: the replica that answers queries, behind by as much as it is told to be.
//!
//! It keeps the latest versions of whatever changed within [`HORIZON`]; what has not changed is as it always was. The age of
//! a version is steady time, so that no step of the wall clock makes the past come back.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use env::WallTime;
use tokio::time::Instant;

use crate::{
    account::Holdings,
    exchange::{Change, Execution, OrderRef, State, Update, exposure, unrealized},
    margin::{Exposure, Margin},
    order::Order,
};

/// The furthest that a replica can be behind.
pub(crate) const HORIZON: Duration = Duration::from_secs(10 * 60);

/// Versions of what changed lately.
pub(crate) struct Replica {
    /// By order, oldest version first. An order that is missing is now what it was all along.
    orders: BTreeMap<u64, VecDeque<(Instant, Order)>>,
    /// When which order changed, oldest first.
    changed: VecDeque<(Instant, u64)>,
    /// By account, oldest version first; the first counts from the beginning of time.
    accounts: Vec<VecDeque<Version>>,
    /// When which market's fill happened, oldest first.
    fills: VecDeque<(Instant, usize, u64)>,
}

struct Version {
    since: Option<Instant>,
    changed_at: WallTime,
    holdings: Holdings,
}

impl Replica {
    pub fn new(holdings: impl Iterator<Item = Holdings>) -> Self {
        let first = |holdings| {
            VecDeque::from([Version { since: None, changed_at: WallTime::from_micros(0), holdings }])
        };
        Self {
            orders: BTreeMap::new(),
            changed: VecDeque::new(),
            accounts: holdings.map(first).collect(),
            fills: VecDeque::new(),
        }
    }

    /// Hears of a change that `state` has just made.
    pub fn note(&mut self, now: Instant, state: &State, update: &Update) {
        self.forget(now);
        match &update.change {
            Change::Order { order, execution } => {
                if let Execution::Trade(fill) = execution {
                    self.fills.push_back((now, order.terms.market, fill.trade_id));
                }
                self.orders.entry(order.id).or_default().push_back((now, Order::clone(order)));
                self.changed.push_back((now, order.id));
            }
            Change::Algo(order) => {
                self.orders.entry(order.id).or_default().push_back((now, Order::clone(order)));
                self.changed.push_back((now, order.id));
            }
            _ => {
                let holdings = state.holdings(update.account).clone();
                let version = Version { since: Some(now), changed_at: update.at, holdings };
                self.accounts[update.account].push_back(version);
            }
        }
    }

    /// Whether the account looked different `lag` ago.
    pub fn account_differs(&self, now: Instant, lag: Duration, account: usize) -> bool {
        let latest = self.accounts[account].back().and_then(|version| version.since);
        latest.is_some_and(|since| !is_visible(since, now, lag))
    }

    /// Whether any order looked different `lag` ago.
    pub fn orders_differ(&self, now: Instant, lag: Duration) -> bool {
        self.changed.back().is_some_and(|(since, _)| !is_visible(*since, now, lag))
    }

    /// Drops versions that no lag can ask for any more.
    fn forget(&mut self, now: Instant) {
        while let Some((_, id)) = self.changed.pop_front_if(|(since, _)| is_visible(*since, now, HORIZON)) {
            let Some(versions) = self.orders.get_mut(&id) else { continue };
            while versions.get(1).is_some_and(|(since, _)| is_visible(*since, now, HORIZON)) {
                versions.pop_front();
            }
            // An open order's only version is what later ones will differ from.
            if versions.len() == 1 && !versions[0].1.status.is_open() {
                self.orders.remove(&id);
            }
        }
        while self.fills.pop_front_if(|(since, ..)| is_visible(*since, now, HORIZON)).is_some() {}
        for versions in &mut self.accounts {
            let superseded = |next: &Version| next.since.is_none_or(|since| is_visible(since, now, HORIZON));
            while versions.get(1).is_some_and(superseded) {
                versions.pop_front();
            }
        }
    }
}

/// Whether what happened at `since` is known at `now` to one who is behind by `lag`.
fn is_visible(since: Instant, now: Instant, lag: Duration) -> bool {
    now.saturating_duration_since(since) >= lag
}

/// What a query sees: the exchange as it was `lag` ago. Prices are those of now: they come from elsewhere.
pub(crate) struct View<'a> {
    state: &'a State,
    /// None when the query sees the present.
    past: Option<Past<'a>>,
}

struct Past<'a> {
    replica: &'a Replica,
    now: Instant,
    lag: Duration,
}

impl<'a> View<'a> {
    pub fn present(state: &'a State) -> Self {
        Self { state, past: None }
    }

    pub fn past(state: &'a State, replica: &'a Replica, now: Instant, lag: Duration) -> Self {
        Self { state, past: Some(Past { replica, now, lag }) }
    }

    /// Listings and prices, which no replica holds back.
    pub fn state(&self) -> &'a State {
        self.state
    }

    /// An account's order.
    pub fn find(&self, account: usize, market: usize, order: OrderRef<'_>) -> Option<&'a Order> {
        let order = self.seen(self.state.look_up(account, order)?)?;
        (order.terms.market == market && !order.is_algo_only()).then_some(order)
    }

    /// An account's order that was placed with the algo service.
    pub fn find_algo(&self, account: usize, order: OrderRef<'_>) -> Option<&'a Order> {
        self.seen(self.state.look_up(account, order)?).filter(|order| order.algo.is_some())
    }

    /// An account's orders that may still trade, oldest first.
    pub fn open_orders(&self, account: usize) -> Vec<&'a Order> {
        let Some(past) = &self.past else { return self.state.open_orders(account).collect() };
        let changed = past.replica.orders.values().filter_map(|versions| past.latest(versions));
        let unchanged =
            self.state.open_orders(account).filter(|order| !past.replica.orders.contains_key(&order.id));
        let mut orders: Vec<&Order> = changed.chain(unchanged).collect();
        orders.retain(|order| order.account == account && order.status.is_open());
        orders.sort_by_key(|order| order.id);
        orders
    }

    /// An order as it is seen; none when it is too young.
    pub fn seen(&self, order: &'a Order) -> Option<&'a Order> {
        let Some(past) = &self.past else { return Some(order) };
        match past.replica.orders.get(&order.id) {
            Some(versions) => past.latest(versions),
            None => Some(order),
        }
    }

    pub fn holdings(&self, account: usize) -> &'a Holdings {
        match self.version(account) {
            Some(version) => &version.holdings,
            None => self.state.holdings(account),
        }
    }

    /// An account's margin, and what each market contributes to it. Prices are those of now.
    pub fn funds(&self, account: usize) -> (Margin, Vec<Exposure>) {
        let (markets, holdings, orders) =
            (&self.state.markets, self.holdings(account), self.open_orders(account));
        let mut margin = Margin {
            wallet: holdings.wallet,
            unrealized: unrealized(markets, holdings),
            ..Margin::default()
        };
        let of = |market| exposure(markets, holdings, market, orders.iter().copied());
        let exposures: Vec<Exposure> = (0..markets.len()).map(of).collect();
        exposures.iter().for_each(|exposure| margin += exposure);
        (margin, exposures)
    }

    /// All orders of an account in a market that are seen, oldest first, from the one with id `from` on.
    pub fn orders(&self, account: usize, market: usize, from: u64) -> impl Iterator<Item = &'a Order> {
        let start = usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX);
        let orders = self.state.orders().get(start..).unwrap_or_default();
        let own = move |order: &&Order| order.account == account && order.terms.market == market;
        orders.iter().filter(own).filter_map(|order| self.seen(order))
    }

    /// When the account's wallet and positions last changed.
    pub fn changed_at(&self, account: usize) -> WallTime {
        self.version(account).map_or_else(|| self.state.changed_at(account), |version| version.changed_at)
    }

    /// The first trade of a market's customers that is not seen yet.
    pub fn first_unseen_trade(&self, market: usize) -> u64 {
        let Some(past) = &self.past else { return u64::MAX };
        let unseen = |(since, of, _): &&(Instant, usize, u64)| {
            *of == market && !is_visible(*since, past.now, past.lag)
        };
        past.replica.fills.iter().find(unseen).map_or(u64::MAX, |(.., id)| *id)
    }

    fn version(&self, account: usize) -> Option<&'a Version> {
        let past = self.past.as_ref()?;
        let seen =
            |version: &&Version| version.since.is_none_or(|since| is_visible(since, past.now, past.lag));
        past.replica.accounts[account].iter().rev().find(seen)
    }
}

impl<'a> Past<'a> {
    fn latest(&self, versions: &'a VecDeque<(Instant, Order)>) -> Option<&'a Order> {
        let seen = versions.iter().rev().find(|(since, _)| is_visible(*since, self.now, self.lag));
        seen.map(|(_, order)| order)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::*;
    use crate::{
        Config, Exchange,
        exchange::Which,
        order::{NewOrder, OrderKind, OrderStatus, Side, TimeInForce, WorkingType},
    };

    /// Everything that a query of account 0 can see.
    #[derive(Debug, PartialEq)]
    struct Picture {
        orders: Vec<(OrderStatus, Decimal)>,
        open: Vec<u64>,
        wallet: Decimal,
        position: Decimal,
        trades: usize,
    }

    fn picture(view: &View<'_>) -> Picture {
        let holdings = view.holdings(0);
        let find = |id| view.find(0, 0, OrderRef::Id(id)).map(|order| (order.status, order.executed));
        let unseen = view.first_unseen_trade(0);
        Picture {
            orders: (1..=view.state().orders().len() as u64).filter_map(find).collect(),
            open: view.open_orders(0).iter().map(|order| order.id).collect(),
            wallet: holdings.wallet,
            position: holdings.position(0).amount,
            trades: view.state().markets[0].fills.iter().filter(|(_, fill)| fill.trade_id < unseen).count(),
        }
    }

    fn order(n: usize, lots: u32) -> NewOrder {
        NewOrder {
            client_order_id: format!("c{n}").into(),
            market: 0,
            side: if lots.is_multiple_of(3) { Side::Sell } else { Side::Buy },
            kind: OrderKind::Limit,
            time_in_force: TimeInForce::Gtc,
            quantity: Decimal::new(lots.into(), 3),
            price: Decimal::new(420_000 + i64::from(lots % 40) - 20, 1),
            reduce_only: false,
            stop_price: Decimal::ZERO,
            trail: None,
            working_type: WorkingType::Contract,
            close_position: false,
            algo: false,
        }
    }

    /// Places, cancels or trades, and tells the replica.
    fn act(state: &mut State, replica: &mut Replica, now: Instant, n: usize, (act, lots): (u8, u32)) {
        let at = WallTime::from_millis(n as i64);
        let updates = match act {
            0 => state.place(at, 0, order(n, lots)).map(|placed| placed.updates).unwrap_or_default(),
            1 => state.cancel_all(at, 0, 0, Which::All),
            _ => state.trade(at, 0).map(|(_, updates)| updates).unwrap_or_default(),
        };
        updates.iter().for_each(|update| replica.note(now, state, update));
    }

    proptest! {
        #[test]
        fn a_replica_sees_exactly_what_was_true_and_remembers_no_more_than_it_must(
            steps in prop::collection::vec(((0..6_u8, 3..90_u32), 1..90_u64), 1..60),
            lag in (0..HORIZON.as_secs()).prop_map(Duration::from_secs),
        ) {
            let exchange = Exchange::new(Config::default());
            let mut state = exchange.lock();
            let mut replica = Replica::new([state.holdings(0).clone()].into_iter());
            let mut now = Instant::now();
            let mut past = vec![(now, picture(&View::present(&state)))];
            for (n, (step, pause)) in steps.into_iter().enumerate() {
                now += Duration::from_secs(pause);
                act(&mut state, &mut replica, now, n, step);
                past.push((now, picture(&View::present(&state))));
                let then = past.iter().rfind(|(since, _)| now - *since >= lag).unwrap_or(&past[0]);
                prop_assert_eq!(&picture(&View::past(&state, &replica, now, lag)), &then.1);
            }
            now += HORIZON;
            act(&mut state, &mut replica, now, 1_000, (0, 4));
            prop_assert!(replica.orders.len() <= state.open_orders(0).count() + 1);
            prop_assert!(replica.changed.len() <= 10 && replica.fills.len() <= 10);
            prop_assert!(replica.accounts[0].len() <= 10);
        }
    }
}
