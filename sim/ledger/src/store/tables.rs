//! All tables, by name and by number.

use std::{collections::BTreeMap, sync::Arc};

use super::{layer::Layer, schema::Schema, table::Table};
use crate::{
    data::Row,
    error::{Result, SqlError},
};

/// Every table; a table keeps its number for ever.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    tables: Vec<Table>,
    names: BTreeMap<Arc<str>, usize>,
    version: u64,
}

impl Tables {
    pub(crate) fn number(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    pub(crate) fn get(&self, number: usize) -> Option<&Table> {
        self.tables.get(number)
    }

    /// Every table and its number, in the order of names.
    pub(crate) fn all(&self) -> impl Iterator<Item = (usize, &Table)> {
        self.names.values().map(|number| (*number, &self.tables[*number]))
    }

    /// The table of a plan.
    ///
    /// # Panics
    /// When the plan was bound against another version of the schema: a caller compares versions first.
    pub(crate) fn table(&self, number: usize) -> &Table {
        &self.tables[number]
    }

    /// Changes with every change of the schema.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Adds a table whose name is free and returns its number.
    pub(crate) fn create(&mut self, schema: Schema) -> usize {
        let number = self.tables.len();
        self.names.insert(schema.name.clone(), number);
        self.tables.push(Table::new(schema));
        self.version += 1;
        number
    }

    /// Adds a table on behalf of the transaction of `layer`.
    pub(crate) fn create_in(&mut self, layer: &mut Layer, schema: Schema) {
        let number = self.create(schema);
        layer.created.push(number);
    }

    /// Stores a row on behalf of the transaction of `layer`.
    pub(crate) fn put_in(&mut self, layer: &mut Layer, number: usize, id: u64, row: Row) {
        let before = self.tables[number].put(id, row);
        layer.before.entry((number, id)).or_insert(before);
    }

    /// Removes a row on behalf of the transaction of `layer`.
    pub(crate) fn remove_in(&mut self, layer: &mut Layer, number: usize, id: u64) {
        let before = self.tables[number].remove(id);
        layer.before.entry((number, id)).or_insert(before);
    }

    /// A change that is durable already, from the log.
    pub(crate) fn replay(&mut self, number: usize, id: u64, row: Option<Row>) {
        match row {
            Some(row) => self.tables[number].put(id, row),
            None => self.tables[number].remove(id),
        };
    }

    /// Makes what `layer` created visible to all.
    pub(crate) fn publish(&mut self, layer: &Layer) {
        for number in &layer.created {
            self.tables[*number].published = true;
        }
    }

    /// Takes back everything that the transaction of `layer` did. Later layers must have been undone before.
    pub(crate) fn undo(&mut self, layer: Layer) {
        // First all removals, then all old rows: a key may have moved from row to row.
        for (number, id) in layer.before.keys() {
            self.tables[*number].remove(*id);
        }
        for ((number, id), before) in layer.before {
            if let Some(row) = before {
                self.tables[number].put(id, row);
            }
        }
        for number in layer.created.into_iter().rev() {
            if let Some(table) = self.tables.pop() {
                debug_assert_eq!(
                    self.tables.len(),
                    number,
                    "tables are dropped in the reverse order of creation"
                );
                self.names.remove(&table.schema.name);
                self.version += 1;
            }
        }
    }
}

/// The schema as one transaction sees it.
pub(crate) struct Catalog<'a> {
    pub(crate) tables: &'a Tables,
    /// Whether this is the transaction that may see unpublished tables.
    pub(crate) own: bool,
}

impl Catalog<'_> {
    /// The number of a table.
    pub(crate) fn find(&self, name: &str) -> Result<usize> {
        let number = self.tables.number(name).ok_or_else(|| SqlError::no_table(name))?;
        self.check(number)?;
        Ok(number)
    }

    /// Fails as if the table did not exist when this transaction may not see it.
    pub(crate) fn check(&self, number: usize) -> Result<()> {
        let table = self.tables.table(number);
        if table.published || self.own { Ok(()) } else { Err(SqlError::no_table(&table.schema.name)) }
    }

    pub(crate) fn schema(&self, number: usize) -> &Schema {
        &self.tables.table(number).schema
    }

    pub(crate) fn version(&self) -> u64 {
        self.tables.version()
    }
}
