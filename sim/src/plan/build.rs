//! Writing a plan in Rust: `plan.at(secs(40)).disk("ledger").full_after(117).lasting(secs(20))`.

use std::{fmt, time::Duration};

use super::{ClockFault, DiskFault, Entry, Fault, HostFault, Link, NetFault, Plan, Survival, When};

/// A fault whose beginning is known and whose kind is still to be said.
#[must_use = "name the fault"]
pub struct Inject<'a> {
    plan: &'a mut Plan,
    when: When,
}

impl<'a> Inject<'a> {
    pub(super) fn new(plan: &'a mut Plan, when: When) -> Self {
        Self { plan, when }
    }

    /// Begins this long after the event; after a time, this much later.
    pub fn after(mut self, span: Duration) -> Self {
        match &mut self.when {
            When::At(time) => *time = *time + span,
            When::On { delay, .. } => *delay += span,
        }
        self
    }

    /// Adds any fault.
    pub fn fault(self, fault: Fault) -> &'a mut Entry {
        let entries = &mut self.plan.entries;
        entries.push(Entry { when: self.when, fault, lasting: None });
        entries.last_mut().expect("an entry was pushed just now")
    }

    /// A fault between hosts.
    pub fn net(self) -> NetInject<'a> {
        NetInject(self)
    }

    /// A fault of a host's disk.
    pub fn disk(self, host: &str) -> DiskInject<'a> {
        DiskInject(self, host.into())
    }

    /// A fault of a host.
    pub fn host(self, host: &str) -> HostInject<'a> {
        HostInject(self, host.into())
    }

    /// A fault of a host's wall clock.
    pub fn clock(self, host: &str) -> ClockInject<'a> {
        ClockInject(self, host.into())
    }

    /// A fault of the server on a host, in that server's vocabulary.
    pub fn peer(self, host: &str, fault: impl fmt::Display) -> &'a mut Entry {
        self.fault(Fault::Peer { host: host.into(), words: fault.to_string() })
    }
}

/// Faults between hosts; see [`NetFault`] for what each does.
#[must_use = "name the fault"]
pub struct NetInject<'a>(Inject<'a>);

impl<'a> NetInject<'a> {
    /// Both directions between `a` and `b`.
    pub fn partition(self, a: &str, b: &str) -> &'a mut Entry {
        self.fault(NetFault::Partition(Link::between(a, b)))
    }

    /// Only what `from` sends to `to`.
    pub fn partition_one_way(self, from: &str, to: &str) -> &'a mut Entry {
        self.fault(NetFault::Partition(Link::one_way(from, to)))
    }

    /// Resets all connections between `a` and `b`.
    pub fn reset(self, a: &str, b: &str) -> &'a mut Entry {
        self.fault(NetFault::Reset(Link::between(a, b)))
    }

    /// Adds `least..most` to every packet between `a` and `b`.
    pub fn latency(self, a: &str, b: &str, least: Duration, most: Duration) -> &'a mut Entry {
        self.fault(NetFault::Latency { link: Link::between(a, b), least, most })
    }

    /// Any other network fault.
    pub fn fault(self, fault: NetFault) -> &'a mut Entry {
        self.0.fault(Fault::Net(fault))
    }
}

/// Faults of a disk; see [`DiskFault`] for what each does.
#[must_use = "name the fault"]
pub struct DiskInject<'a>(Inject<'a>, String);

impl<'a> DiskInject<'a> {
    /// Full after this many more bytes.
    pub fn full_after(self, bytes: u64) -> &'a mut Entry {
        self.fault(DiskFault::FullAfter { bytes })
    }

    /// The next fsync fails.
    pub fn fsync_fails(self) -> &'a mut Entry {
        self.fault(DiskFault::FsyncFails)
    }

    /// Any other disk fault.
    pub fn fault(self, fault: DiskFault) -> &'a mut Entry {
        self.0.fault(Fault::Disk { host: self.1, fault })
    }
}

/// Faults of a host; see [`HostFault`] for what each does.
#[must_use = "name the fault"]
pub struct HostInject<'a>(Inject<'a>, String);

impl<'a> HostInject<'a> {
    /// kill -9.
    pub fn kill(self) -> &'a mut Entry {
        self.fault(HostFault::Kill)
    }

    /// kill -9 and a new start.
    pub fn restart(self) -> &'a mut Entry {
        self.fault(HostFault::Restart)
    }

    /// The machine loses power; what survives of unsynced data is drawn per file.
    pub fn power_loss(self) -> &'a mut Entry {
        self.fault(HostFault::PowerLoss(None))
    }

    /// The machine loses power; this much survives of unsynced data.
    pub fn power_loss_keeping(self, survival: Survival) -> &'a mut Entry {
        self.fault(HostFault::PowerLoss(Some(survival)))
    }

    /// The process stands still.
    pub fn pause(self) -> &'a mut Entry {
        self.fault(HostFault::Pause)
    }

    /// Any other host fault.
    pub fn fault(self, fault: HostFault) -> &'a mut Entry {
        self.0.fault(Fault::Host { host: self.1, fault })
    }
}

/// Faults of a wall clock; see [`ClockFault`] for what each does.
#[must_use = "name the fault"]
pub struct ClockInject<'a>(Inject<'a>, String);

impl<'a> ClockInject<'a> {
    /// The clock jumps by this many milliseconds.
    pub fn step(self, millis: i64) -> &'a mut Entry {
        self.0.fault(Fault::Clock { host: self.1, fault: ClockFault::Step { millis } })
    }

    /// The clock runs this many parts per million too fast.
    pub fn drift(self, ppm: i64) -> &'a mut Entry {
        self.0.fault(Fault::Clock { host: self.1, fault: ClockFault::Drift { ppm } })
    }
}
