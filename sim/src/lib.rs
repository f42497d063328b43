//! A seeded world for tokio programs.
//!
//! A [`Case`] builds a [`World`] of hosts, injects the faults of a [`Plan`] and says in [`Checks`] what must hold;
//! [`run()`] plays it with a seed and returns an [`Outcome`]: a [`Verdict`], a hash of everything that happened, and the
//! trace. Hosts are programs written on the crate `env`; the simulator knows nothing of what they do.
//!
//! **Architecture invariants.** One run is one thread with one paused tokio runtime, and no global state outlives it.
//! No random stream is shared: see [`draw`]. Time is tokio's, and only moves when nothing can run.

#[cfg(not(tokio_unstable))]
compile_error!(
    "build with `--cfg tokio_unstable`: without it tokio's scheduler cannot be seeded and two runs of one seed differ. \
     `.cargo/config.toml` sets it for builds inside this repository; RUSTFLAGS in the environment replaces that setting, \
     so add `--cfg tokio_unstable` to RUSTFLAGS or unset it."
);

mod case;
mod check;
mod disk;
pub mod draw;
mod driver;
mod host;
mod interpose;
mod kernel;
mod misfit;
mod net;
pub mod plan;
mod process;
mod recorder;
mod run;
mod signal;
mod sweep;
mod task;
pub mod time;
pub mod trace;
mod verdict;
mod world;

pub use case::Case;
pub use check::{Checks, Invariant, View, invariant};
pub use draw::Draw;
pub use kernel::Limits;
pub use misfit::Misfit;
pub use plan::Plan;
pub use recorder::Recording;
pub use run::{Options, Outcome, run, run_twice};
pub use sweep::{Job, sweep};
pub use time::{SimTime, mins, ms, secs};
pub use trace::Event;
pub use verdict::{Verdict, Violation};
pub use world::World;
