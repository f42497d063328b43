//! Operators, and constructs that bring several expressions to one type.

use sqlparser::ast::{BinaryOperator, CaseWhen, Expr as Ast, UnaryOperator};

use super::expr::{Binder, Names, Typed, number, typed};
use crate::{
    data::{Modifier, Type, Value, cast, cast::Context, text},
    error::{Result, SqlError, state},
    sql::plan::{Arithmetic, Comparison, Expr},
};

impl Binder {
    pub(super) fn is_null(&mut self, ast: &Ast, negated: bool, names: &Names<'_>) -> Result<Typed> {
        let expr = Box::new(self.expr(ast, names)?.expr);
        Ok(typed(Expr::IsNull { expr, negated }, Type::Bool))
    }

    pub(super) fn is(&mut self, ast: &Ast, value: bool, negated: bool, names: &Names<'_>) -> Result<Typed> {
        let bound = self.expr(ast, names)?;
        let expr = Box::new(self.coerce(bound, Type::Bool)?.expr);
        Ok(typed(Expr::Is { expr, value, negated }, Type::Bool))
    }

    pub(super) fn distinct(
        &mut self,
        left: &Ast,
        right: &Ast,
        negated: bool,
        names: &Names<'_>,
    ) -> Result<Typed> {
        let (left, right, _) = self.unified(left, "=", right, names)?;
        Ok(typed(Expr::Distinct { left: Box::new(left), right: Box::new(right), negated }, Type::Bool))
    }

    pub(super) fn unary(&mut self, op: UnaryOperator, ast: &Ast, names: &Names<'_>) -> Result<Typed> {
        let bound = self.expr(ast, names)?;
        match op {
            UnaryOperator::Not => {
                Ok(typed(Expr::Not(Box::new(self.coerce(bound, Type::Bool)?.expr)), Type::Bool))
            }
            UnaryOperator::Plus if bound.ty.is_number() => Ok(bound),
            UnaryOperator::Minus if bound.ty.is_number() => match &bound.expr {
                Expr::Const(value) => {
                    let digits = text::show(value);
                    number(&digits.strip_prefix('-').map_or_else(|| format!("-{digits}"), str::to_owned))
                }
                _ => Ok(typed(Expr::Negate { expr: Box::new(bound.expr), ty: bound.ty }, bound.ty)),
            },
            UnaryOperator::Minus | UnaryOperator::Plus => Err(no_operator(&format!("{op} {}", bound.ty))),
            other => Err(SqlError::unsupported(format!("the operator {other}"))),
        }
    }

    pub(super) fn binary(
        &mut self,
        left: &Ast,
        op: &BinaryOperator,
        right: &Ast,
        names: &Names<'_>,
    ) -> Result<Typed> {
        let comparison = match op {
            BinaryOperator::Eq => Some(Comparison::Equal),
            BinaryOperator::NotEq => Some(Comparison::NotEqual),
            BinaryOperator::Lt => Some(Comparison::Less),
            BinaryOperator::LtEq => Some(Comparison::LessOrEqual),
            BinaryOperator::Gt => Some(Comparison::Greater),
            BinaryOperator::GtEq => Some(Comparison::GreaterOrEqual),
            _ => None,
        };
        if let Some(comparison) = comparison {
            return Ok(typed(self.comparison(comparison, &op.to_string(), left, right, names)?, Type::Bool));
        }
        let arithmetic = match op {
            BinaryOperator::And | BinaryOperator::Or => {
                let (left, right) = (self.expr(left, names)?, self.expr(right, names)?);
                let (left, right) =
                    (self.coerce(left, Type::Bool)?.expr, self.coerce(right, Type::Bool)?.expr);
                let join = if *op == BinaryOperator::And { Expr::And } else { Expr::Or };
                return Ok(typed(join(Box::new(left), Box::new(right)), Type::Bool));
            }
            BinaryOperator::StringConcat => return self.concat(left, right, names),
            BinaryOperator::Arrow => return self.json_get(left, right, false, names),
            BinaryOperator::LongArrow => return self.json_get(left, right, true, names),
            BinaryOperator::Plus => Arithmetic::Add,
            BinaryOperator::Minus => Arithmetic::Subtract,
            BinaryOperator::Multiply => Arithmetic::Multiply,
            BinaryOperator::Divide => Arithmetic::Divide,
            BinaryOperator::Modulo => Arithmetic::Remainder,
            other => return Err(SqlError::unsupported(format!("the operator {other}"))),
        };
        let (left, right, ty) = self.unified(left, &op.to_string(), right, names)?;
        if !ty.is_number() {
            return Err(no_operator(&format!("{ty} {op} {ty}")));
        }
        Ok(typed(Expr::Arithmetic { op: arithmetic, ty, left: Box::new(left), right: Box::new(right) }, ty))
    }

    pub(super) fn comparison(
        &mut self,
        op: Comparison,
        sign: &str,
        left: &Ast,
        right: &Ast,
        names: &Names<'_>,
    ) -> Result<Expr> {
        let (left, right, ty) = self.unified(left, sign, right, names)?;
        if ty == Type::Jsonb && !matches!(op, Comparison::Equal | Comparison::NotEqual) {
            return Err(SqlError::unsupported("the order of jsonb values"));
        }
        Ok(Expr::Compare { op, left: Box::new(left), right: Box::new(right) })
    }

    /// Both sides in the type in which `sign` compares or combines them.
    fn unified(
        &mut self,
        left: &Ast,
        sign: &str,
        right: &Ast,
        names: &Names<'_>,
    ) -> Result<(Expr, Expr, Type)> {
        let (left, right) = (self.expr(left, names)?, self.expr(right, names)?);
        let ty = common_type(left.ty, right.ty)
            .ok_or_else(|| no_operator(&format!("{} {sign} {}", left.ty, right.ty)))?;
        Ok((self.coerce(left, ty)?.expr, self.coerce(right, ty)?.expr, ty))
    }

    /// Binds several expressions of one common type, as `CASE` and `coalesce` need them.
    pub(super) fn alike(&mut self, exprs: Vec<Typed>, construct: &str) -> Result<(Vec<Expr>, Type)> {
        let mut ty = Type::Unknown;
        for bound in exprs.iter().filter(|bound| bound.ty != Type::Unknown) {
            ty = common_type(ty, bound.ty).ok_or_else(|| {
                SqlError::new(
                    state::DATATYPE_MISMATCH,
                    format!("{construct} types {ty} and {} cannot be matched", bound.ty),
                )
            })?;
        }
        let ty = if ty == Type::Unknown { Type::Text } else { ty };
        let exprs = exprs.into_iter().map(|bound| Ok(self.coerce(bound, ty)?.expr)).collect::<Result<_>>()?;
        Ok((exprs, ty))
    }

    pub(super) fn in_list(
        &mut self,
        expr: &Ast,
        list: &[Ast],
        negated: bool,
        names: &Names<'_>,
    ) -> Result<Typed> {
        let mut exprs = vec![self.expr(expr, names)?];
        for item in list {
            exprs.push(self.expr(item, names)?);
        }
        let (first, sample) = (exprs[0].ty, exprs.iter().map(|bound| bound.ty).find(|ty| *ty != exprs[0].ty));
        let (mut exprs, _) = self
            .alike(exprs, "IN")
            .map_err(|_| no_operator(&format!("{first} = {}", sample.unwrap_or(first))))?;
        let expr = Box::new(exprs.remove(0));
        Ok(typed(Expr::In { expr, list: exprs, negated }, Type::Bool))
    }

    pub(super) fn like(
        &mut self,
        expr: &Ast,
        pattern: &Ast,
        any_case: bool,
        negated: bool,
        names: &Names<'_>,
    ) -> Result<Typed> {
        let (expr, pattern, ty) = self.unified(expr, if any_case { "~~*" } else { "~~" }, pattern, names)?;
        if !ty.is_string() {
            return Err(no_operator(&format!("{ty} ~~ {ty}")));
        }
        Ok(typed(
            Expr::Like { expr: Box::new(expr), pattern: Box::new(pattern), any_case, negated },
            Type::Bool,
        ))
    }

    fn concat(&mut self, left: &Ast, right: &Ast, names: &Names<'_>) -> Result<Typed> {
        let (left, right) = (self.expr(left, names)?, self.expr(right, names)?);
        if !left.ty.is_string()
            && !right.ty.is_string()
            && left.ty != Type::Unknown
            && right.ty != Type::Unknown
        {
            return Err(no_operator(&format!("{} || {}", left.ty, right.ty)));
        }
        let left = self.cast(left, Type::Text, Modifier::None, Context::Explicit)?.expr;
        let right = self.cast(right, Type::Text, Modifier::None, Context::Explicit)?.expr;
        Ok(typed(Expr::Concat(Box::new(left), Box::new(right)), Type::Text))
    }

    fn json_get(&mut self, document: &Ast, key: &Ast, as_text: bool, names: &Names<'_>) -> Result<Typed> {
        let document = self.expr(document, names)?;
        let key = self.expr(key, names)?;
        if document.ty != Type::Jsonb || !(key.ty.is_string() || matches!(key.ty, Type::Int4 | Type::Unknown))
        {
            return Err(no_operator(&format!("{} -> {}", document.ty, key.ty)));
        }
        let key = self.settle(key)?.expr;
        let ty = if as_text { Type::Text } else { Type::Jsonb };
        Ok(typed(Expr::JsonGet { document: Box::new(document.expr), key: Box::new(key), as_text }, ty))
    }

    pub(super) fn case(
        &mut self,
        operand: Option<&Ast>,
        conditions: &[CaseWhen],
        otherwise: Option<&Ast>,
        names: &Names<'_>,
    ) -> Result<Typed> {
        let mut tests = Vec::with_capacity(conditions.len());
        let mut results = Vec::with_capacity(conditions.len() + 1);
        for CaseWhen { condition, result } in conditions {
            tests.push(match operand {
                Some(operand) => self.comparison(Comparison::Equal, "=", operand, condition, names)?,
                None => {
                    let bound = self.expr(condition, names)?;
                    self.coerce(bound, Type::Bool)?.expr
                }
            });
            results.push(self.expr(result, names)?);
        }
        results.push(match otherwise {
            Some(otherwise) => self.expr(otherwise, names)?,
            None => typed(Expr::Const(Value::Null), Type::Unknown),
        });
        let (mut results, ty) = self.alike(results, "CASE")?;
        let otherwise = results.pop().map(Box::new);
        Ok(typed(Expr::Case { branches: tests.into_iter().zip(results).collect(), otherwise }, ty))
    }
}

/// The type in which two expressions meet (PostgreSQL 16 docs, §10.5).
fn common_type(a: Type, b: Type) -> Option<Type> {
    match (a, b) {
        (Type::Unknown, Type::Unknown) => Some(Type::Text),
        (Type::Unknown, ty) | (ty, Type::Unknown) => Some(ty),
        (a, b) if a.is_string() && b.is_string() => Some(Type::Text),
        (a, b) if cast::allowed(a, b) == Some(Context::Implicit) => Some(b),
        (a, b) if cast::allowed(b, a) == Some(Context::Implicit) => Some(a),
        _ => None,
    }
}

fn no_operator(operator: &str) -> Box<SqlError> {
    SqlError::new(state::UNDEFINED_FUNCTION, format!("operator does not exist: {operator}")).hint(
        "No operator matches the given name and argument types. You might need to add explicit type casts.",
    )
}
