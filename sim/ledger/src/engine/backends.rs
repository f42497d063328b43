//! The sessions of the server, and what one can ask of another: to give up its statement, to end.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::watch;

use crate::{
    connection::Key,
    error::{Severity, SqlError, state},
};

/// Every session, by the number of its process.
#[derive(Default)]
pub(crate) struct Backends(Mutex<BTreeMap<u32, Arc<Backend>>>);

/// What others have asked of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Nothing,
    /// To give up the statement that it is running.
    Cancel,
    /// To end.
    Terminate,
}

/// A session as others see it.
pub(crate) struct Backend {
    pub(crate) key: Key,
    asked: watch::Sender<Asked>,
    running: AtomicBool,
}

impl Backends {
    fn all(&self) -> MutexGuard<'_, BTreeMap<u32, Arc<Backend>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a session that has begun.
    pub(crate) fn enter(&self, key: Key) -> Arc<Backend> {
        let asked = watch::Sender::new(Asked::Nothing);
        let backend = Arc::new(Backend { key, asked, running: AtomicBool::new(false) });
        self.all().insert(key.process, backend.clone());
        backend
    }

    /// Forgets a session that has ended.
    pub(crate) fn leave(&self, process: u32) {
        self.all().remove(&process);
    }

    /// Has the statement of a session given up, if it runs one; whether there is such a session. A `secret` must be right.
    pub(crate) fn cancel(&self, process: u32, secret: Option<u32>) -> bool {
        let backend = self.all().get(&process).cloned();
        let Some(backend) = backend.filter(|it| secret.is_none_or(|secret| secret == it.key.secret)) else {
            return false;
        };
        if backend.running.load(Ordering::Relaxed) {
            backend.ask(Asked::Cancel);
        }
        true
    }

    /// Has a session ended; whether there is one.
    pub(crate) fn terminate(&self, process: u32) -> bool {
        let backend = self.all().get(&process).cloned();
        backend.inspect(|backend| backend.ask(Asked::Terminate)).is_some()
    }
}

impl Backend {
    fn ask(&self, what: Asked) {
        self.asked.send_if_modified(|asked| {
            let news = *asked == Asked::Nothing || what == Asked::Terminate;
            if news {
                *asked = what;
            }
            news
        });
    }

    /// A statement begins or has ended. A wish to cancel concerns only the statement that runs when it is uttered.
    pub(crate) fn runs(&self, running: bool) {
        self.running.store(running, Ordering::Relaxed);
        if *self.asked.borrow() == Asked::Cancel {
            self.asked.send_replace(Asked::Nothing);
        }
    }

    /// Resolves with what the session has to say when it is asked to give up its statement, or to end.
    pub(crate) async fn interrupted(&self) -> Box<SqlError> {
        let mut asked = self.asked.subscribe();
        match asked.wait_for(|asked| *asked != Asked::Nothing).await.map(|asked| *asked) {
            Ok(Asked::Cancel) => {
                SqlError::new(state::QUERY_CANCELED, "canceling statement due to user request")
            }
            _ => administrator(),
        }
    }

    /// Resolves when the session is asked to end.
    pub(crate) async fn terminated(&self) -> Box<SqlError> {
        let mut asked = self.asked.subscribe();
        // The sender is in `self`, so that this ends with the session at the latest.
        let _ = asked.wait_for(|asked| *asked == Asked::Terminate).await;
        administrator()
    }
}

/// What a session is told that an operator ends.
pub(crate) fn administrator() -> Box<SqlError> {
    SqlError::new(state::ADMIN_SHUTDOWN, "terminating connection due to administrator command")
        .severity(Severity::Fatal)
}
