//! Binds expressions: what a name means, which type everything has, which conversions apply.

use sqlparser::ast::{BinaryOperator, CaseWhen, Expr as Ast, UnaryOperator, Value as Literal};

use super::{fold, types::data_type};
use crate::{
    data::{Modifier, Type, Value, cast, cast::Context, numeric, text},
    error::{Result, SqlError, state},
    sql::plan::{Aggregate, Arithmetic, Comparison, Expr},
    store::Schema,
};

/// What names may stand for at one place of a statement.
#[derive(Clone, Copy, Default)]
pub(super) struct Names<'a> {
    pub(super) schema: Option<&'a Schema>,
    pub(super) qualifier: &'a str,
    /// `excluded.column` is allowed.
    pub(super) excluded: bool,
}

/// An expression and its type.
#[derive(Clone)]
pub(super) struct Typed {
    pub(super) expr: Expr,
    pub(super) ty: Type,
    pub(super) modifier: Modifier,
}

pub(super) fn typed(expr: Expr, ty: Type) -> Typed {
    Typed {
        expr,
        ty,
        modifier: Modifier::None,
    }
}

/// The state of binding one statement.
pub(super) struct Binder {
    /// [`Type::Unknown`] until something decides.
    params: Vec<Type>,
    pub(super) aggregates: Vec<Aggregate>,
    /// Where aggregates are: allowed, or the clause that forbids them.
    pub(super) clause: Option<&'static str>,
    pub(super) inside_aggregate: bool,
    /// The first column used outside an aggregate.
    plain_column: Option<String>,
    depth: usize,
}

/// Nesting of one expression; deeper would endanger the stack.
const MAX_DEPTH: usize = 250;
/// Parameters of one statement: the protocol counts them in 16 bits.
const MAX_PARAMS: usize = 65_535;

impl Binder {
    pub(super) fn new(declared: &[u32]) -> Result<Self> {
        let params = declared
            .iter()
            .map(|oid| match oid {
                0 => Ok(Type::Unknown),
                oid => Type::from_oid(*oid).ok_or_else(|| {
                    SqlError::unsupported(format!("a parameter of the type with object id {oid}"))
                }),
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            params,
            aggregates: Vec::new(),
            clause: None,
            inside_aggregate: false,
            plain_column: None,
            depth: 0,
        })
    }

    pub(super) fn into_params(self) -> Vec<Type> {
        self.params
            .into_iter()
            .map(|ty| if ty == Type::Unknown { Type::Text } else { ty })
            .collect()
    }

    /// The aggregates met so far, once no plain column stands beside them.
    pub(super) fn take_aggregates(&mut self, qualifier: &str) -> Result<Vec<Aggregate>> {
        match &self.plain_column {
            Some(column) if !self.aggregates.is_empty() => Err(SqlError::new(
                state::GROUPING_ERROR,
                format!(
                    "column \"{qualifier}.{column}\" must appear in the GROUP BY clause or be used in an aggregate function"
                ),
            )),
            _ => Ok(std::mem::take(&mut self.aggregates)),
        }
    }

    /// Remembers that a column was used as such.
    pub(super) fn note_column(&mut self, names: &Names<'_>, index: usize) {
        if !self.inside_aggregate && self.plain_column.is_none() && self.clause.is_none() {
            self.plain_column = names.schema.map(|schema| schema.columns[index].name.clone());
        }
    }

    /// Binds a condition of `clause`, where aggregates are not allowed.
    pub(super) fn condition(&mut self, ast: &Ast, names: &Names<'_>, clause: &'static str) -> Result<Expr> {
        let bound = self.scalar(ast, names, clause)?;
        if !matches!(bound.ty, Type::Bool | Type::Unknown) {
            return Err(SqlError::new(
                state::DATATYPE_MISMATCH,
                format!("argument of {clause} must be type boolean, not type {}", bound.ty),
            ));
        }
        Ok(self.coerce(bound, Type::Bool)?.expr)
    }

    /// Binds an expression of `clause`, where aggregates are not allowed.
    pub(super) fn scalar(&mut self, ast: &Ast, names: &Names<'_>, clause: &'static str) -> Result<Typed> {
        let outer = self.clause.replace(clause);
        let bound = self.expr(ast, names);
        self.clause = outer;
        bound
    }

    /// Binds a value that is stored into column `column` of `schema`.
    pub(super) fn assigned(
        &mut self,
        ast: &Ast,
        names: &Names<'_>,
        schema: &Schema,
        column: usize,
    ) -> Result<Expr> {
        let target = &schema.columns[column];
        if matches!(ast, Ast::Identifier(ident) if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default"))
        {
            return Ok(target.default.clone().unwrap_or(Expr::Const(Value::Null)));
        }
        let bound = self.scalar(ast, names, "VALUES")?;
        let (ty, modifier) = (target.ty, target.modifier);
        if !cast::allowed(bound.ty, ty).is_some_and(|context| context <= Context::Assignment) {
            return Err(SqlError::new(
                state::DATATYPE_MISMATCH,
                format!(
                    "column \"{}\" is of type {ty} but expression is of type {}",
                    target.name, bound.ty
                ),
            )
            .hint("You will need to rewrite or cast the expression."));
        }
        if bound.ty == ty && bound.modifier == modifier && !matches!(bound.expr, Expr::Const(_)) {
            return Ok(bound.expr);
        }
        Ok(self.cast(bound, ty, modifier, Context::Assignment)?.expr)
    }

    /// Gives a literal or parameter that nothing else decided the type text.
    pub(super) fn settle(&mut self, bound: Typed) -> Result<Typed> {
        if bound.ty == Type::Unknown {
            self.coerce(bound, Type::Text)
        } else {
            Ok(bound)
        }
    }

    /// Converts implicitly.
    pub(super) fn coerce(&mut self, bound: Typed, to: Type) -> Result<Typed> {
        match cast::allowed(bound.ty, to) {
            Some(Context::Implicit) => self.cast(bound, to, Modifier::None, Context::Implicit),
            _ => Err(SqlError::new(
                state::DATATYPE_MISMATCH,
                format!("an expression of type {} cannot be used as {to}", bound.ty),
            )),
        }
    }

    fn cast(&mut self, bound: Typed, to: Type, modifier: Modifier, context: Context) -> Result<Typed> {
        let mut from = bound.ty;
        if from == Type::Unknown {
            if let Expr::Param(index) = bound.expr {
                // The first use decides; a later one sees the type in `params`.
                if self.params[index] == Type::Unknown {
                    self.params[index] = to;
                }
                from = self.params[index];
            } else {
                from = Type::Text;
            }
        }
        let expr = match bound.expr {
            Expr::Const(value) => Expr::Const(cast::convert(value, from, to, modifier, context)?),
            expr if modifier == Modifier::None && same_form(from, to) => expr,
            expr => Expr::Cast {
                expr: Box::new(expr),
                from,
                to,
                modifier,
                context,
            },
        };
        Ok(Typed {
            expr,
            ty: to,
            modifier,
        })
    }

    /// Binds any expression.
    pub(super) fn expr(&mut self, ast: &Ast, names: &Names<'_>) -> Result<Typed> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(SqlError::new(
                state::STATEMENT_TOO_COMPLEX,
                "stack depth limit exceeded",
            ));
        }
        let bound = self.expr_at_depth(ast, names);
        self.depth -= 1;
        bound
    }

    fn expr_at_depth(&mut self, ast: &Ast, names: &Names<'_>) -> Result<Typed> {
        Ok(match ast {
            Ast::Nested(inner) => self.expr(inner, names)?,
            Ast::Identifier(ident) => self.column(None, &fold(ident), names)?,
            Ast::CompoundIdentifier(parts) => match parts.as_slice() {
                [qualifier, column] => self.column(Some(&fold(qualifier)), &fold(column), names)?,
                _ => return Err(SqlError::unsupported(format!("the qualified name {ast}"))),
            },
            Ast::Value(value) => self.literal(&value.value)?,
            Ast::Cast {
                expr, data_type: ty, ..
            } => {
                let (ty, modifier) = data_type(ty)?;
                let bound = self.expr(expr, names)?;
                if cast::allowed(bound.ty, ty).is_none() {
                    return Err(SqlError::new(
                        state::CANNOT_COERCE,
                        format!("cannot cast type {} to {ty}", bound.ty),
                    ));
                }
                self.cast(bound, ty, modifier, Context::Explicit)?
            }
            Ast::IsNull(expr) => self.is_null(expr, false, names)?,
            Ast::IsNotNull(expr) => self.is_null(expr, true, names)?,
            Ast::IsUnknown(expr) => self.is_null(expr, false, names)?,
            Ast::IsNotUnknown(expr) => self.is_null(expr, true, names)?,
            Ast::IsTrue(expr) => self.is(expr, true, false, names)?,
            Ast::IsNotTrue(expr) => self.is(expr, true, true, names)?,
            Ast::IsFalse(expr) => self.is(expr, false, false, names)?,
            Ast::IsNotFalse(expr) => self.is(expr, false, true, names)?,
            Ast::IsDistinctFrom(left, right) => self.distinct(left, right, false, names)?,
            Ast::IsNotDistinctFrom(left, right) => self.distinct(left, right, true, names)?,
            Ast::UnaryOp { op, expr } => self.unary(*op, expr, names)?,
            Ast::BinaryOp { left, op, right } => self.binary(left, op, right, names)?,
            Ast::InList { expr, list, negated } => self.in_list(expr, list, *negated, names)?,
            Ast::Between {
                expr,
                negated,
                low,
                high,
            } => {
                let low = self.comparison(Comparison::GreaterOrEqual, ">=", expr, low, names)?;
                let high = self.comparison(Comparison::LessOrEqual, "<=", expr, high, names)?;
                let within = Expr::And(Box::new(low), Box::new(high));
                typed(
                    if *negated {
                        Expr::Not(Box::new(within))
                    } else {
                        within
                    },
                    Type::Bool,
                )
            }
            Ast::Like {
                negated,
                any: false,
                expr,
                pattern,
                escape_char: None,
            } => self.like(expr, pattern, false, *negated, names)?,
            Ast::ILike {
                negated,
                any: false,
                expr,
                pattern,
                escape_char: None,
            } => self.like(expr, pattern, true, *negated, names)?,
            Ast::Case {
                operand,
                conditions,
                else_result,
                ..
            } => self.case(operand.as_deref(), conditions, else_result.as_deref(), names)?,
            Ast::Function(function) => self.function(function, names)?,
            Ast::TypedString(string) => {
                let (ty, modifier) = data_type(&string.data_type)?;
                let literal = self.literal(&string.value.value)?;
                self.cast(literal, ty, modifier, Context::Explicit)?
            }
            Ast::Subquery(_) | Ast::InSubquery { .. } | Ast::Exists { .. } => {
                return Err(SqlError::unsupported("a subquery"));
            }
            Ast::AnyOp { .. } | Ast::AllOp { .. } => return Err(SqlError::unsupported("ANY and ALL")),
            other => {
                return Err(SqlError::unsupported(format!(
                    "the expression {}",
                    excerpt(&other.to_string())
                )));
            }
        })
    }

    fn column(&mut self, qualifier: Option<&str>, name: &str, names: &Names<'_>) -> Result<Typed> {
        let excluded = names.excluded && qualifier == Some("excluded");
        let Some(schema) = names.schema else {
            return Err(match qualifier {
                Some(qualifier) => missing_from(qualifier),
                None => SqlError::no_column(name),
            });
        };
        if let Some(qualifier) = qualifier
            && !excluded
            && qualifier != names.qualifier
        {
            return Err(missing_from(qualifier));
        }
        let index = schema.column(name).ok_or_else(|| match qualifier {
            Some(qualifier) => SqlError::new(
                state::UNDEFINED_COLUMN,
                format!("column {qualifier}.{name} does not exist"),
            ),
            None => SqlError::no_column(name),
        })?;
        if names.excluded && qualifier.is_none() {
            return Err(SqlError::new(
                state::AMBIGUOUS_COLUMN,
                format!("column reference \"{name}\" is ambiguous"),
            ));
        }
        self.note_column(names, index);
        let column = &schema.columns[index];
        Ok(Typed {
            expr: if excluded {
                Expr::Excluded(index)
            } else {
                Expr::Column(index)
            },
            ty: column.ty,
            modifier: column.modifier,
        })
    }

    fn literal(&mut self, literal: &Literal) -> Result<Typed> {
        Ok(match literal {
            Literal::Null => typed(Expr::Const(Value::Null), Type::Unknown),
            Literal::Boolean(value) => typed(Expr::Const(Value::Bool(*value)), Type::Bool),
            Literal::SingleQuotedString(text)
            | Literal::EscapedStringLiteral(text)
            | Literal::UnicodeStringLiteral(text) => {
                typed(Expr::Const(Value::from(text.as_str())), Type::Unknown)
            }
            Literal::DollarQuotedString(text) => {
                typed(Expr::Const(Value::from(text.value.as_str())), Type::Unknown)
            }
            Literal::Number(digits, _) => number(digits)?,
            Literal::Placeholder(placeholder) => self.param(placeholder)?,
            other => {
                return Err(SqlError::unsupported(format!(
                    "the literal {}",
                    excerpt(&other.to_string())
                )));
            }
        })
    }

    fn param(&mut self, placeholder: &str) -> Result<Typed> {
        let index = placeholder
            .strip_prefix('$')
            .and_then(|digits| digits.parse::<usize>().ok())
            .filter(|number| (1..=MAX_PARAMS).contains(number))
            .ok_or_else(|| {
                SqlError::new(
                    state::UNDEFINED_PARAMETER,
                    format!("there is no parameter {}", excerpt(placeholder)),
                )
            })?
            - 1;
        if self.params.len() <= index {
            self.params.resize(index + 1, Type::Unknown);
        }
        Ok(typed(Expr::Param(index), self.params[index]))
    }

    fn is_null(&mut self, ast: &Ast, negated: bool, names: &Names<'_>) -> Result<Typed> {
        let expr = Box::new(self.expr(ast, names)?.expr);
        Ok(typed(Expr::IsNull { expr, negated }, Type::Bool))
    }

    fn is(&mut self, ast: &Ast, value: bool, negated: bool, names: &Names<'_>) -> Result<Typed> {
        let bound = self.expr(ast, names)?;
        let expr = Box::new(self.coerce(bound, Type::Bool)?.expr);
        Ok(typed(Expr::Is { expr, value, negated }, Type::Bool))
    }

    fn distinct(&mut self, left: &Ast, right: &Ast, negated: bool, names: &Names<'_>) -> Result<Typed> {
        let (left, right, _) = self.unified(left, "=", right, names)?;
        Ok(typed(
            Expr::Distinct {
                left: Box::new(left),
                right: Box::new(right),
                negated,
            },
            Type::Bool,
        ))
    }

    fn unary(&mut self, op: UnaryOperator, ast: &Ast, names: &Names<'_>) -> Result<Typed> {
        let bound = self.expr(ast, names)?;
        match op {
            UnaryOperator::Not => Ok(typed(
                Expr::Not(Box::new(self.coerce(bound, Type::Bool)?.expr)),
                Type::Bool,
            )),
            UnaryOperator::Plus if bound.ty.is_number() => Ok(bound),
            UnaryOperator::Minus if bound.ty.is_number() => {
                let (expr, ty) = (
                    Expr::Negate {
                        expr: Box::new(bound.expr),
                        ty: bound.ty,
                    },
                    bound.ty,
                );
                if let Expr::Negate { expr: inner, .. } = &expr
                    && let Expr::Const(value) = inner.as_ref()
                {
                    return number(&format!("-{}", text::show(value)));
                }
                Ok(typed(expr, ty))
            }
            UnaryOperator::Minus | UnaryOperator::Plus => Err(no_operator(&format!("{op} {}", bound.ty))),
            other => Err(SqlError::unsupported(format!("the operator {other}"))),
        }
    }

    fn binary(&mut self, left: &Ast, op: &BinaryOperator, right: &Ast, names: &Names<'_>) -> Result<Typed> {
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
            return Ok(typed(
                self.comparison(comparison, &op.to_string(), left, right, names)?,
                Type::Bool,
            ));
        }
        let arithmetic = match op {
            BinaryOperator::And | BinaryOperator::Or => {
                let (left, right) = (self.expr(left, names)?, self.expr(right, names)?);
                let (left, right) = (
                    self.coerce(left, Type::Bool)?.expr,
                    self.coerce(right, Type::Bool)?.expr,
                );
                let join = if *op == BinaryOperator::And {
                    Expr::And
                } else {
                    Expr::Or
                };
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
        Ok(typed(
            Expr::Arithmetic {
                op: arithmetic,
                ty,
                left: Box::new(left),
                right: Box::new(right),
            },
            ty,
        ))
    }

    fn comparison(
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
        Ok(Expr::Compare {
            op,
            left: Box::new(left),
            right: Box::new(right),
        })
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
        let exprs = exprs
            .into_iter()
            .map(|bound| Ok(self.coerce(bound, ty)?.expr))
            .collect::<Result<_>>()?;
        Ok((exprs, ty))
    }

    fn in_list(&mut self, expr: &Ast, list: &[Ast], negated: bool, names: &Names<'_>) -> Result<Typed> {
        let mut exprs = vec![self.expr(expr, names)?];
        for item in list {
            exprs.push(self.expr(item, names)?);
        }
        let (first, sample) = (
            exprs[0].ty,
            exprs.iter().map(|bound| bound.ty).find(|ty| *ty != exprs[0].ty),
        );
        let (mut exprs, _) = self
            .alike(exprs, "IN")
            .map_err(|_| no_operator(&format!("{first} = {}", sample.unwrap_or(first))))?;
        let expr = Box::new(exprs.remove(0));
        Ok(typed(
            Expr::In {
                expr,
                list: exprs,
                negated,
            },
            Type::Bool,
        ))
    }

    fn like(
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
            Expr::Like {
                expr: Box::new(expr),
                pattern: Box::new(pattern),
                any_case,
                negated,
            },
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
        let left = self
            .cast(left, Type::Text, Modifier::None, Context::Explicit)?
            .expr;
        let right = self
            .cast(right, Type::Text, Modifier::None, Context::Explicit)?
            .expr;
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
        Ok(typed(
            Expr::JsonGet {
                document: Box::new(document.expr),
                key: Box::new(key),
                as_text,
            },
            ty,
        ))
    }

    fn case(
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
        Ok(typed(
            Expr::Case {
                branches: tests.into_iter().zip(results).collect(),
                otherwise,
            },
            ty,
        ))
    }
}

/// Whether a value of one type is a value of the other as it stands.
fn same_form(from: Type, to: Type) -> bool {
    from == to || (from.is_string() && to.is_string()) || (from == Type::Int4 && to == Type::Int8)
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

fn number(digits: &str) -> Result<Typed> {
    Ok(match digits.parse::<i64>() {
        Ok(value) => {
            let ty = if i32::try_from(value).is_ok() {
                Type::Int4
            } else {
                Type::Int8
            };
            typed(Expr::Const(Value::Int(value)), ty)
        }
        Err(_) => typed(
            Expr::Const(Value::Numeric(numeric::parse(digits)?)),
            Type::Numeric,
        ),
    })
}

fn no_operator(operator: &str) -> Box<SqlError> {
    SqlError::new(
        state::UNDEFINED_FUNCTION,
        format!("operator does not exist: {operator}"),
    )
    .hint("No operator matches the given name and argument types. You might need to add explicit type casts.")
}

fn missing_from(qualifier: &str) -> Box<SqlError> {
    SqlError::new(
        state::UNDEFINED_TABLE,
        format!("missing FROM-clause entry for table \"{qualifier}\""),
    )
}

/// The beginning of a text, for messages.
fn excerpt(text: &str) -> String {
    text.chars().take(60).collect()
}
