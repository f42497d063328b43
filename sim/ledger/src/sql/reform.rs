//! Statements that change the schema, as they run.

use super::{
    bind::schema_from_sql,
    change::{Change, Given},
    constraint::{check_stored, duplicate_key},
    plan::{Create, Reform},
};
use crate::{
    error::{Result, SqlError, state},
    store::Catalog,
};

impl Change<'_> {
    /// Creates a relation, unless there is one and that is no error; then the client is told.
    pub(super) fn create(&mut self, create: &Create) -> Result<Option<SqlError>> {
        let Create { name, if_not_exists, sql, sequences } = create;
        if !(Catalog { tables: self.tables, own: true }).is_taken(name) {
            for sql in sequences.iter().chain([sql]) {
                self.tables.create_in(self.layer, schema_from_sql(sql)?);
            }
            return Ok(None);
        }
        let message = format!("relation \"{name}\" already exists");
        if *if_not_exists {
            Ok(Some(*SqlError::new(state::DUPLICATE_TABLE, format!("{message}, skipping"))))
        } else {
            Err(SqlError::new(state::DUPLICATE_TABLE, message))
        }
    }

    /// Gives a table another definition; its rows must satisfy it.
    pub(super) fn reform(&mut self, reform: &Reform, given: Given<'_>) -> Result<()> {
        for sql in &reform.sequences {
            self.tables.create_in(self.layer, schema_from_sql(sql)?);
        }
        reform.drops.iter().for_each(|sequence| self.tables.drop_in(self.layer, *sequence));
        let schema = schema_from_sql(&reform.sql)?;
        let reformed = self.tables.reform_in(self.layer, reform.table, schema, reform.origins.clone());
        let number = reformed.map_err(|duplicate| duplicate_key(&duplicate))?;
        self.compute(number, reform, given)?;
        self.check_references(number)?;
        let run = self.run(given);
        let table = self.tables.table(number);
        table.rows().try_for_each(|(_, row)| check_stored(&table.schema, row, &run.scope()))
    }

    /// Fills new columns whose value is found for each row.
    fn compute(&mut self, number: usize, reform: &Reform, given: Given<'_>) -> Result<()> {
        if reform.computed.is_empty() {
            return Ok(());
        }
        let ids: Vec<u64> = self.tables.table(number).rows().map(|(id, _)| id).collect();
        for id in ids {
            let run = self.run(given);
            let Some(mut row) = self.tables.table(number).get(id).map(|row| row.to_vec()) else {
                continue;
            };
            for (column, default) in &reform.computed {
                row[*column] = default.eval(&run.scope())?;
            }
            self.tables.put_in(self.layer, number, id, row.into());
        }
        Ok(())
    }

    /// Puts an empty table in the place of one, or a sequence that has given nothing.
    pub(super) fn begin_anew(&mut self, number: usize) {
        let schema = self.tables.table(number).schema.clone();
        self.tables.drop_in(self.layer, number);
        self.tables.create_in(self.layer, schema);
    }
}
