//! Where latches are kept: as rows of `halts` in the ledger, and as fields of `system:halts` on the bus.

use env::WallTime;
use redis::Pipeline;
use tokio_postgres::Row;

use crate::{
    clients::ledger::{Ledger, LedgerError, Statement, column, time_column},
    core::{Latch, LatchAct, LatchRecord, LatchSet},
    streams,
};

const OPEN: &str = "SELECT reason, set_by, set_at, why FROM halts WHERE cleared_at IS NULL ORDER BY set_at";

const RECORD: &str = "INSERT INTO halts (halt_id, reason, set_by, set_at, why) VALUES ($1, $2, $3, $4, $5) \
    ON CONFLICT (halt_id) DO NOTHING";

const CLOSE: &str =
    "UPDATE halts SET cleared_by = 'hand', cleared_at = $2 WHERE reason = $1 AND cleared_at IS NULL";

/// The latches that are open on record. A row of a reason that is no latch is nobody's.
///
/// # Errors
/// They are not known.
pub(super) async fn on_record(ledger: &Ledger) -> Result<LatchSet, LedgerError> {
    let rows = ledger.query(&Statement::new(OPEN)).await?;
    let read = rows.iter().map(latch).collect::<Result<Vec<_>, _>>()?;
    Ok(read.into_iter().flatten().collect())
}

fn latch(row: &Row) -> Result<Option<(Latch, LatchRecord)>, LedgerError> {
    let Ok(latch) = column::<&str>(row, "reason")?.parse() else {
        return Ok(None);
    };
    let record = LatchRecord {
        set_by: column(row, "set_by")?,
        set_at: time_column(row, "set_at")?.as_millis(),
        why: column(row, "why")?,
    };
    Ok(Some((latch, record)))
}

/// What an act changes in the ledger, if anything.
pub(super) fn to_record(act: &LatchAct, now: WallTime) -> Option<Statement> {
    match act {
        LatchAct::Record(latch, record) => Some(
            Statement::new(RECORD)
                .text(record.halt_id(*latch))
                .text(latch)
                .text(&record.set_by)
                .time(WallTime::from_millis(record.set_at))
                .text(&record.why),
        ),
        LatchAct::Close(latch) => Some(Statement::new(CLOSE).text(latch).time(now)),
        LatchAct::Reassert(..) => None,
    }
}

/// What acts change on the bus.
pub(super) fn on_bus(acts: &[LatchAct]) -> Pipeline {
    let mut commands = Pipeline::new();
    for act in acts {
        match act {
            LatchAct::Record(..) => {}
            LatchAct::Reassert(latch, record) => {
                put(&mut commands, *latch, record);
                if *latch == Latch::Panic {
                    halt_trading(&mut commands, record);
                }
            }
            // One of the two marks is gone already.
            LatchAct::Close(latch) => {
                commands.cmd("HDEL").arg(streams::HALTS).arg(latch.as_str());
            }
        }
    }
    commands
}

/// Puts a latch on the bus unless it is there.
pub(super) fn put(commands: &mut Pipeline, latch: Latch, record: &LatchRecord) {
    let text = serde_json::json!({ "set_by": record.set_by, "set_at": record.set_at, "why": record.why });
    commands.cmd("HSETNX").arg(streams::HALTS).arg(latch.as_str()).arg(text.to_string());
}

/// Puts back the second mark of a panic.
fn halt_trading(commands: &mut Pipeline, record: &LatchRecord) {
    let halt = commands.cmd("HSET").arg(streams::TRADING_STATE).arg("halted").arg("true");
    halt.arg("reason").arg(&record.why).arg("source").arg(&record.set_by);
    halt.arg("requires_manual_reset").arg("true");
}
