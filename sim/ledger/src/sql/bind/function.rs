//! Function calls: aggregates and the scalar functions there are.

use super::{
    expr::{Binder, Names, Typed, typed},
    object_name, refuse,
};
use crate::{
    data::Type,
    error::{Result, SqlError, state},
    sql::plan::{Aggregate, AggregateFunction, Expr, Function},
};

impl Binder {
    pub(super) fn function(
        &mut self,
        function: &sqlparser::ast::Function,
        names: &Names<'_>,
    ) -> Result<Typed> {
        use sqlparser::ast::{FunctionArg, FunctionArgExpr, FunctionArguments};
        let name = object_name(&function.name)?;
        refuse(&[
            (function.over.is_some(), "a window function"),
            (function.filter.is_some(), "FILTER"),
            (!function.within_group.is_empty(), "WITHIN GROUP"),
            (function.null_treatment.is_some(), "IGNORE NULLS"),
            (!matches!(function.parameters, FunctionArguments::None), "a parametric function"),
        ])?;
        let list: &[FunctionArg] = match &function.args {
            FunctionArguments::None => &[],
            FunctionArguments::List(list) => {
                refuse(&[
                    (list.duplicate_treatment.is_some(), "DISTINCT in a function call"),
                    (!list.clauses.is_empty(), "a clause in a function call"),
                ])?;
                &list.args
            }
            FunctionArguments::Subquery(_) => return Err(SqlError::unsupported("a subquery")),
        };
        let aggregate = match name.as_str() {
            "count" | "max" | "min" | "sum" => true,
            "now" | "current_timestamp" | "transaction_timestamp" if list.is_empty() => {
                return Ok(typed(Expr::Now, Type::Timestamptz));
            }
            _ => false,
        };
        if aggregate && let Some(clause) = self.clause {
            return Err(SqlError::new(
                state::GROUPING_ERROR,
                format!("aggregate functions are not allowed in {clause}"),
            ));
        }
        if aggregate && self.inside_aggregate {
            return Err(SqlError::new(state::GROUPING_ERROR, "aggregate function calls cannot be nested"));
        }
        let mut args = Vec::with_capacity(list.len());
        self.inside_aggregate |= aggregate;
        for arg in list {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) => args.push(self.expr(arg, names)?),
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if name == "count" => {}
                _ => return Err(SqlError::unsupported("this kind of function argument")),
            }
        }
        if aggregate {
            self.inside_aggregate = false;
            return self.aggregate(&name, args);
        }
        self.scalar_function(&name, args)
    }

    fn aggregate(&mut self, name: &str, mut args: Vec<Typed>) -> Result<Typed> {
        let argument = args.pop();
        let (function, argument, ty) = match (name, argument) {
            ("count", argument) if args.is_empty() => {
                (AggregateFunction::Count, argument.map(|bound| bound.expr), Type::Int8)
            }
            ("sum", Some(bound)) if bound.ty == Type::Int4 => {
                (AggregateFunction::SumInt4, Some(bound.expr), Type::Int8)
            }
            ("sum", Some(bound)) if bound.ty.is_number() => {
                (AggregateFunction::Sum, Some(self.coerce(bound, Type::Numeric)?.expr), Type::Numeric)
            }
            ("max" | "min", Some(bound)) if !matches!(bound.ty, Type::Bool | Type::Bytea | Type::Jsonb) => {
                // There is no max(character varying): it is the text one that applies.
                let ty = if bound.ty.is_string() { Type::Text } else { bound.ty };
                let bound = self.coerce(bound, ty)?;
                let bound = self.settle(bound)?;
                let function = if name == "max" { AggregateFunction::Max } else { AggregateFunction::Min };
                (function, Some(bound.expr), bound.ty)
            }
            (_, argument) => {
                let types: Vec<String> =
                    args.iter().chain(&argument).map(|bound| bound.ty.to_string()).collect();
                return Err(no_function(name, &types.join(", ")));
            }
        };
        self.aggregates.push(Aggregate { function, argument });
        Ok(typed(Expr::Column(self.aggregates.len() - 1), ty))
    }

    fn scalar_function(&mut self, name: &str, mut args: Vec<Typed>) -> Result<Typed> {
        let types: Vec<String> = args.iter().map(|bound| bound.ty.to_string()).collect();
        let single = args.len() == 1;
        Ok(match name {
            "coalesce" if !args.is_empty() => {
                let (args, ty) = self.alike(args, "COALESCE")?;
                typed(Expr::Coalesce(args), ty)
            }
            "greatest" | "least" if !args.is_empty() => {
                let greatest = name == "greatest";
                let (args, ty) = self.alike(args, if greatest { "GREATEST" } else { "LEAST" })?;
                typed(Expr::Extreme { greatest, args }, ty)
            }
            "nullif" if args.len() == 2 => {
                let (mut args, ty) = self.alike(args, "NULLIF")?;
                let right = args.remove(1);
                typed(Expr::NullIf(Box::new(args.remove(0)), Box::new(right)), ty)
            }
            "abs" if single && args[0].ty.is_number() => {
                let bound = args.remove(0);
                typed(Expr::Call { function: Function::Abs(bound.ty), args: vec![bound.expr] }, bound.ty)
            }
            "pg_backend_pid" if args.is_empty() => {
                typed(Expr::Call { function: Function::BackendPid, args: Vec::new() }, Type::Int4)
            }
            "pg_cancel_backend" | "pg_terminate_backend"
                if single && matches!(args[0].ty, Type::Int4 | Type::Unknown) =>
            {
                let bound = self.coerce(args.remove(0), Type::Int4)?;
                let cancel = name == "pg_cancel_backend";
                let function = if cancel { Function::CancelBackend } else { Function::TerminateBackend };
                typed(Expr::Call { function, args: vec![bound.expr] }, Type::Bool)
            }
            "length" | "lower" | "upper"
                if single && (args[0].ty.is_string() || args[0].ty == Type::Unknown) =>
            {
                let bound = self.settle(args.remove(0))?;
                let (function, ty) = match name {
                    "length" => (Function::Length, Type::Int4),
                    "lower" => (Function::Lower, Type::Text),
                    _ => (Function::Upper, Type::Text),
                };
                typed(Expr::Call { function, args: vec![bound.expr] }, ty)
            }
            _ => return Err(no_function(name, &types.join(", "))),
        })
    }
}

fn no_function(name: &str, types: &str) -> Box<SqlError> {
    SqlError::new(state::UNDEFINED_FUNCTION, format!("function {name}({types}) does not exist")).hint(
        "No function matches the given name and argument types. You might need to add explicit type casts.",
    )
}
