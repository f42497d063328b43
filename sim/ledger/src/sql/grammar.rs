//! Where PostgreSQL's grammar is stricter than the parser's, or stops at an earlier token.
//!
//! The parser takes nearly any word for a name, tries several readings and complains about the last. PostgreSQL's words are
//! reserved, and it stops at the first token that cannot go on. The look here is at a token, the two before it and the clause
//! they stand in, and only in statements that read or change rows: it sees what lacks an operand and what follows one, not more.
//! What may be meant otherwise is left to the parser: to take what PostgreSQL refuses does less harm than the opposite.

use sqlparser::{
    keywords::Keyword,
    tokenizer::{Token, TokenWithSpan, Word},
};

use super::token::Text;
use crate::error::{Place, SqlError, state};

/// Words that cannot begin an expression (PostgreSQL 16 docs, appendix C).
const NO_OPERAND: &[Keyword] = &[
    Keyword::AND,
    Keyword::AS,
    Keyword::ASC,
    Keyword::DESC,
    Keyword::ELSE,
    Keyword::END,
    Keyword::EXCEPT,
    Keyword::FOR,
    Keyword::FROM,
    Keyword::GROUP,
    Keyword::HAVING,
    Keyword::IN,
    Keyword::INTERSECT,
    Keyword::INTO,
    Keyword::LIMIT,
    Keyword::OFFSET,
    Keyword::ON,
    Keyword::OR,
    Keyword::ORDER,
    Keyword::RETURNING,
    Keyword::THEN,
    Keyword::UNION,
    Keyword::USING,
    Keyword::WHEN,
    Keyword::WHERE,
    Keyword::WITH,
];
/// Words that may stand before an expression in parentheses, and are no names either.
const BEFORE_PARENTHESES: &[Keyword] =
    &[Keyword::ALL, Keyword::ANY, Keyword::DISTINCT, Keyword::NOT, Keyword::SELECT, Keyword::SOME];
/// Words that begin one as functions only.
const CALLED: &[Keyword] = &[
    Keyword::CROSS,
    Keyword::FULL,
    Keyword::ILIKE,
    Keyword::INNER,
    Keyword::IS,
    Keyword::JOIN,
    Keyword::LEFT,
    Keyword::LIKE,
    Keyword::RIGHT,
];
/// Words after which an expression must begin, or a table.
const BEFORE_OPERAND: &[Keyword] = &[
    Keyword::AND,
    Keyword::ELSE,
    Keyword::FROM,
    Keyword::HAVING,
    Keyword::ILIKE,
    Keyword::LIKE,
    Keyword::LIMIT,
    Keyword::OR,
    Keyword::RETURNING,
    Keyword::THEN,
    Keyword::WHEN,
    Keyword::WHERE,
];
/// Words after which an expression may have no other name.
const NAMELESS: &[Keyword] = &[
    Keyword::BY,
    Keyword::CASE,
    Keyword::HAVING,
    Keyword::LIMIT,
    Keyword::OFFSET,
    Keyword::SET,
    Keyword::VALUES,
    Keyword::WHERE,
];
/// Words after which it may have one.
const NAMING: &[Keyword] = &[
    Keyword::DELETE,
    Keyword::END,
    Keyword::FROM,
    Keyword::INSERT,
    Keyword::INTO,
    Keyword::JOIN,
    Keyword::RETURNING,
    Keyword::SELECT,
    Keyword::UPDATE,
    Keyword::USING,
    Keyword::WITH,
];
/// The first words of statements that read or change rows.
const OF_ROWS: &[Keyword] =
    &[Keyword::DELETE, Keyword::INSERT, Keyword::SELECT, Keyword::UPDATE, Keyword::VALUES, Keyword::WITH];

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

/// For a text at `place` behind a name, or behind a name and its modifiers: a literal of the type of that name, which the parser
/// does not know. The error that there is no such type, and the tokens with another literal instead.
pub(super) fn without_type(text: &Text<'_>, place: u64) -> Option<(Box<SqlError>, Vec<TokenWithSpan>)> {
    let mut tokens: Vec<_> = text.solid().cloned().collect();
    let literal = tokens.iter().position(|token| token.span.start.column == place)?;
    let name = callee(&tokens[..literal])?;
    let (Token::SingleQuotedString(_), Token::Word(word)) = (&tokens[literal].token, &tokens[name].token)
    else {
        return None;
    };
    if NO_OPERAND.contains(&word.keyword) || BEFORE_PARENTHESES.contains(&word.keyword) {
        return None;
    }
    let shown = if word.quote_style.is_some() { word.value.clone() } else { word.value.to_lowercase() };
    let error = SqlError::new(state::UNDEFINED_OBJECT, format!("type \"{shown}\" does not exist"))
        .at(Some(Place::At(tokens[name].span.start.column)));
    // A number, because the parser also takes texts for names.
    tokens[literal].token = Token::Number("1".into(), false);
    tokens.drain(name..literal);
    Some((error, tokens))
}

/// The last token, or the one before the parentheses that it closes.
fn callee(tokens: &[TokenWithSpan]) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().rev() {
        match token.token {
            Token::RParen => depth += 1,
            Token::LParen => depth = depth.checked_sub(1)?,
            _ if depth == 0 => return Some(at),
            _ => {}
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
struct Reader<'a> {
    before: Option<&'a Token>,
    last: Option<&'a Token>,
    /// The last token is a word that must be called.
    to_be_called: bool,
    /// Whether expressions may be given names: in the statement, and in every pair of parentheses that is open.
    naming: Vec<bool>,
    /// Whether the statement reads or changes rows.
    of_rows: bool,
}

impl<'a> Reader<'a> {
    /// Whether the grammar does not go on with a token.
    fn stops_at(&self, token: &Token) -> bool {
        if matches!(token, Token::LBrace | Token::RBrace) {
            return true;
        }
        let Some(last) = self.last else {
            return is_plain(token) && !is_word(token, "checkpoint");
        };
        if !self.of_rows {
            return false;
        }
        if self.to_be_called {
            return *token != Token::LParen;
        }
        if self.wants_operand() {
            // All columns may follow others.
            let lists = *last == Token::Comma || keyword(last) == Keyword::RETURNING;
            return is_no_operand(token) && !(lists && *token == Token::Mul);
        }
        match (self.last_keyword(), token) {
            (Keyword::GROUP | Keyword::ORDER, next) => {
                let otherwise = self.before.map_or(Keyword::NoKeyword, keyword);
                !matches!(otherwise, Keyword::WITHIN | Keyword::EXCLUDE) && keyword(next) != Keyword::BY
            }
            (Keyword::INSERT, next) => self.before.is_none() && keyword(next) != Keyword::INTO,
            (_, next) if *last == Token::Mul && is_plain(next) => {
                self.before.is_some_and(|before| keyword(before) == Keyword::SELECT)
            }
            // Not even another name for a table.
            (_, Token::Word(Word { keyword: Keyword::FALSE | Keyword::NULL | Keyword::TRUE, .. })) => {
                let table = self.before.map_or(Keyword::NoKeyword, keyword);
                is_plain(last) && matches!(table, Keyword::FROM | Keyword::JOIN)
            }
            (_, Token::Number(..)) => {
                matches!(last, Token::Number(..) | Token::SingleQuotedString(_)) || is_plain(last)
            }
            (_, next) => self.naming.last() == Some(&false) && is_plain(next) && ends_operand(last),
        }
    }

    fn read(&mut self, token: &'a Token) {
        self.to_be_called = self.of_rows && self.wants_operand() && CALLED.contains(&keyword(token));
        match token {
            Token::SemiColon => {
                *self = Self::default();
                return;
            }
            Token::LParen => self.naming.push(self.opens_naming()),
            Token::RParen => {
                self.naming.pop();
            }
            Token::Word(word) if self.last.is_none() => {
                self.of_rows = OF_ROWS.contains(&word.keyword);
                self.naming = vec![!NAMELESS.contains(&word.keyword)];
            }
            Token::Word(word) if !self.expects_name() => {
                if let Some(naming) = self.naming.last_mut() {
                    *naming =
                        (*naming || NAMING.contains(&word.keyword)) && !NAMELESS.contains(&word.keyword);
                }
            }
            _ => {}
        }
        self.before = self.last.replace(token);
    }

    /// Whether names may follow expressions between parentheses that begin now: those of tables, of columns with their types, of
    /// the classes of operators.
    fn opens_naming(&self) -> bool {
        let named = match self.before {
            Some(Token::RParen) => matches!(self.last, Some(Token::Word(_))),
            Some(before) => keyword(before) == Keyword::AS,
            None => false,
        };
        let tables =
            matches!(self.last_keyword(), Keyword::FROM | Keyword::JOIN | Keyword::CONFLICT | Keyword::AS);
        named || tables || self.last == Some(&Token::Comma) && self.naming.last() == Some(&true)
    }

    /// Whether the last token is an operator, or a word that asks for an expression.
    fn wants_operand(&self) -> bool {
        let Some(last) = self.last.filter(|_| self.of_rows) else { return false };
        match last {
            Token::Word(_) => {
                let by = self.before.map_or(Keyword::NoKeyword, keyword);
                match self.last_keyword() {
                    Keyword::BY => matches!(by, Keyword::GROUP | Keyword::ORDER | Keyword::PARTITION),
                    word => BEFORE_OPERAND.contains(&word),
                }
            }
            // After other things it may mean all columns, or a table and those that inherit from it.
            Token::Mul => matches!(self.before, Some(Token::Number(..) | Token::SingleQuotedString(_))),
            Token::Comma => true,
            operator => is_operator(operator) && !self.names_operator(),
        }
    }

    /// Whether an operator that came last is meant by its name: `OPERATOR(public.=)`, `ORDER BY a USING <`; or ends another.
    fn names_operator(&self) -> bool {
        match self.before {
            Some(Token::Period | Token::LParen | Token::Mul) => true,
            Some(before) => keyword(before) == Keyword::USING,
            None => false,
        }
    }

    /// The last token, unless it is no keyword, or a name by the place where it stands.
    fn last_keyword(&self) -> Keyword {
        match self.before {
            Some(Token::Period) => Keyword::NoKeyword,
            Some(before) if keyword(before) == Keyword::AS => Keyword::NoKeyword,
            _ => self.last.map_or(Keyword::NoKeyword, keyword),
        }
    }

    /// Whether any word is a name now.
    fn expects_name(&self) -> bool {
        self.last.is_some_and(|last| *last == Token::Period || keyword(last) == Keyword::AS)
    }
}

/// The keyword that a token is, whatever it means there.
fn keyword(token: &Token) -> Keyword {
    match token {
        Token::Word(word) => word.keyword,
        _ => Keyword::NoKeyword,
    }
}

/// Whether a token is a word that means nothing by itself.
fn is_plain(token: &Token) -> bool {
    matches!(token, Token::Word(word) if word.keyword == Keyword::NoKeyword && word.quote_style.is_none())
        && !is_word(token, "isnull")
}

/// Whether an operand is complete with this token, and not a type or an operator that goes on.
fn ends_operand(token: &Token) -> bool {
    matches!(token, Token::Number(..) | Token::SingleQuotedString(_))
        || is_plain(token)
        || keyword(token) == Keyword::INTERVAL
}

fn is_no_operand(token: &Token) -> bool {
    match token {
        Token::Word(word) => NO_OPERAND.contains(&word.keyword),
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
    matches!(token, Token::Word(Word { value, quote_style: None, .. }) if value.eq_ignore_ascii_case(name))
}
