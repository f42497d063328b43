//! `INSERT`, `UPDATE`, `DELETE`.

use sqlparser::ast::{
    Assignment, AssignmentTarget, ConflictTarget, Delete as DeleteAst, Expr as Ast, FromTable,
    Insert as InsertAst, ObjectName, OnConflict as OnConflictAst, OnConflictAction, OnInsert,
    Query as QueryAst, SelectItem, SetExpr, TableFactor, TableObject, TableWithJoins, Update as UpdateAst,
    UpdateTableFromKind,
};

use super::{
    Bound,
    expr::{Binder, is_default, typed},
    fold,
    from::{Item, cross},
    names::{Level, Names, Relation},
    object_name, place,
    position::{at, of_name, start},
    refuse,
};
use crate::{
    data::Value,
    error::{Place, Result, SqlError, state},
    sql::{
        plan::{
            Access, ConflictAction, Delete, Expr, Insert, Integrity, OnConflict, Output, Plan, Rows, Scan,
            Source, Target, Update,
        },
        reference,
    },
    store::{Identity, Schema},
};

impl Binder<'_> {
    pub(super) fn insert(&mut self, insert: &InsertAst) -> Result<Bound> {
        refuse(&[
            (
                insert.or.is_some() || insert.ignore || insert.replace_into || insert.overwrite,
                "this form of INSERT",
            ),
            (
                !insert.assignments.is_empty() || insert.partitioned.is_some() || insert.output.is_some(),
                "this form of INSERT",
            ),
        ])?;
        let TableObject::TableName(name) = &insert.table else {
            return Err(SqlError::unsupported("INSERT into anything but a table"));
        };
        let table_name = object_name(name)?;
        let table = self.find_changed(&table_name).map_err(|error| error.at(of_name(name)))?;
        let schema = self.schema(table)?;
        let qualifier = insert.table_alias.as_ref().map_or(table_name, |alias| fold(&alias.alias));
        let targets = if insert.columns.is_empty() {
            (0..schema.columns.len()).collect()
        } else {
            target_columns(insert, schema)?
        };
        let rows = match &insert.source {
            None => Rows::Values(vec![defaults(schema)]),
            Some(query) => self.inserted(query, &targets, &insert.columns, schema)?,
        };
        let on_conflict = match &insert.on {
            None => None,
            Some(OnInsert::OnConflict(conflict)) => Some(self.on_conflict(conflict, schema, &qualifier)?),
            Some(_) => return Err(SqlError::unsupported("ON DUPLICATE KEY")),
        };
        let level = Level::default();
        let names = Names::new(&level, vec![Relation::of_table(&qualifier, schema, 0)]);
        let (returning, columns) = self.returning(insert.returning.as_deref(), &names)?;
        let integrity = self.integrity(table)?;
        Ok((Plan::Insert(Insert { table, rows, on_conflict, integrity, returning }), columns))
    }

    /// What is inserted: rows written down, or those of a query.
    fn inserted(
        &mut self,
        query: &QueryAst,
        targets: &[usize],
        names: &[ObjectName],
        schema: &Schema,
    ) -> Result<Rows> {
        if let SetExpr::Values(list) = query.body.as_ref()
            && query.order_by.is_none()
            && query.limit_clause.is_none()
            && query.with.is_none()
        {
            let rows: Vec<_> = list.rows.iter().map(|row| row.content.as_slice()).collect();
            return self.rows(&rows, targets, names, schema).map(Rows::Values);
        }
        let (query, columns) = self.query(query, &Level::default())?;
        check_width(columns.len(), targets.len(), names, || None)?;
        let mut exprs = defaults(schema);
        for (index, (column, target)) in columns.iter().zip(targets).enumerate() {
            let mut bound = typed(Expr::Column(index), column.ty);
            bound.modifier = column.modifier;
            check_insertable(schema, *target)?;
            exprs[*target] = self.stored(bound, schema, *target)?;
        }
        Ok(Rows::Query { query, exprs })
    }

    /// Rows with an expression for every column of the table.
    fn rows(
        &mut self,
        rows: &[&[Ast]],
        targets: &[usize],
        columns: &[ObjectName],
        schema: &Schema,
    ) -> Result<Vec<Vec<Expr>>> {
        let level = Level::default();
        let names = Names::none(&level);
        let mut bound = Vec::with_capacity(rows.len());
        for row in rows {
            // Names and types come first, then the width, then what the columns take.
            let values = row.iter().map(|value| match is_default(value) {
                true => Ok(None),
                false => self.scalar(value, &names, "VALUES").map(Some),
            });
            let values = values.collect::<Result<Vec<_>>>()?;
            if row.len() != rows[0].len() {
                let place = row.first().and_then(start);
                return Err(SqlError::syntax("VALUES lists must all be the same length").at(place));
            }
            check_width(row.len(), targets.len(), columns, || row.get(targets.len()).and_then(start))?;
            let mut exprs = defaults(schema);
            for (value, target) in values.into_iter().zip(targets) {
                if let Some(value) = value {
                    check_insertable(schema, *target)?;
                    exprs[*target] = self.stored(value, schema, *target)?;
                }
            }
            bound.push(exprs);
        }
        Ok(bound)
    }

    fn on_conflict(
        &mut self,
        conflict: &OnConflictAst,
        schema: &Schema,
        qualifier: &str,
    ) -> Result<OnConflict> {
        let index = conflict.conflict_target.as_ref().map(|target| arbiter(target, schema)).transpose()?;
        let action = match &conflict.action {
            OnConflictAction::DoNothing => ConflictAction::Nothing,
            OnConflictAction::DoUpdate(_) if index.is_none() => {
                return Err(SqlError::syntax(
                    "ON CONFLICT DO UPDATE requires inference specification or constraint name",
                )
                .hint("For example, ON CONFLICT (column_name)."));
            }
            OnConflictAction::DoUpdate(update) => {
                let level = Level::default();
                let relations = vec![Relation::of_table(qualifier, schema, 0), Relation::excluded(schema)];
                let names = Names::new(&level, relations);
                let assignments = self.assignments(&update.assignments, &names, schema)?;
                let filter = update
                    .selection
                    .as_ref()
                    .map(|condition| self.condition(condition, &names, "WHERE"))
                    .transpose()?;
                ConflictAction::Update { assignments, filter }
            }
        };
        Ok(OnConflict { index, action })
    }

    fn assignments(
        &mut self,
        list: &[Assignment],
        names: &Names<'_>,
        schema: &Schema,
    ) -> Result<Vec<(usize, Expr)>> {
        let mut assignments: Vec<(usize, Expr)> = Vec::with_capacity(list.len());
        for Assignment { target, value } in list {
            let pairs = match (target, value) {
                (AssignmentTarget::ColumnName(name), value) => vec![(name, value)],
                (AssignmentTarget::Tuple(names), sqlparser::ast::Expr::Tuple(values))
                    if names.len() == values.len() =>
                {
                    names.iter().zip(values).collect()
                }
                _ => return Err(SqlError::unsupported("this assignment to several columns")),
            };
            for (name, value) in pairs {
                let (name, place) = (object_name(name)?, of_name(name));
                let column = schema.column(&name);
                let column = column.ok_or_else(|| unknown_column(&name, schema).at(place))?;
                if assignments.iter().any(|(assigned, _)| *assigned == column) {
                    let message = format!("multiple assignments to same column \"{name}\"");
                    self.rewriting_fails(SqlError::syntax(message));
                }
                if is_always_identity(schema, column) && !is_default(value) {
                    let message = format!("column \"{name}\" can only be updated to DEFAULT");
                    return Err(always_identity(message, &name));
                }
                assignments.push((column, self.assigned(value, names, schema, column, "UPDATE")?));
            }
        }
        Ok(assignments)
    }

    fn returning(
        &mut self,
        items: Option<&[SelectItem]>,
        names: &Names<'_>,
    ) -> Result<(Option<Vec<Expr>>, Vec<Output>)> {
        let Some(items) = items else {
            return Ok((None, Vec::new()));
        };
        let outer = self.clause.replace("RETURNING");
        let (exprs, outputs) = self.projection(items, names, false)?;
        self.clause = outer;
        Ok((Some(exprs), outputs))
    }

    pub(super) fn update(&mut self, update: &UpdateAst) -> Result<Bound> {
        refuse(&[
            (update.or.is_some() || update.output.is_some(), "this form of UPDATE"),
            (!update.order_by.is_empty() || update.limit.is_some(), "ORDER BY and LIMIT in UPDATE"),
        ])?;
        let from = match &update.from {
            None => &[][..],
            Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) => from,
        };
        let level = Level::default();
        let (table, names, source) = self.target(&update.table, from, &level)?;
        let assignments = self.assignments(&update.assignments, &names, self.schema(table)?)?;
        let target = self.placed(source, update.selection.as_ref(), &names)?;
        let (returning, columns) = self.returning(update.returning.as_deref(), &names)?;
        let integrity = self.integrity(table)?;
        Ok((Plan::Update(Update { table, target, assignments, integrity, returning }), columns))
    }

    pub(super) fn delete(&mut self, delete: &DeleteAst) -> Result<Bound> {
        refuse(&[
            (!delete.tables.is_empty() || delete.output.is_some(), "this form of DELETE"),
            (!delete.order_by.is_empty() || delete.limit.is_some(), "ORDER BY and LIMIT in DELETE"),
        ])?;
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        let [from] = from.as_slice() else {
            return Err(SqlError::unsupported("DELETE from several tables"));
        };
        let level = Level::default();
        let (table, names, source) =
            self.target(from, delete.using.as_deref().unwrap_or_default(), &level)?;
        let target = self.placed(source, delete.selection.as_ref(), &names)?;
        let (returning, columns) = self.returning(delete.returning.as_deref(), &names)?;
        let integrity = self.integrity(table)?;
        Ok((Plan::Delete(Delete { table, target, integrity, returning }), columns))
    }

    /// What foreign keys tie the rows of a table to.
    fn integrity(&mut self, table: usize) -> Result<Integrity> {
        let catalog = self.catalog()?;
        reference::integrity(catalog, table, |name| self.find_relation(name))
    }

    /// The table that a statement changes, with what else it reads beside it.
    fn target<'l>(
        &mut self,
        target: &TableWithJoins,
        others: &[TableWithJoins],
        level: &'l Level<'l>,
    ) -> Result<(usize, Names<'l>, Source)> {
        let TableFactor::Table {
            name,
            alias,
            args: None,
            version: None,
            sample: None,
            with_ordinality: false,
            ..
        } = &target.relation
        else {
            return Err(SqlError::unsupported("a change of anything but a table"));
        };
        refuse(&[
            (!target.joins.is_empty(), "JOIN"),
            (alias.as_ref().is_some_and(|alias| !alias.columns.is_empty()), "a column alias list"),
        ])?;
        let table_name = object_name(name)?;
        let table = self.find_changed(&table_name).map_err(|error| error.at(of_name(name)))?;
        let schema = self.schema(table)?;
        let qualifier = alias.as_ref().map_or(table_name, |alias| fold(&alias.name));
        let with_id = !others.is_empty();
        let width = schema.columns.len();
        let scan = Scan { table, width, access: Access::All, filter: None, with_id };
        let relations = vec![Relation::of_table(&qualifier, schema, 0)];
        let mut item = Item { source: Source::Table(scan), relations };
        for other in others {
            let other = self.joined(other, level, &item)?;
            item = cross(item, other)?;
        }
        Ok((table, Names::new(level, item.relations), item.source))
    }

    /// Plans the way to the rows that a statement changes.
    fn placed(
        &mut self,
        source: Source,
        condition: Option<&sqlparser::ast::Expr>,
        names: &Names<'_>,
    ) -> Result<Target> {
        let filter = condition.map(|condition| self.condition(condition, names, "WHERE")).transpose()?;
        Ok(match source {
            Source::Table(scan) => {
                let schema = self.schema(scan.table)?;
                Target::Plain(place::scan(scan, filter, schema))
            }
            source => {
                let condition = filter.clone();
                let (source, filter) = place::conditions(source, filter, self)?;
                Target::Joined { source, filter, condition }
            }
        })
    }
}

/// Whether there is a value for every column that is named. Where none is, columns at the end may be left to their defaults.
fn check_width(
    given: usize,
    wanted: usize,
    columns: &[ObjectName],
    extra: impl FnOnce() -> Option<Place>,
) -> Result<()> {
    if given > wanted {
        return Err(SqlError::syntax("INSERT has more expressions than target columns").at(extra()));
    }
    match columns.get(given) {
        Some(column) => {
            Err(SqlError::syntax("INSERT has more target columns than expressions").at(of_name(column)))
        }
        None => Ok(()),
    }
}

fn defaults(schema: &Schema) -> Vec<Expr> {
    schema.columns.iter().map(|column| column.default.clone().unwrap_or(Expr::Const(Value::Null))).collect()
}

fn target_columns(insert: &InsertAst, schema: &Schema) -> Result<Vec<usize>> {
    let mut targets = Vec::with_capacity(insert.columns.len());
    for name in &insert.columns {
        let (name, place) = (object_name(name)?, of_name(name));
        let index = schema.column(&name).ok_or_else(|| unknown_column(&name, schema).at(place.clone()))?;
        if targets.contains(&index) {
            let message = format!("column \"{name}\" specified more than once");
            return Err(SqlError::new(state::DUPLICATE_COLUMN, message).at(place));
        }
        targets.push(index);
    }
    Ok(targets)
}

fn unknown_column(name: &str, schema: &Schema) -> Box<SqlError> {
    SqlError::new(
        state::UNDEFINED_COLUMN,
        format!("column \"{name}\" of relation \"{}\" does not exist", schema.name),
    )
}

fn is_always_identity(schema: &Schema, column: usize) -> bool {
    let supply = schema.columns[column].supply.as_ref();
    supply.is_some_and(|supply| supply.identity == Some(Identity::Always))
}

fn check_insertable(schema: &Schema, column: usize) -> Result<()> {
    if !is_always_identity(schema, column) {
        return Ok(());
    }
    let name = &schema.columns[column].name;
    let message = format!("cannot insert a non-DEFAULT value into column \"{name}\"");
    Err(always_identity(message, name).hint("Use OVERRIDING SYSTEM VALUE to override."))
}

fn always_identity(message: String, column: &str) -> Box<SqlError> {
    SqlError::new(state::GENERATED_ALWAYS, message)
        .detail(format!("Column \"{column}\" is an identity column defined as GENERATED ALWAYS."))
}

/// The unique index that a conflict target names, whatever the order of its columns.
fn arbiter(target: &ConflictTarget, schema: &Schema) -> Result<usize> {
    match target {
        ConflictTarget::Columns(columns) => {
            let mut wanted = columns
                .iter()
                .map(|column| {
                    let name = fold(column);
                    schema.column(&name).ok_or_else(|| SqlError::no_column(&name).at(at(column.span)))
                })
                .collect::<Result<Vec<_>>>()?;
            wanted.sort_unstable();
            schema
                .indexes
                .iter()
                .position(|index| {
                    let mut columns = index.columns.clone();
                    columns.sort_unstable();
                    index.is_unique() && columns == wanted
                })
                .ok_or_else(|| {
                    SqlError::new(
                        state::INVALID_COLUMN_REFERENCE,
                        "there is no unique or exclusion constraint matching the ON CONFLICT specification",
                    )
                })
        }
        ConflictTarget::OnConstraint(name) => {
            let name = object_name(name)?;
            schema.indexes.iter().position(|it| it.is_constraint() && it.name == name).ok_or_else(|| {
                SqlError::new(
                    state::UNDEFINED_OBJECT,
                    format!("constraint \"{name}\" for table \"{}\" does not exist", schema.name),
                )
            })
        }
    }
}
