//! A text as tokens whose places are characters of the text, and errors that point at them.

use sqlparser::{
    dialect::PostgreSqlDialect,
    tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer},
};

use crate::error::{Place, SqlError};

/// A text and its tokens, white space among them; places have line 1 and as column the number of the character.
pub(super) struct Text<'a> {
    sql: &'a str,
    tokens: Vec<TokenWithSpan>,
}

/// A token that the end of the text cuts off.
pub(super) struct Unfinished {
    /// Its first character.
    place: u64,
}

impl<'a> Text<'a> {
    /// The tokens of a text, up to one that does not end.
    pub(super) fn new(sql: &'a str) -> (Self, Option<Unfinished>) {
        match tokens(sql) {
            Ok(tokens) => (Self { sql, tokens }, None),
            Err(place) => {
                let start = byte(sql, place);
                // Its opening quote belongs to it, also where the tokenizer means what follows.
                let tokens = tokens(&sql[..start]).unwrap_or_default();
                (Self { sql, tokens }, Some(Unfinished { place }))
            }
        }
    }

    pub(super) fn tokens(&self) -> &[TokenWithSpan] {
        &self.tokens
    }

    /// The tokens that mean something, in order.
    pub(super) fn solid(&self) -> impl Iterator<Item = &TokenWithSpan> {
        self.tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_)))
    }

    /// The error that names the token at `place`.
    pub(super) fn near(&self, place: u64) -> Box<SqlError> {
        match self.solid().find(|token| token.span.start.column == place) {
            Some(token) => {
                let text = &self.sql[byte(self.sql, place)..byte(self.sql, token.span.end.column)];
                SqlError::syntax(format!("syntax error at or near \"{text}\"")).at(Some(Place::At(place)))
            }
            None => self.end(),
        }
    }

    /// The error that something is missing at the end.
    pub(super) fn end(&self) -> Box<SqlError> {
        SqlError::syntax("syntax error at end of input").at(Some(Place::At(self.end_place())))
    }

    fn end_place(&self) -> u64 {
        self.sql.chars().count() as u64 + 1
    }

    /// Whether an error is at the end of the text.
    pub(super) fn is_end(&self, error: &SqlError) -> bool {
        error.place == Some(Place::At(self.end_place()))
    }

    /// The error about a token without an end.
    pub(super) fn complain_of(&self, unfinished: &Unfinished) -> Box<SqlError> {
        let rest = &self.sql[byte(self.sql, unfinished.place)..];
        let what = match rest.as_bytes() {
            [b'"', ..] => "quoted identifier",
            [b'/', ..] => "/* comment",
            [b'$', ..] => "dollar-quoted string",
            _ => "quoted string",
        };
        SqlError::syntax(format!("unterminated {what} at or near \"{rest}\""))
            .at(Some(Place::At(unfinished.place)))
    }
}

/// Puts the character in the place of what describes where it is.
pub(crate) fn locate(mut error: Box<SqlError>, sql: &str) -> Box<SqlError> {
    let reads = |token: &&TokenWithSpan, sign: &str| token.token.to_string().eq_ignore_ascii_case(sign);
    error.place = match error.place.take() {
        Some(Place::After(end, sign)) => {
            let (text, _) = Text::new(sql);
            let found =
                text.solid().filter(|token| token.span.start.column >= end).find(|it| reads(it, &sign));
            found.map(|token| Place::At(token.span.start.column))
        }
        Some(Place::Cast(end, nth)) => {
            let (text, _) = Text::new(sql);
            let mut casts =
                text.solid().filter(|it| it.span.start.column >= end && it.token == Token::DoubleColon);
            casts.nth(nth).map(|token| Place::At(token.span.start.column))
        }
        Some(Place::Before(start, sign)) => {
            let (text, _) = Text::new(sql);
            let found =
                text.solid().filter(|token| token.span.start.column < start).filter(|it| reads(it, sign));
            found.last().map(|token| Place::At(token.span.start.column))
        }
        place => place,
    };
    error
}

/// The tokens of a text, or the place of one that does not end.
fn tokens(sql: &str) -> Result<Vec<TokenWithSpan>, u64> {
    let lines = line_starts(sql);
    let column = |location: Location| match location.line.checked_sub(1) {
        Some(line) => lines.get(line as usize).copied().unwrap_or_default() + location.column,
        None => 0,
    };
    let mut tokens =
        Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location().map_err(|error| {
            let place = column(error.location);
            opening(sql, place).unwrap_or(place)
        })?;
    for token in &mut tokens {
        let place = |location: Location| Location { line: 1, column: column(location) };
        token.span = Span::new(place(token.span.start), place(token.span.end));
    }
    Ok(tokens)
}

/// The characters before each line.
fn line_starts(sql: &str) -> Vec<u64> {
    let mut starts = vec![0];
    for (index, c) in sql.chars().enumerate() {
        if c == '\n' {
            starts.push(index as u64 + 1);
        }
    }
    starts
}

/// The comment that an end of the text cuts off: the tokenizer points at the end of it.
fn opening(sql: &str, place: u64) -> Option<u64> {
    let at_end = byte(sql, place) >= sql.len();
    let start = at_end.then(|| sql.rfind("/*")).flatten()?;
    Some(sql[..start].chars().count() as u64 + 1)
}

/// Where the character `place` begins.
fn byte(sql: &str, place: u64) -> usize {
    let index = usize::try_from(place).unwrap_or(usize::MAX).saturating_sub(1);
    sql.char_indices().nth(index).map_or(sql.len(), |(at, _)| at)
}
