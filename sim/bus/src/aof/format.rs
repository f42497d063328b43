//! The annotations of an append-only file.
//!
//! The file is a sequence of batches: a line that says how long the batch is, and the batch.
//!
//! ```text
//! #BATCH:<bytes> <checksum> <synced>    the batch's length; XXH3 over it; how much of the file was durable before it
//! #TS:<seconds>                         as Redis's aof-timestamp-enabled: the time, when it is a new second
//! #DATASET:<epoch> <guarantee>          see `epoch`
//! *3 $3 SET $1 k $1 v                   requests
//! ```
//!
//! All lines end with CR LF. Requests may also stand outside of batches – a person or Redis may have written them –; then
//! only their form is checked.

use xxhash_rust::xxh3::Xxh3;

use crate::epoch::Guarantee;

/// How a batch begins.
pub(super) const BATCH: &[u8] = b"#BATCH:";
const TIME: &str = "#TS:";
const DATASET: &str = "#DATASET:";

/// Puts `body` into a batch; `time` is written when it is given.
pub(super) fn batch(body: &[u8], time: Option<i64>, synced: u64) -> Vec<u8> {
    let time = time.map(|seconds| format!("{TIME}{seconds}\r\n")).unwrap_or_default();
    let checksum = checksum(&[time.as_bytes(), body], synced);
    let length = time.len() + body.len();
    let mut out = format!("#BATCH:{length} {checksum:016x} {synced}\r\n").into_bytes();
    out.reserve_exact(length);
    out.extend_from_slice(time.as_bytes());
    out.extend_from_slice(body);
    out
}

/// The annotation of a dataset.
pub(super) fn dataset(epoch: &str, guarantee: Guarantee) -> String {
    format!("{DATASET}{epoch} {}\r\n", guarantee.word())
}

fn checksum(parts: &[&[u8]], synced: u64) -> u64 {
    let mut hash = Xxh3::with_seed(synced);
    parts.iter().for_each(|part| hash.update(part));
    hash.digest()
}

/// A batch as it was found.
pub(super) struct Batch<'a> {
    pub(super) body: &'a [u8],
    /// The length of the line before it.
    pub(super) header: usize,
    pub(super) synced: u64,
}

impl<'a> Batch<'a> {
    /// Reads the batch at the start of `file`, if there is a whole and undamaged one.
    pub(super) fn read(file: &'a [u8]) -> Option<Self> {
        let (line, rest) = split_line(file)?;
        let mut words = std::str::from_utf8(line.strip_prefix(BATCH)?).ok()?.split(' ');
        let length: usize = words.next()?.parse().ok()?;
        let sum = u64::from_str_radix(words.next()?, 16).ok()?;
        let synced = words.next()?.parse().ok()?;
        let body = rest.get(..length)?;
        (words.next().is_none() && checksum(&[body], synced) == sum).then_some(Self {
            body,
            header: line.len() + 2,
            synced,
        })
    }

    /// The time at which the batch begins, when it says so.
    pub(super) fn time(&self) -> Option<i64> {
        match Annotation::read(split_line(self.body)?.0) {
            Annotation::Time(seconds) => Some(seconds),
            Annotation::Dataset { .. } | Annotation::Other => None,
        }
    }
}

/// What a line that begins with `#` says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Annotation<'a> {
    Time(i64),
    Dataset { epoch: &'a str, guarantee: Guarantee },
    Other,
}

impl<'a> Annotation<'a> {
    /// Reads a line without its end.
    pub(super) fn read(line: &'a [u8]) -> Self {
        let read = |line: &'a str| -> Option<Self> {
            if let Some(seconds) = line.strip_prefix(TIME) {
                return Some(Self::Time(seconds.parse().ok()?));
            }
            let (epoch, word) = line.strip_prefix(DATASET)?.split_once(' ')?;
            let (_, guarantee) = Guarantee::WORDS.into_iter().find(|(known, _)| *known == word)?;
            Some(Self::Dataset { epoch, guarantee })
        };
        std::str::from_utf8(line).ok().and_then(read).unwrap_or(Self::Other)
    }
}

/// The first line without its end, and what follows it.
pub(super) fn split_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.windows(2).position(|end| end == b"\r\n")?;
    Some((&text[..end], &text[end + 2..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_read_back_and_no_damage_goes_unseen() {
        let written = batch(b"*1\r\n$4\r\nPING\r\n", Some(17), 300);
        let read = Batch::read(&written).expect("a batch");
        assert_eq!(
            (read.body, read.time(), read.synced),
            (&b"#TS:17\r\n*1\r\n$4\r\nPING\r\n"[..], Some(17), 300)
        );
        assert_eq!(read.header + read.body.len(), written.len());
        for at in 0..written.len() {
            assert!(Batch::read(&written[..at]).is_none(), "cut at {at}");
            let mut damaged = written.clone();
            damaged[at] = !damaged[at];
            assert!(Batch::read(&damaged).is_none(), "damaged at {at}");
        }
    }

    #[test]
    fn annotations_are_read_back_and_foreign_ones_passed_over() {
        for (word, guarantee) in Guarantee::WORDS {
            assert_eq!(guarantee.word(), word);
            let line = dataset("00ff", guarantee);
            let expected = Annotation::Dataset { epoch: "00ff", guarantee };
            assert_eq!(Annotation::read(line.trim_end().as_bytes()), expected);
        }
        for foreign in ["#", "#TS:x", "#DATASET:1 maybe", "# a person's note"] {
            assert_eq!(Annotation::read(foreign.as_bytes()), Annotation::Other);
        }
    }
}
