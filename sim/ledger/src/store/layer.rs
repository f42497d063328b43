//! What a transaction replaced, and how readers look past it.

use std::collections::BTreeMap;

use super::{index::Range, schema::Schema, tables::Tables};
use crate::data::{Row, Value};

/// The changes of a transaction whose record is not durable yet.
#[derive(Debug, Default)]
pub(crate) struct Layer {
    /// By table and row: the row as it was before the transaction, or none if it did not exist.
    pub(crate) before: BTreeMap<(usize, u64), Option<Row>>,
    /// Tables that the transaction created.
    pub(crate) created: Vec<usize>,
}

/// The tables as one reader sees them.
pub(crate) struct View<'a> {
    tables: &'a Tables,
    /// Layers to look through, oldest first; none for the writer, who sees its own changes.
    hidden: Vec<&'a Layer>,
}

impl<'a> View<'a> {
    /// The tables as they are.
    pub(crate) fn latest(tables: &'a Tables) -> Self {
        Self { tables, hidden: Vec::new() }
    }

    /// The tables as if `hidden`, oldest first, had not happened.
    pub(crate) fn without(tables: &'a Tables, hidden: impl Iterator<Item = &'a Layer>) -> Self {
        Self { tables, hidden: hidden.collect() }
    }

    /// The definitions of the tables that this reader may see.
    pub(crate) fn schemas(&self) -> impl Iterator<Item = &'a Schema> {
        let created = |number: usize| self.hidden.iter().any(|layer| layer.created.contains(&number));
        self.tables.all().filter(move |(number, _)| !created(*number)).map(|(_, table)| &table.schema)
    }

    /// What the hidden layers say about a row: the oldest image counts.
    fn image(&self, number: usize, id: u64) -> Option<Option<&'a Row>> {
        self.hidden.iter().find_map(|layer| layer.before.get(&(number, id)).map(Option::as_ref))
    }

    /// Calls `each` with every row in the order of insertion until it returns false.
    pub(crate) fn scan<E>(
        &self,
        number: usize,
        mut each: impl FnMut(u64, &'a Row) -> Result<bool, E>,
    ) -> Result<(), E> {
        let rows = self.tables.table(number).rows();
        if self.hidden.is_empty() {
            for (id, row) in rows {
                if !each(id, row)? {
                    break;
                }
            }
            return Ok(());
        }
        let mut visible: BTreeMap<u64, &Row> =
            rows.filter(|(id, _)| self.image(number, *id).is_none()).collect();
        for layer in self.hidden.iter().rev() {
            for ((_, id), image) in layer.before.range((number, 0)..=(number, u64::MAX)) {
                match image {
                    Some(row) => visible.insert(*id, row),
                    None => visible.remove(id),
                };
            }
        }
        for (id, row) in visible {
            if !each(id, row)? {
                break;
            }
        }
        Ok(())
    }

    /// Calls `each` with the rows of an index range, in the order of their keys, until it returns false. Costs one look at
    /// every row that a hidden layer changed.
    pub(crate) fn range<E>(
        &self,
        number: usize,
        index: usize,
        range: &Range,
        mut each: impl FnMut(u64, &'a Row) -> Result<bool, E>,
    ) -> Result<(), E> {
        let table = self.tables.table(number);
        let columns = table.schema.index_columns(index);
        let mut visible: BTreeMap<(Vec<&Value>, u64), &Row> = BTreeMap::new();
        for layer in &self.hidden {
            for ((_, id), image) in layer.before.range((number, 0)..=(number, u64::MAX)) {
                if let Some(row) = image
                    && self.image(number, *id) == Some(Some(row))
                {
                    let key: Vec<&Value> = columns.iter().map(|column| &row[*column]).collect();
                    if range.contains(&key) {
                        visible.insert((key, *id), row);
                    }
                }
            }
        }
        for id in table.range(index, range) {
            let Some(row) = table.get(id).filter(|_| self.image(number, id).is_none()) else {
                continue;
            };
            if self.hidden.is_empty() {
                if !each(id, row)? {
                    return Ok(());
                }
            } else {
                visible.insert((columns.iter().map(|column| &row[*column]).collect(), id), row);
            }
        }
        for ((_, id), row) in visible {
            if !each(id, row)? {
                break;
            }
        }
        Ok(())
    }

    /// The row with this key. Costs one look at every row that a hidden layer changed.
    pub(crate) fn lookup(&self, number: usize, index: usize, key: &[Value]) -> Option<(u64, &'a Row)> {
        let table = self.tables.table(number);
        let columns = &table.schema.uniques[index].columns;
        for layer in &self.hidden {
            for ((_, id), image) in layer.before.range((number, 0)..=(number, u64::MAX)) {
                if let Some(row) = image
                    && columns.iter().zip(key).all(|(column, value)| row[*column] == *value)
                    && self.image(number, *id) == Some(Some(row))
                {
                    return Some((*id, row));
                }
            }
        }
        let id = table.lookup(index, key)?;
        if self.image(number, id).is_some() { None } else { table.get(id).map(|row| (id, row)) }
    }
}
