//! `tradewind serve`: one of the peers on real sockets and a real disk, for any client of the protocol it speaks.
//!
//! It runs on one thread, as in a simulation: a peer does one thing at a time under one lock, and files are written on
//! tokio's blocking threads anyway.
//!
//! Deliberately absent: addresses other than 127.0.0.1. The peers are made to be tested with, not to hold secrets.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use broker::{Exchange, SymbolConfig, Tape, tape::parse_csv};
use env::{Env, os};
use tempfile::TempDir;

use crate::{
    args::{Peer, ServeArgs},
    say,
};

const LOOPBACK: &str = "127.0.0.1";

/// The venue's own port is 443, and 80 without encryption; both are for root only.
const BROKER_PORT: u16 = 8080;

/// Serves until SIGINT or SIGTERM.
pub fn serve(peer: &Peer) -> Result<()> {
    match peer {
        Peer::Bus { serve: args, password } => {
            let default = bus::Config::default();
            let config = bus::Config {
                port: args.port.unwrap_or(default.port),
                password: password.clone(),
                // Whoever names a directory wants to find the data again.
                append_only: args.data.is_some(),
                ..default
            };
            run("bus", args, config.port, async |env| {
                let server = bus::Server::bind(env, config).await?;
                Ok((server.port(), async move { Ok(server.run().await?) }))
            })
        }
        Peer::Ledger(args) => {
            let default = ledger::Config::default();
            let config = ledger::Config { port: args.port.unwrap_or(default.port), ..default };
            run("ledger", args, config.port, async |env| {
                let server = ledger::Server::bind(env, config).await?;
                Ok((server.port()?, async move { Ok(server.run().await?) }))
            })
        }
        Peer::Broker { serve: args, tape } => {
            let mut config =
                broker::Config { port: args.port.unwrap_or(BROKER_PORT), ..broker::Config::default() };
            if let Some(path) = tape {
                config.symbols = vec![SymbolConfig { tape: read_tape(path)?, ..SymbolConfig::default() }];
            }
            run("broker", args, config.port, async |env| {
                let stop = env.processes.stop_requested();
                let server = broker::Server::bind(env, Exchange::new(config)).await?;
                // An exchange has nothing to put in order.
                Ok((server.local_addr()?.port(), async move {
                    tokio::select! {
                        biased;
                        () = stop => Ok(()),
                        never = server.run() => match never {},
                    }
                }))
            })
        }
    }
}

/// Binds with `bind`, says where the peer listens, and runs it to its end, which comes when this process is asked to stop.
fn run<S>(
    name: &str,
    args: &ServeArgs,
    port: u16,
    bind: impl AsyncFnOnce(Env) -> Result<(u16, S)>,
) -> Result<()>
where
    S: Future<Output = Result<()>>,
{
    let data = Data::open(args.data.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let config = os::Config {
            data_dir: data.path().to_owned(),
            listen_ip: LOOPBACK.into(),
            ..os::Config::default()
        };
        let env = os::env(config).context("cannot watch for signals")?;
        let (port, server) =
            bind(env).await.with_context(|| format!("cannot serve the {name} on {LOOPBACK}:{port}"))?;
        say!("{name} listening on {LOOPBACK}:{port}, data in {}", data.path().display());
        server.await.with_context(|| format!("the {name} cannot go on"))
    })
}

/// Where the peer's files are.
enum Data {
    Kept(PathBuf),
    Removed(TempDir),
}

impl Data {
    /// Makes sure that there is a directory and that files can be made in it.
    fn open(wanted: Option<&Path>) -> Result<Self> {
        let Some(path) = wanted else {
            let directory = tempfile::Builder::new().prefix("tradewind-").tempdir();
            return Ok(Self::Removed(directory.context("cannot make a temporary directory")?));
        };
        let writable = || -> io::Result<()> {
            fs::create_dir_all(path)?;
            tempfile::tempfile_in(path).map(drop)
        };
        writable().with_context(|| format!("cannot write in {}", path.display()))?;
        Ok(Self::Kept(path.to_owned()))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Removed(directory) => directory.path(),
        }
    }
}

/// Reads a recording; an error names the file, the line and what was expected.
fn read_tape(path: &Path) -> Result<Tape> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).with_context(|| name.clone())?;
    Ok(Tape::Trades(Arc::new(parse_csv(&name, &text)?)))
}
