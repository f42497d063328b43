//! Operators, and constructs that bring several expressions to one type.

use sqlparser::ast::{BinaryOperator, CaseWhen, Expr as Ast, UnaryOperator};

use super::{
    expr::{Binder, Typed, number, typed},
    names::Names,
};
use crate::{
    data::{Modifier, Type, Value, cast, cast::Context, text},
    error::{Result, SqlError, state},
    sql::plan::{Arithmetic, Comparison, Expr},
};

impl Binder<'_> {
    pub(super) fn is_null(&mut self, ast: &Ast, negated: bool, names: &Names<'_>) -> Result<Typed> {
        let expr = Box::new(self.expr(ast, names)?.expr);
        Ok(typed(Expr::IsNull { expr, negated }, Type::Bool))
    }

    pub(super) fn is(&mut self, ast: &Ast, value: bool, negated: bool, names: &Names<'_>) -> Result<Typed> {
        let construct = match (value, negated) {
            (true, false) => "IS TRUE",
            (true, true) => "IS NOT TRUE",
            (false, false) => "IS FALSE",
            (false, true) => "IS NOT FALSE",
        };
        let expr = Box::new(self.flag(ast, names, construct)?);
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
        if op == UnaryOperator::Not {
            return Ok(typed(Expr::Not(Box::new(self.flag(ast, names, "NOT")?)), Type::Bool));
        }
        let bound = self.expr(ast, names)?;
        match op {
            UnaryOperator::Minus if bound.ty == Type::Unknown => Err(no_unique_operator("- unknown")),
            // Of the prefix operators the one of the preferred type is meant.
            UnaryOperator::Plus if bound.ty == Type::Unknown => self.coerce(bound, Type::Float8),
            UnaryOperator::Plus if bound.ty.is_number() => Ok(bound),
            UnaryOperator::Minus if bound.ty.is_number() => match &bound.expr {
                // A literal, not a cast of one, whose type stays: `-3::bigint` is a bigint.
                Expr::Const(value) if is_literal(ast) && !bound.ty.is_float() => {
                    let digits = text::show(value);
                    number(&digits.strip_prefix('-').map_or_else(|| format!("-{digits}"), str::to_owned))
                }
                _ => Ok(typed(Expr::Negate { expr: Box::new(bound.expr), ty: bound.ty }, bound.ty)),
            },
            UnaryOperator::Minus if bound.ty == Type::Interval => self.call_bound("-", vec![bound]),
            UnaryOperator::Minus | UnaryOperator::Plus => {
                Err(no_operator(&format!("{op} {}", bound.ty)).hint(
                    "No operator matches the given name and argument type. You might need to add an explicit type cast.",
                ))
            }
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
        if let Some(comparison) = comparison_of(op) {
            return Ok(typed(self.comparison(comparison, &op.to_string(), left, right, names)?, Type::Bool));
        }
        let arithmetic = match op {
            BinaryOperator::And | BinaryOperator::Or => {
                let (word, join): (_, fn(_, _) -> _) =
                    if *op == BinaryOperator::And { ("AND", Expr::And) } else { ("OR", Expr::Or) };
                let (left, right) = (self.flag(left, names, word)?, self.flag(right, names, word)?);
                return Ok(typed(join(Box::new(left), Box::new(right)), Type::Bool));
            }
            BinaryOperator::StringConcat => return self.concat(left, right, names),
            BinaryOperator::Arrow => return self.call("->", &[left, right], names),
            BinaryOperator::LongArrow => return self.call("->>", &[left, right], names),
            BinaryOperator::PGRegexMatch => return self.regex(left, right, false, false, names),
            BinaryOperator::PGRegexIMatch => return self.regex(left, right, true, false, names),
            BinaryOperator::PGRegexNotMatch => return self.regex(left, right, false, true, names),
            BinaryOperator::PGRegexNotIMatch => return self.regex(left, right, true, true, names),
            BinaryOperator::PGLikeMatch => return self.like(left, right, false, false, names),
            BinaryOperator::PGILikeMatch => return self.like(left, right, true, false, names),
            BinaryOperator::PGNotLikeMatch => return self.like(left, right, false, true, names),
            BinaryOperator::PGNotILikeMatch => return self.like(left, right, true, true, names),
            BinaryOperator::PGCustomBinaryOperator(parts) => {
                let named = match parts.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
                    ["pg_catalog", name] | [name] => operator_named(name),
                    _ => None,
                };
                let named = named.ok_or_else(|| SqlError::unsupported(format!("the operator {op}")))?;
                return self.binary(left, &named, right, names);
            }
            BinaryOperator::Plus => Arithmetic::Add,
            BinaryOperator::Minus => Arithmetic::Subtract,
            BinaryOperator::Multiply => Arithmetic::Multiply,
            BinaryOperator::Divide => Arithmetic::Divide,
            BinaryOperator::Modulo => Arithmetic::Remainder,
            BinaryOperator::AtArrow => return self.call("@>", &[left, right], names),
            BinaryOperator::ArrowAt => return self.call("<@", &[left, right], names),
            BinaryOperator::HashArrow => return self.call("#>", &[left, right], names),
            BinaryOperator::HashLongArrow => return self.call("#>>", &[left, right], names),
            BinaryOperator::Question => return self.call("?", &[left, right], names),
            BinaryOperator::QuestionAnd => return self.call("?&", &[left, right], names),
            BinaryOperator::QuestionPipe => return self.call("?|", &[left, right], names),
            other => return Err(SqlError::unsupported(format!("the operator {other}"))),
        };
        let (left, right) = (self.expr(left, names)?, self.expr(right, names)?);
        if (left.ty, right.ty) == (Type::Unknown, Type::Unknown) {
            return Err(no_unique_operator(&format!("unknown {op} unknown")));
        }
        let number = |ty: Type| ty.is_number() || ty == Type::Unknown;
        if !number(left.ty) || !number(right.ty) {
            return self.call_bound(&op.to_string(), vec![left, right]);
        }
        let (left, right, ty) = self.unify(left, &op.to_string(), right)?;
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
        if let (Ast::Tuple(left), Ast::Tuple(right)) = (left, right) {
            return self.compare_rows(op, sign, left, right, names);
        }
        let (left, right, _) = self.unified(left, sign, right, names)?;
        Ok(Expr::Compare { op, left: Box::new(left), right: Box::new(right) })
    }

    /// Compares rows column by column (PostgreSQL 16 docs, §9.24.5).
    fn compare_rows(
        &mut self,
        op: Comparison,
        sign: &str,
        left: &[Ast],
        right: &[Ast],
        names: &Names<'_>,
    ) -> Result<Expr> {
        if left.len() != right.len() {
            return Err(SqlError::syntax("unequal number of entries in row expressions"));
        }
        let Some(((left_first, left), (right_first, right))) = left.split_first().zip(right.split_first())
        else {
            return Err(SqlError::unsupported("a comparison of empty rows"));
        };
        if left.is_empty() {
            return self.comparison(op, sign, left_first, right_first, names);
        }
        let (and, or) =
            (|a, b| Expr::And(Box::new(a), Box::new(b)), |a, b| Expr::Or(Box::new(a), Box::new(b)));
        let strict = match op {
            Comparison::Equal | Comparison::NotEqual => {
                let first = self.comparison(op, sign, left_first, right_first, names)?;
                let rest = self.compare_rows(op, sign, left, right, names)?;
                return Ok(if op == Comparison::Equal { and(first, rest) } else { or(first, rest) });
            }
            Comparison::Greater | Comparison::GreaterOrEqual => Comparison::Greater,
            Comparison::Less | Comparison::LessOrEqual => Comparison::Less,
        };
        let decides = self.comparison(strict, sign, left_first, right_first, names)?;
        let ties = self.comparison(Comparison::Equal, sign, left_first, right_first, names)?;
        let rest = self.compare_rows(op, sign, left, right, names)?;
        Ok(or(decides, and(ties, rest)))
    }

    pub(super) fn regex(
        &mut self,
        expr: &Ast,
        pattern: &Ast,
        any_case: bool,
        negated: bool,
        names: &Names<'_>,
    ) -> Result<Typed> {
        let sign = match (any_case, negated) {
            (false, false) => "~",
            (false, true) => "!~",
            (true, false) => "~*",
            (true, true) => "!~*",
        };
        let (expr, pattern) = self.texts(expr, sign, pattern, names)?;
        Ok(typed(
            Expr::Regex { expr: Box::new(expr), pattern: Box::new(pattern), any_case, negated },
            Type::Bool,
        ))
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
        self.unify(left, sign, right)
    }

    /// [`Binder::unified`] for expressions that are bound already.
    pub(super) fn unify(&mut self, left: Typed, sign: &str, right: Typed) -> Result<(Expr, Expr, Type)> {
        let ty = common_type(left.ty, right.ty)
            .ok_or_else(|| no_operator(&format!("{} {sign} {}", left.ty, right.ty)))?;
        Ok((self.coerce(left, ty)?.expr, self.coerce(right, ty)?.expr, ty))
    }

    /// Binds several expressions of one common type, as `CASE` and `coalesce` need them. Its modifier is theirs if all have
    /// the same.
    pub(super) fn alike(
        &mut self,
        exprs: Vec<Typed>,
        construct: &str,
    ) -> Result<(Vec<Expr>, Type, Modifier)> {
        let mut ty = Type::Unknown;
        for bound in exprs.iter().filter(|bound| bound.ty != Type::Unknown) {
            ty = result_type(ty, bound.ty).ok_or_else(|| {
                SqlError::new(
                    state::DATATYPE_MISMATCH,
                    format!("{construct} types {ty} and {} cannot be matched", bound.ty),
                )
                .at(bound.place.clone())
            })?;
        }
        let ty = if ty == Type::Unknown { Type::Text } else { ty };
        let modifier = exprs.first().map_or(Modifier::None, |first| first.modifier);
        let all_alike = exprs.iter().all(|bound| bound.ty == ty && bound.modifier == modifier);
        let modifier = if all_alike { modifier } else { Modifier::None };
        let exprs = exprs.into_iter().map(|bound| Ok(self.coerce(bound, ty)?.expr)).collect::<Result<_>>()?;
        Ok((exprs, ty, modifier))
    }

    /// `nullif`: a comparison that answers with its left side, which keeps its type unless the comparison needs another.
    pub(super) fn null_if(&mut self, left: Typed, right: Typed) -> Result<Typed> {
        let kept = left.ty.is_number() && right.ty.is_number() && !is_wider(right.ty, left.ty)
            || left.ty == right.ty
            || right.ty == Type::Unknown;
        let (own, modifier) = (left.ty, if kept { left.modifier } else { Modifier::None });
        let place = right.place.clone();
        let (left, right, ty) = self.unify(left, "=", right)?;
        let ty = match own {
            // Integers of different widths compare as they are.
            own if own.is_integer() && ty.is_integer() => own,
            _ => ty,
        };
        let expr = Expr::NullIf(Box::new(left), Box::new(right));
        Ok(Typed { modifier, place, ..typed(expr, ty) })
    }

    pub(super) fn in_list(
        &mut self,
        expr: &Ast,
        list: &[Ast],
        negated: bool,
        names: &Names<'_>,
    ) -> Result<Typed> {
        if let Ast::Tuple(_) = expr {
            // Rows are compared one after the other.
            let mut tests = Vec::with_capacity(list.len());
            for item in list {
                tests.push(self.comparison(Comparison::Equal, "=", expr, item, names)?);
            }
            let any = tests.into_iter().reduce(|a, b| Expr::Or(Box::new(a), Box::new(b)));
            let any = any.unwrap_or(Expr::Const(Value::Bool(false)));
            return Ok(typed(if negated { Expr::Not(Box::new(any)) } else { any }, Type::Bool));
        }
        let mut exprs = vec![self.expr(expr, names)?];
        for item in list {
            exprs.push(self.expr(item, names)?);
        }
        let first = exprs[0].ty;
        let other = exprs[1..].iter().map(|bound| bound.ty).find(|ty| result_type(first, *ty).is_none());
        if let Some(other) = other {
            return Err(no_operator(&format!("{first} = {other}")));
        }
        let (mut exprs, ..) = self.alike(exprs, "IN")?;
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
        let sign = match (any_case, negated) {
            (false, false) => "~~",
            (false, true) => "!~~",
            (true, false) => "~~*",
            (true, true) => "!~~*",
        };
        let (expr, pattern) = self.texts(expr, sign, pattern, names)?;
        Ok(typed(
            Expr::Like { expr: Box::new(expr), pattern: Box::new(pattern), any_case, negated },
            Type::Bool,
        ))
    }

    /// Both sides of an operator that takes texts only.
    fn texts(&mut self, left: &Ast, sign: &str, right: &Ast, names: &Names<'_>) -> Result<(Expr, Expr)> {
        let (left, right) = (self.expr(left, names)?, self.expr(right, names)?);
        let text = |ty: Type| ty.is_string() || ty == Type::Unknown;
        if !text(left.ty) || !text(right.ty) {
            return Err(no_operator(&format!("{} {sign} {}", left.ty, right.ty)));
        }
        Ok((self.coerce(left, Type::Text)?.expr, self.coerce(right, Type::Text)?.expr))
    }

    fn concat(&mut self, left: &Ast, right: &Ast, names: &Names<'_>) -> Result<Typed> {
        let (left, right) = (self.expr(left, names)?, self.expr(right, names)?);
        if matches!(left.ty, Type::Array(_) | Type::Jsonb) && !right.ty.is_string()
            || matches!(left.ty, Type::Array(&Type::Text))
        {
            return self.call_bound("||", vec![left, right]);
        }
        if !left.ty.is_string()
            && !right.ty.is_string()
            && left.ty != Type::Unknown
            && right.ty != Type::Unknown
        {
            return self.call_bound("||", vec![left, right]);
        }
        let left = self.cast(left, Type::Text, Modifier::None, Context::Explicit)?.expr;
        let right = self.cast(right, Type::Text, Modifier::None, Context::Explicit)?.expr;
        Ok(typed(Expr::Concat(Box::new(left), Box::new(right)), Type::Text))
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
                None => self.flag(condition, names, "CASE/WHEN")?,
            });
            results.push(self.expr(result, names)?);
        }
        results.push(match otherwise {
            Some(otherwise) => self.expr(otherwise, names)?,
            None => typed(Expr::Const(Value::Null), Type::Unknown),
        });
        // PostgreSQL looks at the `ELSE` first.
        results.rotate_right(1);
        let (results, ty, modifier) = self.alike(results, "CASE")?;
        let mut results = results.into_iter();
        let otherwise = results.next().map(Box::new);
        let expr = Expr::Case { branches: tests.into_iter().zip(results).collect(), otherwise };
        Ok(Typed { modifier, ..typed(expr, ty) })
    }
}

pub(super) fn comparison_of(op: &BinaryOperator) -> Option<Comparison> {
    Some(match op {
        BinaryOperator::Eq => Comparison::Equal,
        BinaryOperator::NotEq => Comparison::NotEqual,
        BinaryOperator::Lt => Comparison::Less,
        BinaryOperator::LtEq => Comparison::LessOrEqual,
        BinaryOperator::Gt => Comparison::Greater,
        BinaryOperator::GtEq => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

/// The operator inside `OPERATOR(…)`.
fn operator_named(name: &str) -> Option<BinaryOperator> {
    Some(match name {
        "=" => BinaryOperator::Eq,
        "<>" => BinaryOperator::NotEq,
        "<" => BinaryOperator::Lt,
        "<=" => BinaryOperator::LtEq,
        ">" => BinaryOperator::Gt,
        ">=" => BinaryOperator::GtEq,
        "+" => BinaryOperator::Plus,
        "-" => BinaryOperator::Minus,
        "||" => BinaryOperator::StringConcat,
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        _ => return None,
    })
}

/// The type in which two expressions meet (PostgreSQL 16 docs, §10.5).
pub(super) fn common_type(a: Type, b: Type) -> Option<Type> {
    match (a, b) {
        (Type::Unknown, Type::Unknown) => Some(Type::Text),
        (Type::Unknown, ty) | (ty, Type::Unknown) => Some(ty),
        (a, b) if a.is_string() && b.is_string() => Some(Type::Text),
        (a, b) if cast::allowed(a, b) == Some(Context::Implicit) => Some(b),
        (a, b) if cast::allowed(b, a) == Some(Context::Implicit) => Some(a),
        _ => None,
    }
}

/// The type of what is either one or the other expression (PostgreSQL 16 docs, §10.5): the first unless only it converts.
pub(super) fn result_type(a: Type, b: Type) -> Option<Type> {
    if a.is_string() && b.is_string() { Some(a) } else { common_type(a, b) }
}

fn is_wider(a: Type, b: Type) -> bool {
    a != b && !(a.is_integer() && b.is_integer()) && common_type(a, b) == Some(a)
}

pub(super) fn no_unique_operator(operator: &str) -> Box<SqlError> {
    SqlError::new(state::AMBIGUOUS_FUNCTION, format!("operator is not unique: {operator}"))
        .hint("Could not choose a best candidate operator. You might need to add explicit type casts.")
}

pub(super) fn no_operator(operator: &str) -> Box<SqlError> {
    SqlError::new(state::UNDEFINED_FUNCTION, format!("operator does not exist: {operator}")).hint(
        "No operator matches the given name and argument types. You might need to add explicit type casts.",
    )
}

/// Whether it is a number as it was written, with any signs before it.
fn is_literal(ast: &Ast) -> bool {
    match ast {
        // With an exponent it is no integer, whatever its value.
        Ast::Value(value) => !value.to_string().contains(['e', 'E']),
        Ast::Nested(inner) | Ast::UnaryOp { op: UnaryOperator::Minus, expr: inner } => is_literal(inner),
        _ => false,
    }
}
