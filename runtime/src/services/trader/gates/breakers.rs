//! The breakers with their durable records.
//!
//! A record is kept twice: in the state file of this host, which outlives the ledger's outages, and in the ledger's table
//! `breakers`, from which the other trader learns it when it takes over. Of the two the newer one counts.

use std::collections::{BTreeMap, BTreeSet};

use env::{Env, WallTime, fact};
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, time::Instant};

use super::super::leave::Leave;
use crate::{
    core::{Breaker, BreakerRecord, BreakerState, Breakers, Cause, ClientOrderId, Symbol},
    state::{State, StateFile},
    status::Status,
};

/// A record and when it was made, in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Dated {
    pub(in super::super) at: i64,
    pub(in super::super) record: BreakerRecord,
}

impl Dated {
    /// As it stands in the ledger.
    pub(in super::super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a record of a breaker is made of texts and numbers")
    }
}

/// The state file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BreakerFile {
    pub(super) breakers: BTreeMap<Symbol, Dated>,
    /// Nobody knows which breakers were open: those of symbols that are not listed must be taken to be.
    pub(super) lost: bool,
}

impl State for BreakerFile {
    const PATH: &'static str = "shared_data/circuit_breaker.json";
    const SCHEMA: u32 = 1;

    fn fresh() -> Self {
        Self::default()
    }

    fn fail_closed() -> Self {
        Self { breakers: BTreeMap::new(), lost: true }
    }
}

/// A record that the ledger has yet to learn.
pub(in super::super) type News = (Symbol, Dated);

/// The breakers of this trader.
pub(in super::super) struct BreakerBook {
    env: Env,
    leave: Leave,
    status: Status,
    breakers: Breakers,
    file: watch::Sender<BTreeMap<Symbol, Dated>>,
    changed: BTreeSet<Symbol>,
}

impl BreakerBook {
    /// Starts with restored breakers, and starts to keep their file.
    pub(super) fn open(env: &Env, restored: RestoredBreakers, leave: Leave, status: Status) -> Self {
        let RestoredBreakers { breakers, file } = restored;
        let (send, records) = watch::channel(BTreeMap::new());
        env.spawn("trader.breakers", keep(file, records));
        let mut book =
            Self { env: env.clone(), leave, status, breakers, file: send, changed: BTreeSet::new() };
        let symbols: Vec<Symbol> = book.breakers.iter().map(|(symbol, _)| symbol.clone()).collect();
        symbols.iter().for_each(|symbol| book.show(symbol));
        book
    }

    pub(super) fn admits(&mut self, now: Instant, symbol: &Symbol) -> bool {
        self.tick(now);
        self.breakers.of(symbol).admits()
    }

    pub(super) fn pass(&mut self, symbol: &Symbol, entry: &ClientOrderId) {
        if self.breakers.of(symbol).pass(entry) {
            fact!("breaker.probes", symbol = %symbol, client_order_id = %entry);
            self.record(symbol);
        }
    }

    pub(super) fn failed(&mut self, now: Instant, symbol: &Symbol, order: &ClientOrderId) {
        self.tick(now);
        let changed = self.breakers.of(symbol).failed(now);
        env::detail!("breaker.failure", symbol = %symbol, client_order_id = %order);
        self.record(symbol);
        if changed {
            self.report(symbol);
        }
    }

    pub(super) fn succeeded(&mut self, now: Instant, symbol: &Symbol, order: &ClientOrderId) {
        self.tick(now);
        if self.breakers.of(symbol).succeeded(order) {
            self.record(symbol);
            self.report(symbol);
        }
    }

    pub(super) fn withdrawn(&mut self, now: Instant, symbol: &Symbol, order: &ClientOrderId) {
        self.tick(now);
        if self.breakers.of(symbol).withdrawn(order) {
            self.record(symbol);
        }
    }

    pub(super) fn reset(&mut self, now: Instant, symbol: &Symbol) {
        self.tick(now);
        *self.breakers.of(symbol) = Breaker::default();
        self.record(symbol);
        self.report(symbol);
    }

    pub(super) fn next_tick(&self) -> Option<Instant> {
        self.breakers.next_tick()
    }

    pub(super) fn tick(&mut self, now: Instant) {
        if self.breakers.next_tick().is_none_or(|at| now < at) {
            return;
        }
        for symbol in self.breakers.tick(now) {
            self.record(&symbol);
            self.report(&symbol);
        }
    }

    /// What has changed since the last call.
    pub(super) fn news(&mut self) -> Vec<News> {
        if self.changed.is_empty() {
            return Vec::new();
        }
        let records = self.file.borrow();
        let changed = std::mem::take(&mut self.changed).into_iter();
        changed.filter_map(|symbol| Some((symbol.clone(), records.get(&symbol)?.clone()))).collect()
    }

    fn record(&mut self, symbol: &Symbol) {
        let wall = self.env.clock.now();
        let record = self.breakers.of(symbol).record(Instant::now(), wall);
        self.changed.insert(symbol.clone());
        self.file.send_modify(|records| {
            records.insert(symbol.clone(), Dated { at: wall.as_millis(), record });
        });
    }

    fn report(&mut self, symbol: &Symbol) {
        fact!("breaker.changed", symbol = %symbol, state = self.breakers.of(symbol).state().as_str());
        self.show(symbol);
    }

    fn show(&mut self, symbol: &Symbol) {
        let state = self.breakers.of(symbol).state();
        self.status.gauge_of("breaker_state", ("symbol", symbol.as_str()), state.level());
        let cause = Cause::Breaker(symbol.clone());
        match state {
            BreakerState::Open => self.leave.raise(cause),
            BreakerState::Closed | BreakerState::HalfOpen => self.leave.end(&cause),
        }
    }
}

/// Writes the file whenever a record has changed, until there are no breakers any more.
async fn keep(mut file: StateFile<BreakerFile>, mut records: watch::Receiver<BTreeMap<Symbol, Dated>>) {
    while records.changed().await.is_ok() {
        let mut value = file.value().clone();
        value.breakers.extend(records.borrow_and_update().clone());
        if let Err(error) = file.save(value).await {
            fact!("breaker.not_saved", reason = %error);
        }
    }
}

/// What is known of the breakers at the start.
pub(in super::super) struct RestoredBreakers {
    breakers: Breakers,
    file: StateFile<BreakerFile>,
}

impl RestoredBreakers {
    /// Joins the state file with the ledger's records.
    pub(super) fn join(
        file: StateFile<BreakerFile>,
        ledger: BTreeMap<Symbol, Dated>,
        symbols: impl Iterator<Item = Symbol>,
        wall: WallTime,
        is_unresolved: impl Fn(&ClientOrderId) -> bool,
    ) -> Self {
        let mut records = ledger;
        for (symbol, own) in &file.value().breakers {
            if records.get(symbol).is_none_or(|others| others.at < own.at) {
                records.insert(symbol.clone(), own.clone());
            }
        }
        if file.value().lost {
            for symbol in symbols {
                let forever = BreakerRecord::Open { until: i64::MAX / 1_000 };
                records.entry(symbol).or_insert(Dated { at: wall.as_millis(), record: forever });
            }
        }
        let now = Instant::now();
        let restored = records.into_iter().map(|(symbol, Dated { record, .. })| {
            (symbol, Breaker::restored(&record, now, wall, &is_unresolved))
        });
        Self { breakers: Breakers::new(restored.collect()), file }
    }
}
