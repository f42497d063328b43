//! What can be made to go wrong with the ledger itself, in the words of a plan.
//!
//! Deliberately absent: what happens to its machine – a restart, a full disk, an fsync that fails, a cut cable.

use std::{fmt, time::Duration};

use faults::{Span, Unexpected, Words};

/// A fault of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `cut-after-commit [N]`: the connection of the Nth commit from now is cut once the commit is durable, before the
    /// client hears of it.
    CutAfterCommit {
        /// Commits that are left, this one included.
        left: u64,
    },
    /// `cut-before-commit [N]`: the connection of the Nth commit from now is cut and its transaction lost.
    CutBeforeCommit {
        /// Commits that are left, this one included.
        left: u64,
    },
    /// `refuse`: new connections are turned away with 57P03.
    Refuse,
    /// `serialization-failure N|PERCENT [at commit]`: statements that change or lock rows fail with 40001, or commits do.
    SerializationFailure {
        /// Which of them fail.
        which: Share,
        /// Commits fail, not statements.
        at_commit: bool,
    },
    /// `slow LEAST..MOST`: every statement takes that much longer.
    Slow {
        /// The shortest time.
        least: Duration,
        /// The longest time.
        most: Duration,
    },
    /// `too-many-connections`: new connections are turned away with 53300.
    TooManyConnections,
}

/// How many of a kind are struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// The next ones, so many of them.
    Next(u64),
    /// This percentage of them.
    Percent(u64),
}

impl Fault {
    /// Whether the commit at hand is the one that this fault, which counts commits, is about.
    pub(crate) fn is_due(left: &mut u64) -> bool {
        *left = left.saturating_sub(1);
        *left == 0
    }

    /// Whether a statement, or with `commit` a commit, fails to serialize. `chance` is a number below 100.
    pub(crate) fn fails_to_serialize(&mut self, commit: bool, chance: impl FnOnce() -> u64) -> bool {
        match self {
            Self::SerializationFailure { which, at_commit } if *at_commit == commit => match which {
                Share::Next(left) => {
                    let strikes = *left > 0;
                    *left = left.saturating_sub(1);
                    strikes
                }
                Share::Percent(percent) => chance() < *percent,
            },
            _ => false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutAfterCommit { left } => cut(f, "cut-after-commit", *left),
            Self::CutBeforeCommit { left } => cut(f, "cut-before-commit", *left),
            Self::Refuse => f.write_str("refuse"),
            Self::SerializationFailure { which, at_commit } => {
                let place = if *at_commit { " at commit" } else { "" };
                match which {
                    Share::Next(count) => write!(f, "serialization-failure {count}{place}"),
                    Share::Percent(percent) => write!(f, "serialization-failure {percent}%{place}"),
                }
            }
            Self::Slow { least, most } => write!(f, "slow {}..{}", Span(*least), Span(*most)),
            Self::TooManyConnections => f.write_str("too-many-connections"),
        }
    }
}

fn cut(f: &mut fmt::Formatter<'_>, name: &str, left: u64) -> fmt::Result {
    if left == 1 { f.write_str(name) } else { write!(f, "{name} {left}") }
}

impl faults::Fault for Fault {
    fn read(words: &mut Words<'_>) -> Result<Self, Unexpected> {
        const EXPECTED: &str = "cut-after-commit, cut-before-commit, refuse, serialization-failure, slow or too-many-connections";
        let word = words.next(EXPECTED)?;
        Ok(match word {
            "cut-after-commit" => Self::CutAfterCommit { left: ordinal(words)? },
            "cut-before-commit" => Self::CutBeforeCommit { left: ordinal(words)? },
            "refuse" => Self::Refuse,
            "serialization-failure" => {
                let which =
                    words.read("a number, or a share such as 30%", |word| match word.strip_suffix('%') {
                        Some(percent) => {
                            percent.parse().ok().filter(|percent| *percent <= 100).map(Share::Percent)
                        }
                        None => word.parse().ok().filter(|count| *count > 0).map(Share::Next),
                    })?;
                let at_commit = words.skip("at");
                if at_commit {
                    words.keyword("commit")?;
                }
                Self::SerializationFailure { which, at_commit }
            }
            "slow" => {
                let (least, most) = words.spans()?;
                Self::Slow { least, most }
            }
            "too-many-connections" => Self::TooManyConnections,
            other => return Err(words.unexpected(EXPECTED, Some(other))),
        })
    }

    fn lasts(&self) -> bool {
        !matches!(self, Self::CutAfterCommit { .. } | Self::CutBeforeCommit { .. })
    }
}

/// Which commit: the next unless a number says otherwise.
fn ordinal(words: &mut Words<'_>) -> Result<u64, Unexpected> {
    match words.next_if(|word| word.starts_with(|c: char| c.is_ascii_digit())) {
        None => Ok(1),
        Some(word) => word
            .parse()
            .ok()
            .filter(|left| *left > 0)
            .ok_or_else(|| words.unexpected("which commit, counted from 1", Some(word))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Fault, Unexpected> {
        let mut words = Words::new(text);
        let fault = <Fault as faults::Fault>::read(&mut words)?;
        words.end("the end")?;
        Ok(fault)
    }

    #[test]
    fn every_fault_reads_as_it_is_written() {
        for text in [
            "cut-after-commit",
            "cut-after-commit 3",
            "cut-before-commit",
            "cut-before-commit 2",
            "refuse",
            "serialization-failure 2",
            "serialization-failure 30%",
            "serialization-failure 1 at commit",
            "slow 50ms..2s",
            "too-many-connections",
        ] {
            assert_eq!(read(text).unwrap().to_string(), text);
        }
        for wrong in [
            "",
            "burn",
            "cut-after-commit 0",
            "refuse gently",
            "serialization-failure",
            "serialization-failure 101%",
            "serialization-failure 1 at",
            "slow 2s..50ms",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_cut_strikes_the_commit_it_names() {
        let mut left = 3;
        assert_eq!([(); 3].map(|()| Fault::is_due(&mut left)), [false, false, true]);
    }

    #[test]
    fn serialization_fails_as_often_as_it_should() {
        let mut next = Fault::SerializationFailure { which: Share::Next(2), at_commit: false };
        assert!(!next.fails_to_serialize(true, || 0), "commits are left alone");
        let struck = [(); 3].map(|()| next.fails_to_serialize(false, || 0));
        assert_eq!(struck, [true, true, false]);
        let mut share = Fault::SerializationFailure { which: Share::Percent(30), at_commit: true };
        assert_eq!([29, 30].map(|chance| share.fails_to_serialize(true, || chance)), [true, false]);
    }
}
