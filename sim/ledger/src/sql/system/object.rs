//! The objects of the catalog by their ids.
//!
//! Every table has a block of ids that follows from its number: first its own, then those of its indexes, of their
//! constraints, of its checks, of its defaults and of its foreign keys. So ids are the same in every run and after every recovery. Tables of the
//! server itself and what a transaction has not committed yet have none.

use crate::{
    error::{Result, SqlError},
    sql::eval::Scope,
    store::{Kind, Schema},
};

/// The first id that is not PostgreSQL's own (PostgreSQL 16 docs, §74.2).
const FIRST: u32 = 16_384;
/// Ids of one kind within a block; a table has at most 1600 columns.
const KIND: u32 = 2_048;
const BLOCK: u32 = 8 * KIND;

pub(super) const PG_CATALOG: i64 = 11;
pub(super) const PUBLIC: i64 = 2_200;
pub(super) const INFORMATION_SCHEMA: i64 = 13_000;
/// `pg_class` itself.
pub(super) const PG_CLASS: i64 = 1_259;
/// The catalogs by whose ids others say of what kind an object is.
const CATALOGS: [(i64, &str); 3] = [(1_247, "pg_type"), (1_255, "pg_proc"), (PG_CLASS, "pg_class")];
/// Every schema.
pub(crate) const NAMESPACES: [(i64, &str); 3] =
    [(PG_CATALOG, "pg_catalog"), (PUBLIC, "public"), (INFORMATION_SCHEMA, "information_schema")];
/// The only role that owns anything.
pub(crate) const OWNER: (i64, &str) = (10, "postgres");
/// The role that stands for the owner of the database, to whom `public` belongs.
pub(crate) const DATABASE_OWNER: (i64, &str) = (6_171, "pg_database_owner");

/// A table and the ids that belong to it.
#[derive(Clone, Copy)]
pub(crate) struct TableObject<'a> {
    pub(crate) oid: u32,
    pub(crate) schema: &'a Schema,
}

impl TableObject<'_> {
    pub(crate) fn index(&self, position: usize) -> u32 {
        self.oid + 1 + position as u32
    }

    pub(crate) fn key(&self, position: usize) -> u32 {
        self.oid + KIND + position as u32
    }

    pub(crate) fn check(&self, position: usize) -> u32 {
        self.oid + 2 * KIND + position as u32
    }

    pub(crate) fn reference(&self, position: usize) -> u32 {
        self.oid + 4 * KIND + position as u32
    }

    pub(crate) fn default(&self, column: usize) -> u32 {
        self.oid + 3 * KIND + column as u32
    }
}

/// What an id means.
#[derive(Clone, Copy)]
pub(crate) enum Object<'a> {
    Table(TableObject<'a>),
    /// An index by its position.
    Index(TableObject<'a>, usize),
    /// The constraint of an index.
    Key(TableObject<'a>, usize),
    Check(TableObject<'a>, usize),
    /// A foreign key by its position.
    Reference(TableObject<'a>, usize),
}

impl<'a> Object<'a> {
    /// Every table, in the order of creation.
    pub(crate) fn tables<'s>(scope: &Scope<'s>) -> impl Iterator<Item = TableObject<'s>> + use<'s> {
        Self::relations(scope).filter(|relation| relation.schema.kind == Kind::Table)
    }

    /// The relation that a name means.
    pub(crate) fn named<'s>(name: &str, scope: &Scope<'s>) -> Option<TableObject<'s>> {
        Self::relations(scope).find(|relation| *relation.schema.name == *name)
    }

    /// Every table and everything else that has rows, in the order of creation.
    pub(crate) fn relations<'s>(scope: &Scope<'s>) -> impl Iterator<Item = TableObject<'s>> + use<'s> {
        let object = |(number, schema)| TableObject { oid: FIRST + BLOCK * number as u32, schema };
        scope.run.view.numbered().map(object)
    }

    /// The object with this id.
    pub(crate) fn find(oid: i64, scope: &Scope<'a>) -> Option<Self> {
        let offset = u32::try_from(oid).ok()?.checked_sub(FIRST)?;
        let block = offset - offset % BLOCK + FIRST;
        let table = Self::relations(scope).find(|table| table.oid == block)?;
        let position = (offset % KIND) as usize;
        let schema = table.schema;
        match (offset % BLOCK) / KIND {
            0 if position == 0 => Some(Self::Table(table)),
            0 => schema.indexes.get(position - 1).map(|_| Self::Index(table, position - 1)),
            1 => schema
                .indexes
                .get(position)
                .filter(|index| index.is_constraint())
                .map(|_| Self::Key(table, position)),
            2 => schema.checks.get(position).map(|_| Self::Check(table, position)),
            4 => schema.references.get(position).map(|_| Self::Reference(table, position)),
            _ => None,
        }
    }

    /// The name of a table or an index, which is what `regclass` knows.
    pub(crate) fn relation_name(self) -> Option<&'a str> {
        match self {
            Self::Table(table) => Some(&table.schema.name),
            Self::Index(table, position) => Some(&table.schema.indexes[position].name),
            Self::Key(..) | Self::Check(..) | Self::Reference(..) => None,
        }
    }

    /// The table or index that a text names as `regclass` reads it: folded, perhaps with its schema.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn relation(text: &str, scope: &Scope<'_>) -> Result<u32> {
        let (schema, name) = split(text);
        let named = |table: TableObject<'_>| {
            if *table.schema.name == *name {
                return Some(table.oid);
            }
            let position = table.schema.indexes.iter().position(|unique| unique.name == name)?;
            Some(table.index(position))
        };
        let found = match schema.as_str() {
            "public" => Self::relations(scope).find_map(named),
            "pg_catalog" => CATALOGS.iter().find(|(_, catalog)| *catalog == name).map(|(oid, _)| *oid as u32),
            _ => None,
        };
        found.ok_or_else(|| SqlError::no_table(text))
    }
}

/// The schema and the name in the text of a `regclass`.
fn split(text: &str) -> (String, String) {
    match text.split_once('.') {
        Some((schema, name)) => (unquoted(schema), unquoted(name)),
        None => ("public".to_owned(), unquoted(text)),
    }
}

/// The name of the relation that the text of a `regclass` means, whether there is one or not.
///
/// # Errors
/// It would be in a schema without relations of a user's own.
pub(crate) fn relation_name(text: &str) -> Result<String> {
    match split(text) {
        (schema, name) if schema == "public" => Ok(name),
        _ => Err(SqlError::no_table(text)),
    }
}

fn unquoted(word: &str) -> String {
    let word = word.trim();
    match word.strip_prefix('"').and_then(|word| word.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => word.to_lowercase(),
    }
}

/// A name as SQL must write it: in quotes unless it is lower case throughout.
pub(crate) fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c == '_';
    let safe = name.starts_with(plain) && name.chars().all(|c| plain(c) || c.is_ascii_digit() || c == '$');
    if safe && RESERVED.binary_search(&name).is_err() {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// Words that PostgreSQL does not take as the name of a column or a table (PostgreSQL 16 docs, appendix C).
const RESERVED: [&str; 77] = [
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "column",
    "constraint",
    "create",
    "current_catalog",
    "current_date",
    "current_role",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "from",
    "grant",
    "group",
    "having",
    "in",
    "initially",
    "intersect",
    "into",
    "lateral",
    "leading",
    "limit",
    "localtime",
    "localtimestamp",
    "not",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "placing",
    "primary",
    "references",
    "returning",
    "select",
    "session_user",
    "some",
    "symmetric",
    "system_user",
    "table",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "variadic",
    "when",
    "where",
    "with",
];
