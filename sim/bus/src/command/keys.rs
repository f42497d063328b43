//! Commands about keys of any type: DEL, EXISTS, EXPIRE, PERSIST, PEXPIRE, PTTL, TTL, TYPE.

use super::{Call, Command, at_least, exactly, lossy, options::integer};
use crate::{
    db::{Value, WallMs},
    error::CommandError,
};

pub(super) const COMMANDS: &[Command] = &[
    at_least("del", 2, del),
    at_least("exists", 2, exists),
    at_least("expire", 3, |call| expire(call, "expire", SECOND)),
    exactly("persist", 2, persist),
    at_least("pexpire", 3, |call| expire(call, "pexpire", MILLISECOND)),
    exactly("pttl", 2, |call| ttl(call, |remaining| remaining)),
    exactly("ttl", 2, |call| ttl(call, |remaining| remaining.saturating_add(500) / SECOND)),
    exactly("type", 2, type_of),
];

const MILLISECOND: WallMs = 1;
const SECOND: WallMs = 1_000;

fn del(call: &mut Call<'_>) -> Result<(), CommandError> {
    let db = &mut call.state.db;
    call.reply.count(call.args.from(1).filter(|key| db.remove(key)).count());
    Ok(())
}

fn exists(call: &mut Call<'_>) -> Result<(), CommandError> {
    let db = &call.state.db;
    call.reply.count(call.args.from(1).filter(|key| db.get(key).is_some()).count());
    Ok(())
}

/// When EXPIRE does nothing.
#[derive(Clone, Copy, Default)]
struct Conditions {
    only_without_deadline: bool,
    only_with_deadline: bool,
    only_later: bool,
    only_sooner: bool,
}

impl Conditions {
    fn parse<'a>(options: impl Iterator<Item = &'a [u8]>) -> Result<Self, CommandError> {
        let mut conditions = Self::default();
        for option in options {
            let condition = match option.to_ascii_lowercase().as_slice() {
                b"nx" => &mut conditions.only_without_deadline,
                b"xx" => &mut conditions.only_with_deadline,
                b"gt" => &mut conditions.only_later,
                b"lt" => &mut conditions.only_sooner,
                _ => {
                    return Err(CommandError::RefusedArgument(format!(
                        "ERR Unsupported option {}",
                        lossy(option)
                    )));
                }
            };
            *condition = true;
        }
        let Self { only_without_deadline, only_with_deadline, only_later, only_sooner } = conditions;
        if only_without_deadline && (only_with_deadline || only_later || only_sooner) {
            return Err(CommandError::Refused(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if only_later && only_sooner {
            return Err(CommandError::Refused("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(conditions)
    }

    /// A key that never expires counts as one that expires last.
    fn allow(self, old: Option<WallMs>, new: WallMs) -> bool {
        !(self.only_without_deadline && old.is_some()
            || self.only_with_deadline && old.is_none()
            || self.only_later && old.is_none_or(|old| new <= old)
            || self.only_sooner && old.is_some_and(|old| new >= old))
    }
}

fn expire(call: &mut Call<'_>, name: &'static str, unit: WallMs) -> Result<(), CommandError> {
    let key = &call.args[1];
    let conditions = Conditions::parse(call.args.from(3))?;
    let now = call.now_ms();
    let deadline = integer(&call.args[2])?
        .checked_mul(unit)
        .and_then(|after| after.checked_add(now))
        .ok_or(CommandError::InvalidExpire(name))?;
    let done = match call.state.db.deadline(key) {
        Some(old) if conditions.allow(old, deadline) => {
            let db = &mut call.state.db;
            if deadline <= now {
                db.remove(key);
                db.effects.push(&[b"DEL", key]);
            } else {
                db.set_deadline(key, Some(deadline));
                db.effects.push(&[b"PEXPIREAT", key, itoa::Buffer::new().format(deadline).as_bytes()]);
            }
            true
        }
        _ => false,
    };
    call.reply.integer(i64::from(done));
    Ok(())
}

fn persist(call: &mut Call<'_>) -> Result<(), CommandError> {
    let old = call.state.db.set_deadline(&call.args[1], None).flatten();
    call.reply.integer(i64::from(old.is_some()));
    Ok(())
}

fn ttl(call: &mut Call<'_>, in_unit: fn(WallMs) -> i64) -> Result<(), CommandError> {
    call.reply.integer(match call.state.db.deadline(&call.args[1]) {
        None => -2,
        Some(None) => -1,
        Some(Some(deadline)) => in_unit(deadline.saturating_sub(call.now_ms()).max(0)),
    });
    Ok(())
}

fn type_of(call: &mut Call<'_>) -> Result<(), CommandError> {
    call.reply.simple(call.state.db.get(&call.args[1]).map_or("none", Value::type_name));
    Ok(())
}
