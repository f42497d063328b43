//! The rows of one table, its unique indexes, and who has changed or locked which row without having committed.

use std::{collections::BTreeMap, ops::Bound::Unbounded};

use super::{
    index::Range,
    lock::{RowLock, RowLocks},
    schema::Schema,
    transaction::TransactionId,
};
use crate::data::{Row, Value};

/// A table as the latest statements left it. Rows have numbers that are never seen by clients and grow with insertion.
///
/// A row has at most one uncommitted change: whoever else wants to change it waits. What the table was before an uncommitted
/// change is beside the rows, so that undoing one transaction touches nothing of another.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) schema: Schema,
    /// Whether the transaction that created it is durable; until then it exists for that transaction only.
    pub(crate) published: bool,
    rows: BTreeMap<u64, Row>,
    /// One per [`Schema::uniques`]. A key with a null is not indexed: nulls are distinct.
    indexes: Vec<BTreeMap<Box<[Value]>, u64>>,
    changes: BTreeMap<u64, Change>,
    /// Per index: keys of committed rows that an uncommitted change took away. They may come back.
    gone: Vec<BTreeMap<Box<[Value]>, u64>>,
    locks: RowLocks,
    next: u64,
}

/// An uncommitted change of a row.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) owner: TransactionId,
    /// The committed row; none if there was none.
    pub(crate) before: Option<Row>,
    /// How the change locks the row: a change of a key, or a removal, more strongly than another.
    lock: RowLock,
}

/// Who stands in the way of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// The row with this number has the key in the unique index.
    Row { index: usize, id: u64 },
    /// Whether the key is free will be known when that transaction ends.
    Undecided(TransactionId),
}

impl Table {
    pub(crate) fn new(schema: Schema) -> Self {
        let indexes: Vec<_> = schema.uniques.iter().map(|_| BTreeMap::new()).collect();
        Self {
            schema,
            published: false,
            rows: BTreeMap::new(),
            gone: indexes.clone(),
            indexes,
            changes: BTreeMap::new(),
            locks: RowLocks::default(),
            next: 1,
        }
    }

    /// The number for a new row.
    pub(crate) fn next_id(&self) -> u64 {
        self.next
    }

    /// Numbers below `next` are not given to new rows.
    pub(crate) fn reserve(&mut self, next: u64) {
        self.next = self.next.max(next);
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Row> {
        self.rows.get(&id)
    }

    /// Every row in the order of insertion.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (u64, &Row)> {
        self.rows.iter().map(|(id, row)| (*id, row))
    }

    /// The uncommitted change of a row.
    pub(crate) fn change(&self, id: u64) -> Option<&Change> {
        self.changes.get(&id)
    }

    /// Every uncommitted change, by row.
    pub(crate) fn changes(&self) -> impl Iterator<Item = (u64, &Change)> {
        self.changes.iter().map(|(id, change)| (*id, change))
    }

    /// A row as `reader` sees it: its own change, or what is committed.
    pub(crate) fn seen(&self, id: u64, reader: Option<TransactionId>) -> Option<&Row> {
        match self.changes.get(&id) {
            Some(change) if Some(change.owner) != reader => change.before.as_ref(),
            _ => self.rows.get(&id),
        }
    }

    /// The row with this key as `reader` sees it.
    pub(crate) fn seen_with_key(
        &self,
        index: usize,
        key: &[Value],
        reader: Option<TransactionId>,
    ) -> Option<(u64, &Row)> {
        let columns = &self.schema.uniques[index].columns;
        [self.indexes[index].get(key), self.gone[index].get(key)].into_iter().flatten().find_map(|id| {
            let row = self.seen(*id, reader)?;
            columns.iter().zip(key).all(|(column, value)| row[*column] == *value).then_some((*id, row))
        })
    }

    /// Every row in a range of a unique index as `reader` sees it: by key, but rows whose key has changed come last.
    pub(crate) fn seen_in_range<'a>(
        &'a self,
        index: usize,
        range: &'a Range,
        reader: Option<TransactionId>,
    ) -> impl Iterator<Item = (u64, &'a Row)> {
        let columns = &self.schema.uniques[index].columns;
        let entries = |keys: &'a BTreeMap<Box<[Value]>, u64>| {
            let start = range.start();
            keys.range::<[Value], _>((start.as_ref().map(Vec::as_slice), Unbounded))
                .take_while(|(key, _)| !range.is_past(key))
                .filter(|(key, _)| range.contains(key))
        };
        entries(&self.indexes[index]).chain(entries(&self.gone[index])).filter_map(move |(key, id)| {
            let row = self.seen(*id, reader)?;
            columns.iter().zip(key).all(|(column, value)| row[*column] == *value).then_some((*id, row))
        })
    }

    /// Stores or removes a committed row.
    pub(crate) fn replay(&mut self, id: u64, row: Option<Row>) {
        self.set(id, row);
    }

    /// Stores or removes a row on behalf of `owner`, who must be the only one with a change of it. Returns what was there,
    /// and whether it was committed.
    pub(crate) fn write(&mut self, owner: TransactionId, id: u64, row: Option<Row>) -> (Option<Row>, bool) {
        let moves_key = match (self.rows.get(&id), &row) {
            (Some(old), Some(new)) => {
                !self.schema.uniques.iter().all(|unique| same(old, new, &unique.columns))
            }
            _ => true,
        };
        let lock = if moves_key { RowLock::Update } else { RowLock::NoKeyUpdate };
        let old = self.set(id, row);
        let first = match self.changes.get_mut(&id) {
            Some(change) => {
                change.lock = change.lock.max(lock);
                false
            }
            None => {
                self.changes.insert(id, Change { owner, before: old.clone(), lock });
                true
            }
        };
        if moves_key {
            self.mark_gone(id);
        }
        (old, first)
    }

    /// Takes back a [`Table::write`] that returned `(old, first)`.
    pub(crate) fn unwrite(&mut self, id: u64, old: Option<Row>, first: bool) {
        self.set(id, old);
        if first {
            self.release(id);
        } else {
            self.mark_gone(id);
        }
    }

    /// The change of a row has been committed or undone.
    pub(crate) fn release(&mut self, id: u64) {
        let Some(Change { before: Some(before), lock: RowLock::Update, .. }) = self.changes.remove(&id)
        else {
            return;
        };
        for (gone, unique) in self.gone.iter_mut().zip(&self.schema.uniques) {
            if !gone.is_empty()
                && let Some(key) = key(&before, &unique.columns)
            {
                gone.remove(&key);
            }
        }
    }

    /// Notes which keys of the committed row `id` its current content lacks.
    fn mark_gone(&mut self, id: u64) {
        let Some(Change { before: Some(before), .. }) = self.changes.get(&id) else {
            return;
        };
        let now = self.rows.get(&id);
        for (gone, unique) in self.gone.iter_mut().zip(&self.schema.uniques) {
            if let Some(key) = key(before, &unique.columns) {
                if now.is_some_and(|now| same(before, now, &unique.columns)) {
                    gone.remove(&key);
                } else {
                    gone.insert(key, id);
                }
            }
        }
    }

    /// Changes the rows and indexes, and returns what was there.
    fn set(&mut self, id: u64, row: Option<Row>) -> Option<Row> {
        let old = self.rows.get(&id);
        for (index, unique) in self.indexes.iter_mut().zip(&self.schema.uniques) {
            if let (Some(old), Some(new)) = (old, &row)
                && same(old, new, &unique.columns)
            {
                continue;
            }
            // While several rows change, another may have taken the old key already.
            if let Some(key) = old.and_then(|old| key(old, &unique.columns))
                && index.get(&key) == Some(&id)
            {
                index.remove(&key);
            }
            if let Some(key) = row.as_ref().and_then(|new| key(new, &unique.columns)) {
                index.insert(key, id);
            }
        }
        match row {
            Some(row) => {
                self.next = self.next.max(id.saturating_add(1));
                self.rows.insert(id, row)
            }
            None => self.rows.remove(&id),
        }
    }

    /// The row with this key.
    pub(crate) fn lookup(&self, index: usize, key: &[Value]) -> Option<u64> {
        self.indexes[index].get(key).copied()
    }

    /// What keeps `writer` from storing `row`, in all unique indexes or in `only`; the row `except` does not count.
    pub(crate) fn conflict(
        &self,
        row: &[Value],
        writer: TransactionId,
        except: Option<u64>,
        only: Option<usize>,
    ) -> Option<Conflict> {
        self.schema
            .uniques
            .iter()
            .enumerate()
            .filter(|(index, _)| only.is_none_or(|only| only == *index))
            .find_map(|(index, unique)| match unique.columns.as_slice() {
                [column] => self.key_conflict(index, std::slice::from_ref(&row[*column]), writer, except),
                columns => self.key_conflict(index, &key(row, columns)?, writer, except),
            })
    }

    fn key_conflict(
        &self,
        index: usize,
        key: &[Value],
        writer: TransactionId,
        except: Option<u64>,
    ) -> Option<Conflict> {
        let others =
            |id: &u64| self.changes.get(id).map(|change| change.owner).filter(|owner| *owner != writer);
        if let Some(id) = self.indexes[index].get(key).filter(|id| Some(**id) != except) {
            let undecided = others(id);
            return Some(undecided.map_or(Conflict::Row { index, id: *id }, Conflict::Undecided));
        }
        self.gone[index].get(key).filter(|id| Some(**id) != except).and_then(others).map(Conflict::Undecided)
    }

    /// Who keeps `asker` from locking a row; none when nobody does.
    pub(crate) fn lock_holder(&self, id: u64, lock: RowLock, asker: TransactionId) -> Option<TransactionId> {
        self.changes
            .get(&id)
            .filter(|change| change.owner != asker && change.lock.excludes(lock))
            .map(|change| change.owner)
            .or_else(|| self.locks.holder(id, lock, asker))
    }

    /// Locks a row that nobody else holds; returns the lock that the owner had, for [`Table::unlock`].
    pub(crate) fn lock(&mut self, id: u64, lock: RowLock, owner: TransactionId) -> Option<RowLock> {
        self.locks.lock(id, lock, owner)
    }

    /// Goes back to the lock that `owner` had before.
    pub(crate) fn unlock(&mut self, id: u64, owner: TransactionId, before: Option<RowLock>) {
        self.locks.unlock(id, owner, before);
    }
}

fn same(a: &[Value], b: &[Value], columns: &[usize]) -> bool {
    columns.iter().all(|column| a[*column] == b[*column])
}

/// The values of a key; none when one of them is null.
fn key(row: &[Value], columns: &[usize]) -> Option<Box<[Value]>> {
    columns.iter().map(|column| Some(row[*column].clone()).filter(|value| !value.is_null())).collect()
}
