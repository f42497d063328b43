//! The order journal: one line of JSON for each thing that happened to an order, each line chained to the one before.
//!
//! A line is `{"seq":7,"prev":"…","at":…,"event":{…},"hash":"…"}`; its hash is the SHA-256 of all that stands before
//! `,"hash"`, which begins with the number of the line and the hash of the line before. So a line proves itself, and
//! its place: nothing can be changed, left out or put in without a break of the chain.
//!
//! What is unreadable up to the end of the file is a *torn tail*: a write that never finished, and that nobody was told of.
//! What is unreadable before a readable line is a *hole*: something was there. Deliberately absent: files, and what to do
//! about either.

use std::{fmt, ops::Range, str::FromStr};

use env::WallTime;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{ClientOrderId, Price, Qty, Side, Status, Symbol};

/// Something that happened to an order, or to the journal itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The order was decided on; it may be sent once this line is durable.
    Intent {
        /// The order.
        order: ClientOrderId,
        /// The instrument.
        symbol: Symbol,
        /// The direction.
        side: Side,
        /// How much.
        qty: Qty,
        /// Whether this is an exit.
        reduce_only: bool,
    },
    /// The request was handed to the network.
    Sent {
        /// The order.
        order: ClientOrderId,
        /// 1 for the first time.
        attempt: u64,
    },
    /// The order reached a status.
    Became {
        /// The order.
        order: ClientOrderId,
        /// Which one.
        status: Status,
        /// Why, for a person.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reason: Option<String>,
    },
    /// The exchange executed a part of the order.
    Filled {
        /// The order.
        order: ClientOrderId,
        /// The exchange's number of the trade.
        trade_id: u64,
        /// How much.
        qty: Qty,
        /// At which price.
        price: Price,
    },
    /// A file with holes was set aside: the lines from `first` to `last` are lost, or what is left of them is there.
    Quarantined {
        /// The name of the file now.
        file: String,
        /// The first line that is missing.
        first: u64,
        /// The last line that is missing.
        last: u64,
    },
}

impl Event {
    /// The order that it is about.
    pub const fn order(&self) -> Option<&ClientOrderId> {
        match self {
            Self::Intent { order, .. }
            | Self::Sent { order, .. }
            | Self::Became { order, .. }
            | Self::Filled { order, .. } => Some(order),
            Self::Quarantined { .. } => None,
        }
    }
}

/// The hash of a line. Displayed and read as 64 hexadecimal digits.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct LineHash([u8; 32]);

impl LineHash {
    fn of(line: &[u8]) -> Self {
        Self(Sha256::digest(line).into())
    }
}

impl fmt::Display for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text is no hash of a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not 64 hexadecimal digits")]
pub struct NoHash;

impl FromStr for LineHash {
    type Err = NoHash;

    fn from_str(text: &str) -> Result<Self, NoHash> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| NoHash)?;
        Ok(Self(bytes))
    }
}

super::as_text!(LineHash, Status);

/// A line that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// 1 for the first line ever.
    pub seq: u64,
    /// The hash of the line before; zeros before the first.
    pub prev: LineHash,
    /// When, by the writer's wall clock.
    pub at: WallTime,
    /// What happened.
    pub event: Event,
}

/// The end of the chain, where the next line goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// The number of the last line; 0 when there is none.
    last: u64,
    tip: LineHash,
}

/// What surrounds the members of a line: its hash covers everything before this.
const HASH: &str = ",\"hash\":\"";

/// Bytes of `,"hash":"…"}`.
const TAIL: usize = HASH.len() + 64 + 2;

/// The members that a line's hash covers, in their order.
#[derive(Serialize, Deserialize)]
struct Body {
    seq: u64,
    prev: LineHash,
    at: i64,
    event: Event,
}

impl Chain {
    /// The number of the last line; 0 when there is none.
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// The hash of the last line; zeros when there is none.
    pub const fn tip(&self) -> LineHash {
        self.tip
    }

    /// Writes the next line, with its line feed, behind `into`.
    ///
    /// # Errors
    /// When the event has no JSON form, which none of the variants lacks; nothing is written then.
    pub fn append(
        &mut self,
        at: WallTime,
        event: Event,
        into: &mut Vec<u8>,
    ) -> Result<(), serde_json::Error> {
        let body = Body { seq: self.last + 1, prev: self.tip, at: at.as_micros(), event };
        let mut line = serde_json::to_vec(&body)?;
        // The brace that closes the body closes the line instead.
        line.pop();
        let hash = LineHash::of(&line);
        line.extend_from_slice(HASH.as_bytes());
        line.extend_from_slice(hash.to_string().as_bytes());
        line.extend_from_slice(b"\"}\n");
        into.extend_from_slice(&line);
        *self = Self { last: body.seq, tip: hash };
        Ok(())
    }

    /// Reads one line, without its line feed, wherever it may belong; the chain then ends with it.
    fn prove(line: &[u8]) -> Option<(Record, Self)> {
        let (covered, tail) = line.split_at_checked(line.len().checked_sub(TAIL)?)?;
        let hash = LineHash::of(covered);
        // Compared as text: digits in upper case are a change, too.
        if tail.strip_prefix(HASH.as_bytes())?.strip_suffix(b"\"}")? != hash.to_string().as_bytes() {
            return None;
        }
        let mut body = covered.to_vec();
        body.push(b'}');
        let Body { seq, prev, at, event } = serde_json::from_slice(&body).ok()?;
        let record = Record { seq, prev, at: WallTime::from_micros(at), event };
        Some((record, Self { last: seq, tip: hash }))
    }

    /// Whether `record` is the line that comes next. Nothing is known of what came before the first line of a file.
    fn is_followed_by(&self, record: &Record, first_of_file: bool) -> bool {
        (first_of_file && self.last == 0) || (record.seq == self.last + 1 && record.prev == self.tip)
    }
}

/// Something unreadable that readable lines follow, or lines that are missing between two readable ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The bytes between the readable lines; empty when lines are missing without a trace.
    pub bytes: Range<usize>,
    /// The first line that is missing.
    pub first: u64,
    /// The last line that is missing; less than `first` when the numbers do not tell.
    pub last: u64,
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The lines that can be read, from both sides of every hole.
    pub records: Vec<Record>,
    /// What is missing between them.
    pub holes: Vec<Hole>,
    /// Where the readable lines end; what is behind is a torn tail.
    pub intact: usize,
    /// The chain behind the last readable line.
    pub chain: Chain,
}

/// Reads the lines of a file that come behind `before`.
pub fn read(before: Chain, file: &[u8]) -> Reading {
    let mut reading = Reading { chain: before, ..Reading::default() };
    let mut at = 0;
    while let Some(len) = file[at..].iter().position(|byte| *byte == b'\n') {
        let line = at..at + len;
        at = line.end + 1;
        let Some((record, chain)) = Chain::prove(&file[line.clone()]) else { continue };
        let first_of_file = reading.records.is_empty() && line.start == 0;
        if line.start > reading.intact || !reading.chain.is_followed_by(&record, first_of_file) {
            let (first, last) = (reading.chain.last + 1, record.seq.saturating_sub(1));
            reading.holes.push(Hole { bytes: reading.intact..line.start, first, last });
        }
        reading.intact = at;
        reading.chain = chain;
        reading.records.push(record);
    }
    reading
}

#[cfg(test)]
mod tests;
