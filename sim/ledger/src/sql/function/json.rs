//! Functions and operators of `json` and `jsonb` (PostgreSQL 16 docs, §9.16).

use std::sync::Arc;

use super::{Arg, Function, INT4, JSON, JSONB, Returns, TEXT, TEXTS, function, int_of, text_of};
use crate::{
    data::{Json, Type, Value, json, text},
    error::{Result, SqlError, state},
};

pub(super) const ALL: &[Function] = &[
    function("#>", &[JSONB, TEXTS], Type::Jsonb, |args, _| {
        Ok(as_json(at_path(document(&args[0]), path(&args[1]))))
    }),
    function("#>>", &[JSONB, TEXTS], Type::Text, |args, _| {
        Ok(as_text(at_path(document(&args[0]), path(&args[1]))))
    }),
    function("-", &[JSONB, INT4], Type::Jsonb, |args, _| {
        let mut document = document(&args[0]).clone();
        if let Json::Array(elements) = &mut document {
            let index = int_of(&args[1]);
            let index = if index < 0 { index + elements.len() as i64 } else { index };
            if let Ok(index) = usize::try_from(index)
                && index < elements.len()
            {
                elements.remove(index);
            }
        }
        Ok(Value::Json(Arc::new(document)))
    }),
    function("-", &[JSONB, TEXT], Type::Jsonb, |args, _| {
        let mut document = document(&args[0]).clone();
        match &mut document {
            Json::Object(members) => members.retain(|(key, _)| **key != *text_of(&args[1])),
            Json::Array(elements) => {
                elements
                    .retain(|element| !matches!(element, Json::Text(text) if **text == *text_of(&args[1])));
            }
            _ => {}
        }
        Ok(Value::Json(Arc::new(document)))
    }),
    function("->", &[JSON, INT4], Type::Json, |args, _| {
        json_get(args, |document| document.element(int_of(&args[1])).cloned(), false)
    }),
    function("->", &[JSON, TEXT], Type::Json, |args, _| {
        json_get(args, |document| document.member(text_of(&args[1])).cloned(), false)
    }),
    function("->", &[JSONB, INT4], Type::Jsonb, |args, _| {
        Ok(as_json(document(&args[0]).element(int_of(&args[1]))))
    }),
    function("->", &[JSONB, TEXT], Type::Jsonb, |args, _| {
        Ok(as_json(document(&args[0]).member(text_of(&args[1]))))
    }),
    function("->>", &[JSON, INT4], Type::Text, |args, _| {
        json_get(args, |document| document.element(int_of(&args[1])).cloned(), true)
    }),
    function("->>", &[JSON, TEXT], Type::Text, |args, _| {
        json_get(args, |document| document.member(text_of(&args[1])).cloned(), true)
    }),
    function("->>", &[JSONB, INT4], Type::Text, |args, _| {
        Ok(as_text(document(&args[0]).element(int_of(&args[1]))))
    }),
    function("->>", &[JSONB, TEXT], Type::Text, |args, _| {
        Ok(as_text(document(&args[0]).member(text_of(&args[1]))))
    }),
    function("<@", &[Arg::AnyArray, Arg::AnyArray], Type::Bool, |args, _| Ok(includes(&args[1], &args[0]))),
    function("<@", &[JSONB, JSONB], Type::Bool, |args, _| {
        Ok(Value::Bool(contains(document(&args[1]), document(&args[0]), true)))
    }),
    function("?", &[JSONB, TEXT], Type::Bool, |args, _| {
        Ok(Value::Bool(has_key(document(&args[0]), text_of(&args[1]))))
    }),
    function("?&", &[JSONB, TEXTS], Type::Bool, |args, _| {
        Ok(Value::Bool(path(&args[1]).iter().all(|key| has_key(document(&args[0]), text_of(key)))))
    }),
    function("?|", &[JSONB, TEXTS], Type::Bool, |args, _| {
        Ok(Value::Bool(path(&args[1]).iter().any(|key| has_key(document(&args[0]), text_of(key)))))
    }),
    function("@>", &[Arg::AnyArray, Arg::AnyArray], Type::Bool, |args, _| Ok(includes(&args[0], &args[1]))),
    function("@>", &[JSONB, JSONB], Type::Bool, |args, _| {
        Ok(Value::Bool(contains(document(&args[0]), document(&args[1]), true)))
    }),
    function("json_build_object", &[Arg::Any], Type::Json, |args, _| build_object(args).map(printed))
        .variadic()
        .with_nulls(),
    function("jsonb_array_length", &[JSONB], Type::Int4, |args, _| match document(&args[0]) {
        Json::Array(elements) => Ok(Value::Int(elements.len() as i64)),
        _ => Err(SqlError::new(state::INVALID_PARAMETER_VALUE, "cannot get array length of a non-array")),
    }),
    function("jsonb_build_array", &[Arg::Any], Type::Jsonb, |args, _| {
        Ok(Value::Json(Arc::new(Json::Array(args.iter().map(to_json).collect()))))
    })
    .variadic()
    .with_nulls(),
    function("jsonb_build_object", &[Arg::Any], Type::Jsonb, |args, _| {
        build_object(args).map(|object| Value::Json(Arc::new(object)))
    })
    .variadic()
    .with_nulls(),
    function("jsonb_pretty", &[JSONB], Type::Text, |args, _| {
        let mut out = String::new();
        pretty(document(&args[0]), 0, &mut out);
        Ok(Value::from(out))
    }),
    function("jsonb_set", &[JSONB, TEXTS, JSONB], Type::Jsonb, |args, _| set(args, true)),
    function("jsonb_set", &[JSONB, TEXTS, JSONB, super::BOOL], Type::Jsonb, |args, _| {
        set(args, args[3] == Value::Bool(true))
    }),
    function("jsonb_strip_nulls", &[JSONB], Type::Jsonb, |args, _| {
        let mut document = document(&args[0]).clone();
        strip_nulls(&mut document);
        Ok(Value::Json(Arc::new(document)))
    }),
    function("jsonb_typeof", &[JSONB], Type::Text, |args, _| {
        Ok(Value::from(match document(&args[0]) {
            Json::Null => "null",
            Json::Text(_) => "string",
            Json::Number(_) => "number",
            Json::Bool(_) => "boolean",
            Json::Array(_) => "array",
            Json::Object(_) => "object",
        }))
    }),
    function("to_json", &[Arg::Any], Type::Json, |args, _| Ok(printed(to_json(&args[0])))),
    function("to_jsonb", &[Arg::Any], Type::Jsonb, |args, _| Ok(Value::Json(Arc::new(to_json(&args[0]))))),
    function("||", &[JSONB, JSONB], Type::Jsonb, |args, _| {
        Ok(Value::Json(Arc::new(concatenated(document(&args[0]).clone(), document(&args[1]).clone()))))
    })
    .returning(Returns::Is(Type::Jsonb)),
];

fn document(value: &Value) -> &Json {
    if let Value::Json(document) = value { document } else { &Json::Null }
}

fn path(value: &Value) -> &[Value] {
    if let Value::Array(elements) = value { elements } else { &[] }
}

fn as_json(found: Option<&Json>) -> Value {
    found.map_or(Value::Null, |found| Value::Json(Arc::new(found.clone())))
}

fn as_text(found: Option<&Json>) -> Value {
    match found {
        None | Some(Json::Null) => Value::Null,
        Some(Json::Text(text)) => Value::Text(text.clone()),
        Some(found) => printed(found.clone()),
    }
}

fn printed(document: Json) -> Value {
    Value::from(text::show(&Value::Json(Arc::new(document))))
}

/// A part of a `json` text. Unlike PostgreSQL, which cuts it out as it stands, it is printed in canonical form.
fn json_get(args: &[Value], get: impl FnOnce(&Json) -> Option<Json>, text: bool) -> Result<Value> {
    let found = get(&Json::parse(text_of(&args[0]))?);
    Ok(if text { as_text(found.as_ref()) } else { found.map_or(Value::Null, printed) })
}

fn at_path<'a>(document: &'a Json, path: &[Value]) -> Option<&'a Json> {
    path.iter().try_fold(document, |document, step| {
        let step = text_of(step);
        match document {
            Json::Array(_) => document.element(step.parse().ok()?),
            document => document.member(step),
        }
    })
}

/// `@>` on documents. An array also contains a scalar that is one of its elements, but only outermost.
fn contains(a: &Json, b: &Json, outermost: bool) -> bool {
    match (a, b) {
        (Json::Object(_), Json::Object(members)) => {
            members.iter().all(|(key, value)| a.member(key).is_some_and(|mine| contains(mine, value, false)))
        }
        (Json::Array(mine), Json::Array(theirs)) => {
            theirs.iter().all(|value| mine.iter().any(|element| contains(element, value, false)))
        }
        (Json::Array(mine), scalar) if outermost && !matches!(scalar, Json::Object(_)) => {
            mine.contains(scalar)
        }
        (a, b) => a == b,
    }
}

/// `@>` on arrays; nulls are contained nowhere.
fn includes(a: &Value, b: &Value) -> Value {
    let mine = path(a);
    Value::Bool(path(b).iter().all(|value| !value.is_null() && mine.contains(value)))
}

fn has_key(document: &Json, key: &str) -> bool {
    match document {
        Json::Object(_) => document.member(key).is_some(),
        Json::Array(elements) => {
            elements.iter().any(|element| matches!(element, Json::Text(text) if **text == *key))
        }
        Json::Text(text) => **text == *key,
        _ => false,
    }
}

/// Any value as a document. Moments are printed as ISO 8601 has them, with a `T`.
pub(crate) fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) => Json::Number((*value).into()),
        Value::Numeric(value) => Json::Number(*value),
        Value::Json(document) => document.as_ref().clone(),
        Value::Array(elements) => Json::Array(elements.iter().map(to_json).collect()),
        Value::Timestamp(_) => {
            Json::Text(text::show(value).replacen(' ', "T", 1).replace("+00", "+00:00").into())
        }
        Value::LocalTimestamp(_) => Json::Text(text::show(value).replacen(' ', "T", 1).into()),
        Value::Float4(_) | Value::Float8(_) => {
            let shown = text::show(value);
            Json::parse(&shown).unwrap_or_else(|_| Json::Text(shown.into()))
        }
        other => Json::Text(text::show(other).into()),
    }
}

fn object(mut members: Vec<(Arc<str>, Json)>) -> Json {
    // Of several equal keys the last counts: the sort is stable, so it is the last of its run.
    members.sort_by(|(a, _), (b, _)| json::key_order(a, b));
    members.reverse();
    members.dedup_by(|later, earlier| later.0 == earlier.0);
    members.reverse();
    Json::Object(members)
}

fn build_object(args: &[Value]) -> Result<Json> {
    if !args.len().is_multiple_of(2) {
        return Err(SqlError::new(
            state::INVALID_PARAMETER_VALUE,
            "argument list must have even number of elements",
        ));
    }
    let member = |pair: &[Value]| {
        if pair[0].is_null() {
            return Err(SqlError::new(state::INVALID_PARAMETER_VALUE, "argument 1: key must not be null"));
        }
        Ok((Arc::from(text::show(&pair[0])), to_json(&pair[1])))
    };
    args.chunks_exact(2).map(member).collect::<Result<_>>().map(object)
}

fn concatenated(a: Json, b: Json) -> Json {
    match (a, b) {
        (Json::Object(mut a), Json::Object(b)) => {
            a.extend(b);
            object(a)
        }
        (a, b) => {
            let elements = |document| match document {
                Json::Array(elements) => elements,
                other => vec![other],
            };
            let mut all = elements(a);
            all.extend(elements(b));
            Json::Array(all)
        }
    }
}

fn set(args: &[Value], create: bool) -> Result<Value> {
    let mut target = document(&args[0]).clone();
    let steps = path(&args[1]);
    if !matches!(target, Json::Array(_) | Json::Object(_)) {
        return Err(SqlError::new(state::INVALID_PARAMETER_VALUE, "cannot set path in scalar"));
    }
    set_at(&mut target, steps, document(&args[2]), create)?;
    Ok(Value::Json(Arc::new(target)))
}

fn set_at(target: &mut Json, steps: &[Value], value: &Json, create: bool) -> Result<()> {
    let Some((step, rest)) = steps.split_first() else {
        return Ok(());
    };
    let step = text_of(step);
    match target {
        Json::Object(members) => match members.binary_search_by(|(name, _)| json::key_order(name, step)) {
            Ok(found) if rest.is_empty() => members[found].1 = value.clone(),
            Ok(found) => set_at(&mut members[found].1, rest, value, create)?,
            Err(place) if create && rest.is_empty() => members.insert(place, (step.into(), value.clone())),
            Err(_) => {}
        },
        Json::Array(elements) => {
            let index: i64 = step.parse().map_err(|_| {
                SqlError::new(
                    state::BAD_TEXT,
                    format!("path element at position 1 is not an integer: \"{step}\""),
                )
            })?;
            let from_start = if index < 0 { index + elements.len() as i64 } else { index };
            match usize::try_from(from_start).ok().and_then(|index| elements.get_mut(index)) {
                Some(element) if rest.is_empty() => *element = value.clone(),
                Some(element) => set_at(element, rest, value, create)?,
                None if create && rest.is_empty() && index < 0 => elements.insert(0, value.clone()),
                None if create && rest.is_empty() => elements.push(value.clone()),
                None => {}
            }
        }
        _ => {}
    }
    Ok(())
}

fn strip_nulls(document: &mut Json) {
    match document {
        Json::Object(members) => {
            members.retain(|(_, value)| *value != Json::Null);
            members.iter_mut().for_each(|(_, value)| strip_nulls(value));
        }
        Json::Array(elements) => elements.iter_mut().for_each(strip_nulls),
        _ => {}
    }
}

fn pretty(document: &Json, depth: usize, out: &mut String) {
    let indent = |depth: usize, out: &mut String| {
        out.push('\n');
        (0..depth * 4).for_each(|_| out.push(' '));
    };
    let (open, close, count) = match document {
        Json::Object(members) => ('{', '}', members.len()),
        Json::Array(elements) => ('[', ']', elements.len()),
        scalar => return scalar.write(out),
    };
    out.push(open);
    for index in 0..count {
        if index > 0 {
            out.push(',');
        }
        indent(depth + 1, out);
        match document {
            Json::Object(members) => {
                Json::Text(members[index].0.clone()).write(out);
                out.push_str(": ");
                pretty(&members[index].1, depth + 1, out);
            }
            Json::Array(elements) => pretty(&elements[index], depth + 1, out),
            _ => {}
        }
    }
    indent(depth, out);
    out.push(close);
}

/// For families beside this one: a document's members or elements as rows.
pub(super) fn entries(document: &Value, as_text: bool) -> Option<Vec<Vec<Value>>> {
    let shown = |value: &Json| if as_text { self::as_text(Some(value)) } else { as_json(Some(value)) };
    match self::document(document) {
        Json::Object(members) => {
            Some(members.iter().map(|(key, value)| vec![Value::Text(key.clone()), shown(value)]).collect())
        }
        Json::Array(elements) => Some(elements.iter().map(|element| vec![shown(element)]).collect()),
        _ => None,
    }
}
