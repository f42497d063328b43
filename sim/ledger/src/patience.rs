//! How long a statement may take, and what else makes it give up.

use std::{future::pending, sync::Arc, time::Duration};

use tokio::{
    select,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    connection::crash_of_another,
    engine::{Backend, Engine, Wait, administrator},
    error::{Result, SqlError, state},
    settings::Timeouts,
    store::TransactionId,
};

/// The limits of one statement.
pub(crate) struct Patience<'a> {
    engine: &'a Arc<Engine>,
    backend: &'a Backend,
    timeouts: Timeouts,
    /// When the statement must have ended.
    deadline: Option<Instant>,
}

impl<'a> Patience<'a> {
    /// A statement that begins now.
    pub(crate) fn new(engine: &'a Arc<Engine>, backend: &'a Backend, timeouts: Timeouts) -> Self {
        let deadline = timeouts.statement.map(|timeout| Instant::now() + timeout);
        Self { engine, backend, timeouts, deadline }
    }

    /// Waits until what another transaction held may be free. `waiter` is the own transaction, if it can hold anything.
    ///
    /// # Errors
    /// Deadlock, timeouts, cancellation, the end of the session or of the server.
    pub(crate) async fn wait(&self, mut wait: Wait, waiter: Option<TransactionId>) -> Result<()> {
        let since = Instant::now();
        let mut suspicious = waiter.map(|waiter| (waiter, since + self.timeouts.deadlock));
        loop {
            select! {
                biased;
                error = self.interrupted() => return Err(error),
                // A holder that is dropped has ended just as well.
                _ = &mut wait.over => return Ok(()),
                () = reached(self.timeouts.lock.map(|timeout| since + timeout)) => {
                    return Err(SqlError::new(state::LOCK_NOT_AVAILABLE, "canceling statement due to lock timeout"));
                }
                () = reached(suspicious.map(|(_, when)| when)) => {
                    let waiter = suspicious.take().map(|(waiter, _)| waiter);
                    if let Some(error) = waiter.and_then(|waiter| self.engine.deadlock(waiter)) {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Does nothing for a while.
    ///
    /// # Errors
    /// As [`Patience::wait`].
    pub(crate) async fn sleep(&self, duration: Duration) -> Result<()> {
        select! {
            biased;
            error = self.interrupted() => Err(error),
            () = sleep(duration) => Ok(()),
        }
    }

    async fn interrupted(&self) -> Box<SqlError> {
        select! {
            biased;
            () = self.engine.crashed().cancelled() => crash_of_another(),
            () = self.engine.stopping().cancelled() => administrator(),
            error = self.backend.interrupted() => error,
            () = reached(self.deadline) => {
                SqlError::new(state::QUERY_CANCELED, "canceling statement due to statement timeout")
            }
        }
    }
}

/// Resolves at a moment, or never.
pub(crate) async fn reached(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}
