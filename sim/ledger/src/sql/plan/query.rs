//! Bound queries: where rows come from and what becomes of them.

use super::expr::Expr;
use crate::sql::{function::SetFunction, system::SystemTable};

/// A query with its order and its limits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Query {
    pub(crate) body: Body,
    /// Over what the projection of a `SELECT` reads; over the rows of any other body.
    pub(crate) order: Vec<OrderKey>,
    pub(crate) limit: Option<Expr>,
    pub(crate) offset: Option<Expr>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Body {
    Select(Box<Select>),
    Set(Box<SetOperation>),
    Values(Vec<Vec<Expr>>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SetOperation {
    pub(crate) kind: SetKind,
    /// Duplicates count.
    pub(crate) all: bool,
    pub(crate) left: Query,
    pub(crate) right: Query,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SetKind {
    Except,
    Intersect,
    Union,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Select {
    pub(crate) from: Source,
    /// What could not be checked closer to where rows come from.
    pub(crate) filter: Option<Expr>,
    /// When present, rows become groups, and what follows reads a row of keys and then aggregates.
    pub(crate) group: Option<Group>,
    pub(crate) projection: Vec<Expr>,
    pub(crate) distinct: Option<Distinct>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Distinct {
    Row,
    /// `DISTINCT ON`: these lead the order too.
    On(Vec<Expr>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    /// Without keys there is exactly one group, even of no rows.
    pub(crate) keys: Vec<Expr>,
    pub(crate) aggregates: Vec<Aggregate>,
    pub(crate) having: Option<Expr>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Aggregate {
    pub(crate) function: AggregateFunction,
    /// None for `count(*)`; a second one is the delimiter of `string_agg`.
    pub(crate) args: Vec<Expr>,
    pub(crate) distinct: bool,
    pub(crate) filter: Option<Expr>,
    pub(crate) order: Vec<OrderKey>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AggregateFunction {
    ArrayAgg,
    /// Of `numeric`.
    Avg,
    AvgFloat,
    BoolAnd,
    BoolOr,
    Count,
    JsonAgg,
    Max,
    Min,
    StringAgg,
    /// Of integers of up to four bytes, into `bigint`.
    SumInt,
    /// Of `numeric`.
    Sum,
    SumFloat,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OrderKey {
    pub(crate) expr: Expr,
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
}

/// Where rows come from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    /// A subquery in `FROM`; `args` are what it takes from the row to its left.
    Derived {
        query: Box<Query>,
        args: Vec<Expr>,
        width: usize,
    },
    /// A function that returns rows.
    Function {
        function: &'static SetFunction,
        args: Vec<Expr>,
        ordinality: bool,
    },
    Join(Box<Join>),
    /// One row without columns.
    Nothing,
    /// A table that the server makes up.
    System {
        table: &'static SystemTable,
        filter: Option<Expr>,
    },
    Table(Scan),
}

/// Rows of a table, and how to find them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scan {
    pub(crate) table: usize,
    pub(crate) width: usize,
    pub(crate) access: Access,
    /// Holds for every row taken, over the row of this table alone; also checked after a lookup.
    pub(crate) filter: Option<Expr>,
    /// The row's number follows its columns: for statements that change the row.
    pub(crate) with_id: bool,
}

/// How to find rows. The expressions read the row to the left of a join, if there is one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Access {
    /// Every row, in the order of insertion.
    All,
    /// At most one row: `key` gives every column of the unique index `index`.
    Key { index: usize, key: Vec<Expr> },
    /// The rows of an index whose first columns equal `prefix` and whose next column lies within the bounds.
    Range { index: usize, prefix: Vec<Expr>, low: Option<Limit>, high: Option<Limit> },
}

/// One end of a range.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Limit {
    pub(crate) value: Expr,
    pub(crate) inclusive: bool,
}

/// Two sources side by side: a row is a left row followed by a right row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Join {
    pub(crate) kind: JoinKind,
    pub(crate) left: Source,
    pub(crate) right: Source,
    /// The right source reads the left row, so it is run anew for each.
    pub(crate) dependent: bool,
    /// Pairs of expressions, over the left and over the right row, that must be equal.
    pub(crate) keys: Vec<(Expr, Expr)>,
    /// What else must hold, over the joined row.
    pub(crate) on: Option<Expr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinKind {
    Full,
    Inner,
    Left,
    Right,
}

impl JoinKind {
    /// Whether left rows without a partner appear, with nulls.
    pub(crate) fn keeps_left(self) -> bool {
        matches!(self, Self::Full | Self::Left)
    }

    /// Whether right rows without a partner appear, with nulls.
    pub(crate) fn keeps_right(self) -> bool {
        matches!(self, Self::Full | Self::Right)
    }
}

impl Source {
    /// The columns of a row.
    pub(crate) fn width(&self) -> usize {
        match self {
            Self::Derived { width, .. } => *width,
            Self::Function { function, ordinality, .. } => function.columns.len() + usize::from(*ordinality),
            Self::Join(join) => join.left.width() + join.right.width(),
            Self::Nothing => 0,
            Self::System { table, .. } => table.columns.len(),
            Self::Table(scan) => scan.width + usize::from(scan.with_id),
        }
    }
}
