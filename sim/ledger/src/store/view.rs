//! The tables as one reader sees them: what is durable, and its own changes.

use super::{index::Range, schema::Schema, table::Table, tables::Tables, transaction::TransactionId};
use crate::data::{Row, Value};

/// What a reader sees. It looks past the changes of all others.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    tables: &'a Tables,
    reader: Option<TransactionId>,
    /// Whether it sees the schema as the transaction that changes it does.
    own: bool,
}

impl<'a> View<'a> {
    pub(crate) fn new(tables: &'a Tables, reader: Option<TransactionId>, own: bool) -> Self {
        Self { tables, reader, own }
    }

    /// Whether it sees the schema as the transaction that changes it does.
    pub(crate) fn own(&self) -> bool {
        self.own
    }

    /// Calls `each` with every row in the order of insertion until it returns false.
    pub(crate) fn scan<E>(
        &self,
        number: usize,
        mut each: impl FnMut(u64, &'a Row) -> Result<bool, E>,
    ) -> Result<(), E> {
        let table = self.tables.table(number);
        let mut changes = table.changes().filter(|(_, change)| Some(change.owner) != self.reader).peekable();
        let mut rows = table.rows().peekable();
        loop {
            let row_id = rows.peek().map(|(id, _)| *id);
            let (id, row) = match (row_id, changes.peek()) {
                (None, None) => return Ok(()),
                (row_id, Some((id, change))) if row_id.is_none_or(|row_id| *id <= row_id) => {
                    let (id, before) = (*id, change.before.as_ref());
                    changes.next();
                    rows.next_if(|(row_id, _)| *row_id == id);
                    match before {
                        Some(before) => (id, before),
                        None => continue,
                    }
                }
                _ => match rows.next() {
                    Some(row) => row,
                    None => return Ok(()),
                },
            };
            if !each(id, row)? {
                return Ok(());
            }
        }
    }

    /// Calls `each` with the rows in a range of an index until it returns false.
    pub(crate) fn range<E>(
        &self,
        number: usize,
        index: usize,
        range: &Range,
        mut each: impl FnMut(u64, &Row) -> Result<bool, E>,
    ) -> Result<(), E> {
        for (id, row) in self.tables.table(number).seen_in_range(index, range, self.reader) {
            if !each(id, row)? {
                break;
            }
        }
        Ok(())
    }

    /// The definitions of the tables with their numbers, in the order of their creation.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (usize, &'a Schema)> + use<'a> {
        let published = |(_, table): &(usize, &Table)| table.published;
        self.tables.iter().filter(published).map(|(number, table)| (number, &table.schema))
    }

    /// The number and the definition of the relation that a name means.
    pub(crate) fn relation(&self, name: &str) -> Option<(usize, &'a Schema)> {
        let number = self.tables.find(name, self.own)?;
        Some((number, &self.tables.get(number)?.schema))
    }

    /// The relation with this number, if it still exists.
    pub(crate) fn table(&self, number: usize) -> Option<&'a Table> {
        self.tables.get(number)
    }

    /// The row with this key of a unique index.
    pub(crate) fn lookup(&self, number: usize, index: usize, key: &[Value]) -> Option<(u64, &'a Row)> {
        self.tables.table(number).seen_with_key(index, key, self.reader)
    }
}
