//! The format of the log: segments, each a header and then records.
//!
//! ```text
//! header  "TWLEDGR2" · segment: u64 · before: u64 · check: u64                 (little-endian)
//! record  length: u32 · check: u64 · at: u64 · synced: u64 · payload
//! ```
//!
//! `segment` counts from 1; `before` is the length of the segment before, none of which can be missing. Every `check` is
//! XXH3-64 over what stands between it and the end, or in the header before it. `at` is the record's own offset, so that a
//! search for the next record tests one number per byte. `synced` is the offset up to which the segment was known to be
//! durable when the record was written; it is what tells a torn tail from a corrupt middle: a record that a later one calls
//! durable was once whole.

use xxhash_rust::xxh3::xxh3_64;

/// The first bytes of every segment.
pub(super) const MARK: &[u8; 8] = b"TWLEDGR2";
/// Bytes of a segment before its first record.
pub(super) const HEADER: usize = 32;
/// Bytes of a record before its payload.
const RECORD: usize = 28;
/// Where a record's `check` ends and what it covers begins.
const COVERED: usize = 12;

/// The name of a segment's file.
pub(crate) fn segment_name(segment: u64) -> String {
    format!("wal.{segment}")
}

/// The number of the segment in a file of this name.
pub(super) fn segment_number(name: &str) -> Option<u64> {
    name.strip_prefix("wal.")?.parse().ok().filter(|number| segment_name(*number) == name)
}

/// The header of a segment after one of the length `before`.
pub(super) fn header(segment: u64, before: u64) -> Vec<u8> {
    let mut header = MARK.to_vec();
    header.extend_from_slice(&segment.to_le_bytes());
    header.extend_from_slice(&before.to_le_bytes());
    let check = xxh3_64(&header);
    header.extend_from_slice(&check.to_le_bytes());
    header
}

/// The length of the segment before, if `image` begins with the header of `segment`.
pub(crate) fn length_before(image: &[u8], segment: u64) -> Option<u64> {
    let found = image.get(..HEADER)?;
    let before = number(&found[16..24]);
    (found == header(segment, before)).then_some(before)
}

/// A little-endian number.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

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

/// A place in a segment up to which it has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The end of the last record read, or of the header.
    pub(crate) end: u64,
    /// Where that record begins; 0 before the first.
    pub(crate) last: u64,
    /// Its check value.
    pub(crate) check: u64,
}

impl Default for Position {
    /// Behind the header.
    fn default() -> Self {
        Self { end: HEADER as u64, last: 0, check: 0 }
    }
}

/// A whole record.
pub(crate) struct Record<'a> {
    pub(crate) payload: &'a [u8],
    /// The segment before this offset was durable when the record was written.
    pub(crate) synced: u64,
    /// The position behind it.
    pub(crate) after: Position,
}

/// The whole record behind `position`, if there is one.
pub(crate) fn next_record(image: &[u8], position: Position) -> Option<Record<'_>> {
    record_at(image, usize::try_from(position.end).ok()?)
}

/// The record at `start`.
pub(crate) fn record_at(image: &[u8], start: usize) -> Option<Record<'_>> {
    let header = image.get(start..start.checked_add(RECORD)?)?;
    let (length, check) = (number(&header[0..4]), number(&header[4..12]));
    let (at, synced) = (number(&header[12..20]), number(&header[20..28]));
    if at != start as u64 || length == 0 {
        return None;
    }
    let end = start.checked_add(RECORD)?.checked_add(usize::try_from(length).ok()?)?;
    let covered = image.get(start + COVERED..end)?;
    if xxh3_64(covered) != check {
        return None;
    }
    Some(Record {
        payload: &image[start + RECORD..end],
        synced,
        after: Position { end: end as u64, last: at, check },
    })
}

/// Whether a record behind the unreadable one at `bad` proves that it was durable once.
pub(super) fn was_durable(image: &[u8], bad: usize) -> bool {
    (bad + 1..image.len())
        .any(|start| record_at(image, start).is_some_and(|record| record.synced > bad as u64))
}
