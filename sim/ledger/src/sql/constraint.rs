//! What a row must satisfy to be stored.

use super::eval::Scope;
use crate::{
    data::{Value, text},
    error::{Result, SqlError, state},
    store::{Duplicate, Schema},
};

/// `NOT NULL` in the order of the columns, then `CHECK` by name.
pub(super) fn check_row(schema: &Schema, row: &[Value], scope: &Scope<'_>) -> Result<()> {
    for (column, value) in schema.columns.iter().zip(row) {
        if column.not_null && value.is_null() {
            let message = format!(
                "null value in column \"{}\" of relation \"{}\" violates not-null constraint",
                column.name, schema.name
            );
            return Err(SqlError::new(state::NOT_NULL_VIOLATION, message)
                .detail(failing_row(row))
                .table(&schema.name)
                .column(&column.name));
        }
    }
    for check in &schema.checks {
        // A check that is null holds.
        if check.condition.eval(&scope.over(row))? == Value::Bool(false) {
            let message = format!(
                "new row for relation \"{}\" violates check constraint \"{}\"",
                schema.name, check.name
            );
            return Err(SqlError::new(state::CHECK_VIOLATION, message)
                .detail(failing_row(row))
                .table(&schema.name)
                .constraint(&check.name));
        }
    }
    Ok(())
}

/// The same for a row that was stored before the constraint was made.
pub(super) fn check_stored(schema: &Schema, row: &[Value], scope: &Scope<'_>) -> Result<()> {
    for (column, value) in schema.columns.iter().zip(row) {
        if column.not_null && value.is_null() {
            let message =
                format!("column \"{}\" of relation \"{}\" contains null values", column.name, schema.name);
            return Err(SqlError::new(state::NOT_NULL_VIOLATION, message)
                .table(&schema.name)
                .column(&column.name));
        }
    }
    for check in &schema.checks {
        if check.condition.eval(&scope.over(row))? == Value::Bool(false) {
            let message = format!(
                "check constraint \"{}\" of relation \"{}\" is violated by some row",
                check.name, schema.name
            );
            return Err(SqlError::new(state::CHECK_VIOLATION, message)
                .table(&schema.name)
                .constraint(&check.name));
        }
    }
    Ok(())
}

/// What is said when an index cannot be made.
pub(super) fn duplicate_key(Duplicate { index, row, schema }: &Duplicate) -> Box<SqlError> {
    let index = &schema.indexes[*index];
    SqlError::new(state::UNIQUE_VIOLATION, format!("could not create unique index \"{}\"", index.name))
        .detail(format!("Key {} is duplicated.", shown_key(schema, &index.columns, row)))
        .table(&schema.name)
        .constraint(&index.name)
}

/// The columns and values of a key.
pub(super) fn shown_key(schema: &Schema, columns: &[usize], row: &[Value]) -> String {
    let list = |show: &dyn Fn(usize) -> String| {
        columns.iter().map(|column| show(*column)).collect::<Vec<_>>().join(", ")
    };
    let names = list(&|column| schema.columns[column].name.clone());
    let values = list(&|column| text::show(&row[column]));
    format!("({names})=({values})")
}

/// Values longer than this are cut in error details (`maxfieldlen` in PostgreSQL).
const SHOWN_BYTES: usize = 64;

fn failing_row(row: &[Value]) -> String {
    let values: Vec<String> = row
        .iter()
        .map(|value| {
            let mut shown = text::show(value);
            if shown.len() > SHOWN_BYTES {
                shown.truncate(shown.floor_char_boundary(SHOWN_BYTES));
                shown.push_str("...");
            }
            shown
        })
        .collect();
    format!("Failing row contains ({}).", values.join(", "))
}

/// What is said of a key that is taken.
pub(super) fn unique_violation(schema: &Schema, index: usize, row: &[Value]) -> Box<SqlError> {
    let unique = &schema.indexes[index];
    SqlError::new(
        state::UNIQUE_VIOLATION,
        format!("duplicate key value violates unique constraint \"{}\"", unique.name),
    )
    .detail(format!("Key {} already exists.", shown_key(schema, &unique.columns, row)))
    .table(&schema.name)
    .constraint(&unique.name)
}
