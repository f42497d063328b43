//! Commands about all keys: DBSIZE, FLUSHALL, FLUSHDB, KEYS, RANDOMKEY, SCAN; and what HSCAN shares with SCAN.

use super::{Call, Command, Flag, at_least, exactly, options::Options, until_zero};
use crate::{db::Value, error::CommandError, glob};

pub(super) const COMMANDS: &[Command] = &[
    exactly("dbsize", 1, dbsize).flags(&[Flag::ReadOnly, Flag::Fast]),
    at_least("flushall", 1, flush).flags(&[Flag::Write]),
    at_least("flushdb", 1, flush).flags(&[Flag::Write]),
    exactly("keys", 2, keys).flags(&[Flag::ReadOnly]),
    exactly("randomkey", 1, randomkey).flags(&[Flag::ReadOnly]),
    at_least("scan", 2, scan).flags(&[Flag::ReadOnly]),
];

/// How many keys SCAN looks at unless it is told.
const SCAN_COUNT: usize = 10;

fn dbsize(call: &mut Call<'_>) -> Result<(), CommandError> {
    call.reply.count(call.state.db.len());
    Ok(())
}

/// FLUSHALL and FLUSHDB: there is only one database.
fn flush(call: &mut Call<'_>) -> Result<(), CommandError> {
    match call.args.get(1) {
        None => {}
        Some(mode)
            if call.args.len() == 2
                && (mode.eq_ignore_ascii_case(b"sync") || mode.eq_ignore_ascii_case(b"async")) => {}
        Some(_) => return Err(CommandError::Syntax),
    }
    call.state.db.clear();
    call.reply.ok();
    Ok(())
}

fn keys(call: &mut Call<'_>) -> Result<(), CommandError> {
    let pattern = Pattern::new(&call.args[1]);
    let found: Vec<_> = call.state.db.keys().filter(|key| pattern.fits(key)).collect();
    call.reply.array(found.len());
    found.into_iter().for_each(|key| call.reply.bulk(key));
    Ok(())
}

fn randomkey(call: &mut Call<'_>) -> Result<(), CommandError> {
    let db = &call.state.db;
    match db.len() {
        0 => call.reply.null(),
        len => {
            let nth = call.shared.env.entropy.below("bus.randomkey", len as u64);
            let key = db.keys().nth(usize::try_from(nth).unwrap_or(0));
            call.reply.bulk(key.map_or(&[], |key| key));
        }
    }
    Ok(())
}

/// A pattern as commands take it: `*` alone fits the empty text, too.
pub(super) struct Pattern<'a>(Option<&'a [u8]>);

impl<'a> Pattern<'a> {
    pub(super) fn new(pattern: &'a [u8]) -> Self {
        Self((pattern != b"*").then_some(pattern))
    }

    pub(super) fn fits(&self, text: &[u8]) -> bool {
        self.0.is_none_or(|pattern| glob::matches(pattern, text))
    }
}

/// The options of SCAN and HSCAN.
pub(super) struct ScanOptions<'a> {
    /// How many elements to look at.
    pub(super) count: usize,
    pub(super) pattern: Pattern<'a>,
    /// What TYPE must answer.
    type_name: Option<&'a [u8]>,
}

impl<'a> ScanOptions<'a> {
    /// TYPE is known only where there are keys of several types.
    pub(super) fn parse(mut options: Options<'a>, of_keys: bool) -> Result<Self, CommandError> {
        let mut parsed = Self { count: SCAN_COUNT, pattern: Pattern(None), type_name: None };
        while let Some(option) = options.next() {
            if options.left() == 0 {
                return Err(CommandError::Syntax);
            }
            if option.eq_ignore_ascii_case(b"count") {
                parsed.count = usize::try_from(options.integer()?).map_err(|_| CommandError::Syntax)?;
                if parsed.count == 0 {
                    return Err(CommandError::Syntax);
                }
            } else if option.eq_ignore_ascii_case(b"match") {
                parsed.pattern = Pattern::new(options.value()?);
            } else if of_keys && option.eq_ignore_ascii_case(b"type") {
                parsed.type_name = Some(options.value()?);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(parsed)
    }

    fn admits(&self, key: &[u8], value: Option<&Value>) -> bool {
        self.pattern.fits(key)
            && self.type_name.is_none_or(|name| {
                value.is_some_and(|value| name.eq_ignore_ascii_case(value.type_name().as_bytes()))
            })
    }
}

/// The cursor in an argument: the number of the element met last, 0 to begin. It is read as strtoul(3) reads a C string, for
/// which nothing is 0.
pub(super) fn cursor(argument: &[u8]) -> Result<u64, CommandError> {
    let text = until_zero(argument);
    if text.is_empty() {
        return Ok(0);
    }
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix(b"+").unwrap_or(text)),
    };
    // A negative number wraps around.
    let wrapped = |number: u64| if negative { number.wrapping_neg() } else { number };
    std::str::from_utf8(digits)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .map(wrapped)
        .ok_or(CommandError::Refused("ERR invalid cursor"))
}

/// Elements go from the newest to the oldest; so cursor 0 means all of them to begin with.
pub(super) fn scan_before(cursor: u64) -> u64 {
    if cursor == 0 { u64::MAX } else { cursor }
}

/// The next page of numbered elements and the cursor behind it, which is 0 at the end.
pub(super) fn page<T>(elements: impl Iterator<Item = (u64, T)>, count: usize) -> (u64, Vec<T>) {
    let mut elements = elements.peekable();
    let mut cursor = 0;
    let mut found = Vec::new();
    while found.len() < count
        && let Some((number, element)) = elements.next()
    {
        cursor = number;
        found.push(element);
    }
    (if elements.peek().is_some() { cursor } else { 0 }, found)
}

/// Every key that is there from the first call to the last is found once; one that comes meanwhile is not.
fn scan(call: &mut Call<'_>) -> Result<(), CommandError> {
    let from = cursor(&call.args[1])?;
    let options = ScanOptions::parse(Options::from(call.args, 2), true)?;
    let db = &call.state.db;
    let (next, mut keys) = page(db.created_before(scan_before(from)), options.count);
    keys.retain(|key| options.admits(key, db.peek(key)));
    call.reply.array(2);
    call.reply.bulk(itoa::Buffer::new().format(next).as_bytes());
    call.reply.array(keys.len());
    keys.into_iter().for_each(|key| call.reply.bulk(key));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_meet_every_element_once_and_end_with_cursor_zero() {
        let elements = [7_u64, 5, 4, 1];
        let before = |cursor| {
            let from = scan_before(cursor);
            elements.into_iter().filter(move |number| *number < from).map(|number| (number, number))
        };
        assert_eq!(page(before(0), 3), (4, vec![7, 5, 4]));
        assert_eq!(page(before(4), 3), (0, vec![1]));
        assert_eq!(page(before(0), 4), (0, vec![7, 5, 4, 1]));
        assert_eq!(page(before(1), 4), (0, vec![]));
    }
}
