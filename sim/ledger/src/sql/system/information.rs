//! The information schema (PostgreSQL 16 docs, chapter 37): tables and columns.

use super::{
    SystemTable, definition, number,
    object::{Object, TableObject},
    text,
};
use crate::{
    data::{
        Modifier,
        Type::{self, Int4, Name, Text},
        Value,
    },
    error::Result,
    store::Column,
};

const CATALOG: &str = "postgres";

/// In alphabetical order.
pub(super) const ALL: &[SystemTable] = &[
    SystemTable {
        schema: "information_schema",
        name: "columns",
        columns: &[
            ("table_catalog", Name),
            ("table_schema", Name),
            ("table_name", Name),
            ("column_name", Name),
            ("ordinal_position", Int4),
            ("column_default", Text),
            ("is_nullable", Text),
            ("data_type", Text),
            ("character_maximum_length", Int4),
            ("numeric_precision", Int4),
            ("numeric_precision_radix", Int4),
            ("numeric_scale", Int4),
            ("datetime_precision", Int4),
            ("udt_name", Name),
        ],
        rows: |scope| {
            let mut rows = Vec::new();
            for table in Object::tables(scope) {
                for column in 0..table.schema.columns.len() {
                    rows.push(column_row(table, column)?);
                }
            }
            Ok(rows)
        },
    },
    SystemTable {
        schema: "information_schema",
        name: "tables",
        columns: &[
            ("table_catalog", Name),
            ("table_schema", Name),
            ("table_name", Name),
            ("table_type", Text),
            ("is_insertable_into", Text),
        ],
        rows: |scope| {
            let row = |table: TableObject<'_>| {
                let name = text(&table.schema.name);
                vec![text(CATALOG), text("public"), name, text("BASE TABLE"), text("YES")]
            };
            Ok(Object::tables(scope).map(row).collect())
        },
    },
];

fn column_row(table: TableObject<'_>, position: usize) -> Result<Vec<Value>> {
    let column = &table.schema.columns[position];
    let (precision, radix, scale) = digits(column);
    let (data_type, udt) = match column.ty {
        Type::Array(element) => ("ARRAY".to_owned(), format!("_{}", element.internal_name())),
        ty => (ty.to_string(), ty.internal_name().to_owned()),
    };
    let length = match column.modifier {
        Modifier::Length(length) => number(length),
        _ => Value::Null,
    };
    Ok(vec![
        text(CATALOG),
        text("public"),
        text(&table.schema.name),
        text(&column.name),
        Value::Int(position as i64 + 1),
        definition::default(table.schema, position, false)?.map_or(Value::Null, Value::from),
        text(if column.not_null { "NO" } else { "YES" }),
        Value::from(data_type),
        length,
        precision,
        radix,
        scale,
        match column.ty {
            Type::Date => number(0),
            Type::Interval | Type::Time | Type::Timestamp | Type::Timestamptz => number(6),
            _ => Value::Null,
        },
        Value::from(udt),
    ])
}

/// Precision, radix and scale of a number.
fn digits(column: &Column) -> (Value, Value, Value) {
    let binary = |bits: i64, scale: Value| (number(bits), number(2), scale);
    match (column.ty, column.modifier) {
        (Type::Int2, _) => binary(16, number(0)),
        (Type::Int4, _) => binary(32, number(0)),
        (Type::Int8, _) => binary(64, number(0)),
        (Type::Float4, _) => binary(24, Value::Null),
        (Type::Float8, _) => binary(53, Value::Null),
        (Type::Numeric, Modifier::Digits { precision, scale }) => {
            (number(precision), number(10), number(scale))
        }
        (Type::Numeric, _) => (Value::Null, number(10), Value::Null),
        _ => (Value::Null, Value::Null, Value::Null),
    }
}
