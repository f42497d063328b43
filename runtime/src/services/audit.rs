//! The audit trail: what operators and guards did, in the ledger, each row with the hash of the one before.
//!
//! A row that was changed, removed or put in later breaks the chain. Rows are stored in the background, in order, and for as
//! long as it takes: what is done in an emergency does not wait for the ledger. Deliberately absent: who may read it.

use env::{Env, WallTime, fact};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::clients::{
    backoff::Backoff,
    ledger::{Ledger, LedgerError, Statement, column},
};

/// How many rows may wait for the ledger: an hour of a request each four seconds. What comes on top is only reported.
const WAITING: usize = 1_000;

const LAST: &str = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1";
const HASH: &str = "SELECT hash FROM audit WHERE seq = $1";
const INSERT: &str =
    "INSERT INTO audit (seq, at, actor, action, detail, prev_hash, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// What stands for the hash before the first row.
const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A deed to be put on record.
struct Deed {
    at: WallTime,
    actor: String,
    action: &'static str,
    detail: String,
}

/// The trail's inlet. Cheap to clone.
#[derive(Clone)]
pub(super) struct Audit {
    env: Env,
    deeds: mpsc::Sender<Deed>,
}

impl Audit {
    /// Starts to keep the trail.
    pub(super) fn open(env: &Env, link: &'static str) -> Self {
        let (deeds, waiting) = mpsc::channel(WAITING);
        let ledger = Ledger::new(env.clone(), link);
        env.spawn("audit.writer", write(env.clone(), ledger, waiting));
        Self { env: env.clone(), deeds }
    }

    /// Puts on record that `actor` did, or tried, something.
    pub(super) fn record(&self, actor: &str, action: &'static str, detail: impl Into<String>) {
        let detail = detail.into();
        fact!("audit.recorded", actor, action, detail);
        let deed = Deed { at: self.env.clock.now(), actor: actor.to_owned(), action, detail };
        if self.deeds.try_send(deed).is_err() {
            fact!("audit.overflowed", action);
        }
    }
}

async fn write(env: Env, ledger: Ledger, mut deeds: mpsc::Receiver<Deed>) {
    let mut backoff = Backoff::reconnect("audit.retry");
    while let Some(deed) = deeds.recv().await {
        // The row of an attempt whose outcome is unknown.
        let mut perhaps = None;
        while let Err(error) = append(&ledger, &deed, &mut perhaps).await {
            env::detail!("audit.retried", reason = %error);
            backoff.wait(&env).await;
        }
        backoff.reset();
    }
}

/// Stores a deed as the last row, unless an earlier attempt has.
async fn append(
    ledger: &Ledger,
    deed: &Deed,
    perhaps: &mut Option<(i64, String)>,
) -> Result<(), LedgerError> {
    if let Some((seq, hash)) = perhaps {
        let rows = ledger.query(&Statement::new(HASH).int(*seq)).await?;
        let stored: Option<String> = rows.first().map(|row| column(row, "hash")).transpose()?;
        if stored.as_ref() == Some(hash) {
            return Ok(());
        }
    }
    let rows = ledger.query(&Statement::new(LAST)).await?;
    let (seq, before) = match rows.first() {
        Some(row) => (column::<i64>(row, "seq")? + 1, column(row, "hash")?),
        None => (1, GENESIS.to_owned()),
    };
    let hash = chained(&before, seq, deed);
    *perhaps = Some((seq, hash.clone()));
    let row = Statement::new(INSERT).int(seq).time(deed.at).text(&deed.actor).text(deed.action);
    ledger.execute(&row.text(&deed.detail).text(before).text(hash)).await.map(drop)
}

/// The hash of a row: SHA-256 (hex) of the hash before, the number and the fields, each on a line of its own. A line break
/// within a field is written `\n`, so that no two rows have one text.
fn chained(before: &str, seq: i64, deed: &Deed) -> String {
    let plain = |text: &str| text.replace('\\', "\\\\").replace('\n', "\\n");
    let text = format!(
        "{before}\n{seq}\n{}\n{}\n{}\n{}",
        deed.at.as_micros(),
        plain(&deed.actor),
        deed.action,
        plain(&deed.detail)
    );
    hex::encode(Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deed(actor: &str, detail: &str) -> Deed {
        Deed {
            at: WallTime::from_millis(7),
            actor: actor.into(),
            action: "kill_switch",
            detail: detail.into(),
        }
    }

    #[test]
    fn every_part_of_a_row_and_the_row_before_decide_its_hash() {
        let hash = chained(GENESIS, 1, &deed("ops", "why"));
        assert_eq!(hash.len(), 64);
        assert_eq!(hash, chained(GENESIS, 1, &deed("ops", "why")));
        for other in [
            chained(&hash, 1, &deed("ops", "why")),
            chained(GENESIS, 2, &deed("ops", "why")),
            chained(GENESIS, 1, &deed("op", "why")),
            chained(GENESIS, 1, &deed("ops", "")),
            chained(GENESIS, 1, &deed("ops\nkill_switch", "why")),
        ] {
            assert_ne!(hash, other);
        }
    }
}
