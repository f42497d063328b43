//! What statements draw from sequences.
//!
//! A statement reads tables and does not change them; where it leaves a sequence is noted here, and the engine stores it
//! when the statement ends, fails or waits.

use std::collections::BTreeMap;

use super::{plan::Expr, run::Run, system::relation_name};
use crate::{
    data::Value,
    error::{Result, SqlError, state},
    store::{Drawn, Schema, Sequence, SequencePosition},
};

/// The sequences that a statement has drawn from or set, and what its session remembers of them.
#[derive(Debug, Default)]
pub(crate) struct Draws {
    /// By number.
    drawn: BTreeMap<usize, Drawn>,
    pub(crate) session: Remembered,
}

/// What a session has drawn: `currval` and `lastval`.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    /// By number.
    values: BTreeMap<usize, i64>,
    last: Option<usize>,
}

impl Draws {
    pub(crate) fn of(session: Remembered) -> Self {
        Self { drawn: BTreeMap::new(), session }
    }

    /// Takes out what is to be stored.
    pub(crate) fn take(&mut self) -> BTreeMap<usize, Drawn> {
        std::mem::take(&mut self.drawn)
    }
}

/// The name of the sequence that a default draws from.
pub(crate) fn source_of(default: &Expr) -> Option<String> {
    let mut found = None;
    default.visit(&mut |expr| {
        if let Expr::Call { function, args } = expr
            && function.name == "nextval"
            && let [arg] = args.as_slice()
            && let Some(text) = regclass_text(arg)
        {
            found = relation_name(text).ok();
        }
    });
    found
}

/// The text of a constant `regclass`.
pub(crate) fn regclass_text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Const(Value::Text(text)) => Some(text),
        Expr::Call { function, args } if function.name == "regclass" => args.first().and_then(regclass_text),
        _ => None,
    }
}

/// A sequence with its number and where it stands for the statement.
struct At<'a> {
    number: usize,
    schema: &'a Schema,
    sequence: &'a Sequence,
    drawn: Drawn,
}

impl<'a> Run<'a> {
    fn sequence_called(&self, name: &str) -> Result<At<'a>> {
        let (number, _) = self.view.relation(name).ok_or_else(|| SqlError::no_table(name))?;
        self.sequence(number, name)
    }

    fn sequence(&self, number: usize, name: &str) -> Result<At<'a>> {
        let table = self.view.table(number).ok_or_else(|| SqlError::no_table(name))?;
        let (Some(sequence), Some(position)) = (table.schema.sequence(), table.position()) else {
            let message = format!("\"{}\" is not a sequence", table.schema.name);
            return Err(SqlError::new(state::WRONG_OBJECT_TYPE, message));
        };
        let drawn = self.draws().borrow().drawn.get(&number).copied();
        let drawn = drawn.unwrap_or(Drawn { position, moved: false });
        Ok(At { number, schema: &table.schema, sequence, drawn })
    }

    /// `nextval`
    pub(crate) fn next_value(&self, name: &str) -> Result<i64> {
        let At { number, schema, sequence, drawn } = self.sequence_called(name)?;
        let drawn = sequence.next(drawn, &schema.name)?;
        let value = drawn.position.last;
        let mut draws = self.draws().borrow_mut();
        draws.drawn.insert(number, drawn);
        draws.session.values.insert(number, value);
        draws.session.last = Some(number);
        Ok(value)
    }

    /// `setval`
    pub(crate) fn set_value(&self, name: &str, value: i64, called: bool) -> Result<()> {
        let At { number, schema, sequence, .. } = self.sequence_called(name)?;
        if !(sequence.least..=sequence.most).contains(&value) {
            let message = format!(
                "setval: value {value} is out of bounds for sequence \"{}\" ({}..{})",
                schema.name, sequence.least, sequence.most
            );
            return Err(SqlError::new(state::OUT_OF_RANGE, message));
        }
        let position = SequencePosition { last: value, ahead: 0, called };
        let mut draws = self.draws().borrow_mut();
        draws.drawn.insert(number, Drawn { position, moved: true });
        if called {
            draws.session.values.insert(number, value);
        }
        Ok(())
    }

    /// `currval`
    pub(crate) fn current_value(&self, name: &str) -> Result<i64> {
        let At { number, schema, .. } = self.sequence_called(name)?;
        self.draws().borrow().session.values.get(&number).copied().ok_or_else(|| {
            let message =
                format!("currval of sequence \"{}\" is not yet defined in this session", schema.name);
            SqlError::new(state::NOT_IN_STATE, message)
        })
    }

    /// `lastval`
    pub(crate) fn last_value(&self) -> Result<i64> {
        let draws = self.draws().borrow();
        let Remembered { values, last } = &draws.session;
        last.filter(|number| self.view.table(*number).is_some())
            .and_then(|number| values.get(&number).copied())
            .ok_or_else(|| SqlError::new(state::NOT_IN_STATE, "lastval is not yet defined in this session"))
    }
}
