//! `ares`, the entry strategy: market trades in, signals out.
//!
//! It keeps no state of its own: after a restart it replays the market that the bus still has, and skips the signals that
//! it issued before. A signal may be delivered twice; its id tells.

use std::collections::BTreeMap;

use env::{Env, WallTime, fact};
use redis::Pipeline;

use super::heartbeat;
use crate::{
    clients::bus::{self, Bus, Cursor, Entry},
    core::{Call, MarketTrade, NameError, Qty, Rule, Signal, Strategy, Symbol},
    streams::{self, Issuer},
};

/// How many of the newest signals are looked through for the last one of each symbol. If it is older, signals are issued
/// twice, which their readers tolerate.
const SIGNALS_LOOKED_BACK: u32 = 200;

/// What `ares` trades, and how.
#[derive(Clone, Debug)]
pub struct AresConfig {
    /// The symbols to watch, and when to enter and leave each.
    pub rules: BTreeMap<Symbol, Rule>,
    /// Seals its signals.
    pub issuer: Issuer,
}

impl Default for AresConfig {
    fn default() -> Self {
        let rules = super::default_symbols().into_iter().map(|symbol| (symbol, Rule::default()));
        Self { rules: rules.collect(), issuer: Issuer::new(super::ARES, super::default_key(super::ARES)) }
    }
}

/// Runs `ares`.
pub async fn run(env: Env, config: AresConfig) {
    let work = heartbeat::of_worker(&env, "ares");
    let mut writer = Bus::for_commands(env.clone(), "ares.signals");
    let mut reader = Bus::for_reading(env, "ares.market");
    let mut cursor = Cursor::at_start(config.rules.keys().map(|symbol| streams::market(symbol.as_str())));
    let issuer = config.issuer.clone();
    let mut watched = Watched::new(config, &last_issued(&mut writer).await);
    loop {
        let reply = reader.insist(&cursor.read()).await;
        work.goes_on();
        let mut signals: Vec<Signal> = bus::streams(&reply)
            .flat_map(|(stream, entries)| entries.map(move |entry| (stream, entry)))
            .filter_map(|(stream, entry)| watched.decide(streams::market_symbol(stream)?, &entry))
            .collect();
        if work.is_pressed() {
            // Scanning for entries is the least of what the system does.
            signals.retain(|signal| signal.reduce_only);
        }
        if !signals.is_empty() {
            let mut issue = Pipeline::new();
            for signal in &signals {
                issue.add_command(streams::add_signal(streams::SIGNALS, signal, &issuer));
            }
            writer.insist_all(&issue).await;
            signals.iter().for_each(report);
        }
        cursor.pass(&reply);
    }
}

/// The strategies of the watched symbols.
struct Watched {
    symbols: BTreeMap<Symbol, Watch>,
}

struct Watch {
    qty: Qty,
    strategy: Strategy,
    /// The market time of the last signal of an earlier life of this process.
    issued_through: Option<WallTime>,
}

impl Watched {
    fn new(config: AresConfig, issued: &BTreeMap<Symbol, WallTime>) -> Self {
        let watch = |(symbol, rule): (Symbol, Rule)| {
            let issued_through = issued.get(&symbol).copied();
            (symbol, Watch { qty: rule.qty, strategy: Strategy::new(rule), issued_through })
        };
        Self { symbols: config.rules.into_iter().map(watch).collect() }
    }

    /// The signal that a market trade calls for, if it has not been issued before.
    fn decide(&mut self, symbol: &str, entry: &Entry<'_>) -> Option<Signal> {
        let trade = match streams::market_trade(entry) {
            Ok(trade) => trade,
            Err(malformed) => {
                fact!("market.malformed", symbol, reason = %malformed);
                return None;
            }
        };
        let watch = self.symbols.get_mut(symbol)?;
        let call = watch.strategy.observe(&trade)?;
        if watch.issued_through.is_some_and(|issued| trade.time <= issued) {
            return None;
        }
        let qty = watch.qty;
        let (symbol, _) = self.symbols.get_key_value(symbol)?;
        match signal(symbol, &trade, call, qty) {
            Ok(signal) => Some(signal),
            Err(unnameable) => {
                fact!("signal.unnameable", symbol = %symbol, reason = %unnameable);
                None
            }
        }
    }
}

/// A signal whose id follows from the trade that caused it, so that a replay gives the same one.
fn signal(symbol: &Symbol, trade: &MarketTrade, call: Call, qty: Qty) -> Result<Signal, NameError> {
    let Call { side, reduce_only } = call;
    let direction = if reduce_only { "out" } else { "in" };
    Ok(Signal {
        id: format!("{symbol}-{}-{direction}", trade.id).parse()?,
        symbol: symbol.clone(),
        side,
        qty,
        price: trade.price,
        reduce_only,
        market_time: trade.time,
    })
}

/// The market time of the newest signal of each symbol.
async fn last_issued(bus: &mut Bus) -> BTreeMap<Symbol, WallTime> {
    let mut newest = redis::cmd("XREVRANGE");
    newest.arg(streams::SIGNALS).arg("+").arg("-").arg("COUNT").arg(SIGNALS_LOOKED_BACK);
    let reply = bus.insist(&newest).await;
    let mut issued = BTreeMap::new();
    for signal in bus::entries(&reply).filter_map(|entry| streams::signal(&entry).ok()) {
        issued.entry(signal.symbol).or_insert(signal.market_time);
    }
    issued
}

fn report(signal: &Signal) {
    fact!(
        "signal.issued",
        signal_id = %signal.id,
        symbol = %signal.symbol,
        side = signal.side.as_str(),
        qty = %signal.qty,
        price = %signal.price,
        reduce_only = signal.reduce_only,
    );
}
