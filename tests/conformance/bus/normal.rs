//! What cannot be the same on two servers, made the same: moments, generated ids, the order in which a hash table is walked.
//! Everything else stays as it came.

use super::{grammar::Words, resp::Value};

/// Deadlines in generated commands are whole thousands of seconds from now: rounded up to such, what is left of them is the
/// same on both servers, although they are asked a moment apart.
const SECONDS: i64 = 1_000;
const MILLIS: i64 = 1_000 * SECONDS;

/// What of answers is not compared, for the report.
pub const NOT_COMPARED: &[&str] = &[
    "what is left of a time to live is compared in thousands of seconds",
    "idle times in XPENDING, XINFO and OBJECT IDLETIME",
    "ids that the server makes for `*`",
    "the order in which a message comes for several patterns of one client, and in which UNSUBSCRIBE and PUNSUBSCRIBE leave all",
    "the order of KEYS, SMEMBERS, PUBSUB CHANNELS and of a whole SCAN, whose pages and cursors are the server's own affair",
    "client ids, and the version in HELLO",
];

/// Hides ids, at any depth. Two of them may be equal on one server and not on the other: a millisecond is long.
fn hide_ids(value: &mut Value) {
    match value {
        Value::Bytes(_, bytes) if is_made_of_time(bytes) => *bytes = b"<id>".to_vec(),
        Value::Values(_, elements) => elements.iter_mut().for_each(hide_ids),
        _ => {}
    }
}

/// An id whose milliseconds are of this age of the world; the ids that tests write are small.
fn is_made_of_time(bytes: &[u8]) -> bool {
    let mut parts = bytes.split(|byte| *byte == b'-');
    let number = |part: Option<&[u8]>| part.is_some_and(|part| part.iter().all(u8::is_ascii_digit));
    bytes.len() >= 15 && bytes[13] == b'-' && bytes[0] == b'1' && number(parts.next()) && number(parts.next())
}

/// Makes the answer to `command` comparable.
pub fn normalise(command: &Words, answer: &mut Value) {
    hide_ids(answer);
    let word = |index: usize| command.get(index).map(|word| String::from_utf8_lossy(word).to_uppercase());
    let (name, second) = (word(0).unwrap_or_default(), word(1).unwrap_or_default());
    match (name.as_str(), second.as_str()) {
        ("TTL" | "EXPIRETIME", _) => round_up(answer, SECONDS),
        ("PTTL" | "PEXPIRETIME", _) => round_up(answer, MILLIS),
        ("KEYS" | "SMEMBERS", _) | ("PUBSUB", "CHANNELS") => answer.elements().sort(),
        ("(MESSAGES)" | "PUBLISH" | "EXEC", _) => sort_patterns(answer),
        ("UNSUBSCRIBE" | "PUNSUBSCRIBE", "") => sort_channels(answer),
        ("XPENDING", _) => hide_idle_of_pending(answer),
        ("XINFO", _) => {
            ["idle", "inactive", "seen-time", "active-time"].iter().for_each(|field| hide(answer, field));
            hide_moments(answer);
        }
        ("OBJECT", "IDLETIME") | ("CLIENT", "ID") => hide_integer(answer),
        ("HELLO", _) => ["id", "version"].iter().for_each(|field| hide(answer, field)),
        _ => {}
    }
}

/// A message that fits several patterns of a client comes once for each, in the order of a hash table.
fn sort_patterns(answer: &mut Value) {
    let messages = answer.elements();
    messages
        .chunk_by_mut(|a, b| is_for_pattern(a) && is_for_pattern(b) && payload(a) == payload(b))
        .for_each(<[_]>::sort);
}

fn is_for_pattern(message: &Value) -> bool {
    matches!(message, Value::Values(_, elements) if elements.first().and_then(Value::bytes) == Some(b"pmessage"))
}

/// The channel and the text of a message.
fn payload(message: &Value) -> &[Value] {
    match message {
        Value::Values(_, elements) => elements.get(2..).unwrap_or_default(),
        _ => &[],
    }
}

/// UNSUBSCRIBE without channels leaves them in the order of a hash table, and ours leaves patterns by name; how many are left goes down all the same.
fn sort_channels(answer: &mut Value) {
    let mut channels: Vec<Value> =
        answer.elements().iter_mut().filter_map(|left| left.elements().get(1).cloned()).collect();
    channels.sort();
    let places = answer.elements().iter_mut().filter_map(|left| left.elements().get_mut(1));
    places.zip(channels).for_each(|(place, channel)| *place = channel);
}

fn round_up(answer: &mut Value, unit: i64) {
    if let Some(left) = answer.integer().filter(|left| *left > 0) {
        *answer = Value::Line(b':', format!("{}", (left + unit - 1) / unit * unit).into());
    }
}

fn hide_integer(answer: &mut Value) {
    if answer.integer().is_some() {
        *answer = Value::text("<integer>");
    }
}

/// The third of each entry's four fields; a summary has entries, too, but its first field is a number.
fn hide_idle_of_pending(answer: &mut Value) {
    for entry in answer.elements() {
        if let [id, _, idle, _] = entry.elements()
            && id.integer().is_none()
        {
            hide_integer(idle);
        }
    }
}

/// Hides milliseconds since 1970: when entries were delivered. No test writes such large numbers.
fn hide_moments(answer: &mut Value) {
    if answer.integer().is_some_and(|integer| integer > 1_600_000_000_000) {
        hide_integer(answer);
    }
    answer.elements().iter_mut().for_each(hide_moments);
}

/// Hides what follows `field`, at any depth. Lists of fields are flat arrays in RESP2 and maps in RESP3.
fn hide(answer: &mut Value, field: &str) {
    let elements = answer.elements();
    for index in 0..elements.len() {
        if index > 0 && elements[index - 1].bytes() == Some(field.as_bytes()) {
            elements[index] = Value::text("<hidden>");
        }
        hide(&mut elements[index], field);
    }
}
