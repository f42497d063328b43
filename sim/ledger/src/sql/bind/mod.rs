//! Resolves a syntax tree against the schema: names become numbers, types are settled, what this server lacks is refused.
//!
//! Everything that a clause may contain is matched by name, so that a clause nobody thought of is an error (0A000) and never
//! ignored.

mod alter;
mod ddl;
mod dml;
mod draft;
mod drop;
mod expr;
mod from;
mod function;
mod group;
mod names;
mod operator;
mod place;
mod position;
mod query;
mod reference;
mod sequence;
mod session;
mod subquery;
mod types;

use std::sync::Arc;

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart, SelectItem, SetExpr, Statement};

pub(crate) use ddl::schema_from_sql;
use expr::Binder;

use super::plan::{Output, Plan, Prepared};
use crate::{
    data::Type,
    error::{Result, SqlError},
    store::Catalog,
};

/// Binds `statement`; `declared` are the parameter types that the client gave.
pub(crate) fn bind(statement: &Statement, declared: &[u32], catalog: &Catalog<'_>) -> Result<Prepared> {
    let mut binder = Binder::new(declared, Some(catalog))?;
    let (plan, columns) = match statement {
        Statement::Query(query) => binder.outermost(query)?,
        Statement::Insert(insert) => binder.insert(insert)?,
        Statement::Update(update) => binder.update(update)?,
        Statement::Delete(delete) => binder.delete(delete)?,
        Statement::CreateTable(create) => (binder.create_table(create)?, Vec::new()),
        Statement::CreateSequence { .. } => (binder.create_sequence(statement)?, Vec::new()),
        Statement::AlterTable(alter) => (binder.alter_table(alter)?, Vec::new()),
        Statement::CreateIndex(create) => (binder.create_index(create)?, Vec::new()),
        Statement::Drop { .. } => (binder.drop_objects(statement)?, Vec::new()),
        Statement::Truncate(truncate) => (binder.truncate(truncate)?, Vec::new()),
        Statement::Lock(lock) => session::lock(lock, catalog)?,
        other => session::control(other)?,
    };
    let draws = binder.draws;
    let (params, tables, unplannable) = binder.finish();
    Ok(Prepared {
        declared: declared.into(),
        params,
        columns: Arc::from(columns),
        plan,
        unplannable,
        draws,
        tables,
        schema: catalog.version(),
    })
}

type Bound = (Plan, Vec<Output>);

/// A name as PostgreSQL folds it: lower case unless quoted.
fn fold(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// A name and the schema before it, if there is one.
fn qualified_name(name: &ObjectName) -> Result<(Option<String>, String)> {
    let mut parts: Vec<String> = name
        .0
        .iter()
        .map(|part| match part {
            ObjectNamePart::Identifier(ident) => Ok(fold(ident)),
            ObjectNamePart::Function(_) => Err(SqlError::unsupported("a computed name")),
        })
        .collect::<Result<_>>()?;
    match (parts.pop(), parts.pop()) {
        (Some(name), schema) if parts.is_empty() => Ok((schema, name)),
        _ => Err(SqlError::unsupported(format!("the qualified name {name}"))),
    }
}

/// The name of a table, function or setting: `name` or `public.name`.
fn object_name(name: &ObjectName) -> Result<String> {
    match qualified_name(name)? {
        (None, name) => Ok(name),
        (Some(schema), name) if schema == "public" || schema == "pg_catalog" => Ok(name),
        _ => Err(SqlError::unsupported(format!("the qualified name {name}"))),
    }
}

/// Fails with 0A000 when one of the listed clauses is present.
fn refuse(clauses: &[(bool, &str)]) -> Result<()> {
    match clauses.iter().find(|(present, _)| *present) {
        Some((_, clause)) => Err(SqlError::unsupported(clause)),
        None => Ok(()),
    }
}

/// The name that PostgreSQL's `FigureColname` gives an expression.
fn output_name(expr: &sqlparser::ast::Expr) -> String {
    use sqlparser::ast::Expr as Ast;
    let weak = match expr {
        Ast::Nested(inner) => return output_name(inner),
        Ast::Cast { data_type, .. } => types::object_type(data_type)
            .or_else(|| types::data_type(data_type).ok().map(|(ty, _)| ty))
            .map_or("?column?", Type::internal_name),
        Ast::Case { .. } => "case",
        Ast::Exists { .. } => "exists",
        Ast::Array(_) => "array",
        _ => "?column?",
    };
    strong_name(expr).unwrap_or_else(|| weak.to_owned())
}

/// The name of a column or function, also through casts and the `ELSE` of a `CASE`.
fn strong_name(expr: &sqlparser::ast::Expr) -> Option<String> {
    use sqlparser::ast::Expr as Ast;
    match expr {
        Ast::Identifier(ident) => Some(fold(ident)),
        Ast::CompoundIdentifier(parts) => parts.last().map(fold),
        Ast::Function(function) => object_name(&function.name).ok(),
        Ast::Extract { .. } => Some("extract".to_owned()),
        Ast::Ceil { .. } => Some("ceil".to_owned()),
        Ast::Floor { .. } => Some("floor".to_owned()),
        Ast::Position { .. } => Some("position".to_owned()),
        Ast::Substring { .. } => Some("substring".to_owned()),
        Ast::Trim { trim_where, .. } => Some(function::trim_name(*trim_where).to_owned()),
        // A scalar subquery is called like its column.
        Ast::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => match select.projection.first()? {
                SelectItem::UnnamedExpr(expr) => Some(output_name(expr)),
                SelectItem::ExprWithAlias { alias, .. } => Some(fold(alias)),
                _ => None,
            },
            _ => None,
        },
        Ast::Collate { expr: inner, .. }
        | Ast::Nested(inner)
        | Ast::Cast { expr: inner, .. }
        | Ast::Case { else_result: Some(inner), .. } => strong_name(inner),
        _ => None,
    }
}
