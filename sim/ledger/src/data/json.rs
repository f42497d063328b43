//! `jsonb`: parsed once, kept as a tree, printed in PostgreSQL's canonical form.
//!
//! Numbers keep their digits (`1.10` stays `1.10`), keys are unique and ordered by length and then by byte, as PostgreSQL
//! stores them (PostgreSQL 16 docs, §8.14). `\u0000` is refused like there.

use std::{cmp::Ordering, fmt::Write as _, sync::Arc};

use rust_decimal::Decimal;

use super::numeric;
use crate::error::{Result, SqlError, state};

/// A JSON document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Json {
    Null,
    Text(Arc<str>),
    Number(Decimal),
    Bool(bool),
    Array(Vec<Json>),
    /// Sorted by [`key_order`], without duplicates.
    Object(Vec<(Arc<str>, Json)>),
}

/// Nesting beyond this is refused, so that no document exhausts the stack.
const MAX_DEPTH: usize = 128;

impl Json {
    /// Parses a document.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut parser = Parser { text, at: 0 };
        let value = parser.value(0)?;
        parser.skip_space();
        if parser.at < text.len() { Err(parser.wrong("Expected end of input")) } else { Ok(value) }
    }

    /// The member `key` of an object.
    pub(crate) fn member(&self, key: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.binary_search_by(|(name, _)| key_order(name, key)).ok().map(|found| &members[found].1)
    }

    /// The element `index` of an array; negative counts from the end.
    pub(crate) fn element(&self, index: i64) -> Option<&Self> {
        let Self::Array(elements) = self else { return None };
        let index = if index < 0 { index.checked_add(i64::try_from(elements.len()).ok()?)? } else { index };
        elements.get(usize::try_from(index).ok()?)
    }

    /// Appends the canonical text.
    pub(crate) fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(number) => {
                let _ = write!(out, "{number}");
            }
            Self::Text(text) => write_string(text, out),
            Self::Array(elements) => {
                out.push('[');
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    element.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    write_string(key, out);
                    out.push_str(": ");
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// As `jsonb` is ordered (PostgreSQL 16 docs, §8.14.4): objects above arrays, booleans, numbers, texts and null; of two arrays
/// or objects the one with more members is greater. An empty array is below everything at the top, which is no promise either.
impl Ord for Json {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Array(a), _) if a.is_empty() && !matches!(other, Self::Array(b) if b.is_empty()) => {
                Ordering::Less
            }
            (_, Self::Array(b)) if b.is_empty() && !matches!(self, Self::Array(a) if a.is_empty()) => {
                Ordering::Greater
            }
            _ => self.order(other),
        }
    }
}

impl PartialOrd for Json {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Json {
    /// The order inside a document.
    fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.cmp(b),
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Array(a), Self::Array(b)) => a.len().cmp(&b.len()).then_with(|| {
                a.iter()
                    .zip(b)
                    .map(|(a, b)| a.order(b))
                    .find(|order| order.is_ne())
                    .unwrap_or(Ordering::Equal)
            }),
            (Self::Object(a), Self::Object(b)) => a.len().cmp(&b.len()).then_with(|| {
                let pairs = a.iter().zip(b).map(|((a, x), (b, y))| a.cmp(b).then_with(|| x.order(y)));
                pairs.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
            }),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Text(_) => 1,
            Self::Number(_) => 2,
            Self::Bool(_) => 3,
            Self::Array(_) => 4,
            Self::Object(_) => 5,
        }
    }
}

/// Shorter keys first, then by byte.
pub(crate) fn key_order(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// What is expected where a document, an element or a member's value begins.
const VALUE: &str = "Expected JSON value";

fn malformed() -> Box<SqlError> {
    SqlError::new(state::BAD_TEXT, "invalid input syntax for type json")
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json> {
        match self.token() {
            (text, true) if text == word => {
                self.at += word.len();
                Ok(value)
            }
            _ => Err(self.wrong(VALUE)),
        }
    }

    /// The error that something else than the token here is expected, or that it is none.
    fn wrong(&mut self, expected: &str) -> Box<SqlError> {
        self.skip_space();
        malformed().detail(match self.token() {
            ("", _) => "The input string ended unexpectedly.".to_owned(),
            (token, true) => format!("{expected}, but found \"{token}\"."),
            (token, false) => format!("Token \"{token}\" is invalid."),
        })
    }

    /// The token that begins here, and whether it is one (PostgreSQL 16, `json_lex`).
    fn token(&self) -> (&'a str, bool) {
        let rest = &self.text[self.at..];
        let Some(first) = rest.chars().next() else { return ("", true) };
        let is_wordy = |c: char| c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii();
        let (end, sound) = match first {
            '{' | '}' | '[' | ']' | ',' | ':' => (1, true),
            '"' => string_end(rest).map_or((rest.len(), false), |end| (end, true)),
            '-' | '0'..='9' => {
                let (end, sound) = number_end(rest.as_bytes());
                let more = rest[end..].find(|c| !is_wordy(c)).unwrap_or(rest.len() - end);
                (end + more, sound && more == 0)
            }
            first if is_wordy(first) => {
                let end = rest.find(|c| !is_wordy(c)).unwrap_or(rest.len());
                (end, matches!(&rest[..end], "true" | "false" | "null"))
            }
            other => (other.len_utf8(), false),
        };
        (&rest[..end], sound)
    }

    fn value(&mut self, depth: usize) -> Result<Json> {
        if depth > MAX_DEPTH {
            return Err(SqlError::new(state::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded"));
        }
        self.skip_space();
        match self.peek().ok_or_else(|| self.wrong(VALUE))? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => Ok(Json::Text(self.string()?.into())),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            b'n' => self.word("null", Json::Null),
            _ => self.number(),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json> {
        self.at += 1;
        let mut elements = Vec::new();
        if self.eat(b']') {
            return Ok(Json::Array(elements));
        }
        loop {
            elements.push(self.value(depth + 1)?);
            if self.eat(b']') {
                return Ok(Json::Array(elements));
            }
            if !self.eat(b',') {
                return Err(self.wrong("Expected \",\" or \"]\""));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json> {
        self.at += 1;
        let mut members: Vec<(Arc<str>, Json)> = Vec::new();
        if self.eat(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.wrong(if members.is_empty() {
                    "Expected string or \"}\""
                } else {
                    "Expected string"
                }));
            }
            let key = self.string()?;
            if !self.eat(b':') {
                return Err(self.wrong("Expected \":\""));
            }
            members.push((key.into(), self.value(depth + 1)?));
            if self.eat(b'}') {
                break;
            }
            if !self.eat(b',') {
                return Err(self.wrong("Expected \",\" or \"}\""));
            }
        }
        // The last of several equal keys wins: the sort is stable, so it is the last of its run.
        members.sort_by(|(a, _), (b, _)| key_order(a, b));
        members.reverse();
        members.dedup_by(|later, earlier| later.0 == earlier.0);
        members.reverse();
        Ok(Json::Object(members))
    }

    fn number(&mut self) -> Result<Json> {
        match self.token() {
            (digits, true) if digits.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
                self.at += digits.len();
                numeric::parse(digits).map(Json::Number)
            }
            _ => Err(self.wrong(VALUE)),
        }
    }

    fn string(&mut self) -> Result<String> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = &self.text[self.at..];
            let special = rest.find(|c: char| c == '"' || c == '\\' || c < ' ');
            let special = special.ok_or_else(|| {
                malformed().detail(format!("Token \"{}\" is invalid.", &self.text[start..]))
            })?;
            text.push_str(&rest[..special]);
            self.at += special + 1;
            match rest.as_bytes()[special] {
                b'"' => return Ok(text),
                b'\\' => text.push(self.escape()?),
                control => {
                    let detail = format!("Character with value 0x{control:02x} must be escaped.");
                    return Err(malformed().detail(detail));
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char> {
        let kind = self.peek().ok_or_else(malformed)?;
        self.at += 1;
        Ok(match kind {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let mut units = vec![self.unit()?];
                if (0xd800..0xdc00).contains(&units[0]) && self.text[self.at..].starts_with("\\u") {
                    self.at += 2;
                    units.push(self.unit()?);
                }
                let c = char::decode_utf16(units)
                    .next()
                    .and_then(std::result::Result::ok)
                    .ok_or_else(malformed)?;
                if c == '\0' {
                    return Err(SqlError::new("22P05", "unsupported Unicode escape sequence")
                        .detail("\\u0000 cannot be converted to text."));
                }
                c
            }
            _ => return Err(malformed()),
        })
    }

    fn unit(&mut self) -> Result<u16> {
        let digits = self.text.get(self.at..self.at + 4).ok_or_else(malformed)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(malformed());
        }
        self.at += 4;
        u16::from_str_radix(digits, 16).map_err(|_| malformed())
    }
}

/// Where a string that begins with its quotation mark ends.
fn string_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    let is_end = |(_, byte): &(usize, u8)| {
        let end = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        end
    };
    text.bytes().enumerate().skip(1).find(is_end).map(|(at, _)| at + 1)
}

/// Where a number ends, and whether it is one (RFC 8259, §6): no leading zero, no bare point, no plus sign.
fn number_end(text: &[u8]) -> (usize, bool) {
    let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = usize::from(text.first() == Some(&b'-'));
    let whole = digits(at);
    // What follows a zero belongs to another token.
    let whole = if text.get(at) == Some(&b'0') { 1 } else { whole };
    let mut sound = whole > 0;
    at += whole;
    if text.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        sound &= fraction > 0;
        at += 1 + fraction;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        at += 1 + usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at);
        sound &= exponent > 0;
        at += exponent;
    }
    (at, sound)
}

#[cfg(test)]
mod tests {
    use super::Json;

    fn canonical(text: &str) -> Option<String> {
        let mut out = String::new();
        Json::parse(text).ok()?.write(&mut out);
        Some(out)
    }

    #[test]
    fn documents_print_as_postgresql_prints_them() {
        for (input, output) in [
            (
                r#" {"bb":1,"a":[1.10, true ,null],"a b":{}} "#,
                r#"{"a": [1.10, true, null], "bb": 1, "a b": {}}"#,
            ),
            (r#"{"a":1,"b":2,"a":3}"#, r#"{"a": 3, "b": 2}"#),
            (r#""\u00e9\ud83d\ude00\n\u0001""#, "\"é😀\\n\\u0001\""),
            ("-0", "0"),
            ("1e3", "1000"),
            ("[]", "[]"),
        ] {
            assert_eq!(canonical(input).as_deref(), Some(output), "{input}");
        }
    }

    #[test]
    fn malformed_documents_are_refused() {
        let deep = "[".repeat(200_000);
        for input in [
            "",
            "{",
            "[1,]",
            "01",
            "+1",
            "1.",
            ".5",
            "nul",
            "\"a",
            "\"\\ud800\"",
            "\"\\u0000\"",
            "{a:1}",
            "1 2",
            "\"\\u12\u{e9}x\"",
            &deep,
        ] {
            assert!(Json::parse(input).is_err(), "{}", &input[..input.len().min(20)]);
        }
    }
}
