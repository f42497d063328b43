//! Reading a fault word by word, with an error that says what was expected.

use std::{
    iter::Peekable,
    str::{FromStr, SplitWhitespace},
    time::Duration,
};

use crate::span::parse_span;

/// A word that does not belong there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found}")]
pub struct Unexpected {
    /// What would have been right.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

/// The words of one line, not yet read.
pub struct Words<'a>(Peekable<SplitWhitespace<'a>>);

impl<'a> Words<'a> {
    /// All words of `line`.
    pub fn new(line: &'a str) -> Self {
        Self(line.split_whitespace().peekable())
    }

    /// What to answer when `found` (`None`: the line ended) stands where `expected` should.
    pub fn unexpected(&self, expected: &str, found: Option<&str>) -> Unexpected {
        let found = found.map_or_else(|| "the end of the line".into(), |word| format!("`{word}`"));
        Unexpected { expected: expected.into(), found }
    }

    /// The next word.
    ///
    /// # Errors
    /// When the line ends here.
    pub fn next(&mut self, expected: &str) -> Result<&'a str, Unexpected> {
        self.0.next().ok_or_else(|| self.unexpected(expected, None))
    }

    /// The next word, read by `read`.
    ///
    /// # Errors
    /// When the line ends here, or `read` refuses the word.
    pub fn read<T>(
        &mut self,
        expected: &str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<T, Unexpected> {
        let word = self.next(expected)?;
        read(word).ok_or_else(|| self.unexpected(expected, Some(word)))
    }

    /// Exactly this word.
    ///
    /// # Errors
    /// When something else stands here.
    pub fn keyword(&mut self, keyword: &str) -> Result<(), Unexpected> {
        self.read(&format!("`{keyword}`"), |word| (word == keyword).then_some(()))
    }

    /// Whether the next word is this one; if so, it is read.
    pub fn skip(&mut self, keyword: &str) -> bool {
        self.next_if(|word| word == keyword).is_some()
    }

    /// The next word, if there is one that `wanted` accepts.
    pub fn next_if(&mut self, wanted: impl Fn(&str) -> bool) -> Option<&'a str> {
        self.0.next_if(|word| wanted(word))
    }

    /// A duration such as `250ms`.
    ///
    /// # Errors
    /// When something else stands here.
    pub fn span(&mut self) -> Result<Duration, Unexpected> {
        self.read("a time such as 250ms or 12s", parse_span)
    }

    /// A range of durations such as `50ms..2s`, the smaller one first.
    ///
    /// # Errors
    /// When something else stands here.
    pub fn spans(&mut self) -> Result<(Duration, Duration), Unexpected> {
        self.read("a range of time such as 50ms..2s", |word| {
            let (least, most) = word.split_once("..")?;
            let (least, most) = (parse_span(least)?, parse_span(most)?);
            (least <= most).then_some((least, most))
        })
    }

    /// A share from `0%` to `100%`.
    ///
    /// # Errors
    /// When something else stands here.
    pub fn percent(&mut self) -> Result<u64, Unexpected> {
        self.read("a share from 0% to 100%", |word| {
            word.strip_suffix('%')?.parse().ok().filter(|share| *share <= 100)
        })
    }

    /// A number above zero.
    ///
    /// # Errors
    /// When something else stands here.
    pub fn count<N: FromStr + PartialOrd + Default>(&mut self) -> Result<N, Unexpected> {
        self.read("a number above zero", |word| word.parse().ok().filter(|count| *count > N::default()))
    }

    /// Nothing more.
    ///
    /// # Errors
    /// When a word is left.
    pub fn end(mut self, expected: &str) -> Result<(), Unexpected> {
        match self.0.next() {
            None => Ok(()),
            Some(word) => Err(self.unexpected(expected, Some(word))),
        }
    }
}
