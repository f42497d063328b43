//! What a statement has become once every name is a number: data only.

mod expr;
mod query;
mod reference;

use std::sync::Arc;

pub(crate) use expr::{Arithmetic, Comparison, Expr, Subquery, Usage};
pub(crate) use query::{
    Access, Aggregate, AggregateFunction, Body, Distinct, Group, Join, JoinKind, Limit, OrderKey, Query,
    Scan, Select, SetKind, SetOperation, Source,
};

pub(crate) use reference::{Child, Integrity, Links, Parent};

use crate::{
    data::{Modifier, Type},
    error::{Result, SqlError},
    store::{Origins, RowLock, TableLock},
};

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
    /// Why it cannot be run although it is sound: a constant has no value.
    pub(crate) unplannable: Option<Box<SqlError>>,
    /// What it does to a sequence although it is a query: `nextval()` or `setval()`.
    pub(crate) draws: Option<&'static str>,
    /// The tables that it reads and writes.
    pub(crate) tables: Box<[usize]>,
    /// The version of the schema that the numbers in `plan` belong to.
    pub(crate) schema: u64,
}

impl Prepared {
    /// # Errors
    /// When a constant of the statement has no value: PostgreSQL says so when it plans the statement, whatever rows there are.
    pub(crate) fn planned(&self) -> Result<()> {
        self.unplannable.clone().map_or(Ok(()), Err)
    }

    /// The locks that it needs on the tables it uses: what it changes or locks comes first among them.
    pub(crate) fn table_locks(&self) -> impl Iterator<Item = (usize, TableLock)> {
        let (strongest, all) = match &self.plan {
            // Also for CREATE INDEX, unlike PostgreSQL's: the table gets a new number, which nobody may miss.
            plan if plan.changes_schema() => (TableLock::AccessExclusive, true),
            plan if plan.locks() => (TableLock::RowShare, false),
            plan if plan.writes() => (TableLock::RowExclusive, false),
            _ => (TableLock::AccessShare, false),
        };
        let lock = move |position| if all || position == 0 { strongest } else { TableLock::AccessShare };
        self.tables.iter().enumerate().map(move |(position, table)| (*table, lock(position)))
    }
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
    AlterTable {
        reform: Option<Reform>,
        notices: Vec<SqlError>,
    },
    Begin {
        read_only: bool,
    },
    Checkpoint,
    Commit,
    CreateIndex {
        reform: Option<Reform>,
        notices: Vec<SqlError>,
    },
    CreateSequence(Create),
    CreateTable(Create),
    Delete(Delete),
    DropIndex {
        reform: Option<Reform>,
        notices: Vec<SqlError>,
    },
    /// Relations go, and what rests on them with them; `command` says what is meant to.
    Drop {
        command: &'static str,
        tables: Vec<usize>,
        reforms: Vec<Reform>,
        notices: Vec<SqlError>,
    },
    Insert(Insert),
    LockTable {
        tables: Vec<(usize, String)>,
        mode: TableLock,
        nowait: bool,
    },
    Release {
        savepoint: String,
    },
    Rollback,
    RollbackTo {
        savepoint: String,
    },
    Savepoint {
        name: String,
    },
    Select {
        query: Query,
        locking: Option<Locking>,
    },
    Set {
        name: String,
        value: Option<String>,
        local: bool,
    },
    SetTransaction {
        read_only: Option<bool>,
    },
    Show {
        name: String,
    },
    Truncate {
        tables: Vec<usize>,
        notices: Vec<SqlError>,
    },
    Update(Update),
}

impl Plan {
    /// Whether running it changes tables.
    pub(crate) fn writes(&self) -> bool {
        self.changes_schema() || matches!(self, Self::Delete(_) | Self::Insert(_) | Self::Update(_))
    }

    /// Whether running it locks rows that it does not change.
    pub(crate) fn locks(&self) -> bool {
        matches!(self, Self::Select { locking: Some(_), .. })
    }

    /// Whether running it changes the schema.
    pub(crate) fn changes_schema(&self) -> bool {
        matches!(
            self,
            Self::AlterTable { .. }
                | Self::CreateIndex { .. }
                | Self::CreateSequence(_)
                | Self::CreateTable(_)
                | Self::DropIndex { .. }
                | Self::Drop { .. }
                | Self::Truncate { .. }
        )
    }

    /// Whether it has an answer with rows, even if there are none this time.
    pub(crate) fn returns_rows(&self) -> bool {
        match self {
            Self::Select { .. } | Self::Show { .. } => true,
            Self::Delete(Delete { returning, .. })
            | Self::Insert(Insert { returning, .. })
            | Self::Update(Update { returning, .. }) => returning.is_some(),
            _ => false,
        }
    }

    /// The command as a command tag names it.
    pub(crate) fn command(&self) -> &'static str {
        match self {
            Self::AlterTable { .. } => "ALTER TABLE",
            Self::Begin { .. } => "BEGIN",
            Self::Checkpoint => "CHECKPOINT",
            Self::Commit => "COMMIT",
            Self::CreateIndex { .. } => "CREATE INDEX",
            Self::CreateSequence(_) => "CREATE SEQUENCE",
            Self::CreateTable(_) => "CREATE TABLE",
            Self::Delete(_) => "DELETE",
            Self::DropIndex { .. } => "DROP INDEX",
            Self::Drop { command, .. } => command,
            Self::Insert(_) => "INSERT",
            Self::LockTable { .. } => "LOCK TABLE",
            Self::Release { .. } => "RELEASE",
            Self::Rollback | Self::RollbackTo { .. } => "ROLLBACK",
            Self::Savepoint { .. } => "SAVEPOINT",
            Self::Select { .. } => "SELECT",
            Self::Set { value: None, local: false, .. } => "RESET",
            Self::Set { .. } | Self::SetTransaction { .. } => "SET",
            Self::Show { .. } => "SHOW",
            Self::Truncate { .. } => "TRUNCATE TABLE",
            Self::Update(_) => "UPDATE",
        }
    }
}

/// A relation is made.
#[derive(Debug)]
pub(crate) struct Create {
    pub(crate) name: String,
    pub(crate) if_not_exists: bool,
    /// What makes the relation.
    pub(crate) sql: String,
    /// What makes the sequences that belong to it.
    pub(crate) sequences: Vec<String>,
}

/// A table gets another definition.
#[derive(Debug)]
pub(crate) struct Reform {
    pub(crate) table: usize,
    /// What makes the table as it will be.
    pub(crate) sql: String,
    pub(crate) origins: Origins,
    /// New columns whose value is found for each row.
    pub(crate) computed: Vec<(usize, Expr)>,
    /// What makes the sequences that will belong to it.
    pub(crate) sequences: Vec<String>,
    /// The sequences that go with columns.
    pub(crate) drops: Vec<usize>,
}

#[derive(Debug)]
pub(crate) struct Insert {
    pub(crate) table: usize,
    pub(crate) rows: Rows,
    pub(crate) on_conflict: Option<OnConflict>,
    pub(crate) integrity: Integrity,
    pub(crate) returning: Option<Vec<Expr>>,
}

/// What is inserted: one expression per column of the table, defaults filled in.
#[derive(Debug)]
pub(crate) enum Rows {
    /// The expressions read a row of the query.
    Query {
        query: Query,
        exprs: Vec<Expr>,
    },
    Values(Vec<Vec<Expr>>),
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
    pub(crate) target: Target,
    /// Over the rows of the target, as `returning` is; there the new values have replaced the old.
    pub(crate) assignments: Vec<(usize, Expr)>,
    pub(crate) integrity: Integrity,
    pub(crate) returning: Option<Vec<Expr>>,
}

#[derive(Debug)]
pub(crate) struct Delete {
    pub(crate) table: usize,
    pub(crate) target: Target,
    pub(crate) integrity: Integrity,
    pub(crate) returning: Option<Vec<Expr>>,
}

/// The rows that an `UPDATE` or a `DELETE` concerns.
#[derive(Debug)]
pub(crate) enum Target {
    /// Rows that begin with those of the table and their numbers, because of `FROM` or `USING`. Of several rows with one
    /// number the first counts.
    Joined {
        source: Source,
        filter: Option<Expr>,
        /// The whole condition, for a row that has changed meanwhile.
        condition: Option<Expr>,
    },
    Plain(Scan),
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
