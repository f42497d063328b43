//! Queries and arrays inside expressions: scalar subqueries, `EXISTS`, `IN`, `ANY`, `ALL`.

use sqlparser::ast::{Array, BinaryOperator, Expr as Ast, ObjectName, Query as QueryAst};

use super::{
    expr::{Binder, Typed, typed},
    names::{Level, Names},
    object_name,
    operator::{comparison_of, no_operator},
};
use crate::{
    data::{Modifier, Type},
    error::{Result, SqlError},
    sql::plan::{Comparison, Expr, Output, Query, Subquery, Usage},
};

impl Binder<'_> {
    fn subquery(&mut self, ast: &QueryAst, names: &Names<'_>) -> Result<(Query, Vec<Output>, Vec<Expr>)> {
        let level = Level::inside(names);
        let (query, columns) = self.nested(|binder| binder.query(ast, &level))?;
        Ok((query, columns, level.into_args()))
    }

    fn subquery_expr(&mut self, usage: Usage, query: Query, args: Vec<Expr>) -> Expr {
        Expr::Subquery(Box::new(Subquery { id: self.next_subquery(), usage, query, args }))
    }

    pub(super) fn scalar_subquery(&mut self, ast: &QueryAst, names: &Names<'_>) -> Result<Typed> {
        let (query, columns, args) = self.subquery(ast, names)?;
        let column = only_column(&columns)?;
        let (ty, modifier) = (column.ty, column.modifier);
        Ok(Typed { expr: self.subquery_expr(Usage::Scalar, query, args), ty, modifier, place: None })
    }

    /// `ARRAY(SELECT …)`.
    pub(super) fn array_subquery(&mut self, ast: &QueryAst, names: &Names<'_>) -> Result<Typed> {
        let (query, columns, args) = self.subquery(ast, names)?;
        let ty = array_of(only_column(&columns)?.ty)?;
        Ok(typed(self.subquery_expr(Usage::Array, query, args), ty))
    }

    pub(super) fn exists(&mut self, ast: &QueryAst, negated: bool, names: &Names<'_>) -> Result<Typed> {
        let (query, _, args) = self.subquery(ast, names)?;
        let exists = self.subquery_expr(Usage::Exists, query, args);
        Ok(typed(if negated { Expr::Not(Box::new(exists)) } else { exists }, Type::Bool))
    }

    pub(super) fn in_subquery(
        &mut self,
        left: &Ast,
        ast: &QueryAst,
        negated: bool,
        names: &Names<'_>,
    ) -> Result<Typed> {
        let found = self.compare_with_subquery(left, Comparison::Equal, "=", ast, false, names)?;
        Ok(typed(if negated { Expr::Not(Box::new(found)) } else { found }, Type::Bool))
    }

    /// `left op ANY (…)` or `ALL (…)` over a subquery or an array.
    pub(super) fn quantified(
        &mut self,
        left: &Ast,
        op: &BinaryOperator,
        right: &Ast,
        all: bool,
        names: &Names<'_>,
    ) -> Result<Typed> {
        let sign = op.to_string();
        let comparison = comparison_of(op)
            .ok_or_else(|| SqlError::unsupported(format!("the operator {op} before ANY or ALL")))?;
        if let Ast::Subquery(query) = right {
            let expr = self.compare_with_subquery(left, comparison, &sign, query, all, names)?;
            return Ok(typed(expr, Type::Bool));
        }
        let (left, array) = (self.expr(left, names)?, self.expr(right, names)?);
        let (left, array) = match (left.ty, array.ty) {
            (Type::Unknown, Type::Unknown) => {
                (self.settle(left)?, self.coerce(array, Type::Array(&Type::Text))?)
            }
            (ty, Type::Unknown) => {
                let array = self.coerce(array, array_of(ty)?)?;
                (left, array)
            }
            (_, Type::Array(element)) => {
                let ty = super::operator::common_type(left.ty, *element)
                    .ok_or_else(|| no_operator(&format!("{} {sign} {element}", left.ty)))?;
                let array = self.coerce(array, array_of(ty)?)?;
                (self.coerce(left, ty)?, array)
            }
            _ => {
                return Err(SqlError::new(
                    crate::error::state::WRONG_OBJECT_TYPE,
                    "op ANY/ALL (array) requires array on right side",
                ));
            }
        };
        let expr =
            Expr::Quantified { op: comparison, all, left: Box::new(left.expr), array: Box::new(array.expr) };
        Ok(typed(expr, Type::Bool))
    }

    fn compare_with_subquery(
        &mut self,
        left: &Ast,
        op: Comparison,
        sign: &str,
        ast: &QueryAst,
        all: bool,
        names: &Names<'_>,
    ) -> Result<Expr> {
        let lefts = match left {
            Ast::Tuple(parts) => parts.iter().collect(),
            Ast::Nested(inner) => vec![inner.as_ref()],
            single => vec![single],
        };
        if lefts.len() > 1 && !matches!((op, all), (Comparison::Equal, false) | (Comparison::NotEqual, true))
        {
            return Err(SqlError::unsupported("an order of rows against a subquery"));
        }
        let level = Level::inside(names);
        let (mut query, columns) = self.nested(|binder| binder.query(ast, &level))?;
        if columns.len() != lefts.len() {
            let which = if columns.len() > lefts.len() { "many" } else { "few" };
            return Err(SqlError::syntax(format!("subquery has too {which} columns")));
        }
        let mut wanted = columns.clone();
        let mut exprs = Vec::with_capacity(lefts.len());
        for (left, column) in lefts.into_iter().zip(&mut wanted) {
            let left = self.expr(left, names)?;
            let ty = super::operator::common_type(left.ty, column.ty)
                .ok_or_else(|| no_operator(&format!("{} {sign} {}", left.ty, column.ty)))?;
            exprs.push(self.coerce(left, ty)?.expr);
            *column = Output { ty, modifier: Modifier::None, name: String::new() };
        }
        query = self.retyped(query, &columns, &wanted, &level)?;
        let args = level.into_args();
        Ok(self.subquery_expr(Usage::Quantified { op, all, left: exprs }, query, args))
    }

    pub(super) fn array(&mut self, array: &Array, names: &Names<'_>) -> Result<Typed> {
        let elements =
            array.elem.iter().map(|element| self.expr(element, names)).collect::<Result<Vec<_>>>()?;
        if elements.is_empty() {
            return Ok(typed(Expr::Array(Vec::new()), Type::Array(&Type::Text)));
        }
        let (elements, ty, _) = self.alike(elements, "ARRAY")?;
        Ok(typed(Expr::Array(elements), array_of(ty)?))
    }

    /// Texts compare by byte here, whatever collation is asked for; only those that say so are taken.
    pub(super) fn collate(&mut self, expr: &Ast, collation: &ObjectName, names: &Names<'_>) -> Result<Typed> {
        match object_name(collation)?.as_str() {
            "default" | "C" | "POSIX" | "ucs_basic" => self.expr(expr, names),
            other => Err(SqlError::unsupported(format!("the collation \"{other}\""))),
        }
    }
}

fn only_column(columns: &[Output]) -> Result<&Output> {
    match columns {
        [column] => Ok(column),
        _ => Err(SqlError::syntax("subquery must return only one column")),
    }
}

/// The array type over an element type.
pub(super) fn array_of(element: Type) -> Result<Type> {
    element.array().ok_or_else(|| SqlError::unsupported(format!("an array of {element}")))
}
