//! What a statement has become once every name is a number: data only.

use std::sync::Arc;

use crate::data::cast::Context;
use crate::data::{Modifier, Type, Value};
use crate::store::{RowLock, TableLock};

/// A statement that is ready to run, shared by everyone who sends the same text.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The object ids that the client gave for parameters; 0 leaves the choice to the server.
    pub(crate) declared: Box<[u32]>,
    /// The type of each parameter.
    pub(crate) params: Vec<Type>,
    /// The columns of the answer; empty when it has no rows.
    pub(crate) columns: Arc<[Output]>,
    pub(crate) plan: Plan,
    /// The version of the schema that the numbers in `plan` belong to.
    pub(crate) schema: u64,
}

/// A column of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) modifier: Modifier,
}

#[derive(Debug)]
pub(crate) enum Plan {
    Begin { read_only: bool },
    Checkpoint,
    Commit,
    CreateTable { name: String, if_not_exists: bool, sql: String },
    Delete(Delete),
    Insert(Insert),
    LockTable { tables: Vec<(usize, String)>, mode: TableLock, nowait: bool },
    Release { savepoint: String },
    Rollback,
    RollbackTo { savepoint: String },
    Savepoint { name: String },
    Select(Select),
    Set { name: String, value: Option<String>, local: bool },
    SetTransaction { read_only: Option<bool> },
    Show { name: String },
    Update(Update),
}

impl Plan {
    /// Whether running it changes tables.
    pub(crate) fn writes(&self) -> bool {
        matches!(self, Self::CreateTable { .. } | Self::Delete(_) | Self::Insert(_) | Self::Update(_))
    }

    /// Whether running it locks rows that it does not change.
    pub(crate) fn locks(&self) -> bool {
        matches!(self, Self::Select(Select { locking: Some(_), .. }))
    }

    /// Whether running it changes the schema.
    pub(crate) fn changes_schema(&self) -> bool {
        matches!(self, Self::CreateTable { .. })
    }

    /// The lock that it needs on the table it reads or writes.
    pub(crate) fn table_lock(&self) -> Option<(usize, TableLock)> {
        let mode = match self {
            _ if self.locks() => TableLock::RowShare,
            _ if self.writes() => TableLock::RowExclusive,
            _ => TableLock::AccessShare,
        };
        self.table().map(|table| (table, mode))
    }

    /// Whether it has an answer with rows, even if there are none this time.
    pub(crate) fn returns_rows(&self) -> bool {
        match self {
            Self::Select(_) | Self::Show { .. } => true,
            Self::Delete(Delete { returning, .. })
            | Self::Insert(Insert { returning, .. })
            | Self::Update(Update { returning, .. }) => returning.is_some(),
            _ => false,
        }
    }

    /// The command as a command tag names it.
    pub(crate) fn command(&self) -> &'static str {
        match self {
            Self::Begin { .. } => "BEGIN",
            Self::Checkpoint => "CHECKPOINT",
            Self::Commit => "COMMIT",
            Self::CreateTable { .. } => "CREATE TABLE",
            Self::Delete(_) => "DELETE",
            Self::Insert(_) => "INSERT",
            Self::LockTable { .. } => "LOCK TABLE",
            Self::Release { .. } => "RELEASE",
            Self::Rollback | Self::RollbackTo { .. } => "ROLLBACK",
            Self::Savepoint { .. } => "SAVEPOINT",
            Self::Select(_) => "SELECT",
            Self::Set { value: None, local: false, .. } => "RESET",
            Self::Set { .. } | Self::SetTransaction { .. } => "SET",
            Self::Show { .. } => "SHOW",
            Self::Update(_) => "UPDATE",
        }
    }

    /// The table it reads or writes.
    pub(crate) fn table(&self) -> Option<usize> {
        match self {
            Self::Delete(Delete { table, .. })
            | Self::Insert(Insert { table, .. })
            | Self::Update(Update { table, .. }) => Some(*table),
            Self::Select(select) => select.table,
            _ => None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Insert {
    pub(crate) table: usize,
    /// One expression per column of the table, defaults filled in.
    pub(crate) rows: Vec<Vec<Expr>>,
    pub(crate) on_conflict: Option<OnConflict>,
    pub(crate) returning: Option<Vec<Expr>>,
}

#[derive(Debug)]
pub(crate) struct OnConflict {
    /// The unique index whose conflicts are handled; none means any.
    pub(crate) index: Option<usize>,
    pub(crate) action: ConflictAction,
}

#[derive(Debug)]
pub(crate) enum ConflictAction {
    Nothing,
    Update { assignments: Vec<(usize, Expr)>, filter: Option<Expr> },
}

#[derive(Debug)]
pub(crate) struct Update {
    pub(crate) table: usize,
    pub(crate) source: Source,
    pub(crate) assignments: Vec<(usize, Expr)>,
    pub(crate) returning: Option<Vec<Expr>>,
}

#[derive(Debug)]
pub(crate) struct Delete {
    pub(crate) table: usize,
    pub(crate) source: Source,
    pub(crate) returning: Option<Vec<Expr>>,
}

#[derive(Debug)]
pub(crate) struct Select {
    /// None for a `SELECT` without `FROM`.
    pub(crate) table: Option<usize>,
    pub(crate) source: Source,
    /// When not empty, the rows become one row of these, which `projection` then reads as its columns.
    pub(crate) aggregates: Vec<Aggregate>,
    pub(crate) projection: Vec<Expr>,
    pub(crate) order: Vec<OrderKey>,
    pub(crate) limit: Option<Expr>,
    pub(crate) offset: Option<Expr>,
    pub(crate) locking: Option<Locking>,
}

/// `FOR UPDATE` and its like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Locking {
    pub(crate) lock: RowLock,
    pub(crate) wait: WaitPolicy,
}

/// What to do about a row that another transaction holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitPolicy {
    Block,
    /// `NOWAIT`
    Never,
    /// `SKIP LOCKED`
    Skip,
}

/// Which rows of a table, and how to find them.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) access: Access,
    /// Holds for every row taken; also checked after a lookup.
    pub(crate) filter: Option<Expr>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Access {
    /// Every row, in the order of insertion.
    Scan,
    /// At most one row: `key` gives every column of the unique index `index`.
    Key { index: usize, key: Vec<Expr> },
}

#[derive(Debug)]
pub(crate) struct OrderKey {
    pub(crate) expr: Expr,
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
}

#[derive(Debug)]
pub(crate) struct Aggregate {
    pub(crate) function: AggregateFunction,
    /// None for `count(*)`.
    pub(crate) argument: Option<Expr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AggregateFunction {
    Count,
    Max,
    Min,
    /// Of integers of four bytes, into `bigint`.
    SumInt4,
    /// Of `bigint` or `numeric`, into `numeric`.
    Sum,
}

/// An expression over one row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    And(Box<Expr>, Box<Expr>),
    Arithmetic {
        op: Arithmetic,
        ty: Type,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    Call {
        function: Function,
        args: Vec<Expr>,
    },
    /// `WHEN … THEN …` pairs and `ELSE`.
    Case {
        branches: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Cast {
        expr: Box<Expr>,
        from: Type,
        to: Type,
        modifier: Modifier,
        context: Context,
    },
    Coalesce(Vec<Expr>),
    Column(usize),
    Compare {
        op: Comparison,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    Concat(Box<Expr>, Box<Expr>),
    Const(Value),
    /// `IS [NOT] DISTINCT FROM`: null equals null.
    Distinct {
        left: Box<Expr>,
        right: Box<Expr>,
        negated: bool,
    },
    /// A column of the row that an `INSERT` proposed.
    Excluded(usize),
    /// `greatest` or `least`: nulls are passed over.
    Extreme {
        greatest: bool,
        args: Vec<Expr>,
    },
    In {
        expr: Box<Expr>,
        list: Vec<Expr>,
        negated: bool,
    },
    /// `IS [NOT] TRUE`, `IS [NOT] FALSE`.
    Is {
        expr: Box<Expr>,
        value: bool,
        negated: bool,
    },
    IsNull {
        expr: Box<Expr>,
        negated: bool,
    },
    /// `->`, or `->>` when `as_text`.
    JsonGet {
        document: Box<Expr>,
        key: Box<Expr>,
        as_text: bool,
    },
    Like {
        expr: Box<Expr>,
        pattern: Box<Expr>,
        any_case: bool,
        negated: bool,
    },
    Negate {
        expr: Box<Expr>,
        ty: Type,
    },
    Not(Box<Expr>),
    /// The start of the transaction.
    Now,
    NullIf(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Param(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    NotEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Divide,
    Multiply,
    Remainder,
    Subtract,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Abs(Type),
    BackendPid,
    CancelBackend,
    Length,
    Lower,
    TerminateBackend,
    Upper,
}

impl Expr {
    /// Whether the value is the same for every row of a statement.
    pub(crate) fn is_constant(&self) -> bool {
        let mut constant = true;
        self.visit(&mut |expr| constant &= !matches!(expr, Self::Column(_) | Self::Excluded(_)));
        constant
    }

    /// Calls `look` with the expression and everything below it.
    pub(crate) fn visit(&self, look: &mut impl FnMut(&Self)) {
        look(self);
        match self {
            Self::Column(_) | Self::Const(_) | Self::Excluded(_) | Self::Now | Self::Param(_) => {}
            Self::Cast { expr, .. }
            | Self::Is { expr, .. }
            | Self::IsNull { expr, .. }
            | Self::Negate { expr, .. }
            | Self::Not(expr) => expr.visit(look),
            Self::And(a, b) | Self::Concat(a, b) | Self::NullIf(a, b) | Self::Or(a, b) => {
                a.visit(look);
                b.visit(look);
            }
            Self::Arithmetic { left: a, right: b, .. }
            | Self::Compare { left: a, right: b, .. }
            | Self::Distinct { left: a, right: b, .. }
            | Self::JsonGet { document: a, key: b, .. }
            | Self::Like { expr: a, pattern: b, .. } => {
                a.visit(look);
                b.visit(look);
            }
            Self::Call { args, .. } | Self::Coalesce(args) | Self::Extreme { args, .. } => {
                args.iter().for_each(|arg| arg.visit(look));
            }
            Self::In { expr, list, .. } => {
                expr.visit(look);
                list.iter().for_each(|item| item.visit(look));
            }
            Self::Case { branches, otherwise } => {
                for (condition, result) in branches {
                    condition.visit(look);
                    result.visit(look);
                }
                if let Some(otherwise) = otherwise {
                    otherwise.visit(look);
                }
            }
        }
    }
}
