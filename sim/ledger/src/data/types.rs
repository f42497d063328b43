//! The types a column, a parameter or an expression can have.

use std::fmt;

/// A type; object ids are those of `pg_type` in PostgreSQL 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// A one-dimensional array.
    Array(&'static Type),
    Bool,
    /// `character(n)`, padded with spaces.
    Bpchar,
    Bytea,
    /// The system catalog's `"char"`: one byte.
    Char,
    Date,
    Float4,
    Float8,
    Int2,
    Int4,
    Int8,
    Interval,
    Json,
    Jsonb,
    /// The system catalog's type of names.
    Name,
    Numeric,
    /// The system catalog's type of object ids.
    Oid,
    /// The number of a table or an index, shown as its name.
    Regclass,
    /// The number of a schema, shown as its name.
    Regnamespace,
    /// The number of a type, shown as its name.
    Regtype,
    Text,
    Time,
    Timestamp,
    Timestamptz,
    /// A string literal or an untyped parameter whose type its context decides.
    Unknown,
    Uuid,
    Varchar,
}

/// What the catalog says of a type.
struct Description {
    ty: Type,
    oid: u32,
    array_oid: u32,
    /// `pg_type.typname`.
    name: &'static str,
    /// `pg_type.typlen`.
    width: i16,
}

const fn describe(ty: Type, oid: u32, array_oid: u32, name: &'static str, width: i16) -> Description {
    Description { ty, oid, array_oid, name, width }
}

static ALL: [Description; 26] = [
    describe(Type::Bool, 16, 1000, "bool", 1),
    describe(Type::Bpchar, 1042, 1014, "bpchar", -1),
    describe(Type::Bytea, 17, 1001, "bytea", -1),
    describe(Type::Char, 18, 1002, "char", 1),
    describe(Type::Date, 1082, 1182, "date", 4),
    describe(Type::Float4, 700, 1021, "float4", 4),
    describe(Type::Float8, 701, 1022, "float8", 8),
    describe(Type::Int2, 21, 1005, "int2", 2),
    describe(Type::Int4, 23, 1007, "int4", 4),
    describe(Type::Int8, 20, 1016, "int8", 8),
    describe(Type::Interval, 1186, 1187, "interval", 16),
    describe(Type::Json, 114, 199, "json", -1),
    describe(Type::Jsonb, 3802, 3807, "jsonb", -1),
    describe(Type::Name, 19, 1003, "name", 64),
    describe(Type::Numeric, 1700, 1231, "numeric", -1),
    describe(Type::Oid, 26, 1028, "oid", 4),
    describe(Type::Regclass, 2205, 2210, "regclass", 4),
    describe(Type::Regnamespace, 4089, 4090, "regnamespace", 4),
    describe(Type::Regtype, 2206, 2211, "regtype", 4),
    describe(Type::Text, 25, 1009, "text", -1),
    describe(Type::Time, 1083, 1183, "time", 8),
    describe(Type::Timestamp, 1114, 1115, "timestamp", 8),
    describe(Type::Timestamptz, 1184, 1185, "timestamptz", 8),
    describe(Type::Unknown, 705, 0, "unknown", -2),
    describe(Type::Uuid, 2950, 2951, "uuid", 16),
    describe(Type::Varchar, 1043, 1015, "varchar", -1),
];

impl Type {
    fn description(self) -> &'static Description {
        let scalar = match self {
            Self::Array(element) => *element,
            scalar => scalar,
        };
        // An array of arrays cannot be made, and every scalar type is listed.
        ALL.iter().find(|description| description.ty == scalar).unwrap_or(&ALL[23])
    }

    pub(crate) fn oid(self) -> u32 {
        let description = self.description();
        if matches!(self, Self::Array(_)) { description.array_oid } else { description.oid }
    }

    pub(crate) fn from_oid(oid: u32) -> Option<Self> {
        ALL.iter().find_map(|description| match oid {
            0 => None,
            oid if oid == description.oid => Some(description.ty),
            oid if oid == description.array_oid => Some(Self::Array(&description.ty)),
            _ => None,
        })
    }

    /// The type of arrays of it; none for an array.
    pub(crate) fn array(self) -> Option<Self> {
        match self {
            Self::Array(_) | Self::Unknown => None,
            scalar => Some(Self::Array(&scalar.description().ty)),
        }
    }

    /// `pg_type.typname`.
    pub(crate) fn internal_name(self) -> &'static str {
        self.description().name
    }

    /// The type that the catalog calls `name`.
    pub(crate) fn from_internal_name(name: &str) -> Option<Self> {
        if let Some(element) = name.strip_prefix('_') {
            return Self::from_internal_name(element)?.array();
        }
        let found = ALL.iter().find(|description| description.name == name)?;
        (found.ty != Self::Unknown).then_some(found.ty)
    }

    /// `pg_type.typlen`: bytes of a fixed-width type, -1 for a variable width.
    pub(crate) fn width(self) -> i16 {
        if matches!(self, Self::Array(_)) { -1 } else { self.description().width }
    }

    pub(crate) fn is_integer(self) -> bool {
        matches!(self, Self::Int2 | Self::Int4 | Self::Int8)
    }

    pub(crate) fn is_float(self) -> bool {
        matches!(self, Self::Float4 | Self::Float8)
    }

    pub(crate) fn is_number(self) -> bool {
        self.is_integer() || self.is_float() || self == Self::Numeric
    }

    /// Whether its values are numbers of objects that show a name, for which the catalog must be asked.
    pub(crate) fn is_object(self) -> bool {
        matches!(self, Self::Regclass | Self::Regnamespace | Self::Regtype)
    }

    /// Every type but that of untyped literals, without arrays.
    pub(crate) fn scalars() -> impl Iterator<Item = Self> {
        ALL.iter().map(|description| description.ty).filter(|ty| *ty != Self::Unknown)
    }

    pub(crate) fn is_time(self) -> bool {
        matches!(self, Self::Date | Self::Interval | Self::Time | Self::Timestamp | Self::Timestamptz)
    }

    pub(crate) fn is_string(self) -> bool {
        matches!(self, Self::Bpchar | Self::Char | Self::Name | Self::Text | Self::Varchar)
    }
}

impl fmt::Display for Type {
    /// The name that `format_type` gives it, which is what error messages use.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Array(element) => return write!(f, "{element}[]"),
            Self::Bool => "boolean",
            Self::Bpchar => "character",
            Self::Bytea => "bytea",
            Self::Char => "\"char\"",
            Self::Date => "date",
            Self::Float4 => "real",
            Self::Float8 => "double precision",
            Self::Int2 => "smallint",
            Self::Int4 => "integer",
            Self::Int8 => "bigint",
            Self::Interval => "interval",
            Self::Json => "json",
            Self::Jsonb => "jsonb",
            Self::Name => "name",
            Self::Numeric => "numeric",
            Self::Oid => "oid",
            Self::Regclass => "regclass",
            Self::Regnamespace => "regnamespace",
            Self::Regtype => "regtype",
            Self::Text => "text",
            Self::Time => "time without time zone",
            Self::Timestamp => "timestamp without time zone",
            Self::Timestamptz => "timestamp with time zone",
            Self::Unknown => "unknown",
            Self::Uuid => "uuid",
            Self::Varchar => "character varying",
        })
    }
}

impl Type {
    /// As `format_type` shows it with a `pg_attribute.atttypmod`.
    pub(crate) fn with_modifier(self, modifier: i64) -> String {
        const HEADER: i64 = 4;
        let digits = modifier - HEADER;
        match self {
            _ if modifier < HEADER => self.to_string(),
            Self::Array(element) => format!("{}[]", element.with_modifier(modifier)),
            Self::Numeric => format!("{self}({},{})", digits >> 16, digits & 0xffff),
            Self::Bpchar | Self::Varchar => format!("{self}({digits})"),
            _ => self.to_string(),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_found_by_its_object_id() {
        for description in &ALL {
            assert_eq!(Type::from_oid(description.oid), Some(description.ty));
            assert_eq!(description.ty.oid(), description.oid);
            if let Some(array) = description.ty.array() {
                assert_eq!(Type::from_oid(array.oid()), Some(array));
            }
        }
        assert_eq!(Type::from_oid(0), None);
        assert_eq!(Type::Array(&Type::Int8).to_string(), "bigint[]");
    }
}
