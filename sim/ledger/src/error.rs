//! What a client is told when a statement fails: SQLSTATE, message and the fields that PostgreSQL adds.
//!
//! Codes are those of the PostgreSQL 16 documentation, appendix A; messages are worded as PostgreSQL 16 words them, because
//! clients and operators match on them.

use std::{borrow::Cow, fmt};

/// The result of anything that a statement can get wrong.
pub(crate) type Result<T> = std::result::Result<T, Box<SqlError>>;

/// SQLSTATE codes (PostgreSQL 16 documentation, appendix A).
pub(crate) mod state {
    pub(crate) const ACTIVE_TRANSACTION: &str = "25001";
    pub(crate) const ADMIN_CRASH: &str = "57P02";
    pub(crate) const ADMIN_SHUTDOWN: &str = "57P01";
    pub(crate) const AMBIGUOUS_COLUMN: &str = "42702";
    pub(crate) const AMBIGUOUS_FUNCTION: &str = "42725";
    pub(crate) const BAD_BINARY: &str = "22P03";
    pub(crate) const BAD_ENCODING: &str = "22021";
    pub(crate) const BAD_TEXT: &str = "22P02";
    pub(crate) const CANNOT_COERCE: &str = "42846";
    pub(crate) const CANNOT_CONNECT_NOW: &str = "57P03";
    pub(crate) const CARDINALITY_VIOLATION: &str = "21000";
    pub(crate) const CHECK_VIOLATION: &str = "23514";
    pub(crate) const CONFIGURATION_LIMIT: &str = "53400";
    pub(crate) const CONNECTION_FAILURE: &str = "08006";
    pub(crate) const DATATYPE_MISMATCH: &str = "42804";
    pub(crate) const DATETIME_OVERFLOW: &str = "22008";
    pub(crate) const BAD_DATETIME: &str = "22007";
    pub(crate) const DEPENDENT_OBJECTS: &str = "2BP01";
    pub(crate) const DISK_FULL: &str = "53100";
    pub(crate) const DEADLOCK_DETECTED: &str = "40P01";
    pub(crate) const DIVISION_BY_ZERO: &str = "22012";
    pub(crate) const DUPLICATE_ALIAS: &str = "42712";
    pub(crate) const DUPLICATE_COLUMN: &str = "42701";
    pub(crate) const DUPLICATE_OBJECT: &str = "42710";
    pub(crate) const DUPLICATE_PORTAL: &str = "42P03";
    pub(crate) const DUPLICATE_PREPARED: &str = "42P05";
    pub(crate) const DUPLICATE_TABLE: &str = "42P07";
    pub(crate) const FAILED_TRANSACTION: &str = "25P02";
    pub(crate) const FEATURE_NOT_SUPPORTED: &str = "0A000";
    pub(crate) const GROUPING_ERROR: &str = "42803";
    pub(crate) const INVALID_AUTHORIZATION: &str = "28000";
    pub(crate) const INVALID_COLUMN_REFERENCE: &str = "42P10";
    pub(crate) const INVALID_CURSOR: &str = "34000";
    pub(crate) const INVALID_ESCAPE: &str = "22025";
    pub(crate) const INVALID_FOREIGN_KEY: &str = "42830";
    pub(crate) const INVALID_LIMIT: &str = "2201W";
    pub(crate) const INVALID_OFFSET: &str = "2201X";
    pub(crate) const INVALID_PARAMETER_VALUE: &str = "22023";
    pub(crate) const INVALID_PASSWORD: &str = "28P01";
    pub(crate) const INVALID_REGEX: &str = "2201B";
    pub(crate) const INVALID_SAVEPOINT: &str = "3B001";
    pub(crate) const INVALID_STATEMENT_NAME: &str = "26000";
    pub(crate) const INVALID_TABLE_DEFINITION: &str = "42P16";
    pub(crate) const FOREIGN_KEY_VIOLATION: &str = "23503";
    pub(crate) const GENERATED_ALWAYS: &str = "428C9";
    pub(crate) const IDLE_IN_TRANSACTION: &str = "25P03";
    pub(crate) const INTERNAL_ERROR: &str = "XX000";
    pub(crate) const IO_ERROR: &str = "58030";
    pub(crate) const LOCK_NOT_AVAILABLE: &str = "55P03";
    pub(crate) const NO_ACTIVE_TRANSACTION: &str = "25P01";
    pub(crate) const NOT_NULL_VIOLATION: &str = "23502";
    pub(crate) const NOT_IN_STATE: &str = "55000";
    pub(crate) const OUT_OF_RANGE: &str = "22003";
    pub(crate) const PROGRAM_LIMIT: &str = "54000";
    pub(crate) const PROTOCOL_VIOLATION: &str = "08P01";
    pub(crate) const QUERY_CANCELED: &str = "57014";
    pub(crate) const READ_ONLY_TRANSACTION: &str = "25006";
    pub(crate) const SEQUENCE_LIMIT: &str = "2200H";
    pub(crate) const SERIALIZATION_FAILURE: &str = "40001";
    pub(crate) const STATEMENT_TOO_COMPLEX: &str = "54001";
    pub(crate) const STRING_TOO_LONG: &str = "22001";
    pub(crate) const SUCCESS: &str = "00000";
    pub(crate) const SYNTAX_ERROR: &str = "42601";
    pub(crate) const TOO_MANY_CONNECTIONS: &str = "53300";
    pub(crate) const UNDEFINED_COLUMN: &str = "42703";
    pub(crate) const UNDEFINED_FUNCTION: &str = "42883";
    pub(crate) const UNDEFINED_OBJECT: &str = "42704";
    pub(crate) const UNDEFINED_PARAMETER: &str = "42P02";
    pub(crate) const UNDEFINED_SCHEMA: &str = "3F000";
    pub(crate) const UNDEFINED_TABLE: &str = "42P01";
    pub(crate) const UNIQUE_VIOLATION: &str = "23505";
    pub(crate) const WRONG_OBJECT_TYPE: &str = "42809";
}

/// How bad it is (PostgreSQL 16 docs, §20.8.2): after `Fatal` and `Panic` the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    Error,
    Fatal,
    Panic,
    /// The connection is cut without a word: a fault that somebody injects.
    Cut,
}

impl Severity {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
            Self::Panic | Self::Cut => "PANIC",
        }
    }
}

/// Where in the text of a statement an error is. Characters are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    At(u64),
    /// At the first token behind this character that reads so: where syntax trees do not keep the places of operators.
    After(u64, Cow<'static, str>),
    /// At the `::` behind this character, counted from 0.
    Cast(u64, usize),
    /// At the last token before this character that reads so.
    Before(u64, &'static str),
}

/// One error as it goes into an `ErrorResponse`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SqlError {
    pub(crate) severity: Severity,
    pub(crate) state: &'static str,
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
    pub(crate) hint: Option<Cow<'static, str>>,
    pub(crate) table: Option<String>,
    pub(crate) column: Option<String>,
    pub(crate) constraint: Option<String>,
    pub(crate) place: Option<Place>,
}

impl SqlError {
    pub(crate) fn new(state: &'static str, message: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            severity: Severity::Error,
            state,
            message: message.into(),
            detail: None,
            hint: None,
            table: None,
            column: None,
            constraint: None,
            place: None,
        })
    }

    /// The statement uses something that this server does not have.
    pub(crate) fn unsupported(feature: impl fmt::Display) -> Box<Self> {
        Self::new(state::FEATURE_NOT_SUPPORTED, format!("{feature} is not supported"))
    }

    /// The connection is cut without a word.
    pub(crate) fn cut() -> Box<Self> {
        Self::new(state::CONNECTION_FAILURE, "the connection is cut").severity(Severity::Cut)
    }

    pub(crate) fn syntax(message: impl Into<String>) -> Box<Self> {
        Self::new(state::SYNTAX_ERROR, message)
    }

    pub(crate) fn no_table(name: &str) -> Box<Self> {
        Self::new(state::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"))
    }

    pub(crate) fn no_column(name: &str) -> Box<Self> {
        Self::new(state::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist"))
    }

    pub(crate) fn protocol(message: impl Into<String>) -> Box<Self> {
        Self::new(state::PROTOCOL_VIOLATION, message)
    }

    pub(crate) fn severity(mut self: Box<Self>, severity: Severity) -> Box<Self> {
        self.severity = severity;
        self
    }

    pub(crate) fn detail(mut self: Box<Self>, detail: impl Into<String>) -> Box<Self> {
        self.detail = Some(detail.into());
        self
    }

    pub(crate) fn hint(mut self: Box<Self>, hint: impl Into<Cow<'static, str>>) -> Box<Self> {
        self.hint = Some(hint.into());
        self
    }

    /// Says where the error is, unless that is known more closely.
    pub(crate) fn at(mut self: Box<Self>, place: Option<Place>) -> Box<Self> {
        self.place = self.place.or(place);
        self
    }

    /// [`SqlError::at`] for a place that takes some looking for.
    pub(crate) fn at_with(self: Box<Self>, place: impl FnOnce() -> Option<Place>) -> Box<Self> {
        if self.place.is_some() { self } else { self.at(place()) }
    }

    /// Takes the place away: the text that it is in is not what the client wrote.
    pub(crate) fn nowhere(mut self: Box<Self>) -> Box<Self> {
        self.place = None;
        self
    }

    pub(crate) fn table(mut self: Box<Self>, table: &str) -> Box<Self> {
        self.table = Some(table.to_owned());
        self
    }

    pub(crate) fn column(mut self: Box<Self>, column: &str) -> Box<Self> {
        self.column = Some(column.to_owned());
        self
    }

    pub(crate) fn constraint(mut self: Box<Self>, constraint: &str) -> Box<Self> {
        self.constraint = Some(constraint.to_owned());
        self
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.severity.name(), self.message, self.state)
    }
}

impl std::error::Error for SqlError {}
