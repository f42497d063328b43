//! Sequence functions (PostgreSQL 16 docs, §9.17). A sequence is given by its name, as the text of a `regclass` or as one.

use super::{Arg, BOOL, Function, INT8, TEXT, function, int_of, text_of};
use crate::{
    data::{Type, Value},
    error::{Result, SqlError, state},
    sql::{
        eval::Scope,
        system::{quoted, relation_name},
    },
};

const REGCLASS: Arg = Arg::Is(Type::Regclass);

pub(super) const ALL: &[Function] = &[
    function("currval", &[REGCLASS], Type::Int8, current),
    function("currval", &[TEXT], Type::Int8, current),
    function("lastval", &[], Type::Int8, |_, scope| scope.run.last_value().map(Value::Int)),
    function("nextval", &[REGCLASS], Type::Int8, next),
    function("nextval", &[TEXT], Type::Int8, next),
    function("pg_get_serial_sequence", &[TEXT, TEXT], Type::Text, serial),
    function("setval", &[REGCLASS, INT8], Type::Int8, set),
    function("setval", &[REGCLASS, INT8, BOOL], Type::Int8, set),
    function("setval", &[TEXT, INT8], Type::Int8, set),
    function("setval", &[TEXT, INT8, BOOL], Type::Int8, set),
];

/// The name that an argument means.
fn name(value: &Value) -> Result<String> {
    match value {
        Value::Object(_, shown) => relation_name(shown),
        value => relation_name(text_of(value)),
    }
}

fn next(args: &[Value], scope: &Scope<'_>) -> Result<Value> {
    scope.run.next_value(&name(&args[0])?).map(Value::Int)
}

fn current(args: &[Value], scope: &Scope<'_>) -> Result<Value> {
    scope.run.current_value(&name(&args[0])?).map(Value::Int)
}

fn set(args: &[Value], scope: &Scope<'_>) -> Result<Value> {
    let called = args.get(2).is_none_or(Value::is_true);
    scope.run.set_value(&name(&args[0])?, int_of(&args[1]), called)?;
    Ok(args[1].clone())
}

/// The sequence that belongs to a column, with its schema.
fn serial(args: &[Value], scope: &Scope<'_>) -> Result<Value> {
    let (table, column) = (name(&args[0])?, text_of(&args[1]));
    let (_, schema) = scope.run.view.relation(&table).ok_or_else(|| SqlError::no_table(&table))?;
    let column = schema.columns.iter().find(|it| it.name == column).ok_or_else(|| {
        let message = format!("column \"{column}\" of relation \"{table}\" does not exist");
        SqlError::new(state::UNDEFINED_COLUMN, message)
    })?;
    Ok(column
        .supply
        .as_ref()
        .map_or(Value::Null, |supply| Value::from(format!("public.{}", quoted(&supply.sequence)))))
}
