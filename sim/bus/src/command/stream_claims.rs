//! Commands by which a consumer takes over what another one has not acknowledged: XAUTOCLAIM, XCLAIM.

use super::{
    Call, Command, Flag, at_least,
    options::Options,
    quoted_name,
    stream_group_reads::{report_claim, report_position},
    stream_groups::no_such_group,
    stream_ids::{entry_id, interval_start, write_entry},
};
use crate::{
    db::WallMs,
    effects::Effects,
    error::CommandError,
    resp::{Reply, parse_i64},
    stream::{Group, Log, Name, Stream, StreamId},
};

pub(super) const COMMANDS: &[Command] = &[
    at_least("xautoclaim", 6, xautoclaim).flags(&[Flag::Write, Flag::Fast]).keys(1, 1, 1),
    at_least("xclaim", 6, xclaim).flags(&[Flag::Write, Flag::Fast]).keys(1, 1, 1),
];

/// XAUTOCLAIM looks at so many pending entries for each that it may return.
const ATTEMPTS_PER_ENTRY: usize = 10;
/// How many entries XAUTOCLAIM returns unless it is told.
const AUTOCLAIM_COUNT: usize = 100;
/// The largest COUNT that XAUTOCLAIM takes: `LONG_MAX` by the size of an id.
const AUTOCLAIM_COUNT_MAX: i64 = i64::MAX / 16;

/// Who takes over, and how.
struct Claim<'a> {
    key: &'a [u8],
    group_name: &'a [u8],
    consumer: &'a [u8],
    /// Only what has been pending for so many milliseconds.
    min_idle: i64,
    now: WallMs,
    /// When the entries count as delivered.
    delivered_at: WallMs,
    /// What becomes of the number of deliveries: this, if it is given.
    deliveries: Option<u64>,
    /// The entries themselves are not wanted, and the number of deliveries stays.
    just_id: bool,
    /// Entries that are not pending become so.
    force: bool,
}

/// What became of one entry.
enum Claimed {
    /// It is the new consumer's.
    Taken,
    /// It was pending and is deleted; now it is neither.
    Gone,
    /// Nothing.
    Left,
}

impl Claim<'_> {
    fn claim(&self, log: &Log, group: &mut Group, effects: &mut Effects, id: StreamId) -> Claimed {
        let old = group.delivery(id).map(|delivery| (delivery.at, delivery.count));
        if log.get(id).is_none() {
            return match old {
                None => Claimed::Left,
                Some(_) => {
                    // Redis writes XCLAIM, which a restart refuses likewise since the entry is gone.
                    report_claim(effects, self.key, self.group_name, group, id);
                    group.acknowledge(id);
                    Claimed::Gone
                }
            };
        }
        let count = match old {
            None if !self.force => return Claimed::Left,
            None => 0,
            Some((at, _)) if self.min_idle > 0 && self.now.saturating_sub(at) < self.min_idle => {
                return Claimed::Left;
            }
            Some((_, count)) => count,
        };
        let count = self.deliveries.unwrap_or(if self.just_id { count } else { count + 1 });
        let (consumer, _): (Name, bool) = group.see(self.consumer, self.now);
        group.assign(id, &consumer, self.delivered_at, count);
        report_claim(effects, self.key, self.group_name, group, id);
        Claimed::Taken
    }

    fn write(&self, reply: &mut Reply<'_>, log: &Log, id: StreamId) {
        match log.get(id) {
            Some(fields) if !self.just_id => write_entry(reply, (id, fields)),
            _ => reply.id(id),
        }
    }
}

/// Fails with `refusal` when the argument is no integer.
fn named_integer(argument: &[u8], refusal: &'static str) -> Result<i64, CommandError> {
    parse_i64(argument).ok_or(CommandError::Refused(refusal))
}

fn xclaim(call: &mut Call<'_>) -> Result<(), CommandError> {
    let args = call.args;
    let (key, group_name, now) = (&args[1], &args[2], call.now_ms());
    if call.state.db.stream(key)?.is_none_or(|stream| !stream.groups.contains_key(group_name)) {
        return Err(no_such_group(key, group_name, ""));
    }
    let min_idle = named_integer(&args[4], "ERR Invalid min-idle-time argument for XCLAIM")?;
    let ids: Vec<StreamId> = args.from(5).map_while(|id| entry_id(id, 0).ok()).collect();
    let mut claim = Claim {
        key,
        group_name,
        consumer: &args[3],
        min_idle,
        now,
        delivered_at: now,
        deliveries: None,
        just_id: false,
        force: false,
    };
    let last_id = claim_options(&mut claim, Options::from(args, 5 + ids.len()))?;
    let db = &mut call.state.db;
    let Some((Stream { log, groups }, effects)) = db.stream_and_effects(key)? else {
        return Ok(());
    };
    let Some(group) = groups.get_mut(group_name) else {
        return Ok(());
    };
    let moved = last_id > group.last_id;
    group.last_id = group.last_id.max(last_id);
    let (mut taken, mut changed) = (Vec::new(), false);
    for id in ids {
        match claim.claim(log, group, effects, id) {
            Claimed::Taken => taken.push(id),
            Claimed::Gone => {}
            Claimed::Left => continue,
        }
        changed = true;
    }
    call.reply.array(taken.len());
    taken.into_iter().for_each(|id| claim.write(&mut call.reply, log, id));
    if moved && !changed {
        report_position(effects, key, group_name, group);
    }
    if moved || changed {
        db.changed_unseen();
    }
    Ok(())
}

/// Reads what follows the ids; returns LASTID, or the smallest id without it.
fn claim_options(claim: &mut Claim<'_>, mut options: Options<'_>) -> Result<StreamId, CommandError> {
    let mut last_id = StreamId::MIN;
    let mut delivered_at = None;
    while let Some(option) = options.next() {
        let lower = option.to_ascii_lowercase();
        match (lower.as_slice(), options.left() > 0) {
            (b"force", _) => claim.force = true,
            (b"justid", _) => claim.just_id = true,
            (b"idle", true) => {
                let idle = named_integer(options.value()?, "ERR Invalid IDLE option argument for XCLAIM")?;
                delivered_at = Some(claim.now.saturating_sub(idle));
            }
            (b"time", true) => {
                delivered_at =
                    Some(named_integer(options.value()?, "ERR Invalid TIME option argument for XCLAIM")?);
            }
            (b"retrycount", true) => {
                let count =
                    named_integer(options.value()?, "ERR Invalid RETRYCOUNT option argument for XCLAIM")?;
                claim.deliveries = u64::try_from(count).ok();
            }
            (b"lastid", true) => last_id = entry_id(options.value()?, 0)?,
            _ => {
                let option = quoted_name(option);
                return Err(CommandError::RefusedArgument(format!(
                    "ERR Unrecognized XCLAIM option '{option}'"
                )));
            }
        }
    }
    // A time in the future or before 1970 counts as now, as in Redis.
    claim.delivered_at = delivered_at.filter(|at| (0..=claim.now).contains(at)).unwrap_or(claim.now);
    Ok(last_id)
}

fn xautoclaim(call: &mut Call<'_>) -> Result<(), CommandError> {
    let args = call.args;
    let (key, group_name, now) = (&args[1], &args[2], call.now_ms());
    let min_idle = named_integer(&args[4], "ERR Invalid min-idle-time argument for XAUTOCLAIM")?;
    let start = interval_start(&args[5])?;
    let (count, just_id) = autoclaim_options(Options::from(args, 6))?;
    let claim = Claim {
        key,
        group_name,
        consumer: &args[3],
        min_idle,
        now,
        delivered_at: now,
        deliveries: None,
        just_id,
        force: false,
    };
    let db = &mut call.state.db;
    let parts = db.stream_and_effects(key)?;
    let Some((log, group, effects)) =
        parts.and_then(|(Stream { log, groups }, effects)| Some((log, groups.get_mut(group_name)?, effects)))
    else {
        return Err(no_such_group(key, group_name, ""));
    };
    let looked_at = count.saturating_mul(ATTEMPTS_PER_ENTRY);
    let candidates: Vec<StreamId> = group
        .pending_in(start..=StreamId::MAX, None)
        .map(|(id, _)| id)
        .take(looked_at.saturating_add(1))
        .collect();
    let (mut taken, mut gone) = (Vec::new(), Vec::new());
    let mut next = StreamId::MIN;
    for (nth, id) in candidates.into_iter().enumerate() {
        if nth == looked_at || taken.len() + gone.len() == count {
            next = id;
            break;
        }
        match claim.claim(log, group, effects, id) {
            Claimed::Taken => taken.push(id),
            Claimed::Gone => gone.push(id),
            Claimed::Left => {}
        }
    }
    call.reply.array(3);
    call.reply.id(next);
    call.reply.array(taken.len());
    taken.iter().for_each(|id| claim.write(&mut call.reply, log, *id));
    call.reply.array(gone.len());
    gone.iter().for_each(|id| call.reply.id(*id));
    if taken.len() + gone.len() > 0 {
        db.changed_unseen();
    }
    Ok(())
}

/// COUNT and JUSTID.
fn autoclaim_options(mut options: Options<'_>) -> Result<(usize, bool), CommandError> {
    let (mut count, mut just_id) = (AUTOCLAIM_COUNT, false);
    while let Some(option) = options.next() {
        if option.eq_ignore_ascii_case(b"count") && options.left() > 0 {
            count = parse_i64(options.value()?)
                .filter(|count| (1..=AUTOCLAIM_COUNT_MAX).contains(count))
                .and_then(|count| usize::try_from(count).ok())
                .ok_or(CommandError::Refused("ERR COUNT must be > 0"))?;
        } else if option.eq_ignore_ascii_case(b"justid") {
            just_id = true;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok((count, just_id))
}
