//! Where faults strike.

use std::time::Duration;

use super::Engine;
use crate::{
    error::{Result, SqlError, state},
    fault::Fault,
};

impl Engine {
    /// How much longer a statement takes than it should.
    pub(crate) fn slowness(&self) -> Option<Duration> {
        self.faults.strike(|fault| match fault {
            Fault::Slow { least, most } => {
                let range = most.saturating_sub(*least).as_millis() as u64;
                let more = self.entropy.below("ledger.slow", range + 1);
                Some(*least + Duration::from_millis(more))
            }
            _ => None,
        })
    }

    /// Before a statement that changes or locks rows.
    pub(crate) fn strike_statement(&self) -> Result<()> {
        self.serialization_failure(false).map_or(Ok(()), Err)
    }

    /// Before a transaction that has changed something commits. After an error it is lost.
    pub(super) fn strike_before_commit(&self) -> Result<()> {
        if let Some(error) = self.serialization_failure(true) {
            return Err(error);
        }
        let cut = self.faults.strike(|fault| match fault {
            Fault::CutBeforeCommit { left } => Fault::is_due(left).then(SqlError::cut),
            _ => None,
        });
        cut.map_or(Ok(()), Err)
    }

    /// After a transaction that has changed something has become durable.
    pub(crate) fn strike_after_commit(&self) -> Result<()> {
        let cut = self.faults.strike(|fault| match fault {
            Fault::CutAfterCommit { left } => Fault::is_due(left).then(SqlError::cut),
            _ => None,
        });
        cut.map_or(Ok(()), Err)
    }

    fn serialization_failure(&self, commit: bool) -> Option<Box<SqlError>> {
        self.faults.strike(|fault| {
            let chance = || self.entropy.below("ledger.serialization_failure", 100);
            fault.fails_to_serialize(commit, chance).then(|| {
                SqlError::new(
                    state::SERIALIZATION_FAILURE,
                    "could not serialize access due to concurrent update",
                )
            })
        })
    }
}
