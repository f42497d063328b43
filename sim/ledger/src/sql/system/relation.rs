//! Tables, their columns, indexes and constraints.

use super::{
    NO, SystemTable, YES, catalog, definition, number,
    object::{OWNER, Object, PUBLIC, TableObject},
    server::{BTREE, HEAP, collation},
    text,
};
use crate::{
    data::{
        Type::{self, Bool, Char, Float4, Int2, Int4, Name, Oid, Text},
        Value,
    },
    sql::{eval::Scope, reference::key_index},
    store::{Action, Identity, Index, Kind},
};

const CLASS: &[(&str, Type)] = &[
    ("oid", Oid),
    ("relname", Name),
    ("relnamespace", Oid),
    ("reltype", Oid),
    ("reloftype", Oid),
    ("relowner", Oid),
    ("relam", Oid),
    ("relfilenode", Oid),
    ("reltablespace", Oid),
    ("relpages", Int4),
    ("reltuples", Float4),
    ("reltoastrelid", Oid),
    ("relhasindex", Bool),
    ("relisshared", Bool),
    ("relpersistence", Char),
    ("relkind", Char),
    ("relnatts", Int2),
    ("relchecks", Int2),
    ("relhasrules", Bool),
    ("relhastriggers", Bool),
    ("relhassubclass", Bool),
    ("relrowsecurity", Bool),
    ("relforcerowsecurity", Bool),
    ("relispopulated", Bool),
    ("relreplident", Char),
    ("relispartition", Bool),
    ("relacl", Type::Array(&Text)),
    ("reloptions", Type::Array(&Text)),
    ("relpartbound", Text),
];

const ATTRIBUTE: &[(&str, Type)] = &[
    ("attrelid", Oid),
    ("attname", Name),
    ("atttypid", Oid),
    ("attstattarget", Int4),
    ("attlen", Int2),
    ("attnum", Int2),
    ("attndims", Int4),
    ("atttypmod", Int4),
    ("attstorage", Char),
    ("attcompression", Char),
    ("attnotnull", Bool),
    ("atthasdef", Bool),
    ("atthasmissing", Bool),
    ("attidentity", Char),
    ("attgenerated", Char),
    ("attisdropped", Bool),
    ("attislocal", Bool),
    ("attinhcount", Int4),
    ("attcollation", Oid),
    ("attacl", Type::Array(&Text)),
    ("attoptions", Type::Array(&Text)),
    ("attfdwoptions", Type::Array(&Text)),
];

const CONSTRAINT: &[(&str, Type)] = &[
    ("oid", Oid),
    ("conname", Name),
    ("connamespace", Oid),
    ("contype", Char),
    ("condeferrable", Bool),
    ("condeferred", Bool),
    ("convalidated", Bool),
    ("conrelid", Oid),
    ("contypid", Oid),
    ("conindid", Oid),
    ("conparentid", Oid),
    ("confrelid", Oid),
    ("conkey", Type::Array(&Int2)),
    ("confkey", Type::Array(&Int2)),
    ("confupdtype", Char),
    ("confdeltype", Char),
    ("confmatchtype", Char),
];

const INDEX: &[(&str, Type)] = &[
    ("indexrelid", Oid),
    ("indrelid", Oid),
    ("indnatts", Int2),
    ("indnkeyatts", Int2),
    ("indisunique", Bool),
    ("indnullsnotdistinct", Bool),
    ("indisprimary", Bool),
    ("indisexclusion", Bool),
    ("indimmediate", Bool),
    ("indisclustered", Bool),
    ("indisvalid", Bool),
    ("indisready", Bool),
    ("indislive", Bool),
    ("indisreplident", Bool),
    ("indkey", Type::Array(&Int2)),
    ("indexprs", Text),
    ("indpred", Text),
];

const TABLES: &[(&str, Type)] = &[
    ("schemaname", Name),
    ("tablename", Name),
    ("tableowner", Name),
    ("tablespace", Name),
    ("hasindexes", Bool),
    ("hasrules", Bool),
    ("hastriggers", Bool),
    ("rowsecurity", Bool),
];

/// In alphabetical order.
pub(super) const ALL: &[SystemTable] = &[
    catalog("pg_attrdef", &[("oid", Oid), ("adrelid", Oid), ("adnum", Int2), ("adbin", Text)], |scope| {
        let mut rows = Vec::new();
        for table in Object::relations(scope) {
            for column in 0..table.schema.columns.len() {
                if let Some(default) = definition::default(table.schema, column, true)? {
                    rows.push(vec![
                        number(table.default(column)),
                        number(table.oid),
                        position(column),
                        Value::from(default),
                    ]);
                }
            }
        }
        Ok(rows)
    }),
    catalog("pg_attribute", ATTRIBUTE, |scope| {
        let mut rows = Vec::new();
        for table in Object::relations(scope) {
            let columns = 0..table.schema.columns.len();
            rows.extend(columns.map(|column| attribute(table, table.oid, column, column)));
            for (index, unique) in table.schema.indexes.iter().enumerate() {
                let columns = unique.columns.iter().enumerate();
                rows.extend(
                    columns.map(|(place, column)| attribute(table, table.index(index), place, *column)),
                );
            }
        }
        Ok(rows)
    }),
    catalog("pg_class", CLASS, |scope| {
        let mut rows = Vec::new();
        for table in Object::relations(scope) {
            rows.push(table_class(table, scope));
            rows.extend((0..table.schema.indexes.len()).map(|position| index_class(table, position)));
        }
        Ok(rows)
    }),
    catalog("pg_constraint", CONSTRAINT, |scope| {
        let mut rows = Vec::new();
        for table in Object::tables(scope) {
            for (index, unique) in table.schema.indexes.iter().enumerate() {
                if !unique.is_constraint() {
                    continue;
                }
                let kind = if unique.is_primary() { "p" } else { "u" };
                let ids = (table.key(index), table.index(index));
                rows.push(constraint(table, &unique.name, kind, ids, key(unique)));
            }
            for (index, check) in table.schema.checks.iter().enumerate() {
                let mut columns = Vec::new();
                check.condition.visit(&mut |expr| match expr {
                    crate::sql::Expr::Column(column) if !columns.contains(column) => columns.push(*column),
                    _ => {}
                });
                let columns = columns.into_iter().map(position).collect();
                rows.push(constraint(
                    table,
                    &check.name,
                    "c",
                    (table.check(index), 0),
                    Value::Array(columns),
                ));
            }
        }
        for table in Object::tables(scope) {
            rows.extend((0..table.schema.references.len()).map(|place| reference(table, place, scope)));
        }
        Ok(rows)
    }),
    catalog("pg_index", INDEX, |scope| {
        let mut rows = Vec::new();
        for table in Object::tables(scope) {
            let indexes = table.schema.indexes.iter().enumerate();
            rows.extend(indexes.map(|(position, unique)| index_row(table, position, unique)));
        }
        Ok(rows)
    }),
    catalog("pg_tables", TABLES, |scope| {
        let row = |table: TableObject<'_>| {
            let indexed = !table.schema.indexes.is_empty();
            vec![
                text("public"),
                text(&table.schema.name),
                text(OWNER.1),
                Value::Null,
                Value::Bool(indexed),
                NO,
                NO,
                NO,
            ]
        };
        Ok(Object::tables(scope).map(row).collect())
    }),
];

/// `attnum`, which counts from 1.
fn position(column: usize) -> Value {
    Value::Int(column as i64 + 1)
}

fn key(index: &Index) -> Value {
    Value::Array(index.columns.iter().map(|column| position(*column)).collect())
}

fn table_class(table: TableObject<'_>, scope: &Scope<'_>) -> Vec<Value> {
    let schema = table.schema;
    let refers_here =
        |other: TableObject<'_>| other.schema.references.iter().any(|key| *key.table == *schema.name);
    class(&Class {
        oid: table.oid,
        name: &schema.name,
        access: if schema.kind == Kind::Table { HEAP } else { 0 },
        indexed: !schema.indexes.is_empty(),
        kind: match schema.kind {
            Kind::Sequence(_) => "S",
            Kind::Table => "r",
        },
        columns: schema.columns.len(),
        checks: schema.checks.len(),
        // PostgreSQL sees to foreign keys by triggers.
        triggers: !schema.references.is_empty() || Object::tables(scope).any(refers_here),
        identity: if schema.kind == Kind::Table { "d" } else { "n" },
    })
}

fn index_class(table: TableObject<'_>, position: usize) -> Vec<Value> {
    let unique = &table.schema.indexes[position];
    class(&Class {
        oid: table.index(position),
        name: &unique.name,
        access: BTREE,
        indexed: false,
        kind: "i",
        columns: unique.columns.len(),
        checks: 0,
        triggers: false,
        identity: "n",
    })
}

/// What distinguishes the rows of `pg_class`.
struct Class<'a> {
    oid: u32,
    name: &'a str,
    access: i64,
    indexed: bool,
    kind: &'a str,
    columns: usize,
    checks: usize,
    triggers: bool,
    identity: &'a str,
}

fn class(class: &Class<'_>) -> Vec<Value> {
    vec![
        number(class.oid),
        text(class.name),
        number(PUBLIC),
        number(0),
        number(0),
        number(OWNER.0),
        number(class.access),
        number(class.oid),
        number(0),
        number(0),
        // Nothing has ever been analysed (PostgreSQL 16 docs, §53.11).
        Value::Float4(crate::data::Float(-1.0)),
        number(0),
        Value::Bool(class.indexed),
        NO,
        text("p"),
        text(class.kind),
        Value::Int(class.columns as i64),
        Value::Int(class.checks as i64),
        NO,
        Value::Bool(class.triggers),
        NO,
        NO,
        NO,
        YES,
        text(class.identity),
        NO,
        Value::Null,
        Value::Null,
        Value::Null,
    ]
}

/// A column of a table, or of an index whose `place`th it is.
fn attribute(table: TableObject<'_>, relation: u32, place: usize, column: usize) -> Vec<Value> {
    let is_table = relation == table.oid;
    let column = &table.schema.columns[column];
    let identity = column.supply.as_ref().and_then(|supply| supply.identity).filter(|_| is_table);
    let has_default = is_table
        && identity.is_none()
        && !matches!(column.default, None | Some(crate::sql::Expr::Const(Value::Null)));
    vec![
        number(relation),
        text(&column.name),
        number(column.ty.oid()),
        number(-1),
        number(column.ty.width()),
        position(place),
        number(i32::from(matches!(column.ty, Type::Array(_)))),
        number(column.modifier.wire()),
        text(storage(column.ty)),
        text(""),
        Value::Bool(is_table && column.not_null),
        Value::Bool(has_default),
        NO,
        text(match identity {
            Some(Identity::Always) => "a",
            Some(Identity::ByDefault) => "d",
            None => "",
        }),
        text(""),
        NO,
        YES,
        number(0),
        number(collation(column.ty)),
        Value::Null,
        Value::Null,
        Value::Null,
    ]
}

/// `pg_type.typstorage`
fn storage(ty: Type) -> &'static str {
    match ty {
        Type::Numeric => "m",
        ty if ty.width() == -1 => "x",
        _ => "p",
    }
}

fn constraint(
    table: TableObject<'_>,
    name: &str,
    kind: &str,
    (oid, index): (u32, u32),
    columns: Value,
) -> Vec<Value> {
    vec![
        number(oid),
        text(name),
        number(PUBLIC),
        text(kind),
        NO,
        NO,
        YES,
        number(table.oid),
        number(0),
        number(index),
        number(0),
        number(0),
        columns,
        Value::Null,
        text(" "),
        text(" "),
        text(" "),
    ]
}

/// A foreign key.
fn reference(table: TableObject<'_>, place: usize, scope: &Scope<'_>) -> Vec<Value> {
    let key = &table.schema.references[place];
    let columns = key.columns.iter().map(|column| position(*column)).collect();
    let ids = (table.reference(place), 0);
    let mut row = constraint(table, &key.name, "f", ids, Value::Array(columns));
    if let Some(target) = Object::named(&key.table, scope) {
        let referred: Option<Vec<usize>> =
            key.referred.iter().map(|column| target.schema.column(column)).collect();
        let referred = referred.unwrap_or_default();
        let index = key_index(target.schema, &referred);
        row[9] = index.map_or(number(0), |index| number(target.index(index)));
        row[11] = number(target.oid);
        row[13] = Value::Array(referred.into_iter().map(position).collect());
    }
    let letter = |action| {
        text(match action {
            Action::Cascade => "c",
            Action::Nothing => "a",
            Action::Restrict => "r",
            Action::SetDefault => "d",
            Action::SetNull => "n",
        })
    };
    row.truncate(14);
    row.extend([letter(key.on_update), letter(key.on_delete), text("s")]);
    row
}

fn index_row(table: TableObject<'_>, position: usize, index: &Index) -> Vec<Value> {
    let columns = Value::Int(index.columns.len() as i64);
    vec![
        number(table.index(position)),
        number(table.oid),
        columns.clone(),
        columns,
        Value::Bool(index.is_unique()),
        NO,
        Value::Bool(index.is_primary()),
        NO,
        YES,
        NO,
        YES,
        YES,
        YES,
        NO,
        key(index),
        Value::Null,
        Value::Null,
    ]
}
