//! Commands about the time to live: EXPIRE, EXPIREAT, EXPIRETIME, PERSIST, PEXPIRE, PEXPIREAT, PEXPIRETIME, PTTL, TTL.

use super::{Call, Command, Flag, at_least, exactly, options::integer, quoted_name};
use crate::{db::WallMs, error::CommandError};

const WRITE: &[Flag] = &[Flag::Write, Flag::Fast];
const READ: &[Flag] = &[Flag::ReadOnly, Flag::Fast];

pub(super) const COMMANDS: &[Command] = &[
    at_least("expire", 3, |call| expire(call, "expire", SECOND, true)).flags(WRITE).keys(1, 1, 1),
    at_least("expireat", 3, |call| expire(call, "expireat", SECOND, false)).flags(WRITE).keys(1, 1, 1),
    exactly("expiretime", 2, |call| tell(call, |deadline, _| in_seconds(deadline))).flags(READ).keys(1, 1, 1),
    exactly("persist", 2, persist).flags(WRITE).keys(1, 1, 1),
    at_least("pexpire", 3, |call| expire(call, "pexpire", MILLISECOND, true)).flags(WRITE).keys(1, 1, 1),
    at_least("pexpireat", 3, |call| expire(call, "pexpireat", MILLISECOND, false)).flags(WRITE).keys(1, 1, 1),
    exactly("pexpiretime", 2, |call| tell(call, |deadline, _| deadline)).flags(READ).keys(1, 1, 1),
    exactly("pttl", 2, |call| tell(call, remaining)).flags(READ).keys(1, 1, 1),
    exactly("ttl", 2, |call| tell(call, |deadline, now| in_seconds(remaining(deadline, now))))
        .flags(READ)
        .keys(1, 1, 1),
];

const MILLISECOND: WallMs = 1;
const SECOND: WallMs = 1_000;

fn remaining(deadline: WallMs, now: WallMs) -> i64 {
    deadline.saturating_sub(now).max(0)
}

/// Rounded to the nearest second, as Redis does.
fn in_seconds(millis: i64) -> i64 {
    millis.saturating_add(SECOND / 2) / SECOND
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
                        quoted_name(option)
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

/// Sets a deadline that is stated in `unit`, from now on or since 1970.
fn expire(call: &mut Call<'_>, name: &'static str, unit: WallMs, from_now: bool) -> Result<(), CommandError> {
    let key = &call.args[1];
    let conditions = Conditions::parse(call.args.from(3))?;
    let origin = if from_now { call.now_ms() } else { 0 };
    let deadline = integer(&call.args[2])?
        .checked_mul(unit)
        .and_then(|after| after.checked_add(origin))
        .ok_or(CommandError::InvalidExpire(name))?;
    let db = &mut call.state.db;
    let done = db.deadline(key).is_some_and(|old| conditions.allow(old, deadline))
        && db.move_and_record_deadline(key, Some(deadline));
    call.reply.integer(i64::from(done));
    Ok(())
}

fn persist(call: &mut Call<'_>) -> Result<(), CommandError> {
    let done = call.state.db.move_and_record_deadline(&call.args[1], None);
    call.reply.integer(i64::from(done));
    Ok(())
}

/// Answers what `figure` makes of the deadline and the present.
fn tell(call: &mut Call<'_>, figure: fn(WallMs, WallMs) -> i64) -> Result<(), CommandError> {
    call.reply.integer(match call.state.db.deadline(&call.args[1]) {
        None => -2,
        Some(None) => -1,
        Some(Some(deadline)) => figure(deadline, call.now_ms()),
    });
    Ok(())
}
