//! Commands about single keys of any type: COPY, DEL, EXISTS, OBJECT, RENAME, RENAMENX, TOUCH, TYPE, UNLINK.

use super::{
    Call, Command, Flag, at_least, dispatch_subcommand, exactly,
    options::{Options, integer},
};
use crate::{
    db::{Ttl, Value, WallMs},
    error::CommandError,
    resp::parse_i64,
};

const READ_FAST: &[Flag] = &[Flag::ReadOnly, Flag::Fast];

pub(super) const COMMANDS: &[Command] = &[
    at_least("copy", 3, copy).flags(&[Flag::Write, Flag::DenyOom]).keys(1, 2, 1),
    at_least("del", 2, del).flags(&[Flag::Write]).keys(1, -1, 1),
    at_least("exists", 2, exists).flags(READ_FAST).keys(1, -1, 1),
    at_least("object", 2, object).containing(OBJECT_SUBCOMMANDS),
    exactly("rename", 3, rename).flags(&[Flag::Write]).keys(1, 2, 1),
    exactly("renamenx", 3, renamenx).flags(&[Flag::Write, Flag::Fast]).keys(1, 2, 1),
    at_least("touch", 2, touch).flags(READ_FAST).keys(1, -1, 1),
    exactly("type", 2, type_of).flags(READ_FAST).keys(1, 1, 1),
    at_least("unlink", 2, del).flags(&[Flag::Write, Flag::Fast]).keys(1, -1, 1),
];

const OBJECT_SUBCOMMANDS: &[Command] = &[
    exactly("encoding", 3, object_encoding).flags(&[Flag::ReadOnly]).keys(2, 2, 1),
    exactly("freq", 3, object_freq).flags(&[Flag::ReadOnly]).keys(2, 2, 1),
    exactly("idletime", 3, object_idletime).flags(&[Flag::ReadOnly]).keys(2, 2, 1),
    exactly("refcount", 3, object_refcount).flags(&[Flag::ReadOnly]).keys(2, 2, 1),
];

/// The longest string that Redis keeps in one piece with its head (`OBJ_ENCODING_EMBSTR_SIZE_LIMIT`, Redis `object.c`).
const EMBEDDED_MAX: usize = 44;
/// Redis shares one object among all uses of a number below this (`OBJ_SHARED_INTEGERS`), and counts those uses as this.
const SHARED_INTEGERS: i64 = 10_000;
const SHARED_REFCOUNT: i64 = i32::MAX as i64;

/// `COPY source destination [DB 0] [REPLACE]`.
fn copy(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut replace = false;
    let mut options = Options::from(call.args, 3);
    while let Some(option) = options.next() {
        if option.eq_ignore_ascii_case(b"replace") {
            replace = true;
        } else if option.eq_ignore_ascii_case(b"db") && options.left() > 0 {
            if integer(options.value()?)? != 0 {
                return Err(CommandError::Refused("ERR DB index is out of range"));
            }
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let (from, to) = (&call.args[1], &call.args[2]);
    if from == to {
        return Err(CommandError::Refused("ERR source and destination objects are the same"));
    }
    let db = &mut call.state.db;
    let copied = match db.get(from).cloned() {
        Some(value) if replace || db.peek(to).is_none() => {
            let ttl = db.deadline(from).flatten().map_or(Ttl::Forever, Ttl::Until);
            db.set(to, value, ttl);
            true
        }
        _ => false,
    };
    call.reply.integer(i64::from(copied));
    Ok(())
}

/// DEL and UNLINK, which differ only in who frees the memory.
fn del(call: &mut Call<'_>) -> Result<(), CommandError> {
    let db = &mut call.state.db;
    call.reply.count(call.args.from(1).filter(|key| db.remove(key)).count());
    Ok(())
}

fn exists(call: &mut Call<'_>) -> Result<(), CommandError> {
    let db = &call.state.db;
    call.reply.count(call.args.from(1).filter(|key| db.peek(key).is_some()).count());
    Ok(())
}

fn touch(call: &mut Call<'_>) -> Result<(), CommandError> {
    let db = &call.state.db;
    call.reply.count(call.args.from(1).filter(|key| db.get(key).is_some()).count());
    Ok(())
}

fn type_of(call: &mut Call<'_>) -> Result<(), CommandError> {
    call.reply.simple(call.state.db.peek(&call.args[1]).map_or("none", Value::type_name));
    Ok(())
}

fn rename(call: &mut Call<'_>) -> Result<(), CommandError> {
    move_key(call, true)?;
    call.reply.ok();
    Ok(())
}

fn renamenx(call: &mut Call<'_>) -> Result<(), CommandError> {
    let moved = move_key(call, false)?;
    call.reply.integer(i64::from(moved));
    Ok(())
}

/// Gives a key's value and deadline to another key; `false` when that key is there and may not be replaced.
fn move_key(call: &mut Call<'_>, replace: bool) -> Result<bool, CommandError> {
    let (from, to) = (&call.args[1], &call.args[2]);
    let db = &mut call.state.db;
    if db.peek(from).is_none() {
        return Err(CommandError::Refused("ERR no such key"));
    }
    if from == to || !replace && db.peek(to).is_some() {
        return Ok(false);
    }
    if let Some((value, deadline)) = db.take(from) {
        db.set(to, value, deadline.map_or(Ttl::Forever, Ttl::Until));
    }
    Ok(true)
}

fn object(call: &mut Call<'_>) -> Result<(), CommandError> {
    dispatch_subcommand(call, "object", OBJECT_SUBCOMMANDS)
}

/// How Redis would keep the value. A string that was built piece by piece is judged like one that was set.
fn object_encoding(call: &mut Call<'_>) -> Result<(), CommandError> {
    let encoding = match call.state.db.peek(&call.args[2]) {
        None => {
            call.reply.null();
            return Ok(());
        }
        Some(Value::String(text)) if parse_i64(text).is_some() => "int",
        Some(Value::String(text)) if text.len() <= EMBEDDED_MAX => "embstr",
        Some(Value::String(_)) => "raw",
        Some(Value::Hash(hash)) if hash.is_compact() => "listpack",
        Some(Value::Hash(_)) => "hashtable",
        Some(Value::Stream(_)) => "stream",
    };
    call.reply.bulk(encoding.as_bytes());
    Ok(())
}

fn object_freq(call: &mut Call<'_>) -> Result<(), CommandError> {
    if call.state.db.peek(&call.args[2]).is_none() {
        call.reply.null();
        return Ok(());
    }
    Err(CommandError::Refused(
        "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching \
         between policies at runtime LRU and LFU data will take some time to adjust.",
    ))
}

fn object_idletime(call: &mut Call<'_>) -> Result<(), CommandError> {
    const SECOND: WallMs = 1_000;
    match call.state.db.idle(&call.args[2]) {
        None => call.reply.null(),
        Some(idle) => call.reply.integer(idle / SECOND),
    }
    Ok(())
}

fn object_refcount(call: &mut Call<'_>) -> Result<(), CommandError> {
    match call.state.db.peek(&call.args[2]) {
        None => call.reply.null(),
        Some(Value::String(text))
            if parse_i64(text).is_some_and(|number| (0..SHARED_INTEGERS).contains(&number)) =>
        {
            call.reply.integer(SHARED_REFCOUNT);
        }
        Some(_) => call.reply.integer(1),
    }
    Ok(())
}
