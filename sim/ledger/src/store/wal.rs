//! The format of the log: a mark, then records.
//!
//! ```text
//! mark    "TWLEDGR1"
//! record  length: u32 · check: u64 · at: u64 · synced: u64 · payload          (little-endian)
//! ```
//!
//! `check` is XXH3-64 over everything after it. `at` is the record's own offset, so that a search for the next record tests
//! one number per byte. `synced` is the offset up to which the log was known to be durable when the record was written; it
//! is what tells a torn tail from a corrupt middle: a record that a later one calls durable was once whole.

use xxhash_rust::xxh3::xxh3_64;

/// The first bytes of every log.
pub(super) const MARK: &[u8; 8] = b"TWLEDGR1";
/// Bytes of a record before its payload.
pub(super) const HEADER: usize = 28;
/// Where `check` ends and what it covers begins.
const COVERED: usize = 12;

/// Appends a record to `out`; the record will stand at offset `at`.
pub(super) fn write_record(payload: &[u8], at: u64, synced: u64, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&at.to_le_bytes());
    out.extend_from_slice(&synced.to_le_bytes());
    out.extend_from_slice(payload);
    let check = xxh3_64(&out[start + COVERED..]);
    out[start + 4..start + COVERED].copy_from_slice(&check.to_le_bytes());
}

/// A place in a log up to which it has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// The end of the last record read; 0 before the mark has been seen.
    pub(crate) end: u64,
    /// Where that record begins.
    pub(crate) last: u64,
    /// Its check value.
    pub(crate) check: u64,
}

/// A whole record.
pub(crate) struct Record<'a> {
    pub(crate) payload: &'a [u8],
    /// The log before this offset was durable when the record was written.
    pub(crate) synced: u64,
    /// The position behind it.
    pub(crate) after: Position,
}

/// The whole record behind `position`, if there is one.
pub(crate) fn next_record(image: &[u8], position: Position) -> Option<Record<'_>> {
    let start = if position.end == 0 {
        image.starts_with(MARK).then_some(MARK.len())?
    } else {
        usize::try_from(position.end).ok()?
    };
    record_at(image, start)
}

/// The record at `start`.
pub(crate) fn record_at(image: &[u8], start: usize) -> Option<Record<'_>> {
    let header = image.get(start..start.checked_add(HEADER)?)?;
    let number = |range: std::ops::Range<usize>| -> u64 {
        header[range].iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte))
    };
    let (length, check, at, synced) = (number(0..4), number(4..12), number(12..20), number(20..28));
    if at != start as u64 || length == 0 {
        return None;
    }
    let end = start.checked_add(HEADER)?.checked_add(usize::try_from(length).ok()?)?;
    let covered = image.get(start + COVERED..end)?;
    if xxh3_64(covered) != check {
        return None;
    }
    Some(Record {
        payload: &image[start + HEADER..end],
        synced,
        after: Position { end: end as u64, last: at, check },
    })
}

/// Whether a record behind the unreadable one at `bad` proves that it was durable once.
pub(super) fn was_durable(image: &[u8], bad: usize) -> bool {
    (bad + 1..image.len())
        .any(|start| record_at(image, start).is_some_and(|record| record.synced > bad as u64))
}
