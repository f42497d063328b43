//! The trading system: production code that knows nothing of simulation.
//!
//! [`core`] decides and has no effects, [`clients`] speak the protocols of the peers, [`services`] are the processes that
//! join the two. Every effect goes through `env::Env`. Streams between the services are described in [`streams`], their files in
//! [`state`], what a process tells of itself in [`status`].
//!
//! Deliberately absent: any knowledge of where it runs.

pub mod clients;
pub mod config;
pub mod core;
pub mod services;
pub mod state;
pub mod status;
pub mod streams;
