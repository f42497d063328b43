//! Sequences: what they give next, and how far the log is ahead of them.
//!
//! A value that has been drawn stays drawn: no rollback gives it back. The log notes a place some values ahead, so that most
//! draws need no record; what recovery finds between that place and the last value is skipped (`SEQ_LOG_VALS` of
//! PostgreSQL). Deliberately absent: `CACHE`, which is noted and has no effect.

use crate::{
    data::{Row, Type, Value},
    error::{Result, SqlError, state},
};

/// `SEQ_LOG_VALS` of PostgreSQL: how many values the log is ahead.
const AHEAD: i64 = 32;

/// The definition of a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sequence {
    pub(crate) ty: Type,
    /// Not zero.
    pub(crate) increment: i64,
    pub(crate) least: i64,
    pub(crate) most: i64,
    /// Within the bounds.
    pub(crate) start: i64,
    pub(crate) cache: i64,
    /// It begins anew behind its last value.
    pub(crate) cycles: bool,
}

/// Where a sequence stands: its only row, as a client may read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) last: i64,
    /// Values that may be drawn before the log must be told.
    pub(crate) ahead: i64,
    /// Whether `last` has been given out.
    pub(crate) called: bool,
}

/// What has become of a sequence by being drawn from, or set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Drawn {
    pub(crate) position: Position,
    /// What the log holds of it no longer bounds its values.
    pub(crate) moved: bool,
}

impl Sequence {
    /// Where it begins.
    pub(crate) fn beginning(&self) -> Position {
        Position { last: self.start, ahead: 0, called: false }
    }

    /// The place after the next value, which is its `last`.
    ///
    /// # Errors
    /// 2200H: there is none, and the sequence, called `name`, does not cycle.
    pub(crate) fn next(&self, at: Drawn, name: &str) -> Result<Drawn> {
        let Drawn { position: Position { last, ahead, called }, mut moved } = at;
        let value = if called { last.checked_add(self.increment) } else { Some(last) };
        let (value, wrapped) = match value.filter(|value| (self.least..=self.most).contains(value)) {
            Some(value) => (value, false),
            None if self.cycles => (if self.increment > 0 { self.least } else { self.most }, true),
            None => return Err(self.exhausted(name)),
        };
        moved |= wrapped;
        let ahead = if ahead > 0 && !wrapped { ahead - 1 } else { self.values_after(value) };
        Ok(Drawn { position: Position { last: value, ahead, called: true }, moved })
    }

    /// How many of the values behind `value` one record may cover.
    fn values_after(&self, value: i64) -> i64 {
        let end = if self.increment > 0 { self.most } else { self.least };
        let left = (i128::from(end) - i128::from(value)) / i128::from(self.increment);
        i64::try_from(left).unwrap_or(AHEAD).min(AHEAD)
    }

    fn exhausted(&self, name: &str) -> Box<SqlError> {
        let (end, value) = if self.increment > 0 { ("maximum", self.most) } else { ("minimum", self.least) };
        let message = format!("nextval: reached {end} value of sequence \"{name}\" ({value})");
        SqlError::new(state::SEQUENCE_LIMIT, message)
    }

    /// The place that the log is told of when the sequence stands at `position`.
    pub(super) fn logged(&self, position: Position) -> Position {
        let Position { last, ahead, called } = position;
        Position { last: last.saturating_add(ahead.saturating_mul(self.increment)), ahead: 0, called }
    }

    /// Whether a log that has come to `reserved` covers `last`.
    pub(super) fn covers(&self, reserved: Option<i64>, last: i64) -> bool {
        reserved.is_some_and(|reserved| if self.increment > 0 { last <= reserved } else { last >= reserved })
    }
}

impl Position {
    /// The row of a sequence.
    pub(super) fn row(self) -> Row {
        [Value::Int(self.last), Value::Int(self.ahead), Value::Bool(self.called)].into()
    }

    /// The place that a row says; none if it is not one of a sequence.
    pub(super) fn of_row(row: &[Value]) -> Option<Self> {
        match row {
            [Value::Int(last), Value::Int(ahead), Value::Bool(called)] => {
                Some(Self { last: *last, ahead: *ahead, called: *called })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(increment: i64, least: i64, most: i64, cycles: bool) -> Sequence {
        let start = if increment > 0 { least } else { most };
        Sequence { ty: Type::Int8, increment, least, most, start, cache: 1, cycles }
    }

    fn drawn(sequence: &Sequence, count: usize) -> Vec<i64> {
        let mut at = Drawn { position: sequence.beginning(), moved: false };
        let mut values = Vec::new();
        for _ in 0..count {
            at = sequence.next(at, "q").unwrap();
            values.push(at.position.last);
        }
        values
    }

    #[test]
    fn a_sequence_goes_up_or_down_and_around() {
        assert_eq!(drawn(&sequence(2, 1, 9, false), 5), [1, 3, 5, 7, 9]);
        assert_eq!(drawn(&sequence(-1, -9, -1, false), 3), [-1, -2, -3]);
        assert_eq!(drawn(&sequence(1, 1, 2, true), 5), [1, 2, 1, 2, 1]);
        let ends = sequence(1, i64::MAX - 1, i64::MAX, false);
        let mut at = Drawn { position: ends.beginning(), moved: false };
        at = ends.next(at, "q").unwrap();
        at = ends.next(at, "q").unwrap();
        let error = ends.next(at, "q").unwrap_err();
        assert_eq!((error.state, at.position.last), (state::SEQUENCE_LIMIT, i64::MAX));
    }

    #[test]
    fn the_log_is_told_of_values_within_the_bounds() {
        let short = sequence(1, 1, 10, false);
        let first = short.next(Drawn { position: short.beginning(), moved: false }, "q").unwrap();
        assert_eq!(short.logged(first.position), Position { last: 10, ahead: 0, called: true });
        assert!(short.covers(Some(10), 10) && !short.covers(Some(9), 10) && !short.covers(None, 1));
        let down = sequence(-5, -1_000, -1, false);
        let first = down.next(Drawn { position: down.beginning(), moved: false }, "q").unwrap();
        assert_eq!(down.logged(first.position).last, -161);
        assert!(down.covers(Some(-161), -161) && !down.covers(Some(-161), -166));
    }
}
