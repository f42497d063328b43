//! The data as the shortest append-only file: what a rewrite begins with (`rewriteAppendOnlyFileRio`, Redis `aof.c`).

use crate::{
    db::{Key, Value},
    effects::write_command,
    epoch::{self, Guarantee},
    hash::Hash,
    server::State,
    stream::{Group, Stream, StreamId},
};

/// How many fields one HSET sets (`AOF_REWRITE_ITEMS_PER_CMD`, Redis `server.h`).
const ITEMS_PER_COMMAND: usize = 64;

/// The epoch, and commands that make all data anew.
pub(crate) fn base(state: &State) -> Vec<u8> {
    let guarantee = Guarantee::under(state.config.append_fsync);
    let mut out = super::format::dataset(&epoch::current(state), guarantee).into_bytes();
    for (key, value, deadline) in state.db.iter() {
        match value {
            Value::String(bytes) => write(&mut out, &[b"SET", key, bytes]),
            Value::Hash(hash) => write_hash(&mut out, key, hash),
            Value::Stream(stream) => write_stream(&mut out, key, stream),
        }
        if let Some(deadline) = deadline {
            write(&mut out, &[b"PEXPIREAT", key, itoa::Buffer::new().format(deadline).as_bytes()]);
        }
    }
    out
}

fn write(out: &mut Vec<u8>, words: &[&[u8]]) {
    write_command(out, words.iter().copied());
}

fn write_hash(out: &mut Vec<u8>, key: &Key, hash: &Hash) {
    let fields: Vec<(&[u8], &[u8])> = hash.iter().collect();
    for some in fields.chunks(ITEMS_PER_COMMAND) {
        let mut words: Vec<&[u8]> = vec![b"HSET", key];
        words.extend(some.iter().flat_map(|(field, value)| [*field, *value]));
        write(out, &words);
    }
}

/// The entries, what the stream remembers of entries that are gone, and its groups.
fn write_stream(out: &mut Vec<u8>, key: &Key, stream: &Stream) {
    let log = &stream.log;
    for (id, fields) in log.range(StreamId::MIN..=StreamId::MAX) {
        write_entry(out, key, id, fields);
    }
    let last_id = log.last_id().to_string();
    if log.len() == 0 {
        // A stream that was never written to cannot be made by XADD alone: XSETID takes the id back.
        let id = if log.last_id() == StreamId::MIN { "0-1" } else { &last_id };
        write(out, &[b"XADD", key, b"MAXLEN", b"0", id.as_bytes(), b"x", b"y"]);
    }
    let (added, deleted) = (log.added().to_string(), log.max_deleted_id().to_string());
    let history: [&[u8]; 7] = [
        b"XSETID",
        key,
        last_id.as_bytes(),
        b"ENTRIESADDED",
        added.as_bytes(),
        b"MAXDELETEDID",
        deleted.as_bytes(),
    ];
    write(out, &history);
    for (name, group) in &stream.groups {
        write_group(out, key, name, group);
    }
}

/// A group, its consumers, and what they have not acknowledged.
fn write_group(out: &mut Vec<u8>, key: &Key, name: &[u8], group: &Group) {
    let last_id = group.last_id.to_string();
    let entries_read = group.entries_read.map_or_else(|| "-1".to_owned(), |read| read.to_string());
    let create: [&[u8]; 7] =
        [b"XGROUP", b"CREATE", key, name, last_id.as_bytes(), b"ENTRIESREAD", entries_read.as_bytes()];
    write(out, &create);
    for (consumer, _) in group.consumers() {
        write(out, &[b"XGROUP", b"CREATECONSUMER", key, name, consumer]);
    }
    for (id, delivery) in group.pending() {
        let (id, at, count) = (id.to_string(), delivery.at.to_string(), delivery.count.to_string());
        let claim: [&[u8]; 12] = [
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
            b"JUSTID",
            b"FORCE",
        ];
        write(out, &claim);
    }
}

/// `fields` is an array that was encoded for clients: its items go on where the command's own words end.
fn write_entry(out: &mut Vec<u8>, key: &Key, id: StreamId, fields: &[u8]) {
    let Some((head, items)) = super::format::split_line(fields) else {
        return;
    };
    let count: usize =
        head.get(1..).and_then(|count| std::str::from_utf8(count).ok()?.parse().ok()).unwrap_or(0);
    let mut words = Vec::new();
    write(&mut words, &[b"XADD", key, id.to_string().as_bytes()]);
    let own = super::format::split_line(&words).map_or(&[][..], |(_, own)| own);
    out.extend_from_slice(format!("*{}\r\n", count + 3).as_bytes());
    out.extend_from_slice(own);
    out.extend_from_slice(items);
}
