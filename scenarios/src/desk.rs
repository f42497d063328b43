//! Worlds: which hosts a scenario has and what runs on them.

use std::{collections::BTreeMap, sync::Arc};

use broker::{Exchange, Journal, SymbolConfig};
use env::{Env, fact};
use runtime::{
    core::{Qty, Rule, Symbol},
    services::{ares, feeder, trader},
};
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
/// Signals to orders, fills to the ledger.
pub const TRADER: &str = "trader";

/// The symbols of the full system.
pub const SYMBOLS: [&str; 2] = ["BTCUSDT", "ETHUSDT"];

/// The whole trading system on two symbols, with the three peers that it needs. The exchange is a few milliseconds further
/// away than the rest, and its truth journal is on exhibit.
pub fn full(world: &mut World) {
    let eth = Rule { qty: qty("0.05"), ..Rule::default() };
    let exchange = Exchange::new(broker::Config {
        symbols: vec![SymbolConfig::default(), SymbolConfig::ethusdt()],
        ..broker::Config::default()
    });
    let rules = BTreeMap::from([(symbol(SYMBOLS[0]), Rule::default()), (symbol(SYMBOLS[1]), eth)]);
    trading(world, exchange, rules);
}

/// Market data, strategy and one trader in one symbol, with the three peers that they need.
pub fn slice(world: &mut World) {
    slice_trading_by(world, Rule::default());
}

/// A rule so busy that every outage of half a minute meets entries and exits: a chance to enter each second, out after 6 s.
pub fn busy_rule() -> Rule {
    Rule { cadence: 4, lookback: 1, hold: 24, ..Rule::default() }
}

/// As [`slice()`], with a strategy that trades by this rule.
pub fn slice_trading_by(world: &mut World, rule: Rule) {
    let exchange = Exchange::new(broker::Config::default());
    trading(world, exchange, BTreeMap::from([(symbol(SYMBOLS[0]), rule)]));
}

fn symbol(name: &str) -> Symbol {
    name.parse().expect("the catalogue's symbols are symbols")
}

fn qty(text: &str) -> Qty {
    text.parse().expect("the catalogue's quantities are quantities")
}

fn trading(world: &mut World, exchange: Arc<Exchange>, rules: BTreeMap<Symbol, Rule>) {
    world.publish::<Journal>(exchange.journal().clone());
    peers(world, exchange);
    let symbols: Vec<Symbol> = rules.keys().cloned().collect();
    world.host(FEEDER, move |env| feeder::run(env, feeder::FeederConfig { symbols: symbols.clone() }));
    world.host(ARES, move |env| ares::run(env, ares::AresConfig { rules: rules.clone() }));
    world.host(TRADER, |env| trader::run(env, trader::TraderConfig::default()));
    for client in [FEEDER, TRADER] {
        world.link(client, BROKER, ms(5), ms(20));
    }
}

fn peers(world: &mut World, exchange: Arc<Exchange>) {
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
