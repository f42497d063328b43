//! How a server is set up. Clients see it through CONFIG GET and may change some of it with CONFIG SET.

use std::{fmt, sync::Arc, time::Duration};

use faults::Board;

use crate::{clients::OutputLimit, fault::Fault};

/// How to serve.
#[derive(Clone, Debug)]
pub struct Config {
    /// The port to listen on; 0 lets the system choose.
    pub port: u16,
    /// What AUTH must say before anything else is answered. Redis: `requirepass`.
    pub password: Option<String>,
    /// More clients than this are told so and sent away. Redis: `maxclients`.
    pub max_clients: usize,
    /// A client that neither subscribes nor waits for a key is sent away when it has been silent for so long, in whole
    /// seconds; zero is never. Redis: `timeout`.
    pub idle_timeout: Duration,
    /// How many messages may wait for a subscriber. Redis: `client-output-buffer-limit pubsub`.
    pub pubsub_limit: OutputLimit,
    /// The largest argument and the largest string, in bytes. Redis: `proto-max-bulk-len`, 512 MiB.
    pub max_bulk: usize,
    /// The largest request, in bytes on the wire. Redis: `client-query-buffer-limit`, 1 GiB.
    pub max_request: usize,
    /// Whether writes are recorded in the file `appendonly.aof`; without it all data is lost with the process.
    pub append_only: bool,
    /// When what was recorded is made durable.
    pub append_fsync: AppendFsync,
    /// The file is rewritten when it has grown by so many percent since it was last rewritten; zero is never. Redis:
    /// `auto-aof-rewrite-percentage`.
    pub rewrite_percentage: u64,
    /// A smaller file, in bytes, is not rewritten by itself. Redis: `auto-aof-rewrite-min-size`.
    pub rewrite_min_size: u64,
    /// Where an injector posts the server's own faults.
    pub faults: Arc<Board<Fault>>,
}

impl Default for Config {
    /// Redis's defaults, with limits that suit a system of small messages.
    fn default() -> Self {
        Self {
            port: 6379,
            password: None,
            max_clients: 10_000,
            idle_timeout: Duration::ZERO,
            pubsub_limit: OutputLimit::PUBSUB,
            max_bulk: 16 << 20,
            max_request: 64 << 20,
            append_only: false,
            append_fsync: AppendFsync::EverySec,
            rewrite_percentage: 100,
            rewrite_min_size: 64 << 20,
            faults: Board::new(),
        }
    }
}

/// When writes are made durable. Redis: `appendfsync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendFsync {
    /// Before they are answered.
    Always,
    /// At most a second after they are answered.
    EverySec,
    /// When the system likes.
    No,
}

impl AppendFsync {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::EverySec, Self::Always, Self::No];
}

impl fmt::Display for AppendFsync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "always",
            Self::EverySec => "everysec",
            Self::No => "no",
        })
    }
}
