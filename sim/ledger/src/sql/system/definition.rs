//! Definitions as SQL again, in the words of PostgreSQL's `ruleutils.c`.
//!
//! An expression is shown as it was bound: folded constants, `IN` as `= ANY`, implicit conversions of columns spelled out.
//! `CASE`, subqueries and row comparisons are refused with 0A000.

use super::object::quoted;
use crate::{
    data::{Type, Value, cast::Context, text},
    error::{Result, SqlError},
    sql::{
        draw::regclass_text,
        function::is_operator,
        plan::{Arithmetic, Comparison, Expr},
    },
    store::Schema,
};

/// `(a, b)`
pub(crate) fn key_columns(schema: &Schema, columns: &[usize]) -> String {
    let names: Vec<String> = columns.iter().map(|column| quoted(&schema.columns[*column].name)).collect();
    format!("({})", names.join(", "))
}

/// A column's default; none if it is null or that of an identity.
pub(super) fn default(schema: &Schema, column: usize, pretty: bool) -> Result<Option<String>> {
    let column = &schema.columns[column];
    if column.supply.as_ref().is_some_and(|supply| supply.identity.is_some()) {
        return Ok(None);
    }
    Ok(Some(match &column.default {
        None | Some(Expr::Const(Value::Null)) => return Ok(None),
        // The conversion to the column's type is implicit, and a number is shown as if it had none.
        Some(Expr::Const(Value::Numeric(number))) => number.normalize().to_string(),
        Some(Expr::Cast { expr, context: Context::Assignment, .. }) => {
            Writer { schema, pretty }.show(expr, column.ty)?.0
        }
        Some(expr) => Writer { schema, pretty }.show(expr, column.ty)?.0,
    }))
}

/// `CHECK (…)`
pub(crate) fn check(schema: &Schema, condition: &Expr, pretty: bool) -> Result<String> {
    let (shown, _) = Writer { schema, pretty }.show(condition, Type::Bool)?;
    Ok(format!("CHECK ({shown})"))
}

/// How an expression looks from outside, which decides where parentheses must be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    And,
    Or,
    Operator,
    Simple,
}

struct Writer<'a> {
    schema: &'a Schema,
    /// Only the parentheses that are needed.
    pretty: bool,
}

impl Writer<'_> {
    /// An expression that is used as a `ty`.
    fn show(&self, expr: &Expr, ty: Type) -> Result<(String, Kind)> {
        Ok(match expr {
            Expr::Const(value) => (self.constant(value, ty), Kind::Simple),
            Expr::Column(index) => (quoted(&self.schema.columns[*index].name), Kind::Simple),
            Expr::Now => ("now()".to_owned(), Kind::Simple),
            Expr::And(left, right) => {
                let sides = [self.part(left, Kind::And)?, self.part(right, Kind::And)?];
                self.operation(sides.join(" AND "), Kind::And)
            }
            Expr::Or(left, right) => {
                let sides = [self.part(left, Kind::Or)?, self.part(right, Kind::Or)?];
                self.operation(sides.join(" OR "), Kind::Or)
            }
            Expr::Not(inner) => {
                let inner = match self.show(inner, Type::Bool)? {
                    (inner, Kind::And | Kind::Or) if self.pretty => format!("({inner})"),
                    (inner, _) => inner,
                };
                self.operation(format!("NOT {inner}"), Kind::And)
            }
            Expr::IsNull { expr, negated } => {
                let test = if *negated { "IS NOT NULL" } else { "IS NULL" };
                self.operation(format!("{} {test}", self.operand(expr, Type::Text)?), Kind::Operator)
            }
            Expr::Compare { op, left, right } => self.binary(left, comparison(*op), right)?,
            Expr::Distinct { left, right, negated } => {
                self.binary(left, if *negated { "IS NOT DISTINCT FROM" } else { "IS DISTINCT FROM" }, right)?
            }
            Expr::Arithmetic { op, left, right, .. } => self.binary(left, arithmetic(*op), right)?,
            Expr::Concat(left, right) => self.binary(left, "||", right)?,
            Expr::Like { expr, pattern, any_case, negated } => {
                let op = match (negated, any_case) {
                    (false, false) => "~~",
                    (false, true) => "~~*",
                    (true, false) => "!~~",
                    (true, true) => "!~~*",
                };
                self.binary(expr, op, pattern)?
            }
            Expr::Regex { expr, pattern, any_case, negated } => {
                let op = match (negated, any_case) {
                    (false, false) => "~",
                    (false, true) => "~*",
                    (true, false) => "!~",
                    (true, true) => "!~*",
                };
                self.binary(expr, op, pattern)?
            }
            Expr::In { expr, list, negated } => self.any_of(expr, list, *negated)?,
            Expr::Cast { expr, to, .. } => (self.converted(self.operand(expr, *to)?, *to), Kind::Simple),
            Expr::Coalesce(args) => (format!("COALESCE({})", self.list(args, ty)?), Kind::Simple),
            Expr::Call { function, args } => match args.as_slice() {
                [name] if function.name == "nextval" && regclass_text(name).is_some() => {
                    let name = Value::from(regclass_text(name).unwrap_or_default());
                    (format!("nextval({})", self.constant(&name, Type::Regclass)), Kind::Simple)
                }
                [left, right] if is_operator(function.name) => self.binary(left, function.name, right)?,
                args => (format!("{}({})", function.name, self.list(args, Type::Text)?), Kind::Simple),
            },
            _ => return Err(SqlError::unsupported("showing this expression")),
        })
    }

    /// Something with an operator outermost.
    fn operation(&self, shown: String, kind: Kind) -> (String, Kind) {
        if self.pretty { (shown, kind) } else { (format!("({shown})"), kind) }
    }

    fn list(&self, args: &[Expr], ty: Type) -> Result<String> {
        let shown: Result<Vec<String>> = args
            .iter()
            .map(|arg| self.show(arg, self.type_of(arg).unwrap_or(ty)).map(|(shown, _)| shown))
            .collect();
        shown.map(|shown| shown.join(", "))
    }

    /// A side of `AND` or `OR`.
    fn part(&self, expr: &Expr, parent: Kind) -> Result<String> {
        let (shown, kind) = self.show(expr, Type::Bool)?;
        Ok(if self.pretty && kind == Kind::Or && parent == Kind::And { format!("({shown})") } else { shown })
    }

    /// A side of any other operator.
    fn operand(&self, expr: &Expr, ty: Type) -> Result<String> {
        let (shown, kind) = self.show(expr, ty)?;
        Ok(if self.pretty && kind != Kind::Simple { format!("({shown})") } else { shown })
    }

    fn binary(&self, left: &Expr, op: &str, right: &Expr) -> Result<(String, Kind)> {
        let ty = self.type_of(left).or(self.type_of(right)).unwrap_or(Type::Text);
        let sides = [self.side(left, ty)?, self.side(right, ty)?];
        Ok(self.operation(format!("{} {op} {}", sides[0], sides[1]), Kind::Operator))
    }

    /// A side of an operator; those of `text` take other strings only converted.
    fn side(&self, expr: &Expr, ty: Type) -> Result<String> {
        let shown = self.operand(expr, if ty == Type::Varchar { Type::Text } else { ty })?;
        Ok(match self.type_of(expr) {
            Some(Type::Varchar) => self.converted(shown, Type::Text),
            _ => shown,
        })
    }

    fn converted(&self, shown: String, ty: Type) -> String {
        if self.pretty { format!("{shown}::{ty}") } else { format!("({shown})::{ty}") }
    }

    /// A constant: a number as it is written, anything else as a string with its type.
    fn constant(&self, value: &Value, ty: Type) -> String {
        match value {
            Value::Null => format!("NULL::{ty}"),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) if (0..=i64::from(i32::MAX)).contains(value) => value.to_string(),
            Value::Int(value) if i32::try_from(*value).is_ok() => format!("'{value}'::integer"),
            Value::Int(value) => format!("'{value}'::bigint"),
            // A whole number was written as an integer and has been converted.
            Value::Numeric(value) if value.scale() == 0 && value.is_sign_positive() => {
                self.converted(value.to_string(), Type::Numeric)
            }
            Value::Numeric(value) if value.is_sign_positive() => value.to_string(),
            value => {
                format!("'{}'::{ty}", text::show(value).replace('\'', "''"))
            }
        }
    }

    fn any_of(&self, expr: &Expr, list: &[Expr], negated: bool) -> Result<(String, Kind)> {
        let ty = self.type_of(expr).unwrap_or(Type::Text);
        let left = self.side(expr, ty)?;
        let items: Vec<String> = list.iter().map(|item| self.operand(item, ty)).collect::<Result<_>>()?;
        let mut array = format!("ARRAY[{}]", items.join(", "));
        if ty == Type::Varchar {
            array = self.converted(array, Type::Text) + "[]";
        }
        let op = if negated { "<> ALL" } else { "= ANY" };
        Ok(self.operation(format!("{left} {op} ({array})"), Kind::Operator))
    }

    /// The type that an expression has by itself.
    fn type_of(&self, expr: &Expr) -> Option<Type> {
        match expr {
            Expr::Column(index) => Some(self.schema.columns[*index].ty),
            Expr::Cast { to, .. } => Some(*to),
            Expr::Arithmetic { ty, .. } => Some(*ty),
            _ => None,
        }
    }
}

fn comparison(op: Comparison) -> &'static str {
    match op {
        Comparison::Equal => "=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::NotEqual => "<>",
    }
}

fn arithmetic(op: Arithmetic) -> &'static str {
    match op {
        Arithmetic::Add => "+",
        Arithmetic::Subtract => "-",
        Arithmetic::Multiply => "*",
        Arithmetic::Divide => "/",
        Arithmetic::Remainder => "%",
    }
}
