//! Where PostgreSQL's grammar is stricter than the parser's, or stops at an earlier token.
//!
//! The parser takes nearly any word for a name, tries several readings and complains about the last. PostgreSQL's words are
//! reserved, and it stops at the first token that cannot go on. The look here is at a token, the two before it and the clause
//! they stand in: it sees what lacks an operand and what follows one, not more.

use sqlparser::{
    keywords::Keyword,
    tokenizer::{Token, TokenWithSpan, Word},
};

use super::token::Text;
use crate::error::{Place, SqlError, state};

/// Words that cannot begin an expression (PostgreSQL 16 docs, appendix C).
const NO_OPERAND: &[&str] = &[
    "and",
    "as",
    "asc",
    "desc",
    "do",
    "else",
    "end",
    "except",
    "for",
    "from",
    "group",
    "having",
    "in",
    "intersect",
    "into",
    "limit",
    "offset",
    "on",
    "or",
    "order",
    "returning",
    "then",
    "union",
    "using",
    "when",
    "where",
    "with",
];
/// Words that begin one as functions only.
const CALLED: &[&str] = &["cross", "full", "ilike", "inner", "is", "join", "left", "like", "right"];
/// Words after which an expression must begin, or a table.
const BEFORE_OPERAND: &[&str] = &[
    "and",
    "between",
    "by",
    "else",
    "from",
    "having",
    "ilike",
    "like",
    "limit",
    "or",
    "returning",
    "then",
    "when",
    "where",
];
/// Words after which an expression may have no other name.
const NAMELESS: &[&str] = &["by", "case", "having", "limit", "offset", "set", "values", "where"];
/// Words after which it may have one.
const NAMING: &[&str] =
    &["delete", "end", "from", "insert", "into", "join", "returning", "select", "update", "using", "with"];

/// The first token that PostgreSQL's grammar does not take, as far as can be seen here.
pub(super) fn check(text: &Text<'_>) -> Option<Box<SqlError>> {
    let mut reader = Reader::default();
    for token in text.solid().filter(|token| token.token != Token::EOF) {
        if let Some(error) = unlike_any(text, token) {
            return Some(error);
        }
        if reader.stops_at(&token.token) {
            return Some(text.near(token.span.start.column));
        }
        reader.read(&token.token);
    }
    reader.wants_operand().then(|| text.end())
}

/// The error for a token at which the parser stopped.
pub(super) fn near(text: &Text<'_>, place: u64) -> Box<SqlError> {
    let tokens: Vec<&TokenWithSpan> = text.solid().collect();
    let stop = tokens.iter().position(|token| token.span.start.column == place);
    // `name 'text'` and `name(…) 'text'` are literals of the type of that name.
    let named =
        stop.filter(|stop| matches!(tokens[*stop].token, Token::SingleQuotedString(_))).and_then(|stop| {
            let name = tokens[callee(&tokens[..stop])?];
            match &name.token {
                Token::Word(word) if !is_one_of(word, NO_OPERAND) && !is_one_of(word, BEFORE_OPERAND) => {
                    Some((name, word))
                }
                _ => None,
            }
        });
    match named {
        Some((_, word)) if is(word, "values") => text.near(place),
        Some((token, word)) => {
            let name =
                if word.quote_style.is_some() { word.value.clone() } else { word.value.to_lowercase() };
            SqlError::new(state::UNDEFINED_OBJECT, format!("type \"{name}\" does not exist"))
                .at(Some(Place::At(token.span.start.column)))
        }
        None => text.near(place),
    }
}

/// The last token, or the one before the parentheses that it closes.
fn callee(tokens: &[&TokenWithSpan]) -> Option<usize> {
    let last = tokens.len().checked_sub(1)?;
    if tokens[last].token != Token::RParen {
        return Some(last);
    }
    let mut depth = 0_usize;
    for at in (0..=last).rev() {
        match tokens[at].token {
            Token::RParen => depth += 1,
            Token::LParen => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at.checked_sub(1);
        }
    }
    None
}

/// A token that PostgreSQL does not read as one.
fn unlike_any(text: &Text<'_>, token: &TokenWithSpan) -> Option<Box<SqlError>> {
    let what = match &token.token {
        Token::Word(word) if word.quote_style.is_some() && word.value.is_empty() => {
            "zero-length delimited identifier"
        }
        Token::Number(digits, _) if digits.contains('_') => "trailing junk after numeric literal",
        _ => return None,
    };
    let mut error = text.near(token.span.start.column);
    error.message = error.message.replacen("syntax error", what, 1);
    Some(error)
}

/// What stands before a token.
#[derive(Default)]
struct Reader {
    before: Option<Token>,
    last: Option<Token>,
    /// The last token is a word that must be called.
    to_be_called: bool,
    /// Whether expressions may be given names: in the statement, and in every pair of parentheses that is open.
    naming: Vec<bool>,
    /// Whether the statement reads or changes rows.
    of_rows: bool,
}

impl Reader {
    /// Whether the grammar does not go on with a token.
    fn stops_at(&self, token: &Token) -> bool {
        let Some(last) = &self.last else {
            return is_plain(token) && !is_word(token, "checkpoint");
        };
        if matches!(token, Token::LBrace | Token::RBrace) {
            return true;
        }
        if self.to_be_called {
            return *token != Token::LParen;
        }
        if self.wants_operand() {
            // All columns may follow others.
            let lists = *last == Token::Comma || is_word(last, "returning");
            return is_no_operand(token) && !(lists && *token == Token::Mul);
        }
        let part_of_name = self.before == Some(Token::Period);
        match (last, token) {
            (Token::Word(word), next) if is_one_of(word, &["group", "order"]) => {
                let within = matches!(&self.before, Some(Token::Word(word)) if is(word, "within"));
                !part_of_name && !within && !is_word(next, "by")
            }
            (Token::Word(word), next) if is(word, "insert") => {
                matches!(self.before, None | Some(Token::SemiColon)) && !is_word(next, "into")
            }
            (Token::Number(..) | Token::SingleQuotedString(_) | Token::RParen, Token::Number(..)) => true,
            (Token::Mul, Token::Word(word)) => self.ends_with_star() && !is_one_of(word, NO_OPERAND),
            (Token::Word(word), Token::Number(..)) => {
                let is_type = self.before == Some(Token::DoubleColon);
                word.quote_style.is_none() && (is_type || word.keyword == Keyword::NoKeyword)
            }
            (last, next) => {
                let nameless = self.of_rows && self.naming.last() == Some(&false);
                nameless && is_plain(next) && ends_operand(last)
            }
        }
    }

    fn read(&mut self, token: &Token) {
        self.to_be_called =
            self.wants_operand() && matches!(token, Token::Word(word) if is_one_of(word, CALLED));
        match token {
            Token::SemiColon => *self = Self::default(),
            Token::LParen => {
                let tables =
                    self.last.as_ref().is_some_and(|last| is_word(last, "from") || is_word(last, "join"));
                let one_of_several = self.last == Some(Token::Comma) && self.naming.last() == Some(&true);
                self.naming.push(tables || one_of_several);
            }
            Token::RParen => {
                self.naming.pop();
            }
            Token::Word(word) => {
                if self.last.is_none() {
                    self.of_rows =
                        is_one_of(word, &["delete", "insert", "select", "update", "values", "with"]);
                    self.naming = vec![true];
                }
                if let Some(naming) = self.naming.last_mut() {
                    *naming = (*naming || is_one_of(word, NAMING)) && !is_one_of(word, NAMELESS);
                }
            }
            _ => {}
        }
        if *token != Token::SemiColon {
            self.before = self.last.replace(token.clone());
        }
    }

    /// Whether the last token is an operator, or a word that asks for an expression.
    fn wants_operand(&self) -> bool {
        match &self.last {
            Some(Token::Mul) => !self.ends_with_star(),
            Some(Token::Word(word)) => is_one_of(word, BEFORE_OPERAND) && self.before != Some(Token::Period),
            Some(token) => *token == Token::Comma || is_operator(token),
            None => false,
        }
    }

    /// Whether the `*` that came last means all columns or rows.
    fn ends_with_star(&self) -> bool {
        match &self.before {
            Some(Token::Word(word)) => is_one_of(word, &["all", "distinct", "returning", "select"]),
            Some(Token::Comma | Token::LParen | Token::Period) | None => true,
            _ => false,
        }
    }
}

/// Whether a token is a word that means nothing by itself.
fn is_plain(token: &Token) -> bool {
    matches!(token, Token::Word(word) if word.keyword == Keyword::NoKeyword && word.quote_style.is_none())
}

/// Whether an operand may be complete with this token.
fn ends_operand(token: &Token) -> bool {
    match token {
        Token::Number(..) | Token::SingleQuotedString(_) | Token::RParen => true,
        Token::Word(word) => is_plain(token) || is(word, "interval"),
        _ => false,
    }
}

fn is_no_operand(token: &Token) -> bool {
    match token {
        Token::Word(word) => is_one_of(word, NO_OPERAND),
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

fn is_word(token: &Token, name: &str) -> bool {
    matches!(token, Token::Word(word) if is(word, name))
}

fn is_one_of(word: &Word, names: &[&str]) -> bool {
    names.iter().any(|name| is(word, name))
}

fn is(word: &Word, name: &str) -> bool {
    word.quote_style.is_none() && word.value.eq_ignore_ascii_case(name)
}
