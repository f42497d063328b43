//! Runs queries.

mod join;
mod query;
mod select;
mod sort;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use env::WallClock;
use regex_lite::{Regex, RegexBuilder};

pub(super) use join::{each_row, each_stored};
pub(super) use query::{limits, rows_of};
pub(super) use select::{holds, project};
pub(super) use sort::{compare as compare_keys, keys as sort_keys};

use super::{draw::Draws, eval::Scope, plan::Query};
use crate::{
    data::{Value, timestamp},
    engine::Backends,
    error::{Result, SqlError, state},
    store::View,
};

/// What running a statement gave.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) rows: Vec<Vec<Value>>,
    /// Rows returned, or rows changed.
    pub(crate) count: u64,
    /// What the client should know.
    pub(crate) notices: Vec<SqlError>,
}

/// What a statement is given from outside.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub(crate) params: &'a [Value],
    /// The start of the transaction, as [`Value::Timestamp`].
    pub(crate) now: i64,
    /// The number of the session's process.
    pub(crate) process: u32,
    /// Every session.
    pub(crate) backends: &'a Backends,
    pub(crate) clock: &'a dyn WallClock,
}

/// What the expressions of a statement may look at beside their row.
pub(crate) struct Run<'a> {
    pub(crate) view: View<'a>,
    pub(crate) inputs: Inputs<'a>,
    memo: &'a Memo,
}

/// What one execution of a statement need not find out twice, or leaves behind.
#[derive(Default)]
pub(crate) struct Memo {
    found: RefCell<BTreeMap<usize, Arc<Found>>>,
    patterns: RefCell<BTreeMap<Pattern, Arc<Regex>>>,
    draws: RefCell<Draws>,
}

impl Memo {
    /// What is drawn from sequences.
    pub(crate) fn draws(&mut self) -> &mut Draws {
        self.draws.get_mut()
    }
}

/// The text of a pattern, and whether it ignores case.
type Pattern = (Arc<str>, bool);

/// The rows of a subquery that does not depend on the row around it.
pub(crate) struct Found {
    pub(crate) rows: Vec<Vec<Value>>,
    /// The same rows, but for those with a null.
    pub(crate) set: BTreeSet<Vec<Value>>,
    pub(crate) has_null: bool,
}

impl Found {
    pub(crate) fn new(rows: Vec<Vec<Value>>) -> Self {
        let is_whole = |row: &&Vec<Value>| !row.iter().any(Value::is_null);
        let set: BTreeSet<_> = rows.iter().filter(is_whole).cloned().collect();
        let has_null = rows.iter().any(|row| row.iter().any(Value::is_null));
        Self { rows, set, has_null }
    }
}

/// Compiled patterns of one statement; a statement that makes up patterns must not keep them all.
const MAX_PATTERNS: usize = 64;

impl<'a> Run<'a> {
    pub(crate) fn new(view: View<'a>, inputs: Inputs<'a>, memo: &'a Memo) -> Self {
        Self { view, inputs, memo }
    }

    /// The start of the transaction, as [`Value::Timestamp`].
    pub(crate) fn now(&self) -> i64 {
        self.inputs.now
    }

    /// What the wall clock shows, as [`Value::Timestamp`].
    pub(crate) fn clock_now(&self) -> i64 {
        timestamp::from_wall(self.inputs.clock.now())
    }

    /// An expression's scope without a row.
    pub(crate) fn scope(&'a self) -> Scope<'a> {
        Scope { row: &[], excluded: &[], args: &[], params: self.inputs.params, run: self }
    }

    /// What is drawn from sequences.
    pub(super) fn draws(&self) -> &RefCell<Draws> {
        &self.memo.draws
    }

    /// The rows of subquery `id`, which are looked for once.
    pub(crate) fn found(
        &self,
        id: usize,
        look: impl FnOnce() -> Result<Vec<Vec<Value>>>,
    ) -> Result<Arc<Found>> {
        if let Some(found) = self.memo.found.borrow().get(&id) {
            return Ok(found.clone());
        }
        let found = Arc::new(Found::new(look()?));
        self.memo.found.borrow_mut().insert(id, found.clone());
        Ok(found)
    }

    /// A regular expression. The syntax is that of `regex-lite`, which covers what POSIX and PostgreSQL's advanced
    /// expressions have in common; back references and lookaround are refused.
    pub(crate) fn pattern(&self, pattern: &str, any_case: bool) -> Result<Arc<Regex>> {
        let key = (Arc::from(pattern), any_case);
        if let Some(found) = self.memo.patterns.borrow().get(&key) {
            return Ok(found.clone());
        }
        let compiled = RegexBuilder::new(pattern).case_insensitive(any_case).build().map_err(|error| {
            SqlError::new(state::INVALID_REGEX, format!("invalid regular expression: {error}"))
        })?;
        let compiled = Arc::new(compiled);
        let mut patterns = self.memo.patterns.borrow_mut();
        if patterns.len() >= MAX_PATTERNS {
            patterns.clear();
        }
        patterns.insert(key, compiled.clone());
        Ok(compiled)
    }
}

/// Runs a query.
pub(crate) fn query(query: &Query, view: View<'_>, inputs: Inputs<'_>, memo: &Memo) -> Result<Answer> {
    let run = Run::new(view, inputs, memo);
    let rows = rows_of(query, &run.scope(), usize::MAX)?;
    Ok(Answer { count: rows.len() as u64, rows, notices: Vec::new() })
}
