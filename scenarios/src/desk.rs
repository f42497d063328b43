//! Worlds: which hosts a scenario has and what runs on them.

mod safety;

use std::{collections::BTreeMap, sync::Arc};

use broker::{Exchange, Journal, SymbolConfig};
use env::{Env, fact};
use runtime::{
    clients::process::Process,
    core::{Qty, Rule, Symbol, exit_rule::ExitRule},
    services::{ares, feeder, supervisor, trader},
};
pub use safety::{EMERGENCY_EXIT, EXIT_BRAIN, WATCHDOG, two_positions, witness};
use sim::{World, ms};

/// The exchange.
pub const BROKER: &str = "broker";
/// The Redis-compatible server.
pub const BUS: &str = "bus";
/// The PostgreSQL-compatible server.
pub const LEDGER: &str = "ledger";
/// Market data from the exchange to the bus.
pub const FEEDER: &str = "feeder";
/// The entry strategy.
pub const ARES: &str = "ares";
/// Health checks, auto-heal, the operators' interface.
pub const SUPERVISOR: &str = "supervisor";
/// Signals to orders, fills to the ledger: the only trader of the slice.
pub const TRADER: &str = "trader";
/// The traders of the full system, of which one leads.
pub const TRADERS: [&str; 2] = ["trader-a", "trader-b"];

/// The processes of the trading system.
pub const PROCESSES: [&str; 8] =
    [ARES, EMERGENCY_EXIT, EXIT_BRAIN, FEEDER, SUPERVISOR, TRADERS[0], TRADERS[1], WATCHDOG];

/// The symbols of the full system.
pub const SYMBOLS: [&str; 2] = ["BTCUSDT", "ETHUSDT"];

/// The whole trading system on two symbols, with the three peers that it needs. The exchange is a few milliseconds further
/// away than the rest, and its truth journal is on exhibit.
pub fn full(world: &mut World) {
    full_trading_by(world, Rule::default(), ExitRule::default());
}

/// As [`full()`], entering each symbol by this rule – in ETHUSDT with 0.05 – and leaving by that one.
pub fn full_trading_by(world: &mut World, rule: Rule, exits: ExitRule) {
    let btc = Rule { hold: None, ..rule };
    let eth = Rule { qty: qty("0.05"), ..btc };
    let rules = BTreeMap::from([(symbol(SYMBOLS[0]), btc), (symbol(SYMBOLS[1]), eth)]);
    let exchange = Exchange::new(broker::Config {
        symbols: vec![SymbolConfig::default(), SymbolConfig::ethusdt()],
        ..broker::Config::default()
    });
    let symbols: Vec<Symbol> = rules.keys().cloned().collect();
    market(world, exchange, rules);
    for name in TRADERS {
        let config = trader::TraderConfig { name: name.into(), supervised: true, ..Default::default() };
        world.host(name, move |env| trader::run(env, config.clone()));
    }
    safety::hosts(world, &symbols, exits);
    world.host(SUPERVISOR, |env| supervisor::run(env, supervisor::SupervisorConfig::default()));
    for client in TRADERS.into_iter().chain([SUPERVISOR]) {
        world.link(client, BROKER, ms(5), ms(20));
    }
}

/// Market data, strategy and one trader in one symbol, with the three peers that they need.
pub fn slice(world: &mut World) {
    slice_trading_by(world, Rule::default());
}

/// A rule so busy that every outage of half a minute meets entries and exits: a chance to enter each second, out after 6 s.
pub fn busy_rule() -> Rule {
    Rule { cadence: 4, lookback: 1, hold: Some(24), ..Rule::default() }
}

/// As [`slice()`], with a strategy that trades by this rule.
pub fn slice_trading_by(world: &mut World, rule: Rule) {
    let exchange = Exchange::new(broker::Config::default());
    market(world, exchange, BTreeMap::from([(symbol(SYMBOLS[0]), rule)]));
    world.host(TRADER, |env| trader::run(env, trader::TraderConfig::default()));
    world.link(TRADER, BROKER, ms(5), ms(20));
}

fn symbol(name: &str) -> Symbol {
    name.parse().expect("the catalogue's symbols are symbols")
}

fn qty(text: &str) -> Qty {
    text.parse().expect("the catalogue's quantities are quantities")
}

/// The peers, the feeder and the strategy.
fn market(world: &mut World, exchange: Arc<Exchange>, rules: BTreeMap<Symbol, Rule>) {
    world.publish::<Journal>(exchange.journal().clone());
    peers(world, exchange);
    let symbols: Vec<Symbol> = rules.keys().cloned().collect();
    world.host(FEEDER, move |env| feeder::run(env, feeder::FeederConfig { symbols: symbols.clone() }));
    let config = ares::AresConfig { rules, ..Default::default() };
    world.host(ARES, move |env| ares::run(env, config.clone()));
    world.link(FEEDER, BROKER, ms(5), ms(20));
}

fn peers(world: &mut World, exchange: Arc<Exchange>) {
    world.peer(BROKER, exchange.faults().clone());
    world.host(BROKER, move |env| {
        let exchange = exchange.clone();
        async move { until_it_fails(broker::serve(env, exchange).await) }
    });
    world.host(BUS, |env| async move { until_it_fails(bus::serve(env, bus::Config::default()).await) });
    let config = ledger::Config::default();
    world.peer(LEDGER, config.faults.clone());
    world.host(LEDGER, move |env| {
        let config = config.clone();
        async move { until_it_fails(ledger::serve(env, config).await) }
    });
}

/// A server that cannot go on says why; its process then ends.
fn until_it_fails<E: std::fmt::Display>(outcome: Result<(), E>) {
    if let Err(error) = outcome {
        fact!("server.failed", reason = %error);
    }
}

/// A person who asks every process of the full system for its readiness each second: adds a host that reports what changes.
pub fn watcher(world: &mut World) {
    world.host("watcher", |env: Env| async move {
        let processes = PROCESSES.map(|host| Process::new(env.clone(), host));
        let mut ready = BTreeMap::new();
        loop {
            tokio::time::sleep(ms(1_000)).await;
            for process in &processes {
                let reply = process.get("/ready", ms(500)).await;
                let is_ready = reply.is_ok_and(|reply| reply.status.is_success());
                if ready.insert(process.host(), is_ready) != Some(is_ready) {
                    fact!("watcher.sees", process = process.host(), ready = is_ready);
                }
            }
        }
    });
}

/// A person with `psql`: adds a host that counts the stored intents each second and reports how many it can read.
pub fn operator(world: &mut World) {
    world.host("operator", |env: Env| async move {
        let ledger = runtime::clients::ledger::Ledger::new(env, "operator.reads");
        let count = runtime::clients::ledger::Statement::new("SELECT client_order_id FROM order_intents");
        loop {
            tokio::time::sleep(ms(1_000)).await;
            match ledger.query(&count).await {
                Ok(rows) => env::detail!("operator.reads", intents = rows.len() as u64),
                Err(error) => fact!("operator.cannot_read", reason = %error),
            }
        }
    });
}
