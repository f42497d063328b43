//! Where in the text of a statement an expression is: where it begins, and what PostgreSQL calls its location – its operator,
//! its function, its keyword.

use sqlparser::{
    ast::{CastKind, Expr as Ast, ObjectName, Spanned, UnaryOperator},
    tokenizer::Span,
};

use crate::error::Place;

/// The first character of a part of a tree, if it is known.
pub(super) fn at(span: Span) -> Option<Place> {
    first(span).map(Place::At)
}

/// The place of a name.
pub(super) fn of_name(name: &ObjectName) -> Option<Place> {
    at(name.span())
}

fn first(span: Span) -> Option<u64> {
    (span.start.line > 0).then_some(span.start.column)
}

/// The place behind a part of a tree.
fn end(ast: &Ast) -> Option<u64> {
    let span = ast.span();
    (span.end.line > 0).then_some(span.end.column)
}

/// Where an expression begins; parentheses do not count.
pub(super) fn start(ast: &Ast) -> Option<Place> {
    let before = |inner: &Ast, word| first(inner.span()).map(|start| Place::Before(start, word));
    match ast {
        Ast::Nested(inner)
        | Ast::BinaryOp { left: inner, .. }
        | Ast::Between { expr: inner, .. }
        | Ast::InList { expr: inner, .. }
        | Ast::InSubquery { expr: inner, .. }
        | Ast::Like { expr: inner, .. }
        | Ast::ILike { expr: inner, .. }
        | Ast::IsNull(inner)
        | Ast::IsNotNull(inner)
        | Ast::IsTrue(inner)
        | Ast::IsNotTrue(inner)
        | Ast::IsFalse(inner)
        | Ast::IsNotFalse(inner)
        | Ast::IsDistinctFrom(inner, _)
        | Ast::IsNotDistinctFrom(inner, _)
        | Ast::AnyOp { left: inner, .. }
        | Ast::AllOp { left: inner, .. }
        | Ast::CompoundFieldAccess { root: inner, .. } => start(inner),
        Ast::UnaryOp { op, expr } => before(expr, sign(*op)),
        Ast::Cast { kind: CastKind::Cast, expr, .. } if !matches!(**expr, Ast::Value(_)) => {
            before(expr, "CAST")
        }
        Ast::Cast { expr, .. } => start(expr),
        Ast::Ceil { expr, .. } => before(expr, "ceil"),
        Ast::Floor { expr, .. } => before(expr, "floor"),
        Ast::Position { expr, .. } => before(expr, "position"),
        Ast::Extract { expr, .. } => before(expr, "extract"),
        Ast::Substring { expr, .. } => before(expr, "substring"),
        Ast::Trim { expr, .. } => before(expr, "trim"),
        Ast::Exists { subquery, .. } => first(subquery.span()).map(|start| Place::Before(start, "EXISTS")),
        Ast::Subquery(query) => first(query.span()).map(|start| Place::Before(start, "(")),
        other => at(other.span()),
    }
}

/// Where PostgreSQL says that something is wrong with an expression as such.
pub(super) fn location(ast: &Ast) -> Option<Place> {
    let after = |left: &Ast, sign: String| end(left).map(|end| Place::After(end, sign.into()));
    let word = |left: &Ast, negated: bool, word: &str| {
        after(left, if negated { "NOT".to_owned() } else { word.to_owned() })
    };
    match ast {
        Ast::Nested(inner) => location(inner),
        Ast::BinaryOp { left, op, .. }
        | Ast::AnyOp { left, compare_op: op, .. }
        | Ast::AllOp { left, compare_op: op, .. } => after(left, op.to_string()),
        Ast::Between { expr, negated, .. } => word(expr, *negated, "BETWEEN"),
        Ast::InList { expr, negated, .. } | Ast::InSubquery { expr, negated, .. } => {
            word(expr, *negated, "IN")
        }
        Ast::Like { expr, negated, .. } => word(expr, *negated, "LIKE"),
        Ast::ILike { expr, negated, .. } => word(expr, *negated, "ILIKE"),
        Ast::IsDistinctFrom(left, _) | Ast::IsNotDistinctFrom(left, _) => word(left, false, "IS"),
        Ast::Cast { kind: CastKind::DoubleColon, expr, .. } => {
            let (innermost, casts) = uncast(expr);
            end(innermost).map(|end| Place::Cast(end, casts))
        }
        Ast::Cast { kind: CastKind::Cast, expr, .. } => {
            first(expr.span()).map(|start| Place::Before(start, "CAST"))
        }
        other => start(other),
    }
}

/// What is cast at last, and how many `::` come before.
fn uncast(ast: &Ast) -> (&Ast, usize) {
    match ast {
        Ast::Nested(inner) => uncast(inner),
        Ast::Cast { kind: CastKind::DoubleColon, expr, .. } => {
            let (innermost, casts) = uncast(expr);
            (innermost, casts + 1)
        }
        other => (other, 0),
    }
}

/// Where the type of a cast is named.
pub(super) fn type_place(ast: &Ast) -> Option<Place> {
    match ast {
        Ast::Cast { data_type: sqlparser::ast::DataType::Custom(name, _), .. } => of_name(name),
        other => location(other),
    }
}

fn sign(op: UnaryOperator) -> &'static str {
    match op {
        UnaryOperator::Not => "NOT",
        UnaryOperator::Plus => "+",
        _ => "-",
    }
}
