//! All tables, by name and by number.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    lock::RowLock,
    schema::Schema,
    table::Table,
    transaction::{Deed, Layer, Mark},
};
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

    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut Table> {
        self.tables.get_mut(number)
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

    /// Every table with its number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &Table)> {
        self.tables.iter().enumerate()
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
        layer.deeds.push(Deed::Created(number));
    }

    /// Stores a row on behalf of the transaction of `layer`, which must be the only one with a change of it.
    pub(crate) fn put_in(&mut self, layer: &mut Layer, number: usize, id: u64, row: Row) {
        let (before, first) = self.tables[number].write(layer.owner, id, Some(row));
        layer.deeds.push(Deed::Wrote { table: number, id, before, first });
    }

    /// Removes a row on behalf of the transaction of `layer`, as [`Tables::put_in`].
    pub(crate) fn remove_in(&mut self, layer: &mut Layer, number: usize, id: u64) {
        let (before, first) = self.tables[number].write(layer.owner, id, None);
        layer.deeds.push(Deed::Wrote { table: number, id, before, first });
    }

    /// Locks a row that nobody else holds, for the transaction of `layer`.
    pub(crate) fn lock_in(&mut self, layer: &mut Layer, number: usize, id: u64, lock: RowLock) {
        let before = self.tables[number].lock(id, lock, layer.owner);
        if before.is_none_or(|before| before < lock) {
            layer.deeds.push(Deed::Locked { table: number, id, before });
        }
    }

    /// A change that is durable already, from the log.
    pub(crate) fn replay(&mut self, number: usize, id: u64, row: Option<Row>) {
        self.tables[number].replay(id, row);
    }

    /// Shows everybody what the transaction of `layer` did, and gives back what it held.
    pub(crate) fn publish(&mut self, layer: &Layer) {
        for deed in &layer.deeds {
            match deed {
                Deed::Created(number) => self.tables[*number].published = true,
                Deed::Locked { table, id, .. } => self.tables[*table].unlock(*id, layer.owner, None),
                Deed::Wrote { table, id, first: true, .. } => self.tables[*table].release(*id),
                Deed::Wrote { first: false, .. } => {}
            }
        }
    }

    /// Takes back what the transaction of `layer` did after `mark`.
    pub(crate) fn undo(&mut self, layer: &mut Layer, mark: Mark) {
        for deed in layer.deeds.drain(mark.0..).rev() {
            match deed {
                Deed::Created(number) => self.drop_last(number),
                Deed::Locked { table, id, before } => self.tables[table].unlock(id, layer.owner, before),
                Deed::Wrote { table, id, before, first } => self.tables[table].unwrite(id, before, first),
            }
        }
    }

    fn drop_last(&mut self, number: usize) {
        if let Some(table) = self.tables.pop() {
            debug_assert_eq!(self.tables.len(), number, "one transaction at a time changes the schema");
            self.names.remove(&table.schema.name);
            self.version += 1;
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
