//! `emergency-exit`: a panic event → flat at the broker → completion → halted until somebody resets the system by hand.
//!
//! - this file listens, judges, and carries out one event after the other;
//! - `flatten` asks the broker and closes what it says is open;
//! - `memory` is what survives a crash: the last processed event and the one under way;
//! - `announce` tells the bus, `books` the ledger. Neither is waited for before the account is flat.
//!
//! It trusts nothing but the broker about what is open, acts on events of the watchdog only, and on each of them once.
//! Deliberately absent: any way to end the halt.

mod announce;
mod books;
mod flatten;
mod memory;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use env::{Env, WallTime, fact};
use redis::{Pipeline, Value};
use tokio::time::Instant;

use self::{
    books::Books,
    flatten::Flattener,
    memory::{Ended, Memory},
};
use super::audit::Audit;
use crate::{
    clients::{
        backoff::Backoff,
        broker::{Broker, Credentials},
        bus::{self, Bus, Entry},
    },
    core::{
        Ignored, PanicEvent, Qty, Symbol,
        emergency::{Flattening, Progress},
    },
    state::StateFile,
    status::{self, Status},
    streams::{self, panic},
};

/// How long one read waits for events; also how often readiness is confirmed.
const BLOCK: Duration = Duration::from_millis(500);

/// How long the bus may take beyond that before the connection counts as lost.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// How many events are read at once.
const READ_COUNT: u32 = 64;

/// After this long nothing that left the trader before the event can arrive any more: the receive window of 5 s, the second
/// that a time stamp may lie ahead, and the half second within which the trader stops.
const STRAGGLERS_UNTIL: Duration = Duration::from_millis(6_500);

/// How much is shown of what claims to be the id of an event.
const SHOWN: usize = 64;

/// Who puts on record what it ignores.
const NAME: &str = "emergency-exit";

/// What is confirmed by each read.
const LISTENS: &str = "listens";

/// What the emergency exit needs.
#[derive(Clone)]
pub struct EmergencyExitConfig {
    /// The account's key pair.
    pub credentials: Credentials,
    /// The symbols in which orders may rest; those in which something is open come on top.
    pub symbols: Vec<Symbol>,
}

impl Default for EmergencyExitConfig {
    /// The key pair of a test account.
    fn default() -> Self {
        let credentials = Credentials { api_key: "key".into(), secret: "secret".into() };
        Self { credentials, symbols: super::default_symbols() }
    }
}

/// Runs the emergency exit.
pub async fn run(env: Env, config: EmergencyExitConfig) {
    let status = Status::default();
    status.declare(LISTENS);
    env.spawn("emergency.status", status::serve(env.clone(), status::PORT, status.clone(), Arc::new(())));
    let mut worker = Worker::start(env, config).await;
    if let Some(progress) = worker.memory.value().under_way.clone() {
        fact!("panic.resumed", event_id = %progress.event.event_id, orders = progress.chunks.len() as u64);
        worker.carry_out(progress).await;
    }
    fact!("emergency_exit.listening");
    let mut backoff = Backoff::reconnect("emergency.reconnect");
    loop {
        worker.look_after_stragglers().await;
        match worker.listen().await {
            Some(heard) => {
                backoff.reset();
                status.confirm(LISTENS);
                for event in heard {
                    worker.take_up(event).await;
                }
            }
            None => {
                status.deny(LISTENS, "the bus does not answer");
                backoff.wait(&worker.env).await;
            }
        }
        worker.settle_books().await;
    }
}

/// The greatest market orders, once the exchange has told.
type Lots = Arc<Mutex<BTreeMap<Symbol, Qty>>>;

struct Worker {
    env: Env,
    /// For blocking reads.
    reader: Bus,
    writer: Bus,
    books: Books,
    audit: Audit,
    flattener: Flattener,
    lots: Lots,
    memory: StateFile<Memory>,
    /// When the bus answered last.
    read_at: Instant,
    /// Whether it has answered since.
    in_touch: bool,
    /// The account was flattened for this event, and is to be looked at once more then.
    guarded: Option<(Instant, Flattening)>,
}

/// An entry of the panic stream.
struct Heard {
    /// The bus's id.
    id: String,
    event: Result<PanicEvent, (String, Ignored)>,
}

impl Worker {
    async fn start(env: Env, config: EmergencyExitConfig) -> Self {
        let broker = Broker::new(env.clone(), config.credentials);
        let lots = Lots::default();
        env.spawn("emergency.lots", learn_lots(env.clone(), broker.clone(), lots.clone()));
        let mut memory = StateFile::<Memory>::load(env.clone()).await;
        let mut writer = Bus::for_commands(env.clone(), "emergency.writer");
        if memory.value().cursor.is_none() {
            // On a disk that knows of none, what was completed is on the bus.
            let completed = writer.insist(&panic::newest(streams::PANIC_COMPLETED)).await;
            let mut value = memory.value().clone();
            panic::event_ids(&completed).for_each(|event| value.handled.note(event));
            keep(&mut memory, value).await;
        }
        let books = Books::open(&env, memory.value().owed.clone());
        Self {
            reader: Bus::for_polling(env.clone(), "emergency.reader", BLOCK + PATIENCE),
            writer,
            books,
            audit: Audit::open(&env, "emergency.audit"),
            flattener: Flattener::new(env.clone(), broker, config.symbols),
            lots,
            memory,
            read_at: Instant::now(),
            in_touch: true,
            guarded: None,
            env,
        }
    }

    /// Waits for events; `None` when the bus does not answer.
    async fn listen(&mut self) -> Option<Vec<Heard>> {
        let mut read = Pipeline::new();
        let behind = self.memory.value().cursor.as_deref().unwrap_or("0-0");
        read.cmd("XREAD").arg("COUNT").arg(READ_COUNT).arg("BLOCK").arg(BLOCK.as_millis() as u64);
        read.arg("STREAMS").arg(streams::PANIC).arg(behind);
        // Answered after the read: how long an entry has waited is told by the clock that numbered it.
        read.cmd("TIME");
        let Ok(answers) = self.reader.ask_all(&read).await else {
            self.in_touch = false;
            return None;
        };
        let blind = if self.in_touch { Duration::ZERO } else { self.read_at.elapsed() };
        self.in_touch = true;
        self.read_at = Instant::now();
        let [entries, time] = answers.as_slice() else {
            return Some(Vec::new());
        };
        let now = bus_time(time);
        let handled = &self.memory.value().handled;
        let judge = |entry: Entry<'_>| {
            let claim = panic::claim(&entry);
            let event = handled.judge(claim, waited(entry.id, now), blind);
            let named = claim.event_id.unwrap_or_default().chars().take(SHOWN).collect();
            Heard { id: entry.id.to_owned(), event: event.map_err(|ignored| (named, ignored)) }
        };
        Some(bus::streams(entries).flat_map(|(_, entries)| entries).map(judge).collect())
    }

    async fn take_up(&mut self, heard: Heard) {
        let mut value = self.memory.value().clone();
        value.cursor = Some(heard.id);
        match heard.event {
            // The same event may stand there twice.
            Ok(event) if value.handled.contains(&event.event_id) => {
                ignore(&self.audit, event.event_id.as_str(), &Ignored::Duplicate);
                keep(&mut self.memory, value).await;
            }
            Ok(event) => {
                fact!(
                    "panic.received",
                    event_id = %event.event_id,
                    reason = event.reason,
                    issued_by = event.issued_by,
                );
                let started_ms = self.env.clock.now().as_millis();
                let progress = Progress::new(event, started_ms);
                value.under_way = Some(progress.clone());
                keep(&mut self.memory, value).await;
                self.carry_out(progress).await;
            }
            Err((event_id, ignored)) => {
                ignore(&self.audit, &event_id, &ignored);
                keep(&mut self.memory, value).await;
            }
        }
    }

    /// Flattens the account, and says so. Begins or goes on after a crash.
    async fn carry_out(&mut self, progress: Progress) {
        let event = progress.event.clone();
        let started = WallTime::from_millis(progress.started_ms);
        // After a crash the wall clock tells how long it has taken so far.
        let (begun, before) = (Instant::now(), self.env.clock.now().since(started));
        let ended = match self.memory.value().ended.clone() {
            Some(ended) => ended,
            None => {
                self.books.begun(&event, started);
                let lots = self.lots.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let mut flattening = Flattening::new(begun, progress, lots);
                let (memory, flattener) = (&mut self.memory, &self.flattener);
                let flattened = {
                    let halted = announce::halted(&mut self.writer, &event);
                    let flattened = flattener.flatten(&mut flattening, memory);
                    tokio::join!(flattened, halted).0
                };
                self.guarded = Some((begun + STRAGGLERS_UNTIL, flattening));
                let took = before + begun.elapsed();
                let ended = Ended { flattened, took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX) };
                let value = Memory { ended: Some(ended.clone()), ..self.memory.value().clone() };
                keep(&mut self.memory, value).await;
                ended
            }
        };
        announce::completed(&self.env, &mut self.writer, &event, started, &ended).await;
        report(&event, &ended);
        self.books.ended(&event, started, &ended);
        let mut value = self.memory.value().clone();
        value.end(event, started, ended);
        keep(&mut self.memory, value).await;
    }

    /// Closes what arrived after the account was found to be flat.
    async fn look_after_stragglers(&mut self) {
        let Some((at, mut flattening)) = self.guarded.take() else {
            return;
        };
        if Instant::now() < at {
            self.guarded = Some((at, flattening));
            return;
        }
        flattening.reopen(Instant::now());
        let before = flattening.progress().chunks.len();
        self.flattener.flatten(&mut flattening, &mut self.memory).await;
        let closed = flattening.progress().chunks.len() - before;
        if closed > 0 {
            fact!("panic.straggler", event_id = %flattening.progress().event.event_id, orders = closed as u64);
            let value = Memory { under_way: None, ..self.memory.value().clone() };
            keep(&mut self.memory, value).await;
        }
    }

    /// Forgets what the ledger has.
    async fn settle_books(&mut self) {
        let mut value = self.memory.value().clone();
        if self.books.settled(&mut value.owed) {
            keep(&mut self.memory, value).await;
        }
    }
}

/// Saves; without a disk the emergency exit goes on, and would begin anew after a crash.
async fn keep(memory: &mut StateFile<Memory>, value: Memory) {
    if let Err(error) = memory.save(value.clone()).await {
        fact!("emergency_exit.not_saved", reason = %error);
        memory.hold(value);
    }
}

/// Asks the exchange until it has told how large an order may be.
async fn learn_lots(env: Env, broker: Broker, lots: Lots) {
    let mut backoff = Backoff::reconnect("emergency.lots");
    loop {
        match broker.market_lots().await {
            Ok(told) => return *lots.lock().unwrap_or_else(PoisonError::into_inner) = told,
            Err(_) => backoff.wait(&env).await,
        }
    }
}

/// The clock of the bus, in milliseconds.
fn bus_time(reply: &Value) -> Option<u64> {
    let mut parts = bus::items(reply).iter().map(|part| bus::text(part)?.parse::<u64>().ok());
    let (seconds, micros) = (parts.next()??, parts.next()??);
    Some(seconds * 1_000 + micros / 1_000)
}

/// How long an entry has been on the bus; zero when that cannot be told, because a real panic must not be lost.
fn waited(id: &str, now: Option<u64>) -> Duration {
    let added = id.split_once('-').and_then(|(millis, _)| millis.parse::<u64>().ok());
    Duration::from_millis(now.zip(added).map_or(0, |(now, added)| now.saturating_sub(added)))
}

/// Somebody tried, or something went wrong: a person should know.
fn ignore(audit: &Audit, event_id: &str, ignored: &Ignored) {
    fact!("panic.ignored", event_id, reason = %ignored);
    audit.record(NAME, "panic.ignored", format!("{event_id}: {ignored}"));
}

fn report(event: &PanicEvent, ended: &Ended) {
    let failed: Vec<&str> = ended.flattened.failed.iter().map(Symbol::as_str).collect();
    fact!(
        "panic.completed",
        event_id = %event.event_id,
        positions_total = ended.flattened.total,
        positions_closed = ended.flattened.closed(),
        positions_failed = failed.len() as u64,
        failed_symbols = failed.join(","),
    );
    env::detail!("panic.took", event_id = %event.event_id, execution_time_ms = ended.took_ms);
    fact!("system.halted", reason = event.reason, source = event.issued_by);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_waited_since_its_number_was_given_by_the_same_clock() {
        let bulk = |text: &str| Value::BulkString(text.into());
        let now = bus_time(&Value::Array(vec![bulk("1700000001"), bulk("234567")]));
        assert_eq!(now, Some(1_700_000_001_234));
        assert_eq!(waited("1700000000234-7", now), Duration::from_secs(1));
        assert_eq!(waited("1700000009999-0", now), Duration::ZERO);
        assert_eq!(waited("odd", now), Duration::ZERO);
        assert_eq!(bus_time(&Value::Nil), None);
        assert_eq!(waited("1-0", None), Duration::ZERO);
    }
}
