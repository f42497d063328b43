//! `docs/events.md` names every fact that the trading system reports: its fields, their types, and what it tells.
//!
//! Names and fields come from the sources, the sentences from the document itself: `UPDATE_DOCS=1` writes the table anew, with
//! an empty cell where a sentence is still to be written. Types that the sources leave open are checked against a run.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use sim::{Options, run, trace::Value};
use tests::root;

const DOCUMENT: &str = "docs/events.md";
const BEGIN: &str = "<!-- begin events -->\n";
const END: &str = "<!-- end events -->\n";

/// A fact or detail, as one call or several report it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Reported {
    /// Whether it is a detail, one of many of its kind.
    detail: bool,
    /// Every field that some call gives, with its type where the call tells.
    fields: BTreeMap<String, Option<&'static str>>,
}

/// A row of the document's table.
#[derive(Clone, Debug, Default)]
struct Row {
    fields: BTreeMap<String, String>,
    sentence: String,
}

#[test]
fn the_document_names_every_fact_with_its_fields_and_says_what_it_tells() {
    let path = root().join(DOCUMENT);
    let document = fs::read_to_string(&path).expect("the document exists");
    let (before, rest) = document.split_once(BEGIN).expect("the document has a table");
    let (written, after) = rest.split_once(END).expect("the table has an end");
    let told = rows(written);
    let table = table(&reported(), &told);
    if written != table {
        assert!(
            std::env::var_os("UPDATE_DOCS").is_some(),
            "{DOCUMENT} is not what the sources report:\n{table}"
        );
        fs::write(&path, [before, BEGIN, &table, END, after].concat()).expect("a writable document");
    }
    let mute: Vec<String> =
        rows(&table).into_iter().filter(|(_, row)| row.sentence.is_empty()).map(|(name, _)| name).collect();
    assert!(mute.is_empty(), "{DOCUMENT} does not say what these tell: {mute:?}");
}

#[test]
fn the_types_in_the_document_are_those_of_a_run() {
    let document = fs::read_to_string(root().join(DOCUMENT)).expect("the document exists");
    let told = rows(&document);
    let scenario = scenarios::find("calm_day").expect("the catalogue has a calm day");
    let outcome = run(&scenario.case(scenarios::Length::Sweep), 7, &Options::default())
        .expect("a plan of the scenario's own");
    let mut checked = BTreeSet::new();
    for event in &outcome.events {
        let Some(row) = told.get(event.name) else { continue };
        for (field, value) in &event.fields {
            let found = match value {
                Value::Bool(_) => "flag",
                Value::Int(_) | Value::Uint(_) => "number",
                Value::Text(_) => "text",
            };
            let written = row.fields.get(*field).map(String::as_str);
            assert_eq!(written, Some(found), "{}.{field}", event.name);
            checked.insert((event.name, *field));
        }
    }
    assert!(checked.len() > 20, "a calm day reports only {checked:?}");
}

/// What the sources of the trading system report, by name.
fn reported() -> BTreeMap<String, Reported> {
    let mut found: BTreeMap<String, Reported> = BTreeMap::new();
    for path in sources(&root().join("runtime/src")) {
        let text = fs::read_to_string(&path).expect("a readable source");
        for (detail, call) in calls(&text) {
            let mut parts = arguments(call).into_iter();
            let first = parts.next().unwrap_or_default();
            let name = first.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
            let name = name.unwrap_or_else(|| panic!("{}: a fact without a literal name", path.display()));
            let reported = found.entry(name.to_owned()).or_default();
            reported.detail |= detail;
            for (field, kind) in parts.filter(|part| !part.is_empty()).map(field) {
                let known = reported.fields.entry(field).or_default();
                *known = known.or(kind);
            }
        }
    }
    found
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a readable directory") {
        let path = entry.expect("a readable directory").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The arguments of every call of the two macros, and whether it is `detail!`.
fn calls(text: &str) -> Vec<(bool, &str)> {
    let mut found = Vec::new();
    for (word, detail) in [("fact!(", false), ("detail!(", true)] {
        for (at, _) in text.match_indices(word) {
            let inside = &text[at + word.len()..];
            found.push((detail, &inside[..end_of(inside)]));
        }
    }
    found
}

/// Where the parenthesis closes that `text` begins behind.
fn end_of(text: &str) -> usize {
    let (mut depth, mut quoted, mut escaped) = (0_u32, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' if depth == 0 => return at,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
    }
    panic!("a call that does not end: {text:.80}")
}

/// The arguments between commas of the outermost level.
fn arguments(call: &str) -> Vec<String> {
    let (mut parts, mut depth, mut quoted) = (vec![String::new()], 0_u32, false);
    for c in call.chars() {
        match c {
            '"' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted => depth -= 1,
            ',' if depth == 0 && !quoted => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().expect("there is one part at least").push(c);
    }
    parts.iter().map(|part| part.trim().to_owned()).collect()
}

/// The name of a field, and its type if `name = value` tells it.
fn field(argument: String) -> (String, Option<&'static str>) {
    let (name, value) = argument.split_once('=').unwrap_or((&argument, &argument));
    let (name, value) = (name.trim().trim_start_matches(['%', '?']), value.trim());
    let ends_or_begins =
        |words: &[&str]| words.iter().any(|word| value.ends_with(word) || value.starts_with(word));
    let kind = if value.starts_with(['%', '?', '"']) || ends_or_begins(&[".as_str()", ".name()", "::PATH"]) {
        Some("text")
    } else if ends_or_begins(&["as u64", "as i64", "_u64", "_i64", "u64::from(", "i64::from("]) {
        Some("number")
    } else if matches!(value, "true" | "false")
        || ends_or_begins(&["!", "is_", ".is_some()", ".is_none()", ".is_empty()"])
    {
        Some("flag")
    } else {
        None
    };
    (name.to_owned(), kind)
}

/// The rows of a table in Markdown, by the fact's name.
fn rows(document: &str) -> BTreeMap<String, Row> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.strip_prefix("| `")?.strip_suffix(" |")?.split(" | ").collect();
        let [name, fields, sentence] = cells[..] else { return None };
        let (name, _) = name.split_once('`')?;
        let fields = fields.split(", ").filter_map(|field| {
            let (name, kind) = field.strip_prefix('`')?.split_once("` ")?;
            Some((name.to_owned(), kind.to_owned()))
        });
        Some((name.to_owned(), Row { fields: fields.collect(), sentence: sentence.trim().to_owned() }))
    };
    document.lines().filter_map(row).collect()
}

/// The table of what is reported, with the sentences, and the types that the sources leave open, from the one before.
fn table(reported: &BTreeMap<String, Reported>, told: &BTreeMap<String, Row>) -> String {
    let mut table = "\n| fact | fields | what happened |\n| --- | --- | --- |\n".to_owned();
    for (name, Reported { detail, fields }) in reported {
        let before = told.get(name).cloned().unwrap_or_default();
        let fields: Vec<String> = fields
            .iter()
            .map(|(field, kind)| {
                let known = before.fields.get(field).map_or("text", String::as_str);
                format!("`{field}` {}", kind.unwrap_or(known))
            })
            .collect();
        let mark = if *detail { " (detail)" } else { "" };
        table += &format!("| `{name}`{mark} | {} | {} |\n", fields.join(", "), before.sentence);
    }
    table + "\n"
}
