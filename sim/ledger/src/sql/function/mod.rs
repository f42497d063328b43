//! The functions that statements may call, and how a call finds its function.
//!
//! Every family has a file with a list; to add a function is to add a line there. Operators without a place in the grammar of
//! [`super::plan::Expr`] are functions by the name of the operator.

mod catalog;
mod datetime;
mod json;
mod number;
mod sequence;
mod set;
mod system;
mod text;

use std::fmt;

use super::eval::Scope;
use crate::{
    data::{Type, Value, cast, cast::Context},
    error::{Result, SqlError},
};

pub(crate) use json::to_json;
pub(crate) use set::SetFunction;

/// A function of one row's values.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) signature: Signature,
    pub(crate) returns: Returns,
    /// A null among the arguments makes the result null without a call.
    pub(crate) strict: bool,
    pub(crate) call: fn(&[Value], &Scope<'_>) -> Result<Value>,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({:?})", self.name, self.signature.args)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

/// What a function takes.
pub(crate) struct Signature {
    pub(crate) args: &'static [Arg],
    /// The last argument may come any number of times, also never.
    pub(crate) variadic: bool,
}

/// What one argument may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arg {
    Any,
    AnyArray,
    Is(Type),
}

/// The type of a result.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Returns {
    /// That of an argument.
    Arg(usize),
    /// That of the elements of an argument.
    Element(usize),
    Is(Type),
}

impl Signature {
    /// The type to which an argument is converted; none if it may have any.
    pub(crate) fn wanted(&self, index: usize) -> Option<Type> {
        match self.arg(index) {
            Some(Arg::Is(ty)) => Some(ty),
            _ => None,
        }
    }

    fn arg(&self, index: usize) -> Option<Arg> {
        let last = self.args.len().checked_sub(1)?;
        if index > last && !self.variadic { None } else { self.args.get(index.min(last)).copied() }
    }

    /// The type of a result for arguments of these types.
    pub(crate) fn result(&self, returns: Returns, types: &[Type]) -> Result<Type> {
        let arg = |index: usize| types.get(index).copied().unwrap_or(Type::Text);
        match returns {
            Returns::Is(ty) => Ok(ty),
            Returns::Arg(index) => Ok(arg(index)),
            Returns::Element(index) => match arg(index) {
                Type::Array(element) => Ok(*element),
                other => Err(SqlError::unsupported(format!("an element of {other}"))),
            },
        }
    }

    /// How well the signature fits: exact types count most, then conversions to text, then others. None: not at all.
    fn fit(&self, types: &[Type]) -> Option<usize> {
        let least = self.args.len() - usize::from(self.variadic);
        if types.len() < least {
            return None;
        }
        types.iter().enumerate().try_fold(0, |score, (index, ty)| {
            let points = match (self.arg(index)?, *ty) {
                (Arg::Any, _) => 1,
                (Arg::AnyArray, Type::Array(_)) => 2,
                (Arg::AnyArray, _) => return None,
                (Arg::Is(wanted), ty) if wanted == ty => 8,
                (Arg::Is(Type::Text | Type::Float8), Type::Unknown) => 3,
                (Arg::Is(_), Type::Unknown) => 2,
                // Of the numbers the nearest is meant, which in doubt is the floating-point one.
                (Arg::Is(wanted), ty) => (cast::allowed(ty, wanted)? == Context::Implicit)
                    .then_some(if wanted == Type::Float8 || wanted == Type::Text { 4 } else { 3 })?,
            };
            Some(score + points)
        })
    }
}

static ALL: [&[Function]; 7] =
    [catalog::ALL, datetime::ALL, json::ALL, number::ALL, sequence::ALL, system::ALL, text::ALL];

/// The function for arguments of these types.
pub(crate) fn resolve(name: &str, types: &[Type]) -> Option<&'static Function> {
    // An untyped operand of an operator is first taken for one of the other's type (PostgreSQL 16 docs, §10.2).
    if is_operator(name)
        && let Some(ty) = types.iter().find(|ty| **ty != Type::Unknown)
        && types.contains(&Type::Unknown)
    {
        let alike: Vec<Type> = types.iter().map(|_| *ty).collect();
        if let Some((function, score)) = best(name, &alike)
            && score == 8 * alike.len()
        {
            return Some(function);
        }
    }
    best(name, types).map(|(function, _)| function)
}

fn best(name: &str, types: &[Type]) -> Option<(&'static Function, usize)> {
    let mut best: Option<(&Function, usize)> = None;
    for function in ALL.iter().copied().flatten().filter(|function| function.name == name) {
        if let Some(score) = function.signature.fit(types)
            && best.is_none_or(|(_, most)| score > most)
        {
            best = Some((function, score));
        }
    }
    best
}

/// The set-returning function for arguments of these types.
pub(crate) fn resolve_set(name: &str, types: &[Type]) -> Option<&'static SetFunction> {
    let candidates = set::ALL.iter().filter(|function| function.name == name);
    candidates
        .filter_map(|function| Some((function.signature.fit(types)?, function)))
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, function)| function)
}

/// Whether there is a function of that name.
pub(crate) fn is_known(name: &str) -> bool {
    ALL.iter().copied().flatten().any(|function| function.name == name) || is_aggregate(name)
}

pub(crate) fn is_operator(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

pub(crate) fn is_aggregate(name: &str) -> bool {
    matches!(
        name,
        "array_agg"
            | "avg"
            | "bool_and"
            | "bool_or"
            | "count"
            | "every"
            | "json_agg"
            | "jsonb_agg"
            | "max"
            | "min"
            | "string_agg"
            | "sum"
    )
}

/// A strict function of arguments with fixed types.
const fn function(
    name: &'static str,
    args: &'static [Arg],
    returns: Type,
    call: fn(&[Value], &Scope<'_>) -> Result<Value>,
) -> Function {
    Function {
        name,
        signature: Signature { args, variadic: false },
        returns: Returns::Is(returns),
        strict: true,
        call,
    }
}

impl Function {
    const fn returning(mut self, returns: Returns) -> Self {
        self.returns = returns;
        self
    }

    const fn variadic(mut self) -> Self {
        self.signature.variadic = true;
        self
    }

    /// Nulls are passed on to the function.
    const fn with_nulls(mut self) -> Self {
        self.strict = false;
        self
    }
}

const BOOL: Arg = Arg::Is(Type::Bool);
const BYTEA: Arg = Arg::Is(Type::Bytea);
const DATE: Arg = Arg::Is(Type::Date);
const FLOAT: Arg = Arg::Is(Type::Float8);
const INT4: Arg = Arg::Is(Type::Int4);
const INT8: Arg = Arg::Is(Type::Int8);
const INTERVAL: Arg = Arg::Is(Type::Interval);
const JSON: Arg = Arg::Is(Type::Json);
const JSONB: Arg = Arg::Is(Type::Jsonb);
const NUMERIC: Arg = Arg::Is(Type::Numeric);
const OID: Arg = Arg::Is(Type::Oid);
const TEXT: Arg = Arg::Is(Type::Text);
const TIME: Arg = Arg::Is(Type::Time);
const TIMESTAMP: Arg = Arg::Is(Type::Timestamp);
const TIMESTAMPTZ: Arg = Arg::Is(Type::Timestamptz);
const TEXTS: Arg = Arg::Is(Type::Array(&Type::Text));

/// An argument whose type the signature has fixed; anything else cannot have been bound.
fn text_of(value: &Value) -> &str {
    if let Value::Text(text) = value { text } else { "" }
}

fn int_of(value: &Value) -> i64 {
    if let Value::Int(value) = value { *value } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_is_alphabetical() {
        for family in ALL {
            let names: Vec<&str> = family.iter().map(|function| function.name).collect();
            assert!(names.is_sorted(), "{names:?}");
        }
        assert!(set::ALL.iter().map(|function| function.name).is_sorted());
    }

    #[test]
    fn the_nearest_signature_is_chosen() {
        let returns =
            |name: &str, types: &[Type]| format!("{:?}", resolve(name, types).map(|f| f.signature.args));
        assert!(returns("round", &[Type::Float8]).contains("Float8"));
        assert!(returns("round", &[Type::Numeric]).contains("Numeric"));
        assert!(returns("abs", &[Type::Int4]).contains("Int4"));
        assert!(returns("->", &[Type::Jsonb, Type::Unknown]).contains("Text"));
        assert!(
            returns("-", &[Type::Timestamptz, Type::Unknown]).contains("Is(Timestamptz), Is(Timestamptz)")
        );
        assert!(resolve("lower", &[Type::Int4]).is_none());
    }
}
