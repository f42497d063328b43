//! The seam between a service and the world it runs in.
//!
//! A service gets one [`Env`] and reaches everything outside itself through it: sockets, files, the wall clock, random
//! bytes, background tasks, other processes, memory and disk gauges. [`os`] implements the seam on a real machine; a
//! simulator implements it on a simulated one. Nothing here knows which of the two it is.
//!
//! Deliberately absent: monotonic time and timers. Services use `tokio::time`, whose clock a simulator pauses and moves.

mod clock;
mod disk;
mod entropy;
mod fact;
mod net;
pub mod os;
mod process;
mod resource;
mod task;

use std::sync::Arc;

pub use clock::{WallClock, WallTime};
pub use disk::{BoxFile, Disk, File, OpenMode, read_all, write_all_at};
pub use entropy::Entropy;
pub use net::{BoxListener, BoxStream, Listener, Net, Stream};
pub use process::{ProcessError, ProcessState, Processes};
pub use resource::{Memory, Resources};
pub use task::{BoxFuture, Task, Tasks};

#[doc(hidden)]
pub use tracing as __tracing;

/// Everything one process may touch. Cheap to clone; every clone means the same process.
#[derive(Clone)]
pub struct Env {
    /// Stream sockets.
    pub net: Arc<dyn Net>,
    /// Files below the process's data directory.
    pub disk: Arc<dyn Disk>,
    /// The wall clock of the machine, which may be wrong.
    pub clock: Arc<dyn WallClock>,
    /// Random decisions.
    pub entropy: Arc<dyn Entropy>,
    /// Background tasks, which end with the process.
    pub tasks: Arc<dyn Tasks>,
    /// Other processes by role name.
    pub processes: Arc<dyn Processes>,
    /// Gauges of the machine.
    pub resources: Arc<dyn Resources>,
}

impl Env {
    /// Runs `future` in the background until it ends or the process dies. `name` appears in traces and panics.
    pub fn spawn(&self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) -> Task {
        self.tasks.spawn(name, Box::pin(future))
    }
}
