//! Commands about hashes: HDEL, HEXISTS, HGET, HGETALL, HINCRBY, HINCRBYFLOAT, HKEYS, HLEN, HMGET, HMSET, HRANDFIELD,
//! HSCAN, HSET, HSETNX, HSTRLEN, HVALS.

use super::{
    Call, Command, Flag, arity, at_least, exactly,
    key_scans::{ScanOptions, cursor, page, scan_before},
    numbers::{INFINITE, OVERFLOW, decimal},
    options::{Options, integer},
};
use crate::{
    error::CommandError,
    hash::Hash,
    long_double::LongDouble,
    resp::{Protocol, parse_i64},
};

const READ: &[Flag] = &[Flag::ReadOnly];
const READ_FAST: &[Flag] = &[Flag::ReadOnly, Flag::Fast];
const GROW: &[Flag] = &[Flag::Write, Flag::DenyOom, Flag::Fast];

pub(super) const COMMANDS: &[Command] = &[
    at_least("hdel", 3, hdel).flags(&[Flag::Write, Flag::Fast]).keys(1, 1, 1),
    exactly("hexists", 3, hexists).flags(READ_FAST).keys(1, 1, 1),
    exactly("hget", 3, hget).flags(READ_FAST).keys(1, 1, 1),
    exactly("hgetall", 2, hgetall).flags(READ).keys(1, 1, 1),
    exactly("hincrby", 4, hincrby).flags(GROW).keys(1, 1, 1),
    exactly("hincrbyfloat", 4, hincrbyfloat).flags(GROW).keys(1, 1, 1),
    exactly("hkeys", 2, |call| list(call, |field, _| field)).flags(READ).keys(1, 1, 1),
    exactly("hlen", 2, hlen).flags(READ_FAST).keys(1, 1, 1),
    at_least("hmget", 3, hmget).flags(READ_FAST).keys(1, 1, 1),
    at_least("hmset", 4, hmset).flags(GROW).keys(1, 1, 1),
    at_least("hrandfield", 2, hrandfield).flags(READ).keys(1, 1, 1),
    at_least("hscan", 3, hscan).flags(READ).keys(1, 1, 1),
    at_least("hset", 4, hset).flags(GROW).keys(1, 1, 1),
    exactly("hsetnx", 4, hsetnx).flags(GROW).keys(1, 1, 1),
    exactly("hstrlen", 3, hstrlen).flags(READ_FAST).keys(1, 1, 1),
    exactly("hvals", 2, |call| list(call, |_, value| value)).flags(READ).keys(1, 1, 1),
];

/// HRANDFIELD draws no more fields than this at once.
const DRAWS_MAX: u64 = 1_000_000;

/// A field's value of the hash that the command is about.
fn field<'s>(call: &'s Call<'_>, field: &[u8]) -> Result<Option<&'s [u8]>, CommandError> {
    Ok(call.state.db.hash(&call.args[1])?.and_then(|hash| hash.get(field)))
}

fn hdel(call: &mut Call<'_>) -> Result<(), CommandError> {
    let key = &call.args[1];
    let db = &mut call.state.db;
    let mut deleted = 0;
    if let Some(hash) = db.hash_mut(key)? {
        deleted = call.args.from(2).filter(|field| hash.remove(field)).count();
        if hash.len() == 0 {
            db.remove(key);
        } else if deleted > 0 {
            db.changed(key);
        }
    }
    call.reply.count(deleted);
    Ok(())
}

fn hexists(call: &mut Call<'_>) -> Result<(), CommandError> {
    let exists = field(call, &call.args[2])?.is_some();
    call.reply.integer(i64::from(exists));
    Ok(())
}

fn hget(call: &mut Call<'_>) -> Result<(), CommandError> {
    match call.state.db.hash(&call.args[1])?.and_then(|hash| hash.get(&call.args[2])) {
        Some(value) => call.reply.bulk(value),
        None => call.reply.null(),
    }
    Ok(())
}

fn hgetall(call: &mut Call<'_>) -> Result<(), CommandError> {
    let hash = call.state.db.hash(&call.args[1])?;
    call.reply.map(hash.map_or(0, Hash::len));
    for (field, value) in hash.into_iter().flat_map(Hash::iter) {
        call.reply.bulk(field);
        call.reply.bulk(value);
    }
    Ok(())
}

fn hincrby(call: &mut Call<'_>) -> Result<(), CommandError> {
    let (key, name) = (&call.args[1], &call.args[2]);
    let by = integer(&call.args[3])?;
    let old = match field(call, name)? {
        None => 0,
        Some(value) => parse_i64(value).ok_or(CommandError::Refused("ERR hash value is not an integer"))?,
    };
    let sum = old.checked_add(by).ok_or(OVERFLOW)?;
    let db = &mut call.state.db;
    db.hash_or_new(key)?.set(name, itoa::Buffer::new().format(sum).as_bytes());
    db.changed(key);
    call.reply.integer(sum);
    Ok(())
}

fn hincrbyfloat(call: &mut Call<'_>) -> Result<(), CommandError> {
    let (key, name) = (&call.args[1], &call.args[2]);
    let by = decimal(&call.args[3], CommandError::Refused("ERR value is NaN or Infinity"))?;
    let old = LongDouble::parse(field(call, name)?.unwrap_or(b"0"))
        .ok_or(CommandError::Refused("ERR hash value is not a float"))?;
    let sum = old.plus(by).ok_or(INFINITE)?.to_string();
    let db = &mut call.state.db;
    db.hash_or_new(key)?.set(name, sum.as_bytes());
    db.changed(key);
    db.effects.push(&[b"HSET", key, name, sum.as_bytes()]);
    call.reply.bulk(sum.as_bytes());
    Ok(())
}

/// HKEYS and HVALS.
fn list(call: &mut Call<'_>, part: for<'h> fn(&'h [u8], &'h [u8]) -> &'h [u8]) -> Result<(), CommandError> {
    let hash = call.state.db.hash(&call.args[1])?;
    call.reply.array(hash.map_or(0, Hash::len));
    hash.into_iter().flat_map(Hash::iter).for_each(|(field, value)| call.reply.bulk(part(field, value)));
    Ok(())
}

fn hlen(call: &mut Call<'_>) -> Result<(), CommandError> {
    call.reply.count(call.state.db.hash(&call.args[1])?.map_or(0, Hash::len));
    Ok(())
}

fn hmget(call: &mut Call<'_>) -> Result<(), CommandError> {
    let hash = call.state.db.hash(&call.args[1])?;
    call.reply.array(call.args.len() - 2);
    for field in call.args.from(2) {
        match hash.and_then(|hash| hash.get(field)) {
            Some(value) => call.reply.bulk(value),
            None => call.reply.null(),
        }
    }
    Ok(())
}

fn hmset(call: &mut Call<'_>) -> Result<(), CommandError> {
    set_fields(call, "hmset")?;
    call.reply.ok();
    Ok(())
}

fn hset(call: &mut Call<'_>) -> Result<(), CommandError> {
    let created = set_fields(call, "hset")?;
    call.reply.count(created);
    Ok(())
}

/// Sets fields and returns how many of them are new.
fn set_fields(call: &mut Call<'_>, name: &'static str) -> Result<usize, CommandError> {
    if !call.args.len().is_multiple_of(2) {
        return Err(arity(name));
    }
    let key = &call.args[1];
    let hash = call.state.db.hash_or_new(key)?;
    let pairs = call.args.from(2).step_by(2).zip(call.args.from(3).step_by(2));
    let created = pairs.filter(|(field, value)| hash.set(field, value)).count();
    call.state.db.changed(key);
    Ok(created)
}

fn hsetnx(call: &mut Call<'_>) -> Result<(), CommandError> {
    let missing = field(call, &call.args[2])?.is_none();
    if missing {
        let key = &call.args[1];
        call.state.db.hash_or_new(key)?.set(&call.args[2], &call.args[3]);
        call.state.db.changed(key);
    }
    call.reply.integer(i64::from(missing));
    Ok(())
}

fn hstrlen(call: &mut Call<'_>) -> Result<(), CommandError> {
    let len = field(call, &call.args[2])?.map_or(0, <[u8]>::len);
    call.reply.count(len);
    Ok(())
}

/// A small hash comes as a whole, in the order of its fields, as in Redis.
fn hscan(call: &mut Call<'_>) -> Result<(), CommandError> {
    let from = cursor(&call.args[2])?;
    let Some(hash) = call.state.db.hash(&call.args[1])? else {
        // Redis does not look at the options then.
        call.reply.array(2);
        call.reply.bulk(b"0");
        call.reply.array(0);
        return Ok(());
    };
    let options = ScanOptions::parse(Options::from(call.args, 3), false)?;
    let (next, mut fields) = match hash.is_compact() {
        true => (0, hash.iter().collect()),
        false => page(hash.created_before(scan_before(from)), options.count),
    };
    fields.retain(|(field, _)| options.pattern.fits(field));
    call.reply.array(2);
    call.reply.bulk(itoa::Buffer::new().format(next).as_bytes());
    call.reply.array(2 * fields.len());
    for (field, value) in fields {
        call.reply.bulk(field);
        call.reply.bulk(value);
    }
    Ok(())
}

/// How HRANDFIELD draws several fields.
struct Draws {
    /// How many fields to draw.
    count: u64,
    /// No field twice.
    distinct: bool,
    with_values: bool,
}

impl Draws {
    fn parse(call: &Call<'_>) -> Result<Option<Self>, CommandError> {
        let Some(count) = call.args.get(2) else {
            return Ok(None);
        };
        let count = integer(count)?;
        let with_values = match call.args.get(3) {
            None => false,
            Some(option) if call.args.len() == 4 && option.eq_ignore_ascii_case(b"withvalues") => true,
            Some(_) => return Err(CommandError::Syntax),
        };
        let distinct = count >= 0;
        if !distinct && count.unsigned_abs() > DRAWS_MAX {
            return Err(CommandError::Refused("ERR value is out of range"));
        }
        Ok(Some(Self { count: count.unsigned_abs(), distinct, with_values }))
    }
}

fn hrandfield(call: &mut Call<'_>) -> Result<(), CommandError> {
    let draws = Draws::parse(call)?;
    let Some(hash) = call.state.db.hash(&call.args[1])? else {
        match draws {
            None => call.reply.null(),
            Some(_) => call.reply.array(0),
        }
        return Ok(());
    };
    let fields: Vec<_> = hash.iter().collect();
    let below = |bound: usize| {
        let drawn = call.shared.env.entropy.below("bus.hrandfield", bound as u64);
        usize::try_from(drawn).unwrap_or(0)
    };
    let Some(draws) = draws else {
        call.reply.bulk(fields[below(fields.len())].0);
        return Ok(());
    };
    let drawn = draw(fields, &draws, below);
    let nested = call.reply.protocol() == Protocol::Resp3;
    call.reply.array(if draws.with_values && !nested { 2 * drawn.len() } else { drawn.len() });
    for (field, value) in drawn {
        if draws.with_values && nested {
            call.reply.array(2);
        }
        call.reply.bulk(field);
        if draws.with_values {
            call.reply.bulk(value);
        }
    }
    Ok(())
}

/// Fields drawn at random; all of them, in order, when so many different ones are wanted.
fn draw<T: Copy>(mut fields: Vec<T>, draws: &Draws, mut below: impl FnMut(usize) -> usize) -> Vec<T> {
    let count = usize::try_from(draws.count).unwrap_or(usize::MAX);
    if !draws.distinct {
        return (0..count).map(|_| fields[below(fields.len())]).collect();
    }
    if count < fields.len() {
        for nth in 0..count {
            let chosen = nth + below(fields.len() - nth);
            fields.swap(nth, chosen);
        }
        fields.truncate(count);
    }
    fields
}
