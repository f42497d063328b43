//! `trader`: signals in, orders out, their fills into the ledger.
//!
//! - `intake` reads the signals from the bus.
//! - `desk` owns the orders that are under way, and decides with `core::Order`.
//! - `durability` stores an intent before its order may be sent: in the ledger, or an exit's in the `outbox` when the
//!   ledger refuses.
//! - `books` writes down what became of the orders, and drains the outbox.
//! - `recovery` finds what an earlier life of this process left unresolved.
//! - `events` keeps the account's user stream open.
//!
//! Invariant: no request reaches the broker whose intent is not durable. Deliberately absent so far: leadership, limits,
//! breaker, throttle.

mod books;
mod desk;
mod durability;
mod events;
mod intake;
mod journal;
#[expect(dead_code, reason = "the desk and the leadership ask for leave from their next changes on")]
mod leave;
mod outbox;
mod recovery;

use std::sync::Arc;

pub use self::outbox::{FILE as OUTBOX_FILE, held_in as held_in_outbox};
use env::{Env, fact};
use tokio::sync::mpsc;

use self::{
    books::{Books, Record},
    desk::Desk,
    durability::Durability,
    outbox::Outbox,
};
use crate::clients::{
    broker::{Broker, Credentials},
    ledger::Ledger,
};

/// The tables of the system.
const SCHEMA: &str = include_str!("../schema.sql");

/// How many signals or events may wait for the desk. More wait where they come from.
const INBOX: usize = 64;

/// What the trader trades with.
#[derive(Clone)]
pub struct TraderConfig {
    /// The account's key pair.
    pub credentials: Credentials,
}

impl Default for TraderConfig {
    /// The key pair of a test account.
    fn default() -> Self {
        Self { credentials: Credentials { api_key: "key".into(), secret: "secret".into() } }
    }
}

/// Runs the trader. It trades nothing until it has read from the ledger what it left unresolved.
pub async fn run(env: Env, config: TraderConfig) {
    fact!("trader.started");
    let ledger = Ledger::new(env.clone(), "trader.intents");
    ledger.insist_batch(SCHEMA).await;
    let (outbox, held) = open_outbox(&env).await;
    let recovered = recovery::insist(&env, &ledger, held).await;

    let (books, records) = Books::open();
    for intent in &recovered.only_in_outbox {
        books.write(Record::Intent(intent.clone()));
    }
    for drained in &recovered.in_ledger_too {
        release(outbox.as_deref(), drained).await;
    }
    env.spawn("trader.books", books::keep(env.clone(), records, recovered.positions, outbox.clone()));

    let broker = Broker::new(env.clone(), config.credentials);
    let (send_event, mut events) = mpsc::channel(INBOX);
    env.spawn("trader.events", events::follow(env.clone(), broker.clone(), send_event));
    let (send_signal, mut signals) = mpsc::channel(INBOX);
    env.spawn("trader.intake", intake::read(env.clone(), recovered.signal_position, send_signal));

    let durability = Arc::new(Durability::new(env.clone(), ledger, outbox));
    let mut desk = Desk::new(env, broker, durability, books);
    desk.resume(recovered.orders);
    loop {
        tokio::select! { biased;
            Some(event) = events.recv() => desk.event(event),
            done = desk.work() => desk.done(done),
            Some(signal) = signals.recv() => desk.signal(signal),
        }
    }
}

async fn open_outbox(env: &Env) -> (Option<Arc<Outbox>>, Vec<crate::core::Intent>) {
    match Outbox::open(env).await {
        Ok((outbox, held)) => (Some(Arc::new(outbox)), held),
        Err(error) => {
            // Without it the trader works on as long as the ledger does.
            fact!("outbox.unavailable", reason = %error);
            (None, Vec::new())
        }
    }
}

async fn release(outbox: Option<&Outbox>, id: &crate::core::ClientOrderId) {
    if let Some(outbox) = outbox {
        outbox.release(id).await;
    }
}
