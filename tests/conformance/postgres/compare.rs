//! Two servers' answers to one statement, and what is different about them.

use std::fmt;

use super::wire::{Column, Fields, Message};

/// SQLSTATE `deadlock_detected`.
const DEADLOCK: &str = "40P01";

/// One respect in which two answers differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `sqlstate`, `rows`, `columns`, `modifiers`, `tag`, `message`, `detail`, `hint`, `names`, `position`, `notice`, `params`, `state`.
    pub aspect: &'static str,
    pub ours: String,
    pub theirs: String,
}

impl Difference {
    /// Whether what the servers hold may differ now, too.
    pub fn is_of_state(&self) -> bool {
        matches!(self.aspect, "sqlstate" | "rows" | "tag" | "state")
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ours {} | theirs {}", self.aspect, self.ours, self.theirs)
    }
}

/// The aspects of an answer, in the order in which they matter.
type Aspects = Vec<(&'static str, Vec<String>)>;

/// How the answers differ; when only one of them is an error, or another error, nothing else is said.
pub fn differences(ours: &[Message], theirs: &[Message], ordered: bool) -> Vec<Difference> {
    if codes(ours) != codes(theirs) {
        let difference = Difference { aspect: "sqlstate", ours: outcome(ours), theirs: outcome(theirs) };
        return vec![difference];
    }
    // How far an answer got before its error depends on when a server looks at constants.
    let failed = codes(ours).len() == 1;
    let another_error = errors(ours, |fields| fields.get(b'M')).ne(errors(theirs, |fields| fields.get(b'M')));
    aspects(ours, ordered)
        .into_iter()
        .zip(aspects(theirs, ordered))
        .filter(|((aspect, _), _)| !(failed && matches!(*aspect, "columns" | "rows" | "tag" | "params")))
        // Another error is somewhere else.
        .filter(|((aspect, _), _)| !(another_error && *aspect == "position"))
        .filter(|((_, ours), (_, theirs))| ours != theirs)
        .map(|((aspect, shown), (_, theirs_shown))| Difference {
            aspect: if aspect == "columns" && differ_by_plan(ours, theirs) { "modifiers" } else { aspect },
            ours: shown.join(" / "),
            theirs: theirs_shown.join(" / "),
        })
        .collect()
}

/// Whether only the modifiers of a portal's columns differ, and those of the statement, if it was described, do not.
fn differ_by_plan(ours: &[Message], theirs: &[Message]) -> bool {
    let (ours, theirs) = (descriptions(ours), descriptions(theirs));
    let (Some((ours, ours_before)), Some((theirs, theirs_before))) = (ours.split_last(), theirs.split_last())
    else {
        return false;
    };
    let unmodified = |columns: &[Column]| -> Vec<Column> {
        columns.iter().map(|column| Column { modifier: -1, ..column.clone() }).collect()
    };
    ours_before == theirs_before && unmodified(ours) == unmodified(theirs)
}

fn descriptions(answer: &[Message]) -> Vec<&[Column]> {
    answer
        .iter()
        .filter_map(|message| match message {
            Message::Columns(columns) => Some(columns.as_slice()),
            _ => None,
        })
        .collect()
}

fn errors<'a, T>(answer: &'a [Message], look: impl Fn(&'a Fields) -> T + 'a) -> impl Iterator<Item = T> + 'a {
    answer.iter().filter_map(move |message| match message {
        Message::Error(fields) => Some(look(fields)),
        _ => None,
    })
}

fn codes(answer: &[Message]) -> Vec<(&str, &str)> {
    errors(answer, |fields| (fields.get(b'V'), fields.get(b'C'))).collect()
}

/// The error, or the tags of what succeeded.
fn outcome(answer: &[Message]) -> String {
    let error = |fields: &Fields| format!("{} {}", fields.get(b'C'), fields.get(b'M'));
    errors(answer, error).next().unwrap_or_else(|| each(answer, tag).join(" / "))
}

fn each(answer: &[Message], look: impl Fn(&Message) -> Option<String>) -> Vec<String> {
    answer.iter().filter_map(look).collect()
}

fn aspects(answer: &[Message], ordered: bool) -> Aspects {
    let field = |letter| errors(answer, move |fields| fields.get(letter).to_owned()).collect();
    let names = |fields: &Fields| [b's', b't', b'c', b'd', b'n'].map(|letter| fields.get(letter)).join(":");
    let mut rows = each(answer, row);
    if !ordered {
        rows.sort();
    }
    vec![
        ("columns", each(answer, columns)),
        ("rows", rows),
        ("tag", each(answer, tag)),
        ("params", each(answer, params)),
        ("message", field(b'M')),
        ("detail", errors(answer, detail).collect()),
        ("hint", field(b'H')),
        ("names", errors(answer, names).collect()),
        ("position", field(b'P')),
        ("notice", each(answer, notice)),
        ("state", each(answer, state)),
    ]
}

/// The detail, without the numbers of processes and transactions that a deadlock's has.
fn detail(fields: &Fields) -> String {
    let mut text = fields.get(b'D').to_owned();
    if fields.get(b'C') == DEADLOCK {
        text.retain(|c| !c.is_ascii_digit());
    }
    text
}

fn row(message: &Message) -> Option<String> {
    let Message::Row(values) = message else { return None };
    let values = values.iter().map(|value| match value {
        None => "∅".to_owned(),
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains(|c: char| c.is_control()) => text.to_owned(),
            _ => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        },
    });
    Some(format!("({})", values.collect::<Vec<_>>().join(", ")))
}

fn columns(message: &Message) -> Option<String> {
    let Message::Columns(columns) = message else { return None };
    let show = |column: &Column| {
        let Column { name, oid, width, modifier, binary } = column;
        let form = if *binary { " binary" } else { "" };
        format!("{name} {oid}:{width}:{modifier}{form}")
    };
    Some(columns.iter().map(show).collect::<Vec<_>>().join(", "))
}

fn tag(message: &Message) -> Option<String> {
    match message {
        Message::Complete(tag) => Some(tag.clone()),
        Message::Empty => Some("(empty)".into()),
        Message::NoData => Some("(no data)".into()),
        Message::Other(letter) => Some(format!("message {}", char::from(*letter))),
        _ => None,
    }
}

fn params(message: &Message) -> Option<String> {
    match message {
        Message::Params(oids) if !oids.is_empty() => Some(format!("{oids:?}")),
        _ => None,
    }
}

fn notice(message: &Message) -> Option<String> {
    let Message::Notice(fields) = message else { return None };
    Some(format!("{} {} {}", fields.get(b'V'), fields.get(b'C'), fields.get(b'M')))
}

fn state(message: &Message) -> Option<String> {
    let Message::Ready(state) = message else { return None };
    Some(char::from(*state).into())
}
