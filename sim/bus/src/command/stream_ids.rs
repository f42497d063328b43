//! Ids of stream entries in arguments, and entries in replies.

use std::ops::RangeInclusive;

use crate::{error::CommandError, resp::Reply, stream::StreamId};

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

/// Writes an array of entries.
pub(super) fn write_entries<'a>(
    reply: &mut Reply<'_>,
    entries: impl Iterator<Item = (StreamId, &'a [u8])> + Clone,
) {
    reply.array(entries.clone().count());
    entries.for_each(|entry| write_entry(reply, entry));
}

/// Parses the ends of an interval: ids, `-`, `+`, or `(` and an id that does not belong to it.
pub(super) fn interval(start: &[u8], end: &[u8]) -> Result<RangeInclusive<StreamId>, CommandError> {
    let start = interval_start(start)?;
    let end = match end {
        [b'(', id @ ..] if !id.is_empty() => entry_id(id, u64::MAX)?
            .predecessor()
            .ok_or(CommandError::Refused("ERR invalid end ID for the interval"))?,
        id => edge_or_entry_id(id, u64::MAX)?,
    };
    Ok(start..=end)
}

/// The older end of an interval.
pub(super) fn interval_start(start: &[u8]) -> Result<StreamId, CommandError> {
    match start {
        [b'(', id @ ..] if !id.is_empty() => {
            entry_id(id, 0)?.successor().ok_or(CommandError::Refused("ERR invalid start ID for the interval"))
        }
        id => edge_or_entry_id(id, 0),
    }
}

/// Parses an id, or `-` and `+`, which are the first and the last possible one.
pub(super) fn edge_or_entry_id(argument: &[u8], missing_seq: u64) -> Result<StreamId, CommandError> {
    match argument {
        b"-" => Ok(StreamId::MIN),
        b"+" => Ok(StreamId::MAX),
        id => entry_id(id, missing_seq),
    }
}

/// The ids in `args`; all are checked before anything is done.
pub(super) fn entry_ids<'a>(args: impl Iterator<Item = &'a [u8]>) -> Result<Vec<StreamId>, CommandError> {
    args.map(|id| entry_id(id, 0)).collect()
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
