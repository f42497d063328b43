//! `exit-brain`: watches the booked positions and asks for exits.
//!
//! One loop does everything, in rounds: read the positions and the newest prices, decide, ask for exits, and – once a second
//! – say that a round was finished. So its heartbeat proves that decisions are made, not that a process exists: a round that
//! cannot read, or cannot make sense of a position, is not finished. Asked to stop, it stops, and says nothing: whoever
//! watches it is to notice. It keeps no state of its own: the exits that it asked for before a restart are on the bus.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use env::{Env, WallTime, fact};
use redis::{Pipeline, RedisError, Value};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    clients::bus::{self, Bus},
    core::{
        Price, Signal, Symbol,
        exit_rule::{Exit, ExitNumber, ExitRule, Exits, Holding, Quote},
    },
    status::{self, Status},
    streams::{self, Issuer, panic},
};

/// How often is decided.
const ROUND: Duration = Duration::from_millis(500);

/// How often a finished round is reported.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);

/// How many of the newest exits are looked through after a restart for the last one of each symbol.
const EXITS_LOOKED_BACK: u32 = 200;

/// Who issues its exits.
const NAME: &str = "exit-brain";

/// What is confirmed by each finished round.
const DECIDES: &str = "decides";

/// What the exit brain watches, and when it closes.
#[derive(Clone, Debug)]
pub struct ExitBrainConfig {
    /// The symbols whose prices it follows. Positions in others are closed after their time only.
    pub symbols: Vec<Symbol>,
    /// When to close.
    pub rule: ExitRule,
    /// Seals its exits.
    pub issuer: Issuer,
}

impl Default for ExitBrainConfig {
    fn default() -> Self {
        let issuer = Issuer::new(NAME, super::default_key(NAME));
        Self { symbols: super::default_symbols(), rule: ExitRule::default(), issuer }
    }
}

/// Runs the exit brain until it is asked to stop.
pub async fn run(env: Env, config: ExitBrainConfig) {
    let status = Status::default();
    status.declare(DECIDES);
    env.spawn("exit_brain.status", status::serve(env.clone(), status::PORT, status.clone(), Arc::new(())));
    let stop = env.processes.stop_requested();
    tokio::select! { biased;
        () = stop => fact!("exit_brain.stopped"),
        () = decide(env, config, status) => {}
    }
}

async fn decide(env: Env, config: ExitBrainConfig, status: Status) {
    let mut brain = ExitBrain::start(env, config).await;
    fact!("exit_brain.started");
    let mut rounds = interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let begun = rounds.tick().await;
        match brain.round(begun).await {
            Ok(()) => status.confirm(DECIDES),
            Err(reason) => {
                status.deny(DECIDES, reason.to_string());
                fact!("exit_brain.round_failed", reason = %reason);
            }
        }
    }
}

/// Why a round was not finished.
#[derive(Debug, thiserror::Error)]
enum Unfinished {
    #[error("the bus: {0}")]
    Bus(#[from] RedisError),
    #[error(transparent)]
    Position(#[from] panic::MalformedPosition),
}

struct ExitBrain {
    env: Env,
    bus: Bus,
    exits: Exits,
    issuer: Issuer,
    /// The symbols whose prices are followed, with the streams of their trades.
    symbols: Vec<(Symbol, String)>,
    /// Reads positions and prices.
    question: Pipeline,
    beat_at: Option<Instant>,
    /// The positions of the last round, by when they were opened.
    known: BTreeMap<Symbol, WallTime>,
}

impl ExitBrain {
    /// Goes on behind the exits that the bus has.
    async fn start(env: Env, config: ExitBrainConfig) -> Self {
        let mut bus = Bus::for_commands(env.clone(), "exit_brain");
        let mut exits = Exits::new(config.rule);
        let mut newest = redis::cmd("XREVRANGE");
        newest.arg(streams::EXITS).arg("+").arg("-").arg("COUNT").arg(EXITS_LOOKED_BACK);
        let reply = bus.insist(&newest).await;
        let now = Instant::now();
        for signal in bus::entries(&reply).filter_map(|entry| streams::signal(&entry).ok()) {
            if let Some(number) = ExitNumber::of(&signal.symbol, &signal.id) {
                exits.resume(now, signal.symbol, number);
            }
        }
        let symbols: Vec<(Symbol, String)> = config
            .symbols
            .into_iter()
            .map(|symbol| {
                let stream = streams::market(symbol.as_str());
                (symbol, stream)
            })
            .collect();
        let mut question = Pipeline::new();
        question.cmd("HGETALL").arg(streams::POSITIONS);
        for (_, stream) in &symbols {
            question.add_command(streams::newest(stream));
        }
        Self {
            env,
            bus,
            exits,
            issuer: config.issuer,
            symbols,
            question,
            beat_at: None,
            known: BTreeMap::new(),
        }
    }

    /// One round of decisions.
    async fn round(&mut self, begun: Instant) -> Result<(), Unfinished> {
        let answers = self.bus.ask_all(&self.question).await?;
        let (now, wall) = (Instant::now(), self.env.clock.now());
        let positions = positions(answers.first().unwrap_or(&Value::Nil))?;
        for ((symbol, _), answer) in self.symbols.iter().zip(answers.iter().skip(1)) {
            if let Some(quote) = quote(answer) {
                self.exits.quote(now, symbol, quote);
            }
        }
        self.report_new(&positions);
        let exits = self.exits.decide(now, wall, &positions);
        let signals: Vec<Signal> =
            exits.into_iter().filter_map(|exit| self.signal(exit, &positions)).collect();
        let due = self.beat_at.is_none_or(|at| begun >= at);
        let mut report = Pipeline::new();
        for signal in &signals {
            report.add_command(streams::add_signal(streams::EXITS, signal, &self.issuer));
        }
        if due {
            report.add_command(panic::add_heartbeat(positions.len(), wall));
        }
        if !report.is_empty() {
            self.bus.ask_all(&report).await?;
        }
        if due {
            self.beat_at = Some(begun + HEARTBEAT_EVERY);
        }
        Ok(())
    }

    fn report_new(&mut self, positions: &BTreeMap<Symbol, Holding>) {
        for (symbol, held) in positions {
            if self.known.get(symbol) != Some(&held.since) {
                fact!("position.watched", symbol = %symbol, qty = %held.qty, avg_price = %held.avg_price);
            }
        }
        self.known = positions.iter().map(|(symbol, held)| (symbol.clone(), held.since)).collect();
    }

    fn signal(&self, exit: Exit, positions: &BTreeMap<Symbol, Holding>) -> Option<Signal> {
        let Exit { symbol, side, qty, cause, number } = exit;
        let id = match number.id(&symbol) {
            Ok(id) => id,
            Err(unnameable) => {
                fact!("exit.unnameable", symbol = %symbol, reason = %unnameable);
                return None;
            }
        };
        // An exit is due whatever the market does; without a price, what was paid stands in for it.
        let (price, market_time) = match self.exits.newest(&symbol) {
            Some(quote) => (quote.price, quote.market_time),
            None => (Price::new(positions.get(&symbol)?.avg_price).ok()?, self.env.clock.now()),
        };
        fact!(
            "exit.decided",
            signal_id = %id,
            symbol = %symbol,
            side = side.as_str(),
            qty = %qty,
            cause = cause.as_str(),
        );
        Some(Signal { id, symbol, side, qty, price, reduce_only: true, market_time })
    }
}

fn positions(reply: &Value) -> Result<BTreeMap<Symbol, Holding>, panic::MalformedPosition> {
    bus::fields(reply).map(|(symbol, text)| panic::position(symbol, text)).collect()
}

fn quote(reply: &Value) -> Option<Quote> {
    let trade = bus::entries(reply).find_map(|entry| streams::market_trade(&entry).ok())?;
    Some(Quote { price: trade.price, market_time: trade.time, trade_id: trade.id })
}
