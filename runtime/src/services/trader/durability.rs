//! Makes an intent durable, without which its order is not sent.
//!
//! An entry is stored in the journal and in the ledger or given up. An exit that the ledger refuses, or does not confirm in
//! time, goes to the outbox; it waits for no journal. A lost answer of the ledger is no confirmation: the same insert is
//! repeated until one is answered.

use std::{sync::Arc, time::Duration};

use env::Env;
use tokio::time::{Instant, timeout_at};

use super::{gates::Pass, journal::Journal, outbox::Outbox};
use crate::{
    clients::{
        backoff::Backoff,
        ledger::{Ledger, LedgerError, Statement, column},
    },
    core::{Epoch, Intent, Signature, Status, journal::Event},
};

/// How long an entry may take to be stored. With `desk::ENTRY_AGE_LIMIT` it keeps the price of an entry below 30 s of age.
const ENTRY_BUDGET: Duration = Duration::from_secs(5);

/// How long an exit may take until the outbox is preferred: some fsyncs of a busy disk.
const EXIT_BUDGET: Duration = Duration::from_secs(1);

/// The delays between attempts within these budgets.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_CAP: Duration = Duration::from_millis(500);

const INSERT: &str = "INSERT INTO order_intents \
    (client_order_id, intent_id, signature, symbol, side, qty, price, reduce_only, status, signal_position, epoch, \
    created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (client_order_id) DO NOTHING";

/// Changes nothing, and is written like every change.
const TOUCH: &str = "UPDATE balances SET asset = asset";

const STATUS: &str = "SELECT status FROM order_intents WHERE client_order_id = $1";

/// What became of an intent.
#[derive(Clone, Debug)]
pub(super) enum Stored {
    /// The ledger has it.
    InLedger,
    /// The outbox has it, and the ledger has not (or nobody knows).
    InOutbox(LedgerError),
    /// It is an old one whose order is done with.
    Before,
    /// Nothing has it. With `perhaps_in_ledger` an answer was lost, so that the ledger may have it after all.
    /// Without a `cause` the ledger was not asked.
    Nowhere { cause: Option<LedgerError>, reason: String, perhaps_in_ledger: bool },
}

/// The places that make an intent durable.
pub(super) struct Durability {
    env: Env,
    ledger: Arc<Ledger>,
    outbox: Option<Arc<Outbox>>,
    journal: Journal,
    epoch: Epoch,
}

/// What the attempts to reach the ledger have come to.
struct Attempts {
    last: LedgerError,
    perhaps_done: bool,
}

impl Durability {
    /// For the intents of the leader of `epoch`.
    pub(super) const fn new(
        env: Env,
        ledger: Arc<Ledger>,
        outbox: Option<Arc<Outbox>>,
        journal: Journal,
        epoch: Epoch,
    ) -> Self {
        Self { env, ledger, outbox, journal, epoch }
    }

    /// Stores the intent of a signal that passed the gates and stands at `position`.
    pub(super) async fn store(&self, pass: &Pass, position: &str) -> Stored {
        let intent = &pass.intent;
        let budget = if intent.reduce_only { EXIT_BUDGET } else { ENTRY_BUDGET };
        let deadline = Instant::now() + budget;
        if intent.reduce_only {
            self.journal.note(line(intent));
        } else if let Err(error) = self.journal.append(line(intent)).await {
            return Stored::Nowhere { cause: None, reason: error.to_string(), perhaps_in_ledger: false };
        }
        let mut attempts =
            Attempts { last: LedgerError::Unknown("no answer in time".into()), perhaps_done: true };
        if let Ok(Some(stored)) = timeout_at(deadline, self.in_ledger(pass, position, &mut attempts)).await {
            return stored;
        }
        let Attempts { last: cause, perhaps_done: perhaps_in_ledger } = attempts;
        let reason = match (&self.outbox, intent.reduce_only) {
            (Some(outbox), true) => match outbox.put(intent).await {
                Ok(()) => return Stored::InOutbox(cause),
                Err(error) => format!("{}; {error}", cause.reason()),
            },
            (None, true) => format!("{}; there is no outbox", cause.reason()),
            (_, false) => cause.reason(),
        };
        Stored::Nowhere { cause: Some(cause), reason, perhaps_in_ledger }
    }

    /// Whether the ledger stores.
    pub(super) async fn writes(&self) -> bool {
        self.ledger.execute(&Statement::new(TOUCH)).await.is_ok()
    }

    /// Tries until the ledger gives a definite answer; `None` when that is a refusal.
    async fn in_ledger(&self, pass: &Pass, position: &str, attempts: &mut Attempts) -> Option<Stored> {
        let Pass { intent, signature } = pass;
        let now = self.env.clock.now();
        let insert = insert_signed(intent, signature, Status::Intent, Some(position), self.epoch, now);
        let mut backoff = Backoff::new("trader.store_intent", RETRY_FIRST, RETRY_CAP);
        let mut lost_one = false;
        loop {
            match self.insert_once(&insert, intent).await {
                Ok(stored) => return Some(stored),
                Err(error) => {
                    lost_one |= matches!(error, LedgerError::Unknown(_) | LedgerError::Malformed(_));
                    let refused = matches!(error, LedgerError::Refused { .. });
                    *attempts = Attempts { last: error, perhaps_done: lost_one };
                    if refused {
                        return None;
                    }
                }
            }
            backoff.wait(&self.env).await;
        }
    }

    async fn insert_once(&self, insert: &Statement, intent: &Intent) -> Result<Stored, LedgerError> {
        if self.ledger.execute(insert).await? == 1 {
            return Ok(Stored::InLedger);
        }
        // There was a row. One that still waits is ours, from an attempt whose answer was lost: those of earlier lives of
        // this process are known to the desk, which asks for no second row.
        let rows = self.ledger.query(&Statement::new(STATUS).text(&intent.client_order_id)).await?;
        let status: &str = match rows.first() {
            Some(row) => column(row, "status")?,
            None => return Err(LedgerError::Malformed("a row is there and is not".into())),
        };
        Ok(if status == Status::Intent.as_str() { Stored::InLedger } else { Stored::Before })
    }
}

/// The line of the journal that stores an intent.
fn line(intent: &Intent) -> Event {
    Event::Intent {
        order: intent.client_order_id.clone(),
        symbol: intent.symbol.clone(),
        side: intent.side,
        qty: intent.qty,
        reduce_only: intent.reduce_only,
    }
}

/// The statement that stores an intent whose signal is not known, once however often it is run.
pub(super) fn insert(
    intent: &Intent,
    status: Status,
    position: Option<&str>,
    epoch: Epoch,
    now: env::WallTime,
) -> Statement {
    insert_signed(intent, &Signature::of_order(intent), status, position, epoch, now)
}

/// The statement that stores an intent with the signature of its signal, once however often it is run.
pub(super) fn insert_signed(
    intent: &Intent,
    signature: &Signature,
    status: Status,
    position: Option<&str>,
    epoch: Epoch,
    now: env::WallTime,
) -> Statement {
    Statement::new(INSERT)
        .text(&intent.client_order_id)
        .text(&intent.intent_id)
        .text(signature)
        .text(&intent.symbol)
        .text(intent.side)
        .number(intent.qty.get())
        .number(intent.price.get())
        .flag(intent.reduce_only)
        .text(status)
        .optional_text(position)
        .int(i64::try_from(epoch.get()).unwrap_or(i64::MAX))
        .time(now)
}
