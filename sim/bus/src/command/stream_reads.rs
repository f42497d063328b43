//! Commands that read entries of streams: XRANGE, XREAD, XREVRANGE.

use std::{ops::RangeInclusive, time::Duration};

use super::{Call, Command, at_least, options::Options};
use crate::{
    blocking::{Blocked, Pending},
    db::{Db, Key},
    error::CommandError,
    resp::{Protocol, Reply, parse_i64},
    stream::{Stream, StreamId},
};

pub(super) const COMMANDS: &[Command] =
    &[at_least("xrange", 4, xrange), at_least("xread", 4, xread), at_least("xrevrange", 4, xrevrange)];

const INVALID_ID: CommandError =
    CommandError::Refused("ERR Invalid stream ID specified as stream command argument");

/// Parses `ms` or `ms-seq`; `missing_seq` completes the former.
pub(super) fn entry_id(argument: &[u8], missing_seq: u64) -> Result<StreamId, CommandError> {
    let (ms, seq) = match argument.iter().position(|&byte| byte == b'-') {
        Some(dash) => (&argument[..dash], Some(&argument[dash + 1..])),
        None => (argument, None),
    };
    Ok(StreamId { ms: id_part(ms)?, seq: seq.map_or(Ok(missing_seq), id_part)? })
}

/// As Redis's `string2ull`, leading zeros included, but without the spaces and plus signs that its `strtoull` lets through.
fn id_part(digits: &[u8]) -> Result<u64, CommandError> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(INVALID_ID);
    }
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or(INVALID_ID)
}

/// Writes an entry as `[id, [field, value, …]]`.
pub(super) fn write_entry(reply: &mut Reply<'_>, (id, fields): (StreamId, &[u8])) {
    reply.array(2);
    reply.id(id);
    reply.encoded(fields);
}

fn write_entries<'a>(reply: &mut Reply<'_>, entries: impl Iterator<Item = (StreamId, &'a [u8])> + Clone) {
    reply.array(entries.clone().count());
    entries.for_each(|entry| write_entry(reply, entry));
}

fn xrange(call: &mut Call<'_>) -> Result<(), CommandError> {
    let range = interval(&call.args[2], &call.args[3])?;
    let count = range_count(call)?;
    reply_range(call, range, count, false)
}

fn xrevrange(call: &mut Call<'_>) -> Result<(), CommandError> {
    let range = interval(&call.args[3], &call.args[2])?;
    let count = range_count(call)?;
    reply_range(call, range, count, true)
}

fn interval(start: &[u8], end: &[u8]) -> Result<RangeInclusive<StreamId>, CommandError> {
    let start = match start {
        [b'(', id @ ..] => entry_id(id, 0)?
            .successor()
            .ok_or(CommandError::Refused("ERR invalid start ID for the interval"))?,
        id => edge_or_entry_id(id, 0)?,
    };
    let end = match end {
        [b'(', id @ ..] => entry_id(id, u64::MAX)?
            .predecessor()
            .ok_or(CommandError::Refused("ERR invalid end ID for the interval"))?,
        id => edge_or_entry_id(id, u64::MAX)?,
    };
    Ok(start..=end)
}

fn edge_or_entry_id(argument: &[u8], missing_seq: u64) -> Result<StreamId, CommandError> {
    match argument {
        b"-" => Ok(StreamId::MIN),
        b"+" => Ok(StreamId::MAX),
        id => entry_id(id, missing_seq),
    }
}

fn range_count(call: &Call<'_>) -> Result<usize, CommandError> {
    let mut count = usize::MAX;
    let mut options = Options::from(call.args, 4);
    while let Some(option) = options.next() {
        if !option.eq_ignore_ascii_case(b"count") {
            return Err(CommandError::Syntax);
        }
        count = usize::try_from(options.integer()?).unwrap_or(0);
    }
    Ok(count)
}

fn reply_range(
    call: &mut Call<'_>,
    range: RangeInclusive<StreamId>,
    count: usize,
    newest_first: bool,
) -> Result<(), CommandError> {
    let reply = &mut call.reply;
    match call.state.db.stream(&call.args[1])? {
        None => reply.array(0),
        // Redis's answer to a count of zero differs from that to an empty range.
        Some(_) if count == 0 => reply.null_array(),
        Some(stream) if newest_first => write_entries(reply, stream.range(range).rev().take(count)),
        Some(stream) => write_entries(reply, stream.range(range).take(count)),
    }
    Ok(())
}

/// XREAD with its ids resolved: what comes after an id, of several streams.
struct Read {
    streams: Vec<(Key, StreamId)>,
    /// At most so many entries of each stream.
    count: usize,
}

impl Pending for Read {
    fn attempt(&self, db: &mut Db, reply: &mut Reply<'_>) -> bool {
        // A key that meanwhile holds something else is as good as missing: the client goes on waiting.
        let found = || {
            self.streams.iter().filter_map(|(key, after)| {
                let stream = db.stream(key).ok().flatten()?;
                let from =
                    after.successor().filter(|from| stream.last().is_some_and(|(last, _)| last >= *from))?;
                Some((key, stream, from))
            })
        };
        let streams = found().count();
        if streams == 0 {
            return false;
        }
        match reply.protocol() {
            Protocol::Resp2 => reply.array(streams),
            Protocol::Resp3 => reply.map(streams),
        }
        for (key, stream, from) in found() {
            if reply.protocol() == Protocol::Resp2 {
                reply.array(2);
            }
            reply.bulk(key);
            write_entries(reply, stream.range(from..=StreamId::MAX).take(self.count));
        }
        true
    }
}

fn xread(call: &mut Call<'_>) -> Result<(), CommandError> {
    let (read, block) = parse_read(call)?;
    if read.attempt(&mut call.state.db, &mut call.reply) {
        return Ok(());
    }
    match block {
        None => call.reply.null_array(),
        Some(millis) => {
            let keys = read.streams.iter().map(|(key, _)| key.clone()).collect();
            let timeout = (millis > 0).then(|| Duration::from_millis(millis));
            call.blocked = Some(Blocked { keys, pending: Box::new(read), timeout });
        }
    }
    Ok(())
}

/// The read, and how many milliseconds it may wait: `None` not at all, 0 for ever.
fn parse_read(call: &Call<'_>) -> Result<(Read, Option<u64>), CommandError> {
    let mut options = Options::from(call.args, 1);
    let mut count = usize::MAX;
    let mut block = None;
    loop {
        let option = options.next().ok_or(CommandError::Syntax)?;
        if option.eq_ignore_ascii_case(b"block") {
            block = Some(timeout_millis(options.value()?)?);
        } else if option.eq_ignore_ascii_case(b"count") {
            // Zero and less mean no limit.
            count = usize::try_from(options.integer()?).ok().filter(|count| *count > 0).unwrap_or(usize::MAX);
        } else if option.eq_ignore_ascii_case(b"group") && options.left() >= 2 {
            return Err(CommandError::Refused(
                "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
            ));
        } else if option.eq_ignore_ascii_case(b"noack") {
            return Err(CommandError::Refused(
                "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
            ));
        } else if option.eq_ignore_ascii_case(b"streams") && options.left() > 0 {
            break;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    if !options.left().is_multiple_of(2) {
        return Err(CommandError::Refused(
            "ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified.",
        ));
    }
    let keys = call.args.from(options.position()).take(options.left() / 2);
    let ids = call.args.from(options.position() + options.left() / 2);
    let streams = keys
        .zip(ids)
        .map(|(key, id)| Ok((Key::from(key), read_after(call.state.db.stream(key)?, id)?)))
        .collect::<Result<_, _>>()?;
    Ok((Read { streams, count }, block))
}

/// As `getTimeoutFromObjectOrReply`, Redis `timeout.c`.
fn timeout_millis(argument: &[u8]) -> Result<u64, CommandError> {
    let millis =
        parse_i64(argument).ok_or(CommandError::Refused("ERR timeout is not an integer or out of range"))?;
    u64::try_from(millis).map_err(|_| CommandError::Refused("ERR timeout is negative"))
}

/// The id after which XREAD reads: `$` is the newest id ever used, `+` the one just before it.
fn read_after(stream: Option<&Stream>, id: &[u8]) -> Result<StreamId, CommandError> {
    let newest = stream.map_or(StreamId::MIN, Stream::last_id);
    match id {
        b"$" => Ok(newest),
        b"+" => Ok(newest.predecessor().unwrap_or(StreamId::MIN)),
        b">" => Err(CommandError::Refused(
            "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
        )),
        id => entry_id(id, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_ids_are_read_as_redis_reads_them() {
        let id = |ms, seq| Ok(StreamId { ms, seq });
        assert_eq!(entry_id(b"12", 7), id(12, 7));
        assert_eq!(entry_id(b"12-3", 7), id(12, 3));
        assert_eq!(entry_id(b"007-01", 0), id(7, 1));
        assert_eq!(entry_id(b"18446744073709551615-18446744073709551615", 0), Ok(StreamId::MAX));
        for bad in ["", "-", "+", "1-", "-1", "1-2-3", "a", "1-*", "+1", "18446744073709551616"] {
            assert_eq!(entry_id(bad.as_bytes(), 0), Err(INVALID_ID), "{bad}");
        }
    }

    #[test]
    fn an_exclusive_end_of_an_interval_moves_to_its_neighbour() {
        let id = |ms, seq| StreamId { ms, seq };
        assert_eq!(interval(b"-", b"+"), Ok(StreamId::MIN..=StreamId::MAX));
        assert_eq!(interval(b"(5", b"(7-0"), Ok(id(5, 1)..=id(6, u64::MAX)));
        assert_eq!(interval(b"5", b"7"), Ok(id(5, 0)..=id(7, u64::MAX)));
        let last = b"(18446744073709551615-18446744073709551615";
        assert_eq!(interval(last, b"+"), Err(CommandError::Refused("ERR invalid start ID for the interval")));
        assert_eq!(
            interval(b"-", b"(0-0"),
            Err(CommandError::Refused("ERR invalid end ID for the interval"))
        );
        assert_eq!(interval(b"(-", b"+"), Err(INVALID_ID));
    }
}
