//! XREADGROUP: entries for one consumer of a group.

use super::{
    Call, Command, Flag, at_least,
    stream_groups::no_such_group,
    stream_ids::{entry_id, write_entry},
    stream_reads::{AFTER_WAITING, ReadOptions, write_head, write_key},
};
use crate::{
    blocking::Pending,
    db::{Db, Key, WallMs},
    effects::Effects,
    error::CommandError,
    resp::Reply,
    stream::{Group, Stream, StreamId},
};

pub(super) const COMMANDS: &[Command] =
    &[at_least("xreadgroup", 7, xreadgroup).flags(&[Flag::Write, Flag::Blocking, Flag::MovableKeys])];

/// Who reads.
#[derive(Clone)]
struct Reader {
    group: Vec<u8>,
    consumer: Vec<u8>,
    /// Nothing will be acknowledged.
    noack: bool,
    /// At most so many entries of each stream.
    count: usize,
}

/// Where to read.
#[derive(Clone, Copy)]
enum From {
    /// `>`: what the group has delivered to nobody.
    New,
    /// What this consumer has not acknowledged, after an id.
    History(StreamId),
}

fn xreadgroup(call: &mut Call<'_>) -> Result<(), CommandError> {
    let read = ReadOptions::parse(call.args, call.origin, true)?;
    let (group, consumer) =
        read.group.ok_or(CommandError::Refused("ERR Missing GROUP option for XREADGROUP"))?;
    let mut wanted = Vec::with_capacity(read.streams.len());
    for (key, id) in &read.streams {
        let stream = call.state.db.stream(key)?;
        if stream.is_none_or(|stream| !stream.groups.contains_key(group)) {
            return Err(no_such_group(key, group, " in XREADGROUP with GROUP option"));
        }
        wanted.push((*key, read_from(id)?));
    }
    let mut reader = Reader {
        group: group.to_vec(),
        consumer: consumer.to_vec(),
        noack: read.noack,
        count: read.count.unwrap_or(usize::MAX),
    };
    let now = call.now_ms();
    let mut served = Vec::new();
    for (key, from) in wanted {
        if has_something(call.state.db.stream(key)?, group, from) {
            served.push((key, reader.take(&mut call.state.db, key, from, now)?));
        }
    }
    if !served.is_empty() {
        write_head(&mut call.reply, served.len());
        for (key, ids) in served {
            write_key(&mut call.reply, key);
            write_delivered(&mut call.reply, call.state.db.stream(key)?, &ids);
        }
        return Ok(());
    }
    match read.block {
        None => call.reply.null_array(),
        Some(block) => {
            reader.count = read.count.unwrap_or(AFTER_WAITING);
            let keys = read.streams.iter().map(|(key, _)| Key::from(*key)).collect();
            call.wait(keys, Box::new(reader), ReadOptions::timeout(block));
        }
    }
    Ok(())
}

fn read_from(id: &[u8]) -> Result<From, CommandError> {
    match id {
        b"$" => Err(CommandError::Refused(
            "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer \
             by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty \
             result set.",
        )),
        b">" => Ok(From::New),
        id => match entry_id(id, 0)? {
            // Redis marks `>` by the last possible id.
            StreamId::MAX => Ok(From::New),
            id => Ok(From::History(id)),
        },
    }
}

/// Whether there is an answer at once; a history is one even when it is empty.
fn has_something(stream: Option<&Stream>, group: &[u8], from: From) -> bool {
    let Some((stream, group)) = stream.and_then(|stream| Some((stream, stream.groups.get(group)?))) else {
        return false;
    };
    match from {
        From::History(_) => true,
        From::New => stream.log.last().is_some_and(|(newest, _)| newest > group.last_id),
    }
}

impl Reader {
    /// Takes note of what the consumer gets and returns its ids.
    fn take(&self, db: &mut Db, key: &[u8], from: From, now: WallMs) -> Result<Vec<StreamId>, CommandError> {
        let Some((stream, effects)) = db.stream_and_effects(key)? else {
            return Ok(Vec::new());
        };
        let Some(group) = stream.groups.get_mut(self.group.as_slice()) else {
            return Ok(Vec::new());
        };
        let (consumer, is_new) = group.see(&self.consumer, now);
        if is_new && (self.noack || matches!(from, From::History(_))) {
            effects.push(&[b"XGROUP", b"CREATECONSUMER", key, &self.group, &self.consumer]);
        }
        let ids = match from {
            From::New => stream.deliver(&self.group, &consumer, self.count, self.noack, now),
            From::History(after) => {
                let ids = history(group, &self.consumer, after, self.count);
                ids.iter()
                    .filter(|id| stream.log.get(**id).is_some())
                    .for_each(|id| group.delivered_again(*id, now));
                ids
            }
        };
        if let (From::New, Some(group)) = (from, stream.groups.get(self.group.as_slice())) {
            self.report(effects, key, group, &ids);
        }
        if is_new || matches!(from, From::New) && !ids.is_empty() {
            db.changed_unseen();
        }
        Ok(ids)
    }

    /// Redis reports each delivery as XCLAIM (`streamPropagateXCLAIM`) and forgets how many entries the group has read;
    /// here a log leads to the same count.
    fn report(&self, effects: &mut Effects, key: &[u8], group: &Group, ids: &[StreamId]) {
        if ids.is_empty() || !effects.recording() {
            return;
        }
        if !self.noack {
            ids.iter().for_each(|id| report_claim(effects, key, &self.group, group, *id));
        }
        report_position(effects, key, &self.group, group);
    }
}

/// Records that an entry is now pending as the group says.
pub(super) fn report_claim(effects: &mut Effects, key: &[u8], name: &[u8], group: &Group, id: StreamId) {
    let Some(delivery) = group.delivery(id).filter(|_| effects.recording()) else {
        return;
    };
    let (id, at) = (id.to_string(), delivery.at.to_string());
    let (count, last_id) = (delivery.count.to_string(), group.last_id.to_string());
    effects.push(&[
        b"XCLAIM",
        key,
        name,
        &delivery.consumer,
        b"0",
        id.as_bytes(),
        b"TIME",
        at.as_bytes(),
        b"RETRYCOUNT",
        count.as_bytes(),
        b"FORCE",
        b"JUSTID",
        b"LASTID",
        last_id.as_bytes(),
    ]);
}

/// Records how far a group has read.
pub(super) fn report_position(effects: &mut Effects, key: &[u8], name: &[u8], group: &Group) {
    let read = group.entries_read.map_or_else(|| "-1".to_owned(), |read| read.to_string());
    let last_id = group.last_id.to_string();
    effects.push(&[b"XGROUP", b"SETID", key, name, last_id.as_bytes(), b"ENTRIESREAD", read.as_bytes()]);
}

fn history(group: &Group, consumer: &[u8], after: StreamId, count: usize) -> Vec<StreamId> {
    let (Some(consumer), Some(from)) = (group.consumer(consumer), after.successor()) else {
        return Vec::new();
    };
    group.pending_in(from..=StreamId::MAX, Some(consumer)).map(|(id, _)| id).take(count).collect()
}

/// Writes what a consumer gets; of an entry that was deleted since it was delivered only the id is left.
fn write_delivered(reply: &mut Reply<'_>, stream: Option<&Stream>, ids: &[StreamId]) {
    reply.array(ids.len());
    for &id in ids {
        match stream.and_then(|stream| stream.log.get(id)) {
            Some(fields) => write_entry(reply, (id, fields)),
            None => {
                reply.array(2);
                reply.id(id);
                reply.null_array();
            }
        }
    }
}

impl Pending for Reader {
    fn attempt(&self, key: &Key, db: &mut Db, now: WallMs, reply: &mut Reply<'_>) -> bool {
        let Ok(Some(stream)) = db.stream(key) else {
            reply.error(&"UNBLOCKED the stream key no longer exists");
            return true;
        };
        let Some(group) = stream.groups.get(self.group.as_slice()) else {
            reply.error(&"NOGROUP the consumer group this client was blocked on no longer exists");
            return true;
        };
        if stream.log.last_id() <= group.last_id {
            return false;
        }
        // The key holds a stream, so this cannot be refused.
        let ids = self.take(db, key, From::New, now).unwrap_or_default();
        write_head(reply, 1);
        write_key(reply, key);
        write_delivered(reply, db.stream(key).ok().flatten(), &ids);
        true
    }
}
