//! Foreign keys at work: what a changed row owes to the rows that it refers to, and those that referred to it.
//!
//! Rows are changed first; what follows from that is a list of duties, seen to when the statement has done its own part
//! (PostgreSQL 16 docs, CREATE TABLE). Seeing to one may change further rows and add duties. Deliberately absent: `MATCH
//! FULL`, deferred constraints.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::{
    change::{Change, Given},
    constraint::{check_row, shown_key, unique_violation},
    plan::{Child, Integrity, Links, Parent},
};
use crate::{
    data::{Row, Value},
    error::{Result, SqlError, state},
    store::{Action, Catalog, Conflict, ForeignKey, Range, RowLock, Schema, TransactionId, View},
};

/// What is left to see to.
pub(super) type Duties = VecDeque<Duty>;

/// What follows from the change of one row.
pub(super) enum Duty {
    /// A row refers to something, by this of the table's references.
    Refers { table: usize, id: u64, parent: usize },
    /// Nothing may refer to `old` as this of the table's children does; `new` has taken its place, or nothing.
    Released { table: usize, child: usize, old: Row, new: Option<Row> },
}

/// The position of the unique index over exactly these columns.
pub(super) fn key_index(schema: &Schema, columns: &[usize]) -> Option<usize> {
    schema.indexes.iter().position(|index| {
        index.is_unique()
            && index.columns.len() == columns.len()
            && index.columns.iter().all(|column| columns.contains(column))
    })
}

/// The positions of the columns that a foreign key refers to.
pub(super) fn referred(schema: &Schema, key: &ForeignKey) -> Option<Vec<usize>> {
    key.referred.iter().map(|column| schema.column(column)).collect()
}

/// What the rows of a table refer to.
pub(super) fn parents(catalog: &Catalog<'_>, table: usize) -> Vec<Parent> {
    let parent = |(position, key): (usize, &ForeignKey)| {
        let table = catalog.lookup(&key.table)?;
        let schema = catalog.schema(table);
        let referred = referred(schema, key)?;
        let index = key_index(schema, &referred)?;
        let own = |column: &usize| Some(key.columns[referred.iter().position(|it| it == column)?]);
        let columns = schema.indexes[index].columns.iter().map(own).collect::<Option<_>>()?;
        Some(Parent { key: position, table, index, columns })
    };
    catalog.schema(table).references.iter().enumerate().filter_map(parent).collect()
}

/// The foreign keys that refer to a table.
pub(super) fn children(catalog: &Catalog<'_>, table: usize) -> Vec<Child> {
    let schema = catalog.schema(table);
    let mut children = Vec::new();
    for (number, other) in catalog.relations() {
        for (position, key) in other.references.iter().enumerate() {
            if *key.table == *schema.name
                && let Some(referred) = referred(schema, key)
            {
                let index = other.indexes.iter().position(|index| index.columns.starts_with(&key.columns));
                children.push(Child { table: number, key: position, referred, index });
            }
        }
    }
    children
}

/// The transaction in the way, if there is one.
type Held = Result<Option<TransactionId>>;

/// Notes what follows from the change of a row.
pub(super) fn note(
    links: Option<&Links>,
    table: usize,
    old: Option<&Row>,
    new: Option<(u64, &Row)>,
    duties: &mut Duties,
) {
    let Some(links) = links else {
        return;
    };
    if let Some((id, new)) = new {
        let same =
            |parent: &Parent| old.is_some_and(|old| parent.columns.iter().all(|at| old[*at] == new[*at]));
        let owed = links.parents.iter().enumerate().filter(|(_, parent)| !same(parent));
        duties.extend(owed.map(|(parent, _)| Duty::Refers { table, id, parent }));
    }
    if let Some(old) = old {
        let new = new.map(|(_, new)| new);
        let same =
            |child: &Child| new.is_some_and(|new| child.referred.iter().all(|at| old[*at] == new[*at]));
        let owed = links.children.iter().enumerate().filter(|(_, child)| !same(child));
        duties.extend(owed.map(|(child, _)| Duty::Released {
            table,
            child,
            old: old.clone(),
            new: new.cloned(),
        }));
    }
}

/// The values of a key; none if one of them is null.
fn key_of(row: &[Value], columns: &[usize]) -> Option<Vec<Value>> {
    columns.iter().map(|column| Some(row[*column].clone()).filter(|value| !value.is_null())).collect()
}

impl Change<'_> {
    /// Sees to every duty; the transaction in the way of one, if there is one.
    pub(super) fn settle(&mut self, integrity: &Integrity, given: Given<'_>, duties: &mut Duties) -> Held {
        while let Some(duty) = duties.pop_front() {
            let held = match &duty {
                Duty::Refers { table, id, parent } => {
                    self.find_parent(*table, *id, &integrity[table].parents[*parent])?
                }
                Duty::Released { table, child, old, new } => {
                    let child = &integrity[table].children[*child];
                    self.release(*table, child, old, new.as_ref(), integrity, given, duties)?
                }
            };
            if held.is_some() {
                duties.push_front(duty);
                return Ok(held);
            }
        }
        Ok(None)
    }

    fn view(&self) -> View<'_> {
        View::new(self.tables, Some(self.layer.owner), self.own)
    }

    /// Keeps the row that a row refers to from going.
    fn find_parent(&mut self, table: usize, id: u64, parent: &Parent) -> Held {
        let owner = self.layer.owner;
        let Some(row) = self.tables.table(table).seen(id, Some(owner)) else {
            return Ok(None);
        };
        let Some(key) = key_of(row, &parent.columns) else {
            return Ok(None);
        };
        let stored = self.tables.table(parent.table);
        let Some((found, _)) = stored.seen_with_key(parent.index, &key, Some(owner)) else {
            return Err(no_parent(&self.tables.table(table).schema, parent.key, row));
        };
        if let Some(holder) = stored.lock_holder(found, RowLock::KeyShare, owner) {
            return Ok(Some(holder));
        }
        self.tables.lock_in(self.layer, parent.table, found, RowLock::KeyShare);
        Ok(None)
    }

    /// Fails unless every row of a table refers to something that is there.
    pub(super) fn check_references(&self, table: usize) -> Result<()> {
        let parents = parents(&Catalog { tables: self.tables, own: true }, table);
        let stored = self.tables.table(table);
        for parent in &parents {
            let target = self.tables.table(parent.table);
            for (_, row) in stored.rows() {
                if let Some(key) = key_of(row, &parent.columns)
                    && target.lookup(parent.index, &key).is_none()
                {
                    return Err(no_parent(&stored.schema, parent.key, row));
                }
            }
        }
        Ok(())
    }

    /// The rows that refer to `key` by a foreign key.
    fn referring(&self, child: &Child, key: &[Value]) -> Result<Vec<u64>> {
        let columns = &self.tables.table(child.table).schema.references[child.key].columns;
        let mut found = Vec::new();
        let mut look = |id: u64, row: &Row| {
            if columns.iter().zip(key).all(|(column, value)| row[*column] == *value) {
                found.push(id);
            }
            Ok::<_, Box<SqlError>>(true)
        };
        match child.index {
            Some(index) => {
                let range = Range { prefix: key.to_vec(), low: None, high: None };
                self.view().range(child.table, index, &range, &mut look)?;
            }
            None => self.view().scan(child.table, &mut look)?,
        }
        Ok(found)
    }

    /// Does to the rows that refer to `old` what their foreign key says.
    #[expect(clippy::too_many_arguments, reason = "a duty taken apart")]
    fn release(
        &mut self,
        table: usize,
        child: &Child,
        old: &Row,
        new: Option<&Row>,
        integrity: &Integrity,
        given: Given<'_>,
        duties: &mut Duties,
    ) -> Held {
        let Some(key) = key_of(old, &child.referred) else {
            return Ok(None);
        };
        let foreign = &self.tables.table(child.table).schema.references[child.key];
        let action = if new.is_some() { foreign.on_update } else { foreign.on_delete };
        let columns = foreign.columns.clone();
        if action == Action::Nothing && self.is_there(table, child, &key) {
            return Ok(None);
        }
        for id in self.referring(child, &key)? {
            let stored = self.tables.table(child.table);
            let lock = match action {
                Action::Nothing | Action::Restrict => RowLock::KeyShare,
                _ => RowLock::Update,
            };
            if let Some(holder) = stored.lock_holder(id, lock, self.layer.owner) {
                return Ok(Some(holder));
            }
            let Some(row) = stored.get(id).cloned() else {
                continue;
            };
            let mut changed = row.to_vec();
            match (action, new) {
                (Action::Nothing | Action::Restrict, _) => {
                    let parent = &self.tables.table(table).schema;
                    return Err(still_referred(parent, &child.referred, old, &stored.schema, child.key));
                }
                (Action::Cascade, None) => {
                    self.tables.remove_in(self.layer, child.table, id);
                    note(integrity.get(&child.table), child.table, Some(&row), None, duties);
                    continue;
                }
                (Action::Cascade, Some(new)) => {
                    for (column, referred) in columns.iter().zip(&child.referred) {
                        changed[*column] = new[*referred].clone();
                    }
                }
                (Action::SetNull, _) => columns.iter().for_each(|column| changed[*column] = Value::Null),
                (Action::SetDefault, _) => {
                    for column in &columns {
                        let default = stored.schema.columns[*column].default.as_ref();
                        let value = default.map(|default| default.eval(&self.run(given).scope()));
                        changed[*column] = value.transpose()?.unwrap_or(Value::Null);
                    }
                }
            }
            check_row(&stored.schema, &changed, &self.run(given).scope())?;
            match stored.conflict(&changed, self.layer.owner, Some(id), None) {
                None => {}
                Some(Conflict::Undecided(holder)) => return Ok(Some(holder)),
                Some(Conflict::Row { index, .. }) => {
                    return Err(unique_violation(&stored.schema, index, &changed));
                }
            }
            let changed: Row = Arc::from(changed);
            self.tables.put_in(self.layer, child.table, id, changed.clone());
            note(integrity.get(&child.table), child.table, Some(&row), Some((id, &changed)), duties);
        }
        Ok(None)
    }

    /// Whether another row has taken over a key that has been given up.
    fn is_there(&self, table: usize, child: &Child, key: &[Value]) -> bool {
        let stored = self.tables.table(table);
        let Some(index) = key_index(&stored.schema, &child.referred) else {
            return false;
        };
        let value = |column: &usize| {
            child.referred.iter().position(|referred| referred == column).map(|at| key[at].clone())
        };
        let columns = &stored.schema.indexes[index].columns;
        let key: Option<Vec<Value>> = columns.iter().map(value).collect();
        key.is_some_and(|key| stored.seen_with_key(index, &key, Some(self.layer.owner)).is_some())
    }
}

fn no_parent(schema: &Schema, key: usize, row: &[Value]) -> Box<SqlError> {
    let ForeignKey { name, columns, table, .. } = &schema.references[key];
    let message =
        format!("insert or update on table \"{}\" violates foreign key constraint \"{name}\"", schema.name);
    SqlError::new(state::FOREIGN_KEY_VIOLATION, message)
        .detail(format!("Key {} is not present in table \"{table}\".", shown_key(schema, columns, row)))
        .table(&schema.name)
        .constraint(name)
}

fn still_referred(
    parent: &Schema,
    columns: &[usize],
    old: &[Value],
    child: &Schema,
    key: usize,
) -> Box<SqlError> {
    let name = &child.references[key].name;
    let message = format!(
        "update or delete on table \"{}\" violates foreign key constraint \"{name}\" on table \"{}\"",
        parent.name, child.name
    );
    let key = shown_key(parent, columns, old);
    SqlError::new(state::FOREIGN_KEY_VIOLATION, message)
        .detail(format!("Key {key} is still referenced from table \"{}\".", child.name))
        .table(&child.name)
        .constraint(name)
}

/// What the rows of the tables that a statement changes, also by foreign keys, are tied to.
pub(super) fn integrity(
    catalog: &Catalog<'_>,
    table: usize,
    mut uses: impl FnMut(&str) -> Result<usize>,
) -> Result<Integrity> {
    let mut integrity = BTreeMap::new();
    let mut open = vec![table];
    while let Some(table) = open.pop() {
        if integrity.contains_key(&table) {
            continue;
        }
        let links = Links { parents: parents(catalog, table), children: children(catalog, table) };
        for number in links.parents.iter().map(|it| it.table).chain(links.children.iter().map(|it| it.table))
        {
            uses(&catalog.schema(number).name)?;
        }
        let passive = |action| matches!(action, Action::Nothing | Action::Restrict);
        open.extend(links.children.iter().filter_map(|child| {
            let key = &catalog.schema(child.table).references[child.key];
            (!passive(key.on_delete) || !passive(key.on_update)).then_some(child.table)
        }));
        integrity.insert(table, links);
    }
    Ok(integrity)
}
