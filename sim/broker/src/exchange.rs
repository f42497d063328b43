//! The venue's memory: orders, accounts, listen keys and markets, behind one lock that is never held across an await.
//!
//! It changes only through [`State`]'s verbs, which decide at once and return what to tell the owners; delays, sockets and
//! delivery are the server's.

mod amend;
mod conditions;
mod countdown;
mod execute;
mod funds;
mod keys;
mod liquidate;
mod offers;
mod orders;
#[cfg(test)]
mod properties;
mod settings;
mod update;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

pub(crate) use amend::Amendment;
pub(crate) use countdown::Countdowns;
use env::WallTime;
use faults::Board;
pub(crate) use funds::{exposure, unrealized};
pub(crate) use keys::ListenKeys;
pub(crate) use offers::{Preview, Top};
pub(crate) use orders::{OrderRef, Placed, Which};
pub(crate) use update::{Balance, Change, Endangered, Execution, Update};

use crate::{
    account::Holdings,
    config::{ClientOrderIds, Config},
    fault::Fault,
    journal::{Event, Journal, Record},
    limits::Limits,
    market::Market,
    order::Order,
    replica::{HORIZON, Replica},
    sign::Signer,
};

/// An exchange: serve it with [`serve`](crate::serve), as often as its process restarts.
pub struct Exchange {
    pub(crate) port: u16,
    pub(crate) max_connections: usize,
    pub(crate) query_lag: Duration,
    pub(crate) limits: Mutex<Limits>,
    replica: Mutex<Replica>,
    faults: Arc<Board<Fault>>,
    customers: Vec<Customer>,
    journal: Arc<Journal>,
    state: Mutex<State>,
}

struct Customer {
    api_key: Arc<str>,
    signer: Signer,
}

impl Exchange {
    /// A new exchange with empty books.
    pub fn new(config: Config) -> Arc<Self> {
        let journal = Arc::<Journal>::default();
        let customer = |account: &crate::Account| {
            journal.open(account.balance);
            Customer { api_key: account.api_key.as_str().into(), signer: Signer::new(&account.secret) }
        };
        let customers: Vec<_> = config.accounts.iter().map(customer).collect();
        let holdings = |account: &crate::Account| Holdings::new(account.balance, config.symbols.len());
        let state = State {
            client_order_ids: config.client_order_ids,
            names: customers.iter().map(|customer| customer.api_key.clone()).collect(),
            holdings: config.accounts.iter().map(holdings).collect(),
            keys: ListenKeys::new(config.accounts.len()),
            markets: config.symbols.into_iter().map(Market::new).collect(),
            journal: journal.clone(),
            countdowns: Countdowns::default(),
            faults: config.faults.clone(),
            changed_at: vec![WallTime::from_micros(0); config.accounts.len()],
            warned: vec![false; config.accounts.len()],
            orders: Vec::new(),
            open: BTreeSet::new(),
            by_client_id: BTreeMap::new(),
            unnamed: 0,
            ranks: 0,
            seeded: false,
        };
        Arc::new(Self {
            port: config.port,
            max_connections: config.max_connections,
            query_lag: config.query_lag.min(HORIZON),
            replica: Mutex::new(Replica::new(state.holdings.iter().cloned())),
            faults: config.faults,
            limits: Mutex::new(Limits::new()),
            customers,
            journal,
            state: Mutex::new(state),
        })
    }

    /// What really happened.
    pub fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    /// What is wrong with it.
    pub fn faults(&self) -> &Arc<Board<Fault>> {
        &self.faults
    }

    pub(crate) fn replica(&self) -> MutexGuard<'_, Replica> {
        self.replica.lock().expect("no holder of this lock panics")
    }

    /// The account with `api_key`: its index and its signer.
    pub(crate) fn customer(&self, api_key: &[u8]) -> Option<(usize, &Signer)> {
        let index = self.customers.iter().position(|customer| customer.api_key.as_bytes() == api_key)?;
        Some((index, &self.customers[index].signer))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

/// Everything that orders and trades change.
pub(crate) struct State {
    pub keys: ListenKeys,
    pub markets: Vec<Market>,
    pub countdowns: Countdowns,
    client_order_ids: ClientOrderIds,
    /// API keys, by account.
    names: Vec<Arc<str>>,
    /// By account.
    holdings: Vec<Holdings>,
    /// When each account last traded; 1970 before it ever did.
    changed_at: Vec<WallTime>,
    /// Which accounts have had a margin call and are still in danger.
    warned: Vec<bool>,
    journal: Arc<Journal>,
    faults: Arc<Board<Fault>>,
    /// By id − 1.
    orders: Vec<Order>,
    /// Ids of the orders that may still trade.
    open: BTreeSet<u64>,
    /// The latest order of each client order id, by account.
    by_client_id: BTreeMap<(usize, Arc<str>), u64>,
    /// How many orders came without a client order id.
    unnamed: u64,
    /// How many places in queues have been given out.
    ranks: u64,
    seeded: bool,
}

impl State {
    /// Chooses the price paths of all markets; only the first call counts.
    pub fn seed(&mut self, seed: impl FnOnce() -> u64) {
        if !std::mem::replace(&mut self.seeded, true) {
            let seed = seed();
            for market in &mut self.markets {
                market.seed(seed);
            }
        }
    }

    /// The index of the market of `symbol`.
    pub fn market(&self, symbol: &str) -> Option<usize> {
        self.markets.iter().position(|market| &*market.symbol == symbol)
    }

    pub fn holdings(&self, account: usize) -> &Holdings {
        &self.holdings[account]
    }

    /// When the account's wallet and positions last changed.
    pub fn changed_at(&self, account: usize) -> WallTime {
        self.changed_at[account]
    }

    /// All orders that there have ever been, oldest first; their ids are contiguous from 1.
    pub fn orders(&self) -> &[Order] {
        &self.orders
    }

    /// An account's orders that may still trade, oldest first.
    pub fn open_orders(&self, account: usize) -> impl Iterator<Item = &Order> {
        self.open.iter().map(|id| self.order(*id)).filter(move |order| order.account == account)
    }

    fn order(&self, id: u64) -> &Order {
        &self.orders[index(id)]
    }

    fn order_mut(&mut self, id: u64) -> &mut Order {
        &mut self.orders[index(id)]
    }

    fn record(&self, at: WallTime, account: usize, event: Event) {
        self.journal.append(Record { at, account: self.names[account].clone(), event });
    }
}

/// Where the order with `id` is in `State::orders`.
fn index(id: u64) -> usize {
    usize::try_from(id - 1).expect("an order in memory has an id that memory can index")
}
