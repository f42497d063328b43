//! What a session may ask about the server (PostgreSQL 16 docs, §9.26).

use super::{Function, INT4, function, int_of};
use crate::{
    data::{Type, Value},
    engine::Backends,
    sql::eval::Scope,
};

pub(super) const ALL: &[Function] = &[
    function("current_schema", &[], Type::Name, |_, _| Ok(Value::from("public"))),
    function("pg_backend_pid", &[], Type::Int4, |_, scope| Ok(Value::Int(scope.run.inputs.process.into()))),
    function("pg_cancel_backend", &[INT4], Type::Bool, |args, scope| {
        Ok(signalled(args, scope, |backends, process| backends.cancel(process, None)))
    }),
    function("pg_terminate_backend", &[INT4], Type::Bool, |args, scope| {
        Ok(signalled(args, scope, Backends::terminate))
    }),
    function("version", &[], Type::Text, |_, _| Ok(Value::from("PostgreSQL 16.4 (tradewind ledger)"))),
];

/// Whether there was such a session to signal.
fn signalled(args: &[Value], scope: &Scope<'_>, signal: fn(&Backends, u32) -> bool) -> Value {
    let process = u32::try_from(int_of(&args[0]));
    Value::Bool(process.is_ok_and(|process| signal(scope.run.inputs.backends, process)))
}
