//! Binds expressions: what a name means, which type everything has, which conversions apply.

use sqlparser::ast::{Expr as Ast, Value as Literal};

use super::{fold, types::data_type};
use crate::{
    data::{Modifier, Type, Value, cast, cast::Context, numeric},
    error::{Result, SqlError, state},
    sql::plan::{Aggregate, Comparison, Expr},
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
    Typed { expr, ty, modifier: Modifier::None }
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
        self.params.into_iter().map(|ty| if ty == Type::Unknown { Type::Text } else { ty }).collect()
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
        if cast::allowed(bound.ty, ty).is_none_or(|context| context > Context::Assignment) {
            return Err(SqlError::new(
                state::DATATYPE_MISMATCH,
                format!("column \"{}\" is of type {ty} but expression is of type {}", target.name, bound.ty),
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
        if bound.ty == Type::Unknown { self.coerce(bound, Type::Text) } else { Ok(bound) }
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

    pub(super) fn cast(
        &mut self,
        bound: Typed,
        to: Type,
        modifier: Modifier,
        context: Context,
    ) -> Result<Typed> {
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
            expr => Expr::Cast { expr: Box::new(expr), from, to, modifier, context },
        };
        Ok(Typed { expr, ty: to, modifier })
    }

    /// Binds any expression.
    pub(super) fn expr(&mut self, ast: &Ast, names: &Names<'_>) -> Result<Typed> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(SqlError::new(state::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded"));
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
            Ast::Cast { expr, data_type: ty, .. } => {
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
            Ast::Between { expr, negated, low, high } => {
                let low = self.comparison(Comparison::GreaterOrEqual, ">=", expr, low, names)?;
                let high = self.comparison(Comparison::LessOrEqual, "<=", expr, high, names)?;
                let within = Expr::And(Box::new(low), Box::new(high));
                typed(if *negated { Expr::Not(Box::new(within)) } else { within }, Type::Bool)
            }
            Ast::Like { negated, any: false, expr, pattern, escape_char: None } => {
                self.like(expr, pattern, false, *negated, names)?
            }
            Ast::ILike { negated, any: false, expr, pattern, escape_char: None } => {
                self.like(expr, pattern, true, *negated, names)?
            }
            Ast::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref(), names)?
            }
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
                return Err(SqlError::unsupported(format!("the expression {}", excerpt(&other.to_string()))));
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
            Some(qualifier) => {
                SqlError::new(state::UNDEFINED_COLUMN, format!("column {qualifier}.{name} does not exist"))
            }
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
            expr: if excluded { Expr::Excluded(index) } else { Expr::Column(index) },
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
                return Err(SqlError::unsupported(format!("the literal {}", excerpt(&other.to_string()))));
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
}

/// Whether a value of one type is a value of the other as it stands.
fn same_form(from: Type, to: Type) -> bool {
    from == to || (from.is_string() && to.is_string()) || (from == Type::Int4 && to == Type::Int8)
}

pub(super) fn number(digits: &str) -> Result<Typed> {
    Ok(match digits.parse::<i64>() {
        Ok(value) => {
            let ty = if i32::try_from(value).is_ok() { Type::Int4 } else { Type::Int8 };
            typed(Expr::Const(Value::Int(value)), ty)
        }
        Err(_) => typed(Expr::Const(Value::Numeric(numeric::parse(digits)?)), Type::Numeric),
    })
}

fn missing_from(qualifier: &str) -> Box<SqlError> {
    SqlError::new(state::UNDEFINED_TABLE, format!("missing FROM-clause entry for table \"{qualifier}\""))
}

/// The beginning of a text, for messages.
fn excerpt(text: &str) -> String {
    text.chars().take(60).collect()
}
