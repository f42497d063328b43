//! Feeder, ares and trader against the three peers over loopback: the same code as in a simulation, on real sockets, files
//! and clocks. Each process has a runtime of its own, so that it can be killed.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, mpsc},
    time::Duration,
};

use broker::{Event, Exchange, SymbolConfig, Synthetic, Tape};
use env::{Env, os};
use ledger::Replica;
use runtime::{
    core::Rule,
    services::{
        ares::{self, AresConfig},
        feeder::{self, FeederConfig},
        trader::{self, TraderConfig},
    },
};
use tempfile::TempDir;
use tokio::{runtime::Runtime, time::Instant};

/// How long anything may take; far more than it does, on a busy machine, too.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a condition is looked at.
const GLANCE: Duration = Duration::from_millis(10);

#[test]
fn market_trades_become_orders_whose_fills_the_ledger_has_exactly_once() {
    let system = System::start(40);
    system.wait("two round trips", || system.exchange.journal().fills().len() >= 4);
    system.wait("their fills in the ledger", || system.ledger_has_every_fill());
    system.assert_every_order_has_an_intent();
}

#[test]
fn an_exit_is_executed_while_the_ledger_is_down_and_booked_when_it_is_back() {
    let mut system = System::start(300);
    system.wait("an entry in the ledger", || {
        !system.exchange.journal().fills().is_empty() && system.ledger_has_every_fill()
    });
    system.processes.remove("ledger").unwrap().kill();
    system.wait("an exit", || !system.received(true).is_empty());
    let exit = system.received(true).into_iter().next().unwrap();
    assert_eq!(system.status(&exit), None, "the ledger is down");

    system.start_ledger();
    system.wait("the exit in the ledger", || system.status(&exit).as_deref() == Some("FILLED"));
    system.wait("every fill in the ledger", || system.ledger_has_every_fill());
    system.assert_every_order_has_an_intent();
}

#[test]
fn an_exit_that_only_the_outbox_knows_outlives_the_trader() {
    let mut system = System::start(300);
    system.wait("an entry in the ledger", || {
        !system.exchange.journal().fills().is_empty() && system.ledger_has_every_fill()
    });
    system.processes.remove("ledger").unwrap().kill();
    system.wait("an executed exit", || system.exchange.journal().position("BTCUSDT").is_zero());
    let exit = system.received(true).into_iter().next().unwrap();
    system.processes.remove("trader").unwrap().kill();
    system.start_trader();
    assert_eq!(system.status(&exit), None, "the ledger is down");

    system.start_ledger();
    system.wait("the exit in the ledger", || system.status(&exit).as_deref() == Some("FILLED"));
    system.wait("every fill in the ledger", || system.ledger_has_every_fill());
    assert_eq!(system.received(true).iter().filter(|id| **id == exit).count(), 1, "it was sent once");
}

#[test]
fn a_trader_that_was_killed_resolves_its_orders_and_repeats_none() {
    let mut system = System::start(40);
    for round in 1..=3 {
        system.wait("an order", || system.received(false).len() > round);
        system.processes.remove("trader").unwrap().kill();
        system.start_trader();
    }
    let fills = system.exchange.journal().fills().len();
    system.wait("another order", || system.exchange.journal().fills().len() > fills);
    system.wait("every fill in the ledger", || system.ledger_has_every_fill());
    system.assert_every_order_has_an_intent();

    let mut accepted = BTreeSet::new();
    for record in system.exchange.journal().records().iter() {
        if let Event::OrderAccepted { client_order_id, .. } = &record.event {
            assert!(accepted.insert(client_order_id.clone()), "{client_order_id} was accepted twice");
        }
    }
}

struct System {
    directory: TempDir,
    exchange: Arc<Exchange>,
    hosts: BTreeMap<String, (String, u16)>,
    processes: BTreeMap<&'static str, Process>,
    hold: u64,
}

/// A process: its tasks end with its runtime.
struct Process(Runtime);

impl Process {
    fn kill(self) {
        self.0.shutdown_timeout(PATIENCE);
    }
}

impl System {
    /// Starts all processes; ares leaves `hold` market trades of 10 ms after it entered.
    fn start(hold: u64) -> Self {
        let tape =
            Tape::Synthetic(Synthetic { mean_interval: Duration::from_millis(10), ..Synthetic::default() });
        let symbols = vec![SymbolConfig { tape, ..SymbolConfig::default() }];
        let exchange = Exchange::new(broker::Config { port: 0, symbols, ..broker::Config::default() });
        let mut system = Self {
            directory: tempfile::tempdir().unwrap(),
            exchange,
            hosts: BTreeMap::new(),
            processes: BTreeMap::new(),
            hold,
        };
        system.serve("bus", |env, port| async move {
            let server =
                bus::Server::bind(env, bus::Config { port: 0, ..bus::Config::default() }).await.unwrap();
            port.send(server.port()).unwrap();
            server.run().await.unwrap();
        });
        let exchange = system.exchange.clone();
        system.serve("broker", |env, port| async move {
            let server = broker::Server::bind(env, exchange).await.unwrap();
            port.send(server.local_addr().unwrap().port()).unwrap();
            match server.run().await {}
        });
        system.start_ledger();
        system.start_trader();
        let rule = Rule { cadence: 50, lookback: 5, hold: Some(hold), ..Rule::default() };
        let rules = BTreeMap::from([("BTCUSDT".parse().unwrap(), rule)]);
        system.run("ares", move |env| ares::run(env, AresConfig { rules, ..AresConfig::default() }));
        system.run("feeder", |env| feeder::run(env, FeederConfig::default()));
        system
    }

    fn start_ledger(&mut self) {
        let port = self.hosts.get("ledger").map_or(0, |(_, port)| *port);
        self.serve("ledger", move |env, tell| async move {
            let config = ledger::Config { port, ..ledger::Config::default() };
            let server = ledger::Server::bind(env, config).await.unwrap();
            tell.send(server.port().unwrap()).unwrap();
            server.run().await.unwrap();
        });
    }

    fn start_trader(&mut self) {
        self.run("trader", |env| trader::run(env, TraderConfig::default()));
    }

    fn serve<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        name: &'static str,
        server: impl FnOnce(Env, mpsc::Sender<u16>) -> F + Send + 'static,
    ) {
        let (send, port) = mpsc::channel();
        self.run(name, |env| server(env, send));
        let port = port.recv_timeout(PATIENCE).unwrap();
        self.hosts.insert(name.into(), ("127.0.0.1".into(), port));
    }

    fn run<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        name: &'static str,
        process: impl FnOnce(Env) -> F + Send + 'static,
    ) {
        let config = os::Config {
            data_dir: self.data_of(name),
            listen_ip: "127.0.0.1".into(),
            hosts: self.hosts.clone(),
            ..os::Config::default()
        };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let env = os::env(config).unwrap();
            env.spawn(name, process(env.clone()));
        });
        self.processes.insert(name, Process(runtime));
    }

    fn data_of(&self, process: &str) -> PathBuf {
        self.directory.path().join(process)
    }

    fn wait(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let deadline = Instant::now() + PATIENCE;
            while !holds() {
                assert!(Instant::now() < deadline, "waited in vain for {what}; hold {}", self.hold);
                tokio::time::sleep(GLANCE).await;
            }
        });
    }

    fn ledger(&self) -> Replica {
        let mut replica = Replica::default();
        let directory = self.data_of("ledger");
        replica.catch_up(|file, look| look(std::fs::read(directory.join(file)).ok().as_deref()));
        replica
    }

    fn status(&self, client_order_id: &str) -> Option<String> {
        self.ledger().find("order_intents", "client_order_id", client_order_id)?.text("status")
    }

    /// The client order ids of the orders that the exchange was asked for, exits or all.
    fn received(&self, only_exits: bool) -> Vec<Arc<str>> {
        let journal = self.exchange.journal();
        let records = journal.records();
        let received = records.iter().filter_map(|record| match &record.event {
            Event::OrderReceived(order) if order.reduce_only || !only_exits => {
                Some(order.client_order_id.clone())
            }
            _ => None,
        });
        received.collect()
    }

    fn ledger_has_every_fill(&self) -> bool {
        let replica = self.ledger();
        let text = |row: &ledger::Row<'_>, column: &str| row.text(column).unwrap();
        let booked: BTreeSet<[String; 4]> = replica
            .rows("fills")
            .map(|row| ["trade_id", "client_order_id", "qty", "price"].map(|column| text(&row, column)))
            .collect();
        let fills = self.exchange.journal().fills();
        let executed: BTreeSet<[String; 4]> = fills
            .iter()
            .map(|fill| {
                let id = fill.client_order_id.to_string();
                [
                    fill.trade_id.to_string(),
                    id,
                    fill.qty.normalize().to_string(),
                    fill.price.normalize().to_string(),
                ]
            })
            .collect();
        assert!(
            booked.is_subset(&executed),
            "the ledger has fills that the exchange has not: {booked:?} {executed:?}"
        );
        booked == executed
    }

    fn assert_every_order_has_an_intent(&self) {
        for id in self.received(false) {
            self.wait("the intent of an order", || self.status(&id).is_some());
        }
    }
}
