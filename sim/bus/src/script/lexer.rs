//! Splits a script into words.

use super::{number, parser::CompileError};
use crate::error::quoted;

/// A word of a script.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name or a keyword.
    Word(String),
    /// An operator or a bracket.
    Symbol(&'static str),
    /// With its digits.
    Number(f64, String),
    Text(Vec<u8>),
    End,
}

impl Token {
    /// As errors quote it.
    pub(super) fn quoted(&self) -> String {
        match self {
            Self::Word(word) => word.clone(),
            Self::Symbol(symbol) => (*symbol).to_owned(),
            Self::Number(_, digits) => digits.clone(),
            Self::Text(text) => quoted(text),
            Self::End => "<eof>".to_owned(),
        }
    }
}

/// Longer symbols first, where one begins like another.
const SYMBOLS: [&str; 27] = [
    "...", "..", "==", "~=", "<=", ">=", "=", "<", ">", "+", "-", "*", "/", "%", "^", "#", "(", ")", "{",
    "}", "[", "]", ",", ";", ":", ".", "::",
];

/// Every word with its line, counted from 1; the last one is [`Token::End`].
pub(super) fn split(source: &[u8]) -> Result<Vec<(Token, u32)>, CompileError> {
    let mut lexer = Lexer { source, at: 0, line: 1 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blanks()?;
        let line = lexer.line;
        let token = lexer.next()?;
        let is_last = token == Token::End;
        tokens.push((token, line));
        if is_last {
            return Ok(tokens);
        }
    }
}

struct Lexer<'s> {
    source: &'s [u8],
    at: usize,
    line: u32,
}

impl Lexer<'_> {
    fn rest(&self) -> &[u8] {
        &self.source[self.at..]
    }

    fn error(&self, message: String) -> CompileError {
        CompileError { line: self.line, message }
    }

    /// Passes over spaces and comments.
    fn skip_blanks(&mut self) -> Result<(), CompileError> {
        loop {
            match self.rest() {
                [b'\n', ..] => self.line += 1,
                [b' ' | b'\t' | b'\r' | 0x0b | 0x0c, ..] => {}
                [b'-', b'-', b'[', b'[' | b'=', ..] => {
                    return Err(CompileError::unsupported(self.line, "a long comment"));
                }
                [b'-', b'-', comment @ ..] => {
                    self.at += 1 + comment.iter().position(|&byte| byte == b'\n').unwrap_or(comment.len());
                }
                _ => return Ok(()),
            }
            self.at += 1;
        }
    }

    fn next(&mut self) -> Result<Token, CompileError> {
        match *self.rest() {
            [] => Ok(Token::End),
            [quote @ (b'"' | b'\''), ..] => self.text(quote),
            [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..] => self.number(),
            [b'a'..=b'z' | b'A'..=b'Z' | b'_', ..] => Ok(self.word()),
            [b'[', b'[' | b'=', ..] => Err(CompileError::unsupported(self.line, "a long string")),
            [byte, ..] => match SYMBOLS.iter().find(|symbol| self.rest().starts_with(symbol.as_bytes())) {
                Some(symbol) => {
                    self.at += symbol.len();
                    Ok(Token::Symbol(symbol))
                }
                None => Err(self.error(format!("unexpected symbol near '{}'", byte.escape_ascii()))),
            },
        }
    }

    fn word(&mut self) -> Token {
        let rest = self.rest();
        let len =
            rest.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_').unwrap_or(rest.len());
        let word = String::from_utf8_lossy(&rest[..len]).into_owned();
        self.at += len;
        Token::Word(word)
    }

    fn number(&mut self) -> Result<Token, CompileError> {
        let rest = self.rest();
        let mut len = 0;
        while let Some(byte) = rest.get(len) {
            let exponent_sign = matches!(byte, b'+' | b'-')
                && matches!(rest[len - 1], b'e' | b'E')
                && !rest.starts_with(b"0x");
            if !byte.is_ascii_alphanumeric() && *byte != b'.' && !exponent_sign {
                break;
            }
            len += 1;
        }
        let text = &rest[..len];
        let value = number::parse(text)
            .ok_or_else(|| self.error(format!("malformed number near '{}'", quoted(text))))?;
        let digits = quoted(text);
        self.at += len;
        Ok(Token::Number(value, digits))
    }

    fn text(&mut self, quote: u8) -> Result<Token, CompileError> {
        self.at += 1;
        let mut text = Vec::new();
        loop {
            let (byte, width) = match *self.rest() {
                [] => return Err(self.error("unfinished string near '<eof>'".to_owned())),
                [byte, ..] if byte == quote => {
                    self.at += 1;
                    return Ok(Token::Text(text));
                }
                [b'\n', ..] => {
                    let shown = quoted(&text);
                    return Err(self.error(format!("unfinished string near '{}{shown}'", char::from(quote))));
                }
                [b'\\', b'n', ..] => (b'\n', 2),
                [b'\\', b'r', ..] => (b'\r', 2),
                [b'\\', b't', ..] => (b'\t', 2),
                [b'\\', escaped @ (b'\\' | b'"' | b'\''), ..] => (escaped, 2),
                [b'\\', ..] => return Err(CompileError::unsupported(self.line, "this escape sequence")),
                [byte, ..] => (byte, 1),
            };
            text.push(byte);
            self.at += width;
        }
    }
}
