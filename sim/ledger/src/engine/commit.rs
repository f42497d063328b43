//! From the commit in memory to the record on the disk.

use std::pin::pin;

use tokio::{select, sync::oneshot};

use super::{
    Engine, State,
    checkpoint::{Checkpoints, Finished},
    lock,
    open::Open,
};
use crate::{
    connection::crash_of_another,
    error::{Result, SqlError},
    store::{Failure, Log, Mark},
};

/// A transaction on its way to the disk. It holds its locks until it is there.
pub(super) struct Pending {
    pub(super) open: Open,
    /// Taken when the batch is written.
    redo: Vec<u8>,
    done: oneshot::Sender<Result<()>>,
}

/// What the log's keeper wakes up for.
enum Event {
    Checkpoint(Finished),
    Emptied,
    Work,
}

impl Engine {
    /// Lines a transaction up for the log.
    pub(super) fn enqueue(&self, state: &mut State, open: Open, redo: Vec<u8>) -> Ticket {
        let (done, wait) = oneshot::channel();
        state.pending.push_back(Pending { open, redo, done });
        self.work.notify_one();
        Ticket(Some(wait))
    }

    /// Writes what is committed into the log until the server is `emptied` of its sessions; makes a checkpoint whenever one
    /// is asked for or the log has grown by `checkpoint_bytes`, and a last one.
    ///
    /// # Errors
    /// When the log fails for good.
    pub(crate) async fn write_log(
        &self,
        log: &mut Log,
        checkpoint_bytes: u64,
        emptied: impl Future<Output = ()>,
    ) -> Result<()> {
        let mut emptied = pin!(emptied);
        let mut checkpoints = Checkpoints::new(checkpoint_bytes);
        loop {
            let event = select! {
                biased;
                () = self.work.notified() => Event::Work,
                finished = checkpoints.finished() => Event::Checkpoint(finished),
                () = &mut emptied => Event::Emptied,
            };
            self.write_pending(log).await?;
            match event {
                Event::Work => {}
                Event::Checkpoint(finished) => checkpoints.settle(log, finished).await,
                Event::Emptied => {
                    checkpoints.last(self, log).await;
                    return Ok(());
                }
            }
            checkpoints.begin_if_due(self, log).await;
        }
    }

    async fn write_pending(&self, log: &mut Log) -> Result<()> {
        loop {
            let batch: Vec<Vec<u8>> = lock(&self.state)
                .pending
                .iter_mut()
                .map(|pending| std::mem::take(&mut pending.redo))
                .collect();
            if batch.is_empty() {
                return Ok(());
            }
            match log.append(&batch).await {
                Ok(()) => self.complete(&batch),
                Err(Failure::Refused { kept, error }) => {
                    self.complete(&batch[..kept]);
                    self.refuse(batch.len() - kept, &error);
                }
                Err(Failure::Panic { error }) => {
                    self.crash(&error);
                    return Err(error);
                }
            }
        }
    }

    fn complete(&self, batch: &[Vec<u8>]) {
        let mut state = lock(&self.state);
        for redo in batch {
            let Some(Pending { open, done, .. }) = state.pending.pop_front() else {
                break;
            };
            state.tables.publish(&open.layer);
            state.farewell(&open);
            env::detail!("ledger.committed", bytes = redo.len() as u64);
            // A client that has gone does not hear of it.
            let _ = done.send(Ok(()));
        }
    }

    /// Undoes the oldest `count` transactions. Those behind them rest on nothing of theirs and may have more luck.
    fn refuse(&self, count: usize, error: &SqlError) {
        let mut state = lock(&self.state);
        env::fact!("ledger.write_refused", sqlstate = error.state, reason = %error.message);
        for _ in 0..count {
            let Some(Pending { mut open, done, .. }) = state.pending.pop_front() else {
                break;
            };
            state.tables.undo(&mut open.layer, Mark::BEGINNING);
            state.farewell(&open);
            let _ = done.send(Err(Box::new(error.clone())));
        }
    }

    /// Ends everything: nobody may see the tables any more, for what is durable in them is unknown.
    fn crash(&self, error: &SqlError) {
        let mut state = lock(&self.state);
        self.crashed.cancel();
        state.checkpoints.clear();
        for Pending { done, .. } in std::mem::take(&mut state.pending) {
            let _ = done.send(Err(Box::new(error.clone())));
        }
    }
}

/// A commit on its way to the disk; none if there was nothing to write.
pub(crate) struct Ticket(Option<oneshot::Receiver<Result<()>>>);

impl Ticket {
    pub(super) fn nothing() -> Self {
        Self(None)
    }

    /// Waits until the commit is durable; whether there was anything to write.
    ///
    /// # Errors
    /// 53100 and 58030: it has been undone. With severity PANIC: whether it is durable is unknown.
    pub(crate) async fn durable(self) -> Result<bool> {
        match self.0 {
            Some(wait) => wait.await.unwrap_or_else(|_| Err(crash_of_another())).map(|()| true),
            None => Ok(false),
        }
    }
}
