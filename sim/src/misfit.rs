//! Whether a plan fits a world: its hosts are there, and their servers know the faults that are asked of them.

use faults::Unexpected;

use crate::{
    plan::{Entry, Fault, Plan},
    world::World,
};

/// A line of a plan that does not fit the world.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{entry}`: {reason}")]
pub struct Misfit {
    /// The line.
    pub entry: String,
    /// Why it does not.
    pub reason: Reason,
}

/// Why a line does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The world has no such host.
    #[error("no host is called {host:?}; there are {known}")]
    UnknownHost {
        /// The name in the plan.
        host: String,
        /// The names of the world.
        known: String,
    },
    /// The server on that host has no faults of its own.
    #[error("the host {host:?} has no faults of its own; these have: {known}")]
    NoPort {
        /// The name in the plan.
        host: String,
        /// The hosts that do.
        known: String,
    },
    /// The server on that host knows no such fault.
    #[error(transparent)]
    UnknownFault(#[from] Unexpected),
    /// The fault is over at once.
    #[error("this fault is a single act and cannot last")]
    CannotLast,
}

pub(crate) fn fits(plan: &Plan, world: &World) -> Result<(), Misfit> {
    for entry in &plan.entries {
        check(entry, world).map_err(|reason| Misfit { entry: entry.to_string(), reason })?;
    }
    Ok(())
}

fn check(entry: &Entry, world: &World) -> Result<(), Reason> {
    let known: Vec<&str> = world.hosts.iter().map(|(name, _)| &**name).collect();
    if let Some(host) = entry.fault.hosts().into_iter().find(|host| !known.contains(host)) {
        return Err(Reason::UnknownHost { host: host.into(), known: known.join(", ") });
    }
    let Fault::Peer { host, words } = &entry.fault else { return Ok(()) };
    let Some(port) = world.peers.get(host) else {
        let known = world.peers.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        return Err(Reason::NoPort { host: host.clone(), known });
    };
    let lasts = port.check(words)?;
    if entry.lasting.is_some() && !lasts { Err(Reason::CannotLast) } else { Ok(()) }
}
