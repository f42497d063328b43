//! Reads a script into a tree.

use thiserror::Error;

use super::lexer::{Token, split};

/// Why a text is no script for this server.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("ERR Error compiling script (new function): user_script:{line}: {message}")]
pub(crate) struct CompileError {
    /// Counted from 1.
    pub(super) line: u32,
    pub(super) message: String,
}

impl CompileError {
    /// Lua would know it.
    pub(super) fn unsupported(line: u32, what: &str) -> Self {
        Self { line, message: format!("{what} is not supported by this server") }
    }
}

/// A script, ready to run.
#[derive(Debug)]
pub(crate) struct Script {
    pub(super) body: Vec<Statement>,
}

#[derive(Debug)]
pub(super) enum Statement {
    /// A call whose result nobody wants.
    Call(Expr),
    /// `local name = value`.
    Local(String, Option<Expr>),
    /// `name = value`.
    Assign {
        name: String,
        value: Expr,
        line: u32,
    },
    /// The conditions in order, each with what follows from it.
    If {
        branches: Vec<(Expr, Vec<Statement>)>,
        otherwise: Vec<Statement>,
    },
    Return(Option<Expr>),
}

/// An expression and the line on which it begins.
#[derive(Debug)]
pub(super) struct Expr {
    pub(super) line: u32,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Nil,
    Bool(bool),
    Number(f64),
    Text(Vec<u8>),
    Name(String),
    Index(Box<Expr>, Box<Expr>),
    Call(Function, Vec<Expr>),
    Unary(Unary, Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
}

/// The functions there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Call,
    ErrorReply,
    Pcall,
    StatusReply,
    ToNumber,
    ToString,
}

impl Function {
    fn of_redis(name: &str) -> Option<Self> {
        match name {
            "call" => Some(Self::Call),
            "error_reply" => Some(Self::ErrorReply),
            "pcall" => Some(Self::Pcall),
            "status_reply" => Some(Self::StatusReply),
            _ => None,
        }
    }

    fn global(name: &str) -> Option<Self> {
        match name {
            "tonumber" => Some(Self::ToNumber),
            "tostring" => Some(Self::ToString),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unary {
    Length,
    Minus,
    Not,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    And,
    Concat,
    Divide,
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Modulo,
    Multiply,
    Or,
    Power,
    Subtract,
    Unequal,
}

impl Binary {
    /// The operator, how strongly it binds to the left and to the right (`priority`, Lua `lparser.c`).
    fn from_token(token: &Token) -> Option<(Self, u8, u8)> {
        let text = match token {
            Token::Symbol(symbol) => symbol,
            Token::Word(word) => word.as_str(),
            _ => return None,
        };
        Some(match text {
            "or" => (Self::Or, 1, 1),
            "and" => (Self::And, 2, 2),
            "<" => (Self::Less, 3, 3),
            "<=" => (Self::LessOrEqual, 3, 3),
            ">" => (Self::Greater, 3, 3),
            ">=" => (Self::GreaterOrEqual, 3, 3),
            "==" => (Self::Equal, 3, 3),
            "~=" => (Self::Unequal, 3, 3),
            ".." => (Self::Concat, 5, 4),
            "+" => (Self::Add, 6, 6),
            "-" => (Self::Subtract, 6, 6),
            "*" => (Self::Multiply, 7, 7),
            "/" => (Self::Divide, 7, 7),
            "%" => (Self::Modulo, 7, 7),
            "^" => (Self::Power, 10, 9),
            _ => return None,
        })
    }
}

/// How strongly `not`, `-` and `#` bind.
const UNARY_PRIORITY: u8 = 8;
/// How deep expressions and blocks may be nested (`LUAI_MAXCCALLS`, Lua `luaconf.h`).
const DEPTH_MAX: u32 = 200;

const KEYWORDS: [&str; 21] = [
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local", "nil",
    "not", "or", "repeat", "return", "then", "true", "until", "while",
];

impl Script {
    /// Reads a whole script.
    ///
    /// # Errors
    /// When it is not Lua, or Lua of a kind that is not supported.
    pub(crate) fn compile(source: &[u8]) -> Result<Self, CompileError> {
        if source.starts_with(b"#!") {
            return Err(CompileError::unsupported(1, "a first line with '#!'"));
        }
        let mut parser = Parser { tokens: split(source)?, at: 0, depth: 0 };
        let body = parser.block()?;
        parser.expect_end()?;
        Ok(Self { body })
    }
}

struct Parser {
    tokens: Vec<(Token, u32)>,
    at: usize,
    depth: u32,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.at].0
    }

    fn line(&self) -> u32 {
        self.tokens[self.at].1
    }

    /// The next word; the end is never passed.
    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn is(&self, text: &str) -> bool {
        match self.peek() {
            Token::Word(word) => word == text,
            Token::Symbol(symbol) => *symbol == text,
            _ => false,
        }
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.is(text);
        if found {
            self.next();
        }
        found
    }

    fn error<T>(&self, message: String) -> Result<T, CompileError> {
        Err(CompileError { line: self.line(), message })
    }

    fn unsupported<T>(&self, what: &str) -> Result<T, CompileError> {
        Err(CompileError::unsupported(self.line(), what))
    }

    fn unexpected<T>(&self) -> Result<T, CompileError> {
        self.error(format!("unexpected symbol near '{}'", self.peek().quoted()))
    }

    fn expect(&mut self, text: &str) -> Result<(), CompileError> {
        if self.take(text) {
            Ok(())
        } else {
            self.error(format!("'{text}' expected near '{}'", self.peek().quoted()))
        }
    }

    fn expect_end(&self) -> Result<(), CompileError> {
        match self.peek() {
            Token::End => Ok(()),
            other => self.error(format!("'<eof>' expected near '{}'", other.quoted())),
        }
    }

    fn name(&mut self) -> Result<String, CompileError> {
        match self.peek().clone() {
            Token::Word(word) if !KEYWORDS.contains(&word.as_str()) => {
                self.next();
                Ok(word)
            }
            other => self.error(format!("'<name>' expected near '{}'", other.quoted())),
        }
    }

    /// Runs `inner` one level deeper.
    fn nested<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, CompileError>,
    ) -> Result<T, CompileError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.error("chunk has too many syntax levels".to_owned());
        }
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// Statements up to the end of their block.
    fn block(&mut self) -> Result<Vec<Statement>, CompileError> {
        let mut statements = Vec::new();
        while !["end", "else", "elseif"].iter().any(|end| self.is(end)) && *self.peek() != Token::End {
            if self.take("return") {
                statements.push(self.return_value()?);
                break;
            }
            statements.push(self.nested(Self::statement)?);
            self.take(";");
        }
        Ok(statements)
    }

    fn return_value(&mut self) -> Result<Statement, CompileError> {
        let ends = [";", "end", "else", "elseif"];
        let empty = *self.peek() == Token::End || ends.iter().any(|end| self.is(end));
        let value = if empty { None } else { Some(self.expression(0)?) };
        if self.is(",") {
            return self.unsupported("a return of several values");
        }
        self.take(";");
        Ok(Statement::Return(value))
    }

    fn statement(&mut self) -> Result<Statement, CompileError> {
        let line = self.line();
        if self.take("if") {
            return self.branches();
        }
        if self.take("local") {
            return self.local();
        }
        if let Token::Word(word) = self.peek()
            && ["break", "do", "for", "function", "repeat", "while"].contains(&word.as_str())
        {
            return self.unsupported(&format!("'{word}'"));
        }
        let target = self.suffixed()?;
        if self.is(",") {
            return self.unsupported("an assignment to several variables");
        }
        match target.kind {
            Kind::Call(..) => Ok(Statement::Call(target)),
            Kind::Name(name) => {
                self.expect("=")?;
                Ok(Statement::Assign { name, value: self.expression(0)?, line })
            }
            Kind::Index(..) if self.is("=") => self.unsupported("an assignment to a table"),
            _ => self.error(format!("'=' expected near '{}'", self.peek().quoted())),
        }
    }

    fn local(&mut self) -> Result<Statement, CompileError> {
        if self.is("function") {
            return self.unsupported("'function'");
        }
        let name = self.name()?;
        if self.is(",") {
            return self.unsupported("a declaration of several variables");
        }
        let value = if self.take("=") { Some(self.expression(0)?) } else { None };
        if self.is(",") {
            return self.unsupported("a declaration with several values");
        }
        Ok(Statement::Local(name, value))
    }

    /// What follows `if`.
    fn branches(&mut self) -> Result<Statement, CompileError> {
        let mut branches = Vec::new();
        loop {
            let condition = self.expression(0)?;
            self.expect("then")?;
            branches.push((condition, self.block()?));
            if !self.take("elseif") {
                break;
            }
        }
        let otherwise = if self.take("else") { self.block()? } else { Vec::new() };
        self.expect("end")?;
        Ok(Statement::If { branches, otherwise })
    }

    /// An expression of operators that bind more strongly than `limit`.
    fn expression(&mut self, limit: u8) -> Result<Expr, CompileError> {
        self.nested(|parser| {
            let mut left = parser.operand()?;
            while let Some((operator, binds_left, binds_right)) = Binary::from_token(parser.peek()) {
                if binds_left <= limit {
                    break;
                }
                let line = parser.line();
                parser.next();
                let right = parser.expression(binds_right)?;
                left = Expr { line, kind: Kind::Binary(operator, Box::new(left), Box::new(right)) };
            }
            Ok(left)
        })
    }

    fn operand(&mut self) -> Result<Expr, CompileError> {
        let line = self.line();
        let unary = [("not", Unary::Not), ("-", Unary::Minus), ("#", Unary::Length)];
        if let Some((_, operator)) = unary.into_iter().find(|(text, _)| self.is(text)) {
            self.next();
            let operand = self.expression(UNARY_PRIORITY)?;
            return Ok(Expr { line, kind: Kind::Unary(operator, Box::new(operand)) });
        }
        let kind = match self.peek() {
            Token::Number(number, _) => Kind::Number(*number),
            Token::Text(text) => Kind::Text(text.clone()),
            Token::Word(word) if word == "nil" => Kind::Nil,
            Token::Word(word) if word == "true" => Kind::Bool(true),
            Token::Word(word) if word == "false" => Kind::Bool(false),
            Token::Word(word) if word == "function" => return self.unsupported("'function'"),
            Token::Symbol("{") => return self.unsupported("a table constructor"),
            Token::Symbol("...") => return self.unsupported("'...'"),
            _ => return self.suffixed(),
        };
        self.next();
        Ok(Expr { line, kind })
    }

    /// A name or something in brackets, and what is picked from it or called.
    fn suffixed(&mut self) -> Result<Expr, CompileError> {
        let line = self.line();
        let mut expr = match self.peek().clone() {
            Token::Symbol("(") => {
                self.next();
                let inner = self.expression(0)?;
                self.expect(")")?;
                inner
            }
            Token::Word(word) if word == "redis" => self.redis_call()?,
            Token::Word(word) if Function::global(&word).is_some() => {
                self.next();
                let arguments = self.arguments()?;
                let function = Function::global(&word).unwrap_or(Function::ToString);
                Expr { line, kind: Kind::Call(function, arguments) }
            }
            Token::Word(word) if !KEYWORDS.contains(&word.as_str()) => {
                self.next();
                Expr { line, kind: Kind::Name(word) }
            }
            _ => return self.unexpected(),
        };
        loop {
            let line = self.line();
            let index = if self.take("[") {
                let index = self.expression(0)?;
                self.expect("]")?;
                index
            } else if self.take(".") {
                Expr { line, kind: Kind::Text(self.name()?.into_bytes()) }
            } else {
                break;
            };
            expr = Expr { line, kind: Kind::Index(Box::new(expr), Box::new(index)) };
        }
        match self.peek() {
            Token::Symbol("(") | Token::Text(_) => {
                self.unsupported(&format!("a call of '{}'", callee(&expr)))
            }
            Token::Symbol(":") => self.unsupported("a method call"),
            _ => Ok(expr),
        }
    }

    /// `redis.call(…)` and its like.
    fn redis_call(&mut self) -> Result<Expr, CompileError> {
        let line = self.line();
        self.next();
        self.expect(".")?;
        let name = self.name()?;
        let Some(function) = Function::of_redis(&name) else {
            return self.unsupported(&format!("'redis.{name}'"));
        };
        Ok(Expr { line, kind: Kind::Call(function, self.arguments()?) })
    }

    fn arguments(&mut self) -> Result<Vec<Expr>, CompileError> {
        if !self.is("(") {
            return self.unsupported("a call without brackets");
        }
        self.next();
        let mut arguments = Vec::new();
        if !self.is(")") {
            loop {
                arguments.push(self.expression(0)?);
                if !self.take(",") {
                    break;
                }
            }
        }
        self.expect(")")?;
        Ok(arguments)
    }
}

/// What a call would have called.
fn callee(expr: &Expr) -> String {
    match &expr.kind {
        Kind::Name(name) => name.clone(),
        Kind::Index(table, index) => match &index.kind {
            Kind::Text(field) => format!("{}.{}", callee(table), String::from_utf8_lossy(field)),
            _ => format!("{}[…]", callee(table)),
        },
        _ => "a value".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(source: &str) -> String {
        Script::compile(source.as_bytes()).expect_err(source).to_string()
    }

    #[test]
    fn what_is_not_lua_is_refused_in_lua_s_words() {
        let head = "ERR Error compiling script (new function): user_script:";
        for (source, message) in [
            ("return 1 +", "1: unexpected symbol near '<eof>'"),
            ("return 1 return 2", "1: '<eof>' expected near 'return'"),
            ("if true then\nreturn 1", "2: 'end' expected near '<eof>'"),
            ("return \"open", "1: unfinished string near '<eof>'"),
            ("x = ", "1: unexpected symbol near '<eof>'"),
            ("local 1", "1: '<name>' expected near '1'"),
            ("if true return", "1: 'then' expected near 'return'"),
        ] {
            assert_eq!(refusal(source), format!("{head}{message}"));
        }
    }

    #[test]
    fn what_lua_has_and_this_server_has_not_is_named() {
        for (source, what) in [
            ("while true do end", "'while'"),
            ("for i = 1, 2 do end", "'for'"),
            ("local function f() end", "'function'"),
            ("return {1}", "a table constructor"),
            ("local a, b = 1, 2", "a declaration of several variables"),
            ("return string.format('x')", "a call of 'string.format'"),
            ("return redis.sha1hex('')", "'redis.sha1hex'"),
            ("return ('x'):len()", "a method call"),
            ("#!lua name=x", "a first line with '#!'"),
        ] {
            let text = refusal(source);
            assert!(text.ends_with(&format!("{what} is not supported by this server")), "{text}");
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert!(refusal(&format!("return {}1", "(".repeat(10_000))).contains("too many syntax levels"));
        assert!(refusal(&"if 1 then ".repeat(10_000)).contains("too many syntax levels"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_compiler_panic(words in proptest::collection::vec(
            prop_oneof![
                Just("if"), Just("then"), Just("end"), Just("local"), Just("return"), Just("x"), Just("="), Just("=="),
                Just("1e"), Just("'a'"), Just("\""), Just("["), Just("]"), Just("("), Just(")"), Just("redis.call"),
                Just(".."), Just("not"), Just("\n"), Just("--"), Just("\\"), Just("ä"),
            ], 0..30)) {
            let _ = Script::compile(words.concat().as_bytes());
            let _ = Script::compile(words.join(" ").as_bytes());
        }
    }
}
