//! Where PostgreSQL's grammar is stricter than the parser's, or stops at an earlier token.
//!
//! The parser takes nearly any word for a name, tries several readings and complains about the last. PostgreSQL's words are
//! reserved, and it stops at the first token that cannot go on. The look is a token's at the one before it: it sees what lacks an
//! operand and what follows one, not more.

use sqlparser::{
    keywords::Keyword,
    tokenizer::{Token, TokenWithSpan, Word},
};

use super::token::Text;
use crate::error::{Place, SqlError, state};

/// Words that can neither be a name nor begin an expression (PostgreSQL 16 docs, appendix C), where an expression must begin.
const NO_OPERAND: &[&str] = &[
    "and",
    "as",
    "asc",
    "cross",
    "desc",
    "do",
    "else",
    "end",
    "except",
    "for",
    "from",
    "full",
    "group",
    "having",
    "in",
    "inner",
    "intersect",
    "into",
    "is",
    "join",
    "left",
    "like",
    "limit",
    "offset",
    "on",
    "or",
    "order",
    "returning",
    "right",
    "then",
    "union",
    "using",
    "when",
    "where",
    "with",
];
/// Of those, the ones that are functions when they are called, or names.
const CALLED: &[&str] = &["left", "right"];
/// Words after which an expression must begin.
const BEFORE_OPERAND: &[&str] =
    &["and", "between", "by", "else", "having", "ilike", "like", "limit", "or", "then", "when", "where"];

/// The first token that PostgreSQL's grammar does not take, as far as two tokens tell.
pub(super) fn check(text: &Text<'_>) -> Option<Box<SqlError>> {
    let mut previous: Option<&TokenWithSpan> = None;
    let mut before: Option<&TokenWithSpan> = None;
    for token in text.solid().filter(|token| token.token != Token::EOF) {
        if cannot_follow(before, previous, token) {
            return Some(text.near(token.span.start.column));
        }
        (before, previous) = (previous, Some(token));
    }
    previous.filter(|last| wants_operand(before, last)).map(|_| text.end())
}

/// The error for a token at which the parser stopped.
pub(super) fn near(text: &Text<'_>, place: u64) -> Box<SqlError> {
    let mut previous = None;
    for token in text.solid() {
        if token.span.start.column == place && matches!(token.token, Token::SingleQuotedString(_)) {
            // `name 'text'` is a literal of the type of that name.
            if let Some(Token::Word(word)) = previous.map(|previous: &TokenWithSpan| &previous.token) {
                let name =
                    if word.quote_style.is_some() { word.value.clone() } else { word.value.to_lowercase() };
                let place = previous.map(|previous| Place::At(previous.span.start.column));
                let message = format!("type \"{name}\" does not exist");
                return SqlError::new(state::UNDEFINED_OBJECT, message).at(place);
            }
        }
        previous = Some(token);
    }
    text.near(place)
}

fn cannot_follow(
    before: Option<&TokenWithSpan>,
    previous: Option<&TokenWithSpan>,
    token: &TokenWithSpan,
) -> bool {
    let Some(previous) = previous else { return false };
    if matches!(token.token, Token::LBrace | Token::RBrace) {
        return true;
    }
    if wants_operand(before, previous) {
        // All columns may follow others.
        return is_no_operand(&token.token) && !(previous.token == Token::Comma && token.token == Token::Mul);
    }
    let within = matches!(before.map(|before| &before.token), Some(Token::Word(word)) if is(word, "within"));
    match (&previous.token, &token.token) {
        (Token::Word(word), next) if is(word, "group") || is(word, "order") => {
            !is_part_of_name(before) && !within && !matches!(next, Token::Word(next) if is(next, "by"))
        }
        (Token::Word(word), next) if is(word, "insert") => {
            before.is_none_or(|before| before.token == Token::SemiColon)
                && !matches!(next, Token::Word(next) if is(next, "into"))
        }
        (Token::Number(..) | Token::SingleQuotedString(_) | Token::RParen, Token::Number(..)) => true,
        (Token::Mul, Token::Word(word)) => is_star(before) && !NO_OPERAND.iter().any(|it| is(word, it)),
        (Token::Word(word), Token::Number(..)) => {
            word.quote_style.is_none() && (is_type(before) || word.keyword == Keyword::NoKeyword)
        }
        _ => false,
    }
}

/// Whether an operator, or a word that asks for an expression, stands here.
fn wants_operand(before: Option<&TokenWithSpan>, token: &TokenWithSpan) -> bool {
    match &token.token {
        Token::Mul => !is_star(before),
        Token::Word(word) => BEFORE_OPERAND.iter().any(|it| is(word, it)) && !is_part_of_name(before),
        Token::Comma => true,
        token => is_operator(token),
    }
}

/// Whether a `*` means all columns or rows.
fn is_star(before: Option<&TokenWithSpan>) -> bool {
    match before.map(|before| &before.token) {
        Some(Token::Word(word)) => ["select", "distinct", "returning", "all"].iter().any(|it| is(word, it)),
        Some(Token::Comma | Token::LParen | Token::Period) | None => true,
        _ => false,
    }
}

fn is_part_of_name(before: Option<&TokenWithSpan>) -> bool {
    matches!(before.map(|before| &before.token), Some(Token::Period))
}

/// Whether what follows `before` is the name of a type.
fn is_type(before: Option<&TokenWithSpan>) -> bool {
    matches!(before.map(|before| &before.token), Some(Token::DoubleColon))
}

fn is_no_operand(token: &Token) -> bool {
    match token {
        Token::Word(word) => {
            NO_OPERAND.iter().any(|it| is(word, it)) && !CALLED.iter().any(|it| is(word, it))
        }
        Token::RParen | Token::Comma | Token::SemiColon | Token::Mul => true,
        Token::Plus | Token::Minus => false,
        token => is_operator(token),
    }
}

/// Operators between two expressions.
fn is_operator(token: &Token) -> bool {
    matches!(
        token,
        Token::Eq
            | Token::Neq
            | Token::Lt
            | Token::Gt
            | Token::LtEq
            | Token::GtEq
            | Token::Plus
            | Token::Minus
            | Token::Div
            | Token::Mod
            | Token::StringConcat
            | Token::Arrow
            | Token::LongArrow
    )
}

fn is(word: &Word, name: &str) -> bool {
    word.quote_style.is_none() && word.value.eq_ignore_ascii_case(name)
}
