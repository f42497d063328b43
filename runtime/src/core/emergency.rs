//! Carrying out a panic event: what the broker says is open → one reduce-only order for each symbol, split by the greatest
//! quantity of an order → what is unknown is asked for → looked at again → flat, or failed.
//!
//! The name of an order follows from the event, the symbol and a running number, and an order is handed to the network once:
//! again only if the exchange has definitely not got it. An order whose outcome stays unknown ends what is done for its
//! symbol. A second order for a symbol follows only from a later look at what the broker says is open, and being reduce-only
//! it cannot turn the position around even if that look was wrong. Deliberately absent: judging the event
//! (`core::PanicEvent`), and the order of the requests, which is the driver's.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

use super::{ClientOrderId, EventId, PanicEvent, Qty, Report, Side, Symbol};

/// Begins the client order ids of an emergency exit, the only orders that need no intent in the ledger. Other orders of this
/// system go on with an upper-case symbol there.
pub const EMERGENCY_ORDER_PREFIX: &str = "tw-p";

/// Between two questions about the same thing.
const PAUSE: Duration = Duration::from_millis(250);

/// Between an order that achieved nothing and the next look at what is open.
const SETBACK: Duration = Duration::from_secs(1);

/// How long the replica that answers queries may be behind what it has confirmed (*ours*; the lag of the scenario
/// `venue_query_lag` is 2 s).
const REPLICA_LAG: Duration = Duration::from_millis(2_500);

/// How long after it was sent an order that the exchange does not know has definitely not arrived: the receive window (5 s) and
/// the second that a time stamp may lie ahead ("Timing security").
const ABSENT_AFTER: Duration = Duration::from_secs(6);

/// How long the outcome of an order may stay unknown before its symbol counts as failed.
const RESOLVE_WITHIN: Duration = Duration::from_secs(20);

/// The first moment after the event at which flat means done: the trader stops within 0.5 s of the event, and what it sent
/// before arrives within another.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// How long it is tried to close what the exchange refuses to close. The time during which it does not answer is not given up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);

/// One reduce-only market order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The exchange's name for it.
    pub client_order_id: ClientOrderId,
    /// The instrument.
    pub symbol: Symbol,
    /// Against the position.
    pub side: Side,
    /// How much.
    pub qty: Qty,
    /// What has become of it.
    pub outcome: Outcome,
}

/// What has become of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It may have been sent.
    Open,
    /// It is over, with this much executed.
    Executed(Qty),
    /// Nobody knows.
    Unresolved,
}

/// What an emergency exit must not forget in a crash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What is carried out.
    pub event: PanicEvent,
    /// Milliseconds of the wall clock at which it was taken up.
    pub started_ms: i64,
    /// Everything that was seen open since.
    pub symbols: BTreeSet<Symbol>,
    /// Every order, in the order of their numbers; stored before the first of them is sent.
    pub chunks: Vec<Chunk>,
}

impl Progress {
    /// Nothing has been done yet.
    pub const fn new(event: PanicEvent, started_ms: i64) -> Self {
        Self { event, started_ms, symbols: BTreeSet::new(), chunks: Vec::new() }
    }
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flattened {
    /// Everything that was open.
    pub total: u64,
    /// What is still open, or may be.
    pub failed: Vec<Symbol>,
}

impl Flattened {
    /// How many positions were closed.
    pub fn closed(&self) -> u64 {
        self.total - self.failed.len() as u64
    }
}

/// What follows from a look at the broker's positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// Store the progress, cancel what rests, send these.
    Close(Vec<Chunk>),
    /// Look again then.
    LookAgain(Instant),
    /// Nothing more can be done.
    Finish(Flattened),
}

/// The emergency exit of one event.
#[derive(Clone, Debug)]
pub struct Flattening {
    progress: Progress,
    started: Instant,
    /// The greatest quantity of a market order, as far as it is known.
    lots: BTreeMap<Symbol, Qty>,
    /// What should be left of a position after the orders whose end is known.
    expected: BTreeMap<Symbol, Decimal>,
    /// When the last order of a symbol was found to be over, and whether it executed anything.
    heard: BTreeMap<Symbol, (Instant, bool)>,
}

impl Flattening {
    /// Begins, or goes on after a crash.
    pub const fn new(now: Instant, progress: Progress, lots: BTreeMap<Symbol, Qty>) -> Self {
        Self { progress, started: now, lots, expected: BTreeMap::new(), heard: BTreeMap::new() }
    }

    /// Begins anew, to close what has been opened since the end.
    pub const fn reopen(&mut self, now: Instant) {
        self.started = now;
    }

    /// What must survive a crash.
    pub const fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The orders whose end is not known: after a crash, what is to be asked for before the first look.
    pub fn open(&self) -> Vec<Chunk> {
        self.progress.chunks.iter().filter(|chunk| chunk.outcome == Outcome::Open).cloned().collect()
    }

    /// Takes note of the end of an order.
    pub fn resolved(&mut self, now: Instant, id: &ClientOrderId, outcome: Outcome) {
        let Some(chunk) = self.progress.chunks.iter_mut().find(|chunk| chunk.client_order_id == *id) else {
            return;
        };
        chunk.outcome = outcome;
        let executed = match outcome {
            Outcome::Executed(qty) => qty.get(),
            Outcome::Open | Outcome::Unresolved => Decimal::ZERO,
        };
        if let Some(expected) = self.expected.get_mut(&chunk.symbol) {
            *expected += match chunk.side {
                Side::Buy => executed,
                Side::Sell => -executed,
            };
        }
        self.heard.insert(chunk.symbol.clone(), (now, !executed.is_zero()));
    }

    /// Decides on what the broker says is open: signed quantities, none of them zero.
    pub fn looked(&mut self, now: Instant, open: &BTreeMap<Symbol, Decimal>) -> Move {
        self.progress.symbols.extend(open.keys().cloned());
        let too_early = self.started + SETTLED_AFTER;
        let in_time = now < self.started + GIVE_UP_AFTER;
        let mut again: Option<Instant> = (now < too_early).then_some(too_early);
        let mut chunks = Vec::new();
        for (symbol, qty) in open {
            if self.is_unresolved(symbol) {
                continue;
            }
            match self.believable_at(now, symbol, *qty) {
                Some(later) => again = Some(again.map_or(later, |again| again.min(later))),
                None if in_time => self.plan(symbol, *qty, &mut chunks),
                None => {}
            }
        }
        if !chunks.is_empty() {
            self.progress.chunks.extend(chunks.iter().cloned());
            Move::Close(chunks)
        } else if let (Some(again), true) = (again, in_time) {
            Move::LookAgain(again)
        } else {
            let failed = open.keys().cloned().collect();
            Move::Finish(Flattened { total: self.progress.symbols.len() as u64, failed })
        }
    }

    fn is_unresolved(&self, symbol: &Symbol) -> bool {
        let mut chunks = self.progress.chunks.iter();
        chunks.any(|chunk| chunk.symbol == *symbol && chunk.outcome == Outcome::Unresolved)
    }

    /// When to look again before this quantity is acted on; `None` when it is to be believed now. A replica may show what
    /// was before our own orders, and one that achieved nothing is not repeated at once.
    fn believable_at(&self, now: Instant, symbol: &Symbol, qty: Decimal) -> Option<Instant> {
        let (heard, achieved) = *self.heard.get(symbol)?;
        let as_expected = self.expected.get(symbol) == Some(&qty);
        let patience = match (as_expected, achieved) {
            (true, true) => Duration::ZERO,
            (true, false) => SETBACK,
            (false, _) => REPLICA_LAG,
        };
        let believable = heard + patience;
        (now < believable).then(|| believable.min(now + PAUSE))
    }

    /// One order for the whole position, or as many as its greatest quantity makes necessary.
    fn plan(&mut self, symbol: &Symbol, qty: Decimal, chunks: &mut Vec<Chunk>) {
        let side = if qty.is_sign_negative() { Side::Buy } else { Side::Sell };
        let most = self.lots.get(symbol).map(|lot| lot.get()).filter(|lot| !lot.is_zero());
        let mut left = qty.abs();
        self.expected.insert(symbol.clone(), qty);
        while !left.is_zero() {
            let part = most.map_or(left, |most| left.min(most));
            let number = self.progress.chunks.len() + chunks.len() + 1;
            let id = order_id(&self.progress.event.event_id, symbol, number);
            let (Some(client_order_id), Ok(qty)) = (id, Qty::new(part)) else {
                // No exchange has such a quantity or such a name: what is open is found to be so by the next look.
                self.heard.insert(symbol.clone(), (self.started + GIVE_UP_AFTER, false));
                return;
            };
            let symbol = symbol.clone();
            chunks.push(Chunk { client_order_id, symbol, side, qty, outcome: Outcome::Open });
            left -= part;
        }
    }
}

fn order_id(event: &EventId, symbol: &Symbol, number: usize) -> Option<ClientOrderId> {
    let event = xxh3_64(event.as_str().as_bytes()) >> 32;
    format!("{EMERGENCY_ORDER_PREFIX}{event:08x}-{symbol}-{number}").parse().ok()
}

/// What was heard of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The exchange reported.
    Reported(Report),
    /// The exchange refuses it for good.
    Refused,
    /// The exchange has definitely not got it, and wants to be left alone for so long.
    NotTaken(Duration),
    /// No answer, or none that says whether the order exists.
    Unanswered,
    /// A query found no such order.
    Missing,
}

/// What to do about an order next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Hand it to the network after a pause.
    Send(Duration),
    /// Ask for it after a pause.
    Ask(Duration),
    /// Nothing: this has become of it.
    Over(Outcome),
}

/// The life of one chunk, from before its sending or, after a crash, from after it.
#[derive(Clone, Copy, Debug)]
pub struct Closing {
    begun: Instant,
    /// When it was handed to the network last; after a crash, when it was taken up again.
    sent: Instant,
}

impl Closing {
    /// A chunk about which nothing is under way yet.
    pub const fn new(now: Instant) -> Self {
        Self { begun: now, sent: now }
    }

    /// The chunk is handed to the network.
    pub const fn sent(&mut self, now: Instant) {
        self.sent = now;
    }

    /// Takes note of what was heard.
    pub fn heard(&self, now: Instant, heard: Heard) -> Step {
        match heard {
            Heard::Reported(report) if report.status.is_terminal() => {
                Step::Over(Outcome::Executed(report.executed))
            }
            Heard::Refused => Step::Over(Outcome::Executed(Qty::ZERO)),
            Heard::NotTaken(pause) if now < self.begun + RESOLVE_WITHIN => Step::Send(pause.max(PAUSE)),
            Heard::NotTaken(_) => Step::Over(Outcome::Executed(Qty::ZERO)),
            Heard::Missing if now >= self.sent + ABSENT_AFTER => Step::Over(Outcome::Executed(Qty::ZERO)),
            Heard::Reported(_) | Heard::Unanswered | Heard::Missing if now < self.begun + RESOLVE_WITHIN => {
                Step::Ask(PAUSE)
            }
            Heard::Reported(_) | Heard::Unanswered | Heard::Missing => Step::Over(Outcome::Unresolved),
        }
    }
}

#[cfg(test)]
mod tests;
