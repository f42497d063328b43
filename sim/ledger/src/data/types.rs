//! The types a column, a parameter or an expression can have.

use std::fmt;

/// A type; object ids are those of `pg_type` in PostgreSQL 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    Bytea,
    Int4,
    Int8,
    Jsonb,
    Numeric,
    Text,
    Timestamptz,
    /// A string literal or an untyped parameter whose type its context decides.
    Unknown,
    Varchar,
}

impl Type {
    pub(crate) fn oid(self) -> u32 {
        match self {
            Self::Bool => 16,
            Self::Bytea => 17,
            Self::Int8 => 20,
            Self::Int4 => 23,
            Self::Text => 25,
            Self::Unknown => 705,
            Self::Varchar => 1043,
            Self::Timestamptz => 1184,
            Self::Numeric => 1700,
            Self::Jsonb => 3802,
        }
    }

    pub(crate) fn from_oid(oid: u32) -> Option<Self> {
        const ALL: [Type; 10] = [
            Type::Bool,
            Type::Bytea,
            Type::Int4,
            Type::Int8,
            Type::Jsonb,
            Type::Numeric,
            Type::Text,
            Type::Timestamptz,
            Type::Unknown,
            Type::Varchar,
        ];
        ALL.into_iter().find(|ty| ty.oid() == oid)
    }

    /// `pg_type.typlen`: bytes of a fixed-width type, -1 for a variable width.
    pub(crate) fn width(self) -> i16 {
        match self {
            Self::Bool => 1,
            Self::Int4 => 4,
            Self::Int8 | Self::Timestamptz => 8,
            Self::Unknown => -2,
            Self::Bytea | Self::Jsonb | Self::Numeric | Self::Text | Self::Varchar => -1,
        }
    }

    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Int4 | Self::Int8 | Self::Numeric)
    }

    pub(crate) fn is_string(self) -> bool {
        matches!(self, Self::Text | Self::Varchar)
    }
}

impl fmt::Display for Type {
    /// The name that `format_type` gives it, which is what error messages use.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "boolean",
            Self::Bytea => "bytea",
            Self::Int4 => "integer",
            Self::Int8 => "bigint",
            Self::Jsonb => "jsonb",
            Self::Numeric => "numeric",
            Self::Text => "text",
            Self::Timestamptz => "timestamp with time zone",
            Self::Unknown => "unknown",
            Self::Varchar => "character varying",
        })
    }
}

/// What a column adds to its type: `NUMERIC(12,4)`, `VARCHAR(64)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Modifier {
    #[default]
    None,
    /// Digits in all and digits after the point.
    Digits { precision: u32, scale: u32 },
    /// Characters at most.
    Length(u32),
}

impl Modifier {
    /// As `pg_attribute.atttypmod`, which a row description carries.
    pub(crate) fn wire(self) -> i32 {
        const HEADER: i32 = 4;
        match self {
            Self::None => -1,
            Self::Digits { precision, scale } => ((precision << 16) | scale) as i32 + HEADER,
            Self::Length(length) => length as i32 + HEADER,
        }
    }
}
