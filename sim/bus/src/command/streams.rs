//! Commands that change a stream: XADD, XDEL, XLEN, XSETID, XTRIM.

use super::{
    Call, Command, Flag, arity, at_least, exactly,
    options::Options,
    stream_ids::{entry_id, entry_ids},
};
use crate::{
    db::{Ttl, Value},
    effects::Effects,
    error::CommandError,
    resp::{Args, Protocol, Reply, parse_i64},
    stream::{NODE_ENTRIES, NewId, StreamId, Trim, TrimTo},
};

pub(super) const COMMANDS: &[Command] = &[
    at_least("xadd", 5, xadd).flags(&[Flag::Write, Flag::DenyOom, Flag::Fast]).keys(1, 1, 1),
    at_least("xdel", 3, xdel).flags(&[Flag::Write, Flag::Fast]).keys(1, 1, 1),
    exactly("xlen", 2, xlen).flags(&[Flag::ReadOnly, Flag::Fast]).keys(1, 1, 1),
    at_least("xsetid", 3, xsetid).flags(&[Flag::Write, Flag::DenyOom, Flag::Fast]).keys(1, 1, 1),
    at_least("xtrim", 4, xtrim).flags(&[Flag::Write]).keys(1, 1, 1),
];

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
        if self.to.is_none() && self.limit.is_some_and(|limit| limit > 0) {
            return Err(CommandError::Refused(
                "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
            ));
        }
        if self.limit.is_some() && !self.approximate {
            return Err(CommandError::Refused(
                "ERR syntax error, LIMIT cannot be used without the special ~ option",
            ));
        }
        let at_most = self.approximate.then(|| self.limit.unwrap_or(DEFAULT_LIMIT));
        Ok(self.to.map(|to| Trim { to, at_most }))
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
    let Some((stream, effects)) = db.stream_and_effects(key)? else {
        return Err(CommandError::WrongType);
    };
    let log = &mut stream.log;
    if log.last_id() == StreamId::MAX {
        return Err(CommandError::Refused(
            "ERR The stream has exhausted the last possible ID, unable to add more items",
        ));
    }
    let now = u64::try_from(call.now.as_millis()).unwrap_or(0);
    let id = log.id_for(new_id, now).ok_or(CommandError::Refused(
        "ERR The ID specified in XADD is equal or smaller than the target stream top item",
    ))?;
    log.append(id, encode_fields(&call.args, options.position()));
    let trimmed_to = trim.filter(|trim| log.trim(*trim) > 0).map(|_| log.len());
    report_added(effects, key, id, trimmed_to, call.args.from(options.position()));
    db.changed(key);
    db.signal(key);
    call.reply.id(id);
    Ok(())
}

/// Records an entry with the id that it got and, if the stream was trimmed, how many entries are left.
fn report_added<'a>(
    effects: &mut Effects,
    key: &[u8],
    id: StreamId,
    trimmed_to: Option<usize>,
    fields: impl Iterator<Item = &'a [u8]>,
) {
    if !effects.recording() {
        return;
    }
    let (id, len) = (id.to_string(), trimmed_to.map(|len| len.to_string()));
    let mut words: Vec<&[u8]> = vec![b"XADD", key];
    if let Some(len) = &len {
        words.extend([&b"MAXLEN"[..], b"=", len.as_bytes()]);
    }
    words.push(id.as_bytes());
    fields.for_each(|field| words.push(field));
    effects.push(&words);
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
    let key = &call.args[1];
    let mut deleted = 0;
    if let Some(stream) = call.state.db.stream_mut(key)? {
        // All ids are checked before the first entry goes.
        let ids = entry_ids(call.args.from(2))?;
        deleted = ids.into_iter().filter(|id| stream.log.delete(*id)).count();
    }
    if deleted > 0 {
        call.state.db.changed(key);
    }
    call.reply.count(deleted);
    Ok(())
}

fn xlen(call: &mut Call<'_>) -> Result<(), CommandError> {
    call.reply.count(call.state.db.stream(&call.args[1])?.map_or(0, |stream| stream.log.len()));
    Ok(())
}

fn xsetid(call: &mut Call<'_>) -> Result<(), CommandError> {
    let last_id = entry_id(&call.args[2], 0)?;
    let (mut added, mut deleted) = (None, None);
    let mut options = Options::from(call.args, 3);
    while let Some(option) = options.next() {
        if option.eq_ignore_ascii_case(b"entriesadded") && options.left() > 0 {
            let count = u64::try_from(options.integer()?);
            added = Some(count.map_err(|_| CommandError::Refused("ERR entries_added must be positive"))?);
        } else if option.eq_ignore_ascii_case(b"maxdeletedid") && options.left() > 0 {
            let id = entry_id(options.value()?, 0)?;
            if last_id < id {
                return Err(CommandError::Refused(
                    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                ));
            }
            deleted = Some(id).filter(|id| *id != StreamId::MIN);
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let key = &call.args[1];
    let log = match call.state.db.stream_mut(key)? {
        Some(stream) => &mut stream.log,
        None => return Err(CommandError::Refused("ERR no such key")),
    };
    if log.last().is_some_and(|(newest, _)| last_id < newest) {
        return Err(CommandError::Refused(
            "ERR The ID specified in XSETID is smaller than the target stream top item",
        ));
    }
    if added.is_some_and(|added| (log.len() as u64) > added) {
        return Err(CommandError::Refused(
            "ERR The entries_added specified in XSETID is smaller than the target stream length",
        ));
    }
    log.set_history(last_id, added, deleted);
    call.state.db.changed_unseen();
    call.reply.ok();
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
    let key = &call.args[1];
    let db = &mut call.state.db;
    let mut removed = 0;
    if let Some((stream, effects)) = db.stream_and_effects(key)? {
        removed = stream.log.trim(trim);
        if removed > 0 {
            effects.push(&[b"XTRIM", key, b"MAXLEN", b"=", stream.log.len().to_string().as_bytes()]);
            db.changed(key);
        }
    }
    call.reply.count(removed);
    Ok(())
}
