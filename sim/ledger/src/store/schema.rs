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
    /// `PRIMARY KEY` and `UNIQUE`; each has an index of the same position.
    pub(crate) uniques: Vec<Unique>,
    /// Sorted by name, the order in which PostgreSQL checks them.
    pub(crate) checks: Vec<Check>,
    /// The statement that makes this table again.
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
pub(crate) struct Unique {
    pub(crate) name: String,
    pub(crate) columns: Vec<usize>,
    pub(crate) origin: Origin,
}

/// What made a unique index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A `UNIQUE` constraint.
    Constraint,
    PrimaryKey,
}

impl Unique {
    pub(crate) fn is_primary(&self) -> bool {
        self.origin == Origin::PrimaryKey
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) condition: Expr,
}

impl Schema {
    /// The position of a column.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}
