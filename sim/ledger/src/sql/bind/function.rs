//! Function calls: aggregates, constructs that look like calls, and the functions of the registry.

use sqlparser::ast::{
    DateTimeField, DuplicateTreatment, Expr as Ast, Function as FunctionAst, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArguments, TrimWhereField,
};

use super::{
    expr::{Binder, Typed, excerpt, typed},
    from::no_set_function,
    names::Names,
    object_name,
    operator::{no_operator, no_unique_operator},
    refuse,
    subquery::array_of,
};
use crate::{
    data::{Type, Value},
    error::{Result, SqlError, state},
    sql::{
        function::{self, SetFunction, Signature},
        plan::{Aggregate, AggregateFunction, Expr, OrderKey},
    },
};

/// What an aggregate call says beside its arguments.
struct Details {
    distinct: bool,
    filter: Option<Expr>,
    order: Vec<OrderKey>,
}

impl Binder<'_> {
    pub(super) fn function(&mut self, function: &FunctionAst, names: &Names<'_>) -> Result<Typed> {
        let name = object_name(&function.name)?;
        refuse(&[
            (function.over.is_some(), "a window function"),
            (!function.within_group.is_empty(), "WITHIN GROUP"),
            (function.null_treatment.is_some(), "IGNORE NULLS"),
            (!matches!(function.parameters, FunctionArguments::None), "a parametric function"),
        ])?;
        let (list, clauses, distinct) = match &function.args {
            FunctionArguments::None => (&[][..], &[][..], false),
            FunctionArguments::List(list) => (
                list.args.as_slice(),
                list.clauses.as_slice(),
                list.duplicate_treatment == Some(DuplicateTreatment::Distinct),
            ),
            FunctionArguments::Subquery(query) if name == "array" => {
                return self.array_subquery(query, names);
            }
            FunctionArguments::Subquery(_) => return Err(SqlError::unsupported("a subquery as an argument")),
        };
        if function::is_aggregate(&name) {
            return self.aggregate_call(&name, function.filter.as_deref(), list, clauses, distinct, names);
        }
        refuse(&[
            (function.filter.is_some(), "FILTER for anything but an aggregate"),
            (distinct, "DISTINCT for anything but an aggregate"),
            (!clauses.is_empty(), "a clause in a function call"),
        ])?;
        let args = list
            .iter()
            .map(|arg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) => self.expr(arg, names),
                _ => Err(SqlError::unsupported("this kind of function argument")),
            })
            .collect::<Result<Vec<_>>>()?;
        self.construct_or_call(&name, args)
    }

    fn aggregate_call(
        &mut self,
        name: &str,
        filter: Option<&Ast>,
        list: &[FunctionArg],
        clauses: &[FunctionArgumentClause],
        distinct: bool,
        names: &Names<'_>,
    ) -> Result<Typed> {
        if let Some(clause) = self.clause {
            return Err(not_allowed(clause));
        }
        if self.inside_aggregate {
            return Err(SqlError::new(state::GROUPING_ERROR, "aggregate function calls cannot be nested"));
        }
        self.inside_aggregate = true;
        let mut args = Vec::with_capacity(list.len());
        for arg in list {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) => args.push(self.expr(arg, names)?),
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if name == "count" && list.len() == 1 => {}
                _ => return Err(SqlError::unsupported("this kind of function argument")),
            }
        }
        let mut order = Vec::new();
        for clause in clauses {
            let FunctionArgumentClause::OrderBy(keys) = clause else {
                return Err(SqlError::unsupported("this clause in an aggregate"));
            };
            for key in keys {
                order.push(self.order_key(key, names)?);
            }
        }
        let filter = filter.map(|filter| self.truth(filter, names, "FILTER")).transpose()?;
        self.inside_aggregate = false;
        self.refuse_outer(args.iter().map(|arg| &arg.expr).chain(&filter))?;
        self.aggregate(name, args, Details { distinct, filter, order })
    }

    /// An aggregate over nothing but what an enclosing query gives is one of that query (PostgreSQL 16 docs, §4.2.7).
    fn refuse_outer<'e>(&self, exprs: impl Iterator<Item = &'e Expr>) -> Result<()> {
        let (mut own, mut outer) = (false, false);
        for expr in exprs {
            expr.visit(&mut |expr| match expr {
                Expr::Arg(_) => outer = true,
                Expr::Column(_) | Expr::Excluded(_) => own = true,
                _ => {}
            });
        }
        match self.outer_clauses.last() {
            Some(clause) if outer && !own => Err(match clause {
                Some(clause) => not_allowed(clause),
                None => SqlError::unsupported("an aggregate of an enclosing query"),
            }),
            _ => Ok(()),
        }
    }

    fn aggregate(&mut self, name: &str, mut args: Vec<Typed>, details: Details) -> Result<Typed> {
        use AggregateFunction as F;
        let types: Vec<Type> = args.iter().map(|arg| arg.ty).collect();
        let (function, cast, ty) = match (name, types.as_slice()) {
            ("count", [] | [_]) => (F::Count, None, Type::Int8),
            ("sum", [Type::Int2 | Type::Int4]) => (F::SumInt, None, Type::Int8),
            ("sum", [Type::Float4]) => (F::SumFloat, Some(Type::Float8), Type::Float4),
            ("sum", [Type::Float8]) => (F::SumFloat, None, Type::Float8),
            ("sum", [Type::Interval]) => (F::Sum, None, Type::Interval),
            ("sum", [ty]) if ty.is_number() => (F::Sum, Some(Type::Numeric), Type::Numeric),
            ("avg", [Type::Float4 | Type::Float8]) => (F::AvgFloat, Some(Type::Float8), Type::Float8),
            ("avg", [ty]) if ty.is_number() => (F::Avg, Some(Type::Numeric), Type::Numeric),
            ("max" | "min", [ty])
                if !matches!(ty, Type::Bool | Type::Bytea | Type::Json | Type::Jsonb | Type::Uuid) =>
            {
                // There is no max(character varying): it is the text one that applies.
                let ty = if ty.is_string() || *ty == Type::Unknown { Type::Text } else { *ty };
                (if name == "max" { F::Max } else { F::Min }, Some(ty), ty)
            }
            ("bool_and" | "every", [Type::Bool | Type::Unknown]) => {
                (F::BoolAnd, Some(Type::Bool), Type::Bool)
            }
            ("bool_or", [Type::Bool | Type::Unknown]) => (F::BoolOr, Some(Type::Bool), Type::Bool),
            ("string_agg", [a, b]) if [a, b].iter().all(|ty| ty.is_string() || **ty == Type::Unknown) => {
                (F::StringAgg, Some(Type::Text), Type::Text)
            }
            ("array_agg", [ty]) => {
                let element = if *ty == Type::Unknown { Type::Text } else { *ty };
                (F::ArrayAgg, Some(element), array_of(element)?)
            }
            ("json_agg", [_]) => (F::JsonAgg, None, Type::Json),
            ("jsonb_agg", [_]) => (F::JsonAgg, None, Type::Jsonb),
            ("avg" | "sum", [Type::Unknown]) => return Err(no_unique_function(name, &types)),
            _ => return Err(no_function(name, &types)),
        };
        let mut exprs = Vec::with_capacity(args.len());
        for arg in args.drain(..) {
            let arg = match cast {
                Some(ty) => self.coerce(arg, ty)?,
                None => self.settle(arg)?,
            };
            let expr = self.folded(arg.expr);
            exprs.push(expr);
        }
        let Details { distinct, filter, order } = details;
        if distinct && order.iter().any(|key| !exprs.contains(&key.expr)) {
            return Err(SqlError::new(
                state::INVALID_COLUMN_REFERENCE,
                "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list",
            ));
        }
        self.aggregates.push(Aggregate { function, args: exprs, distinct, filter, order });
        let result = typed(Expr::Aggregate(self.aggregates.len() - 1), ty);
        Ok(match (name, ty) {
            ("json_agg", _) => self.as_json(result),
            ("sum", Type::Float4) => {
                let double = typed(result.expr, Type::Float8);
                self.cast(
                    double,
                    Type::Float4,
                    crate::data::Modifier::None,
                    crate::data::cast::Context::Explicit,
                )?
            }
            _ => result,
        })
    }

    /// A `jsonb` value as `json`.
    fn as_json(&mut self, bound: Typed) -> Typed {
        let double = crate::data::cast::Context::Explicit;
        let expr = Expr::Cast {
            expr: Box::new(bound.expr),
            from: Type::Jsonb,
            to: Type::Json,
            modifier: crate::data::Modifier::None,
            context: double,
        };
        typed(expr, Type::Json)
    }

    fn construct_or_call(&mut self, name: &str, args: Vec<Typed>) -> Result<Typed> {
        Ok(match name {
            "now" | "current_timestamp" | "transaction_timestamp" | "statement_timestamp"
                if args.is_empty() =>
            {
                typed(Expr::Now, Type::Timestamptz)
            }
            "coalesce" if !args.is_empty() => {
                let (args, ty, modifier) = self.alike(args, "COALESCE")?;
                Typed { modifier, ..typed(Expr::Coalesce(args), ty) }
            }
            "greatest" | "least" if !args.is_empty() => {
                let greatest = name == "greatest";
                let construct = if greatest { "GREATEST" } else { "LEAST" };
                let (args, ty, modifier) = self.alike(args, construct)?;
                Typed { modifier, ..typed(Expr::Extreme { greatest, args }, ty) }
            }
            "nullif" if args.len() == 2 => {
                let mut args = args;
                let right = args.remove(1);
                self.null_if(args.remove(0), right)?
            }
            _ => self.call_bound(name, args)?,
        })
    }

    /// A call of a function by expressions of the statement.
    pub(super) fn call(&mut self, name: &str, args: &[&Ast], names: &Names<'_>) -> Result<Typed> {
        let args = args.iter().map(|arg| self.expr(arg, names)).collect::<Result<Vec<_>>>()?;
        self.call_bound(name, args)
    }

    /// A call of the function of the registry that fits best (PostgreSQL 16 docs, §10.3).
    pub(super) fn call_bound(&mut self, name: &str, args: Vec<Typed>) -> Result<Typed> {
        let types: Vec<Type> = args.iter().map(|arg| arg.ty).collect();
        match types.as_slice() {
            [Type::Unknown, Type::Unknown] if matches!(name, "#>" | "#>>" | "@>" | "<@") => {
                return Err(no_unique_operator(&format!("unknown {name} unknown")));
            }
            // Of json or of jsonb.
            [Type::Unknown, key @ (Type::Unknown | Type::Text | Type::Int2 | Type::Int4)]
                if matches!(name, "->" | "->>") =>
            {
                return Err(no_unique_operator(&format!("unknown {name} {key}")));
            }
            // There is one of network addresses, too.
            [Type::Unknown] if name == "trunc" => return Err(no_unique_function(name, &types)),
            _ => {}
        }
        let function = function::resolve(name, &types).ok_or_else(|| match types.as_slice() {
            [left, right] if function::is_operator(name) => no_operator(&format!("{left} {name} {right}")),
            _ => no_function(name, &types),
        })?;
        match function.name {
            "nextval" => self.draws = Some("nextval()"),
            "setval" => self.draws = Some("setval()"),
            _ => {}
        }
        let (args, types) = self.fitted(&function.signature, args)?;
        let ty = function.signature.result(function.returns, &types)?;
        Ok(typed(Expr::Call { function, args }, ty))
    }

    /// A function that returns rows, its arguments, and the types of its columns.
    pub(super) fn set_function(
        &mut self,
        name: &str,
        args: Vec<Typed>,
    ) -> Result<(&'static SetFunction, Vec<Expr>, Vec<Type>)> {
        let types: Vec<Type> = args.iter().map(|arg| arg.ty).collect();
        let function = function::resolve_set(name, &types).ok_or_else(|| no_set_function(name))?;
        let (args, types) = self.fitted(&function.signature, args)?;
        let columns = function
            .returns
            .iter()
            .map(|returns| function.signature.result(*returns, &types))
            .collect::<Result<_>>()?;
        Ok((function, args, columns))
    }

    /// The arguments in the types that a signature asks for.
    fn fitted(&mut self, signature: &Signature, args: Vec<Typed>) -> Result<(Vec<Expr>, Vec<Type>)> {
        let (mut exprs, mut types) = (Vec::with_capacity(args.len()), Vec::with_capacity(args.len()));
        for (index, arg) in args.into_iter().enumerate() {
            let arg = match signature.wanted(index) {
                Some(ty) => self.coerce(arg, ty)?,
                None => self.settle(arg)?,
            };
            types.push(arg.ty);
            exprs.push(arg.expr);
        }
        Ok((exprs, types))
    }

    /// `extract(field FROM source)`.
    pub(super) fn extract(
        &mut self,
        field: &DateTimeField,
        source: &Ast,
        names: &Names<'_>,
    ) -> Result<Typed> {
        let field = typed(
            Expr::Const(Value::from(field.to_string().to_lowercase().trim_matches('\''))),
            Type::Unknown,
        );
        let source = self.expr(source, names)?;
        self.call_syntax("extract", vec![field, source])
    }

    pub(super) fn substring(
        &mut self,
        text: &Ast,
        from: Option<&Ast>,
        length: Option<&Ast>,
        names: &Names<'_>,
    ) -> Result<Typed> {
        let mut args = vec![self.expr(text, names)?];
        args.push(match from {
            Some(from) => self.expr(from, names)?,
            None => typed(Expr::Const(Value::Int(1)), Type::Int4),
        });
        if let Some(length) = length {
            args.push(self.expr(length, names)?);
        }
        self.call_syntax("substring", args)
    }

    /// A call that is written with words between the arguments: PostgreSQL looks for it in its own schema only.
    fn call_syntax(&mut self, name: &str, args: Vec<Typed>) -> Result<Typed> {
        self.call_bound(name, args).map_err(|mut error| {
            if error.state == state::UNDEFINED_FUNCTION {
                error.message = error.message.replacen("function ", "function pg_catalog.", 1);
            }
            error
        })
    }

    pub(super) fn trim(
        &mut self,
        side: Option<TrimWhereField>,
        what: Option<&Ast>,
        text: &Ast,
        names: &Names<'_>,
    ) -> Result<Typed> {
        let mut args = vec![self.expr(text, names)?];
        if let Some(what) = what {
            args.push(self.expr(what, names)?);
        }
        self.call_syntax(trim_name(side), args)
    }
}

/// The function that a `trim` means.
pub(super) fn trim_name(side: Option<TrimWhereField>) -> &'static str {
    match side {
        None | Some(TrimWhereField::Both) => "btrim",
        Some(TrimWhereField::Leading) => "ltrim",
        Some(TrimWhereField::Trailing) => "rtrim",
    }
}

fn not_allowed(clause: &str) -> Box<SqlError> {
    let place = if clause == "JOIN/ON" { "JOIN conditions" } else { clause };
    SqlError::new(state::GROUPING_ERROR, format!("aggregate functions are not allowed in {place}"))
}

fn no_unique_function(name: &str, types: &[Type]) -> Box<SqlError> {
    let types: Vec<String> = types.iter().map(ToString::to_string).collect();
    SqlError::new(state::AMBIGUOUS_FUNCTION, format!("function {name}({}) is not unique", types.join(", ")))
        .hint("Could not choose a best candidate function. You might need to add explicit type casts.")
}

fn no_function(name: &str, types: &[Type]) -> Box<SqlError> {
    let types: Vec<String> = types.iter().map(ToString::to_string).collect();
    SqlError::new(
        state::UNDEFINED_FUNCTION,
        format!("function {}({}) does not exist", excerpt(name), types.join(", ")),
    )
    .hint("No function matches the given name and argument types. You might need to add explicit type casts.")
}
