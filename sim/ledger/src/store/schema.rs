//! The definition of a relation: a table, or a sequence.

use std::sync::Arc;

use super::sequence::Sequence;
use crate::{
    data::{Modifier, Type},
    sql::Expr,
};

/// A relation's columns and constraints, in the order of their declaration.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    pub(crate) name: Arc<str>,
    pub(crate) kind: Kind,
    pub(crate) columns: Vec<Column>,
    /// Those of `PRIMARY KEY` and `UNIQUE`, then those of `CREATE INDEX`.
    pub(crate) indexes: Vec<Index>,
    /// Sorted by name, the order in which PostgreSQL checks them.
    pub(crate) checks: Vec<Check>,
    pub(crate) references: Vec<ForeignKey>,
    /// The statements that make this relation again: `CREATE TABLE` and then `CREATE INDEX`, or `CREATE SEQUENCE`.
    pub(crate) sql: Arc<str>,
}

/// What a relation is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Its only row is where it stands.
    Sequence(Sequence),
    Table,
}

impl Kind {
    /// As error messages name it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Sequence(_) => "sequence",
            Self::Table => "table",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) modifier: Modifier,
    pub(crate) not_null: bool,
    /// Already converted to the column's type.
    pub(crate) default: Option<Expr>,
    /// The sequence that belongs to the column, and comes and goes with it.
    pub(crate) supply: Option<Supply>,
}

/// A sequence that belongs to a column, whose default draws from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Supply {
    /// The sequence's name.
    pub(crate) sequence: String,
    /// None for `SERIAL`.
    pub(crate) identity: Option<Identity>,
}

/// `GENERATED … AS IDENTITY`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    Always,
    ByDefault,
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

/// `FOREIGN KEY`. What it refers to is known by name.
#[derive(Clone, Debug)]
pub(crate) struct ForeignKey {
    pub(crate) name: String,
    pub(crate) columns: Vec<usize>,
    pub(crate) table: String,
    /// One for each of `columns`.
    pub(crate) referred: Vec<String>,
    pub(crate) on_delete: Action,
    pub(crate) on_update: Action,
}

/// What becomes of a row that refers to one that goes or gets another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Cascade,
    Nothing,
    Restrict,
    SetDefault,
    SetNull,
}

impl Action {
    /// As SQL names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cascade => "CASCADE",
            Self::Nothing => "NO ACTION",
            Self::Restrict => "RESTRICT",
            Self::SetDefault => "SET DEFAULT",
            Self::SetNull => "SET NULL",
        }
    }
}

impl ForeignKey {
    /// What is said of deletes and updates, in PostgreSQL's order.
    pub(crate) fn actions(&self) -> String {
        let clause = |event: &str, action: Action| match action {
            Action::Nothing => String::new(),
            action => format!(" ON {event} {}", action.name()),
        };
        clause("UPDATE", self.on_update) + &clause("DELETE", self.on_delete)
    }
}

impl Schema {
    /// The definition of the sequence, if it is one.
    pub(crate) fn sequence(&self) -> Option<&Sequence> {
        match &self.kind {
            Kind::Sequence(sequence) => Some(sequence),
            Kind::Table => None,
        }
    }

    /// The position of a column.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}
