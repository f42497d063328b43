//! XINFO: what a stream, its groups and their consumers look like.

use super::{
    Call, Command, Flag, at_least, dispatch_subcommand, exactly,
    options::integer,
    stream_groups::no_such_group_of_key,
    stream_ids::{write_entries, write_entry},
    subcommand_syntax,
};
use crate::{
    error::CommandError,
    resp::Reply,
    stream::{Group, NODE_ENTRIES, Stream, StreamId},
};

pub(super) const COMMANDS: &[Command] = &[at_least("xinfo", 2, xinfo).containing(XINFO_SUBCOMMANDS)];

const XINFO_SUBCOMMANDS: &[Command] = &[
    exactly("consumers", 4, consumers).flags(&[Flag::ReadOnly]).keys(2, 2, 1),
    exactly("groups", 3, groups).flags(&[Flag::ReadOnly]).keys(2, 2, 1),
    at_least("stream", 3, stream).flags(&[Flag::ReadOnly]).keys(2, 2, 1),
];

const NO_KEY: CommandError = CommandError::Refused("ERR no such key");

/// How many entries FULL shows unless it is told.
const FULL_COUNT: usize = 10;

fn xinfo(call: &mut Call<'_>) -> Result<(), CommandError> {
    dispatch_subcommand(call, "xinfo", XINFO_SUBCOMMANDS)
}

fn consumers(call: &mut Call<'_>) -> Result<(), CommandError> {
    let (key, name) = (&call.args[2], &call.args[3]);
    let stream = call.state.db.stream(key)?.ok_or(NO_KEY)?;
    let group = stream.groups.get(name).ok_or_else(|| no_such_group_of_key(key, name))?;
    let now = call.now.as_millis();
    let reply = &mut call.reply;
    reply.array(group.consumers().len());
    for (name, consumer) in group.consumers() {
        reply.map(3);
        field(reply, "name").bulk(name);
        field(reply, "pending").count(consumer.pending().len());
        field(reply, "idle").integer(now.saturating_sub(consumer.seen_at).max(0));
    }
    Ok(())
}

fn groups(call: &mut Call<'_>) -> Result<(), CommandError> {
    let stream = call.state.db.stream(&call.args[2])?.ok_or(NO_KEY)?;
    let reply = &mut call.reply;
    reply.array(stream.groups.len());
    for (name, group) in &stream.groups {
        reply.map(6);
        field(reply, "name").bulk(name);
        field(reply, "consumers").count(group.consumers().len());
        field(reply, "pending").count(group.pending().len());
        write_progress(reply, stream, group);
    }
    Ok(())
}

/// Writes one field's name; its value follows.
fn field<'r, 'a>(reply: &'r mut Reply<'a>, name: &str) -> &'r mut Reply<'a> {
    reply.bulk(name.as_bytes());
    reply
}

/// Writes three fields that say how far a group has read.
fn write_progress(reply: &mut Reply<'_>, stream: &Stream, group: &Group) {
    field(reply, "last-delivered-id").id(group.last_id);
    for (name, number) in
        [("entries-read", group.entries_read.map(u64::cast_signed)), ("lag", stream.lag(group))]
    {
        match (field(reply, name), number) {
            (reply, Some(number)) => reply.integer(number),
            (reply, None) => reply.null(),
        }
    }
}

fn stream(call: &mut Call<'_>) -> Result<(), CommandError> {
    let stream = call.state.db.stream(&call.args[2])?.ok_or(NO_KEY)?;
    let full = match call.args.len() {
        3 => None,
        4 | 6 if call.args[3].eq_ignore_ascii_case(b"full") => Some(match call.args.get(4) {
            None => FULL_COUNT,
            Some(option) if option.eq_ignore_ascii_case(b"count") => {
                usize::try_from(integer(&call.args[5])?).unwrap_or(FULL_COUNT)
            }
            Some(_) => return Err(subcommand_syntax(call, "XINFO")),
        }),
        _ => return Err(subcommand_syntax(call, "XINFO")),
    };
    let reply = &mut call.reply;
    reply.map(if full.is_some() { 9 } else { 10 });
    write_counters(reply, stream);
    match full {
        None => write_edges(reply, stream),
        // Zero means everything.
        Some(count) => write_full(reply, stream, if count == 0 { usize::MAX } else { count }),
    }
    Ok(())
}

/// Seven fields. The two radix tree figures are those of a tree whose nodes are all full.
fn write_counters(reply: &mut Reply<'_>, stream: &Stream) {
    let log = &stream.log;
    let nodes = log.len().div_ceil(NODE_ENTRIES);
    field(reply, "length").count(log.len());
    field(reply, "radix-tree-keys").count(nodes);
    field(reply, "radix-tree-nodes").count(nodes + 1);
    field(reply, "last-generated-id").id(log.last_id());
    field(reply, "max-deleted-entry-id").id(log.max_deleted_id());
    field(reply, "entries-added").integer(log.added().cast_signed());
    field(reply, "recorded-first-entry-id").id(log.first_id());
}

fn write_edges(reply: &mut Reply<'_>, stream: &Stream) {
    field(reply, "groups").count(stream.groups.len());
    for (name, entry) in [("first-entry", stream.log.first()), ("last-entry", stream.log.last())] {
        match (field(reply, name), entry) {
            (reply, Some(entry)) => write_entry(reply, entry),
            (reply, None) => reply.null(),
        }
    }
}

fn write_full(reply: &mut Reply<'_>, stream: &Stream, count: usize) {
    field(reply, "entries");
    write_entries(reply, stream.log.range(StreamId::MIN..=StreamId::MAX).take(count));
    field(reply, "groups").array(stream.groups.len());
    for (name, group) in &stream.groups {
        reply.map(7);
        field(reply, "name").bulk(name);
        write_progress(reply, stream, group);
        field(reply, "pel-count").count(group.pending().len());
        field(reply, "pending").array(group.pending().len().min(count));
        for (id, delivery) in group.pending().take(count) {
            reply.array(4);
            reply.id(id);
            reply.bulk(&delivery.consumer);
            reply.integer(delivery.at);
            reply.integer(delivery.count.cast_signed());
        }
        write_consumers(field(reply, "consumers"), group, count);
    }
}

fn write_consumers(reply: &mut Reply<'_>, group: &Group, count: usize) {
    reply.array(group.consumers().len());
    for (name, consumer) in group.consumers() {
        reply.map(4);
        field(reply, "name").bulk(name);
        field(reply, "seen-time").integer(consumer.seen_at);
        field(reply, "pel-count").count(consumer.pending().len());
        field(reply, "pending").array(consumer.pending().len().min(count));
        for (id, delivery) in
            consumer.pending().take(count).filter_map(|id| group.delivery(id).map(|found| (id, found)))
        {
            reply.array(3);
            reply.id(id);
            reply.integer(delivery.at);
            reply.integer(delivery.count.cast_signed());
        }
    }
}
