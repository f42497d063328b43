//! Reads an append-only file: which commands to repeat, and where the file stops being trustworthy.
//!
//! Pure: bytes in, commands out. Three ends are possible. The file is whole. Or its tail was being written when the machine
//! stopped: the tail is cut off (Redis: `aof-load-truncated yes`), and with it whatever lies behind the first damage, since a
//! power loss may keep later blocks and lose earlier ones. Or a place is damaged that was durable, as a later batch
//! testifies: no crash explains that, and a person must look.

use super::{
    AofError,
    format::{Annotation, BATCH, Batch, split_line},
};
use crate::{
    epoch::Guarantee,
    resp::{Args, Limits, RequestReader},
};

/// Requests in the file are as large as they were when they came from clients.
const LIMITS: Limits = Limits { bulk: usize::MAX / 4, request: usize::MAX / 2 };

/// What a file held.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Loaded {
    /// How many bytes of the file are good.
    pub(super) valid: u64,
    /// Whether bytes behind them must be cut off, because they were torn or came too late.
    pub(super) cut: bool,
    /// How many requests were repeated.
    pub(super) commands: u64,
    /// The epoch, and what its last annotation guarantees.
    pub(super) dataset: Option<(String, Guarantee)>,
}

/// Repeats what the file holds, up to the second `until` if it is given.
///
/// # Errors
/// When a durable part of the file is damaged, or `apply` refuses a command.
pub(super) fn replay(
    file: &[u8],
    until: Option<i64>,
    apply: impl FnMut(Args<'_>) -> Result<(), String>,
) -> Result<Loaded, AofError> {
    let mut loader = Loader { file, at: 0, apply, multi_at: None, foreign: true, loaded: Loaded::default() };
    while loader.at < file.len() {
        let rest = &file[loader.at..];
        let step = if rest.starts_with(BATCH) { loader.batch(rest, until)? } else { loader.record(rest)? };
        match step {
            Step::On => {}
            Step::TooLate => {
                loader.loaded.cut = true;
                break;
            }
            Step::Torn(reason) => {
                loader.require_tail(reason)?;
                loader.loaded.cut = true;
                break;
            }
        }
    }
    Ok(loader.finish())
}

struct Loader<'a, F> {
    file: &'a [u8],
    at: usize,
    apply: F,
    /// Where a transaction began that has not ended: its commands wait, and count only as a whole.
    multi_at: Option<usize>,
    /// No batch was seen yet: the file may be Redis's own.
    foreign: bool,
    loaded: Loaded,
}

/// How it goes on after a record.
enum Step {
    On,
    /// What follows happened after the time that was asked for.
    TooLate,
    /// The record is not whole, or damaged.
    Torn(&'static str),
}

impl<F: FnMut(Args<'_>) -> Result<(), String>> Loader<'_, F> {
    fn batch(&mut self, rest: &[u8], until: Option<i64>) -> Result<Step, AofError> {
        let Some(batch) = Batch::read(rest) else {
            return Ok(Step::Torn("the batch is not whole"));
        };
        if batch.time().zip(until).is_some_and(|(time, until)| time > until) {
            return Ok(Step::TooLate);
        }
        self.foreign = false;
        let end = self.at + batch.header + batch.body.len();
        self.at += batch.header;
        let mut body = batch.body;
        while !body.is_empty() {
            let before = self.at;
            match self.record(body)? {
                Step::On => body = &body[self.at - before..],
                // Its checksum is right: it was written like this.
                Step::Torn(reason) => return Err(self.damaged(reason)),
                Step::TooLate => break,
            }
        }
        self.at = end;
        self.loaded.valid = end as u64;
        Ok(Step::On)
    }

    /// Reads an annotation or a request.
    fn record(&mut self, rest: &[u8]) -> Result<Step, AofError> {
        if rest.starts_with(b"#") {
            let Some((line, _)) = split_line(rest) else {
                return Ok(Step::Torn("an annotation does not end"));
            };
            match Annotation::read(line) {
                Annotation::Time(_) => {}
                Annotation::Dataset { epoch, guarantee } => {
                    self.loaded.dataset = Some((epoch.to_owned(), guarantee));
                }
                // It could be the damaged head of a batch, so what follows must not be taken for requests.
                Annotation::Other => return self.not_a_record("an unknown annotation"),
            }
            self.advance(line.len() + 2);
            return Ok(Step::On);
        }
        let mut reader = RequestReader::new(LIMITS);
        match reader.next(rest, true) {
            Ok(Some(args)) => {
                let length = args.wire_len();
                let name = args[0].to_ascii_uppercase();
                (self.apply)(args).map_err(|reason| AofError::Damaged { at: self.at as u64, reason })?;
                match name.as_slice() {
                    b"MULTI" => self.multi_at = Some(self.at),
                    b"EXEC" | b"DISCARD" => self.multi_at = None,
                    _ => {}
                }
                self.loaded.commands += 1;
                if let Some((_, guarantee @ Guarantee::Closed)) = &mut self.loaded.dataset {
                    *guarantee = Guarantee::Open;
                }
                self.advance(length);
                Ok(Step::On)
            }
            Ok(None) => Ok(Step::Torn("the file ends in the middle of a command")),
            Err(_) => self.not_a_record("this is no command"),
        }
    }

    fn not_a_record(&self, reason: &'static str) -> Result<Step, AofError> {
        if self.foreign { Err(self.damaged(reason)) } else { Ok(Step::Torn(reason)) }
    }

    fn advance(&mut self, length: usize) {
        self.at += length;
        if self.multi_at.is_none() {
            self.loaded.valid = self.at as u64;
        }
    }

    /// # Errors
    /// When a later batch testifies that the damaged place was durable.
    fn require_tail(&self, reason: &'static str) -> Result<(), AofError> {
        let place = self.loaded.valid;
        let mut from = self.at + 1;
        while let Some(found) = find(self.file.get(from..).unwrap_or_default(), BATCH) {
            if Batch::read(&self.file[from + found..]).is_some_and(|later| later.synced > place) {
                return Err(self.damaged(reason));
            }
            from += found + 1;
        }
        Ok(())
    }

    fn damaged(&self, reason: &str) -> AofError {
        AofError::Damaged { at: self.at as u64, reason: reason.to_owned() }
    }

    fn finish(self) -> Loaded {
        let cut = self.loaded.cut || self.multi_at.is_some();
        Loaded { cut, ..self.loaded }
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::{super::format, *};

    fn command(words: &[&str]) -> Vec<u8> {
        let mut wire = format!("*{}\r\n", words.len());
        words.iter().for_each(|word| wire += &format!("${}\r\n{word}\r\n", word.len()));
        wire.into_bytes()
    }

    fn read(file: &[u8], until: Option<i64>) -> Result<(Loaded, Vec<String>), AofError> {
        let mut seen = Vec::new();
        let loaded = replay(file, until, |args| {
            seen.push(
                args.from(0)
                    .map(|word| String::from_utf8_lossy(word).into_owned())
                    .collect::<Vec<_>>()
                    .join(" "),
            );
            Ok(())
        })?;
        Ok((loaded, seen))
    }

    /// Batches of one command each, second by second, all synced before the next.
    fn batches(count: usize) -> (Vec<u8>, Vec<usize>) {
        let (mut file, mut ends) = (Vec::new(), Vec::new());
        for number in 0..count {
            let body = command(&["SET", "key", &number.to_string()]);
            let synced = file.len() as u64;
            file.extend(format::batch(&body, Some(number as i64), synced));
            ends.push(file.len());
        }
        (file, ends)
    }

    #[test]
    fn a_file_cut_anywhere_gives_the_whole_batches_before_the_cut() {
        let (file, ends) = batches(5);
        for cut in 0..=file.len() {
            let (loaded, seen) = read(&file[..cut], None).expect("a cut is no damage");
            let whole = ends.iter().filter(|end| **end <= cut).count();
            let valid = whole.checked_sub(1).map_or(0, |last| ends[last]);
            assert_eq!((loaded.valid, loaded.cut), (valid as u64, valid < cut), "cut at {cut}");
            assert_eq!(seen.len(), whole);
        }
    }

    #[test]
    fn damage_before_a_synced_place_is_named_and_damage_behind_it_cut_off() {
        let (file, ends) = batches(5);
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] = !damaged[at];
            let hit = ends.iter().filter(|end| **end <= at).count();
            let start = hit.checked_sub(1).map_or(0, |before| ends[before]) as u64;
            match read(&damaged, None) {
                Ok((loaded, _)) => assert_eq!((hit, loaded.valid), (4, start), "at {at}"),
                Err(AofError::Damaged { at: told, .. }) => {
                    assert!(hit < 4 && told == start, "at {at}: {told}")
                }
                Err(other) => panic!("{other}"),
            }
        }
    }

    #[test]
    fn a_lost_block_in_an_unsynced_tail_takes_what_is_behind_it_along() {
        let mut file = batches(2).0;
        let synced = file.len() as u64;
        for number in 0..20 {
            file.extend(format::batch(&command(&["SET", "long", &"x".repeat(number * 50)]), None, synced));
        }
        for block in (synced as usize).div_ceil(512)..file.len() / 512 {
            let mut torn = file.clone();
            torn[block * 512..(block + 1) * 512].fill(0);
            let (loaded, seen) = read(&torn, None).expect("nothing durable was hit");
            assert!(loaded.cut && loaded.valid <= (block * 512) as u64 && loaded.valid >= synced);
            assert!(seen.len() >= 2);
        }
    }

    #[test]
    fn a_file_of_redis_is_read_and_its_torn_transaction_cut_off() {
        let mut file = b"#TS:1\r\n".to_vec();
        file.extend([command(&["SELECT", "0"]), command(&["set", "a", "1"])].concat());
        let whole = file.len();
        assert_eq!(
            read(&file, None).expect("a file").0,
            Loaded { valid: whole as u64, cut: false, commands: 2, dataset: None }
        );
        file.extend([command(&["MULTI"]), command(&["incr", "a"])].concat());
        let (loaded, _) = read(&file, None).expect("a file");
        assert_eq!((loaded.valid, loaded.cut), (whole as u64, true));
        file.extend(b"nonsense\r\n");
        let told = read(&file, None).expect_err("no command").to_string();
        let at = file.len() - 10;
        let expected = format!(
            "Bad file format reading the append only file appendonly.aof at byte {at}: this is no command"
        );
        assert_eq!(told, expected);
    }

    #[test]
    fn a_file_is_read_up_to_a_second() {
        let (file, ends) = batches(5);
        let (loaded, seen) = read(&file, Some(2)).expect("a file");
        assert_eq!((loaded.valid, loaded.cut), (ends[2] as u64, true));
        assert_eq!(seen, ["SET key 0", "SET key 1", "SET key 2"]);
        assert!(!read(&file, Some(4)).expect("a file").0.cut);
    }

    #[test]
    fn a_command_behind_the_end_reopens_the_dataset() {
        let mut file = format::dataset("1", Guarantee::Closed).into_bytes();
        let dataset = |file: &[u8]| read(file, None).expect("a file").0.dataset;
        assert_eq!(dataset(&file), Some(("1".into(), Guarantee::Closed)));
        file.extend(command(&["SET", "a", "1"]));
        assert_eq!(dataset(&file), Some(("1".into(), Guarantee::Open)));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(file in vec(prop_oneof![Just(b'#'), Just(b'*'), Just(b'$'), Just(b'\r'), Just(b'\n'), b'0'..=b'9', any::<u8>()], 0..200)) {
            let _ = read(&file, None);
        }
    }
}
