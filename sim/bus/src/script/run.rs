//! Runs a script.

use std::{borrow::Cow, cmp::Ordering};

use super::{
    number,
    parser::{Binary, Expr, Function, Kind, Script, Statement, Unary},
};

/// What an expression is worth.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Nothing.
    Nil,
    /// A truth value; a command's null is `false`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// Bytes.
    Text(Vec<u8>),
    /// An array, of which KEYS and ARGV are two.
    Array(Vec<Value>),
    /// A command's simple string: a table with the field `ok`.
    Status(Vec<u8>),
    /// A command's refusal: a table with the field `err`.
    Error(Vec<u8>),
}

impl Value {
    fn is_true(&self) -> bool {
        !matches!(self, Self::Nil | Self::Bool(false))
    }

    fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::Array(_) | Self::Status(_) | Self::Error(_) => "table",
        }
    }

    /// A number, or text that is one.
    fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => number::parse(text),
            _ => None,
        }
    }

    /// Text, or a number with so many digits as text.
    fn text(&self, digits: usize) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Number(number) => Some(Cow::Owned(number::format(*number, digits).into_bytes())),
            _ => None,
        }
    }
}

/// How a script reaches the server.
pub(crate) trait Commands {
    /// Executes a command.
    ///
    /// # Errors
    /// The refusal, without its leading `-`.
    fn execute(&mut self, words: &[Vec<u8>]) -> Result<Value, Vec<u8>>;
}

/// Why a script stopped, without the words that Redis appends to every such text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The text, `ERR` or another code first.
    pub(crate) message: Vec<u8>,
    /// Where the script was, counted from 1.
    pub(crate) line: u32,
}

/// Digits of a number as text (`LUAI_NUMFFORMAT`, Lua `luaconf.h`).
const SHOWN_DIGITS: usize = 14;
/// Digits of a number that becomes an argument of a command (Redis `script_lua.c`).
const ARGUMENT_DIGITS: usize = 17;

/// Runs `script` and returns what it returns.
///
/// # Errors
/// When a command was refused or an operator makes no sense.
pub(crate) fn run(
    script: &Script,
    keys: Vec<Vec<u8>>,
    arguments: Vec<Vec<u8>>,
    commands: &mut dyn Commands,
) -> Result<Value, Failure> {
    let array = |texts: Vec<Vec<u8>>| Value::Array(texts.into_iter().map(Value::Text).collect());
    let globals = [("KEYS", array(keys)), ("ARGV", array(arguments))];
    let mut machine = Machine { globals, locals: Vec::new(), commands };
    Ok(machine.block(&script.body)?.unwrap_or(Value::Nil))
}

struct Machine<'c> {
    globals: [(&'static str, Value); 2],
    /// The innermost last.
    locals: Vec<(String, Value)>,
    commands: &'c mut dyn Commands,
}

fn fail<T>(line: u32, what: &str) -> Result<T, Failure> {
    Err(Failure { message: format!("ERR user_script:{line}: {what}").into_bytes(), line })
}

/// How Lua names what an operator cannot use.
fn described(expr: &Expr, value: &Value) -> String {
    let of_type = value.type_name();
    match &expr.kind {
        Kind::Name(name) if name == "KEYS" || name == "ARGV" => {
            format!("global '{name}' (a {of_type} value)")
        }
        Kind::Name(name) => format!("local '{name}' (a {of_type} value)"),
        Kind::Index(_, index) => match &index.kind {
            Kind::Text(field) => format!("field '{}' (a {of_type} value)", String::from_utf8_lossy(field)),
            _ => format!("field '?' (a {of_type} value)"),
        },
        _ => format!("a {of_type} value"),
    }
}

impl Machine<'_> {
    /// Runs statements; `Some` when one of them returned.
    fn block(&mut self, statements: &[Statement]) -> Result<Option<Value>, Failure> {
        let outside = self.locals.len();
        for statement in statements {
            if let Some(returned) = self.statement(statement)? {
                return Ok(Some(returned));
            }
        }
        self.locals.truncate(outside);
        Ok(None)
    }

    fn statement(&mut self, statement: &Statement) -> Result<Option<Value>, Failure> {
        match statement {
            Statement::Call(call) => drop(self.eval(call)?),
            Statement::Local(name, value) => {
                let value = value.as_ref().map_or(Ok(Value::Nil), |value| self.eval(value))?;
                self.locals.push((name.clone(), value));
            }
            Statement::Assign { name, value, line } => {
                let value = self.eval(value)?;
                match self.locals.iter_mut().rev().find(|(local, _)| local == name) {
                    Some((_, local)) => *local = value,
                    None => return fail(*line, "Attempt to modify a readonly table"),
                }
            }
            Statement::If { branches, otherwise } => {
                for (condition, then) in branches {
                    if self.eval(condition)?.is_true() {
                        return self.block(then);
                    }
                }
                return self.block(otherwise);
            }
            Statement::Return(value) => {
                return value.as_ref().map_or(Ok(Value::Nil), |value| self.eval(value)).map(Some);
            }
        }
        Ok(None)
    }

    fn eval(&mut self, expr: &Expr) -> Result<Value, Failure> {
        match &expr.kind {
            Kind::Nil => Ok(Value::Nil),
            Kind::Bool(value) => Ok(Value::Bool(*value)),
            Kind::Number(value) => Ok(Value::Number(*value)),
            Kind::Text(text) => Ok(Value::Text(text.clone())),
            Kind::Name(name) => self.variable(name, expr.line).cloned(),
            Kind::Index(table, index) => self.index(table, index, expr.line),
            Kind::Call(function, arguments) => self.call(*function, arguments, expr.line),
            Kind::Unary(operator, operand) => self.unary(*operator, operand, expr.line),
            Kind::Binary(Binary::And, left, right) => {
                let left = self.eval(left)?;
                if left.is_true() { self.eval(right) } else { Ok(left) }
            }
            Kind::Binary(Binary::Or, left, right) => {
                let left = self.eval(left)?;
                if left.is_true() { Ok(left) } else { self.eval(right) }
            }
            Kind::Binary(operator, left, right) => self.binary(*operator, left, right, expr.line),
        }
    }

    fn variable(&self, name: &str, line: u32) -> Result<&Value, Failure> {
        let local = self.locals.iter().rev().find(|(local, _)| local == name).map(|(_, value)| value);
        let global = || self.globals.iter().find(|(global, _)| *global == name).map(|(_, value)| value);
        match local.or_else(global) {
            Some(value) => Ok(value),
            None => fail(line, &format!("Script attempted to access nonexistent global variable '{name}'")),
        }
    }

    fn index(&mut self, table: &Expr, index: &Expr, line: u32) -> Result<Value, Failure> {
        let index_value = self.eval(index)?;
        let position = match index_value {
            Value::Number(number) if number >= 1.0 && number.fract() == 0.0 => Some(number as usize - 1),
            _ => None,
        };
        let pick = |value: &Value| match (value, &index_value) {
            (Value::Array(items), _) => {
                Ok(position.and_then(|at| items.get(at)).cloned().unwrap_or(Value::Nil))
            }
            (Value::Status(text), Value::Text(field)) if field == b"ok" => Ok(Value::Text(text.clone())),
            (Value::Error(text), Value::Text(field)) if field == b"err" => Ok(Value::Text(text.clone())),
            (Value::Status(_) | Value::Error(_), _) => Ok(Value::Nil),
            (other, _) => fail(line, &format!("attempt to index {}", described(table, other))),
        };
        match &table.kind {
            // An array need not be copied for one of its items.
            Kind::Name(name) => pick(self.variable(name, table.line)?),
            _ => pick(&self.eval(table)?),
        }
    }

    fn call(&mut self, function: Function, arguments: &[Expr], line: u32) -> Result<Value, Failure> {
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            values.push(self.eval(argument)?);
        }
        match function {
            Function::Call => self.command(&values).map_err(|message| Failure { message, line }),
            Function::Pcall => Ok(self.command(&values).unwrap_or_else(Value::Error)),
            Function::ErrorReply | Function::StatusReply => match values.as_slice() {
                [Value::Text(text)] if function == Function::ErrorReply => Ok(Value::Error(with_code(text))),
                [Value::Text(text)] => Ok(Value::Status(text.clone())),
                _ => Ok(Value::Error(b"ERR wrong number or type of arguments".to_vec())),
            },
            Function::ToNumber => match values.as_slice() {
                [value] => Ok(value.number().map_or(Value::Nil, Value::Number)),
                [] => fail(line, "bad argument #1 to 'tonumber' (value expected)"),
                _ => fail(line, "a base for 'tonumber' is not supported by this server"),
            },
            Function::ToString => match values.first() {
                None => fail(line, "bad argument #1 to 'tostring' (value expected)"),
                Some(Value::Nil) => Ok(Value::Text(b"nil".to_vec())),
                Some(Value::Bool(value)) => Ok(Value::Text(value.to_string().into_bytes())),
                Some(value) => match value.text(SHOWN_DIGITS) {
                    Some(text) => Ok(Value::Text(text.into_owned())),
                    None => fail(line, "'tostring' of a table is not supported by this server"),
                },
            },
        }
    }

    fn command(&mut self, arguments: &[Value]) -> Result<Value, Vec<u8>> {
        if arguments.is_empty() {
            return Err(b"ERR Please specify at least one argument for this redis lib call".to_vec());
        }
        let words: Option<Vec<Vec<u8>>> =
            arguments.iter().map(|argument| argument.text(ARGUMENT_DIGITS).map(Cow::into_owned)).collect();
        let words = words
            .ok_or_else(|| b"ERR Lua redis lib command arguments must be strings or integers".to_vec())?;
        self.commands.execute(&words)
    }

    fn unary(&mut self, operator: Unary, operand: &Expr, line: u32) -> Result<Value, Failure> {
        let value = self.eval(operand)?;
        match (operator, &value) {
            (Unary::Not, value) => Ok(Value::Bool(!value.is_true())),
            (Unary::Length, Value::Text(text)) => Ok(Value::Number(text.len() as f64)),
            (Unary::Length, Value::Array(items)) => Ok(Value::Number(items.len() as f64)),
            (Unary::Length, Value::Status(_) | Value::Error(_)) => Ok(Value::Number(0.0)),
            (Unary::Length, value) => {
                fail(line, &format!("attempt to get length of {}", described(operand, value)))
            }
            (Unary::Minus, value) => match value.number() {
                Some(number) => Ok(Value::Number(-number)),
                None => {
                    fail(line, &format!("attempt to perform arithmetic on {}", described(operand, value)))
                }
            },
        }
    }

    fn binary(&mut self, operator: Binary, left: &Expr, right: &Expr, line: u32) -> Result<Value, Failure> {
        let (a, b) = (self.eval(left)?, self.eval(right)?);
        let compare = |holds: fn(Ordering) -> bool| match order(&a, &b) {
            Ok(order) => Ok(Value::Bool(order.is_some_and(holds))),
            Err(what) => fail(line, &what),
        };
        match operator {
            Binary::Equal => Ok(Value::Bool(is_same(&a, &b))),
            Binary::Unequal => Ok(Value::Bool(!is_same(&a, &b))),
            Binary::Less => compare(Ordering::is_lt),
            Binary::LessOrEqual => compare(Ordering::is_le),
            Binary::Greater => compare(Ordering::is_gt),
            Binary::GreaterOrEqual => compare(Ordering::is_ge),
            Binary::Concat => match (a.text(SHOWN_DIGITS), b.text(SHOWN_DIGITS)) {
                (Some(a), Some(b)) => Ok(Value::Text([a, b].concat())),
                (None, _) => fail(line, &format!("attempt to concatenate {}", described(left, &a))),
                (_, None) => fail(line, &format!("attempt to concatenate {}", described(right, &b))),
            },
            _ => match (a.number(), b.number()) {
                (Some(a), Some(b)) => Ok(Value::Number(arithmetic(operator, a, b))),
                (None, _) => fail(line, &format!("attempt to perform arithmetic on {}", described(left, &a))),
                (_, None) => {
                    fail(line, &format!("attempt to perform arithmetic on {}", described(right, &b)))
                }
            },
        }
    }
}

/// The text of `redis.error_reply` as a refusal: a single word has no code yet, and a leading `-` is none.
fn with_code(text: &[u8]) -> Vec<u8> {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    if text.contains(&b' ') { text.to_vec() } else { [b"ERR ", text].concat() }
}

/// Whether two values are equal; tables are so only to themselves, and are never compared with themselves here.
fn is_same(a: &Value, b: &Value) -> bool {
    a == b && a.type_name() != "table"
}

/// The order of two numbers or two texts, or why there is none. Nothing is ordered with what is no number.
fn order(a: &Value, b: &Value) -> Result<Option<Ordering>, String> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => Ok(a.partial_cmp(b)),
        (Value::Text(a), Value::Text(b)) => Ok(Some(a.cmp(b))),
        _ if a.type_name() == b.type_name() => {
            Err(format!("attempt to compare two {} values", a.type_name()))
        }
        _ => Err(format!("attempt to compare {} with {}", a.type_name(), b.type_name())),
    }
}

fn arithmetic(operator: Binary, a: f64, b: f64) -> f64 {
    match operator {
        Binary::Subtract => a - b,
        Binary::Multiply => a * b,
        Binary::Divide => a / b,
        Binary::Modulo => a - (a / b).floor() * b,
        Binary::Power => a.powf(b),
        _ => a + b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers `get` with a text and refuses the rest.
    struct Stub;

    impl Commands for Stub {
        fn execute(&mut self, words: &[Vec<u8>]) -> Result<Value, Vec<u8>> {
            match words[0].as_slice() {
                b"get" => Ok(Value::Text(b"token".to_vec())),
                b"nothing" => Ok(Value::Bool(false)),
                b"echo" => Ok(Value::Text(words[1].clone())),
                _ => Err(b"ERR refused".to_vec()),
            }
        }
    }

    fn result(source: &str) -> Result<Value, Failure> {
        let script = Script::compile(source.as_bytes()).expect(source);
        run(&script, vec![b"key".to_vec()], vec![b"5".to_vec(), b"token".to_vec()], &mut Stub)
    }

    #[test]
    fn expressions_are_worth_what_lua_says() {
        let text = |text: &str| Value::Text(text.as_bytes().to_vec());
        for (source, value) in [
            ("return 1 + 2 * 3 - 4 / 2", Value::Number(5.0)),
            ("return 2 ^ 3 ^ 2", Value::Number(512.0)),
            ("return -2 ^ 2", Value::Number(-4.0)),
            ("return -7 % 3", Value::Number(2.0)),
            ("return ARGV[1] + 1", Value::Number(6.0)),
            ("return 'a' .. 1 .. 'b'", text("a1b")),
            ("return 1 == '1'", Value::Bool(false)),
            ("return 'a' < 'b' and not nil", Value::Bool(true)),
            ("return nil or false", Value::Bool(false)),
            ("return nil and 1", Value::Nil),
            ("return #KEYS + #'abc'", Value::Number(4.0)),
            ("return KEYS[2]", Value::Nil),
            ("return tonumber('0x10')", Value::Number(16.0)),
            ("return tonumber('ten')", Value::Nil),
            ("return tostring(10 / 4)", text("2.5")),
            ("return redis.call('echo', 1e15)", text("1000000000000000")),
            ("return redis.pcall('x').err", text("ERR refused")),
            ("return redis.status_reply('fine')", Value::Status(b"fine".to_vec())),
            ("if redis.call('nothing') then return 1 end", Value::Nil),
            ("local x = 1 if true then local x = 2 x = 3 end return x", Value::Number(1.0)),
            (
                "local x if not x then x = 1 elseif x then x = 2 else x = 3 end return x; -- done",
                Value::Number(1.0),
            ),
            ("return", Value::Nil),
        ] {
            assert_eq!(result(source), Ok(value), "{source}");
        }
    }

    #[test]
    fn what_makes_no_sense_stops_the_script_with_lua_s_words() {
        for (source, message) in [
            ("return 'a' + 1", "attempt to perform arithmetic on a string value"),
            ("return ARGV[3] + 1", "attempt to perform arithmetic on field '?' (a nil value)"),
            ("local x return x .. 'a'", "attempt to concatenate local 'x' (a nil value)"),
            ("return 1 < '2'", "attempt to compare number with string"),
            ("return nil < nil", "attempt to compare two nil values"),
            ("return foo", "Script attempted to access nonexistent global variable 'foo'"),
            ("foo = 1", "Attempt to modify a readonly table"),
            ("local x return x[1]", "attempt to index local 'x' (a nil value)"),
        ] {
            let failure = result(source).expect_err(source);
            let text = String::from_utf8(failure.message).expect("text");
            assert_eq!(text, format!("ERR user_script:1: {message}"), "{source}");
        }
        let failure = result("local a = 1\nredis.call('x')").expect_err("it is refused");
        assert_eq!((failure.message, failure.line), (b"ERR refused".to_vec(), 2));
    }
}
