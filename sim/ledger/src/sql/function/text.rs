//! Functions of text (PostgreSQL 16 docs, §9.4).

use super::{Arg, BYTEA, Function, INT4, Returns, TEXT, TEXTS, function, int_of, text_of};
use crate::{
    data::{Type, Value, text},
    error::{Result, SqlError, state},
    sql::eval::Scope,
};

pub(super) const ALL: &[Function] = &[
    function("array_length", &[Arg::AnyArray, INT4], Type::Int4, |args, _| {
        Ok(match (&args[0], int_of(&args[1])) {
            (Value::Array(elements), 1) if !elements.is_empty() => Value::Int(elements.len() as i64),
            _ => Value::Null,
        })
    }),
    function("array_to_string", &[Arg::AnyArray, TEXT], Type::Text, |args, _| {
        let Value::Array(elements) = &args[0] else { return Ok(Value::Null) };
        let shown: Vec<String> =
            elements.iter().filter(|element| !element.is_null()).map(text::show).collect();
        Ok(Value::from(shown.join(text_of(&args[1]))))
    }),
    function("array_upper", &[Arg::AnyArray, INT4], Type::Int4, |args, _| {
        Ok(match (&args[0], int_of(&args[1])) {
            (Value::Array(elements), 1) if !elements.is_empty() => Value::Int(elements.len() as i64),
            _ => Value::Null,
        })
    }),
    function("ascii", &[TEXT], Type::Int4, |args, _| {
        Ok(Value::Int(text_of(&args[0]).chars().next().map_or(0, |c| i64::from(u32::from(c)))))
    }),
    function("btrim", &[TEXT], Type::Text, |args, _| Ok(Value::from(text_of(&args[0]).trim_matches(' ')))),
    function("btrim", &[TEXT, TEXT], Type::Text, |args, _| {
        Ok(Value::from(text_of(&args[0]).trim_matches(any_of(&args[1]))))
    }),
    function("cardinality", &[Arg::AnyArray], Type::Int4, |args, _| {
        Ok(if let Value::Array(elements) = &args[0] {
            Value::Int(elements.len() as i64)
        } else {
            Value::Null
        })
    }),
    function("char_length", &[TEXT], Type::Int4, length),
    function("character_length", &[TEXT], Type::Int4, length),
    function("chr", &[INT4], Type::Text, |args, _| {
        let code = u32::try_from(int_of(&args[0])).ok().filter(|code| *code != 0).and_then(char::from_u32);
        code.map(|c| Value::from(c.to_string())).ok_or_else(|| {
            SqlError::new(
                state::PROGRAM_LIMIT,
                format!("requested character too large for encoding: {}", int_of(&args[0])),
            )
        })
    }),
    function("concat", &[Arg::Any], Type::Text, |args, _| {
        Ok(Value::from(args.iter().filter(|arg| !arg.is_null()).map(text::show).collect::<String>()))
    })
    .variadic()
    .with_nulls(),
    function("concat_ws", &[TEXT, Arg::Any], Type::Text, |args, _| {
        let Some((Value::Text(separator), parts)) = args.split_first() else { return Ok(Value::Null) };
        let parts: Vec<String> = parts.iter().filter(|part| !part.is_null()).map(text::show).collect();
        Ok(Value::from(parts.join(separator)))
    })
    .variadic()
    .with_nulls(),
    function("decode", &[TEXT, TEXT], Type::Bytea, |args, _| match text_of(&args[1]) {
        "hex" => text::parse(&format!("\\x{}", text_of(&args[0])), Type::Bytea),
        "escape" => text::parse(text_of(&args[0]), Type::Bytea),
        other => Err(SqlError::unsupported(format!("the encoding \"{other}\""))),
    }),
    function("encode", &[BYTEA, TEXT], Type::Text, |args, _| match text_of(&args[1]) {
        "hex" => Ok(Value::from(text::show(&args[0]).trim_start_matches("\\x"))),
        other => Err(SqlError::unsupported(format!("the encoding \"{other}\""))),
    }),
    function("format", &[TEXT, Arg::Any], Type::Text, format).variadic().with_nulls(),
    function("initcap", &[TEXT], Type::Text, |args, _| {
        let mut inside = false;
        let shown = text_of(&args[0]).chars().flat_map(|c| {
            let cased: Vec<char> =
                if inside { c.to_lowercase().collect() } else { c.to_uppercase().collect() };
            inside = c.is_alphanumeric();
            cased
        });
        Ok(Value::from(shown.collect::<String>()))
    }),
    function("left", &[TEXT, INT4], Type::Text, |args, _| {
        let text = text_of(&args[0]);
        Ok(Value::from(text.chars().take(kept(text, int_of(&args[1]))).collect::<String>()))
    }),
    function("length", &[BYTEA], Type::Int4, |args, _| {
        Ok(if let Value::Bytes(bytes) = &args[0] { Value::Int(bytes.len() as i64) } else { Value::Null })
    }),
    function("length", &[TEXT], Type::Int4, length),
    function("lower", &[TEXT], Type::Text, |args, _| Ok(Value::from(text_of(&args[0]).to_lowercase()))),
    function("lpad", &[TEXT, INT4], Type::Text, |args, _| {
        padded(args, " ").map(|(text, padding)| Value::from(padding + &text))
    }),
    function("lpad", &[TEXT, INT4, TEXT], Type::Text, |args, _| {
        padded(args, text_of(&args[2])).map(|(text, padding)| Value::from(padding + &text))
    }),
    function("ltrim", &[TEXT], Type::Text, |args, _| {
        Ok(Value::from(text_of(&args[0]).trim_start_matches(' ')))
    }),
    function("ltrim", &[TEXT, TEXT], Type::Text, |args, _| {
        Ok(Value::from(text_of(&args[0]).trim_start_matches(any_of(&args[1]))))
    }),
    function("octet_length", &[TEXT], Type::Int4, |args, _| Ok(Value::Int(text_of(&args[0]).len() as i64))),
    function("quote_ident", &[TEXT], Type::Text, |args, _| Ok(Value::from(quoted_name(text_of(&args[0]))))),
    function("quote_literal", &[TEXT], Type::Text, |args, _| {
        Ok(Value::from(quoted_literal(text_of(&args[0]))))
    }),
    function("regexp_replace", &[TEXT, TEXT, TEXT], Type::Text, |args, scope| replaced(args, "", scope)),
    function("regexp_replace", &[TEXT, TEXT, TEXT, TEXT], Type::Text, |args, scope| {
        replaced(args, text_of(&args[3]), scope)
    }),
    function("repeat", &[TEXT, INT4], Type::Text, |args, _| {
        let (text, times) = (text_of(&args[0]), usize::try_from(int_of(&args[1])).unwrap_or(0));
        check_length(text.len().saturating_mul(times))?;
        Ok(Value::from(text.repeat(times)))
    }),
    function("replace", &[TEXT, TEXT, TEXT], Type::Text, |args, _| {
        let (text, from, to) = (text_of(&args[0]), text_of(&args[1]), text_of(&args[2]));
        if from.is_empty() {
            return Ok(args[0].clone());
        }
        let hits = text.matches(from).count();
        check_length(text.len().saturating_add(hits.saturating_mul(to.len())))?;
        Ok(Value::from(text.replace(from, to)))
    }),
    function("reverse", &[TEXT], Type::Text, |args, _| {
        Ok(Value::from(text_of(&args[0]).chars().rev().collect::<String>()))
    }),
    function("right", &[TEXT, INT4], Type::Text, |args, _| {
        let text = text_of(&args[0]);
        let dropped = text.chars().count() - kept(text, int_of(&args[1]));
        Ok(Value::from(text.chars().skip(dropped).collect::<String>()))
    }),
    function("rpad", &[TEXT, INT4], Type::Text, |args, _| {
        padded(args, " ").map(|(text, padding)| Value::from(text + &padding))
    }),
    function("rpad", &[TEXT, INT4, TEXT], Type::Text, |args, _| {
        padded(args, text_of(&args[2])).map(|(text, padding)| Value::from(text + &padding))
    }),
    function("rtrim", &[TEXT], Type::Text, |args, _| {
        Ok(Value::from(text_of(&args[0]).trim_end_matches(' ')))
    }),
    function("rtrim", &[TEXT, TEXT], Type::Text, |args, _| {
        Ok(Value::from(text_of(&args[0]).trim_end_matches(any_of(&args[1]))))
    }),
    function("split_part", &[TEXT, TEXT, INT4], Type::Text, |args, _| {
        let (text, delimiter, number) = (text_of(&args[0]), text_of(&args[1]), int_of(&args[2]));
        if number == 0 {
            return Err(SqlError::new(state::INVALID_PARAMETER_VALUE, "field position must not be zero"));
        }
        let parts: Vec<&str> =
            if delimiter.is_empty() { vec![text] } else { text.split(delimiter).collect() };
        let index = if number > 0 { number - 1 } else { parts.len() as i64 + number };
        Ok(Value::from(usize::try_from(index).ok().and_then(|index| parts.get(index)).copied().unwrap_or("")))
    }),
    function("starts_with", &[TEXT, TEXT], Type::Bool, |args, _| {
        Ok(Value::Bool(text_of(&args[0]).starts_with(text_of(&args[1]))))
    }),
    function("string_to_array", &[TEXT, TEXT], Type::Array(&Type::Text), |args, _| {
        let (text, delimiter) = (text_of(&args[0]), text_of(&args[1]));
        Ok(Value::Array(match (text, delimiter) {
            ("", _) => Vec::new().into(),
            (text, "") => vec![Value::from(text)].into(),
            (text, delimiter) => text.split(delimiter).map(Value::from).collect(),
        }))
    }),
    function("strpos", &[TEXT, TEXT], Type::Int4, |args, _| {
        let text = text_of(&args[0]);
        let at = text.find(text_of(&args[1]));
        Ok(Value::Int(at.map_or(0, |at| text[..at].chars().count() as i64 + 1)))
    }),
    function("substr", &[TEXT, INT4], Type::Text, |args, _| substring(&args[0], int_of(&args[1]), None)),
    function("substr", &[TEXT, INT4, INT4], Type::Text, |args, _| {
        substring(&args[0], int_of(&args[1]), Some(int_of(&args[2])))
    }),
    function("substring", &[TEXT, INT4], Type::Text, |args, _| substring(&args[0], int_of(&args[1]), None)),
    function("substring", &[TEXT, INT4, INT4], Type::Text, |args, _| {
        substring(&args[0], int_of(&args[1]), Some(int_of(&args[2])))
    }),
    function("substring", &[TEXT, TEXT], Type::Text, |args, scope| {
        let pattern = scope.run.pattern(text_of(&args[1]), false)?;
        let found = pattern.captures(text_of(&args[0]));
        // The first group if there is one, else the whole match.
        let found = found.and_then(|found| if found.len() > 1 { found.get(1) } else { found.get(0) });
        Ok(found.map_or(Value::Null, |found| Value::from(found.as_str())))
    }),
    function("to_hex", &[Arg::Is(Type::Int8)], Type::Text, |args, _| {
        Ok(Value::from(format!("{:x}", int_of(&args[0]))))
    }),
    function("translate", &[TEXT, TEXT, TEXT], Type::Text, |args, _| {
        let (from, to): (Vec<char>, Vec<char>) =
            (text_of(&args[1]).chars().collect(), text_of(&args[2]).chars().collect());
        let translated = text_of(&args[0]).chars().filter_map(|c| match from.iter().position(|f| *f == c) {
            Some(at) => to.get(at).copied(),
            None => Some(c),
        });
        Ok(Value::from(translated.collect::<String>()))
    }),
    function("upper", &[TEXT], Type::Text, |args, _| Ok(Value::from(text_of(&args[0]).to_uppercase()))),
    function("||", &[Arg::AnyArray, Arg::AnyArray], Type::Text, |args, _| {
        Ok(match (&args[0], &args[1]) {
            (Value::Array(a), Value::Array(b)) => Value::Array(a.iter().chain(b.iter()).cloned().collect()),
            _ => Value::Null,
        })
    })
    .returning(Returns::Arg(0)),
    function("||", &[TEXTS, TEXT], Type::Array(&Type::Text), |args, _| {
        Ok(match &args[0] {
            Value::Array(a) => Value::Array(a.iter().chain(&args[1..]).cloned().collect()),
            _ => Value::Null,
        })
    }),
];

/// The longest text that a function may make: 1 GB in PostgreSQL, less here so that one call cannot exhaust memory.
const MAX_BYTES: usize = 16 * 1024 * 1024;

fn check_length(bytes: usize) -> Result<()> {
    if bytes > MAX_BYTES {
        return Err(SqlError::new(state::PROGRAM_LIMIT, "requested length too large"));
    }
    Ok(())
}

fn length(args: &[Value], _: &Scope<'_>) -> Result<Value> {
    Ok(Value::Int(text_of(&args[0]).chars().count() as i64))
}

/// Any of the characters of a text.
fn any_of(characters: &Value) -> impl Fn(char) -> bool + '_ {
    move |c| text_of(characters).contains(c)
}

/// Characters that `left(text, n)` keeps: negative leaves out that many.
fn kept(text: &str, count: i64) -> usize {
    let length = text.chars().count() as i64;
    let kept = if count < 0 { length + count } else { count.min(length) };
    usize::try_from(kept).unwrap_or(0)
}

/// The text, cut to the wanted length, and what fills it up.
fn padded(args: &[Value], fill: &str) -> Result<(String, String)> {
    let wanted = usize::try_from(int_of(&args[1])).unwrap_or(0);
    check_length(wanted.saturating_mul(4))?;
    let text: String = text_of(&args[0]).chars().take(wanted).collect();
    let missing = wanted - text.chars().count();
    let padding = if fill.is_empty() { String::new() } else { fill.chars().cycle().take(missing).collect() };
    Ok((text, padding))
}

/// Characters from position `from`, which counts from 1 and may lie before the text (PostgreSQL 16 docs, §9.4).
fn substring(text: &Value, from: i64, length: Option<i64>) -> Result<Value> {
    let end = match length {
        Some(length) if length < 0 => {
            return Err(SqlError::new("22011", "negative substring length not allowed"));
        }
        Some(length) => from.saturating_add(length),
        None => i64::MAX,
    };
    let first = from.max(1);
    let count = usize::try_from(end.saturating_sub(first)).unwrap_or(0);
    let skipped = usize::try_from(first - 1).unwrap_or(0);
    Ok(Value::from(text_of(text).chars().skip(skipped).take(count).collect::<String>()))
}

fn replaced(args: &[Value], flags: &str, scope: &Scope<'_>) -> Result<Value> {
    if let Some(flag) = flags.chars().find(|flag| !matches!(flag, 'g' | 'i')) {
        return Err(SqlError::unsupported(format!("the regular expression flag \"{flag}\"")));
    }
    let pattern = scope.run.pattern(text_of(&args[1]), flags.contains('i'))?;
    // `\1` and `\&` here are `${1}` and `${0}` there.
    let mut template = String::new();
    let mut chars = text_of(&args[2]).chars();
    while let Some(c) = chars.next() {
        match c {
            '$' => template.push_str("$$"),
            '\\' => match chars.next() {
                Some(digit @ '1'..='9') => {
                    template.push_str("${");
                    template.push(digit);
                    template.push('}');
                }
                Some('&') => template.push_str("${0}"),
                Some(other) => template.push(other),
                None => template.push('\\'),
            },
            c => template.push(c),
        }
    }
    let text = text_of(&args[0]);
    let limit = usize::from(!flags.contains('g'));
    Ok(Value::from(pattern.replacen(text, limit, template.as_str()).into_owned()))
}

/// `format`: `%s`, `%I`, `%L`, `%%`, with positions but without widths.
fn format(args: &[Value], _: &Scope<'_>) -> Result<Value> {
    let Some((Value::Text(template), args)) = args.split_first() else {
        return Ok(Value::Null);
    };
    let mut out = String::new();
    let mut next = 0;
    let mut chars = template.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut digits = String::new();
        while let Some(digit) = chars.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        if !digits.is_empty() {
            if chars.next() != Some('$') {
                return Err(SqlError::unsupported("a width in format()"));
            }
            next = digits.parse::<usize>().unwrap_or(0).checked_sub(1).ok_or_else(|| {
                SqlError::new(
                    state::INVALID_PARAMETER_VALUE,
                    "format specifies argument 0, but arguments are numbered from 1",
                )
            })?;
        }
        let kind = chars.next().ok_or_else(|| {
            SqlError::new(state::INVALID_PARAMETER_VALUE, "unterminated format() type specifier")
        })?;
        if kind == '%' {
            out.push('%');
            continue;
        }
        let arg = args
            .get(next)
            .ok_or_else(|| SqlError::new(state::INVALID_PARAMETER_VALUE, "too few arguments for format()"))?;
        next += 1;
        match (kind, arg) {
            ('s', Value::Null) => {}
            ('s', arg) => text::write(arg, &mut out),
            ('I', Value::Null) => {
                return Err(SqlError::new("22004", "null values cannot be formatted as an SQL identifier"));
            }
            ('I', arg) => out.push_str(&quoted_name(&text::show(arg))),
            ('L', Value::Null) => out.push_str("NULL"),
            ('L', arg) => out.push_str(&quoted_literal(&text::show(arg))),
            (other, _) => {
                return Err(SqlError::new(
                    state::INVALID_PARAMETER_VALUE,
                    format!("unrecognized format() type specifier \"{other}\""),
                ));
            }
        }
    }
    Ok(Value::from(out))
}

/// A name as a statement must write it.
fn quoted_name(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

fn quoted_literal(text: &str) -> String {
    let quoted = format!("'{}'", text.replace('\'', "''"));
    if text.contains('\\') { format!("E{}", quoted.replace('\\', "\\\\")) } else { quoted }
}
