//! Writes to the ledger what became of the orders, in the order in which it became known.
//!
//! What the ledger refuses is written again until it accepts: records wait in memory. A crash loses none of them for good,
//! because an order whose end is not written down is asked for again. No limit is needed: entries stop when the ledger
//! refuses their intents, and exits when the outbox is full. A row that the ledger refuses for good stops the books, visibly.

use std::{collections::BTreeMap, sync::Arc};

use env::{Env, WallTime, fact};
use redis::Pipeline;
use rust_decimal::Decimal;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::{durability::insert, gates::Dated, outbox::Outbox};
use crate::{
    clients::{
        backoff::Backoff,
        broker::Balance,
        bus::Bus,
        ledger::{Ledger, LedgerError, Statement},
    },
    core::{ClientOrderId, Epoch, Fill, Intent, Position, Signature, Status, Symbol},
    streams,
};

/// How many records one transaction holds.
const BATCH: usize = 16;

const SET_STATUS: &str = "UPDATE order_intents SET status = $2, reason = $3 WHERE client_order_id = $1";

const ADD_EVENT: &str = "INSERT INTO order_events (client_order_id, status, reason, at) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (client_order_id, status) DO NOTHING";

const ADD_FILL: &str = "INSERT INTO fills (symbol, trade_id, client_order_id, side, qty, price, fee, ts) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (symbol, trade_id) DO NOTHING";

const SET_BREAKER: &str = "INSERT INTO breakers (symbol, record) VALUES ($1, $2) \
    ON CONFLICT (symbol) DO UPDATE SET record = excluded.record";

const SET_BALANCE: &str = "INSERT INTO balances (asset, wallet, available, observed_at) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (asset) DO UPDATE SET wallet = excluded.wallet, available = excluded.available, \
    observed_at = excluded.observed_at";

const SET_POSITION: &str = "INSERT INTO positions (symbol, qty, avg_price) VALUES ($1, $2, $3) \
    ON CONFLICT (symbol) DO UPDATE SET qty = excluded.qty, avg_price = excluded.avg_price";

/// Something to be written down.
#[derive(Clone, Debug)]
pub(super) enum Record {
    /// The account's balance, and when it was observed.
    Balance(Balance, WallTime),
    /// A breaker has changed.
    Breaker(Symbol, Dated),
    /// An intent that only the outbox has.
    Intent(Intent, Signature, Epoch),
    /// An order reached a status.
    Status { id: ClientOrderId, status: Status, reason: Option<String>, at: WallTime },
    /// An intent was given up; if the ledger has it after all, it is not to be acted on.
    Withdrawn { id: ClientOrderId, reason: String },
    /// An order was executed, which is not written down yet.
    Fill(Fill),
}

/// The way to the books. Cheap to clone.
#[derive(Clone)]
pub(super) struct Books {
    send: UnboundedSender<Record>,
}

impl Books {
    /// The books, and the records for `keep`.
    pub(super) fn open() -> (Self, UnboundedReceiver<Record>) {
        let (send, records) = mpsc::unbounded_channel();
        (Self { send }, records)
    }

    /// Hands over a record.
    pub(super) fn write(&self, record: Record) {
        // The keeper ends with the process only, and then nobody misses the record.
        let _ = self.send.send(record);
    }
}

/// Writes records until there can be no more.
pub(super) async fn keep(
    env: Env,
    mut records: UnboundedReceiver<Record>,
    positions: BTreeMap<Symbol, Position>,
    outbox: Option<Arc<Outbox>>,
    status: crate::status::Status,
) {
    let (announce, booked) = mpsc::unbounded_channel();
    env.spawn("trader.fills", announce_fills(env.clone(), booked));
    let mut keeper = Keeper { ledger: Ledger::new(env.clone(), "trader.books"), env: env.clone(), positions };
    let mut batch = Vec::with_capacity(BATCH);
    while records.recv_many(&mut batch, BATCH).await > 0 {
        keeper.write(&batch).await;
        let mut drained = 0_u64;
        for record in batch.drain(..) {
            match record {
                Record::Intent(intent, ..) => {
                    drained += 1;
                    if let Some(outbox) = &outbox {
                        outbox.release(&intent.client_order_id).await;
                    }
                }
                Record::Fill(fill) => {
                    report(&fill);
                    let lag = env.clock.now().since(fill.time);
                    status.gauge(
                        "fill_lag_seconds",
                        Decimal::new(i64::try_from(lag.as_millis()).unwrap_or(i64::MAX), 3),
                    );
                    // As above: without a receiver the process is ending.
                    let _ = announce.send(fill);
                }
                Record::Balance(..)
                | Record::Breaker(..)
                | Record::Status { .. }
                | Record::Withdrawn { .. } => {}
            }
        }
        if drained > 0 {
            fact!("outbox.drained", count = drained);
        }
    }
}

struct Keeper {
    env: Env,
    ledger: Ledger,
    /// As the ledger has them, or will have them once the current records are written.
    positions: BTreeMap<Symbol, Position>,
}

impl Keeper {
    /// Writes records in one transaction, again and again until it is committed.
    async fn write(&mut self, records: &[Record]) {
        let mut statements = Vec::with_capacity(2 * records.len());
        for record in records {
            self.statements(record, &mut statements);
        }
        let mut backoff = Backoff::reconnect("trader.books");
        let mut reported = false;
        while let Err(error) = self.ledger.transaction(&statements).await {
            if let (LedgerError::Refused { .. }, false) = (&error, reported) {
                fact!("ledger.refused", sqlstate = error.sqlstate(), reason = %error.reason());
                reported = true;
            }
            backoff.wait(&self.env).await;
        }
    }

    /// Absolute values and keyed inserts only: a transaction whose commit is unknown is run again.
    fn statements(&mut self, record: &Record, statements: &mut Vec<Statement>) {
        match record {
            Record::Balance(balance, at) => statements.push(
                Statement::new(SET_BALANCE)
                    .text(&balance.asset)
                    .number(balance.wallet)
                    .number(balance.available)
                    .time(*at),
            ),
            Record::Breaker(symbol, dated) => {
                let record = serde_json::to_string(dated).expect("a record of a breaker has plain keys");
                statements.push(Statement::new(SET_BREAKER).text(symbol).text(record));
            }
            Record::Intent(intent, signature, epoch) => {
                statements.push(insert(intent, signature, *epoch, None, self.env.clock.now()));
            }
            Record::Status { id, status, reason, at } => {
                let set = Statement::new(SET_STATUS).text(id).text(status).optional_text(reason.as_deref());
                let add = Statement::new(ADD_EVENT).text(id).text(status).optional_text(reason.as_deref());
                statements.extend([set, add.time(*at)]);
            }
            Record::Withdrawn { id, reason } => {
                let set = Statement::new(SET_STATUS).text(id).text(Status::Rejected);
                statements.push(set.optional_text(Some(reason)));
            }
            Record::Fill(fill) => {
                let position = self.positions.entry(fill.symbol.clone()).or_default();
                position.fill(fill.side, fill.qty, fill.price);
                let set = Statement::new(SET_POSITION).text(&fill.symbol);
                statements.extend([add_fill(fill), set.number(position.qty).number(position.avg_price)]);
            }
        }
    }
}

fn add_fill(fill: &Fill) -> Statement {
    Statement::new(ADD_FILL)
        .text(&fill.symbol)
        // The exchange's ids stay far below 2⁶³.
        .int(i64::try_from(fill.trade_id).unwrap_or(i64::MAX))
        .text(&fill.client_order_id)
        .text(fill.side)
        .number(fill.qty.get())
        .number(fill.price.get())
        .number(fill.fee)
        .time(fill.time)
}

fn report(fill: &Fill) {
    fact!(
        "fill.booked",
        symbol = %fill.symbol,
        trade_id = fill.trade_id,
        client_order_id = %fill.client_order_id,
        qty = %fill.qty,
        price = %fill.price,
    );
}

/// Tells the bus of booked fills. A bus that is down holds up this task and not the books.
async fn announce_fills(env: Env, mut booked: UnboundedReceiver<Fill>) {
    let mut bus = Bus::for_commands(env, "trader.fills");
    let mut batch = Vec::with_capacity(BATCH);
    while booked.recv_many(&mut batch, BATCH).await > 0 {
        let mut add = Pipeline::new();
        for fill in batch.drain(..) {
            add.add_command(streams::add_fill(&fill));
        }
        bus.insist_all(&add).await;
    }
}
