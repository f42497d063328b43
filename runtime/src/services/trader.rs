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
mod gates;
mod intake;
mod journal;
#[expect(dead_code, reason = "the leadership latches and looks at the lease from its next change on")]
mod leave;
mod outbox;
mod recovery;

use std::sync::Arc;

pub use self::{
    gates::GatesConfig,
    outbox::{FILE as OUTBOX_FILE, held_in as held_in_outbox},
};
use env::{Env, fact};
use tokio::sync::mpsc;

use self::{
    books::{Books, Record},
    desk::Desk,
    durability::Durability,
    gates::{Gates, Restored},
    leave::Leave,
    outbox::Outbox,
};
use crate::{
    clients::{
        broker::{Broker, Credentials},
        ledger::Ledger,
    },
    core::{EXTEND_EVERY, Epoch, LeaseEvent, Signature, throttle::ThrottleLimits},
    status::Status,
    streams::Keys,
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
    /// The keys of those whose signals are acted on.
    pub keys: Keys,
    /// What a signal must pass.
    pub gates: GatesConfig,
    /// How much is sent to the exchange.
    pub throttle: ThrottleLimits,
}

impl Default for TraderConfig {
    /// The key pair of a test account, and keys that everybody knows.
    fn default() -> Self {
        let keys =
            [super::ARES, super::EXIT_BRAIN].map(|issuer| (issuer.to_owned(), super::default_key(issuer).to_owned()));
        Self {
            credentials: Credentials { api_key: "key".into(), secret: "secret".into() },
            keys: Keys::new(keys),
            gates: GatesConfig::default(),
            throttle: ThrottleLimits::default(),
        }
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
        books.write(Record::Intent(intent.clone(), Signature::of_order(intent), Epoch::default()));
    }
    for drained in &recovered.in_ledger_too {
        release(outbox.as_deref(), drained).await;
    }
    let restored = Restored::insist(&env, &ledger, &config.gates, &recovered.orders).await;
    let positions = restored.signal_positions.clone();
    let (leave, status) = (Leave::default(), Status::default());
    env.spawn("trader.lease", lead_always(leave.clone()));
    let gates = Gates::new(
        &env,
        leave.clone(),
        status.clone(),
        config.gates,
        restored,
        &recovered.positions,
        &recovered.orders,
    );
    let keep = books::keep(env.clone(), records, recovered.positions, outbox.clone(), status.clone());
    env.spawn("trader.books", keep);

    let broker = Broker::new(env.clone(), config.credentials);
    let (send_event, mut events) = mpsc::channel(INBOX);
    env.spawn("trader.events", events::follow(env.clone(), broker.clone(), send_event));
    let (send_signal, mut signals) = mpsc::channel(INBOX);
    let intake = intake::read(env.clone(), status.clone(), config.keys, positions, send_signal);
    env.spawn("trader.intake", intake);

    let durability = Arc::new(Durability::new(env.clone(), ledger, outbox));
    let mut desk = Desk::new(env, broker, durability, books, (leave, status), gates, config.throttle);
    desk.resume(recovered.orders);
    loop {
        tokio::select! { biased;
            Some(event) = events.recv() => desk.event(event),
            done = desk.work() => desk.done(done),
            Some(signal) = signals.recv() => desk.signal(signal),
        }
    }
}

/// Leads without a lock, as long as there is only one trader.
async fn lead_always(leave: Leave) {
    loop {
        let sent = tokio::time::Instant::now();
        leave.step(LeaseEvent::Extended { sent });
        leave.step(LeaseEvent::TookOver(Epoch::new(1)));
        tokio::time::sleep(EXTEND_EVERY).await;
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
