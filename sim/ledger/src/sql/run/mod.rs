//! Runs plans against tables.

mod join;
mod query;
mod select;
mod sort;
mod write;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use env::WallClock;
use regex_lite::{Regex, RegexBuilder};

pub(crate) use query::rows_of;
pub(crate) use sort::compare as compare_keys;
pub(crate) use write::write;

use super::{eval::Scope, plan::Query};
use crate::{
    data::{Value, timestamp},
    error::{Result, SqlError, state},
    store::View,
};

/// What running a statement gave.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) rows: Vec<Vec<Value>>,
    /// Rows returned, or rows changed.
    pub(crate) count: u64,
}

/// One execution of a statement: what its expressions may look at beside their row.
pub(crate) struct Run<'a> {
    pub(crate) view: View<'a>,
    /// The start of the transaction, as [`Value::Timestamp`].
    pub(crate) now: i64,
    clock: &'a dyn WallClock,
    found: RefCell<BTreeMap<usize, Rc<Found>>>,
    patterns: RefCell<BTreeMap<(Rc<str>, bool), Rc<Regex>>>,
}

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
    pub(crate) fn new(view: View<'a>, now: i64, clock: &'a dyn WallClock) -> Self {
        Self { view, now, clock, found: RefCell::default(), patterns: RefCell::default() }
    }

    /// What the wall clock shows, as [`Value::Timestamp`].
    pub(crate) fn clock_now(&self) -> i64 {
        timestamp::from_wall(self.clock.now())
    }

    /// An expression's scope without a row.
    pub(crate) fn scope(&'a self, params: &'a [Value]) -> Scope<'a> {
        Scope { row: &[], excluded: &[], args: &[], params, run: self }
    }

    /// The rows of subquery `id`, which are looked for once.
    pub(crate) fn found(
        &self,
        id: usize,
        look: impl FnOnce() -> Result<Vec<Vec<Value>>>,
    ) -> Result<Rc<Found>> {
        if let Some(found) = self.found.borrow().get(&id) {
            return Ok(found.clone());
        }
        let found = Rc::new(Found::new(look()?));
        self.found.borrow_mut().insert(id, found.clone());
        Ok(found)
    }

    /// A regular expression. The syntax is that of `regex-lite`, which covers what POSIX and PostgreSQL's advanced
    /// expressions have in common; back references and lookaround are refused.
    pub(crate) fn pattern(&self, pattern: &str, any_case: bool) -> Result<Rc<Regex>> {
        let key = (Rc::from(pattern), any_case);
        if let Some(found) = self.patterns.borrow().get(&key) {
            return Ok(found.clone());
        }
        let compiled = RegexBuilder::new(pattern).case_insensitive(any_case).build().map_err(|error| {
            SqlError::new(state::INVALID_REGEX, format!("invalid regular expression: {error}"))
        })?;
        let compiled = Rc::new(compiled);
        let mut patterns = self.patterns.borrow_mut();
        if patterns.len() >= MAX_PATTERNS {
            patterns.clear();
        }
        patterns.insert(key, compiled.clone());
        Ok(compiled)
    }
}

/// Runs a query.
pub(crate) fn query(
    query: &Query,
    view: View<'_>,
    params: &[Value],
    now: i64,
    clock: &dyn WallClock,
) -> Result<Answer> {
    let run = Run::new(view, now, clock);
    let rows = rows_of(query, &run.scope(params), usize::MAX)?;
    Ok(Answer { count: rows.len() as u64, rows })
}
