//! What the emergency exit writes into the ledger, in the background and for as long as it takes: the event, its end, and the
//! halt that only a person clears.

use std::collections::VecDeque;

use env::{Env, WallTime};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::memory::{Ended, Owed};
use crate::{
    clients::{
        backoff::Backoff,
        ledger::{Ledger, Statement},
    },
    core::{EventId, Latch, PanicEvent, Symbol},
};

const SCHEMA: &str = include_str!("../../schema.sql");

const ADD_EVENT: &str = "INSERT INTO panic_events (event_id, reason, issued_by, received_at) \
    VALUES ($1, $2, $3, $4) ON CONFLICT (event_id) DO NOTHING";

const ADD_HALT: &str = "INSERT INTO halts (halt_id, reason, set_by, set_at, why) \
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT (halt_id) DO NOTHING";

const END_EVENT: &str = "UPDATE panic_events SET positions_total = $2, positions_closed = $3, \
    positions_failed = $4, failed_symbols = $5, completed_at = $6 WHERE event_id = $1";

/// The way to the ledger.
pub(super) struct Books {
    entries: UnboundedSender<Entry>,
    stored: UnboundedReceiver<EventId>,
}

/// Statements that belong together, and the event whose end they record.
struct Entry {
    statements: Vec<Statement>,
    ends: Option<EventId>,
}

impl Books {
    /// Starts to write, first of all what is owed.
    pub(super) fn open(env: &Env, owed: VecDeque<Owed>) -> Self {
        let (entries, waiting) = mpsc::unbounded_channel();
        let (tell, stored) = mpsc::unbounded_channel();
        let ledger = Ledger::new(env.clone(), "emergency.books");
        env.spawn("emergency.books", write(env.clone(), ledger, waiting, tell));
        let books = Self { entries, stored };
        for Owed { event, started_ms, ended } in owed {
            books.ended(&event, WallTime::from_millis(started_ms), &ended);
        }
        books
    }

    /// An event was taken up.
    pub(super) fn begun(&self, event: &PanicEvent, at: WallTime) {
        self.enter(Entry { statements: begin(event, at), ends: None });
    }

    /// An event was carried out.
    pub(super) fn ended(&self, event: &PanicEvent, started: WallTime, ended: &Ended) {
        let mut statements = begin(event, started);
        statements.push(end(event, started, ended));
        self.enter(Entry { statements, ends: Some(event.event_id.clone()) });
    }

    /// Takes from `owed` what the ledger has; says whether that was anything.
    pub(super) fn settled(&mut self, owed: &mut VecDeque<Owed>) -> bool {
        let before = owed.len();
        while let Ok(event) = self.stored.try_recv() {
            owed.retain(|owed| owed.event.event_id != event);
        }
        owed.len() < before
    }

    fn enter(&self, entry: Entry) {
        // The writer ends with the process only, and then nobody misses the entry.
        let _ = self.entries.send(entry);
    }
}

fn begin(event: &PanicEvent, at: WallTime) -> Vec<Statement> {
    let row = Statement::new(ADD_EVENT).text(&event.event_id).text(&event.reason);
    let latch = event.latch();
    let halt = Statement::new(ADD_HALT).text(latch.halt_id(Latch::Panic)).text(Latch::Panic);
    let halt = halt.text(&latch.set_by).time(WallTime::from_millis(latch.set_at)).text(&latch.why);
    vec![row.text(&event.issued_by).time(at), halt]
}

fn end(event: &PanicEvent, started: WallTime, ended: &Ended) -> Statement {
    let Ended { flattened, took_ms } = ended;
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let failed: Vec<&str> = flattened.failed.iter().map(Symbol::as_str).collect();
    Statement::new(END_EVENT)
        .text(&event.event_id)
        .int(number(flattened.total))
        .int(number(flattened.closed()))
        .int(number(failed.len() as u64))
        .text(failed.join(","))
        .time(WallTime::from_millis(started.as_millis().saturating_add(number(*took_ms))))
}

async fn write(
    env: Env,
    ledger: Ledger,
    mut entries: UnboundedReceiver<Entry>,
    tell: UnboundedSender<EventId>,
) {
    let mut backoff = Backoff::reconnect("emergency.books");
    ledger.insist_batch(SCHEMA).await;
    while let Some(Entry { statements, ends }) = entries.recv().await {
        while ledger.transaction(&statements).await.is_err() {
            backoff.wait(&env).await;
        }
        backoff.reset();
        if let Some(event) = ends {
            let _ = tell.send(event);
        }
    }
}
