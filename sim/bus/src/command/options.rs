//! Walks through a command's options.

use crate::{
    error::CommandError,
    resp::{Args, parse_i64},
};

/// The arguments from some position on.
pub(super) struct Options<'a> {
    args: Args<'a>,
    position: usize,
}

impl<'a> Options<'a> {
    pub(super) fn from(args: Args<'a>, position: usize) -> Self {
        Self { args, position }
    }

    /// The index of the argument that [`Options::next`] returns next.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// How many arguments are left.
    pub(super) fn left(&self) -> usize {
        self.args.len().saturating_sub(self.position)
    }

    /// The next argument, left where it is.
    pub(super) fn peek(&self) -> Option<&'a [u8]> {
        self.args.get(self.position)
    }

    /// The next argument.
    pub(super) fn next(&mut self) -> Option<&'a [u8]> {
        let argument = self.peek()?;
        self.position += 1;
        Some(argument)
    }

    /// The value of the option just read.
    pub(super) fn value(&mut self) -> Result<&'a [u8], CommandError> {
        self.next().ok_or(CommandError::Syntax)
    }

    /// The integer value of the option just read.
    pub(super) fn integer(&mut self) -> Result<i64, CommandError> {
        integer(self.value()?)
    }
}

/// An argument that must be an integer.
pub(super) fn integer(argument: &[u8]) -> Result<i64, CommandError> {
    parse_i64(argument).ok_or(CommandError::NotAnInteger)
}
