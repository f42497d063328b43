//! The data as the shortest append-only file: what a rewrite begins with (`rewriteAppendOnlyFileRio`, Redis `aof.c`).

use crate::{
    db::{Key, Value},
    effects::write_command,
    epoch::{self, Guarantee},
    server::State,
    stream::{Stream, StreamId},
};

/// The epoch, and commands that make all data anew.
pub(super) fn base(state: &State) -> Vec<u8> {
    let guarantee = Guarantee::under(state.config.append_fsync);
    let mut out = super::format::dataset(&epoch::current(state), guarantee).into_bytes();
    for (key, value, deadline) in state.db.iter() {
        match value {
            Value::String(bytes) => write(&mut out, &[b"SET", key, bytes]),
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

/// The entries, and what the stream remembers of entries that are gone.
fn write_stream(out: &mut Vec<u8>, key: &Key, stream: &Stream) {
    for (id, fields) in stream.range(StreamId::MIN..=StreamId::MAX) {
        write_entry(out, key, id, fields);
    }
    let last_id = stream.last_id().to_string();
    if stream.len() == 0 {
        // There are no empty streams but those that were emptied.
        let id = if stream.last_id() == StreamId::MIN { "0-1" } else { &last_id };
        write(out, &[b"XADD", key, b"MAXLEN", b"0", id.as_bytes(), b"x", b"y"]);
    }
    let (added, deleted) = (stream.added().to_string(), stream.max_deleted_id().to_string());
    let words: [&[u8]; 7] = [
        b"XSETID",
        key,
        last_id.as_bytes(),
        b"ENTRIESADDED",
        added.as_bytes(),
        b"MAXDELETEDID",
        deleted.as_bytes(),
    ];
    write(out, &words);
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
