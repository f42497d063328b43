//! Queries: `SELECT`, `VALUES`, `UNION` and its kin, `WITH`, `ORDER BY`, `LIMIT`.
//!
//! Deliberately absent: recursive queries, `GROUPING SETS`, windows, row locks in anything but a query of one table.

use std::rc::Rc;

use sqlparser::ast::{
    Distinct as DistinctAst, Expr as Ast, Fetch, GroupByExpr, LimitClause, LockClause, LockType, NonBlock,
    ObjectNamePart, OrderBy, OrderByExpr, OrderByKind, OrderBySort, Query as QueryAst, Select as SelectAst,
    SelectItem, SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier, TableFactor,
    UnaryOperator, Value as Literal, With,
};

use super::{
    Bound,
    expr::Binder,
    fold,
    from::{Cte, Item},
    group::Grouping,
    names::{Level, Named, Names, missing_from},
    object_name,
    operator::result_type,
    output_name, place,
    position::{at, of_name, start},
    refuse,
};
use crate::{
    data::{Modifier, Type, Value, cast, cast::Context},
    error::{Place, Result, SqlError, state},
    sql::{
        extension,
        plan::{
            Body, Distinct, Expr, Group, Locking, OrderKey, Output, Plan, Query, Select, SetKind,
            SetOperation, Source, WaitPolicy,
        },
    },
    store::RowLock,
};

impl Binder<'_> {
    /// Binds a query that is a statement of its own: only such a one may lock rows.
    pub(super) fn outermost(&mut self, query: &QueryAst) -> Result<Bound> {
        let bare = QueryAst { locks: Vec::new(), ..query.clone() };
        let (bound, columns) = self.query(&bare, &Level::default())?;
        let locking = locking(query, &bound)?;
        Ok((Plan::Select { query: bound, locking }, columns))
    }

    /// Binds a query and gives its columns.
    pub(super) fn query(&mut self, query: &QueryAst, level: &Level<'_>) -> Result<(Query, Vec<Output>)> {
        refuse(&[
            (!query.locks.is_empty(), "FOR UPDATE in a subquery"),
            (
                query.for_clause.is_some()
                    || query.settings.is_some()
                    || query.format_clause.is_some()
                    || !query.pipe_operators.is_empty(),
                "this form of SELECT",
            ),
        ])?;
        let outside = self.ctes.len();
        if let Some(with) = &query.with {
            self.with(with)?;
        }
        let bound = self.body(query, level);
        self.ctes.truncate(outside);
        bound
    }

    fn with(&mut self, with: &With) -> Result<()> {
        refuse(&[(with.recursive, "WITH RECURSIVE")])?;
        for cte in &with.cte_tables {
            refuse(&[(cte.from.is_some(), "this form of WITH")])?;
            self.ctes.push(Cte {
                name: fold(&cte.alias.name),
                query: Rc::new(cte.query.as_ref().clone()),
                columns: cte.alias.columns.iter().map(|column| fold(&column.name)).collect(),
            });
        }
        Ok(())
    }

    fn body(&mut self, query: &QueryAst, level: &Level<'_>) -> Result<(Query, Vec<Output>)> {
        let (body, order, columns) = match query.body.as_ref() {
            SetExpr::Select(select) => {
                let (select, order, columns) = self.select(select, query.order_by.as_ref(), level)?;
                (Body::Select(Box::new(select)), order, columns)
            }
            other => {
                let (body, columns) = self.set_expr(other, level)?;
                let order = self.order_of_rows(query.order_by.as_ref(), &columns)?;
                (body, order, columns)
            }
        };
        let (limit, offset) = self.limits(query.limit_clause.as_ref(), query.fetch.as_ref(), level)?;
        Ok((Query { body, order, limit, offset }, columns))
    }

    fn set_expr(&mut self, body: &SetExpr, level: &Level<'_>) -> Result<(Body, Vec<Output>)> {
        match body {
            SetExpr::Select(select) => {
                let (select, _, columns) = self.select(select, None, level)?;
                Ok((Body::Select(Box::new(select)), columns))
            }
            SetExpr::Query(inner) => {
                let (query, columns) = self.query(inner, level)?;
                if query.order.is_empty() && query.limit.is_none() && query.offset.is_none() {
                    return Ok((query.body, columns));
                }
                // Its order and limits are its own: wrapped, they stay inside.
                let width = columns.len();
                let select = Select {
                    from: Source::Derived { query: Box::new(query), args: handed_on(level), width },
                    filter: None,
                    group: None,
                    projection: (0..width).map(Expr::Column).collect(),
                    distinct: None,
                };
                Ok((Body::Select(Box::new(select)), columns))
            }
            SetExpr::Values(values) => {
                let rows = values.rows.iter().map(|row| row.content.as_slice()).collect::<Vec<_>>();
                self.values(&rows, level)
            }
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                self.set_operation(left, *op, *set_quantifier, right, level)
            }
            SetExpr::Table(_) => Err(SqlError::unsupported("TABLE")),
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                Err(SqlError::unsupported("a statement that changes data inside a query"))
            }
        }
    }

    fn values(&mut self, rows: &[&[Ast]], level: &Level<'_>) -> Result<(Body, Vec<Output>)> {
        let names = Names::none(level);
        let width = rows.first().map_or(0, |row| row.len());
        let mut columns: Vec<Vec<_>> = vec![Vec::with_capacity(rows.len()); width];
        for row in rows {
            if row.len() != width {
                let place = row.first().and_then(start);
                return Err(SqlError::syntax("VALUES lists must all be the same length").at(place));
            }
            for (column, expr) in columns.iter_mut().zip(*row) {
                column.push(self.scalar(expr, &names, "VALUES")?);
            }
        }
        let mut outputs = Vec::with_capacity(width);
        let mut lists = Vec::with_capacity(width);
        for (index, column) in columns.into_iter().enumerate() {
            let (exprs, ty, modifier) = self.alike(column, "VALUES")?;
            outputs.push(Output { name: format!("column{}", index + 1), ty, modifier });
            lists.push(exprs.into_iter());
        }
        let rows = rows.iter().map(|_| lists.iter_mut().filter_map(Iterator::next).collect()).collect();
        Ok((Body::Values(rows), outputs))
    }

    fn set_operation(
        &mut self,
        left: &SetExpr,
        op: SetOperator,
        quantifier: SetQuantifier,
        right: &SetExpr,
        level: &Level<'_>,
    ) -> Result<(Body, Vec<Output>)> {
        let kind = match op {
            SetOperator::Union => SetKind::Union,
            SetOperator::Except => SetKind::Except,
            SetOperator::Intersect => SetKind::Intersect,
            SetOperator::Minus => return Err(SqlError::syntax("syntax error at or near \"MINUS\"")),
        };
        let all = match quantifier {
            SetQuantifier::All => true,
            SetQuantifier::None | SetQuantifier::Distinct => false,
            _ => return Err(SqlError::unsupported("BY NAME")),
        };
        let place = first_item(right);
        let (left, left_columns) = self.branch(left, level)?;
        let (right, right_columns) = self.branch(right, level)?;
        if left_columns.len() != right_columns.len() {
            let message = format!("each {op} query must have the same number of columns");
            return Err(SqlError::syntax(message).at(place));
        }
        let mut columns = Vec::with_capacity(left_columns.len());
        for (a, b) in left_columns.iter().zip(&right_columns) {
            let ty = result_type(a.ty, b.ty).ok_or_else(|| {
                SqlError::new(
                    state::DATATYPE_MISMATCH,
                    format!("{op} types {} and {} cannot be matched", a.ty, b.ty),
                )
                .at(place.clone())
            })?;
            let alike = (a.ty, a.modifier) == (b.ty, b.modifier);
            let modifier = if alike { a.modifier } else { Modifier::None };
            columns.push(Output { name: a.name.clone(), ty, modifier });
        }
        let query = |body| Query { body, order: Vec::new(), limit: None, offset: None };
        let left = self.retyped(query(left), &left_columns, &columns, level)?;
        let right = self.retyped(query(right), &right_columns, &columns, level)?;
        Ok((Body::Set(Box::new(SetOperation { kind, all, left, right })), columns))
    }

    /// A side of a set operation: the other side has a say in the types of its literals.
    fn branch(&mut self, body: &SetExpr, level: &Level<'_>) -> Result<(Body, Vec<Output>)> {
        self.unsettled = matches!(body, SetExpr::Select(_));
        self.set_expr(body, level)
    }

    /// The same rows with columns of other types.
    pub(super) fn retyped(
        &mut self,
        query: Query,
        from: &[Output],
        to: &[Output],
        level: &Level<'_>,
    ) -> Result<Query> {
        if from.iter().zip(to).all(|(from, to)| from.ty == to.ty) {
            return Ok(query);
        }
        // What a `SELECT` gives can be converted at once, unless it is looked at before: sorted or made distinct.
        let (body, projection) = match query {
            Query { body: Body::Select(mut select), order, limit: None, offset: None }
                if select.distinct.is_none() && order.is_empty() =>
            {
                let projection = std::mem::take(&mut select.projection);
                (*select, projection)
            }
            query => {
                let (width, args) = (from.len(), handed_on(level));
                let from = Source::Derived { query: Box::new(query), args, width };
                let select =
                    Select { from, filter: None, group: None, projection: Vec::new(), distinct: None };
                (select, (0..width).map(Expr::Column).collect())
            }
        };
        let projection = projection
            .into_iter()
            .zip(from.iter().zip(to))
            .map(|(expr, (from, to))| Ok(self.coerce(super::expr::typed(expr, from.ty), to.ty)?.expr))
            .collect::<Result<_>>()?;
        let body = Body::Select(Box::new(Select { projection, ..body }));
        Ok(Query { body, order: Vec::new(), limit: None, offset: None })
    }

    fn select(
        &mut self,
        select: &SelectAst,
        order_by: Option<&OrderBy>,
        level: &Level<'_>,
    ) -> Result<(Select, Vec<OrderKey>, Vec<Output>)> {
        let unsettled = std::mem::take(&mut self.unsettled);
        refuse_clauses(select)?;
        let Item { source, relations } = self.from(&select.from, level)?;
        let names = Names::new(level, relations);
        let (mut projection, columns) = self.projection(&select.projection, &names, unsettled)?;
        let filter = select.selection.as_ref().map(|ast| self.condition(ast, &names, "WHERE")).transpose()?;
        let mut order = match order_by {
            Some(order_by) => self.order(order_by, &columns, &projection, &names)?,
            None => Vec::new(),
        };
        let mut distinct = self.distinct_clause(select.distinct.as_ref(), &columns, &projection, &names)?;
        check_distinct_order(distinct.as_ref(), &order, &projection)?;
        let keys = self.group_keys(&select.group_by, &columns, &projection, &names)?;
        let having = match &select.having {
            Some(having) => Some(self.truth(having, &names, "HAVING")?),
            None => None,
        };
        let aggregates = std::mem::take(&mut self.aggregates);
        let group = if keys.is_empty() && aggregates.is_empty() && having.is_none() {
            None
        } else {
            let mut grouping =
                Grouping { names: &names, source: &source, binder: self, aggregates: aggregates.len(), keys };
            let mut having = having;
            let on = match &mut distinct {
                Some(Distinct::On(exprs)) => exprs.as_mut_slice(),
                _ => &mut [],
            };
            let order = order.iter_mut().map(|key| &mut key.expr);
            for expr in projection.iter_mut().chain(order).chain(on).chain(&mut having) {
                grouping.regroup(expr)?;
            }
            let keys = grouping.keys;
            Some(Group { keys, aggregates, having })
        };
        let (from, filter) = place::conditions(source, filter, self)?;
        Ok((Select { from, filter, group, projection, distinct }, order, columns))
    }

    fn distinct_clause(
        &mut self,
        distinct: Option<&DistinctAst>,
        columns: &[Output],
        projection: &[Expr],
        names: &Names<'_>,
    ) -> Result<Option<Distinct>> {
        Ok(match distinct {
            None | Some(DistinctAst::All) => None,
            Some(DistinctAst::Distinct) => Some(Distinct::Row),
            Some(DistinctAst::On(exprs)) => {
                let exprs = exprs
                    .iter()
                    .map(|ast| match output_position(ast, columns, "DISTINCT ON")? {
                        Some(position) => Ok(projection[position].clone()),
                        None => {
                            let bound = self.expr(ast, names)?;
                            Ok(self.settle(bound)?.expr)
                        }
                    })
                    .collect::<Result<_>>()?;
                Some(Distinct::On(exprs))
            }
        })
    }

    fn group_keys(
        &mut self,
        group_by: &GroupByExpr,
        columns: &[Output],
        projection: &[Expr],
        names: &Names<'_>,
    ) -> Result<Vec<Expr>> {
        let GroupByExpr::Expressions(exprs, modifiers) = group_by else {
            return Err(SqlError::unsupported("GROUP BY ALL"));
        };
        refuse(&[(!modifiers.is_empty(), "this form of GROUP BY")])?;
        exprs
            .iter()
            .map(|ast| {
                // A column of the tables comes before an alias of the list, unlike in ORDER BY.
                let position = match ast {
                    Ast::Identifier(ident) if names.own(&fold(ident))?.is_some() => None,
                    ast => output_position(ast, columns, "GROUP BY")?,
                };
                match position {
                    Some(position) if contains_aggregate(&projection[position]) => Err(SqlError::new(
                        state::GROUPING_ERROR,
                        "aggregate functions are not allowed in GROUP BY",
                    )),
                    Some(position) => Ok(projection[position].clone()),
                    None => {
                        let bound = self.scalar(ast, names, "GROUP BY")?;
                        let key = self.settle(bound)?.expr;
                        Ok(self.folded(key))
                    }
                }
            })
            .collect()
    }

    fn order(
        &mut self,
        order_by: &OrderBy,
        columns: &[Output],
        projection: &[Expr],
        names: &Names<'_>,
    ) -> Result<Vec<OrderKey>> {
        order_exprs(order_by)?
            .iter()
            .map(|key| match output_position(&key.expr, columns, "ORDER BY")? {
                Some(position) => {
                    check_sortable(columns[position].ty)?;
                    order_key(key, projection[position].clone())
                }
                None => self.order_key(key, names),
            })
            .collect()
    }

    /// Binds a key of an order that has no output columns to refer to.
    pub(super) fn order_key(&mut self, key: &OrderByExpr, names: &Names<'_>) -> Result<OrderKey> {
        let bound = self.expr(&key.expr, names)?;
        check_sortable(bound.ty)?;
        let expr = self.settle(bound)?.expr;
        order_key(key, self.folded(expr))
    }

    /// The order of a query whose rows have no names but those of its columns.
    fn order_of_rows(&mut self, order_by: Option<&OrderBy>, columns: &[Output]) -> Result<Vec<OrderKey>> {
        let Some(order_by) = order_by else {
            return Ok(Vec::new());
        };
        order_exprs(order_by)?
            .iter()
            .map(|key| match output_position(&key.expr, columns, "ORDER BY")? {
                Some(position) => {
                    check_sortable(columns[position].ty)?;
                    order_key(key, Expr::Column(position))
                }
                None => match &key.expr {
                    Ast::Identifier(ident) => Err(SqlError::no_column(&fold(ident))),
                    _ => Err(SqlError::new(
                        state::FEATURE_NOT_SUPPORTED,
                        "invalid UNION/INTERSECT/EXCEPT ORDER BY clause",
                    )
                    .detail("Only result column names can be used, not expressions or functions.")),
                },
            })
            .collect()
    }

    fn limits(
        &mut self,
        clause: Option<&LimitClause>,
        fetch: Option<&Fetch>,
        level: &Level<'_>,
    ) -> Result<(Option<Expr>, Option<Expr>)> {
        let (mut limit, offset) = match clause {
            None => (None, None),
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) => {
                refuse(&[(!limit_by.is_empty(), "LIMIT BY")])?;
                let limit = limit.as_ref().map(|limit| self.count(limit, level, "LIMIT")).transpose()?;
                let offset =
                    offset.as_ref().map(|offset| self.count(&offset.value, level, "OFFSET")).transpose()?;
                (limit.filter(|limit| *limit != Expr::Const(Value::Null)), offset)
            }
            Some(LimitClause::OffsetCommaLimit { .. }) => {
                return Err(SqlError::syntax("LIMIT #,# syntax is not supported"));
            }
        };
        if let Some(fetch) = fetch {
            refuse(&[(fetch.with_ties || fetch.percent, "WITH TIES")])?;
            limit = Some(match &fetch.quantity {
                Some(quantity) => self.count(quantity, level, "LIMIT")?,
                None => Expr::Const(Value::Int(1)),
            });
        }
        Ok((limit, offset))
    }

    fn count(&mut self, ast: &Ast, level: &Level<'_>, clause: &'static str) -> Result<Expr> {
        let bound = self.scalar(ast, &Names::none(level), clause)?;
        if cast::allowed(bound.ty, Type::Int8).is_none_or(|context| context > Context::Assignment) {
            let message = format!("argument of {clause} must be type bigint, not type {}", bound.ty);
            return Err(SqlError::new(state::DATATYPE_MISMATCH, message).at(bound.place));
        }
        let count = self.cast(bound, Type::Int8, Modifier::None, Context::Assignment)?.expr;
        Ok(self.folded(count))
    }

    /// Binds a `SELECT` or `RETURNING` list.
    pub(super) fn projection(
        &mut self,
        items: &[SelectItem],
        names: &Names<'_>,
        unsettled: bool,
    ) -> Result<(Vec<Expr>, Vec<Output>)> {
        let (mut exprs, mut outputs) = (Vec::new(), Vec::new());
        for item in items {
            let (ast, name) = match item {
                SelectItem::UnnamedExpr(ast) => (ast, output_name(ast)),
                SelectItem::ExprWithAlias { expr, alias } => (expr, fold(alias)),
                SelectItem::Wildcard(options) if *options == Default::default() => {
                    if names.relations.is_empty() {
                        let place = at(options.wildcard_token.0.span);
                        return Err(
                            SqlError::syntax("SELECT * with no tables specified is not valid").at(place)
                        );
                    }
                    let columns = names.relations.iter().flat_map(|relation| &relation.columns);
                    star(columns.filter(|column| !column.hidden), &mut exprs, &mut outputs);
                    continue;
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options)
                    if *options == Default::default() =>
                {
                    let qualifier = object_name(name)?;
                    let relation = names.relation(&qualifier);
                    let relation = relation.ok_or_else(|| missing_from(&qualifier).at(of_name(name)))?;
                    star(relation.columns.iter(), &mut exprs, &mut outputs);
                    continue;
                }
                _ => return Err(SqlError::unsupported("this kind of select item")),
            };
            let bound = self.expr(ast, names)?;
            let modifier = bound.modifier;
            let bound = if unsettled { bound } else { self.settle(bound)? };
            let expr = self.folded(bound.expr);
            exprs.push(expr);
            outputs.push(Output { name, ty: bound.ty, modifier });
        }
        Ok((exprs, outputs))
    }
}

/// `FOR UPDATE` and its like; of several for one table the strongest counts.
fn locking(query: &QueryAst, bound: &Query) -> Result<Option<Locking>> {
    let mut locking: Option<Locking> = None;
    for LockClause { lock_type, of, nonblock } in &query.locks {
        let word = of.as_ref().and_then(extension::marked);
        let lock = match (lock_type, word) {
            (LockType::Update, None) => RowLock::Update,
            (LockType::Update, Some(_)) => RowLock::NoKeyUpdate,
            (LockType::Share, None) => RowLock::Share,
            (LockType::Share, Some(_)) => RowLock::KeyShare,
        };
        let qualifier = lockable(query, bound, lock)?;
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

/// What the only table of a query is called, if its rows can be locked.
fn lockable(query: &QueryAst, bound: &Query, lock: RowLock) -> Result<String> {
    let clause = lock.clause();
    let refused = |with: &str| {
        let message = format!("{clause} is not allowed with {with}");
        SqlError::new(state::FEATURE_NOT_SUPPORTED, message)
    };
    let several = || SqlError::unsupported(format!("{clause} of anything but one table"));
    let Body::Select(select) = &bound.body else {
        return Err(refused("UNION/INTERSECT/EXCEPT"));
    };
    match (&select.group, &select.distinct) {
        (Some(group), _) if group.keys.is_empty() => return Err(refused("aggregate functions")),
        (Some(_), _) => return Err(refused("GROUP BY clause")),
        (_, Some(_)) => return Err(refused("DISTINCT clause")),
        (None, None) => {}
    }
    match (&select.from, query.body.as_ref()) {
        // Without a table nothing is locked.
        (Source::Nothing, _) => Ok(String::new()),
        (Source::Table(_), SetExpr::Select(ast)) => match ast.from.first().map(|from| &from.relation) {
            Some(TableFactor::Table { alias: Some(alias), .. }) => Ok(fold(&alias.name)),
            Some(TableFactor::Table { name, .. }) => object_name(name),
            _ => Err(several()),
        },
        _ => Err(several()),
    }
}

/// The columns that a `*` means.
fn star<'a>(columns: impl Iterator<Item = &'a Named>, exprs: &mut Vec<Expr>, outputs: &mut Vec<Output>) {
    for column in columns {
        exprs.push(column.expr.clone());
        outputs.push(Output { name: column.name.clone(), ty: column.ty, modifier: column.modifier });
    }
}

/// What a query takes from outside, handed on as it is to a query wrapped into it.
fn handed_on(level: &Level<'_>) -> Vec<Expr> {
    (0..level.arg_count()).map(Expr::Arg).collect()
}

/// Where the first output of a query begins.
fn first_item(body: &SetExpr) -> Option<Place> {
    match body {
        SetExpr::Select(select) => match select.projection.first()? {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => start(expr),
            _ => None,
        },
        _ => None,
    }
}

fn contains_aggregate(expr: &Expr) -> bool {
    let mut found = false;
    expr.visit(&mut |expr| found |= matches!(expr, Expr::Aggregate(_)));
    found
}

fn check_sortable(ty: Type) -> Result<()> {
    match ty {
        Type::Json => Err(SqlError::new(
            state::UNDEFINED_FUNCTION,
            "could not identify an ordering operator for type json",
        )),
        _ => Ok(()),
    }
}

fn order_exprs(order_by: &OrderBy) -> Result<&[OrderByExpr]> {
    refuse(&[(order_by.interpolate.is_some(), "INTERPOLATE")])?;
    match &order_by.kind {
        OrderByKind::Expressions(keys) => Ok(keys),
        OrderByKind::All(_) => Err(SqlError::unsupported("ORDER BY ALL")),
    }
}

fn order_key(key: &OrderByExpr, expr: Expr) -> Result<OrderKey> {
    refuse(&[(key.with_fill.is_some(), "WITH FILL")])?;
    let descending = match &key.options.sort {
        None | Some(OrderBySort::Asc) => false,
        Some(OrderBySort::Desc) => true,
        Some(OrderBySort::Using(operator)) => match operator.to_string().as_str() {
            "<" => false,
            ">" => true,
            _ => return Err(SqlError::unsupported("ORDER BY ... USING")),
        },
    };
    Ok(OrderKey { expr, descending, nulls_first: key.options.nulls_first.unwrap_or(descending) })
}

/// `ORDER BY 2` and `ORDER BY name` mean an output column (PostgreSQL 16 docs, §7.5).
fn output_position(key: &Ast, columns: &[Output], clause: &str) -> Result<Option<usize>> {
    match key {
        Ast::Value(value) => match &value.value {
            Literal::Number(digits, _) => {
                let position =
                    digits.parse::<usize>().ok().filter(|position| (1..=columns.len()).contains(position));
                position.map(|position| Some(position - 1)).ok_or_else(|| {
                    SqlError::new(
                        state::INVALID_COLUMN_REFERENCE,
                        format!("{clause} position {digits} is not in select list"),
                    )
                    .at(at(value.span))
                })
            }
            Literal::Placeholder(_) => Ok(None),
            _ => Err(SqlError::syntax(format!("non-integer constant in {clause}")).at(at(value.span))),
        },
        Ast::UnaryOp { op: UnaryOperator::Minus, expr } if is_whole(expr) => Err(SqlError::new(
            state::INVALID_COLUMN_REFERENCE,
            format!("{clause} position -{expr} is not in select list"),
        )
        .at(start(key))),
        Ast::Identifier(ident) => {
            let name = fold(ident);
            Ok(columns.iter().position(|column| column.name == name))
        }
        _ => Ok(None),
    }
}

fn is_whole(ast: &Ast) -> bool {
    matches!(ast, Ast::Value(value) if matches!(&value.value, Literal::Number(digits, _) if digits.parse::<u32>().is_ok()))
}

/// What leads the order of `SELECT DISTINCT` must be what is distinct (PostgreSQL 16 docs, SELECT).
fn check_distinct_order(distinct: Option<&Distinct>, order: &[OrderKey], projection: &[Expr]) -> Result<()> {
    let message = match distinct {
        Some(Distinct::Row) if order.iter().any(|key| !projection.contains(&key.expr)) => {
            "for SELECT DISTINCT, ORDER BY expressions must appear in select list"
        }
        Some(Distinct::On(exprs)) if order.iter().take(exprs.len()).any(|key| !exprs.contains(&key.expr)) => {
            "SELECT DISTINCT ON expressions must match initial ORDER BY expressions"
        }
        _ => return Ok(()),
    };
    Err(SqlError::new(state::INVALID_COLUMN_REFERENCE, message))
}

fn refuse_clauses(select: &SelectAst) -> Result<()> {
    refuse(&[
        (select.into.is_some(), "SELECT INTO"),
        (!select.named_window.is_empty(), "WINDOW"),
        (
            select.top.is_some()
                || select.qualify.is_some()
                || select.prewhere.is_some()
                || select.select_modifiers.is_some()
                || !select.cluster_by.is_empty()
                || !select.distribute_by.is_empty()
                || !select.sort_by.is_empty(),
            "this form of SELECT",
        ),
        (!select.lateral_views.is_empty() || !select.connect_by.is_empty(), "this form of SELECT"),
        (select.exclude.is_some() || select.value_table_mode.is_some(), "this form of SELECT"),
    ])
}
