//! Commands about strings: APPEND, GET, GETDEL, GETRANGE, MGET, MSET, MSETNX, SETNX, SETRANGE, STRLEN, SUBSTR.

use super::{Call, Command, Flag, arity, at_least, exactly, options::integer};
use crate::{db::Ttl, error::CommandError};

const READ: &[Flag] = &[Flag::ReadOnly];
const READ_FAST: &[Flag] = &[Flag::ReadOnly, Flag::Fast];
const GROW: &[Flag] = &[Flag::Write, Flag::DenyOom];
const GROW_FAST: &[Flag] = &[Flag::Write, Flag::DenyOom, Flag::Fast];

pub(super) const COMMANDS: &[Command] = &[
    exactly("append", 3, append).flags(GROW_FAST).keys(1, 1, 1),
    exactly("get", 2, get).flags(READ_FAST).keys(1, 1, 1),
    exactly("getdel", 2, getdel).flags(&[Flag::Write, Flag::Fast]).keys(1, 1, 1),
    exactly("getrange", 4, getrange).flags(READ).keys(1, 1, 1),
    at_least("mget", 2, mget).flags(READ_FAST).keys(1, -1, 1),
    at_least("mset", 3, mset).flags(GROW).keys(1, -1, 2),
    at_least("msetnx", 3, msetnx).flags(GROW).keys(1, -1, 2),
    exactly("setnx", 3, setnx).flags(GROW_FAST).keys(1, 1, 1),
    exactly("setrange", 4, setrange).flags(GROW).keys(1, 1, 1),
    exactly("strlen", 2, strlen).flags(READ_FAST).keys(1, 1, 1),
    exactly("substr", 4, getrange).flags(READ).keys(1, 1, 1),
];

const TOO_LONG: CommandError =
    CommandError::Refused("ERR string exceeds maximum allowed size (proto-max-bulk-len)");

fn append(call: &mut Call<'_>) -> Result<(), CommandError> {
    let (key, tail) = (&call.args[1], &call.args[2]);
    let db = &mut call.state.db;
    let len = match db.string_mut(key)? {
        Some(string) if string.len() + tail.len() > call.shared.limits.bulk => return Err(TOO_LONG),
        Some(string) => {
            string.extend_from_slice(tail);
            let len = string.len();
            db.changed(key);
            len
        }
        None => {
            db.set_string(key, tail, Ttl::Forever);
            tail.len()
        }
    };
    call.reply.count(len);
    Ok(())
}

/// Writes a key's string.
pub(super) fn get(call: &mut Call<'_>) -> Result<(), CommandError> {
    match call.state.db.string(&call.args[1])? {
        Some(string) => call.reply.bulk(string),
        None => call.reply.null(),
    }
    Ok(())
}

fn getdel(call: &mut Call<'_>) -> Result<(), CommandError> {
    get(call)?;
    let key = &call.args[1];
    if call.state.db.remove(key) {
        call.state.db.effects.push(&[b"DEL", key]);
    }
    Ok(())
}

/// The bytes from one position to another, both of which count from the end when negative.
fn getrange(call: &mut Call<'_>) -> Result<(), CommandError> {
    let (start, end) = (integer(&call.args[2])?, integer(&call.args[3])?);
    let string = call.state.db.string(&call.args[1])?.unwrap_or_default();
    let len = i64::try_from(string.len()).unwrap_or(i64::MAX);
    let absolute =
        |position: i64| if position < 0 { (position.saturating_add(len)).max(0) } else { position };
    let backwards = start < 0 && end < 0 && start > end;
    let (first, behind) = (absolute(start), absolute(end).saturating_add(1).min(len));
    let range = usize::try_from(first).unwrap_or(usize::MAX)..usize::try_from(behind).unwrap_or(0);
    call.reply.bulk(string.get(range).filter(|_| !backwards).unwrap_or_default());
    Ok(())
}

/// A key of another type is as good as missing, as in Redis.
fn mget(call: &mut Call<'_>) -> Result<(), CommandError> {
    call.reply.array(call.args.len() - 1);
    for key in call.args.from(1) {
        match call.state.db.string(key) {
            Ok(Some(string)) => call.reply.bulk(string),
            Ok(None) | Err(_) => call.reply.null(),
        }
    }
    Ok(())
}

/// The pairs that MSET and MSETNX set.
fn pairs<'a>(
    call: &Call<'a>,
    name: &'static str,
) -> Result<impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a>, CommandError> {
    if call.args.len().is_multiple_of(2) {
        return Err(arity(name));
    }
    Ok(call.args.from(1).step_by(2).zip(call.args.from(2).step_by(2)))
}

fn mset(call: &mut Call<'_>) -> Result<(), CommandError> {
    pairs(call, "mset")?.for_each(|(key, value)| call.state.db.set_string(key, value, Ttl::Forever));
    call.reply.ok();
    Ok(())
}

/// All or nothing: nothing when one of the keys is there.
fn msetnx(call: &mut Call<'_>) -> Result<(), CommandError> {
    let none_exists = pairs(call, "msetnx")?.all(|(key, _)| call.state.db.peek(key).is_none());
    if none_exists {
        pairs(call, "msetnx")?.for_each(|(key, value)| call.state.db.set_string(key, value, Ttl::Forever));
    }
    call.reply.integer(i64::from(none_exists));
    Ok(())
}

fn setnx(call: &mut Call<'_>) -> Result<(), CommandError> {
    let key = &call.args[1];
    let missing = call.state.db.get(key).is_none();
    if missing {
        call.state.db.set_string(key, &call.args[2], Ttl::Forever);
    }
    call.reply.integer(i64::from(missing));
    Ok(())
}

/// Overwrites part of a string, which grows with zero bytes as far as needed.
fn setrange(call: &mut Call<'_>) -> Result<(), CommandError> {
    let (key, part) = (&call.args[1], &call.args[3]);
    let offset = usize::try_from(integer(&call.args[2])?)
        .map_err(|_| CommandError::Refused("ERR offset is out of range"))?;
    let db = &mut call.state.db;
    let old = db.string(key)?;
    if part.is_empty() {
        call.reply.count(old.map_or(0, <[u8]>::len));
        return Ok(());
    }
    let end = offset.saturating_add(part.len());
    if end > call.shared.limits.bulk {
        return Err(TOO_LONG);
    }
    let mut string = old.unwrap_or_default().to_vec();
    string.resize(string.len().max(end), 0);
    string[offset..end].copy_from_slice(part);
    db.set_string(key, &string, Ttl::Keep);
    call.reply.count(string.len());
    Ok(())
}

fn strlen(call: &mut Call<'_>) -> Result<(), CommandError> {
    call.reply.count(call.state.db.string(&call.args[1])?.map_or(0, <[u8]>::len));
    Ok(())
}
