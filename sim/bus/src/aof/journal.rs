//! What waits to be written to the append-only file, and how the file is doing.

use super::format;
use crate::epoch::Guarantee;

/// Kept under the server's lock.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// Requests and annotations.
    pending: Vec<u8>,
    appended: u64,
    /// A copy of what was appended since a rewrite looked at the data.
    tail: Option<Vec<u8>>,
    /// BGREWRITEAOF.
    pub(crate) rewrite_wanted: bool,
    /// How many rewrites have ended, and whether the last one was a success.
    pub(crate) rewrites: u64,
    pub(crate) rewrite_failed: bool,
    /// Why the last write failed, until one succeeds.
    pub(crate) write_error: Option<String>,
    /// Why an fsync failed, until the file has been rewritten.
    pub(crate) sync_error: Option<String>,
    /// The file's size in bytes.
    pub(crate) size: u64,
    /// Its size after the last rewrite, or at the start.
    pub(crate) base_size: u64,
}

impl Journal {
    /// Begins behind `appended` bytes that were taken in by another, for a file of `size` bytes.
    pub(super) fn new(appended: u64, size: u64) -> Self {
        Self { appended, size, base_size: size, ..Self::default() }
    }

    /// Takes in what was done; `false` when that is nothing.
    pub(crate) fn append(&mut self, mut done: Vec<u8>) -> bool {
        self.appended += done.len() as u64;
        if let Some(tail) = &mut self.tail {
            tail.extend_from_slice(&done);
        }
        if self.pending.is_empty() {
            self.pending = done;
        } else {
            self.pending.append(&mut done);
        }
        !self.pending.is_empty()
    }

    /// Takes in the epoch.
    pub(crate) fn annotate(&mut self, epoch: &str, guarantee: Guarantee) {
        self.append(format::dataset(epoch, guarantee).into_bytes());
    }

    /// How many bytes were ever taken in.
    pub(crate) fn appended(&self) -> u64 {
        self.appended
    }

    /// How many bytes wait.
    pub(crate) fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// Hands out what waits.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pending)
    }

    /// Why writes are refused, if they are (`writeCommandsDeniedByDiskError`, Redis `replication.c`).
    pub(crate) fn denies_writes(&self) -> Option<&str> {
        self.write_error.as_deref().or(self.sync_error.as_deref())
    }

    /// Whether a rewrite is under way.
    pub(crate) fn rewriting(&self) -> bool {
        self.tail.is_some()
    }

    /// A rewrite looks at the data: from now on what is done is kept for it.
    pub(crate) fn begin_rewrite(&mut self) {
        self.rewrite_wanted = false;
        self.tail = Some(Vec::new());
    }

    /// Ends a rewrite; returns what was done since it began.
    pub(crate) fn end_rewrite(&mut self) -> Vec<u8> {
        self.tail.take().unwrap_or_default()
    }

    /// Whether the file has grown enough to be rewritten by itself.
    pub(crate) fn has_grown(&self, percentage: u64, min_size: u64) -> bool {
        let growth = (self.size * 100 / self.base_size.max(1)).saturating_sub(100);
        percentage > 0 && self.size > min_size && growth >= percentage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rewrite_gets_what_was_done_since_it_began() {
        let mut journal = Journal::default();
        assert!(journal.append(b"a".to_vec()));
        journal.begin_rewrite();
        journal.append(b"b".to_vec());
        assert_eq!(journal.take(), b"ab");
        assert!(!journal.append(Vec::new()));
        journal.append(b"c".to_vec());
        assert_eq!((journal.end_rewrite(), journal.take()), (b"bc".to_vec(), b"c".to_vec()));
        assert_eq!(journal.appended(), 3);
    }

    #[test]
    fn growth_is_measured_from_the_last_rewrite() {
        let grown = |size, base_size, percentage| {
            Journal { size, base_size, ..Journal::default() }.has_grown(percentage, 50)
        };
        assert!(grown(200, 100, 100) && grown(51, 0, 100));
        assert!(!grown(199, 100, 100) && !grown(50, 0, 100) && !grown(900, 1, 0));
    }
}
