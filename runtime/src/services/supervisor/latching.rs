//! The halts that only a person clears, in the three places that have them: `global_flags.json`, the ledger, the bus.
//!
//! Each change goes to all three, and `core::kill_switch` says when it may be acknowledged. What one of them missed it gets
//! later: the ledger's rows are compared with the file at each check, and the bus is told anew when it has lost data. A row
//! that somebody closed ends the halt; a row that is not there never does. Deliberately absent: what a halt forbids.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use env::{Env, WallTime, fact};
use redis::Pipeline;
use tokio::time::{Instant, sleep_until, timeout};

use super::files::GlobalFlags;
use crate::{
    clients::{
        bus::Bus,
        ledger::{Ledger, LedgerError, Statement, column},
    },
    core::{
        Latch, LatchRecord, LatchSet,
        kill_switch::{Order, Place, Verdict, Wish},
    },
    state::{Origin, StateFile},
    streams,
};

/// How many of the newest rows are compared; more than one open row of each reason is never needed.
const ROWS: &str =
    "SELECT halt_id, reason, set_by, set_at, why, cleared_by FROM halts ORDER BY set_at DESC LIMIT 50";
const INSERT: &str = "INSERT INTO halts (halt_id, reason, set_by, set_at, why) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (halt_id) DO NOTHING";
const CLOSE: &str =
    "UPDATE halts SET cleared_by = $2, cleared_at = $3 WHERE reason = $1 AND cleared_at IS NULL";

/// How often a bus that is away is tried again, while somebody waits for a halt to be acknowledged.
const BUS_RETRY: Duration = Duration::from_secs(1);

/// The keeper of the halts.
pub(super) struct Latching {
    env: Env,
    file: StateFile<GlobalFlags>,
    ledger: Arc<Ledger>,
    bus: Bus,
}

/// A row of `halts`.
struct Row {
    halt_id: String,
    latch: Latch,
    record: LatchRecord,
    is_closed: bool,
}

impl Latching {
    /// Reads what stands. Flags that could not be read stand for a FAILSAFE of this moment.
    pub(super) async fn load(env: Env, ledger: Arc<Ledger>) -> Self {
        let file = StateFile::<GlobalFlags>::load(env.clone()).await;
        let unreadable = file.origin() == Origin::FailClosed;
        let bus = Bus::for_commands(env.clone(), "supervisor.halts");
        let mut latching = Self { env, file, ledger, bus };
        if unreadable {
            let mut standing = latching.standing();
            let now = latching.env.clock.now().as_millis();
            standing.values_mut().for_each(|record| record.set_at = now);
            latching.keep(&standing).await;
        }
        latching
    }

    /// What stands, by the file.
    pub(super) fn standing(&self) -> LatchSet {
        self.file.value().halts()
    }

    /// Sets a halt that stands, or will stand, for this reason.
    pub(super) async fn set(&mut self, latch: Latch, set_by: &str, why: &str) -> Verdict {
        let mut order = Order::new(Wish::Set, Instant::now());
        let mut standing = self.standing();
        let set_at = self.env.clock.now().as_millis();
        let record = standing
            .entry(latch)
            .or_insert_with(|| LatchRecord { set_by: set_by.to_owned(), set_at, why: why.to_owned() })
            .clone();
        let ledger = self.ledger.clone();
        let (row, filed) = (row(latch, &record), self.keep(&standing));
        let (filed, stored) = tokio::join!(filed, ledger.execute(&row));
        order.settle(Place::File, filed);
        order.settle(Place::Ledger, reported(latch, stored));
        let verdict = loop {
            let told = self.tell(&LatchSet::from([(latch, record.clone())])).await;
            order.settle(Place::Bus, told);
            let now = Instant::now();
            match order.verdict(now) {
                Verdict::Pending => sleep_until(order.lease_is_over().min(now + BUS_RETRY)).await,
                verdict => break verdict,
            }
        };
        if verdict == Verdict::Acknowledged {
            fact!("halt.set", reason = %latch, set_by, why);
        }
        verdict
    }

    /// Clears a halt everywhere.
    pub(super) async fn clear(&mut self, latch: Latch, cleared_by: &str) -> Verdict {
        let mut order = Order::new(Wish::Cleared, Instant::now());
        let close = Statement::new(CLOSE).text(latch).text(cleared_by).time(self.env.clock.now());
        let closed = self.ledger.execute(&close).await;
        order.settle(Place::Ledger, reported(latch, closed));
        if order.verdict(Instant::now()) == Verdict::Pending {
            let mut standing = self.standing();
            standing.remove(&latch);
            let filed = self.keep(&standing).await;
            order.settle(Place::File, filed);
        }
        if order.verdict(Instant::now()) == Verdict::Pending {
            let mut commands = Pipeline::new();
            commands.cmd("HDEL").arg(streams::HALTS).arg(latch.as_str());
            if latch == Latch::Panic {
                commands.cmd("DEL").arg(streams::TRADING_STATE);
            }
            order.settle(Place::Bus, self.bus.ask_all(&commands).await.is_ok());
        }
        let verdict = order.verdict(Instant::now());
        if verdict == Verdict::Acknowledged {
            fact!("halt.cleared", reason = %latch, cleared_by);
        }
        verdict
    }

    /// Tells the bus everything that stands: it has lost data, or this process does not know whether it has.
    pub(super) async fn tell_all(&mut self) -> bool {
        let standing = self.standing();
        standing.is_empty() || self.tell(&standing).await
    }

    async fn tell(&mut self, halts: &LatchSet) -> bool {
        let mut commands = Pipeline::new();
        for (latch, LatchRecord { set_by, set_at, why }) in halts {
            let text = serde_json::json!({ "set_by": set_by, "set_at": set_at, "why": why }).to_string();
            commands.cmd("HSET").arg(streams::HALTS).arg(latch.as_str()).arg(text);
        }
        self.bus.ask_all(&commands).await.is_ok()
    }

    /// Compares the file with the ledger, which has `patience` to answer, and gives each what it lacks.
    ///
    /// # Errors
    /// The ledger does not answer.
    pub(super) async fn compare_with_ledger(&mut self, patience: Duration) -> Result<(), LedgerError> {
        let rows = timeout(patience, self.ledger.query(&Statement::new(ROWS)))
            .await
            .unwrap_or_else(|_| Err(LedgerError::Unknown("no answer in time".into())))?;
        let rows: Vec<Row> =
            rows.iter().map(read).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
        let known = self.standing();
        let mut standing = known.clone();
        for (latch, record) in &known {
            let id = record.halt_id(*latch);
            match rows.iter().find(|row| row.halt_id == id) {
                Some(Row { is_closed: true, .. }) => {
                    fact!("halt.cleared", reason = %latch, cleared_by = "hand");
                    standing.remove(latch);
                }
                Some(_) => {}
                None => {
                    self.ledger.execute(&row(*latch, record)).await?;
                }
            }
        }
        for Row { latch, record, .. } in rows.into_iter().filter(|row| !row.is_closed) {
            standing.entry(latch).or_insert(record);
        }
        if standing != known {
            self.keep(&standing).await;
        }
        Ok(())
    }

    async fn keep(&mut self, standing: &BTreeMap<Latch, LatchRecord>) -> bool {
        match self.file.save(GlobalFlags::of(standing)).await {
            Ok(()) => true,
            Err(error) => {
                fact!("halt.file_failed", reason = %error);
                false
            }
        }
    }
}

fn reported<T>(latch: Latch, stored: Result<T, LedgerError>) -> bool {
    if let Err(error) = &stored {
        fact!("halt.ledger_failed", reason = %latch, error = %error);
    }
    stored.is_ok()
}

fn row(latch: Latch, record: &LatchRecord) -> Statement {
    let insert = Statement::new(INSERT).text(record.halt_id(latch)).text(latch).text(&record.set_by);
    insert.time(WallTime::from_millis(record.set_at)).text(&record.why)
}

/// A row of a reason that is no halt is nobody's.
fn read(row: &tokio_postgres::Row) -> Result<Option<Row>, LedgerError> {
    let Ok(latch) = column::<&str>(row, "reason")?.parse() else { return Ok(None) };
    let set_at: std::time::SystemTime = column(row, "set_at")?;
    let since_1970 = set_at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let record = LatchRecord {
        set_by: column(row, "set_by")?,
        set_at: i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX),
        why: column(row, "why")?,
    };
    let is_closed = column::<Option<&str>>(row, "cleared_by")?.is_some();
    Ok(Some(Row { halt_id: column(row, "halt_id")?, latch, record, is_closed }))
}
