//! `SELECT` over one table or none.
//!
//! Not here yet: joins, `GROUP BY`, subqueries, set operations.

use sqlparser::ast::{
    Expr as Ast, GroupByExpr, LimitClause, LockClause, LockType, NonBlock, ObjectNamePart, OrderByKind,
    OrderBySort, Query, Select as SelectAst, SelectItem, SetExpr, Value as Literal,
};

use super::{
    Bound,
    expr::{Binder, Names},
    fold, projection, refuse, single_table, source,
};
use crate::{
    data::{Type, Value},
    error::{Result, SqlError, state},
    sql::{
        extension,
        plan::{Expr, Locking, OrderKey, Plan, Select, WaitPolicy},
    },
    store::{Catalog, RowLock},
};

pub(super) fn select(query: &Query, binder: &mut Binder, catalog: &Catalog<'_>) -> Result<Bound> {
    refuse(&[
        (query.with.is_some(), "WITH"),
        (query.fetch.is_some(), "FETCH"),
        (
            query.for_clause.is_some() || query.settings.is_some() || query.format_clause.is_some(),
            "this form of SELECT",
        ),
        (!query.pipe_operators.is_empty(), "this form of SELECT"),
    ])?;
    let select = match query.body.as_ref() {
        SetExpr::Select(select) => select,
        SetExpr::Query(inner) if query.order_by.is_none() && query.limit_clause.is_none() => {
            return self::select(inner, binder, catalog);
        }
        SetExpr::SetOperation { op, .. } => return Err(SqlError::unsupported(op)),
        _ => return Err(SqlError::unsupported("this form of SELECT")),
    };
    refuse_clauses(select)?;
    let (table, qualifier) = match select.from.as_slice() {
        [] => (None, String::new()),
        [from] => {
            let (table, qualifier) = single_table(from, catalog)?;
            (Some(table), qualifier)
        }
        _ => return Err(SqlError::unsupported("a join")),
    };
    let schema = table.map(|table| catalog.schema(table));
    let names = Names { schema, qualifier: &qualifier, excluded: false };
    let (exprs, columns) = projection(&select.projection, binder, &names)?;
    let source = source(select.selection.as_ref(), binder, &names, schema)?;
    let order = order(query, select, &exprs, binder, &names)?;
    let aggregates = binder.take_aggregates(&qualifier)?;
    let (limit, offset) = limits(query.limit_clause.as_ref(), binder)?;
    let locking = locking(&query.locks, &qualifier, aggregates.is_empty())?;
    let select = Select { table, source, aggregates, projection: exprs, order, limit, offset, locking };
    Ok((Plan::Select(select), columns))
}

/// `FOR UPDATE` and its like; of several for one table the strongest counts.
fn locking(clauses: &[LockClause], qualifier: &str, plain: bool) -> Result<Option<Locking>> {
    let mut locking: Option<Locking> = None;
    for LockClause { lock_type, of, nonblock } in clauses {
        let word = of.as_ref().and_then(extension::marked);
        let lock = match (lock_type, word) {
            (LockType::Update, None) => RowLock::Update,
            (LockType::Update, Some(_)) => RowLock::NoKeyUpdate,
            (LockType::Share, None) => RowLock::Share,
            (LockType::Share, Some(_)) => RowLock::KeyShare,
        };
        if !plain {
            let message = format!("{} is not allowed with aggregate functions", lock.clause());
            return Err(SqlError::new(state::FEATURE_NOT_SUPPORTED, message));
        }
        let table = of.as_ref().and_then(|of| of.0.get(usize::from(word.is_some())));
        if let Some(ObjectNamePart::Identifier(table)) = table
            && fold(table) != qualifier
        {
            let message =
                format!("relation \"{}\" in {} clause not found in FROM clause", fold(table), lock.clause());
            return Err(SqlError::new(state::UNDEFINED_TABLE, message));
        }
        let wait = match nonblock {
            None => WaitPolicy::Block,
            Some(NonBlock::Nowait) => WaitPolicy::Never,
            Some(NonBlock::SkipLocked) => WaitPolicy::Skip,
        };
        locking = locking.filter(|stronger| stronger.lock >= lock).or(Some(Locking { lock, wait }));
    }
    Ok(locking)
}

fn refuse_clauses(select: &SelectAst) -> Result<()> {
    let grouped = match &select.group_by {
        GroupByExpr::Expressions(exprs, modifiers) => !exprs.is_empty() || !modifiers.is_empty(),
        GroupByExpr::All(_) => true,
    };
    refuse(&[
        (select.distinct.is_some(), "DISTINCT"),
        (grouped, "GROUP BY"),
        (select.having.is_some(), "HAVING"),
        (select.into.is_some(), "SELECT INTO"),
        (!select.named_window.is_empty(), "WINDOW"),
        (
            select.top.is_some() || select.qualify.is_some() || select.prewhere.is_some(),
            "this form of SELECT",
        ),
        (!select.lateral_views.is_empty() || !select.connect_by.is_empty(), "this form of SELECT"),
        (select.exclude.is_some() || select.value_table_mode.is_some(), "this form of SELECT"),
    ])
}

fn order(
    query: &Query,
    select: &SelectAst,
    projected: &[Expr],
    binder: &mut Binder,
    names: &Names<'_>,
) -> Result<Vec<OrderKey>> {
    let Some(order_by) = &query.order_by else {
        return Ok(Vec::new());
    };
    let OrderByKind::Expressions(keys) = &order_by.kind else {
        return Err(SqlError::unsupported("ORDER BY ALL"));
    };
    keys.iter()
        .map(|key| {
            let descending = match &key.options.sort {
                None | Some(OrderBySort::Asc) => false,
                Some(OrderBySort::Desc) => true,
                Some(OrderBySort::Using(_)) => return Err(SqlError::unsupported("ORDER BY ... USING")),
            };
            let expr = match output_position(&key.expr, select, projected.len())? {
                Some(position) => projected[position].clone(),
                None => {
                    let bound = binder.expr(&key.expr, names)?;
                    if bound.ty == Type::Jsonb {
                        return Err(SqlError::unsupported("the order of jsonb values"));
                    }
                    binder.settle(bound)?.expr
                }
            };
            Ok(OrderKey { expr, descending, nulls_first: key.options.nulls_first.unwrap_or(descending) })
        })
        .collect()
}

/// `ORDER BY 2` and `ORDER BY alias` mean an output column (PostgreSQL 16 docs, §7.5).
fn output_position(key: &Ast, select: &SelectAst, outputs: usize) -> Result<Option<usize>> {
    match key {
        Ast::Value(value) => match &value.value {
            Literal::Number(digits, _) => {
                let position =
                    digits.parse::<usize>().ok().filter(|position| (1..=outputs).contains(position));
                position.map(|position| Some(position - 1)).ok_or_else(|| {
                    SqlError::new(
                        state::INVALID_COLUMN_REFERENCE,
                        format!("ORDER BY position {digits} is not in select list"),
                    )
                })
            }
            _ => Err(SqlError::syntax("non-integer constant in ORDER BY")),
        },
        Ast::Identifier(ident) => {
            // A `*` before the alias would shift positions; then the name is looked up among the columns.
            if select.projection.iter().any(|item| matches!(item, SelectItem::Wildcard(_))) {
                return Ok(None);
            }
            let name = fold(ident);
            Ok(select.projection.iter().position(
                |item| matches!(item, SelectItem::ExprWithAlias { alias, .. } if fold(alias) == name),
            ))
        }
        _ => Ok(None),
    }
}

fn limits(clause: Option<&LimitClause>, binder: &mut Binder) -> Result<(Option<Expr>, Option<Expr>)> {
    match clause {
        None => Ok((None, None)),
        Some(LimitClause::LimitOffset { limit, offset, limit_by }) => {
            refuse(&[(!limit_by.is_empty(), "LIMIT BY")])?;
            let limit = limit.as_ref().map(|limit| count(limit, binder, "LIMIT")).transpose()?;
            let offset = offset.as_ref().map(|offset| count(&offset.value, binder, "OFFSET")).transpose()?;
            Ok((limit.filter(|limit| *limit != Expr::Const(Value::Null)), offset))
        }
        Some(LimitClause::OffsetCommaLimit { .. }) => {
            Err(SqlError::syntax("LIMIT #,# syntax is not supported"))
        }
    }
}

fn count(ast: &Ast, binder: &mut Binder, clause: &'static str) -> Result<Expr> {
    let bound = binder.scalar(ast, &Names::default(), clause)?;
    Ok(binder.coerce(bound, Type::Int8)?.expr)
}
