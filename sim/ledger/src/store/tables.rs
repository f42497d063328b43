//! All tables, by name and by number.
//!
//! A change of a table's definition makes a new table with a new number. Until it is durable, the old one is what everybody
//! but its author finds under the name.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    lock::RowLock,
    schema::Schema,
    sequence::Drawn,
    table::{Duplicate, Origins, Table},
    transaction::{Deed, Layer, Mark},
};
use crate::{
    data::Row,
    error::{Result, SqlError},
};

/// Every table; a number is never used for another.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    /// By number. Those that are gone take no room, however many definitions there have been.
    tables: BTreeMap<usize, Table>,
    /// The number of the next one.
    next: usize,
    /// What is durable.
    names: BTreeMap<Arc<str>, usize>,
    /// What the transaction that changes the schema has made of names.
    renamed: BTreeMap<Arc<str>, Option<usize>>,
    /// The versions of the schema that the others and that transaction see.
    version: u64,
    own_version: u64,
    last_version: u64,
}

impl Tables {
    /// The number of a table that everybody sees.
    pub(crate) fn number(&self, name: &str) -> Option<usize> {
        self.find(name, false)
    }

    /// The number of a table as others see it, or as the transaction that changes the schema does.
    pub(crate) fn find(&self, name: &str, own: bool) -> Option<usize> {
        let renamed = if own { self.renamed.get(name) } else { None };
        renamed.copied().unwrap_or_else(|| self.names.get(name).copied())
    }

    /// The numbers of the tables that have a name, in the order of names.
    fn named(&self, own: bool) -> impl Iterator<Item = usize> {
        let names = self.names.iter().filter(move |(name, _)| !own || !self.renamed.contains_key(*name));
        let renamed = self.renamed.values().copied().filter(move |_| own).flatten();
        names.map(|(_, number)| *number).chain(renamed)
    }

    pub(crate) fn get(&self, number: usize) -> Option<&Table> {
        self.tables.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut Table> {
        self.tables.get_mut(&number)
    }

    /// The table of a plan.
    ///
    /// # Panics
    /// When the plan was bound against another version of the schema: a caller compares versions first.
    pub(crate) fn table(&self, number: usize) -> &Table {
        self.get(number).expect("a plan that fits the schema names tables that exist")
    }

    fn table_mut(&mut self, number: usize) -> &mut Table {
        self.get_mut(number).expect("who changes a table holds a lock that keeps it")
    }

    /// Changes with every change of the schema that others see, or that the transaction making it does.
    pub(crate) fn version(&self, own: bool) -> u64 {
        if own { self.own_version } else { self.version }
    }

    /// Every table with its number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &Table)> {
        self.tables.iter().map(|(number, table)| (*number, table))
    }

    /// How many numbers have been given for good.
    pub(super) fn settled(&self) -> usize {
        self.next - self.tables.values().rev().take_while(|table| !table.published).count()
    }

    /// Passes over the numbers below `next`.
    pub(super) fn skip_to(&mut self, next: usize) {
        self.next = self.next.max(next);
    }

    fn push(&mut self, table: Table) -> usize {
        let number = self.next;
        self.tables.insert(number, table);
        self.next += 1;
        number
    }

    /// Adds a table, whose name is free, on behalf of the transaction of `layer`; returns its number.
    pub(crate) fn create_in(&mut self, layer: &mut Layer, schema: Schema) -> usize {
        let name = schema.name.clone();
        let number = self.push(Table::new(schema));
        layer.deeds.push(Deed::Created(number));
        self.rename(layer, name, Some(number));
        number
    }

    /// Removes a table on behalf of the transaction of `layer`.
    pub(crate) fn drop_in(&mut self, layer: &mut Layer, number: usize) {
        let name = self.table(number).schema.name.clone();
        layer.deeds.push(Deed::Dropped(number));
        self.rename(layer, name, None);
    }

    /// Replaces a table by one of another definition, whose columns come from where `origins` say; returns its number.
    ///
    /// # Errors
    /// When two rows have the same unique key.
    pub(crate) fn reform_in(
        &mut self,
        layer: &mut Layer,
        old: usize,
        schema: Schema,
        origins: Origins,
    ) -> std::result::Result<usize, Duplicate> {
        let (before, name) = (self.table(old).schema.name.clone(), schema.name.clone());
        let number = self.push(self.table(old).reformed(schema, &origins)?);
        layer.deeds.push(Deed::Reformed { number, old, origins });
        self.rename(layer, before, None);
        self.rename(layer, name, Some(number));
        Ok(number)
    }

    fn rename(&mut self, layer: &mut Layer, name: Arc<str>, number: Option<usize>) {
        let before = self.renamed.insert(name.clone(), number);
        layer.deeds.push(Deed::Named { name, before });
        self.own_version = self.next_version();
    }

    fn next_version(&mut self) -> u64 {
        self.last_version += 1;
        self.last_version
    }

    /// Stores a row on behalf of the transaction of `layer`, which must be the only one with a change of it.
    pub(crate) fn put_in(&mut self, layer: &mut Layer, number: usize, id: u64, row: Row) {
        let (before, first) = self.table_mut(number).write(layer.owner, id, Some(row));
        layer.deeds.push(Deed::Wrote { table: number, id, before, first });
    }

    /// Removes a row on behalf of the transaction of `layer`, as [`Tables::put_in`].
    pub(crate) fn remove_in(&mut self, layer: &mut Layer, number: usize, id: u64) {
        let (before, first) = self.table_mut(number).write(layer.owner, id, None);
        layer.deeds.push(Deed::Wrote { table: number, id, before, first });
    }

    /// Sets a sequence at once and for everybody, whatever becomes of the transaction of `layer`; the log is told when that
    /// commits. One that has gone is passed over.
    pub(crate) fn draw_in(&mut self, layer: &mut Layer, number: usize, drawn: Drawn) {
        let Some(row) = self.get_mut(number).and_then(|table| table.draw(drawn)) else {
            return;
        };
        let told = layer.deeds.iter_mut().find_map(|deed| match deed {
            Deed::Drew { sequence, row } if *sequence == number => Some(row),
            _ => None,
        });
        match told {
            Some(told) => *told = row,
            None => layer.deeds.push(Deed::Drew { sequence: number, row }),
        }
    }

    /// Lets the next draw from every sequence be told to the log: a checkpoint holds where they stand now, no more.
    pub(super) fn forget_reserved(&mut self) {
        self.tables.values_mut().for_each(Table::forget_reserved);
    }

    /// Locks a row that nobody else holds, for the transaction of `layer`.
    pub(crate) fn lock_in(&mut self, layer: &mut Layer, number: usize, id: u64, lock: RowLock) {
        let before = self.table_mut(number).lock(id, lock, layer.owner);
        if before.is_none_or(|before| before < lock) {
            layer.deeds.push(Deed::Locked { table: number, id, before });
        }
    }

    /// Shows everybody what the transaction of `layer` did, and gives back what it held.
    pub(crate) fn publish(&mut self, layer: &Layer) {
        for deed in &layer.deeds {
            match deed {
                Deed::Created(number) => self.table_mut(*number).published = true,
                Deed::Drew { sequence, row } => {
                    if let Some(table) = self.get_mut(*sequence) {
                        table.reserve_values(row);
                    }
                }
                Deed::Dropped(number) => drop(self.tables.remove(number)),
                Deed::Locked { table, id, .. } => self.table_mut(*table).unlock(*id, layer.owner, None),
                Deed::Named { name, .. } => self.publish_name(name),
                Deed::Reformed { number, old, .. } => {
                    self.tables.remove(old);
                    self.table_mut(*number).published = true;
                }
                Deed::Wrote { table, id, first: true, .. } => self.table_mut(*table).release(*id),
                Deed::Wrote { first: false, .. } => {}
            }
        }
    }

    fn publish_name(&mut self, name: &Arc<str>) {
        // A name that was changed several times has been dealt with the first time.
        if let Some(number) = self.renamed.remove(name) {
            match number {
                Some(number) => self.names.insert(name.clone(), number),
                None => self.names.remove(name),
            };
            self.version = self.next_version();
            self.own_version = self.version;
        }
    }

    /// Takes back what the transaction of `layer` did after `mark`.
    pub(crate) fn undo(&mut self, layer: &mut Layer, mark: Mark) {
        let mut draws = Vec::new();
        for deed in layer.deeds.drain(mark.0..).rev() {
            match deed {
                // What has been drawn stays drawn.
                Deed::Drew { .. } => draws.push(deed),
                Deed::Created(number) | Deed::Reformed { number, .. } => self.drop_last(number),
                Deed::Dropped(_) => {}
                Deed::Locked { table, id, before } => self.table_mut(table).unlock(id, layer.owner, before),
                Deed::Named { name, before } => {
                    match before {
                        Some(before) => self.renamed.insert(name, before),
                        None => self.renamed.remove(&name),
                    };
                    self.own_version = self.next_version();
                }
                Deed::Wrote { table, id, before, first } => self.table_mut(table).unwrite(id, before, first),
            }
        }
        let exists =
            |deed: &Deed| matches!(deed, Deed::Drew { sequence, .. } if self.get(*sequence).is_some());
        layer.deeds.extend(draws.into_iter().filter(exists));
    }

    fn drop_last(&mut self, number: usize) {
        debug_assert_eq!(self.next, number + 1, "one transaction at a time changes the schema");
        self.tables.remove(&number);
        self.next = number;
    }
}

/// The schema as one transaction sees it.
pub(crate) struct Catalog<'a> {
    pub(crate) tables: &'a Tables,
    /// Whether this is the transaction that may see unpublished tables.
    pub(crate) own: bool,
}

impl<'a> Catalog<'a> {
    /// The number of a table.
    pub(crate) fn find(&self, name: &str) -> Result<usize> {
        self.lookup(name).ok_or_else(|| SqlError::no_table(name))
    }

    /// The number of a relation, if there is one of the name.
    pub(crate) fn lookup(&self, name: &str) -> Option<usize> {
        self.tables.find(name, self.own)
    }

    /// The table that has an index of this name, and its position.
    pub(crate) fn find_index(&self, name: &str) -> Option<(usize, usize)> {
        self.tables.named(self.own).find_map(|number| {
            let position = self.schema(number).indexes.iter().position(|index| index.name == name)?;
            Some((number, position))
        })
    }

    /// Every relation with its number, in the order of names.
    pub(crate) fn relations(&self) -> impl Iterator<Item = (usize, &'a Schema)> + use<'a> {
        let tables = self.tables;
        tables.named(self.own).map(|number| (number, &tables.table(number).schema))
    }

    /// Whether a table or an index has this name: they share one space of names.
    pub(crate) fn is_taken(&self, name: &str) -> bool {
        self.lookup(name).is_some() || self.find_index(name).is_some()
    }

    /// Fails as if the table did not exist when this transaction may not see it.
    pub(crate) fn check(&self, number: usize) -> Result<()> {
        let table = self.tables.table(number);
        if table.published || self.own { Ok(()) } else { Err(SqlError::no_table(&table.schema.name)) }
    }

    pub(crate) fn schema(&self, number: usize) -> &'a Schema {
        &self.tables.table(number).schema
    }

    pub(crate) fn version(&self) -> u64 {
        self.tables.version(self.own)
    }
}
