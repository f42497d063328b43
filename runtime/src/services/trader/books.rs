//! Writes to the ledger what became of the orders, in the order in which it became known.
//!
//! What the ledger refuses is written again until it accepts: records wait in memory. A crash, or the end of the term, loses
//! none of them for good: the next leader asks about every order whose end is not written down, and imports missing fills. No limit is needed: entries stop when the ledger
//! refuses their intents, and exits when the outbox is full. A row that the ledger refuses for good stops the books, visibly.

use std::{collections::BTreeSet, sync::Arc};

use env::{Env, WallTime, fact};
use redis::Pipeline;
use rust_decimal::Decimal;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio_postgres::Row;

use super::{
    durability::insert_signed,
    gates::Dated,
    holdings::{Holding, Holdings},
    journal::Journal,
    latch_store,
    outbox::Outbox,
};
use crate::{
    clients::{
        backoff::Backoff,
        broker::Balance,
        bus::Bus,
        ledger::{Ledger, LedgerError, Statement, column},
    },
    core::{
        ClientOrderId, Epoch, Fill, Intent, LatchAct, Price, Qty, Signature, Status, Symbol, journal::Event,
    },
    status::Status as Shown,
    streams,
};

/// How many records one transaction holds.
const BATCH: usize = 16;

/// The end of an order is final, whoever wrote it.
const SET_STATUS: &str = "UPDATE order_intents SET status = $2, reason = $3 WHERE client_order_id = $1 \
    AND status NOT IN ('FILLED', 'CANCELED', 'EXPIRED', 'REJECTED')";

const ADD_EVENT: &str = "INSERT INTO order_events (client_order_id, status, reason, at) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (client_order_id, status) DO NOTHING";

const ADD_FILL: &str = "INSERT INTO fills (symbol, trade_id, client_order_id, side, qty, price, fee, ts) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (symbol, trade_id) DO NOTHING";

const FIND_FILL: &str = "SELECT trade_id FROM fills WHERE symbol = $1 AND trade_id = $2";

const SET_BREAKER: &str = "INSERT INTO breakers (symbol, record) VALUES ($1, $2) \
    ON CONFLICT (symbol) DO UPDATE SET record = excluded.record";

const SET_BALANCE: &str = "INSERT INTO balances (asset, wallet, available, observed_at) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (asset) DO UPDATE SET wallet = excluded.wallet, available = excluded.available, \
    observed_at = excluded.observed_at";

/// Something to be written down.
#[derive(Clone, Debug)]
pub(super) enum Record {
    /// The account's balance, and when it was observed.
    Balance(Balance, WallTime),
    /// A breaker has changed.
    Breaker(Symbol, Dated),
    /// An intent that only the outbox has.
    Intent(Intent, Signature),
    /// A latch changed.
    Latch(LatchAct),
    /// An order reached a status.
    Status { id: ClientOrderId, status: Status, reason: Option<String>, at: WallTime },
    /// An intent was given up; if the ledger has it after all, it is not to be acted on.
    Withdrawn { id: ClientOrderId, reason: String },
    /// An order was executed, which is not written down yet.
    Fill(Fill),
    /// An order that is not under way here was executed – an emergency exit's –, which may be written down already.
    ForeignFill(Fill),
}

/// The way to the books and to the order journal. Cheap to clone.
#[derive(Clone)]
pub(super) struct Books {
    send: UnboundedSender<Record>,
    journal: Journal,
}

impl Books {
    /// The books, and the records for `keep`.
    pub(super) fn open(journal: Journal) -> (Self, UnboundedReceiver<Record>) {
        let (send, records) = mpsc::unbounded_channel();
        (Self { send, journal }, records)
    }

    /// Hands over a record, which the journal has, too.
    pub(super) fn write(&self, record: Record) {
        if let Some(event) = record.journaled() {
            self.journal.note(event);
        }
        // The keeper ends with its term only; what it did not write then, the next leader finds out.
        let _ = self.send.send(record);
    }

    /// Takes down that a request was handed to the network: in the journal, for the ledger has no place for it.
    pub(super) fn sent(&self, id: &ClientOrderId, attempt: u64) {
        self.journal.note(Event::Sent { order: id.clone(), attempt });
    }
}

impl Record {
    /// What the journal is told of it; the intent is there already.
    fn journaled(&self) -> Option<Event> {
        match self {
            Self::Balance(..) | Self::Breaker(..) | Self::Intent(..) | Self::Latch(_) => None,
            Self::Status { id, status, reason, at: _ } => {
                Some(Event::Became { order: id.clone(), status: *status, reason: reason.clone() })
            }
            Self::Withdrawn { id, reason } => Some(Event::Became {
                order: id.clone(),
                status: Status::Rejected,
                reason: Some(reason.clone()),
            }),
            Self::Fill(fill) | Self::ForeignFill(fill) => Some(Event::Filled {
                order: fill.client_order_id.clone(),
                trade_id: fill.trade_id,
                qty: fill.qty,
                price: fill.price,
            }),
        }
    }
}

/// Writes the records of one term until there can be no more.
pub(super) async fn keep(
    env: Env,
    mut records: UnboundedReceiver<Record>,
    holdings: Holdings,
    outbox: Option<Arc<Outbox>>,
    epoch: Epoch,
    announce: UnboundedSender<Booked>,
    shown: Shown,
) {
    let mut keeper = Keeper { ledger: Ledger::new(env.clone(), "trader.books"), env, holdings, epoch };
    let mut batch = Vec::with_capacity(BATCH);
    while records.recv_many(&mut batch, BATCH).await > 0 {
        keeper.leave_out_known(&mut batch).await;
        let booked = keeper.write(&batch).await;
        let mut drained = 0_u64;
        for record in batch.drain(..) {
            if let Record::Intent(intent, _) = record {
                drained += 1;
                if let Some(outbox) = &outbox {
                    outbox.release(&intent.client_order_id).await;
                }
            }
        }
        if drained > 0 {
            fact!("outbox.drained", count = drained);
        }
        for booked in booked {
            report(&booked.fill);
            let lag = keeper.env.clock.now().since(booked.fill.time).as_millis();
            shown.gauge("fill_lag_seconds", Decimal::new(i64::try_from(lag).unwrap_or(i64::MAX), 3));
            // As above: without a receiver the term is ending.
            let _ = announce.send(booked);
        }
    }
}

/// A fill that is in the ledger, and what is held with it.
pub(super) struct Booked {
    pub(super) fill: Fill,
    pub(super) holding: Holding,
}

struct Keeper {
    env: Env,
    ledger: Ledger,
    /// As the ledger has them, or will have them once the current records are written.
    holdings: Holdings,
    epoch: Epoch,
}

impl Keeper {
    /// Drops the foreign fills that are booked already, or twice in the batch.
    async fn leave_out_known(&self, batch: &mut Vec<Record>) {
        let mut seen = BTreeSet::new();
        let mut known = Vec::new();
        for (index, record) in batch.iter().enumerate() {
            if let Record::Fill(fill) | Record::ForeignFill(fill) = record {
                let repeated = !seen.insert((fill.symbol.clone(), fill.trade_id));
                if matches!(record, Record::ForeignFill(_)) && (repeated || self.is_booked(fill).await) {
                    known.push(index);
                }
            }
        }
        for index in known.into_iter().rev() {
            batch.remove(index);
        }
    }

    /// Whether the ledger has a fill; asked until it answers.
    async fn is_booked(&self, fill: &Fill) -> bool {
        let ask = Statement::new(FIND_FILL).text(&fill.symbol).int(number(fill.trade_id));
        let mut backoff = Backoff::reconnect("trader.books");
        loop {
            match self.ledger.query(&ask).await {
                Ok(rows) => return !rows.is_empty(),
                Err(_) => backoff.wait(&self.env).await,
            }
        }
    }

    /// Writes records in one transaction, again and again until it is committed; returns what was booked.
    async fn write(&mut self, records: &[Record]) -> Vec<Booked> {
        let mut statements = Vec::with_capacity(2 * records.len());
        let mut booked = Vec::new();
        for record in records {
            booked.extend(self.statements(record, &mut statements));
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
        booked
    }

    /// Absolute values and keyed inserts only: a transaction whose commit is unknown is run again.
    fn statements(&mut self, record: &Record, statements: &mut Vec<Statement>) -> Option<Booked> {
        match record {
            Record::Balance(balance, at) => statements.push(set_balance(balance, *at)),
            Record::Breaker(symbol, dated) => {
                statements.push(Statement::new(SET_BREAKER).text(symbol).text(dated.to_json()));
            }
            Record::Intent(intent, signature) => {
                let now = self.env.clock.now();
                statements.push(insert_signed(intent, signature, Status::Intent, None, self.epoch, now));
            }
            Record::Latch(act) => statements.extend(latch_store::to_record(act, self.env.clock.now())),
            Record::Status { id, status, reason, at } => {
                let set = Statement::new(SET_STATUS).text(id).text(status).optional_text(reason.as_deref());
                let add = Statement::new(ADD_EVENT).text(id).text(status).optional_text(reason.as_deref());
                statements.extend([set, add.time(*at)]);
            }
            Record::Withdrawn { id, reason } => {
                let set = Statement::new(SET_STATUS).text(id).text(Status::Rejected);
                statements.push(set.optional_text(Some(reason)));
            }
            Record::Fill(fill) | Record::ForeignFill(fill) => {
                let holding = self.holdings.apply(fill);
                statements.extend([add_fill(fill), holding.row(&fill.symbol, self.epoch)]);
                return Some(Booked { fill: fill.clone(), holding });
            }
        }
        None
    }
}

fn set_balance(balance: &Balance, at: WallTime) -> Statement {
    Statement::new(SET_BALANCE).text(&balance.asset).number(balance.wallet).number(balance.available).time(at)
}

/// The statement that books a fill, once however often it is run.
pub(super) fn add_fill(fill: &Fill) -> Statement {
    Statement::new(ADD_FILL)
        .text(&fill.symbol)
        .int(number(fill.trade_id))
        .text(&fill.client_order_id)
        .text(fill.side)
        .number(fill.qty.get())
        .number(fill.price.get())
        .number(fill.fee)
        .time(fill.time)
}

/// The exchange's ids stay far below 2⁶³.
fn number(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

/// Reports that a fill is in the ledger.
pub(super) fn report(fill: &Fill) {
    fact!(
        "fill.booked",
        symbol = %fill.symbol,
        trade_id = fill.trade_id,
        client_order_id = %fill.client_order_id,
        qty = %fill.qty,
        price = %fill.price,
    );
}

/// Tells the bus of what was booked. A bus that is down holds up this task and not the books.
///
/// It begins with `positions`, which put the bus right, and the fills that a takeover has `imported`.
pub(super) async fn announce(
    env: Env,
    positions: Pipeline,
    imported: Vec<Fill>,
    mut booked: UnboundedReceiver<Booked>,
) {
    let mut bus = Bus::for_commands(env, "trader.fills");
    let mut begin = positions;
    for fill in &imported {
        begin.add_command(streams::add_fill(fill));
    }
    bus.insist_all(&begin).await;
    let mut batch = Vec::with_capacity(BATCH);
    while booked.recv_many(&mut batch, BATCH).await > 0 {
        let mut add = Pipeline::new();
        for Booked { fill, holding } in batch.drain(..) {
            add.add_command(streams::add_fill(&fill)).add_command(holding.field(&fill.symbol));
        }
        bus.insist_all(&add).await;
    }
}

pub(super) fn qty(row: &Row) -> Result<Qty, LedgerError> {
    Qty::new(column::<Decimal>(row, "qty")?).map_err(malformed)
}

pub(super) fn price(row: &Row) -> Result<Price, LedgerError> {
    Price::new(column::<Decimal>(row, "price")?).map_err(malformed)
}

pub(super) fn parsed<T>(row: &Row, name: &str) -> Result<T, LedgerError>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    column::<&str>(row, name)?.parse().map_err(malformed)
}

pub(super) fn malformed(error: impl std::fmt::Display) -> LedgerError {
    LedgerError::Malformed(error.to_string())
}
