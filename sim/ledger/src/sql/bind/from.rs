//! `FROM`: tables, subqueries, functions and how they are joined.

use std::rc::Rc;

use sqlparser::ast::{
    FunctionArg, FunctionArgExpr, Join as JoinAst, JoinConstraint, JoinOperator, ObjectName,
    Query as QueryAst, TableAlias, TableFactor, TableWithJoins,
};

use super::{
    expr::Binder,
    fold,
    names::{Level, Named, Names, Relation, ambiguous},
    object_name,
    position::of_name,
    qualified_name, refuse,
};
use crate::{
    data::{Modifier, Type},
    error::{Result, SqlError, state},
    sql::{
        function,
        plan::{Access, Comparison, Expr, Join, JoinKind, Output, Scan, Source},
        system,
    },
};

/// A query under a name (`WITH`).
#[derive(Clone)]
pub(super) struct Cte {
    pub(super) name: String,
    pub(super) query: Rc<QueryAst>,
    pub(super) columns: Vec<String>,
}

/// A part of `FROM`: its rows, and what they are called.
pub(super) struct Item {
    pub(super) source: Source,
    pub(super) relations: Vec<Relation>,
}

/// The columns of what stands to the left, in front of which nothing else stands.
struct Left<'a> {
    relations: &'a [Relation],
    width: usize,
}

impl Binder<'_> {
    /// Binds a whole `FROM`; conditions are not placed yet.
    pub(super) fn from(&mut self, items: &[TableWithJoins], level: &Level<'_>) -> Result<Item> {
        let mut all = Item { source: Source::Nothing, relations: Vec::new() };
        for item in items {
            let item = self.joined(item, level, &all)?;
            all = if matches!(all.source, Source::Nothing) { item } else { cross(all, item)? };
        }
        Ok(all)
    }

    /// Binds one element of `FROM`, which stands to the right of `before`.
    pub(super) fn joined(&mut self, item: &TableWithJoins, level: &Level<'_>, before: &Item) -> Result<Item> {
        let offset = before.source.width();
        let left = Left { relations: &before.relations, width: offset };
        let mut item_so_far = self.factor(&item.relation, level, &left)?;
        for join in &item.joins {
            let mut relations = before.relations.clone();
            relations.extend(item_so_far.relations.iter().cloned());
            let width = offset + item_so_far.source.width();
            let right = self.factor(&join.relation, level, &Left { relations: &relations, width })?;
            item_so_far = self.join(item_so_far, right, join, level)?;
        }
        Ok(item_so_far)
    }

    fn join(&mut self, left: Item, right: Item, join: &JoinAst, level: &Level<'_>) -> Result<Item> {
        let (kind, constraint) = match &join.join_operator {
            JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => (JoinKind::Inner, constraint),
            JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => {
                (JoinKind::Left, constraint)
            }
            JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
                (JoinKind::Right, constraint)
            }
            JoinOperator::FullOuter(constraint) => (JoinKind::Full, constraint),
            JoinOperator::CrossJoin(constraint) => (JoinKind::Inner, constraint),
            _ => return Err(SqlError::unsupported("this kind of join")),
        };
        let dependent = reads_left(&right.source);
        refuse(&[
            (join.global, "GLOBAL JOIN"),
            (dependent && kind.keeps_right(), "LATERAL in an outer join to it"),
        ])?;
        distinct_qualifiers(&left.relations, &right.relations)?;
        let mut relations = Vec::new();
        let on = match constraint {
            JoinConstraint::On(condition) => {
                relations.extend(left.relations);
                relations.extend(right.relations);
                let names = Names::new(level, relations);
                let on = self.condition(condition, &names, "JOIN/ON")?;
                relations = names.relations;
                Some(on)
            }
            JoinConstraint::Using(columns) => {
                let columns = columns.iter().map(object_name).collect::<Result<Vec<_>>>()?;
                self.merge(&columns, kind, left.relations, right.relations, &mut relations)?
            }
            JoinConstraint::Natural => {
                let columns = shared_columns(&left.relations, &right.relations);
                self.merge(&columns, kind, left.relations, right.relations, &mut relations)?
            }
            JoinConstraint::None => {
                relations.extend(left.relations);
                relations.extend(right.relations);
                None
            }
        };
        let joined = Join { kind, left: left.source, right: right.source, dependent, keys: Vec::new(), on };
        Ok(Item { source: Source::Join(Box::new(joined)), relations })
    }

    /// Makes one column of each pair of the same name (PostgreSQL 16 docs, §7.2.1.1); returns the join condition.
    fn merge(
        &mut self,
        columns: &[String],
        kind: JoinKind,
        mut left: Vec<Relation>,
        mut right: Vec<Relation>,
        relations: &mut Vec<Relation>,
    ) -> Result<Option<Expr>> {
        let mut merged = Vec::with_capacity(columns.len());
        let mut conditions = Vec::with_capacity(columns.len());
        for name in columns {
            let (a, b) = (hide(&mut left, name, "left")?, hide(&mut right, name, "right")?);
            let (left, right, ty) = self.unify(a.typed(), "=", b.typed())?;
            conditions.push(Expr::Compare {
                op: Comparison::Equal,
                left: Box::new(left.clone()),
                right: Box::new(right.clone()),
            });
            let expr = match kind {
                JoinKind::Full => Expr::Coalesce(vec![left, right]),
                JoinKind::Right => right,
                JoinKind::Inner | JoinKind::Left => left,
            };
            let modifier = if a.modifier == b.modifier { a.modifier } else { Modifier::None };
            merged.push(Named { name: name.clone(), expr, ty, modifier, hidden: false });
        }
        relations.push(Relation { qualifier: None, columns: merged });
        relations.extend(left);
        relations.extend(right);
        Ok(Expr::all(conditions))
    }

    fn factor(&mut self, factor: &TableFactor, level: &Level<'_>, left: &Left<'_>) -> Result<Item> {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                version: None,
                sample: None,
                with_ordinality: false,
                ..
            } => self.relation(name, alias.as_ref(), left.width),
            TableFactor::Table {
                name,
                alias,
                args: Some(args),
                version: None,
                sample: None,
                with_ordinality,
                ..
            } if args.settings.is_none() => {
                self.table_function(name, &args.args, *with_ordinality, alias.as_ref(), level, left)
            }
            TableFactor::Function { name, args, alias, with_ordinality, .. } => {
                self.table_function(name, args, *with_ordinality, alias.as_ref(), level, left)
            }
            TableFactor::UNNEST { alias, array_exprs, with_offset: false, with_ordinality, .. } => {
                let args: Vec<FunctionArg> = array_exprs
                    .iter()
                    .map(|expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr.clone())))
                    .collect();
                let name = ObjectName::from(vec![sqlparser::ast::Ident::new("unnest")]);
                self.table_function(&name, &args, *with_ordinality, alias.as_ref(), level, left)
            }
            TableFactor::Derived { lateral, subquery, alias, sample: None } => {
                let relations = if *lateral { left.relations.to_vec() } else { Vec::new() };
                let names = Names::new(level, relations);
                let inner = Level::inside(&names);
                let (query, columns) = self.nested(|binder| binder.query(subquery, &inner))?;
                let args = inner.into_args();
                let (qualifier, columns) = renamed(alias.as_ref(), "unnamed_subquery", columns)?;
                Ok(derived(query, args, columns, &qualifier, left.width))
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                // Inside the parentheses nothing outside them is seen, but positions go on.
                let before = Item { source: Source::Nothing, relations: Vec::new() };
                let mut item = self.joined(table_with_joins, level, &before)?;
                shift(&mut item, left.width);
                Ok(item)
            }
            _ => Err(SqlError::unsupported("this kind of FROM item")),
        }
    }

    /// A table, a system table or a query of `WITH`.
    fn relation(&mut self, name: &ObjectName, alias: Option<&TableAlias>, offset: usize) -> Result<Item> {
        let (schema, table_name) = qualified_name(name)?;
        if schema.is_none()
            && let Some(position) = self.ctes.iter().rposition(|cte| cte.name == table_name)
        {
            return self.cte(position, alias, offset);
        }
        if let Some(table) = system::find(schema.as_deref(), &table_name) {
            let columns = table.columns.iter().map(|(name, ty)| Output {
                name: (*name).to_owned(),
                ty: *ty,
                modifier: Modifier::None,
            });
            let (qualifier, columns) = renamed(alias, &table_name, columns.collect())?;
            let relations = vec![Relation::of_outputs(&qualifier, columns, offset)];
            return Ok(Item { source: Source::System { table, filter: None }, relations });
        }
        if let Some(schema) = schema.filter(|schema| schema != "public") {
            return Err(SqlError::no_table(&format!("{schema}.{table_name}")).at(of_name(name)));
        }
        let table = self.find_relation(&table_name).map_err(|error| error.at(of_name(name)))?;
        let schema = self.schema(table)?;
        let columns = schema.columns.iter().map(|column| Output {
            name: column.name.clone(),
            ty: column.ty,
            modifier: column.modifier,
        });
        let width = schema.columns.len();
        let (qualifier, columns) = renamed(alias, &table_name, columns.collect())?;
        let scan = Scan { table, width, access: Access::All, filter: None, with_id: false };
        let relations = vec![Relation::of_outputs(&qualifier, columns, offset)];
        Ok(Item { source: Source::Table(scan), relations })
    }

    /// A query of `WITH`, in place of its name. It sees the queries before it.
    fn cte(&mut self, position: usize, alias: Option<&TableAlias>, offset: usize) -> Result<Item> {
        let cte = self.ctes[position].clone();
        let later = self.ctes.split_off(position);
        let level = Level::default();
        let bound = self.nested(|binder| binder.query(&cte.query, &level));
        self.ctes.extend(later);
        let (query, mut columns) = bound?;
        rename(&mut columns, &cte.columns, &cte.name)?;
        let (qualifier, columns) = renamed(alias, &cte.name, columns)?;
        Ok(derived(query, Vec::new(), columns, &qualifier, offset))
    }

    fn table_function(
        &mut self,
        name: &ObjectName,
        args: &[FunctionArg],
        ordinality: bool,
        alias: Option<&TableAlias>,
        level: &Level<'_>,
        left: &Left<'_>,
    ) -> Result<Item> {
        let name = object_name(name)?;
        let names = Names::new(level, left.relations.to_vec());
        let args = args
            .iter()
            .map(|arg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) => {
                    self.scalar(arg, &names, "functions in FROM")
                }
                _ => Err(SqlError::unsupported("this kind of function argument")),
            })
            .collect::<Result<Vec<_>>>()?;
        let (function, args, types) = self.set_function(&name, args)?;
        let mut columns: Vec<Output> = function
            .columns
            .iter()
            .zip(types)
            .map(|(column, ty)| Output {
                // A function with one column names it after the alias (PostgreSQL 16 docs, §7.2.1.4).
                name: match alias {
                    Some(alias) if function.columns.len() == 1 => fold(&alias.name),
                    _ => (*column).to_owned(),
                },
                ty,
                modifier: Modifier::None,
            })
            .collect();
        if ordinality {
            columns.push(Output { name: "ordinality".to_owned(), ty: Type::Int8, modifier: Modifier::None });
        }
        let (qualifier, columns) = renamed(alias, &name, columns)?;
        let relations = vec![Relation::of_outputs(&qualifier, columns, left.width)];
        Ok(Item { source: Source::Function { function, args, ordinality }, relations })
    }
}

/// A set function by name, and the types of its columns; for [`Binder::set_function`].
pub(super) fn no_set_function(name: &str) -> Box<SqlError> {
    let known = function::is_known(name);
    if known {
        SqlError::unsupported(format!("the function {name} in FROM"))
    } else {
        SqlError::new(state::UNDEFINED_FUNCTION, format!("function {name} does not exist"))
    }
}

fn derived(
    query: crate::sql::plan::Query,
    args: Vec<Expr>,
    columns: Vec<Output>,
    qualifier: &str,
    offset: usize,
) -> Item {
    let width = columns.len();
    let relations = vec![Relation::of_outputs(qualifier, columns, offset)];
    Item { source: Source::Derived { query: Box::new(query), args, width }, relations }
}

/// Both items side by side.
pub(super) fn cross(left: Item, right: Item) -> Result<Item> {
    distinct_qualifiers(&left.relations, &right.relations)?;
    let dependent = reads_left(&right.source);
    let mut relations = left.relations;
    relations.extend(right.relations);
    let join = Join {
        kind: JoinKind::Inner,
        left: left.source,
        right: right.source,
        dependent,
        keys: Vec::new(),
        on: None,
    };
    Ok(Item { source: Source::Join(Box::new(join)), relations })
}

fn reads_left(source: &Source) -> bool {
    match source {
        Source::Derived { args, .. } | Source::Function { args, .. } => {
            args.iter().any(|arg| !arg.is_constant())
        }
        _ => false,
    }
}

fn shift(item: &mut Item, by: usize) {
    fn shift_expr(expr: &mut Expr, by: usize) {
        *expr = std::mem::replace(expr, Expr::Now).shifted(by);
    }
    fn shift_source(source: &mut Source, by: usize) {
        match source {
            Source::Join(join) => {
                join.on.iter_mut().for_each(|on| shift_expr(on, by));
                shift_source(&mut join.left, by);
                shift_source(&mut join.right, by);
            }
            Source::Derived { args, .. } | Source::Function { args, .. } => {
                args.iter_mut().for_each(|arg| shift_expr(arg, by));
            }
            Source::Nothing | Source::System { .. } | Source::Table(_) => {}
        }
    }
    if by > 0 {
        shift_source(&mut item.source, by);
        for column in item.relations.iter_mut().flat_map(|relation| &mut relation.columns) {
            shift_expr(&mut column.expr, by);
        }
    }
}

fn distinct_qualifiers(left: &[Relation], right: &[Relation]) -> Result<()> {
    let taken = |qualifier: &Option<String>| {
        qualifier.is_some() && left.iter().any(|relation| relation.qualifier == *qualifier)
    };
    match right.iter().find(|relation| taken(&relation.qualifier)) {
        Some(relation) => Err(SqlError::new(
            state::DUPLICATE_ALIAS,
            format!(
                "table name \"{}\" specified more than once",
                relation.qualifier.as_deref().unwrap_or_default()
            ),
        )),
        None => Ok(()),
    }
}

/// The columns under one name on one side of `USING`, hidden from now on.
fn hide(side: &mut [Relation], name: &str, which: &str) -> Result<Named> {
    let mut found = side
        .iter_mut()
        .flat_map(|relation| &mut relation.columns)
        .filter(|column| column.name == name && !column.hidden);
    match (found.next(), found.next()) {
        (Some(column), None) => {
            let before = column.clone();
            column.hidden = true;
            Ok(before)
        }
        (Some(_), Some(_)) => Err(ambiguous(name)),
        (None, _) => Err(SqlError::new(
            state::UNDEFINED_COLUMN,
            format!("column \"{name}\" specified in USING clause does not exist in {which} table"),
        )),
    }
}

fn shared_columns(left: &[Relation], right: &[Relation]) -> Vec<String> {
    let visible = |relations: &[Relation]| {
        relations
            .iter()
            .flat_map(|relation| relation.columns.clone())
            .filter(|column| !column.hidden)
            .map(|column| column.name)
            .collect::<Vec<_>>()
    };
    let right = visible(right);
    visible(left).into_iter().filter(|name| right.contains(name)).collect()
}

/// The qualifier and the columns of an item under its alias.
fn renamed(
    alias: Option<&TableAlias>,
    name: &str,
    mut columns: Vec<Output>,
) -> Result<(String, Vec<Output>)> {
    let Some(alias) = alias else {
        return Ok((name.to_owned(), columns));
    };
    let qualifier = fold(&alias.name);
    let names: Vec<String> = alias.columns.iter().map(|column| fold(&column.name)).collect();
    rename(&mut columns, &names, &qualifier)?;
    Ok((qualifier, columns))
}

fn rename(columns: &mut [Output], names: &[String], table: &str) -> Result<()> {
    if names.len() > columns.len() {
        return Err(SqlError::new(
            state::INVALID_COLUMN_REFERENCE,
            format!(
                "table \"{table}\" has {} columns available but {} columns specified",
                columns.len(),
                names.len()
            ),
        ));
    }
    for (column, name) in columns.iter_mut().zip(names) {
        column.name.clone_from(name);
    }
    Ok(())
}
