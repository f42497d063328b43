//! Commands about consumer groups: XACK, XGROUP, XPENDING.

use std::ops::RangeInclusive;

use super::{
    Call, Command, Flag, at_least, dispatch_subcommand, exactly,
    options::{Options, integer},
    quoted_name,
    stream_ids::{edge_or_entry_id, entry_id, entry_ids, interval},
    subcommand_syntax,
};
use crate::{
    db::{Ttl, Value},
    error::CommandError,
    resp::{Args, Reply},
    stream::{Group, Stream, StreamId},
};

pub(super) const COMMANDS: &[Command] = &[
    at_least("xack", 4, xack).flags(&[Flag::Write, Flag::Fast]).keys(1, 1, 1),
    at_least("xgroup", 2, xgroup).containing(XGROUP_SUBCOMMANDS),
    at_least("xpending", 3, xpending).flags(&[Flag::ReadOnly]).keys(1, 1, 1),
];

const XGROUP_SUBCOMMANDS: &[Command] = &[
    at_least("create", 5, create).flags(&[Flag::Write, Flag::DenyOom]).keys(2, 2, 1),
    exactly("createconsumer", 5, create_consumer).flags(&[Flag::Write, Flag::DenyOom]).keys(2, 2, 1),
    exactly("delconsumer", 5, delete_consumer).flags(&[Flag::Write]).keys(2, 2, 1),
    exactly("destroy", 4, destroy).flags(&[Flag::Write]).keys(2, 2, 1),
    at_least("setid", 5, set_id).flags(&[Flag::Write]).keys(2, 2, 1),
];

const NO_STREAM: CommandError = CommandError::Refused(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option \
     to create an empty stream automatically.",
);

/// The refusal of a command on a group that is not there; `context` ends the sentence.
pub(super) fn no_such_group(key: &[u8], group: &[u8], context: &str) -> CommandError {
    CommandError::RefusedArgument(format!(
        "NOGROUP No such key '{}' or consumer group '{}'{context}",
        quoted_name(key),
        quoted_name(group)
    ))
}

/// The refusal where the key is known to hold a stream.
pub(super) fn no_such_group_of_key(key: &[u8], group: &[u8]) -> CommandError {
    CommandError::RefusedArgument(format!(
        "NOGROUP No such consumer group '{}' for key name '{}'",
        quoted_name(group),
        quoted_name(key)
    ))
}

fn xack(call: &mut Call<'_>) -> Result<(), CommandError> {
    let (key, name) = (&call.args[1], &call.args[2]);
    let group = call.state.db.stream_mut(key)?.and_then(|stream| stream.groups.get_mut(name));
    let mut acknowledged = 0;
    if let Some(group) = group {
        // All ids are checked before the first is acknowledged.
        let ids = entry_ids(call.args.from(3))?;
        acknowledged = ids.into_iter().filter(|id| group.acknowledge(*id)).count();
    }
    if acknowledged > 0 {
        call.state.db.changed_unseen();
    }
    call.reply.count(acknowledged);
    Ok(())
}

fn xgroup(call: &mut Call<'_>) -> Result<(), CommandError> {
    dispatch_subcommand(call, "xgroup", XGROUP_SUBCOMMANDS)
}

/// The options of CREATE and SETID.
#[derive(Default)]
struct GroupOptions {
    make_stream: bool,
    entries_read: Option<u64>,
}

impl GroupOptions {
    fn parse(call: &Call<'_>, may_make_stream: bool) -> Result<Self, CommandError> {
        let mut parsed = Self::default();
        let mut options = Options::from(call.args, 5);
        while let Some(option) = options.next() {
            if may_make_stream && option.eq_ignore_ascii_case(b"mkstream") {
                parsed.make_stream = true;
            } else if option.eq_ignore_ascii_case(b"entriesread") && options.left() > 0 {
                parsed.entries_read = match options.integer()? {
                    -1 => None,
                    read => Some(u64::try_from(read).map_err(|_| {
                        CommandError::Refused("ERR value for ENTRIESREAD must be positive or -1")
                    })?),
                };
            } else {
                return Err(subcommand_syntax(call, "XGROUP"));
            }
        }
        Ok(parsed)
    }
}

/// Refuses options that are repeated beyond the arguments that the subcommand can have; Redis counts them last.
fn options_once(call: &Call<'_>, most: usize) -> Result<(), CommandError> {
    if call.args.len() > most { Err(subcommand_syntax(call, "XGROUP")) } else { Ok(()) }
}

fn create(call: &mut Call<'_>) -> Result<(), CommandError> {
    let options = GroupOptions::parse(call, true)?;
    let (key, name, id) = (&call.args[2], &call.args[3], &call.args[4]);
    let stream = call.state.db.stream(key)?;
    if stream.is_none() && !options.make_stream {
        return Err(NO_STREAM);
    }
    options_once(call, 8)?;
    let db = &mut call.state.db;
    let stream = db.stream(key)?;
    let last_id = match id {
        b"$" => stream.map_or(StreamId::MIN, |stream| stream.log.last_id()),
        id => entry_id(id, 0)?,
    };
    if stream.is_none() {
        db.set(key, Value::Stream(Box::default()), Ttl::Forever);
    }
    let group = Group::new(last_id, options.entries_read);
    let Some((stream, effects)) = db.stream_and_effects(key)? else {
        return Err(NO_STREAM);
    };
    if stream.groups.contains_key(name) {
        return Err(CommandError::Refused("BUSYGROUP Consumer Group name already exists"));
    }
    let (id, read) = (last_id.to_string(), options.entries_read.map_or(-1, u64::cast_signed).to_string());
    let (id, read) = (id.as_bytes(), read.as_bytes());
    effects.push(&[b"XGROUP", b"CREATE", key, name, id, b"MKSTREAM", b"ENTRIESREAD", read]);
    stream.groups.insert(name.into(), group);
    db.changed_unseen();
    call.reply.ok();
    Ok(())
}

/// The stream and the group that a subcommand is about.
fn existing<'s>(
    stream: Option<&'s mut Stream>,
    key: &[u8],
    name: &[u8],
) -> Result<(&'s mut Group, StreamId), CommandError> {
    let stream = stream.ok_or(NO_STREAM)?;
    let last_id = stream.log.last_id();
    let group = stream.groups.get_mut(name).ok_or_else(|| no_such_group_of_key(key, name))?;
    Ok((group, last_id))
}

fn create_consumer(call: &mut Call<'_>) -> Result<(), CommandError> {
    let (key, name, now) = (&call.args[2], &call.args[3], call.now.as_millis());
    let (group, _) = existing(call.state.db.stream_mut(key)?, key, name)?;
    let is_new = group.consumer(&call.args[4]).is_none();
    if is_new {
        group.see(&call.args[4], now);
        call.state.db.changed_unseen();
    }
    call.reply.integer(i64::from(is_new));
    Ok(())
}

fn delete_consumer(call: &mut Call<'_>) -> Result<(), CommandError> {
    let (key, name) = (&call.args[2], &call.args[3]);
    let (group, _) = existing(call.state.db.stream_mut(key)?, key, name)?;
    let pending = group.remove_consumer(&call.args[4]);
    if pending.is_some() {
        call.state.db.changed_unseen();
    }
    call.reply.count(pending.unwrap_or(0));
    Ok(())
}

fn destroy(call: &mut Call<'_>) -> Result<(), CommandError> {
    let (key, name) = (&call.args[2], &call.args[3]);
    let db = &mut call.state.db;
    let destroyed = db.stream_mut(key)?.ok_or(NO_STREAM)?.groups.remove(name).is_some();
    if destroyed {
        db.changed_unseen();
        db.signal(key);
    }
    call.reply.integer(i64::from(destroyed));
    Ok(())
}

fn set_id(call: &mut Call<'_>) -> Result<(), CommandError> {
    let options = GroupOptions::parse(call, false)?;
    let (key, name, id) = (&call.args[2], &call.args[3], &call.args[4]);
    existing(call.state.db.stream_mut(key)?, key, name)?;
    options_once(call, 7)?;
    let (group, newest) = existing(call.state.db.stream_mut(key)?, key, name)?;
    group.last_id = match id {
        b"$" => newest,
        id => edge_or_entry_id(id, 0)?,
    };
    group.entries_read = options.entries_read;
    let (last_id, read) = (group.last_id, options.entries_read.map_or(-1, u64::cast_signed));
    let (last_id, read) = (last_id.to_string(), read.to_string());
    let db = &mut call.state.db;
    db.changed_unseen();
    db.effects.push(&[b"XGROUP", b"SETID", key, name, last_id.as_bytes(), b"ENTRIESREAD", read.as_bytes()]);
    call.reply.ok();
    Ok(())
}

/// What the long form of XPENDING asks for.
struct PendingQuery<'a> {
    /// Only what has been pending for so many milliseconds.
    min_idle: i64,
    range: RangeInclusive<StreamId>,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> PendingQuery<'a> {
    /// `[IDLE ms] start end count [consumer]`; `None` for the short form.
    fn parse(args: Args<'a>) -> Result<Option<Self>, CommandError> {
        match args.len() {
            3 => return Ok(None),
            6..=9 => {}
            _ => return Err(CommandError::Syntax),
        }
        let (mut first, mut min_idle) = (3, 0);
        if args[3].eq_ignore_ascii_case(b"idle") {
            min_idle = integer(&args[4])?;
            if args.len() < 8 {
                return Err(CommandError::Syntax);
            }
            first = 5;
        }
        let count = usize::try_from(integer(&args[first + 2])?).unwrap_or(0);
        let range = interval(&args[first], &args[first + 1])?;
        Ok(Some(Self { min_idle, range, count, consumer: args.get(first + 3) }))
    }
}

fn xpending(call: &mut Call<'_>) -> Result<(), CommandError> {
    let (key, name, now) = (&call.args[1], &call.args[2], call.now.as_millis());
    let query = PendingQuery::parse(call.args)?;
    let group = call.state.db.stream(key)?.and_then(|stream| stream.groups.get(name));
    let group = group.ok_or_else(|| no_such_group(key, name, ""))?;
    match query {
        None => write_summary(&mut call.reply, group),
        Some(query) => write_pending(&mut call.reply, group, query, now),
    }
    Ok(())
}

fn write_summary(reply: &mut Reply<'_>, group: &Group) {
    reply.array(4);
    let mut pending = group.pending();
    reply.count(pending.len());
    let Some((first, _)) = pending.next() else {
        reply.null();
        reply.null();
        reply.null_array();
        return;
    };
    reply.id(first);
    reply.id(pending.next_back().map_or(first, |(last, _)| last));
    let busy = || group.consumers().filter(|(_, consumer)| consumer.pending().len() > 0);
    reply.array(busy().count());
    for (name, consumer) in busy() {
        reply.array(2);
        reply.bulk(name);
        reply.bulk(itoa::Buffer::new().format(consumer.pending().len()).as_bytes());
    }
}

fn write_pending(reply: &mut Reply<'_>, group: &Group, query: PendingQuery<'_>, now: i64) {
    let consumer = query.consumer.map(|name| group.consumer(name));
    if let Some(None) = consumer {
        return reply.array(0);
    }
    let idle = |at: i64| now.saturating_sub(at);
    let found: Vec<_> = group
        .pending_in(query.range, consumer.flatten())
        .filter(|(_, delivery)| query.min_idle == 0 || idle(delivery.at) >= query.min_idle)
        .take(query.count)
        .collect();
    reply.array(found.len());
    for (id, delivery) in found {
        reply.array(4);
        reply.id(id);
        reply.bulk(&delivery.consumer);
        reply.integer(idle(delivery.at).max(0));
        reply.integer(delivery.count.cast_signed());
    }
}
