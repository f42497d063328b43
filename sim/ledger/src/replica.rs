//! Reads a log without a server: what the ledger would answer if it recovered from this image.

use crate::{
    data::{Row as Values, Value, text},
    store::{self, Position, Schema, Table, Tables},
};

/// The tables that a log describes, kept up to date from images of its file.
#[derive(Default)]
pub struct Replica {
    tables: Tables,
    position: Position,
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replica").field("position", &self.position).finish_non_exhaustive()
    }
}

impl Replica {
    /// Applies the whole records behind what has been applied already; a torn tail is left for the next image.
    ///
    /// Starts over when the image does not go on from what has been applied: when it is shorter, or holds something else
    /// where the last applied record was.
    pub fn catch_up(&mut self, wal: &[u8]) {
        if !self.continues(wal) {
            *self = Self::default();
        }
        while let Some(record) = store::next_record(wal, self.position) {
            if store::apply(record.payload, &mut self.tables).is_err() {
                break;
            }
            self.position = record.after;
        }
    }

    fn continues(&self, wal: &[u8]) -> bool {
        if self.position.end == 0 {
            return true;
        }
        let (last, end) = (self.position.last as usize, self.position.end as usize);
        // The check value alone tells records apart: it covers content, place and time of writing.
        end <= wal.len() && wal.get(last + 4..last + 12) == Some(&self.position.check.to_le_bytes())
    }

    /// The rows of a table in the order of insertion; none if there is no such table.
    pub fn rows<'a>(&'a self, table: &str) -> impl Iterator<Item = Row<'a>> + use<'a> {
        self.table(table)
            .into_iter()
            .flat_map(|table| table.rows().map(|(_, values)| Row { schema: &table.schema, values }))
    }

    /// The first row whose `column` reads `value`. One lookup if the column is a key of its own, else a scan.
    pub fn find<'a>(&'a self, table: &str, column: &str, value: &str) -> Option<Row<'a>> {
        let table = self.table(table)?;
        let schema = &table.schema;
        let position = schema.column(column)?;
        let key = text::parse(value, schema.columns[position].ty).ok()?;
        let index = schema.uniques.iter().position(|unique| unique.columns == [position]);
        let values = match index {
            Some(index) => table.get(table.lookup(index, std::slice::from_ref(&key))?)?,
            None => table.rows().find(|(_, row)| row[position] == key)?.1,
        };
        Some(Row { schema, values })
    }

    fn table(&self, name: &str) -> Option<&Table> {
        self.tables.get(self.tables.number(name)?)
    }
}

/// A row of a [`Replica`].
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    schema: &'a Schema,
    values: &'a Values,
}

impl Row<'_> {
    /// A column in PostgreSQL's text form; none if it is null or there is no such column.
    pub fn text(&self, column: &str) -> Option<String> {
        match &self.values[self.schema.column(column)?] {
            Value::Null => None,
            value => Some(text::show(value)),
        }
    }
}
