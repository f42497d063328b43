//! `feeder`: the broker's market trades, validated and without holes, onto the bus.
//!
//! Order and completeness are kept per symbol: a hole is filled over REST before the trade behind it is published. A trade
//! may be published twice, when the bus is lost while it is being added; its id tells. `report` is what it tells of itself.
//! Deliberately absent: books, klines.

mod report;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use env::{Env, detail, fact};
use redis::Pipeline;
use tokio::time::{Instant, timeout_at};

use self::report::Report;
use super::heartbeat;
use crate::{
    clients::{
        SocketError,
        backoff::Backoff,
        broker::{Broker, BrokerError},
        bus::{self, Bus},
        market::MarketStream,
    },
    core::{GapDetector, MarketTrade, Sequence, Symbol},
    status::{self, Status},
    streams,
};

/// How many trades are published in one round trip; bounds the memory that a burst takes.
const BATCH: usize = 100;

/// The most trades that are fetched to fill a hole. Older ones than the newest 5000 (20 minutes at 4 per second) serve no
/// decision, and fetching 1000 costs 20 of the 2400 request weights per minute.
const BACKFILL_LIMIT: u64 = 5000;

/// How long a hole may hold up the trades behind it: a price is tradable for 30 s.
const BACKFILL_DEADLINE: Duration = Duration::from_secs(10);

/// What the feeder feeds.
#[derive(Clone, Debug)]
pub struct FeederConfig {
    /// The symbols to subscribe to.
    pub symbols: Vec<Symbol>,
}

impl Default for FeederConfig {
    fn default() -> Self {
        Self { symbols: super::default_symbols() }
    }
}

/// Runs the feeder.
pub async fn run(env: Env, config: FeederConfig) {
    fact!("feeder.started");
    let status = Status::default();
    let report = Report::new(status.clone(), &config.symbols);
    env.spawn("feeder.status", status::serve(env.clone(), status::PORT, status.clone(), Arc::new(())));
    env.spawn("feeder.file", report::keep_file(env.clone(), report.clone()));
    let told = report.clone();
    env.spawn(
        "feeder.heartbeat",
        heartbeat::beat(env.clone(), "feeder".to_owned(), status, move || Some(told.describe())),
    );

    let mut feeder = Feeder::start(env.clone(), &config.symbols, report.clone()).await;
    let mut backoff = Backoff::reconnect("feeder.resubscribe");
    loop {
        let lost = match MarketStream::subscribe(&env, &config.symbols).await {
            Ok(stream) => {
                backoff.reset();
                report.connected();
                for symbol in &config.symbols {
                    fact!("feeder.subscribed", symbol = %symbol);
                }
                feeder.publish_from(stream).await
            }
            Err(error) => error,
        };
        fact!("feeder.disconnected", reason = %lost);
        report.disconnected(lost.to_string());
        backoff.wait(&env).await;
    }
}

struct Feeder {
    env: Env,
    bus: Bus,
    broker: Broker,
    symbols: BTreeMap<Symbol, Feed>,
    report: Report,
}

struct Feed {
    stream: String,
    sequence: GapDetector,
    /// Whether trades of it are being published.
    moves: bool,
}

/// A trade that arrived, and the hole before it.
struct Arrival {
    symbol: Symbol,
    trade: MarketTrade,
    missing: Option<(u64, u64)>,
}

impl Feeder {
    /// Continues behind the last trade of each symbol that the bus has.
    async fn start(env: Env, symbols: &[Symbol], report: Report) -> Self {
        let mut bus = Bus::for_commands(env.clone(), "feeder");
        let mut feeds = BTreeMap::new();
        for symbol in symbols {
            let stream = streams::market(symbol.as_str());
            let mut newest = redis::cmd("XREVRANGE");
            newest.arg(&stream).arg("+").arg("-").arg("COUNT").arg(1);
            let reply = bus.insist(&newest).await;
            let published = bus::entries(&reply).find_map(|entry| streams::market_trade(&entry).ok());
            let sequence = published.map_or_else(GapDetector::default, |trade| GapDetector::after(trade.id));
            feeds.insert(symbol.clone(), Feed { stream, sequence, moves: false });
        }
        Self { broker: Broker::public(env.clone()), env, bus, symbols: feeds, report }
    }

    /// Publishes what a subscription delivers until it is lost; says how.
    async fn publish_from(&mut self, mut stream: MarketStream) -> SocketError {
        let mut arrivals = Vec::with_capacity(BATCH);
        loop {
            let symbols = &mut self.symbols;
            let outcome =
                stream.next(BATCH, |symbol, trade| arrivals.extend(note(symbols, symbol, trade))).await;
            // What arrived before the loss is published too: it will not come again.
            self.publish(&mut arrivals).await;
            if let Err(lost) = outcome {
                return lost;
            }
        }
    }

    async fn publish(&mut self, arrivals: &mut Vec<Arrival>) {
        let mut add = Pipeline::with_capacity(arrivals.len());
        for Arrival { symbol, trade, missing } in arrivals.drain(..) {
            if let Some((from, to)) = missing {
                fact!("feeder.gap", symbol = %symbol, from, to);
                for trade in self.backfill(&symbol, from, to).await {
                    self.add(&mut add, &symbol, &trade);
                }
            }
            self.add(&mut add, &symbol, &trade);
        }
        if !add.is_empty() {
            self.bus.insist_all(&add).await;
            let moved = self.symbols.iter_mut();
            let moved = moved.filter_map(|(symbol, feed)| std::mem::take(&mut feed.moves).then_some(symbol));
            self.report.published(moved);
        }
    }

    fn add(&mut self, add: &mut Pipeline, symbol: &Symbol, trade: &MarketTrade) {
        if let Some(feed) = self.symbols.get_mut(symbol) {
            feed.moves = true;
            detail!("feeder.trade", symbol = %symbol, trade_id = trade.id, price = %trade.price);
            add.add_command(streams::add_market_trade(&feed.stream, trade));
        }
    }

    /// The trades `from..=to`, or the newest of them.
    async fn backfill(&self, symbol: &Symbol, from: u64, to: u64) -> Vec<MarketTrade> {
        let deadline = Instant::now() + BACKFILL_DEADLINE;
        let from = from.max(to.saturating_sub(BACKFILL_LIMIT - 1));
        let mut trades: Vec<MarketTrade> = Vec::new();
        let mut backoff = Backoff::reconnect("feeder.backfill");
        let mut next = from;
        while next <= to {
            let page = timeout_at(deadline, self.broker.market_trades(symbol, next, to - next + 1)).await;
            let reason = match page {
                Ok(Ok(page)) => {
                    let known = trades.len();
                    trades.extend(page.into_iter().filter(|trade| (next..=to).contains(&trade.id)));
                    match trades[known..].last() {
                        Some(last) => {
                            next = last.id + 1;
                            continue;
                        }
                        None => "the exchange has no such trades".to_owned(),
                    }
                }
                Ok(Err(BrokerError::Rejected { code, msg })) => format!("{code} {msg}"),
                Ok(Err(_)) if timeout_at(deadline, backoff.wait(&self.env)).await.is_ok() => continue,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "out of time".to_owned(),
            };
            fact!("feeder.backfill_failed", symbol = %symbol, from = next, to, reason = %reason);
            return trades;
        }
        fact!("feeder.backfilled", symbol = %symbol, from, to);
        trades
    }
}

/// Takes note of a trade; `None` when it was published before or nobody asked for its symbol.
fn note(symbols: &mut BTreeMap<Symbol, Feed>, symbol: &str, trade: MarketTrade) -> Option<Arrival> {
    let name = symbols.get_key_value(symbol)?.0.clone();
    let missing = match symbols.get_mut(symbol)?.sequence.observe(trade.id) {
        Sequence::Next => None,
        Sequence::Repeated => return None,
        Sequence::Gap { from, to } => Some((from, to)),
    };
    Some(Arrival { symbol: name, trade, missing })
}
