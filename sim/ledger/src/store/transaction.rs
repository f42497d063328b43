//! What a transaction has done, so that it can be published or taken back.

use std::sync::Arc;

use super::{lock::RowLock, table::Origins};
use crate::data::Row;

/// A transaction that has changed or locked something. Numbers are never used twice between two recoveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TransactionId(pub(crate) u64);

/// The deeds of a transaction that is not durable yet, oldest first.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) owner: TransactionId,
    pub(super) deeds: Vec<Deed>,
}

/// One change, with what it takes to undo it.
#[derive(Debug)]
pub(super) enum Deed {
    /// The table with this number was created.
    Created(usize),
    /// Values were drawn from a sequence, beyond what the log was ahead; `row` is what it must be told.
    Drew { sequence: usize, row: Row },
    /// The table with this number was removed.
    Dropped(usize),
    /// A row was locked without being changed; `before` is the lock it had from the same transaction.
    Locked { table: usize, id: u64, before: Option<RowLock> },
    /// A name got another meaning; `before` is the one that it had for the transaction, if not that for everybody.
    Named { name: Arc<str>, before: Option<Option<usize>> },
    /// The table `number` took the place of `old`.
    Reformed { number: usize, old: usize, origins: Origins },
    /// A row was stored or removed; `before` is what was there, `first` whether that was committed.
    Wrote { table: usize, id: u64, before: Option<Row>, first: bool },
}

/// A place in a layer to go back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark(pub(super) usize);

impl Mark {
    /// Before everything that a transaction does.
    pub(crate) const BEGINNING: Self = Self(0);
}

impl Layer {
    pub(crate) fn new(owner: TransactionId) -> Self {
        Self { owner, deeds: Vec::new() }
    }

    /// The place that has been reached.
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.deeds.len())
    }
}
