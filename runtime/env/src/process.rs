//! Other processes of the system, by role name.

use std::io;

use async_trait::async_trait;

use crate::BoxFuture;

/// What is known of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessState {
    /// It runs.
    Running,
    /// It does not run: never started, ended by itself, stopped or killed.
    Stopped,
}

/// Why a process could not be managed.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// No process has this role.
    #[error("no process is called {0:?}")]
    Unknown(String),
    /// A second process in one role is never started.
    #[error("{0:?} is running already")]
    AlreadyRunning(String),
    /// The system refused.
    #[error("{name:?}: {source}")]
    Os {
        /// The role name.
        name: String,
        /// The system's reason.
        source: io::Error,
    },
}

/// Starts, stops and watches the processes of the system, and tells this one when it should stop.
#[async_trait]
pub trait Processes: Send + Sync {
    /// Starts a process that does not run.
    ///
    /// # Errors
    /// [`ProcessError::AlreadyRunning`] rather than a second process in one role.
    async fn start(&self, name: &str) -> Result<(), ProcessError>;

    /// Asks a process to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// Unknown name, or the system's refusal. A process that does not run is no error.
    async fn stop(&self, name: &str) -> Result<(), ProcessError>;

    /// Ends a process at once (SIGKILL) and waits until it has.
    ///
    /// # Errors
    /// As [`Processes::stop`].
    async fn kill(&self, name: &str) -> Result<(), ProcessError>;

    /// Whether a process runs.
    ///
    /// # Errors
    /// Unknown name.
    fn state(&self, name: &str) -> Result<ProcessState, ProcessError>;

    /// Resolves when this process has been asked to end (SIGTERM).
    fn stop_requested(&self) -> BoxFuture<()>;

    /// Kills a process if it runs, and starts it.
    ///
    /// # Errors
    /// As [`Processes::kill`] and [`Processes::start`].
    async fn restart(&self, name: &str) -> Result<(), ProcessError> {
        self.kill(name).await?;
        self.start(name).await
    }
}
