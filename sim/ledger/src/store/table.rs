//! The rows of one table and its indexes.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound::Unbounded,
};

use super::{index::Range, schema::Schema};
use crate::data::{Row, Value};

/// A table as the latest statement left it. Rows have numbers that are never seen by clients and grow with insertion.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) schema: Schema,
    /// Whether the transaction that created it is durable; until then it exists for that transaction only.
    pub(crate) published: bool,
    rows: BTreeMap<u64, Row>,
    /// One per [`Schema::uniques`]. A key with a null is not indexed: nulls are distinct.
    indexes: Vec<BTreeMap<Box<[Value]>, u64>>,
    /// One per [`Schema::secondary`], nulls included; the number of the row follows its key.
    secondary: Vec<BTreeSet<(Box<[Value]>, u64)>>,
    next: u64,
}

impl Table {
    pub(crate) fn new(schema: Schema) -> Self {
        let indexes = schema.uniques.iter().map(|_| BTreeMap::new()).collect();
        let secondary = schema.secondary.iter().map(|_| BTreeSet::new()).collect();
        Self { schema, published: false, rows: BTreeMap::new(), indexes, secondary, next: 1 }
    }

    /// The number for a new row.
    pub(crate) fn next_id(&self) -> u64 {
        self.next
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Row> {
        self.rows.get(&id)
    }

    /// Every row in the order of insertion.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (u64, &Row)> {
        self.rows.iter().map(|(id, row)| (*id, row))
    }

    /// Stores a row under `id` and returns what was there.
    pub(crate) fn put(&mut self, id: u64, row: Row) -> Option<Row> {
        let old = self.remove(id);
        for (index, unique) in self.indexes.iter_mut().zip(&self.schema.uniques) {
            if let Some(key) = key(&row, &unique.columns) {
                index.insert(key, id);
            }
        }
        for (index, secondary) in self.secondary.iter_mut().zip(&self.schema.secondary) {
            index.insert((whole_key(&row, &secondary.columns), id));
        }
        self.next = self.next.max(id.saturating_add(1));
        self.rows.insert(id, row);
        old
    }

    /// Removes a row and returns it.
    pub(crate) fn remove(&mut self, id: u64) -> Option<Row> {
        let old = self.rows.remove(&id)?;
        for (index, unique) in self.indexes.iter_mut().zip(&self.schema.uniques) {
            // While several rows change, another may have taken the key already.
            if let Some(key) = key(&old, &unique.columns)
                && index.get(&key) == Some(&id)
            {
                index.remove(&key);
            }
        }
        for (index, secondary) in self.secondary.iter_mut().zip(&self.schema.secondary) {
            index.remove(&(whole_key(&old, &secondary.columns), id));
        }
        Some(old)
    }

    /// The rows of an index range in the order of their keys; indexes are numbered as [`Schema::indexes`] lists them.
    pub(crate) fn range<'a>(&'a self, index: usize, range: &'a Range) -> Box<dyn Iterator<Item = u64> + 'a> {
        let belongs = |key: &[Value]| range.contains(&key.iter().collect::<Vec<_>>());
        let start = range.start();
        match self.indexes.get(index) {
            Some(unique) => {
                let start = start.as_ref().map(Vec::as_slice);
                let keys = unique.range::<[Value], _>((start, Unbounded));
                let keys = keys.take_while(|(key, _)| !range.is_past(key));
                Box::new(keys.filter(move |(key, _)| belongs(key)).map(|(_, id)| *id))
            }
            None => {
                let start = start.map(|key| (key.into_boxed_slice(), 0));
                let keys = self.secondary[index - self.indexes.len()].range((start, Unbounded));
                let keys = keys.take_while(|(key, _)| !range.is_past(key));
                Box::new(keys.filter(move |(key, _)| belongs(key)).map(|(_, id)| *id))
            }
        }
    }

    /// The row with this key.
    pub(crate) fn lookup(&self, index: usize, key: &[Value]) -> Option<u64> {
        self.indexes[index].get(key).copied()
    }

    /// The first unique constraint, of all or of `only`, that `row` would violate against a row other than `except`.
    pub(crate) fn conflict(
        &self,
        row: &[Value],
        except: Option<u64>,
        only: Option<usize>,
    ) -> Option<(usize, u64)> {
        self.schema
            .uniques
            .iter()
            .enumerate()
            .filter(|(index, _)| only.is_none_or(|only| only == *index))
            .find_map(|(index, unique)| {
                let id = match unique.columns.as_slice() {
                    [column] => self.lookup(index, std::slice::from_ref(&row[*column]))?,
                    columns => self.lookup(index, &key(row, columns)?)?,
                };
                (Some(id) != except).then_some((index, id))
            })
    }
}

fn whole_key(row: &[Value], columns: &[usize]) -> Box<[Value]> {
    columns.iter().map(|column| row[*column].clone()).collect()
}

/// The values of a key; none when one of them is null.
fn key(row: &[Value], columns: &[usize]) -> Option<Box<[Value]>> {
    columns.iter().map(|column| Some(row[*column].clone()).filter(|value| !value.is_null())).collect()
}
