//! `INSERT`, `UPDATE`, `DELETE`.

use sqlparser::ast::{
    Assignment, AssignmentTarget, ConflictTarget, Delete as DeleteAst, FromTable, Insert as InsertAst,
    OnConflict as OnConflictAst, OnConflictAction, OnInsert, SelectItem, SetExpr, TableObject,
    Update as UpdateAst,
};

use super::{Bound, expr::Binder, expr::Names, fold, object_name, projection, refuse, single_table, source};
use crate::{
    data::Value,
    error::{Result, SqlError, state},
    sql::plan::{ConflictAction, Delete, Expr, Insert, OnConflict, Output, Plan, Update},
    store::{Catalog, Schema},
};

pub(super) fn insert(insert: &InsertAst, binder: &mut Binder, catalog: &Catalog<'_>) -> Result<Bound> {
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
    let table = catalog.find(&table_name)?;
    let schema = catalog.schema(table);
    let qualifier = insert.table_alias.as_ref().map_or(table_name, |alias| fold(&alias.alias));
    let targets = if insert.columns.is_empty() {
        (0..schema.columns.len()).collect()
    } else {
        target_columns(insert, schema)?
    };
    let rows = match insert.source.as_ref().map(|query| (query, query.body.as_ref())) {
        None => vec![values(&[], &[], binder, schema)?],
        Some((query, SetExpr::Values(list))) => {
            refuse(&[(
                query.order_by.is_some() || query.limit_clause.is_some() || query.with.is_some(),
                "this form of VALUES",
            )])?;
            list.rows.iter().map(|row| values(row, &targets, binder, schema)).collect::<Result<_>>()?
        }
        Some(_) => return Err(SqlError::unsupported("INSERT ... SELECT")),
    };
    let on_conflict = match &insert.on {
        None => None,
        Some(OnInsert::OnConflict(conflict)) => Some(on_conflict(conflict, binder, schema, &qualifier)?),
        Some(_) => return Err(SqlError::unsupported("ON DUPLICATE KEY")),
    };
    let names = Names { schema: Some(schema), qualifier: &qualifier, excluded: false };
    let (returning, columns) = returning(insert.returning.as_deref(), binder, &names)?;
    Ok((Plan::Insert(Insert { table, rows, on_conflict, returning }), columns))
}

fn target_columns(insert: &InsertAst, schema: &Schema) -> Result<Vec<usize>> {
    let mut targets = Vec::with_capacity(insert.columns.len());
    for name in &insert.columns {
        let name = object_name(name)?;
        let index = schema.column(&name).ok_or_else(|| unknown_column(&name, schema))?;
        if targets.contains(&index) {
            return Err(SqlError::new(
                state::DUPLICATE_COLUMN,
                format!("column \"{name}\" specified more than once"),
            ));
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

/// One row with an expression for every column of the table.
fn values(
    row: &[sqlparser::ast::Expr],
    targets: &[usize],
    binder: &mut Binder,
    schema: &Schema,
) -> Result<Vec<Expr>> {
    if row.len() > targets.len() {
        return Err(SqlError::syntax("INSERT has more expressions than target columns"));
    }
    // Without a column list, columns at the end may be left to their defaults.
    if row.len() < targets.len() && targets.len() != schema.columns.len() {
        return Err(SqlError::syntax("INSERT has more target columns than expressions"));
    }
    let mut exprs: Vec<Expr> = schema
        .columns
        .iter()
        .map(|column| column.default.clone().unwrap_or(Expr::Const(Value::Null)))
        .collect();
    for (expr, target) in row.iter().zip(targets) {
        exprs[*target] = binder.assigned(expr, &Names::default(), schema, *target)?;
    }
    Ok(exprs)
}

fn on_conflict(
    conflict: &OnConflictAst,
    binder: &mut Binder,
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
            let names = Names { schema: Some(schema), qualifier, excluded: true };
            let assignments = assignments(&update.assignments, binder, &names, schema)?;
            let filter = update
                .selection
                .as_ref()
                .map(|condition| binder.condition(condition, &names, "WHERE"))
                .transpose()?;
            ConflictAction::Update { assignments, filter }
        }
    };
    Ok(OnConflict { index, action })
}

/// The unique index that a conflict target names, whatever the order of its columns.
fn arbiter(target: &ConflictTarget, schema: &Schema) -> Result<usize> {
    match target {
        ConflictTarget::Columns(columns) => {
            let mut wanted = columns
                .iter()
                .map(|column| {
                    let name = fold(column);
                    schema.column(&name).ok_or_else(|| SqlError::no_column(&name))
                })
                .collect::<Result<Vec<_>>>()?;
            wanted.sort_unstable();
            schema
                .uniques
                .iter()
                .position(|unique| {
                    let mut columns = unique.columns.clone();
                    columns.sort_unstable();
                    columns == wanted
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
            schema.uniques.iter().position(|unique| unique.name == name).ok_or_else(|| {
                SqlError::new(
                    state::UNDEFINED_OBJECT,
                    format!("constraint \"{name}\" for table \"{}\" does not exist", schema.name),
                )
            })
        }
    }
}

fn assignments(
    list: &[Assignment],
    binder: &mut Binder,
    names: &Names<'_>,
    schema: &Schema,
) -> Result<Vec<(usize, Expr)>> {
    let mut assignments: Vec<(usize, Expr)> = Vec::with_capacity(list.len());
    for Assignment { target, value } in list {
        let AssignmentTarget::ColumnName(name) = target else {
            return Err(SqlError::unsupported("an assignment to several columns"));
        };
        let name = object_name(name)?;
        let column = schema.column(&name).ok_or_else(|| unknown_column(&name, schema))?;
        if assignments.iter().any(|(assigned, _)| *assigned == column) {
            return Err(SqlError::syntax(format!("multiple assignments to same column \"{name}\"")));
        }
        assignments.push((column, binder.assigned(value, names, schema, column)?));
    }
    Ok(assignments)
}

fn returning(
    items: Option<&[SelectItem]>,
    binder: &mut Binder,
    names: &Names<'_>,
) -> Result<(Option<Vec<Expr>>, Vec<Output>)> {
    let Some(items) = items else {
        return Ok((None, Vec::new()));
    };
    let outer = binder.clause.replace("RETURNING");
    let (exprs, outputs) = projection(items, binder, names)?;
    binder.clause = outer;
    Ok((Some(exprs), outputs))
}

pub(super) fn update(update: &UpdateAst, binder: &mut Binder, catalog: &Catalog<'_>) -> Result<Bound> {
    refuse(&[
        (update.from.is_some(), "UPDATE ... FROM"),
        (update.or.is_some() || update.output.is_some(), "this form of UPDATE"),
        (!update.order_by.is_empty() || update.limit.is_some(), "ORDER BY and LIMIT in UPDATE"),
    ])?;
    let (table, qualifier) = single_table(&update.table, catalog)?;
    let schema = catalog.schema(table);
    let names = Names { schema: Some(schema), qualifier: &qualifier, excluded: false };
    let assignments = assignments(&update.assignments, binder, &names, schema)?;
    let source = source(update.selection.as_ref(), binder, &names, Some(schema))?;
    let (returning, columns) = returning(update.returning.as_deref(), binder, &names)?;
    Ok((Plan::Update(Update { table, source, assignments, returning }), columns))
}

pub(super) fn delete(delete: &DeleteAst, binder: &mut Binder, catalog: &Catalog<'_>) -> Result<Bound> {
    refuse(&[
        (delete.using.is_some(), "DELETE ... USING"),
        (!delete.tables.is_empty() || delete.output.is_some(), "this form of DELETE"),
        (!delete.order_by.is_empty() || delete.limit.is_some(), "ORDER BY and LIMIT in DELETE"),
    ])?;
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let [from] = from.as_slice() else {
        return Err(SqlError::unsupported("DELETE from several tables"));
    };
    let (table, qualifier) = single_table(from, catalog)?;
    let schema = catalog.schema(table);
    let names = Names { schema: Some(schema), qualifier: &qualifier, excluded: false };
    let source = source(delete.selection.as_ref(), binder, &names, Some(schema))?;
    let (returning, columns) = returning(delete.returning.as_deref(), binder, &names)?;
    Ok((Plan::Delete(Delete { table, source, returning }), columns))
}
