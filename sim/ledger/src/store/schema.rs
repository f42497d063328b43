//! The definition of a table.

use std::sync::Arc;

use crate::{
    data::{Modifier, Type},
    sql::Expr,
};

/// A table's columns and constraints, in the order of their declaration.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    pub(crate) name: Arc<str>,
    pub(crate) columns: Vec<Column>,
    /// Those of `PRIMARY KEY` and `UNIQUE`, then those of `CREATE INDEX`.
    pub(crate) indexes: Vec<Index>,
    /// Sorted by name, the order in which PostgreSQL checks them.
    pub(crate) checks: Vec<Check>,
    /// The statements that make this table again: `CREATE TABLE`, then `CREATE INDEX`.
    pub(crate) sql: Arc<str>,
}

#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) modifier: Modifier,
    pub(crate) not_null: bool,
    /// Already converted to the column's type.
    pub(crate) default: Option<Expr>,
}

#[derive(Clone, Debug)]
pub(crate) struct Index {
    pub(crate) name: String,
    pub(crate) columns: Vec<usize>,
    pub(crate) origin: Origin,
}

/// What made an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A `UNIQUE` constraint.
    Constraint,
    /// `CREATE INDEX`
    Index,
    PrimaryKey,
    /// `CREATE UNIQUE INDEX`
    UniqueIndex,
}

impl Index {
    pub(crate) fn is_primary(&self) -> bool {
        self.origin == Origin::PrimaryKey
    }

    /// Whether no two rows may have the same key.
    pub(crate) fn is_unique(&self) -> bool {
        self.origin != Origin::Index
    }

    /// Whether it belongs to a constraint, with which it comes and goes.
    pub(crate) fn is_constraint(&self) -> bool {
        matches!(self.origin, Origin::Constraint | Origin::PrimaryKey)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) condition: Expr,
    /// The condition as it was written.
    pub(crate) text: String,
}

impl Schema {
    /// The position of a column.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}
