//! Tables that the server makes up: what it knows of itself, as rows.

use std::fmt;

use super::eval::Scope;
use crate::data::{Type, Value};

/// A made-up table.
pub(crate) struct SystemTable {
    /// `pg_catalog` or `information_schema`; the former needs not be written.
    pub(crate) schema: &'static str,
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [(&'static str, Type)],
    /// Its rows as the statement of the scope may see them.
    pub(crate) rows: fn(&Scope<'_>) -> Vec<Vec<Value>>,
}

impl fmt::Debug for SystemTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

impl PartialEq for SystemTable {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

/// In alphabetical order.
static ALL: [SystemTable; 1] = [SystemTable {
    schema: "pg_catalog",
    name: "pg_tables",
    columns: &[
        ("schemaname", Type::Name),
        ("tablename", Type::Name),
        ("tableowner", Type::Name),
        ("tablespace", Type::Name),
        ("hasindexes", Type::Bool),
        ("hasrules", Type::Bool),
        ("hastriggers", Type::Bool),
        ("rowsecurity", Type::Bool),
    ],
    rows: |scope| {
        let row = |schema: &crate::store::Schema| {
            let indexed = !schema.indexes.is_empty();
            vec![
                Value::from("public"),
                Value::from(&*schema.name),
                Value::from("postgres"),
                Value::Null,
                Value::Bool(indexed),
                Value::Bool(false),
                Value::Bool(false),
                Value::Bool(false),
            ]
        };
        scope.run.view.schemas().map(row).collect()
    },
}];

/// The table that a name means.
pub(crate) fn find(schema: Option<&str>, name: &str) -> Option<&'static SystemTable> {
    ALL.iter().find(|table| {
        table.name == name && schema.map_or(table.schema == "pg_catalog", |schema| schema == table.schema)
    })
}
