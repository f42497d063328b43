//! Processes of the simulated system as one of them sees the others.

use std::sync::Arc;

use async_trait::async_trait;
use env::{
    BoxFuture, Entropy, Memory, ProcessError, ProcessState, Processes, Resources, WallClock, WallTime,
};
use tokio::sync::oneshot;

use crate::{
    host::Host,
    kernel::{Command, Kernel},
};

/// The parts of a host's environment that are small: other processes, clock, entropy and gauges.
pub(crate) struct HostEnv {
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) host: Arc<Host>,
}

impl HostEnv {
    fn find(&self, name: &str) -> Result<&Arc<Host>, ProcessError> {
        self.kernel.host(name).ok_or_else(|| ProcessError::Unknown(name.into()))
    }
}

#[async_trait]
impl Processes for HostEnv {
    async fn start(&self, name: &str) -> Result<(), ProcessError> {
        let host = self.find(name)?;
        if host.runs() {
            return Err(ProcessError::AlreadyRunning(name.into()));
        }
        let (done, started) = oneshot::channel();
        self.kernel.ask(Command::Start { host: host.index, done });
        // The driver answers every command; when it does not, the run is over.
        let _ = started.await;
        Ok(())
    }

    async fn stop(&self, name: &str) -> Result<(), ProcessError> {
        let host = self.find(name)?.clone();
        let Some(mut ended) = host.state().process.as_ref().map(|process| process.stop.subscribe()) else {
            return Ok(());
        };
        self.kernel.ask(Command::Stop { host: host.index });
        // The sender goes with the process.
        while ended.changed().await.is_ok() {}
        Ok(())
    }

    async fn kill(&self, name: &str) -> Result<(), ProcessError> {
        let (done, killed) = oneshot::channel();
        self.kernel.ask(Command::Kill { host: self.find(name)?.index, done });
        let _ = killed.await;
        Ok(())
    }

    fn state(&self, name: &str) -> Result<ProcessState, ProcessError> {
        Ok(if self.find(name)?.runs() { ProcessState::Running } else { ProcessState::Stopped })
    }

    fn stop_requested(&self) -> BoxFuture<()> {
        let stop = self.host.state().process.as_ref().map(|process| process.stop.subscribe());
        Box::pin(async move {
            let asked = match stop {
                Some(mut stop) => stop.wait_for(|asked| *asked).await.is_ok(),
                None => false,
            };
            if !asked {
                std::future::pending::<()>().await;
            }
        })
    }
}

impl WallClock for HostEnv {
    fn now(&self) -> WallTime {
        self.host.wall()
    }
}

impl Entropy for HostEnv {
    fn bits(&self, site: &'static str) -> u64 {
        self.kernel.draws.bits(site, &self.host.name)
    }
}

impl Resources for HostEnv {
    fn memory(&self) -> std::io::Result<Memory> {
        let (memory, pressure) = {
            let state = self.host.state();
            (state.memory(), state.pressures.last().map(|(entry, _)| *entry))
        };
        if let Some(entry) = pressure {
            self.kernel.recorder.bite(entry);
        }
        Ok(memory)
    }
}
