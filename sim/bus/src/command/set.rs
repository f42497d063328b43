//! Commands that set a string together with its time to live, or only the latter: GETEX, GETSET, PSETEX, SET, SETEX.

use super::{
    Call, Command, Flag, at_least, exactly,
    options::{Options, integer},
    strings::get,
};
use crate::{
    db::{Db, Ttl, WallMs},
    error::CommandError,
};

pub(super) const COMMANDS: &[Command] = &[
    at_least("getex", 2, getex).flags(&[Flag::Write, Flag::Fast]).keys(1, 1, 1),
    exactly("getset", 3, getset).flags(&[Flag::Write, Flag::DenyOom, Flag::Fast]).keys(1, 1, 1),
    exactly("psetex", 4, |call| set_for(call, Expiry::InMillis, "psetex")).flags(SET).keys(1, 1, 1),
    at_least("set", 3, set).flags(SET).keys(1, 1, 1),
    exactly("setex", 4, |call| set_for(call, Expiry::InSeconds, "setex")).flags(SET).keys(1, 1, 1),
];

const SET: &[Flag] = &[Flag::Write, Flag::DenyOom];

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
            Some((kind, argument)) => Ttl::Until(kind.deadline(argument, now, "set")?),
            None if keep => Ttl::Keep,
            None => Ttl::Forever,
        };
        Ok(Self { condition, return_old, ttl })
    }
}

/// How a deadline is stated.
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

    fn deadline(self, argument: &[u8], now: WallMs, command: &'static str) -> Result<WallMs, CommandError> {
        let (unit, from) = match self {
            Self::InSeconds => (1_000, now),
            Self::InMillis => (1, now),
            Self::AtSecond => (1_000, 0),
            Self::AtMilli => (1, 0),
        };
        Some(integer(argument)?)
            .filter(|amount| *amount > 0)
            .and_then(|amount| amount.checked_mul(unit)?.checked_add(from))
            .filter(|deadline| *deadline > 0)
            .ok_or(CommandError::InvalidExpire(command))
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
        store(db, key, &args[2], options.ttl);
    }
    match (options.return_old, may) {
        (true, _) => {}
        (false, true) => call.reply.ok(),
        (false, false) => call.reply.null(),
    }
    Ok(())
}

/// Sets a string and records it with its deadline as a moment.
fn store(db: &mut Db, key: &[u8], value: &[u8], ttl: Ttl) {
    db.set_string(key, value, ttl);
    match ttl {
        Ttl::Forever => db.effects.push(&[b"SET", key, value]),
        Ttl::Keep => db.effects.push(&[b"SET", key, value, b"KEEPTTL"]),
        Ttl::Until(deadline) => {
            let deadline = deadline.to_string();
            db.effects.push(&[b"SET", key, value, b"PXAT", deadline.as_bytes()]);
        }
    }
}

/// SETEX and PSETEX.
fn set_for(call: &mut Call<'_>, expiry: Expiry, name: &'static str) -> Result<(), CommandError> {
    let deadline = expiry.deadline(&call.args[2], call.now_ms(), name)?;
    store(&mut call.state.db, &call.args[1], &call.args[3], Ttl::Until(deadline));
    call.reply.ok();
    Ok(())
}

fn getset(call: &mut Call<'_>) -> Result<(), CommandError> {
    get(call)?;
    store(&mut call.state.db, &call.args[1], &call.args[2], Ttl::Forever);
    Ok(())
}

/// What GETEX does to the deadline.
enum NewDeadline<'a> {
    Keep,
    Remove,
    Set(Expiry, &'a [u8]),
}

impl<'a> NewDeadline<'a> {
    fn parse(mut options: Options<'a>) -> Result<Self, CommandError> {
        let mut parsed = Self::Keep;
        while let Some(option) = options.next() {
            let lower = option.to_ascii_lowercase();
            parsed = match (Expiry::from_name(&lower), parsed) {
                (None, Self::Keep | Self::Remove) if lower == b"persist" => Self::Remove,
                (Some(kind), Self::Keep) => Self::Set(kind, options.value()?),
                (Some(kind), Self::Set(same, _)) if kind == same => Self::Set(kind, options.value()?),
                _ => return Err(CommandError::Syntax),
            };
        }
        Ok(parsed)
    }
}

fn getex(call: &mut Call<'_>) -> Result<(), CommandError> {
    let new = NewDeadline::parse(Options::from(call.args, 2))?;
    let (key, now) = (&call.args[1], call.now_ms());
    if call.state.db.string(key)?.is_none() {
        call.reply.null();
        return Ok(());
    }
    let deadline = match new {
        NewDeadline::Keep => return get(call),
        NewDeadline::Remove => None,
        NewDeadline::Set(kind, argument) => Some(kind.deadline(argument, now, "getex")?),
    };
    get(call)?;
    let key = &call.args[1];
    call.state.db.move_and_record_deadline(key, deadline);
    Ok(())
}
