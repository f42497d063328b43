//! Commands about strings that are numbers: DECR, DECRBY, INCR, INCRBY, INCRBYFLOAT.

use super::{Call, Command, Flag, exactly, options::integer};
use crate::{db::Ttl, error::CommandError, long_double::LongDouble};

const NUMBER: &[Flag] = &[Flag::Write, Flag::DenyOom, Flag::Fast];

pub(super) const COMMANDS: &[Command] = &[
    exactly("decr", 2, |call| add(call, -1)).flags(NUMBER).keys(1, 1, 1),
    exactly("decrby", 3, decrby).flags(NUMBER).keys(1, 1, 1),
    exactly("incr", 2, |call| add(call, 1)).flags(NUMBER).keys(1, 1, 1),
    exactly("incrby", 3, |call| add(call, integer(&call.args[2])?)).flags(NUMBER).keys(1, 1, 1),
    exactly("incrbyfloat", 3, incrbyfloat).flags(NUMBER).keys(1, 1, 1),
];

/// What a sum that does not fit is refused with.
pub(super) const OVERFLOW: CommandError = CommandError::Refused("ERR increment or decrement would overflow");
/// As [`OVERFLOW`], for numbers with a point.
pub(super) const INFINITE: CommandError =
    CommandError::Refused("ERR increment would produce NaN or Infinity");

fn decrby(call: &mut Call<'_>) -> Result<(), CommandError> {
    let by = integer(&call.args[2])?;
    add(call, by.checked_neg().ok_or(CommandError::Refused("ERR decrement would overflow"))?)
}

/// Adds to a number that is kept as decimal text; a missing key counts as 0.
fn add(call: &mut Call<'_>, by: i64) -> Result<(), CommandError> {
    let key = &call.args[1];
    let old = call.state.db.string(key)?.map_or(Ok(0), integer)?;
    let sum = old.checked_add(by).ok_or(OVERFLOW)?;
    call.state.db.set_string(key, itoa::Buffer::new().format(sum).as_bytes(), Ttl::Keep);
    call.reply.integer(sum);
    Ok(())
}

/// An argument that must be a number with or without a point; `infinite` is the refusal of an infinite one.
pub(super) fn decimal(argument: &[u8], infinite: CommandError) -> Result<LongDouble, CommandError> {
    let unsigned = argument.strip_prefix(b"-").or(argument.strip_prefix(b"+")).unwrap_or(argument);
    if [&b"inf"[..], b"infinity"].iter().any(|name| unsigned.eq_ignore_ascii_case(name)) {
        return Err(infinite);
    }
    LongDouble::parse(argument).ok_or(CommandError::Refused("ERR value is not a valid float"))
}

fn incrbyfloat(call: &mut Call<'_>) -> Result<(), CommandError> {
    let key = &call.args[1];
    let old = decimal(call.state.db.string(key)?.unwrap_or(b"0"), INFINITE)?;
    let sum = old.plus(decimal(&call.args[2], INFINITE)?).ok_or(INFINITE)?.to_string();
    let db = &mut call.state.db;
    db.set_string(key, sum.as_bytes(), Ttl::Keep);
    db.effects.push(&[b"SET", key, sum.as_bytes(), b"KEEPTTL"]);
    call.reply.bulk(sum.as_bytes());
    Ok(())
}
