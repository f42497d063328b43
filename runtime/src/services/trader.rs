//! `trader`: signals in, orders out, their fills into the ledger. One of several leads; the others stand by.
//!
//! - `leadership` wins and keeps the lead; `control` is the poll by which it learns what may be done; `latch_store` is where
//!   the halts are kept that only a person clears. `leave` is what all of that comes to: who may send now.
//! - `recovery` takes over what earlier leaders left behind, `reconciliation` what only the exchange knows.
//! - `intake` reads the signals from the bus.
//! - `gates` decide which of them become orders, and which orders may still be sent.
//! - `desk` takes them there, owns the orders that are under way, and decides with `core::Order`; `operator` closes breakers.
//! - `durability` stores an intent before its order may be sent: in the ledger, or an exit's in the `outbox` when the
//!   ledger refuses.
//! - `books` writes down what became of the orders and the `holdings` that result, and drains the outbox.
//! - `journal` keeps the trader's own record of its orders: an entry's line is durable before the entry is sent.
//! - `events` keeps the account's user stream open.
//!
//! Invariants: no request reaches the broker whose intent is not durable, nor one that leaves without a lease. Everything that
//! trades lives within one term and ends with it.

mod books;
mod control;
mod desk;
mod durability;
mod events;
mod gates;
mod holdings;
mod intake;
mod journal;
mod latch_store;
mod leadership;
mod leave;
mod operator;
mod outbox;
mod reconciliation;
mod recovery;

use std::{sync::Arc, time::Duration};

pub use self::{
    gates::GatesConfig,
    journal::{FILE as JOURNAL_FILE, sealed_file as sealed_journal_file},
    outbox::{FILE as OUTBOX_FILE, held_in as held_in_outbox},
};
use env::{Env, fact};
use serde_json::Map;
use tokio::{
    sync::mpsc::{self, UnboundedReceiver},
    time::{Instant, interval, sleep_until, timeout},
};

use self::{
    books::{Books, Record},
    desk::Desk,
    durability::Durability,
    events::Event,
    gates::{Gates, Restored, Wish},
    journal::Journal,
    leadership::{Leadership, Lost, Start},
    leave::Leave,
    operator::{Operator, Resets},
    outbox::Outbox,
    recovery::Sources,
};
use super::heartbeat;
use crate::{
    clients::{
        broker::{Broker, Credentials},
        ledger::Ledger,
    },
    core::{Epoch, Intent, throttle::ThrottleLimits},
    status::{self, Status},
    streams::Keys,
};

/// How many signals or events may wait for the desk. More wait where they come from.
const INBOX: usize = 64;

/// The pace of the desk's signs of life.
const TICK: Duration = Duration::from_secs(1);

/// How long a takeover may take before somebody else may try: some attempts at a broker that answers slowly.
const TAKEOVER_LIMIT: Duration = Duration::from_secs(40);

/// What the trader trades with.
#[derive(Clone)]
pub struct TraderConfig {
    /// The process's name: its heartbeat's, and how the lock names it. No two traders have one name.
    pub name: String,
    /// The account's key pair.
    pub credentials: Credentials,
    /// Whether entries need the consent of the supervisor's health check.
    pub supervised: bool,
    /// The keys of those whose signals are acted on.
    pub keys: Keys,
    /// What a signal must pass.
    pub gates: GatesConfig,
    /// How much is sent to the exchange.
    pub throttle: ThrottleLimits,
    /// The bearer token of operators.
    pub token: String,
}

impl Default for TraderConfig {
    /// An unsupervised trader with the key pair of a test account, and keys that everybody knows.
    fn default() -> Self {
        let credentials = Credentials { api_key: "key".into(), secret: "secret".into() };
        let keys =
            [super::ARES, super::EXIT_BRAIN].map(|name| (name.into(), super::default_key(name).into()));
        Self {
            name: "trader".into(),
            credentials,
            supervised: false,
            keys: Keys::new(keys),
            gates: GatesConfig::default(),
            throttle: ThrottleLimits::default(),
            token: super::default_key(super::OPERATOR).into(),
        }
    }
}

/// Runs the trader until it is asked to stop. It leads or stands by; what it left behind before is taken up by whoever leads.
pub async fn run(env: Env, config: TraderConfig) {
    fact!("trader.started");
    let (operator, resets) = Operator::new(config.token.clone());
    let trader = Trader::new(env, config, resets);
    let env = &trader.env;
    env.spawn("trader.status", status::serve(env.clone(), status::PORT, trader.status.clone(), operator));
    env.spawn("trader.heartbeat", trader.beat());
    let mut leadership = Leadership::new(
        env.clone(),
        &trader.config.name,
        trader.config.supervised,
        trader.leave.clone(),
        trader.status.clone(),
    );
    let mut stop = env.processes.stop_requested();
    loop {
        tokio::select! { biased;
            () = &mut stop => break,
            () = trader.term(&mut leadership) => {}
        }
    }
    leadership.resign().await;
}

/// What outlives the terms.
struct Trader {
    env: Env,
    config: TraderConfig,
    ledger: Arc<Ledger>,
    broker: Broker,
    leave: Leave,
    journal: Journal,
    status: Status,
    resets: Resets,
}

impl Trader {
    fn new(env: Env, config: TraderConfig, resets: Resets) -> Self {
        let status = Status::default();
        let leave = Leave::new(status.clone());
        Self {
            ledger: Arc::new(Ledger::new(env.clone(), "trader.intents")),
            broker: Broker::new(env.clone(), config.credentials.clone()),
            journal: Journal::open(&env, leave.clone()),
            leave,
            status,
            resets,
            env,
            config,
        }
    }

    /// Shows on the bus that the process lives, and whether it leads.
    fn beat(&self) -> impl Future<Output = ()> + Send + 'static {
        let leave = self.leave.clone();
        heartbeat::beat(self.env.clone(), self.config.name.clone(), self.status.clone(), move || {
            let epoch = leave.lease().check(Instant::now()).ok().map(Epoch::get);
            Some(Map::from_iter([("leads".into(), epoch.is_some().into()), ("epoch".into(), epoch.into())]))
        })
    }

    /// Wins the lead, trades, and gives it up again. Everything that trades ends with the term: the next one begins with
    /// what ledger, outbox and exchange know.
    async fn term(&self, leadership: &mut Leadership) {
        leadership.win().await;
        let lost = match self.prepare(leadership).await {
            Ok(start) => {
                let (books, records) = Books::open(self.journal.clone());
                tokio::select! { biased;
                    lost = leadership.keep(&books) => lost,
                    lost = self.trade(start, books.clone(), records) => lost,
                }
            }
            Err(lost) => lost,
        };
        leadership.give_up(&lost).await;
    }

    async fn prepare(&self, leadership: &mut Leadership) -> Result<Start, Lost> {
        self.ledger.batch(super::SCHEMA).await?;
        leadership.prepare(&self.ledger).await
    }

    async fn trade(&self, start: Start, books: Books, records: UnboundedReceiver<Record>) -> Lost {
        let Start { epoch, not_before } = start;
        let (outbox, held) = open_outbox(&self.env).await;
        sleep_until(not_before).await;
        let sources =
            Sources { env: &self.env, ledger: &self.ledger, broker: &self.broker, status: &self.status };
        let taking_over = recovery::insist(&sources, epoch, outbox.as_deref(), &held);
        let Ok(recovered) = timeout(TAKEOVER_LIMIT, taking_over).await else {
            return Lost::TakeOver("out of time".into());
        };
        let restored = Restored::insist(&self.env, &self.ledger, &self.config.gates, &recovered.orders).await;
        Leadership::lead(&self.leave, &self.status, epoch);
        let positions = restored.signal_positions.clone();
        let gates = Gates::new(
            &self.env,
            self.leave.clone(),
            self.status.clone(),
            self.config.gates.clone(),
            restored,
            recovered.holdings.positions(),
            &recovered.orders,
        );

        let (announce, booked) = mpsc::unbounded_channel();
        let publish =
            books::announce(self.env.clone(), recovered.holdings.on_bus(), recovered.imported, booked);
        let keep = books::keep(
            self.env.clone(),
            records,
            recovered.holdings,
            outbox.clone(),
            epoch,
            announce,
            self.status.clone(),
        );
        let (send_event, events) = mpsc::channel(INBOX);
        let follow = events::follow(self.env.clone(), self.broker.clone(), send_event);
        let (send_signal, signals) = mpsc::channel(INBOX);
        let keys = self.config.keys.clone();
        let read = intake::read(self.env.clone(), self.status.clone(), keys, positions, send_signal);
        let _tasks = [
            self.env.spawn("trader.fills", publish).abort_on_drop(),
            self.env.spawn("trader.books", keep).abort_on_drop(),
            self.env.spawn("trader.events", follow).abort_on_drop(),
            self.env.spawn("trader.intake", read).abort_on_drop(),
        ];

        let journal = self.journal.clone();
        let durability =
            Arc::new(Durability::new(self.env.clone(), self.ledger.clone(), outbox.clone(), journal, epoch));
        let mut desk = Desk::new(
            self.env.clone(),
            self.broker.clone(),
            durability,
            books,
            (self.leave.clone(), self.status.clone()),
            gates,
            self.config.throttle,
        );
        desk.resume(recovered.orders);
        self.drive(desk, events, signals, outbox.as_deref()).await
    }

    async fn drive(
        &self,
        mut desk: Desk,
        mut events: mpsc::Receiver<Event>,
        mut signals: mpsc::Receiver<Wish>,
        outbox: Option<&Outbox>,
    ) -> Lost {
        let mut tick = interval(TICK);
        let mut resets = self.resets.clone();
        resets.mark_unchanged();
        loop {
            tokio::select! { biased;
                Some(event) = events.recv() => desk.event(event),
                done = desk.work() => desk.done(done),
                Some(signal) = signals.recv() => desk.signal(signal),
                Ok(()) = resets.changed() => {
                    if let Some(symbol) = &*resets.borrow_and_update() {
                        desk.reset_breaker(symbol);
                    }
                }
                _ = tick.tick() => {
                    self.status.beat("order_heartbeat_seconds");
                    self.status.gauge("unknown_orders", desk.unknown());
                    if let Some(outbox) = outbox {
                        self.status.gauge("ledger_outbox_depth", outbox.depth().await);
                    }
                }
            }
        }
    }
}

async fn open_outbox(env: &Env) -> (Option<Arc<Outbox>>, Vec<Intent>) {
    match Outbox::open(env).await {
        Ok((outbox, held)) => (Some(Arc::new(outbox)), held),
        Err(error) => {
            // Without it the trader works on as long as the ledger does.
            fact!("outbox.unavailable", reason = %error);
            (None, Vec::new())
        }
    }
}
