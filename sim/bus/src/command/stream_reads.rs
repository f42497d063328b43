//! Commands that read entries of streams: XRANGE, XREAD, XREVRANGE.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    Call, Command, Flag, Origin, at_least,
    options::Options,
    quoted_name,
    stream_ids::{entry_id, interval, write_entries},
};
use crate::{
    blocking::Pending,
    db::{Db, Key, WallMs},
    error::CommandError,
    resp::{Args, Protocol, Reply, parse_i64},
    stream::{Stream, StreamId},
};

pub(super) const COMMANDS: &[Command] = &[
    at_least("xrange", 4, xrange).flags(&[Flag::ReadOnly]).keys(1, 1, 1),
    at_least("xread", 4, xread).flags(&[Flag::ReadOnly, Flag::Blocking, Flag::MovableKeys]),
    at_least("xrevrange", 4, xrevrange).flags(&[Flag::ReadOnly]).keys(1, 1, 1),
];

/// How many entries of a stream a client gets that waited for them and set no limit (`XREAD_BLOCKED_DEFAULT_COUNT`,
/// Redis `t_stream.c`).
pub(super) const AFTER_WAITING: usize = 1_000;

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
        Some(stream) if newest_first => write_entries(reply, stream.log.range(range).rev().take(count)),
        Some(stream) => write_entries(reply, stream.log.range(range).take(count)),
    }
    Ok(())
}

/// What XREAD and XREADGROUP have in common.
pub(super) struct ReadOptions<'a> {
    /// How many milliseconds to wait: `None` not at all, 0 for ever.
    pub(super) block: Option<u64>,
    /// At most so many entries of each stream.
    pub(super) count: Option<usize>,
    /// Nothing that is delivered will be acknowledged.
    pub(super) noack: bool,
    /// The group and the consumer.
    pub(super) group: Option<(&'a [u8], &'a [u8])>,
    /// The streams' keys, each with the argument that says where to read.
    pub(super) streams: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> ReadOptions<'a> {
    pub(super) fn parse(args: Args<'a>, origin: Origin, of_group: bool) -> Result<Self, CommandError> {
        let mut read = Self { block: None, count: None, noack: false, group: None, streams: Vec::new() };
        let mut options = Options::from(args, 1);
        while let Some(option) = options.next() {
            if option.eq_ignore_ascii_case(b"block") && options.left() > 0 {
                if origin == Origin::Script {
                    let name = quoted_name(&args[0]);
                    return Err(CommandError::RefusedArgument(format!(
                        "ERR {name} command is not allowed with BLOCK option from scripts"
                    )));
                }
                read.block = Some(timeout_millis(options.value()?)?);
            } else if option.eq_ignore_ascii_case(b"count") && options.left() > 0 {
                // Zero and less mean no limit.
                read.count = usize::try_from(options.integer()?).ok().filter(|count| *count > 0);
            } else if option.eq_ignore_ascii_case(b"group") && options.left() >= 2 {
                if !of_group {
                    return Err(CommandError::Refused(
                        "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
                    ));
                }
                read.group = Some((options.value()?, options.value()?));
            } else if option.eq_ignore_ascii_case(b"noack") {
                if !of_group {
                    return Err(CommandError::Refused(
                        "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
                    ));
                }
                read.noack = true;
            } else if option.eq_ignore_ascii_case(b"streams") && options.left() > 0 {
                return read.streams(args, &options);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Err(CommandError::Syntax)
    }

    /// Reads the keys and what belongs to each, which are all that is left.
    fn streams(mut self, args: Args<'a>, options: &Options<'_>) -> Result<Self, CommandError> {
        if !options.left().is_multiple_of(2) {
            return Err(CommandError::Refused(
                "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
            ));
        }
        let keys = args.from(options.position()).take(options.left() / 2);
        self.streams = keys.zip(args.from(options.position() + options.left() / 2)).collect();
        Ok(self)
    }

    /// When to give up; `None` is never.
    pub(super) fn timeout(block: u64) -> Option<Duration> {
        (block > 0).then(|| Duration::from_millis(block))
    }
}

/// As `getTimeoutFromObjectOrReply`, Redis `timeout.c`.
fn timeout_millis(argument: &[u8]) -> Result<u64, CommandError> {
    let millis =
        parse_i64(argument).ok_or(CommandError::Refused("ERR timeout is not an integer or out of range"))?;
    u64::try_from(millis).map_err(|_| CommandError::Refused("ERR timeout is negative"))
}

/// Writes the head of an answer about so many streams.
pub(super) fn write_head(reply: &mut Reply<'_>, streams: usize) {
    match reply.protocol() {
        Protocol::Resp2 => reply.array(streams),
        Protocol::Resp3 => reply.map(streams),
    }
}

/// Writes the key of a stream; its entries follow.
pub(super) fn write_key(reply: &mut Reply<'_>, key: &[u8]) {
    if reply.protocol() == Protocol::Resp2 {
        reply.array(2);
    }
    reply.bulk(key);
}

fn xread(call: &mut Call<'_>) -> Result<(), CommandError> {
    let read = ReadOptions::parse(call.args, call.origin, false)?;
    let db = &call.state.db;
    let mut after = Vec::with_capacity(read.streams.len());
    for (key, id) in &read.streams {
        after.push((*key, read_after(db.stream(key)?, id)?));
    }
    let grown: Vec<(&[u8], &Stream, StreamId)> = after
        .iter()
        .filter_map(|(key, after)| {
            let stream = db.stream(key).ok().flatten()?;
            let newest = stream.log.last().map(|(newest, _)| newest)?;
            Some((*key, stream, after.successor().filter(|from| newest >= *from)?))
        })
        .collect();
    if !grown.is_empty() {
        write_head(&mut call.reply, grown.len());
        for (key, stream, from) in grown {
            write_key(&mut call.reply, key);
            let entries = stream.log.range(from..=StreamId::MAX);
            write_entries(&mut call.reply, entries.take(read.count.unwrap_or(usize::MAX)));
        }
        return Ok(());
    }
    match read.block {
        None => call.reply.null_array(),
        Some(block) => {
            let streams: Vec<(Key, StreamId)> =
                after.into_iter().map(|(key, after)| (Key::from(key), after)).collect();
            let keys = streams.iter().map(|(key, _)| key.clone()).collect();
            let pending = WaitingRead { streams, count: read.count.unwrap_or(AFTER_WAITING) };
            call.wait(keys, Box::new(pending), ReadOptions::timeout(block));
        }
    }
    Ok(())
}

/// XREAD that waits, with its ids resolved.
struct WaitingRead {
    streams: Vec<(Key, StreamId)>,
    count: usize,
}

impl Pending for WaitingRead {
    /// The client gets what is new in the stream that grew, and only that (`serveClientsBlockedOnStreamKey`, Redis
    /// `blocked.c`). A key that meanwhile holds something else is as good as missing.
    fn attempt(&self, key: &Key, db: &mut Db, _: WallMs, reply: &mut Reply<'_>) -> bool {
        let after = self.streams.iter().find(|(awaited, _)| awaited == key).map(|(_, after)| *after);
        let (Some(after), Ok(Some(stream))) = (after, db.stream(key)) else {
            return false;
        };
        let Some(from) = after.successor().filter(|from| stream.log.last_id() >= *from) else {
            return false;
        };
        write_head(reply, 1);
        write_key(reply, key);
        write_entries(reply, stream.log.range(from..=StreamId::MAX).take(self.count));
        true
    }
}

/// The id after which XREAD reads: `$` is the newest id ever used.
fn read_after(stream: Option<&Stream>, id: &[u8]) -> Result<StreamId, CommandError> {
    match id {
        b"$" => Ok(stream.map_or(StreamId::MIN, |stream| stream.log.last_id())),
        b">" => Err(CommandError::Refused(
            "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
        )),
        id => entry_id(id, 0),
    }
}
