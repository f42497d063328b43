//! The fault vocabulary, and how each word is written.

use std::{fmt, time::Duration};

use faults::Span;

/// Something that can be broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Between hosts.
    Net(NetFault),
    /// A host's disk.
    Disk {
        /// Whose disk.
        host: String,
        /// What happens to it.
        fault: DiskFault,
    },
    /// A host's process or machine.
    Host {
        /// Which host.
        host: String,
        /// What happens to it.
        fault: HostFault,
    },
    /// A host's wall clock.
    Clock {
        /// Whose clock.
        host: String,
        /// What happens to it.
        fault: ClockFault,
    },
    /// Something that only the server on a host can do, in that server's own words; see `World::peer`.
    Peer {
        /// Which host.
        host: String,
        /// What happens, as the server writes it. No word of it is `for`.
        words: String,
    },
}

/// The traffic between two hosts; `*` is any host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// One end; the sender when the link is one-way.
    pub from: String,
    /// The other end.
    pub to: String,
    /// Both directions (`a|b`) or only `from` → `to` (`a>b`).
    pub both: bool,
}

impl Link {
    /// Both directions between two hosts.
    pub fn between(a: &str, b: &str) -> Self {
        Self { from: a.into(), to: b.into(), both: true }
    }

    /// Only what `from` sends to `to`.
    pub fn one_way(from: &str, to: &str) -> Self {
        Self { from: from.into(), to: to.into(), both: false }
    }

    /// Whether a packet from `src` to `dst` travels this link.
    pub fn carries(&self, src: &str, dst: &str) -> bool {
        let is = |pattern: &str, host: &str| pattern == "*" || pattern == host;
        (is(&self.from, src) && is(&self.to, dst)) || (self.both && is(&self.from, dst) && is(&self.to, src))
    }
}

/// What can happen between hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetFault {
    /// Nothing gets through; TCP retransmits and delivers after the end.
    Partition(Link),
    /// Every packet takes this much longer, drawn per packet.
    Latency {
        /// Which traffic.
        link: Link,
        /// The least addition.
        least: Duration,
        /// The bound of the addition.
        most: Duration,
    },
    /// This share of packets is lost and costs a retransmission timeout.
    Loss {
        /// Which traffic.
        link: Link,
        /// 1 to 100.
        percent: u64,
    },
    /// Packets queue behind one another at this rate.
    Bandwidth {
        /// Which traffic.
        link: Link,
        /// Bytes per second.
        rate: u64,
    },
    /// Packets are kept and delivered in one burst at the end.
    Hold(Link),
    /// Every connection is reset at both ends.
    Reset(Link),
    /// The `from` end of every connection forgets it; the other learns of it when it next sends.
    HalfOpen(Link),
    /// New connections to the host are refused.
    Refuse(String),
    /// Whatever is sent to or by the host vanishes, as behind a dead switch.
    BlackHole(String),
    /// New connections over the link get no answer; existing ones work.
    ConnectTimeout(Link),
    /// The host's name does not resolve.
    Dns(String),
}

/// What can happen to a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// After this many more bytes a write is cut short, then fails with ENOSPC; the space comes back at the end.
    FullAfter {
        /// How many bytes still fit.
        bytes: u64,
    },
    /// The next fsync fails with EIO and the kernel drops the dirty pages; the one after succeeds.
    FsyncFails,
    /// Writes of more than one byte write only a part.
    ShortWrites,
    /// Reads of more than one byte read only a part.
    ShortReads,
    /// Changes fail with EROFS.
    ReadOnly,
    /// What was not synced is gone from the page cache, too.
    LoseUnsynced,
    /// Every operation takes this long.
    Slow {
        /// The least duration.
        least: Duration,
        /// The bound of the duration.
        most: Duration,
    },
    /// Bits flip in a file, in the page cache and on the platter.
    Corrupt {
        /// Which file.
        path: String,
        /// From which byte.
        offset: u64,
        /// How many bytes.
        len: u64,
    },
    /// A file, or a directory with all that is in it, is gone.
    Vanish {
        /// Which one.
        path: String,
    },
}

/// What survives a power loss of the bytes that were written but not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    /// Nothing.
    None,
    /// Whole blocks, drawn one by one: a torn write.
    Torn,
    /// Everything.
    All,
}

impl Survival {
    /// Every variant.
    pub const ALL: [Self; 3] = [Self::None, Self::Torn, Self::All];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Torn => "torn",
            Self::All => "all",
        }
    }
}

/// What can happen to a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostFault {
    /// kill -9: the OS closes the sockets, the page cache survives. With an end, the process is started again then.
    Kill,
    /// kill -9 and at once a new start.
    Restart,
    /// SIGTERM: the process may end in order. With an end, it is started again then.
    Stop,
    /// Silence; unsynced data survives as told, or as drawn per file. With an end, the machine boots then.
    PowerLoss(Option<Survival>),
    /// The process stands still (a long GC pause, SIGSTOP) while clocks run on.
    Pause,
    /// Every step of the process takes this much longer.
    Slow {
        /// The least addition.
        least: Duration,
        /// The bound of the addition.
        most: Duration,
    },
    /// The memory gauge shows this use.
    Memory {
        /// Of the limit.
        percent: u64,
    },
}

/// What can happen to a wall clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClockFault {
    /// It jumps; with an end it jumps back then (a skew), without one it stays.
    Step {
        /// By how many milliseconds.
        millis: i64,
    },
    /// It runs fast or slow.
    Drift {
        /// By how many parts per million.
        ppm: i64,
    },
}

impl Fault {
    /// Whether the fault is a state that lasts, rather than over at once.
    pub fn lasts(&self) -> bool {
        match self {
            Self::Net(fault) => !matches!(fault, NetFault::Reset(_) | NetFault::HalfOpen(_)),
            Self::Disk { fault, .. } => !matches!(
                fault,
                DiskFault::Corrupt { .. } | DiskFault::Vanish { .. } | DiskFault::LoseUnsynced
            ),
            Self::Host { fault, .. } => !matches!(fault, HostFault::Restart),
            // Which acts a server knows is checked when the plan meets its world.
            Self::Clock { .. } | Self::Peer { .. } => true,
        }
    }

    /// The fault's name: its first two words, e.g. `disk full`.
    pub fn name(&self) -> String {
        let text = self.to_string();
        text.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    /// The hosts that the fault names; `*` is left out.
    pub fn hosts(&self) -> Vec<&str> {
        let named = match self {
            Self::Net(fault) => match fault {
                NetFault::Partition(link)
                | NetFault::Latency { link, .. }
                | NetFault::Loss { link, .. }
                | NetFault::Bandwidth { link, .. }
                | NetFault::Hold(link)
                | NetFault::Reset(link)
                | NetFault::HalfOpen(link)
                | NetFault::ConnectTimeout(link) => vec![link.from.as_str(), link.to.as_str()],
                NetFault::Refuse(host) | NetFault::BlackHole(host) | NetFault::Dns(host) => {
                    vec![host.as_str()]
                }
            },
            Self::Disk { host, .. }
            | Self::Host { host, .. }
            | Self::Clock { host, .. }
            | Self::Peer { host, .. } => vec![host.as_str()],
        };
        named.into_iter().filter(|host| *host != "*").collect()
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.from, if self.both { '|' } else { '>' }, self.to)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(fault) => write!(f, "net {fault}"),
            Self::Disk { host, fault } => match fault {
                DiskFault::FullAfter { bytes } => write!(f, "disk full {host} after {bytes}B"),
                DiskFault::FsyncFails => write!(f, "disk fsync-fails {host}"),
                DiskFault::ShortWrites => write!(f, "disk short-writes {host}"),
                DiskFault::ShortReads => write!(f, "disk short-reads {host}"),
                DiskFault::ReadOnly => write!(f, "disk read-only {host}"),
                DiskFault::LoseUnsynced => write!(f, "disk lose-unsynced {host}"),
                DiskFault::Slow { least, most } => {
                    write!(f, "disk slow {host} {}..{}", Span(*least), Span(*most))
                }
                DiskFault::Corrupt { path, offset, len } => {
                    write!(f, "disk corrupt {host} {path}@{offset}+{len}")
                }
                DiskFault::Vanish { path } => write!(f, "disk vanish {host} {path}"),
            },
            Self::Host { host, fault } => match fault {
                HostFault::Kill => write!(f, "host kill {host}"),
                HostFault::Restart => write!(f, "host restart {host}"),
                HostFault::Stop => write!(f, "host stop {host}"),
                HostFault::PowerLoss(None) => write!(f, "host power-loss {host}"),
                HostFault::PowerLoss(Some(survival)) => {
                    write!(f, "host power-loss {host} keeping {}", survival.word())
                }
                HostFault::Pause => write!(f, "host pause {host}"),
                HostFault::Slow { least, most } => {
                    write!(f, "host slow {host} {}..{}", Span(*least), Span(*most))
                }
                HostFault::Memory { percent } => write!(f, "host memory {host} {percent}%"),
            },
            Self::Clock { host, fault } => match fault {
                ClockFault::Step { millis } => write!(f, "clock step {host} {millis:+}ms"),
                ClockFault::Drift { ppm } => write!(f, "clock drift {host} {ppm:+}ppm"),
            },
            Self::Peer { host, words } => write!(f, "peer {host} {words}"),
        }
    }
}

impl fmt::Display for NetFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partition(link) => write!(f, "partition {link}"),
            Self::Latency { link, least, most } => {
                write!(f, "latency {link} {}..{}", Span(*least), Span(*most))
            }
            Self::Loss { link, percent } => write!(f, "loss {link} {percent}%"),
            Self::Bandwidth { link, rate } => write!(f, "bandwidth {link} {rate}B/s"),
            Self::Hold(link) => write!(f, "hold {link}"),
            Self::Reset(link) => write!(f, "reset {link}"),
            Self::HalfOpen(link) => write!(f, "half-open {link}"),
            Self::Refuse(host) => write!(f, "refuse {host}"),
            Self::BlackHole(host) => write!(f, "black-hole {host}"),
            Self::ConnectTimeout(link) => write!(f, "connect-timeout {link}"),
            Self::Dns(host) => write!(f, "dns {host}"),
        }
    }
}
