//! Commands that change a stream or describe it: XADD, XDEL, XINFO, XLEN, XTRIM.

use super::{
    Call, Command, arity, at_least, dispatch_subcommand, exactly, lossy,
    options::Options,
    stream_reads::{entry_id, write_entry},
};
use crate::{
    db::{Ttl, Value},
    error::CommandError,
    resp::{Args, Protocol, Reply, parse_i64},
    stream::{NODE_ENTRIES, NewId, Stream, StreamId, Trim, TrimTo},
};

pub(super) const COMMANDS: &[Command] = &[
    at_least("xadd", 5, xadd),
    at_least("xdel", 3, xdel),
    at_least("xinfo", 2, xinfo),
    exactly("xlen", 2, xlen),
    at_least("xtrim", 4, xtrim),
];

const XINFO_SUBCOMMANDS: &[Command] = &[at_least("stream", 3, xinfo_stream)];

/// What `~` removes at most when LIMIT is not given: 100 nodes.
const DEFAULT_LIMIT: usize = 100 * NODE_ENTRIES;

/// The options that XADD and XTRIM share (`streamParseAddOrTrimArgsOrReply`, Redis `t_stream.c`).
#[derive(Default)]
struct TrimOptions {
    to: Option<TrimTo>,
    approximate: bool,
    limit: Option<usize>,
}

impl TrimOptions {
    /// Takes in `option` and its values; `false` when it is none of these.
    fn take(&mut self, option: &[u8], options: &mut Options<'_>) -> Result<bool, CommandError> {
        if options.left() == 0 {
            return Ok(false);
        }
        if option.eq_ignore_ascii_case(b"maxlen") {
            let value = self.strategy_value(options)?;
            self.to = Some(TrimTo::Length(not_negative(value, "ERR The MAXLEN argument must be >= 0.")?));
        } else if option.eq_ignore_ascii_case(b"minid") {
            let value = self.strategy_value(options)?;
            self.to = Some(TrimTo::Id(entry_id(value, 0)?));
        } else if option.eq_ignore_ascii_case(b"limit") {
            self.limit = Some(not_negative(options.value()?, "ERR The LIMIT argument must be >= 0.")?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Reads `[=|~] value`.
    fn strategy_value<'a>(&mut self, options: &mut Options<'a>) -> Result<&'a [u8], CommandError> {
        if self.to.is_some() {
            return Err(CommandError::Refused(
                "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
            ));
        }
        if options.left() >= 2 && matches!(options.peek(), Some(b"~" | b"=")) {
            self.approximate = options.value()? == b"~";
        }
        options.value()
    }

    fn finish(self) -> Result<Option<Trim>, CommandError> {
        match (self.to, self.limit) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(CommandError::Refused(
                "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
            )),
            (Some(_), Some(_)) if !self.approximate => Err(CommandError::Refused(
                "ERR syntax error, LIMIT cannot be used without the special ~ option",
            )),
            (Some(to), limit) => {
                Ok(Some(Trim { to, at_most: self.approximate.then_some(limit.unwrap_or(DEFAULT_LIMIT)) }))
            }
        }
    }
}

fn not_negative(argument: &[u8], refusal: &'static str) -> Result<usize, CommandError> {
    let value = parse_i64(argument).ok_or(CommandError::NotAnInteger)?;
    usize::try_from(value).map_err(|_| CommandError::Refused(refusal))
}

fn xadd(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut options = Options::from(call.args, 2);
    let mut trim = TrimOptions::default();
    let mut create = true;
    let new_id = loop {
        // Without an id the arguments have run out, and with them the fields.
        let option = options.next().ok_or_else(|| arity("xadd"))?;
        if option == b"*" {
            break NewId::Auto;
        }
        if option.eq_ignore_ascii_case(b"nomkstream") {
            create = false;
        } else if !trim.take(option, &mut options)? {
            break new_id(option)?;
        }
    };
    let trim = trim.finish()?;
    if options.left() < 2 || !options.left().is_multiple_of(2) {
        return Err(arity("xadd"));
    }
    if new_id == NewId::Exactly(StreamId::MIN) {
        return Err(CommandError::Refused("ERR The ID specified in XADD must be greater than 0-0"));
    }
    let key = &call.args[1];
    let db = &mut call.state.db;
    if db.stream(key)?.is_none() {
        if !create {
            call.reply.null();
            return Ok(());
        }
        db.set(key, Value::Stream(Box::default()), Ttl::Forever);
    }
    let Some(stream) = db.stream_mut(key)? else {
        return Err(CommandError::WrongType);
    };
    if stream.last_id() == StreamId::MAX {
        return Err(CommandError::Refused(
            "ERR The stream has exhausted the last possible ID, unable to add more items",
        ));
    }
    let now = u64::try_from(call.now.as_millis()).unwrap_or(0);
    let id = stream.id_for(new_id, now).ok_or(CommandError::Refused(
        "ERR The ID specified in XADD is equal or smaller than the target stream top item",
    ))?;
    stream.append(id, encode_fields(&call.args, options.position()));
    let trimmed = trim.is_some_and(|trim| stream.trim(trim) > 0);
    let (len, id_text) = (stream.len().to_string(), id.to_string());
    let head: [&[u8]; 3] = [b"XADD", key, id_text.as_bytes()];
    let trimming: [&[u8]; 6] = [b"XADD", key, b"MAXLEN", b"=", len.as_bytes(), id_text.as_bytes()];
    let head: &[&[u8]] = if trimmed { &trimming } else { &head };
    let words: Vec<&[u8]> = head.iter().copied().chain(call.args.from(options.position())).collect();
    db.changed(key);
    db.effects.extend(words.into_iter());
    call.reply.id(id);
    call.state.waiters.signal(key);
    Ok(())
}

fn new_id(argument: &[u8]) -> Result<NewId, CommandError> {
    match argument.strip_suffix(b"-*") {
        Some(ms) => Ok(NewId::AutoSeq(entry_id(ms, 0)?.ms)),
        None => Ok(NewId::Exactly(entry_id(argument, 0)?)),
    }
}

/// The arguments from `first` on as the array in which they will be read.
fn encode_fields(args: &Args<'_>, first: usize) -> Box<[u8]> {
    let count = args.len() - first;
    let size = header_len(count)
        + args.from(first).map(|field| header_len(field.len()) + field.len() + 2).sum::<usize>();
    let mut encoded = Vec::with_capacity(size);
    let mut reply = Reply::new(&mut encoded, Protocol::Resp2);
    reply.array(count);
    args.from(first).for_each(|field| reply.bulk(field));
    encoded.into_boxed_slice()
}

/// The length of `$number\r\n`.
fn header_len(number: usize) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1) + 3
}

fn xdel(call: &mut Call<'_>) -> Result<(), CommandError> {
    let stream = call.state.db.stream_mut(&call.args[1])?;
    let deleted = match stream {
        None => 0,
        Some(stream) => {
            // All ids are checked before the first entry goes.
            call.args.from(2).try_for_each(|id| entry_id(id, 0).map(drop))?;
            call.args.from(2).filter(|id| entry_id(id, 0).is_ok_and(|id| stream.delete(id))).count()
        }
    };
    if deleted > 0 {
        call.state.db.changed(&call.args[1]);
    }
    call.reply.count(deleted);
    Ok(())
}

fn xlen(call: &mut Call<'_>) -> Result<(), CommandError> {
    call.reply.count(call.state.db.stream(&call.args[1])?.map_or(0, Stream::len));
    Ok(())
}

fn xtrim(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut options = Options::from(call.args, 2);
    let mut trim = TrimOptions::default();
    while let Some(option) = options.next() {
        if !trim.take(option, &mut options)? {
            return Err(CommandError::Syntax);
        }
    }
    let trim = trim
        .finish()?
        .ok_or(CommandError::Refused("ERR syntax error, XTRIM must be called with a trimming strategy"))?;
    let removed = call.state.db.stream_mut(&call.args[1])?.map_or(0, |stream| stream.trim(trim));
    if removed > 0 {
        call.state.db.changed(&call.args[1]);
    }
    call.reply.count(removed);
    Ok(())
}

fn xinfo(call: &mut Call<'_>) -> Result<(), CommandError> {
    dispatch_subcommand(call, "xinfo", XINFO_SUBCOMMANDS)
}

/// Without FULL. The two radix tree figures are those of a tree whose nodes are all full.
fn xinfo_stream(call: &mut Call<'_>) -> Result<(), CommandError> {
    let stream = call.state.db.stream(&call.args[2])?.ok_or(CommandError::Refused("ERR no such key"))?;
    if call.args.len() > 3 {
        let name = lossy(&call.args[1]);
        return Err(CommandError::RefusedArgument(format!(
            "ERR unknown subcommand or wrong number of arguments for '{name}'. Try XINFO HELP."
        )));
    }
    let nodes = stream.len().div_ceil(NODE_ENTRIES);
    let reply = &mut call.reply;
    reply.map(10);
    for (name, count) in
        [("length", stream.len()), ("radix-tree-keys", nodes), ("radix-tree-nodes", nodes + 1)]
    {
        reply.bulk(name.as_bytes());
        reply.count(count);
    }
    reply.bulk(b"last-generated-id");
    reply.id(stream.last_id());
    reply.bulk(b"max-deleted-entry-id");
    reply.id(stream.max_deleted_id());
    reply.bulk(b"entries-added");
    reply.count(stream.added());
    reply.bulk(b"recorded-first-entry-id");
    reply.id(stream.first().map_or(StreamId::MIN, |(id, _)| id));
    reply.bulk(b"groups");
    reply.count(0);
    for (name, entry) in [("first-entry", stream.first()), ("last-entry", stream.last())] {
        reply.bulk(name.as_bytes());
        match entry {
            Some(entry) => write_entry(reply, entry),
            None => reply.null(),
        }
    }
    Ok(())
}
