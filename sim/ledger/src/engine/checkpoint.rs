//! When checkpoints are made, beside the log that goes on.
//!
//! The log is switched to a new segment, what is committed is frozen – rows are shared, not copied –, and the file is written
//! while commits go into the new segment. One that fails is given up; the log before it is still there, and the next attempt
//! is made when the log has grown a little more.

use std::{future::pending, io, pin::Pin};

use tokio::sync::oneshot;

use super::{Engine, lock};
use crate::{
    error::{Result, SqlError, state},
    store::{Frozen, Log},
};

/// Who waits for a checkpoint.
pub(super) type Request = oneshot::Sender<bool>;

/// The checkpoint that is being made, and when the next is due.
pub(super) struct Checkpoints {
    /// Bytes of log that make one due.
    bytes: u64,
    /// The size of the log at which the next is due.
    due: u64,
    running: Option<Running>,
}

struct Running {
    work: Pin<Box<dyn Future<Output = (Frozen, io::Result<u64>)> + Send>>,
    requests: Vec<Request>,
}

/// A checkpoint that has been made, or given up.
pub(super) struct Finished {
    frozen: Frozen,
    outcome: io::Result<u64>,
    requests: Vec<Request>,
}

impl Engine {
    /// `CHECKPOINT`: resolves when a checkpoint that was begun after this has been made.
    ///
    /// # Errors
    /// When it could not be made.
    pub(crate) async fn checkpoint(&self) -> Result<()> {
        let (done, wait) = oneshot::channel();
        self.alive()?.checkpoints.push(done);
        self.work.notify_one();
        match wait.await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(SqlError::new(state::INTERNAL_ERROR, "checkpoint request failed")
                .hint("Consult recent messages in the server log for details.")),
        }
    }
}

impl Checkpoints {
    pub(super) fn new(bytes: u64) -> Self {
        Self { bytes, due: bytes, running: None }
    }

    /// Works on the checkpoint that is being made; resolves when it is there or has failed, never when there is none.
    /// Nothing is lost when it is dropped before.
    pub(super) async fn finished(&mut self) -> Finished {
        let Some(running) = &mut self.running else {
            return pending().await;
        };
        let (frozen, outcome) = running.work.as_mut().await;
        let requests = self.running.take().map(|running| running.requests).unwrap_or_default();
        Finished { frozen, outcome, requests }
    }

    /// Removes what a checkpoint has made superfluous, and tells who asked for it.
    pub(super) async fn settle(&mut self, log: &mut Log, finished: Finished) {
        if finished.outcome.is_ok() {
            log.forget_before(&finished.frozen).await;
        }
        self.end(log, finished.outcome, finished.requests);
    }

    /// Begins a checkpoint when one is due or asked for, and none is being made.
    pub(super) async fn begin_if_due(&mut self, engine: &Engine, log: &mut Log) {
        let due = log.size() >= self.due || !lock(&engine.state).checkpoints.is_empty();
        if due && self.running.is_none() {
            self.begin(engine, log).await;
        }
    }

    async fn begin(&mut self, engine: &Engine, log: &mut Log) {
        let segment = match log.switch().await {
            Ok(segment) => segment,
            Err(error) => {
                let requests = std::mem::take(&mut lock(&engine.state).checkpoints);
                return self.end(log, Err(error), requests);
            }
        };
        let mut state = lock(&engine.state);
        // What has not been published will be in the new segment.
        let frozen = Frozen::of(&mut state.tables, segment);
        let requests = std::mem::take(&mut state.checkpoints);
        let disk = log.disk();
        let work = Box::pin(async move {
            let written = frozen.write(&*disk).await;
            (frozen, written)
        });
        self.running = Some(Running { work, requests });
    }

    fn end(&mut self, log: &Log, outcome: io::Result<u64>, requests: Vec<Request>) {
        let made = outcome.is_ok();
        match outcome {
            Ok(bytes) => {
                env::fact!("ledger.checkpointed", bytes);
                self.due = self.bytes;
            }
            Err(error) => {
                env::fact!("ledger.checkpoint_failed", reason = %error);
                self.due = log.size() + self.bytes / 4;
            }
        }
        for request in requests {
            // A client that has gone does not hear of it.
            let _ = request.send(made);
        }
    }

    /// A last checkpoint, so that the next start need not replay anything.
    pub(super) async fn last(&mut self, engine: &Engine, log: &mut Log) {
        self.wait(log).await;
        if log.size() > 0 {
            self.begin(engine, log).await;
            self.wait(log).await;
        }
    }

    async fn wait(&mut self, log: &mut Log) {
        if self.running.is_some() {
            let finished = self.finished().await;
            self.settle(log, finished).await;
        }
    }
}
