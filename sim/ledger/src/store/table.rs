//! The rows of one table, its indexes, and who has changed or locked which row without having committed.

use std::{collections::BTreeMap, ops::Bound::Unbounded};

use super::{
    index::Range,
    lock::{RowLock, RowLocks},
    schema::{Index, Schema},
    sequence::{Drawn, Position},
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
    /// One per [`Schema::indexes`]. A key with a null is not indexed: nulls are distinct. Where keys may repeat,
    /// the number of the row is their last part.
    indexes: Vec<BTreeMap<Box<[Value]>, u64>>,
    changes: BTreeMap<u64, Change>,
    /// Per index: keys of committed rows that an uncommitted change took away. They may come back.
    gone: Vec<BTreeMap<Box<[Value]>, u64>>,
    locks: RowLocks,
    next: u64,
    /// Of a sequence: the value that the log has come to, behind which recovery goes on.
    reserved: Option<i64>,
}

/// The number of the only row of a sequence.
pub(super) const SEQUENCE_ROW: u64 = 1;

/// An uncommitted change of a row.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) owner: TransactionId,
    /// The committed row; none if there was none.
    pub(crate) before: Option<Row>,
    /// How the change locks the row: a change of a key, or a removal, more strongly than another.
    lock: RowLock,
}

/// Where the columns of a table come from that takes the place of another.
pub(crate) type Origins = Vec<Filling>;

/// Where a column's values come from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Filling {
    /// From the column at this position of the table before.
    Column(usize),
    /// The same for every row.
    Value(Value),
}

/// Two rows have the same key in the unique index at this position; one of them is `row`.
#[derive(Debug)]
pub(crate) struct Duplicate {
    pub(crate) index: usize,
    pub(crate) row: Row,
    pub(crate) schema: Box<Schema>,
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
        let indexes: Vec<_> = schema.indexes.iter().map(|_| BTreeMap::new()).collect();
        let beginning = schema.sequence().map(|sequence| (SEQUENCE_ROW, sequence.beginning().row()));
        Self {
            schema,
            published: false,
            rows: beginning.into_iter().collect(),
            gone: indexes.clone(),
            indexes,
            changes: BTreeMap::new(),
            locks: RowLocks::default(),
            next: 1,
            reserved: None,
        }
    }

    /// Where a sequence stands; none if this is none.
    pub(crate) fn position(&self) -> Option<Position> {
        self.schema.sequence().and_then(|_| Position::of_row(self.rows.get(&SEQUENCE_ROW)?))
    }

    /// Sets a sequence; returns the row that the log must be told of, if it must.
    pub(super) fn draw(&mut self, drawn: Drawn) -> Option<Row> {
        let Drawn { position, moved } = drawn;
        if moved {
            self.reserved = None;
        }
        self.rows.insert(SEQUENCE_ROW, position.row());
        let sequence = self.schema.sequence()?;
        (!sequence.covers(self.reserved, position.last)).then(|| sequence.logged(position).row())
    }

    /// The log has come to `row` of a sequence.
    pub(super) fn reserve_values(&mut self, row: &[Value]) {
        self.reserved =
            Position::of_row(row).filter(|position| position.called).map(|position| position.last);
    }

    /// The next draw from a sequence must be told to the log, because it will not hold what it holds now.
    pub(super) fn forget_reserved(&mut self) {
        self.reserved = None;
        if let Some(position) = self.position() {
            self.rows.insert(SEQUENCE_ROW, Position { ahead: 0, ..position }.row());
        }
    }

    /// What becomes of the table under another definition, which has as many columns as there are `origins`.
    ///
    /// # Errors
    /// When two rows have the same unique key.
    pub(super) fn reformed(&self, schema: Schema, origins: &Origins) -> Result<Self, Duplicate> {
        let mut table = Self::new(schema);
        table.next = self.next;
        let is_same = origins.iter().enumerate().all(|(at, origin)| *origin == Filling::Column(at))
            && self.schema.columns.len() == origins.len();
        for (id, row) in &self.rows {
            let row: Row = if is_same {
                row.clone()
            } else {
                let fill = |origin: &Filling| match origin {
                    Filling::Column(column) => row[*column].clone(),
                    Filling::Value(value) => value.clone(),
                };
                origins.iter().map(fill).collect()
            };
            for (position, (keys, index)) in table.indexes.iter_mut().zip(&table.schema.indexes).enumerate() {
                if let Some(key) = key(&row, index, *id)
                    && keys.insert(key, *id).is_some()
                {
                    return Err(Duplicate { index: position, row, schema: Box::new(table.schema) });
                }
            }
            table.rows.insert(*id, row);
        }
        Ok(table)
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

    /// The committed rows with greater numbers than `id`, each with its number.
    pub(crate) fn rows_behind(&self, id: u64) -> impl Iterator<Item = (u64, &Row)> {
        self.rows.range(id.saturating_add(1)..).map(|(id, row)| (*id, row))
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

    /// The row with this key of a unique index as `reader` sees it.
    pub(crate) fn seen_with_key(
        &self,
        index: usize,
        key: &[Value],
        reader: Option<TransactionId>,
    ) -> Option<(u64, &Row)> {
        let columns = &self.schema.indexes[index].columns;
        [self.indexes[index].get(key), self.gone[index].get(key)].into_iter().flatten().find_map(|id| {
            let row = self.seen(*id, reader)?;
            columns.iter().zip(key).all(|(column, value)| row[*column] == *value).then_some((*id, row))
        })
    }

    /// Every row in a range of an index as `reader` sees it: by key, but rows whose key has changed come last.
    pub(crate) fn seen_in_range<'a>(
        &'a self,
        index: usize,
        range: &'a Range,
        reader: Option<TransactionId>,
    ) -> impl Iterator<Item = (u64, &'a Row)> {
        let columns = &self.schema.indexes[index].columns;
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
        let stands = row.as_deref().filter(|_| self.schema.sequence().is_some()).and_then(Position::of_row);
        let row = stands.map_or(row, |position| Some(Position { ahead: 0, ..position }.row()));
        self.set(id, row);
    }

    /// Stores or removes a row on behalf of `owner`, who must be the only one with a change of it. Returns what was there,
    /// and whether it was committed.
    pub(crate) fn write(&mut self, owner: TransactionId, id: u64, row: Option<Row>) -> (Option<Row>, bool) {
        let (mut moves_key, mut lock) = (true, RowLock::Update);
        if let (Some(old), Some(new)) = (self.rows.get(&id), &row) {
            let mut moved =
                self.schema.indexes.iter().filter(|index| !same(old, new, &index.columns)).peekable();
            moves_key = moved.peek().is_some();
            // Only keys that are unique can be referred to.
            if !moved.any(Index::is_unique) {
                lock = RowLock::NoKeyUpdate;
            }
        }
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
        let Some(Change { before: Some(before), .. }) = self.changes.remove(&id) else {
            return;
        };
        for (gone, index) in self.gone.iter_mut().zip(&self.schema.indexes) {
            if !gone.is_empty()
                && let Some(key) = key(&before, index, id)
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
        for (gone, index) in self.gone.iter_mut().zip(&self.schema.indexes) {
            if let Some(key) = key(before, index, id) {
                if now.is_some_and(|now| same(before, now, &index.columns)) {
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
        for (keys, index) in self.indexes.iter_mut().zip(&self.schema.indexes) {
            if let (Some(old), Some(new)) = (old, &row)
                && same(old, new, &index.columns)
            {
                continue;
            }
            // While several rows change, another may have taken the old key already.
            if let Some(key) = old.and_then(|old| key(old, index, id))
                && keys.get(&key) == Some(&id)
            {
                keys.remove(&key);
            }
            if let Some(key) = row.as_ref().and_then(|new| key(new, index, id)) {
                keys.insert(key, id);
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

    /// The row with this key of a unique index.
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
            .indexes
            .iter()
            .enumerate()
            .filter(|(position, index)| index.is_unique() && only.is_none_or(|only| only == *position))
            .find_map(|(position, index)| match index.columns.as_slice() {
                [column] => self.key_conflict(position, std::slice::from_ref(&row[*column]), writer, except),
                _ => self.key_conflict(position, &key(row, index, 0)?, writer, except),
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

/// The key of the row `id` in an index; none when one of its values is null.
fn key(row: &[Value], index: &Index, id: u64) -> Option<Box<[Value]>> {
    let values =
        index.columns.iter().map(|column| Some(row[*column].clone()).filter(|value| !value.is_null()));
    let number = (!index.is_unique()).then_some(Some(Value::Int(id as i64)));
    values.chain(number).collect()
}
