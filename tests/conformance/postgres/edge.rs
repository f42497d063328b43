//! Expressions at the edges of the types: literals nobody chose to fit, and whatever operator, cast or function meets them.

use proptest::{
    sample::select,
    strategy::{BoxedStrategy, Strategy, Union},
};

const LITERALS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "1.5",
    "-0.5",
    "2147483647",
    "2147483648",
    "9223372036854775807",
    "9223372036854775808",
    "12345678.90",
    "1e5",
    "0.00001",
    "''",
    "'a'",
    "'1'",
    "' 12 '",
    "'1.50'",
    "'1x'",
    "'true'",
    "'t'",
    "'2026-01-02 03:04:05+00'",
    "'2026-02-30'",
    "'{\"a\": 1}'",
    "'[1'",
    "'toolongforit'",
    "NULL",
    "true",
    "false",
    "'2026-01-02'::timestamptz",
    "'{\"a\": 1}'::jsonb",
    "'x'::text",
    "1::bigint",
    "1::smallint",
    "2.50::numeric(5,2)",
];

const OPERATORS: &[&str] = &[
    "+",
    "-",
    "*",
    "/",
    "%",
    "=",
    "<>",
    "<",
    ">=",
    "||",
    "AND",
    "OR",
    "LIKE",
    "IS DISTINCT FROM",
    "->",
    "->>",
];

const TYPES: &[&str] = &[
    "int",
    "bigint",
    "smallint",
    "numeric",
    "numeric(5,2)",
    "text",
    "varchar(3)",
    "boolean",
    "timestamptz",
    "jsonb",
];

const FUNCTIONS: &[&str] = &[
    "abs({})",
    "length({})",
    "upper({})",
    "lower({})",
    "coalesce({}, 1)",
    "nullif({}, 1)",
    "round({})",
    "round({}, 1)",
    "floor({})",
    "ceil({})",
    "trunc({})",
    "sign({})",
    "- {}",
    "NOT {}",
    "{} IS NULL",
    "{} IS TRUE",
    "{} IN (1, 2)",
    "{} BETWEEN 0 AND 5",
    "CASE WHEN {} THEN 1 ELSE 2 END",
    "greatest({}, 1)",
    "left({}, 1)",
    "substring({} from 2)",
    "concat({}, 'z')",
    "sum({})",
    "max({})",
    "count({})",
    "nosuch({})",
];

/// A literal.
pub fn literal() -> BoxedStrategy<String> {
    select(LITERALS).prop_map(str::to_owned).boxed()
}

/// A query of one such expression.
pub fn query() -> BoxedStrategy<String> {
    let operation = (literal(), select(OPERATORS), literal())
        .prop_map(|(left, operator, right)| format!("SELECT {left} {operator} {right}"));
    let cast = (literal(), select(TYPES)).prop_map(|(value, ty)| format!("SELECT ({value})::{ty}"));
    let twice = (literal(), select(TYPES), select(TYPES))
        .prop_map(|(value, one, two)| format!("SELECT ({value})::{one}::{two}"));
    let call = (select(FUNCTIONS), literal())
        .prop_map(|(form, value)| format!("SELECT {}", form.replace("{}", &value)));
    Union::new(vec![operation.boxed(), cast.boxed(), twice.boxed(), call.boxed()]).boxed()
}
