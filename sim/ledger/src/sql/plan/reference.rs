//! What ties the rows of tables to each other.

use std::collections::BTreeMap;

/// By the number of a table that a statement may change.
pub(crate) type Integrity = BTreeMap<usize, Links>;

/// The foreign keys of a table, and those that refer to it.
#[derive(Debug)]
pub(crate) struct Links {
    pub(crate) parents: Vec<Parent>,
    pub(crate) children: Vec<Child>,
}

/// What a foreign key of a table refers to.
#[derive(Debug)]
pub(crate) struct Parent {
    /// The position of the foreign key.
    pub(crate) key: usize,
    pub(crate) table: usize,
    /// The unique index of that table.
    pub(crate) index: usize,
    /// The columns that refer, in the order of the index.
    pub(crate) columns: Vec<usize>,
}

/// A foreign key that refers to a table.
#[derive(Debug)]
pub(crate) struct Child {
    /// The table whose foreign key it is, and its position there.
    pub(crate) table: usize,
    pub(crate) key: usize,
    /// What it refers to, in its own order.
    pub(crate) referred: Vec<usize>,
    /// An index of that table that begins with the columns that refer.
    pub(crate) index: Option<usize>,
}
