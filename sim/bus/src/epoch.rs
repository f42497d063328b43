//! The dataset epoch: tells data that the bus lost from data that a client took away.
//!
//! `GET bus:dataset_epoch` answers 16 hexadecimal digits, and INFO shows them as `dataset_epoch`. The key is no key: nothing
//! lists, counts, flushes or expires it, and a command that would write it is refused.
//!
//! **What it promises.** As long as two reads give the same epoch, every write that was acknowledged before the second is in
//! the data, unless a client's command or a time to live took it away. A different epoch says that acknowledged writes *may*
//! have been lost. So a reader that sees a key vanish under the same epoch knows that somebody removed it.
//!
//! A new epoch is drawn when the server starts without an append-only file or with an empty one; when it had to cut a torn
//! tail off the file; when it finds that it was not stopped in order while it acknowledged writes before they were durable
//! (`appendfsync everysec` and `no`) – even if nothing was lost, which it cannot know; when it comes back with an older
//! dataset (failover); and when it evicts a key. The epoch stays through a stop in order, through a rewrite of the file, and,
//! with `appendfsync always`, through a crash or power loss that left no torn tail.
//!
//! **How.** The file carries the epoch in annotations, which Redis skips when it reads the file. Each also says what may be
//! concluded if it is the last one; see [`Guarantee`]. It is durable before the first write that it speaks of is acknowledged.
//!
//! What it cannot see: whole batches of synced data that vanish from the end of the file, a file that somebody replaced
//! by an older one, and what a run without append-only file did between two runs with it.

use crate::{
    AppendFsync,
    server::{Shared, State},
};

/// Where clients read it.
pub(crate) const KEY: &[u8] = b"bus:dataset_epoch";

/// What the last annotation in a file tells of the writes behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guarantee {
    /// None was acknowledged before it was durable.
    Always,
    /// There are none: the server was stopped in order.
    Closed,
    /// They were acknowledged first.
    Open,
}

impl Guarantee {
    /// Every one with its word in the file.
    pub(crate) const WORDS: [(&'static str, Self); 3] =
        [("always", Self::Always), ("closed", Self::Closed), ("open", Self::Open)];

    /// What a policy guarantees of the writes under it.
    pub(crate) fn under(policy: AppendFsync) -> Self {
        match policy {
            AppendFsync::Always => Self::Always,
            AppendFsync::EverySec | AppendFsync::No => Self::Open,
        }
    }

    /// The word in the file.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Closed => "closed",
            Self::Open => "open",
        }
    }
}

/// A new epoch.
pub(crate) fn draw(shared: &Shared) -> String {
    format!("{:016x}", shared.env.entropy.bits("bus.dataset_epoch"))
}

/// Goes on under a new epoch and records it, because something may have been lost.
pub(crate) fn renew(shared: &Shared, state: &mut State, reason: &'static str) {
    adopt(state, &draw(shared));
    env::fact!("bus.dataset_epoch", epoch = %current(state), reason);
}

/// Goes on under an epoch, and records it.
pub(crate) fn adopt(state: &mut State, epoch: &str) {
    state.db.set_reserved(KEY, epoch.as_bytes());
    record(state);
}

/// Records the epoch together with what the present policy guarantees.
pub(crate) fn record(state: &mut State) {
    let guarantee = Guarantee::under(state.config.append_fsync);
    let epoch = current(state);
    if let Some(journal) = &mut state.journal {
        journal.annotate(&epoch, guarantee);
    }
}

/// The epoch.
pub(crate) fn current(state: &State) -> String {
    match state.db.string(KEY) {
        Ok(Some(epoch)) => String::from_utf8_lossy(epoch).into_owned(),
        Ok(None) | Err(_) => String::new(),
    }
}
