//! A transaction that has changed or locked something, from its first deed to its commit.

use std::sync::Arc;

use super::{Engine, Given, State, Ticket, Wait, check_tables, is_stale, lock, run_query};
use crate::{
    error::{Result, SqlError, state as code},
    sql::{self, Answer, Change, Prepared, Progress, Step},
    store::{self, Layer, Mark, TableLock, TransactionId, View},
};

/// What the engine keeps of a transaction.
pub(super) struct Open {
    pub(super) layer: Layer,
    /// Whose it is.
    pub(super) process: u32,
    /// The tables that it has locked: a table, and a bit for each mode.
    tables: Vec<(usize, u8)>,
}

/// What running a statement came to.
pub(crate) enum Ran {
    Done(Answer),
    /// The plan belongs to another version of the schema; nothing has happened.
    Stale,
    /// Another transaction is in the way. What has been done so far stays.
    Waits(Wait),
}

/// A session's hold on its transaction. Dropping it rolls the transaction back.
pub(crate) struct Writer {
    engine: Arc<Engine>,
    id: TransactionId,
    ended: bool,
}

impl Engine {
    /// Begins a transaction of the session `process`.
    pub(crate) fn begin(self: &Arc<Self>, process: u32) -> Result<Writer> {
        let mut state = self.alive()?;
        state.last += 1;
        let id = TransactionId(state.last);
        state.open.insert(id, Open { layer: Layer::new(id), process, tables: Vec::new() });
        Ok(Writer { engine: self.clone(), id, ended: false })
    }

    /// What is wrong if `waiter` is in a circle of transactions that wait for each other.
    pub(crate) fn deadlock(&self, waiter: TransactionId) -> Option<Box<SqlError>> {
        let state = lock(&self.state);
        let circle = state.waits.circle(waiter)?;
        let process = |id: &TransactionId| state.open.get(id).map_or(0, |open| open.process);
        let lines: Vec<String> = circle
            .iter()
            .zip(circle.iter().cycle().skip(1))
            .map(|(waiter, holder)| {
                format!(
                    "Process {} waits for ShareLock on transaction {}; blocked by process {}.",
                    process(waiter),
                    holder.0,
                    process(holder)
                )
            })
            .collect();
        Some(
            SqlError::new(code::DEADLOCK_DETECTED, "deadlock detected")
                .detail(lines.join("\n"))
                .hint("See server log for query details."),
        )
    }
}

impl State {
    /// Someone other than `asker` who holds a lock of a table that excludes `mode`.
    pub(super) fn table_lock_holder(
        &self,
        table: usize,
        mode: TableLock,
        asker: Option<TransactionId>,
    ) -> Option<TransactionId> {
        let everyone = self.open.values().chain(self.pending.iter().map(|pending| &pending.open));
        everyone
            .filter(|open| Some(open.layer.owner) != asker)
            .find(|open| open.tables.iter().any(|(held, modes)| *held == table && excludes(*modes, mode)))
            .map(|open| open.layer.owner)
    }

    /// Gives `owner` a lock of a table, or says who is in the way.
    fn lock_table(&mut self, owner: TransactionId, table: usize, mode: TableLock) -> Option<TransactionId> {
        let is_strong = mode > TableLock::RowExclusive;
        if (is_strong || self.strong_locks > 0)
            && let Some(holder) = self.table_lock_holder(table, mode, Some(owner))
        {
            return Some(holder);
        }
        let tables = &mut self.open.get_mut(&owner)?.tables;
        let bit = 1 << mode as u8;
        match tables.iter_mut().find(|(held, _)| *held == table) {
            Some((_, modes)) if *modes & bit != 0 => return None,
            Some((_, modes)) => *modes |= bit,
            None => tables.push((table, bit)),
        }
        self.strong_locks += usize::from(is_strong);
        None
    }

    /// A transaction is over and has been published or undone: gives back what it held.
    pub(super) fn farewell(&mut self, open: &Open) {
        let strong = |modes: &u8| (*modes >> (TableLock::RowExclusive as u8 + 1)).count_ones() as usize;
        self.strong_locks -= open.tables.iter().map(|(_, modes)| strong(modes)).sum::<usize>();
        if self.reformer == Some(open.layer.owner) {
            self.reformer = None;
        }
        self.waits.resume(open.layer.owner);
        self.waits.wake(open.layer.owner);
    }
}

fn excludes(modes: u8, wanted: TableLock) -> bool {
    TableLock::ALL.into_iter().any(|mode| modes & (1 << mode as u8) != 0 && mode.excludes(wanted))
}

impl Writer {
    pub(crate) fn id(&self) -> TransactionId {
        self.id
    }

    /// Runs a statement, from where `progress` says. After an error, everything since the innermost savepoint must be undone.
    pub(crate) fn run(&self, prepared: &Prepared, given: Given<'_>, progress: &mut Progress) -> Result<Ran> {
        let mut state = self.engine.alive()?;
        state.waits.resume(self.id);
        let own = state.reformer == Some(self.id);
        if !progress.begun() && is_stale(prepared, &state.tables, own) {
            return Ok(Ran::Stale);
        }
        if let Some(holder) = self.prepare(&mut state, prepared) {
            return Ok(Ran::Waits(state.waits.wait(Some(self.id), holder)));
        }
        let own = state.reformer == Some(self.id);
        let plan = &prepared.plan;
        let inputs = self.engine.inputs(given);
        let State { tables, open, waits, .. } = &mut *state;
        let Some(Open { layer, .. }) = open.get_mut(&self.id) else {
            return Ok(Ran::Stale);
        };
        let step = if plan.writes() || plan.locks() {
            check_tables(prepared, tables, own)
                .and_then(|()| sql::change(plan, &mut Change { tables, layer, own }, inputs, progress))
        } else {
            let view = View::new(tables, Some(self.id), own);
            run_query(prepared, tables, view, inputs, progress.memo()).map(Step::Done)
        };
        // Also of a statement that has failed or waits: nothing gives back what has been drawn.
        for (sequence, drawn) in progress.take_drawn() {
            tables.draw_in(layer, sequence, drawn);
        }
        Ok(match step? {
            Step::Done(answer) => Ran::Done(answer),
            Step::Wait(holder) => Ran::Waits(waits.wait(Some(self.id), holder)),
        })
    }

    /// Takes the locks of whole tables that a plan needs; who is in the way, if anybody is.
    fn prepare(&self, state: &mut State, prepared: &Prepared) -> Option<TransactionId> {
        if prepared.plan.changes_schema() {
            if let Some(other) = state.reformer.filter(|other| *other != self.id) {
                return Some(other);
            }
            state.reformer = Some(self.id);
        }
        prepared.table_locks().find_map(|(table, mode)| state.lock_table(self.id, table, mode))
    }

    /// Locks a table until the transaction ends.
    pub(crate) fn lock_table(&self, table: usize, mode: TableLock) -> Result<Option<Wait>> {
        let mut state = self.engine.alive()?;
        state.waits.resume(self.id);
        let holder = state.lock_table(self.id, table, mode);
        Ok(holder.map(|holder| state.waits.wait(Some(self.id), holder)))
    }

    /// Whether it has changed the schema, which only it sees as yet.
    pub(crate) fn owns_schema(&self) -> bool {
        lock(&self.engine.state).reformer == Some(self.id)
    }

    /// The place that has been reached, for [`Writer::undo_to`].
    pub(crate) fn mark(&self) -> Option<Mark> {
        lock(&self.engine.state).open.get(&self.id).map(|open| open.layer.mark())
    }

    /// Takes back everything after `mark`, locks of rows included.
    pub(crate) fn undo_to(&self, mark: Mark) {
        let mut state = lock(&self.engine.state);
        let State { tables, open, waits, .. } = &mut *state;
        if let Some(open) = open.get_mut(&self.id) {
            tables.undo(&mut open.layer, mark);
            waits.resume(self.id);
            waits.wake(self.id);
        }
    }

    /// Commits; the ticket says when it is durable. Until then everything stays locked.
    ///
    /// # Errors
    /// The transaction is lost.
    pub(crate) fn commit(mut self) -> Result<Ticket> {
        let mut state = self.engine.alive()?;
        let redo = state.open.get(&self.id).map(|open| store::redo(&state.tables, &open.layer));
        let redo = redo.unwrap_or_default();
        if !redo.is_empty()
            && let Err(error) = self.engine.strike_before_commit()
        {
            // Dropping the writer, which undoes everything, takes the lock again.
            drop(state);
            return Err(error);
        }
        self.ended = true;
        let Some(open) = state.open.remove(&self.id) else {
            return Ok(Ticket::nothing());
        };
        if redo.is_empty() {
            // Whatever it did came to nothing.
            state.tables.publish(&open.layer);
            state.farewell(&open);
            return Ok(Ticket::nothing());
        }
        Ok(self.engine.enqueue(&mut state, open, redo))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let mut state = lock(&self.engine.state);
        if let Some(mut open) = state.open.remove(&self.id) {
            state.tables.undo(&mut open.layer, Mark::BEGINNING);
            state.farewell(&open);
        }
    }
}
