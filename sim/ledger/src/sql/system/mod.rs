//! Tables that the server makes up: what it knows of itself, as rows.
//!
//! They follow PostgreSQL 16 as far as clients such as `psql` ask: not every column is there, and vectors are arrays.
//! Deliberately absent: the server's own tables, functions, operators and casts as rows of the catalog, and the tables that
//! a transaction has made and not committed yet.

mod definition;
mod empty;
mod information;
mod object;
mod relation;
mod sequence;
mod server;

use std::fmt;

use super::eval::Scope;
use crate::{
    data::{Type, Value},
    error::Result,
};

pub(crate) use definition::{check, key_columns};
pub(crate) use object::{DATABASE_OWNER, NAMESPACES, OWNER, Object, quoted, relation_name};

/// A made-up table.
pub(crate) struct SystemTable {
    /// `pg_catalog` or `information_schema`; the former needs not be written.
    pub(crate) schema: &'static str,
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [(&'static str, Type)],
    /// Its rows as the statement of the scope may see them.
    pub(crate) rows: fn(&Scope<'_>) -> Result<Vec<Vec<Value>>>,
}

impl fmt::Debug for SystemTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

impl PartialEq for SystemTable {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

static ALL: [&[SystemTable]; 5] = [empty::ALL, information::ALL, relation::ALL, sequence::ALL, server::ALL];

/// The table that a name means.
pub(crate) fn find(schema: Option<&str>, name: &str) -> Option<&'static SystemTable> {
    ALL.iter().copied().flatten().find(|table| {
        table.name == name && schema.map_or(table.schema == "pg_catalog", |schema| schema == table.schema)
    })
}

/// A table of `pg_catalog`.
const fn catalog(
    name: &'static str,
    columns: &'static [(&'static str, Type)],
    rows: fn(&Scope<'_>) -> Result<Vec<Vec<Value>>>,
) -> SystemTable {
    SystemTable { schema: "pg_catalog", name, columns, rows }
}

fn text(text: &str) -> Value {
    Value::from(text)
}

fn number(number: impl Into<i64>) -> Value {
    Value::Int(number.into())
}

const YES: Value = Value::Bool(true);
const NO: Value = Value::Bool(false);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_is_alphabetical() {
        for list in ALL {
            assert!(list.is_sorted_by_key(|table| table.name));
        }
    }
}
