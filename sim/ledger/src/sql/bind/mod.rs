//! Resolves a syntax tree against the schema: names become numbers, types are settled, what this server lacks is refused.
//!
//! Everything that a clause may contain is matched by name, so that a clause nobody thought of is an error (0A000) and never
//! ignored.

mod ddl;
mod dml;
mod expr;
mod function;
mod operator;
mod query;
mod session;
mod types;

use std::sync::Arc;

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart, SelectItem, Statement, TableFactor, TableWithJoins};

pub(crate) use ddl::schema_from_sql;
use expr::{Binder, Names};

use super::plan::{Access, Comparison, Expr, Output, Plan, Prepared, Source};
use crate::{
    data::Type,
    error::{Result, SqlError},
    store::{Catalog, Schema},
};

/// Binds `statement`; `declared` are the parameter types that the client gave.
pub(crate) fn bind(statement: &Statement, declared: &[u32], catalog: &Catalog<'_>) -> Result<Prepared> {
    let mut binder = Binder::new(declared)?;
    let (plan, columns) = match statement {
        Statement::Query(query) => query::select(query, &mut binder, catalog)?,
        Statement::Insert(insert) => dml::insert(insert, &mut binder, catalog)?,
        Statement::Update(update) => dml::update(update, &mut binder, catalog)?,
        Statement::Delete(delete) => dml::delete(delete, &mut binder, catalog)?,
        Statement::CreateTable(create) => (ddl::create_table(create)?, Vec::new()),
        Statement::Lock(lock) => session::lock(lock, catalog)?,
        other => session::control(other)?,
    };
    Ok(Prepared {
        declared: declared.into(),
        params: binder.into_params(),
        columns: Arc::from(columns),
        plan,
        schema: catalog.version(),
    })
}

type Bound = (Plan, Vec<Output>);

/// A name as PostgreSQL folds it: lower case unless quoted.
fn fold(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// The name of a table, function or setting: `name` or `public.name`.
fn object_name(name: &ObjectName) -> Result<String> {
    let parts: Vec<String> = name
        .0
        .iter()
        .map(|part| match part {
            ObjectNamePart::Identifier(ident) => Ok(fold(ident)),
            ObjectNamePart::Function(_) => Err(SqlError::unsupported("a computed name")),
        })
        .collect::<Result<_>>()?;
    match parts.as_slice() {
        [name] => Ok(name.clone()),
        [schema, name] if schema == "public" || schema == "pg_catalog" => Ok(name.clone()),
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

/// One table without joins: its number and the name that columns may be qualified with.
fn single_table(from: &TableWithJoins, catalog: &Catalog<'_>) -> Result<(usize, String)> {
    refuse(&[(!from.joins.is_empty(), "JOIN")])?;
    match &from.relation {
        TableFactor::Table {
            name,
            alias,
            args: None,
            version: None,
            sample: None,
            with_ordinality: false,
            ..
        } => {
            let table_name = object_name(name)?;
            let table = catalog.find(&table_name)?;
            let qualifier = match alias {
                Some(alias) => {
                    refuse(&[(!alias.columns.is_empty(), "a column alias list")])?;
                    fold(&alias.name)
                }
                None => table_name,
            };
            Ok((table, qualifier))
        }
        TableFactor::Derived { .. } => Err(SqlError::unsupported("a subquery in FROM")),
        _ => Err(SqlError::unsupported("this kind of FROM item")),
    }
}

/// Binds a `WHERE` clause and finds the best way to the rows it lets through.
fn source(
    condition: Option<&sqlparser::ast::Expr>,
    binder: &mut Binder,
    names: &Names<'_>,
    schema: Option<&Schema>,
) -> Result<Source> {
    let filter = condition.map(|condition| binder.condition(condition, names, "WHERE")).transpose()?;
    let access = match (schema, &filter) {
        (Some(schema), Some(filter)) => access(schema, filter),
        _ => Access::Scan,
    };
    Ok(Source { access, filter })
}

/// A lookup if the condition gives every column of a unique key, else a scan.
fn access(schema: &Schema, filter: &Expr) -> Access {
    let mut given: Vec<Option<&Expr>> = vec![None; schema.columns.len()];
    let mut conjuncts = vec![filter];
    while let Some(conjunct) = conjuncts.pop() {
        match conjunct {
            Expr::And(left, right) => conjuncts.extend([left.as_ref(), right.as_ref()]),
            // A bare column means that the comparison takes place in the column's own type.
            Expr::Compare { op: Comparison::Equal, left, right } => match (left.as_ref(), right.as_ref()) {
                (Expr::Column(column), value) | (value, Expr::Column(column)) if value.is_constant() => {
                    given[*column] = Some(value);
                }
                _ => {}
            },
            _ => {}
        }
    }
    schema
        .uniques
        .iter()
        .enumerate()
        .find_map(|(index, unique)| {
            let key =
                unique.columns.iter().map(|column| given[*column].cloned()).collect::<Option<Vec<_>>>()?;
            Some(Access::Key { index, key })
        })
        .unwrap_or(Access::Scan)
}

/// Binds the items of a `SELECT` or `RETURNING` list.
fn projection(
    items: &[SelectItem],
    binder: &mut Binder,
    names: &Names<'_>,
) -> Result<(Vec<Expr>, Vec<Output>)> {
    let (mut exprs, mut outputs) = (Vec::new(), Vec::new());
    for item in items {
        let (expr, name) = match item {
            SelectItem::UnnamedExpr(expr) => (expr, output_name(expr)),
            SelectItem::ExprWithAlias { expr, alias } => (expr, fold(alias)),
            SelectItem::Wildcard(options) if *options == Default::default() => {
                let schema = names
                    .schema
                    .ok_or_else(|| SqlError::syntax("SELECT * with no tables specified is not valid"))?;
                for (index, column) in schema.columns.iter().enumerate() {
                    binder.note_column(names, index);
                    exprs.push(Expr::Column(index));
                    outputs.push(Output {
                        name: column.name.clone(),
                        ty: column.ty,
                        modifier: column.modifier,
                    });
                }
                continue;
            }
            _ => return Err(SqlError::unsupported("this kind of select item")),
        };
        let typed = binder.expr(expr, names)?;
        let modifier = typed.modifier;
        let typed = binder.settle(typed)?;
        outputs.push(Output { name, ty: typed.ty, modifier });
        exprs.push(typed.expr);
    }
    Ok((exprs, outputs))
}

/// The name that PostgreSQL's `FigureColname` gives an expression.
fn output_name(expr: &sqlparser::ast::Expr) -> String {
    use sqlparser::ast::Expr as Ast;
    let weak = match expr {
        Ast::Nested(inner) => return output_name(inner),
        Ast::Cast { data_type, .. } => {
            types::data_type(data_type).map_or("?column?", |(ty, _)| internal_name(ty))
        }
        Ast::Case { .. } => "case",
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
        Ast::Nested(inner) | Ast::Cast { expr: inner, .. } | Ast::Case { else_result: Some(inner), .. } => {
            strong_name(inner)
        }
        _ => None,
    }
}

/// `pg_type.typname`.
fn internal_name(ty: Type) -> &'static str {
    match ty {
        Type::Bool => "bool",
        Type::Bytea => "bytea",
        Type::Int4 => "int4",
        Type::Int8 => "int8",
        Type::Jsonb => "jsonb",
        Type::Numeric => "numeric",
        Type::Text => "text",
        Type::Timestamptz => "timestamptz",
        Type::Unknown => "unknown",
        Type::Varchar => "varchar",
    }
}
