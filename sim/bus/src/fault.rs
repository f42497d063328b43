//! The faults that only the bus itself can have.
//!
//! Deliberately absent: crashes, power losses, full disks and lost packets, which happen to every machine.

use std::{fmt, time::Duration};

use faults::{Span, Unexpected, Words};

const EXPECTED: &str = "slow, evict or failover";

/// What can go wrong with a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `slow 50ms..2s`: each command waits so long before it is executed.
    Slow {
        /// The shortest delay.
        least: Duration,
        /// The longest delay.
        most: Duration,
    },
    /// `evict KEY`: the key goes as if memory had run out (`maxmemory-policy allkeys-lru`), and with it the dataset epoch;
    /// at once, or as soon as there is such a key.
    Evict(String),
    /// `failover losing 3s`: all connections are cut and the server comes back, under a new dataset epoch, with the data as it
    /// was so long ago: a replica that lagged was promoted. What the last so many seconds did is lost, and up to one second
    /// more, for the append-only file tells whole seconds apart. Nothing older than its last rewrite can come back; without the
    /// file, nothing at all.
    Failover {
        /// How much is lost.
        losing: Duration,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slow { least, most } => write!(f, "slow {}..{}", Span(*least), Span(*most)),
            Self::Evict(key) => write!(f, "evict {key}"),
            Self::Failover { losing } => write!(f, "failover losing {}", Span(*losing)),
        }
    }
}

impl faults::Fault for Fault {
    fn read(words: &mut Words<'_>) -> Result<Self, Unexpected> {
        match words.next(EXPECTED)? {
            "slow" => words.spans().map(|(least, most)| Self::Slow { least, most }),
            "evict" => words.next("a key").map(|key| Self::Evict(key.into())),
            "failover" => {
                words.keyword("losing")?;
                words.span().map(|losing| Self::Failover { losing })
            }
            other => Err(words.unexpected(EXPECTED, Some(other))),
        }
    }

    fn lasts(&self) -> bool {
        matches!(self, Self::Slow { .. })
    }
}

#[cfg(test)]
mod tests {
    use faults::{Board, Port};

    use super::*;

    #[test]
    fn every_fault_is_read_back_as_it_is_written() {
        for (text, lasts) in
            [("slow 50ms..2s", true), ("evict lock:leader", false), ("failover losing 1500ms", false)]
        {
            let mut words = Words::new(text);
            let fault = <Fault as faults::Fault>::read(&mut words).expect(text);
            assert_eq!((fault.to_string().as_str(), faults::Fault::lasts(&fault)), (text, lasts));
        }
    }

    #[test]
    fn what_is_no_fault_is_refused_in_words() {
        let board = Board::<Fault>::new();
        let told = |text| board.check(text).expect_err(text).to_string();
        assert_eq!(told("fast"), "expected slow, evict or failover, found `fast`");
        assert_eq!(told("failover 3s"), "expected `losing`, found `3s`");
        assert_eq!(told("evict"), "expected a key, found the end of the line");
    }
}
