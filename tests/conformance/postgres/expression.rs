//! Expressions over columns, from templates.
//!
//! None of them can fail at run time: which of several failing rows or operands comes first is nobody's promise. What fails
//! at the edges of the types is generated apart, one expression a statement (`edge.rs`).

use proptest::{
    sample::select,
    strategy::{BoxedStrategy, Just, Strategy, Union},
};

use super::schema::Kind;

/// Text in which `{int}`, `{text}`, … stand for expressions of that kind.
const FORMS: &[(Kind, &[&str])] = &[
    (
        Kind::Int,
        &[
            "({int} + {int})",
            "({int} - {int})",
            "({int} * 3)",
            "({int} / 4)",
            "({int} % 7)",
            "(- {int})",
            "abs({int})",
            "length({text})",
            "coalesce({int}, {int})",
            "nullif({int}, {int})",
            "CASE WHEN {flag} THEN {int} ELSE {int} END",
            "CASE {int} WHEN 1 THEN {int} WHEN {int} THEN 2 END",
            "greatest({int}, {int})",
            "least({int}, 2)",
        ],
    ),
    (
        Kind::Big,
        &[
            "({big} + {int})",
            "({int} - {big})",
            "({big} * 2)",
            "{int}::bigint",
            "coalesce({big}, {int})",
            "({big} % 5)",
            "abs({big})",
            "CASE WHEN {flag} THEN {big} ELSE {int} END",
        ],
    ),
    (
        Kind::Number,
        &[
            "({num} + {num})",
            "({num} - {int})",
            "({num} * {num})",
            "({num} / 3)",
            "({int} / 8.0)",
            "(- {num})",
            "abs({num})",
            "round({num}, 2)",
            "round({num})",
            "trunc({num}, 1)",
            "floor({num})",
            "ceil({num})",
            "{int}::numeric",
            "{big}::numeric",
            "coalesce({num}, {int})",
            "greatest({num}, {int})",
            "nullif({num}, {num})",
            "CASE WHEN {flag} THEN {num} ELSE {int} END",
        ],
    ),
    (
        Kind::Text,
        &[
            "({text} || {text})",
            "({text} || {int})",
            "upper({text})",
            "lower({text})",
            "substring({text} from 1 for 2)",
            "left({text}, 2)",
            "right({text}, 1)",
            "replace({text}, 'a', 'bb')",
            "trim({text})",
            "coalesce({text}, {text})",
            "nullif({text}, {text})",
            "concat({text}, {int}, {flag})",
            "lpad({text}, 4, 'x')",
            "split_part({text}, ',', 1)",
            "{int}::text",
            "{num}::text",
            "{flag}::text",
            "CASE WHEN {flag} THEN {text} END",
            "({json} ->> 'a')",
            "greatest({text}, {text})",
        ],
    ),
    (
        Kind::Flag,
        &[
            "({int} = {int})",
            "({int} < {big})",
            "({num} >= {int})",
            "({num} <> {num})",
            "({text} = {text})",
            "({text} < {text})",
            "({time} <= {time})",
            "({flag} AND {flag})",
            "({flag} OR {flag})",
            "(NOT {flag})",
            "({int} IS NULL)",
            "({text} IS NOT NULL)",
            "({int} IS DISTINCT FROM {int})",
            "({flag} IS TRUE)",
            "({flag} IS NOT FALSE)",
            "({text} LIKE 'a%')",
            "({text} LIKE '%B_')",
            "({text} ILIKE '%b%')",
            "({int} BETWEEN {int} AND {int})",
            "({int} IN (1, 2, {int}))",
            "({text} IN ('a', NULL))",
            "({int} NOT IN ({int}, 3))",
            "({json} = {json})",
            "({flag} = {flag})",
        ],
    ),
    (
        Kind::Time,
        &[
            "coalesce({time}, {time})",
            "({time} + interval '1 hour')",
            "({time} - interval '1 day')",
            "date_trunc('hour', {time})",
            "CASE WHEN {flag} THEN {time} END",
        ],
    ),
    (
        Kind::Json,
        &[
            "({json} -> 'a')",
            "({json} -> 'b' -> 0)",
            "coalesce({json}, {json})",
            "CASE WHEN {flag} THEN {json} END",
        ],
    ),
];

/// Values that fit into the columns of their kind; few, so that they meet again.
pub fn literals(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Int => &["1", "2", "3", "0", "7", "-1", "100"],
        Kind::Big => &["1", "20", "-3", "5000000000"],
        Kind::Number => &["1", "0.5", "2.25", "0", "0.005", "100", "99.995", "42000.10"],
        Kind::Text => &["'a'", "'b'", "''", "'BTCUSDT'", "'Ab'", "'é'", "'BUY'", "'a,b'"],
        Kind::Flag => &["true", "false"],
        Kind::Time => &[
            "'2026-01-01 00:00:00+00'",
            "'2026-01-02 03:04:05.678+00'",
            "'2026-03-01T12:00:00+02'",
            "'2026-01-02'",
        ],
        Kind::Json => &[
            "'{\"a\": 1, \"b\": [1, \"x\", null]}'",
            "'{}'",
            "'[1, 2]'",
            "'{\"a\": {\"c\": true}}'",
            "'null'",
        ],
    }
}

/// A literal that has its kind without any context.
fn typed(kind: Kind) -> BoxedStrategy<String> {
    let suffix = match kind {
        Kind::Int | Kind::Number | Kind::Text | Kind::Flag => "",
        Kind::Big => "::bigint",
        Kind::Time => "::timestamptz",
        Kind::Json => "::jsonb",
    };
    let null = match kind {
        Kind::Int => "NULL::int",
        Kind::Big => "NULL::bigint",
        Kind::Number => "NULL::numeric",
        Kind::Text => "NULL::text",
        Kind::Flag => "NULL::boolean",
        Kind::Time => "NULL::timestamptz",
        Kind::Json => "NULL::jsonb",
    };
    let literal = select(literals(kind)).prop_map(move |text| format!("{text}{suffix}"));
    Union::new_weighted(vec![(9, literal.boxed()), (1, Just(null.to_owned()).boxed())]).boxed()
}

/// The columns that expressions may name, with qualifiers where needed.
pub type Scope = Vec<(String, Kind)>;

/// Expressions of every kind over one scope.
#[derive(Clone)]
pub struct Expressions([BoxedStrategy<String>; Kind::ALL.len()]);

impl Expressions {
    /// Expressions of at most `depth` nested forms.
    pub fn over(scope: &Scope, depth: u32) -> Self {
        let leaf = |kind: Kind| {
            let columns: Vec<_> =
                scope.iter().filter(|(_, of)| *of == kind).map(|(name, _)| name.clone()).collect();
            match columns.is_empty() {
                true => typed(kind),
                false => Union::new_weighted(vec![(3, select(columns).boxed()), (1, typed(kind))]).boxed(),
            }
        };
        let leaves = Self(Kind::ALL.map(leaf));
        (0..depth).fold(leaves.clone(), |inner, _| {
            Self(Kind::ALL.map(|kind| {
                let forms = FORMS.iter().find(|(of, _)| *of == kind).map_or(&[][..], |(_, forms)| *forms);
                let forms = Union::new(forms.iter().map(|form| inner.fill(form)));
                Union::new_weighted(vec![(2, leaves.of(kind)), (3, forms.boxed())]).boxed()
            }))
        })
    }

    /// Expressions of one kind.
    pub fn of(&self, kind: Kind) -> BoxedStrategy<String> {
        self.0[kind as usize].clone()
    }

    /// Expressions of any kind.
    pub fn any(&self) -> BoxedStrategy<String> {
        Union::new(self.0.iter().cloned()).boxed()
    }

    /// The template with an expression in each of its places: a kind's name, or `any`.
    pub fn fill(&self, template: &'static str) -> BoxedStrategy<String> {
        let mut texts = Vec::new();
        let mut places = Vec::new();
        for piece in template.split('}') {
            let (text, place) = piece.split_once('{').unwrap_or((piece, ""));
            texts.push(text);
            if !place.is_empty() {
                let kind = Kind::ALL.into_iter().find(|kind| kind.name() == place);
                places.push(kind.map_or_else(|| self.any(), |kind| self.of(kind)));
            }
        }
        let weave = move |fillings: Vec<String>| {
            let fillings = fillings.into_iter().chain([String::new()]);
            texts.iter().zip(fillings).map(|(text, filling)| format!("{text}{filling}")).collect()
        };
        places.prop_map(weave).boxed()
    }
}
