//! Locks of rows and of tables, as PostgreSQL has them (PostgreSQL 16 docs, §13.3). Who waits, and for how long, is the
//! engine's affair.

use std::collections::BTreeMap;

use super::transaction::TransactionId;

/// How a row is locked, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RowLock {
    /// `FOR KEY SHARE`
    KeyShare,
    /// `FOR SHARE`
    Share,
    /// `FOR NO KEY UPDATE`, or an `UPDATE` that leaves the keys alone.
    NoKeyUpdate,
    /// `FOR UPDATE`, `DELETE`, or an `UPDATE` of a key.
    Update,
}

impl RowLock {
    /// The clause that asks for it.
    pub(crate) fn clause(self) -> &'static str {
        match self {
            Self::KeyShare => "FOR KEY SHARE",
            Self::Share => "FOR SHARE",
            Self::NoKeyUpdate => "FOR NO KEY UPDATE",
            Self::Update => "FOR UPDATE",
        }
    }

    /// Whether two transactions cannot hold these at once (PostgreSQL 16 docs, table 13.3).
    pub(crate) fn excludes(self, other: Self) -> bool {
        let (weak, strong) = (self.min(other), self.max(other));
        match strong {
            Self::Update => true,
            Self::NoKeyUpdate => weak >= Self::Share,
            Self::Share | Self::KeyShare => false,
        }
    }
}

/// The rows of a table that are locked without being changed.
#[derive(Debug, Default)]
pub(crate) struct RowLocks(BTreeMap<u64, Vec<(TransactionId, RowLock)>>);

impl RowLocks {
    /// Someone other than `asker` whose lock excludes `lock`.
    pub(super) fn holder(&self, id: u64, lock: RowLock, asker: TransactionId) -> Option<TransactionId> {
        let holders = self.0.get(&id)?;
        holders.iter().find(|(owner, held)| *owner != asker && held.excludes(lock)).map(|(owner, _)| *owner)
    }

    /// Gives `owner` at least `lock`; returns what it had.
    pub(super) fn lock(&mut self, id: u64, lock: RowLock, owner: TransactionId) -> Option<RowLock> {
        let holders = self.0.entry(id).or_default();
        match holders.iter_mut().find(|(holder, _)| *holder == owner) {
            Some((_, held)) => {
                let before = *held;
                *held = before.max(lock);
                Some(before)
            }
            None => {
                holders.push((owner, lock));
                None
            }
        }
    }

    pub(super) fn unlock(&mut self, id: u64, owner: TransactionId, before: Option<RowLock>) {
        let Some(holders) = self.0.get_mut(&id) else {
            return;
        };
        match before {
            Some(before) => {
                if let Some((_, held)) = holders.iter_mut().find(|(holder, _)| *holder == owner) {
                    *held = before;
                }
            }
            None => holders.retain(|(holder, _)| *holder != owner),
        }
        if holders.is_empty() {
            self.0.remove(&id);
        }
    }
}

/// How a table is locked, by the names that `pg_locks` has for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TableLock {
    /// Held by everyone who reads.
    AccessShare,
    /// Held by everyone who locks rows.
    RowShare,
    /// Held by everyone who writes.
    RowExclusive,
    ShareUpdateExclusive,
    Share,
    ShareRowExclusive,
    Exclusive,
    /// Taken by what changes or removes a table.
    AccessExclusive,
}

impl TableLock {
    pub(crate) const ALL: [Self; 8] = [
        Self::AccessShare,
        Self::RowShare,
        Self::RowExclusive,
        Self::ShareUpdateExclusive,
        Self::Share,
        Self::ShareRowExclusive,
        Self::Exclusive,
        Self::AccessExclusive,
    ];

    /// Whether two transactions cannot hold these at once (PostgreSQL 16 docs, table 13.2).
    pub(crate) fn excludes(self, other: Self) -> bool {
        use TableLock::*;
        match self.max(other) {
            AccessShare | RowShare | RowExclusive => false,
            // The one of the strong modes that excludes itself but not `Share`'s weaker neighbours.
            ShareUpdateExclusive => self == other,
            Share => matches!(self.min(other), RowExclusive | ShareUpdateExclusive),
            ShareRowExclusive => self.min(other) >= RowExclusive,
            Exclusive => self.min(other) >= RowShare,
            AccessExclusive => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_locks_exclude_each_other_as_documented() {
        use RowLock::*;
        for (a, b, excluded) in [
            (KeyShare, NoKeyUpdate, false),
            (KeyShare, Update, true),
            (Share, Share, false),
            (Share, NoKeyUpdate, true),
            (Share, KeyShare, false),
            (NoKeyUpdate, NoKeyUpdate, true),
            (Update, Update, true),
        ] {
            assert_eq!((a.excludes(b), b.excludes(a)), (excluded, excluded), "{a:?} {b:?}");
        }
    }

    #[test]
    fn table_locks_exclude_each_other_as_documented() {
        // One row per mode: X where the documentation has one.
        let table =
            [".......X", "......XX", "....XXXX", "...XXXXX", "..XX.XXX", "..XXXXXX", ".XXXXXXX", "XXXXXXXX"];
        for (a, row) in TableLock::ALL.into_iter().zip(table) {
            for (b, mark) in TableLock::ALL.into_iter().zip(row.chars()) {
                assert_eq!(a.excludes(b), mark == 'X', "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn a_lock_is_given_back_as_it_was_taken() {
        let (mut locks, one, two) = (RowLocks::default(), TransactionId(1), TransactionId(2));
        assert_eq!(locks.lock(7, RowLock::Share, one), None);
        assert_eq!(locks.lock(7, RowLock::Share, two), None);
        assert_eq!(locks.holder(7, RowLock::Update, one), Some(two));
        locks.unlock(7, two, None);
        assert_eq!(locks.holder(7, RowLock::Update, one), None);
        assert_eq!(locks.lock(7, RowLock::Update, one), Some(RowLock::Share));
        locks.unlock(7, one, Some(RowLock::Share));
        assert_eq!(locks.holder(7, RowLock::Share, two), None);
        assert_eq!(locks.holder(7, RowLock::NoKeyUpdate, two), Some(one));
        locks.unlock(7, one, None);
        assert!(locks.0.is_empty());
    }
}
