//! Real child processes.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command as TokioCommand},
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::{BoxFuture, ProcessError, ProcessState, Processes};

/// How a process is started.
#[derive(Clone, Debug)]
pub struct Command {
    /// The program, by path or by name on the search path.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
}

#[derive(Default)]
struct Children {
    alive: BTreeMap<String, Child>,
    /// Told to end, and not yet gone: no second process may take their role.
    ending: BTreeSet<String>,
}

pub(super) struct OsProcesses {
    commands: BTreeMap<String, Command>,
    children: Mutex<Children>,
    terminated: watch::Receiver<bool>,
}

impl OsProcesses {
    pub(super) fn new(commands: BTreeMap<String, Command>) -> io::Result<Self> {
        let (tell, terminated) = watch::channel(false);
        let mut sigterm = signal(SignalKind::terminate())?;
        let mut sigint = signal(SignalKind::interrupt())?;
        tokio::spawn(async move {
            tokio::select! { biased; _ = sigterm.recv() => {}, _ = sigint.recv() => {} }
            tell.send_replace(true);
            // Keeps the sender alive: receivers tell a closed channel from a request.
            std::future::pending::<()>().await;
        });
        Ok(Self { commands, children: Mutex::default(), terminated })
    }

    fn children(&self) -> MutexGuard<'_, Children> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn command(&self, name: &str) -> Result<&Command, ProcessError> {
        self.commands.get(name).ok_or_else(|| ProcessError::Unknown(name.into()))
    }

    async fn end(&self, name: &str, with: Signal) -> Result<(), ProcessError> {
        self.command(name)?;
        let child = {
            let mut children = self.children();
            let child = children.alive.remove(name);
            if child.is_some() {
                children.ending.insert(name.into());
            }
            child
        };
        let Some(mut child) = child else { return Ok(()) };
        let ended = signal_and_wait(&mut child, with).await;
        self.children().ending.remove(name);
        ended.map_err(|source| ProcessError::Os { name: name.into(), source })
    }
}

async fn signal_and_wait(child: &mut Child, with: Signal) -> io::Result<()> {
    // A child that has been waited for has no pid any more, and needs no signal.
    if let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
        kill_process(pid, with)?;
    }
    child.wait().await.map(|_| ())
}

#[async_trait]
impl Processes for OsProcesses {
    async fn start(&self, name: &str) -> Result<(), ProcessError> {
        if self.state(name)? == ProcessState::Running {
            return Err(ProcessError::AlreadyRunning(name.into()));
        }
        let Command { program, args } = self.command(name)?;
        let child = TokioCommand::new(program)
            .args(args)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| ProcessError::Os { name: name.into(), source })?;
        self.children().alive.insert(name.into(), child);
        Ok(())
    }

    async fn stop(&self, name: &str) -> Result<(), ProcessError> {
        self.end(name, Signal::TERM).await
    }

    async fn kill(&self, name: &str) -> Result<(), ProcessError> {
        self.end(name, Signal::KILL).await
    }

    fn state(&self, name: &str) -> Result<ProcessState, ProcessError> {
        self.command(name)?;
        let mut children = self.children();
        let alive = matches!(children.alive.get_mut(name).map(Child::try_wait), Some(Ok(None)));
        let running = alive || children.ending.contains(name);
        Ok(if running { ProcessState::Running } else { ProcessState::Stopped })
    }

    fn stop_requested(&self) -> BoxFuture<()> {
        let mut terminated = self.terminated.clone();
        Box::pin(async move {
            // The sender lives as long as the runtime; without it nobody can ask any more.
            if terminated.wait_for(|asked| *asked).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}
