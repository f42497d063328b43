//! What the feeder tells of its work: how old each symbol's stream is, and whether it has a connection to the exchange.
//!
//! It goes into the heartbeat on the bus, the metrics, the readiness, and, for people without a bus, into a file. A stream
//! has no age before its first trade since the start: a feeder that was restarted and subscribed to nothing must not
//! pass for one whose last trade was just now.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use env::{Env, fact};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, interval};

use crate::{
    core::{Symbol, health::STREAM_MAX_AGE},
    state::{State, StateFile},
    status::Status,
};

/// How often the file is written: as often as somebody's health check looks.
const FILE_EVERY: Duration = Duration::from_secs(15);

/// The condition that every symbol has a fresh stream.
const MARKET: &str = "market";

/// The feeder's report. Cheap to clone; clones show the same.
#[derive(Clone)]
pub(super) struct Report {
    status: Status,
    work: Arc<Mutex<Work>>,
}

struct Work {
    published: BTreeMap<Symbol, Option<Instant>>,
    disconnected: Option<String>,
}

impl Report {
    /// Nothing was published yet.
    pub(super) fn new(status: Status, symbols: &[Symbol]) -> Self {
        status.declare(MARKET);
        let published = symbols.iter().map(|symbol| (symbol.clone(), None)).collect();
        let work = Work { published, disconnected: Some("not yet".into()) };
        Self { status, work: Arc::new(Mutex::new(work)) }
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bus has trades of these symbols.
    pub(super) fn published<'a>(&self, symbols: impl Iterator<Item = &'a Symbol>) {
        let now = Instant::now();
        let mut work = self.work();
        for symbol in symbols {
            if let Some(at) = work.published.get_mut(symbol) {
                *at = Some(now);
            }
        }
        drop(work);
        self.status.beat("md_heartbeat_seconds");
    }

    /// The subscription stands.
    pub(super) fn connected(&self) {
        self.work().disconnected = None;
    }

    /// There is no subscription.
    pub(super) fn disconnected(&self, why: String) {
        self.work().disconnected = Some(why);
    }

    /// The content of the heartbeat: `streams` with each symbol's age in milliseconds or null, and `disconnected` with the
    /// reason. Brings readiness up to date, too.
    pub(super) fn describe(&self) -> Map<String, Value> {
        let work = self.work();
        let now = Instant::now();
        let ages: BTreeMap<&str, Option<u64>> = work
            .published
            .iter()
            .map(|(symbol, at)| (symbol.as_str(), at.map(|at| millis(now.duration_since(at)))))
            .collect();
        let stale = ages.iter().find(|(_, age)| age.is_none_or(|age| age >= millis(STREAM_MAX_AGE)));
        match (&work.disconnected, stale) {
            (Some(why), _) => self.status.deny(MARKET, why.clone()),
            (None, Some((symbol, _))) => self.status.deny(MARKET, format!("no fresh trade of {symbol}")),
            (None, None) => self.status.confirm(MARKET),
        }
        let mut content = Map::new();
        content.insert("streams".into(), json!(ages));
        content.extend(work.disconnected.as_ref().map(|why| ("disconnected".to_owned(), json!(why))));
        content
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// `feeder.heartbeat.json`: the report for whoever has only the machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct HeartbeatFile {
    /// Milliseconds since 1970, by this machine's clock.
    ts: i64,
    #[serde(flatten)]
    content: Map<String, Value>,
}

impl State for HeartbeatFile {
    const PATH: &'static str = "shared_data/feeder.heartbeat.json";
    const SCHEMA: u32 = 1;

    fn fresh() -> Self {
        Self { ts: 0, content: Map::new() }
    }

    fn fail_closed() -> Self {
        Self::fresh()
    }
}

/// Keeps the file up to date for as long as the process lives.
pub(super) async fn keep_file(env: Env, report: Report) {
    let mut file = StateFile::<HeartbeatFile>::load(env.clone()).await;
    let mut ticks = interval(FILE_EVERY);
    let mut fails = false;
    loop {
        ticks.tick().await;
        let heartbeat = HeartbeatFile { ts: env.clock.now().as_millis(), content: report.describe() };
        match file.save(heartbeat).await {
            Ok(()) => fails = false,
            Err(error) if !fails => {
                fails = true;
                fact!("feeder.file_failed", reason = %error);
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_has_no_age_until_its_first_trade_and_then_one_that_grows() {
        let symbol: Symbol = "BTCUSDT".parse().unwrap();
        let status = Status::default();
        let report = Report::new(status.clone(), std::slice::from_ref(&symbol));
        assert_eq!(report.describe()["streams"], json!({ "BTCUSDT": null }));
        assert_eq!(report.describe()["disconnected"], json!("not yet"));
        report.connected();
        assert!(!report.describe().contains_key("disconnected"));
        assert_eq!(status.missing().len(), 1, "connected, and nothing published");
        report.published([&symbol].into_iter());
        tokio::time::advance(Duration::from_millis(1_500)).await;
        assert_eq!(report.describe()["streams"], json!({ "BTCUSDT": 1500 }));
        assert!(status.missing().is_empty());
        tokio::time::advance(STREAM_MAX_AGE).await;
        report.describe();
        assert_eq!(status.missing()[0].1, "no fresh trade of BTCUSDT");
    }
}
