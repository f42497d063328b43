//! Commands about strings: APPEND, DECR, DECRBY, GET, GETDEL, INCR, INCRBY, MGET, MSET, SET, SETNX, STRLEN.

use super::{
    Call, Command, arity, at_least, exactly,
    options::{Options, integer},
};
use crate::{
    db::{Ttl, WallMs},
    error::CommandError,
};

pub(super) const COMMANDS: &[Command] = &[
    exactly("append", 3, append),
    exactly("decr", 2, |call| add(call, -1)),
    exactly("decrby", 3, decrby),
    exactly("get", 2, get),
    exactly("getdel", 2, getdel),
    exactly("incr", 2, |call| add(call, 1)),
    exactly("incrby", 3, |call| add(call, integer(&call.args[2])?)),
    at_least("mget", 2, mget),
    at_least("mset", 3, mset),
    at_least("set", 3, set),
    exactly("setnx", 3, setnx),
    exactly("strlen", 2, strlen),
];

fn append(call: &mut Call<'_>) -> Result<(), CommandError> {
    let (key, tail) = (&call.args[1], &call.args[2]);
    let len = match call.state.db.string_mut(key)? {
        Some(string) if string.len() + tail.len() > call.shared.limits.bulk => {
            return Err(CommandError::Refused(
                "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
            ));
        }
        Some(string) => {
            string.extend_from_slice(tail);
            let len = string.len();
            call.state.db.changed(key);
            len
        }
        None => {
            call.state.db.set_string(key, tail, Ttl::Forever);
            tail.len()
        }
    };
    call.reply.count(len);
    Ok(())
}

fn decrby(call: &mut Call<'_>) -> Result<(), CommandError> {
    let by = integer(&call.args[2])?;
    add(call, by.checked_neg().ok_or(CommandError::Refused("ERR decrement would overflow"))?)
}

/// Adds to a number that is kept as decimal text; a missing key counts as 0.
fn add(call: &mut Call<'_>, by: i64) -> Result<(), CommandError> {
    let key = &call.args[1];
    let old = call.state.db.string(key)?.map_or(Ok(0), integer)?;
    let sum =
        old.checked_add(by).ok_or(CommandError::Refused("ERR increment or decrement would overflow"))?;
    call.state.db.set_string(key, itoa::Buffer::new().format(sum).as_bytes(), Ttl::Keep);
    call.reply.integer(sum);
    Ok(())
}

fn get(call: &mut Call<'_>) -> Result<(), CommandError> {
    match call.state.db.string(&call.args[1])? {
        Some(string) => call.reply.bulk(string),
        None => call.reply.null(),
    }
    Ok(())
}

fn getdel(call: &mut Call<'_>) -> Result<(), CommandError> {
    get(call)?;
    call.state.db.remove(&call.args[1]);
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

fn mset(call: &mut Call<'_>) -> Result<(), CommandError> {
    if call.args.len().is_multiple_of(2) {
        return Err(arity("mset"));
    }
    for (key, value) in call.args.from(1).step_by(2).zip(call.args.from(2).step_by(2)) {
        call.state.db.set_string(key, value, Ttl::Forever);
    }
    call.reply.ok();
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Always,
    IfMissing,
    IfPresent,
}

struct SetOptions {
    condition: Condition,
    return_old: bool,
    ttl: Ttl,
}

impl SetOptions {
    fn parse(mut options: Options<'_>, now: WallMs) -> Result<Self, CommandError> {
        let mut condition = Condition::Always;
        let mut return_old = false;
        let mut keep = false;
        let mut expiry: Option<(Expiry, &[u8])> = None;
        while let Some(option) = options.next() {
            let unless = |other| {
                if condition == other { Err(CommandError::Syntax) } else { Ok(()) }
            };
            match option.to_ascii_lowercase().as_slice() {
                b"nx" => {
                    unless(Condition::IfPresent)?;
                    condition = Condition::IfMissing;
                }
                b"xx" => {
                    unless(Condition::IfMissing)?;
                    condition = Condition::IfPresent;
                }
                b"get" => return_old = true,
                b"keepttl" if expiry.is_none() => keep = true,
                name => {
                    let kind = Expiry::from_name(name).ok_or(CommandError::Syntax)?;
                    // The same kind twice is legal and the last one counts, as in Redis.
                    if keep || expiry.is_some_and(|(other, _)| other != kind) {
                        return Err(CommandError::Syntax);
                    }
                    expiry = Some((kind, options.value()?));
                }
            }
        }
        let ttl = match expiry {
            Some((kind, argument)) => Ttl::Until(kind.deadline(integer(argument)?, now)?),
            None if keep => Ttl::Keep,
            None => Ttl::Forever,
        };
        Ok(Self { condition, return_old, ttl })
    }
}

/// How SET states a deadline.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expiry {
    InSeconds,
    InMillis,
    AtSecond,
    AtMilli,
}

impl Expiry {
    fn from_name(lower: &[u8]) -> Option<Self> {
        match lower {
            b"ex" => Some(Self::InSeconds),
            b"px" => Some(Self::InMillis),
            b"exat" => Some(Self::AtSecond),
            b"pxat" => Some(Self::AtMilli),
            _ => None,
        }
    }

    fn deadline(self, amount: i64, now: WallMs) -> Result<WallMs, CommandError> {
        let (unit, from) = match self {
            Self::InSeconds => (1_000, now),
            Self::InMillis => (1, now),
            Self::AtSecond => (1_000, 0),
            Self::AtMilli => (1, 0),
        };
        Some(amount)
            .filter(|amount| *amount > 0)
            .and_then(|amount| amount.checked_mul(unit)?.checked_add(from))
            .filter(|deadline| *deadline > 0)
            .ok_or(CommandError::InvalidExpire("set"))
    }
}

fn set(call: &mut Call<'_>) -> Result<(), CommandError> {
    let args = call.args;
    let options = SetOptions::parse(Options::from(args, 3), call.now_ms())?;
    let key = &args[1];
    if options.return_old {
        get(call)?;
    }
    let db = &mut call.state.db;
    let may = match options.condition {
        Condition::Always => true,
        Condition::IfMissing => db.get(key).is_none(),
        Condition::IfPresent => db.get(key).is_some(),
    };
    if may {
        db.set_string(key, &args[2], options.ttl);
        match options.ttl {
            Ttl::Forever => db.effects.push(&[b"SET", key, &args[2]]),
            Ttl::Keep => db.effects.push(&[b"SET", key, &args[2], b"KEEPTTL"]),
            Ttl::Until(deadline) => {
                db.effects.push(&[
                    b"SET",
                    key,
                    &args[2],
                    b"PXAT",
                    itoa::Buffer::new().format(deadline).as_bytes(),
                ]);
            }
        }
    }
    match (options.return_old, may) {
        (true, _) => {}
        (false, true) => call.reply.ok(),
        (false, false) => call.reply.null(),
    }
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

fn strlen(call: &mut Call<'_>) -> Result<(), CommandError> {
    call.reply.count(call.state.db.string(&call.args[1])?.map_or(0, <[u8]>::len));
    Ok(())
}
