//! Binds expressions: what a name means, which type everything has, which conversions apply.

use sqlparser::ast::{
    AccessExpr, CeilFloorKind, DateTimeField, Expr as Ast, Interval, Subscript, Value as Literal,
};

use super::{
    fold,
    from::Cte,
    names::Names,
    position::{location, start, type_place},
    types::{data_type, object_type},
};
use crate::{
    data::{Modifier, Type, Value, cast, cast::Context, numeric},
    error::{Place, Result, SqlError, state},
    sql::plan::{Aggregate, Comparison, Expr},
    store::{Catalog, Kind, Schema},
};

/// An expression and its type.
#[derive(Clone)]
pub(super) struct Typed {
    pub(super) expr: Expr,
    pub(super) ty: Type,
    pub(super) modifier: Modifier,
    /// Where it begins, if it is written down anywhere.
    pub(super) place: Option<Place>,
}

pub(super) fn typed(expr: Expr, ty: Type) -> Typed {
    Typed { expr, ty, modifier: Modifier::None, place: None }
}

/// The state of binding one statement.
pub(super) struct Binder<'a> {
    /// None where a statement may not refer to tables, as in the definition of one.
    catalog: Option<&'a Catalog<'a>>,
    /// The tables that the statement uses.
    tables: Vec<usize>,
    /// [`Type::Unknown`] until something decides.
    params: Vec<Type>,
    /// The queries of `WITH` that can be seen, the innermost last.
    pub(super) ctes: Vec<Cte>,
    /// Those of the query at hand.
    pub(super) aggregates: Vec<Aggregate>,
    /// Where aggregates are: allowed, or the clause that forbids them.
    pub(super) clause: Option<&'static str>,
    pub(super) inside_aggregate: bool,
    /// The same as `clause` for the queries around, the innermost last.
    pub(super) outer_clauses: Vec<Option<&'static str>>,
    /// The literals of the next `SELECT` keep their unknown type.
    pub(super) unsettled: bool,
    /// What PostgreSQL finds only when it plans a statement that is sound as such.
    late: Option<Box<SqlError>>,
    subqueries: usize,
    /// The function that changes a sequence, if one is called.
    pub(super) draws: Option<&'static str>,
    depth: usize,
}

/// Nesting of one expression; deeper would endanger the stack.
const MAX_DEPTH: usize = 250;
/// Parameters of one statement: the protocol counts them in 16 bits.
const MAX_PARAMS: usize = 65_535;

impl<'a> Binder<'a> {
    pub(super) fn new(declared: &[u32], catalog: Option<&'a Catalog<'a>>) -> Result<Self> {
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
            catalog,
            tables: Vec::new(),
            params,
            ctes: Vec::new(),
            aggregates: Vec::new(),
            clause: None,
            inside_aggregate: false,
            outer_clauses: Vec::new(),
            unsettled: false,
            late: None,
            subqueries: 0,
            draws: None,
            depth: 0,
        })
    }

    /// The types of the parameters, the tables used, and what planning finds.
    pub(super) fn finish(self) -> (Vec<Type>, Box<[usize]>, Option<Box<SqlError>>) {
        let settled = |ty| if ty == Type::Unknown { Type::Text } else { ty };
        let late = self.late.map(SqlError::nowhere);
        (self.params.into_iter().map(settled).collect(), self.tables.into(), late)
    }

    /// Computes constants; what fails is reported when nothing else is wrong. The definition of a table stays as it is written.
    pub(super) fn folded(&mut self, mut expr: Expr) -> Expr {
        if self.catalog.is_some()
            && let Err(error) = expr.fold()
        {
            self.late.get_or_insert(error);
        }
        expr
    }

    /// Remembers an error of rewriting, which comes between analysis and planning.
    pub(super) fn rewriting_fails(&mut self, error: Box<SqlError>) {
        self.late = Some(error);
    }

    /// The number of a table, which the statement uses from now on.
    pub(super) fn find_table(&mut self, name: &str) -> Result<usize> {
        let number = self.find_relation(name)?;
        match self.schema(number)?.kind {
            Kind::Table => Ok(number),
            _ => Err(SqlError::new(state::WRONG_OBJECT_TYPE, format!("\"{name}\" is not a table"))),
        }
    }

    /// The number of a table whose rows the statement changes.
    pub(super) fn find_changed(&mut self, name: &str) -> Result<usize> {
        let number = self.find_relation(name)?;
        match &self.schema(number)?.kind {
            Kind::Table => Ok(number),
            kind => {
                let message = format!("cannot change {} \"{name}\"", kind.name());
                Err(SqlError::new(state::WRONG_OBJECT_TYPE, message))
            }
        }
    }

    /// The number of anything that has rows, which the statement uses from now on.
    pub(super) fn find_relation(&mut self, name: &str) -> Result<usize> {
        let table = self.catalog()?.find(name)?;
        if !self.tables.contains(&table) {
            self.tables.push(table);
        }
        Ok(table)
    }

    pub(super) fn schema(&self, table: usize) -> Result<&'a Schema> {
        Ok(self.catalog()?.schema(table))
    }

    pub(super) fn catalog(&self) -> Result<&'a Catalog<'a>> {
        self.catalog.ok_or_else(|| SqlError::unsupported("a subquery in the definition of a table"))
    }

    /// Binds a query inside the one at hand.
    pub(super) fn nested<T>(&mut self, bind: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(SqlError::new(state::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded"));
        }
        let aggregates = std::mem::take(&mut self.aggregates);
        let clause = self.clause.take();
        self.outer_clauses.push(clause);
        let inside_aggregate = std::mem::take(&mut self.inside_aggregate);
        let bound = bind(self);
        (self.aggregates, self.clause, self.inside_aggregate) = (aggregates, clause, inside_aggregate);
        self.outer_clauses.pop();
        self.depth -= 1;
        bound
    }

    /// A number for a new subquery.
    pub(super) fn next_subquery(&mut self) -> usize {
        self.subqueries += 1;
        self.subqueries
    }

    /// Binds a condition of `clause`, where aggregates are not allowed.
    pub(super) fn condition(&mut self, ast: &Ast, names: &Names<'_>, clause: &'static str) -> Result<Expr> {
        let outer = self.clause.replace(clause);
        let bound = self.truth(ast, names, clause);
        self.clause = outer;
        bound
    }

    /// Binds an expression that must be a truth value.
    pub(super) fn truth(&mut self, ast: &Ast, names: &Names<'_>, clause: &str) -> Result<Expr> {
        let condition = self.flag(ast, names, clause)?;
        Ok(self.folded(condition))
    }

    /// Binds the argument of a `construct` that takes a truth value.
    pub(super) fn flag(&mut self, ast: &Ast, names: &Names<'_>, construct: &str) -> Result<Expr> {
        let bound = self.expr(ast, names)?;
        if !matches!(bound.ty, Type::Bool | Type::Unknown) {
            return Err(SqlError::new(
                state::DATATYPE_MISMATCH,
                format!("argument of {construct} must be type boolean, not type {}", bound.ty),
            )
            .at(bound.place));
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
        clause: &'static str,
    ) -> Result<Expr> {
        let target = &schema.columns[column];
        if is_default(ast) {
            return Ok(target.default.clone().unwrap_or(Expr::Const(Value::Null)));
        }
        let bound = self.scalar(ast, names, clause)?;
        self.stored(bound, schema, column)
    }

    /// Converts a value for column `column` of `schema`.
    pub(super) fn stored(&mut self, bound: Typed, schema: &Schema, column: usize) -> Result<Expr> {
        let target = &schema.columns[column];
        let (ty, modifier) = (target.ty, target.modifier);
        if cast::allowed(bound.ty, ty).is_none_or(|context| context > Context::Assignment) {
            return Err(SqlError::new(
                state::DATATYPE_MISMATCH,
                format!("column \"{}\" is of type {ty} but expression is of type {}", target.name, bound.ty),
            )
            .hint("You will need to rewrite or cast the expression.")
            .at(bound.place));
        }
        if bound.ty == ty && bound.modifier == modifier && !matches!(bound.expr, Expr::Const(_)) {
            return Ok(self.folded(bound.expr));
        }
        let stored = self.cast(bound, ty, modifier, Context::Assignment)?.expr;
        Ok(self.folded(stored))
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
            )
            .at(bound.place)),
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
        let place = bound.place;
        let expr = match bound.expr {
            // A literal is read at once; whether it fits is another question.
            Expr::Const(value) if bound.ty == Type::Unknown && self.catalog.is_some() => {
                let value = cast::convert(value, from, to, Modifier::None, context)
                    .map_err(|error| error.at(place.clone()))?;
                if modifier == Modifier::None || value.is_null() {
                    Expr::Const(value)
                } else {
                    Expr::Cast { expr: Box::new(Expr::Const(value)), from: to, to, modifier, context }
                }
            }
            // A definition shows constants in the type that they have there.
            Expr::Const(value) if self.catalog.is_none() => {
                Expr::Const(cast::convert(value, from, to, modifier, context)?)
            }
            expr if modifier == Modifier::None && same_form(from, to) => expr,
            expr => Expr::Cast { expr: Box::new(expr), from, to, modifier, context },
        };
        Ok(Typed { expr, ty: to, modifier, place })
    }

    /// Binds any expression.
    pub(super) fn expr(&mut self, ast: &Ast, names: &Names<'_>) -> Result<Typed> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(SqlError::new(state::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded"));
        }
        let bound = self.expr_at_depth(ast, names);
        self.depth -= 1;
        match bound {
            Ok(bound) => Ok(Typed { place: start(ast), ..bound }),
            Err(error) => Err(error.at_with(|| location(ast))),
        }
    }

    fn expr_at_depth(&mut self, ast: &Ast, names: &Names<'_>) -> Result<Typed> {
        Ok(match ast {
            Ast::Nested(inner) => self.expr(inner, names)?,
            Ast::Identifier(ident) => names.column(None, &fold(ident))?,
            Ast::CompoundIdentifier(parts) => match parts.as_slice() {
                [qualifier, column] => names.column(Some(&fold(qualifier)), &fold(column))?,
                [schema, qualifier, column] if matches!(fold(schema).as_str(), "public" | "pg_catalog") => {
                    names.column(Some(&fold(qualifier)), &fold(column))?
                }
                _ => return Err(SqlError::unsupported(format!("the qualified name {ast}"))),
            },
            Ast::Value(value) => self.literal(&value.value)?,
            Ast::CompoundFieldAccess { root, access_chain } => match access_chain.as_slice() {
                [AccessExpr::Subscript(Subscript::Index { index })] => {
                    self.call("[]", &[root, index], names)?
                }
                _ => {
                    return Err(SqlError::unsupported(format!(
                        "the expression {}",
                        excerpt(&ast.to_string())
                    )));
                }
            },
            Ast::Cast { expr, data_type: ty, .. } => {
                if let Some(ty) = object_type(ty) {
                    return self.call(ty.internal_name(), &[expr], names);
                }
                let (ty, modifier) = data_type(ty).map_err(|error| error.at(type_place(ast)))?;
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
                let mut literal = self.literal(&string.value.value)?;
                literal.place = start(ast);
                self.cast(literal, ty, modifier, Context::Explicit)?
            }
            Ast::Subquery(query) => self.scalar_subquery(query, names)?,
            Ast::Exists { subquery, negated } => self.exists(subquery, *negated, names)?,
            Ast::InSubquery { expr, subquery, negated } => {
                self.in_subquery(expr, subquery, *negated, names)?
            }
            Ast::AnyOp { left, compare_op, right, .. } => {
                self.quantified(left, compare_op, right, false, names)?
            }
            Ast::AllOp { left, compare_op, right } => {
                self.quantified(left, compare_op, right, true, names)?
            }
            Ast::Interval(interval) => self.interval(interval, names)?,
            Ast::Array(array) => self.array(array, names)?,
            Ast::Collate { expr, collation } => self.collate(expr, collation, names)?,
            Ast::Extract { field, expr, .. } => self.extract(field, expr, names)?,
            Ast::Ceil { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
                self.call("ceil", &[expr], names)?
            }
            Ast::Floor { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
                self.call("floor", &[expr], names)?
            }
            Ast::Position { expr, r#in } => self.call("strpos", &[r#in, expr], names)?,
            Ast::Substring { expr, substring_from, substring_for, .. } => {
                self.substring(expr, substring_from.as_deref(), substring_for.as_deref(), names)?
            }
            Ast::Trim { trim_where, trim_what, expr, trim_characters: None } => {
                self.trim(*trim_where, trim_what.as_deref(), expr, names)?
            }
            other => {
                return Err(SqlError::unsupported(format!("the expression {}", excerpt(&other.to_string()))));
            }
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

    /// `INTERVAL '5 minutes'` and `INTERVAL '5' MINUTE`.
    fn interval(&mut self, interval: &Interval, names: &Names<'_>) -> Result<Typed> {
        let mut value = self.expr(&interval.value, names)?;
        let plain = interval.leading_precision.is_none()
            && interval.last_field.is_none()
            && interval.fractional_seconds_precision.is_none();
        match (&mut value.expr, &interval.leading_field) {
            (_, None) if plain => {}
            (Expr::Const(Value::Text(text)), Some(unit)) if plain => *text = format!("{text} {unit}").into(),
            _ => return Err(SqlError::unsupported("this form of INTERVAL")),
        }
        self.cast(value, Type::Interval, Modifier::None, Context::Explicit)
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

/// Whether a value is the word `DEFAULT`.
pub(super) fn is_default(ast: &Ast) -> bool {
    matches!(ast, Ast::Identifier(ident) if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default"))
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

/// The beginning of a text, for messages.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(60).collect()
}
