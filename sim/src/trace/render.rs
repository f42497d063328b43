//! Two renderings of a trace: JSON lines for machines, and the semantic form for people and snapshots.

use std::{collections::BTreeMap, fmt::Write};

use serde_json::{Map, Value as Json, json};

use super::{Event, Kind, Value};

/// The version of the JSON form; it changes when a reader of the old form would misread the new one.
pub const SCHEMA: u32 = 1;

/// One event as a line of JSON: `{"at":40.25,"host":"trader","kind":"fact","name":"order.sent","fields":{…}}`, where
/// `at` is in seconds.
pub fn json_line(event: &Event) -> String {
    let fields: Map<String, Json> = event
        .fields
        .iter()
        .map(|(name, value)| {
            let value = match value {
                Value::Bool(value) => json!(value),
                Value::Int(value) => json!(value),
                Value::Uint(value) => json!(value),
                Value::Text(value) => json!(value),
            };
            ((*name).to_string(), value)
        })
        .collect();
    let kind = match event.kind {
        Kind::Fact => "fact",
        Kind::Detail => "detail",
        Kind::Engine => "engine",
    };
    let at = event.at.as_millis() as f64 / 1_000.0;
    json!({"at": at, "host": &*event.host, "kind": kind, "name": event.name, "fields": fields}).to_string()
}

/// One event as a person reads it: time, host, name, `field=value` pairs.
pub fn story_line(event: &Event) -> String {
    let mut line = format!("{:>12}  {:<10} {}", event.at, event.host, event.name);
    for (name, value) in &event.fields {
        append_field(&mut line, name, &value.to_string());
    }
    line
}

/// The semantic trace: facts, and faults as they begin and end, without times and with names for ids.
///
/// The n-th distinct value of a field `<what>_id` is shown as `<what>:<n>`, so the text stays the same when an
/// unrelated change moves times or renumbers things.
pub fn semantic<'a>(events: impl IntoIterator<Item = &'a Event>) -> String {
    let mut aliases: BTreeMap<(&str, String), usize> = BTreeMap::new();
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    let mut text = String::new();
    let told = |event: &&Event| {
        event.kind == Kind::Fact
            || (event.kind == Kind::Engine && !event.name.starts_with("net.") && event.name != "disk.sync")
    };
    for event in events.into_iter().filter(told) {
        let mut line = format!("{:<10} {}", event.host, event.name);
        for (name, value) in &event.fields {
            let value = match name.strip_suffix("_id") {
                Some(what) => {
                    let alias = aliases.entry((what, value.to_string())).or_insert_with(|| {
                        let count = known.entry(what).or_default();
                        *count += 1;
                        *count
                    });
                    format!("{what}:{alias}")
                }
                None => value.to_string(),
            };
            append_field(&mut line, name, &value);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn append_field(line: &mut String, name: &str, value: &str) {
    let quote = value.is_empty() || value.contains([' ', '=', '"']);
    let written = if quote { write!(line, "  {name}={value:?}") } else { write!(line, "  {name}={value}") };
    written.expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{SimTime, ms};

    fn event(kind: Kind, name: &'static str, fields: Vec<(&'static str, Value)>) -> Event {
        Event { at: SimTime::after(ms(40_250)), host: "trader".into(), name, kind, fields }
    }

    #[test]
    fn the_json_form_keeps_types() {
        let fields = vec![
            ("id", "c1".into()),
            ("n", Value::Uint(3)),
            ("ok", Value::Bool(true)),
            ("d", Value::Int(-1)),
        ];
        assert_eq!(
            json_line(&event(Kind::Fact, "order.sent", fields)),
            r#"{"at":40.25,"fields":{"d":-1,"id":"c1","n":3,"ok":true},"host":"trader","kind":"fact","name":"order.sent"}"#
        );
    }

    #[test]
    fn the_semantic_form_names_ids_and_leaves_out_time_and_details() {
        let order = |id: &str| vec![("order_id", id.into()), ("why", "no space left".into())];
        let events = [
            event(Kind::Fact, "a", order("991")),
            event(Kind::Detail, "b", vec![]),
            event(Kind::Engine, "net.packet", vec![]),
            event(Kind::Engine, "host.killed", vec![]),
            event(Kind::Fact, "c", order("17")),
            event(Kind::Fact, "d", order("991")),
        ];
        let text = semantic(&events);
        let expected = "trader     a  order_id=order:1  why=\"no space left\"\n\
                        trader     host.killed\n\
                        trader     c  order_id=order:2  why=\"no space left\"\n\
                        trader     d  order_id=order:1  why=\"no space left\"\n";
        assert_eq!(text, expected);
    }
}
