//! What a client can say on a stream: SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY ("Live
//! Subscribing/Unsubscribing to streams", with its table of error messages).

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{MAX_STREAMS, hub::Seat, name};

/// The longest id of a command that is text.
const MAX_ID: usize = 36;

#[derive(Deserialize)]
struct Command {
    method: Method,
    #[serde(default)]
    params: Vec<Value>,
    #[serde(default)]
    id: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Method {
    Subscribe,
    Unsubscribe,
    ListSubscriptions,
    SetProperty,
    GetProperty,
}

/// A refusal: its code and its words.
type Refusal = (u32, String);

/// Does what `text` asks for and returns the answer.
pub(crate) fn answer(text: &str, seat: &Seat<'_>) -> String {
    let (id, outcome) = match serde_json::from_str::<Command>(text) {
        Ok(command) if is_id(&command.id) => {
            let outcome = obey(&command, seat);
            (command.id, outcome)
        }
        Ok(_) => (Value::Null, Err(invalid("request ID must be an unsigned integer"))),
        Err(error) if error.is_data() => (id_of(text), Err(invalid(&error.to_string()))),
        Err(error) => (Value::Null, Err((3, format!("Invalid JSON: {error}")))),
    };
    match outcome {
        Ok(result) => json!({ "result": result, "id": id }),
        Err((code, msg)) => json!({ "error": { "code": code, "msg": msg }, "id": id }),
    }
    .to_string()
}

fn obey(command: &Command, seat: &Seat<'_>) -> Result<Value, Refusal> {
    match command.method {
        Method::Subscribe => {
            let names = stream_names(&command.params)?;
            if let Some(objection) = names.iter().find_map(|name| name::objection(name)) {
                return Err((2, objection));
            }
            let listened = seat.subscriptions();
            let all: BTreeSet<&str> =
                listened.iter().map(|name| &**name).chain(names.iter().copied()).collect();
            if all.len() > MAX_STREAMS {
                return Err(invalid("too many streams"));
            }
            names.iter().for_each(|name| seat.subscribe(name));
            Ok(Value::Null)
        }
        Method::Unsubscribe => {
            stream_names(&command.params)?.iter().for_each(|name| seat.unsubscribe(name));
            Ok(Value::Null)
        }
        Method::ListSubscriptions => {
            Ok(seat.subscriptions().iter().map(|name| Value::from(&**name)).collect())
        }
        Method::SetProperty => {
            let [property, value] = &command.params[..] else { return Err(miscounted(&command.params, 2)) };
            combined(property)?;
            let value = value.as_bool().ok_or((1, "Invalid value type: expected Boolean".into()))?;
            seat.set_combined(value);
            Ok(Value::Null)
        }
        Method::GetProperty => {
            let [property] = &command.params[..] else { return Err(miscounted(&command.params, 1)) };
            combined(property)?;
            Ok(seat.combined().into())
        }
    }
}

fn stream_names(params: &[Value]) -> Result<Vec<&str>, Refusal> {
    params.iter().map(|param| param.as_str().ok_or_else(|| invalid("stream name must be a string"))).collect()
}

/// The one property there is: whether events carry the name of their stream.
fn combined(property: &Value) -> Result<(), Refusal> {
    match property.as_str() {
        Some("combined") => Ok(()),
        Some(_) => Err((0, "Unknown property".into())),
        None => Err(invalid("property name must be a string")),
    }
}

fn miscounted(params: &[Value], expected: usize) -> Refusal {
    invalid(if params.len() > expected { "too many parameters" } else { "too few parameters" })
}

fn invalid(what: &str) -> Refusal {
    (2, format!("Invalid request: {what}"))
}

/// The documentation wants an unsigned number; the venue takes short texts, too, and its own clients send them.
fn is_id(id: &Value) -> bool {
    id.is_u64() || id.as_str().is_some_and(|text| text.len() <= MAX_ID)
}

/// The id of a command that is wrong otherwise.
fn id_of(text: &str) -> Value {
    #[derive(Deserialize)]
    struct Identified {
        id: Value,
    }
    serde_json::from_str(text)
        .map_or(Value::Null, |Identified { id }| if is_id(&id) { id } else { Value::Null })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Hub;

    fn error(code: u32, msg: &str, id: impl Into<Value>) -> String {
        json!({ "error": { "code": code, "msg": msg }, "id": id.into() }).to_string()
    }

    #[test]
    fn subscriptions_are_added_listed_and_removed() {
        let hub = Hub::default();
        let (seat, _inbox) = hub.join(false);
        let subscribe = r#"{"method":"SUBSCRIBE","params":["b@aggTrade","a@aggTrade"],"id":1}"#;
        assert_eq!(answer(subscribe, &seat), r#"{"id":1,"result":null}"#);
        let list = r#"{"method":"LIST_SUBSCRIPTIONS","id":"two"}"#;
        assert_eq!(answer(list, &seat), r#"{"id":"two","result":["a@aggTrade","b@aggTrade"]}"#);
        answer(r#"{"method":"UNSUBSCRIBE","params":["a@aggTrade","never"],"id":3}"#, &seat);
        assert_eq!(answer(list, &seat), r#"{"id":"two","result":["b@aggTrade"]}"#);
    }

    #[test]
    fn events_can_be_combined_and_told_apart_again() {
        let hub = Hub::default();
        let (seat, _inbox) = hub.join(false);
        let set =
            |value: &str| answer(&format!(r#"{{"method":"SET_PROPERTY","params":{value},"id":5}}"#), &seat);
        let get = || answer(r#"{"method":"GET_PROPERTY","params":["combined"],"id":2}"#, &seat);
        assert_eq!(get(), r#"{"id":2,"result":false}"#);
        assert_eq!(set(r#"["combined",true]"#), r#"{"id":5,"result":null}"#);
        assert_eq!(get(), r#"{"id":2,"result":true}"#);
        assert_eq!(set(r#"["split",true]"#), error(0, "Unknown property", 5));
        assert_eq!(set(r#"["combined",1]"#), error(1, "Invalid value type: expected Boolean", 5));
        assert_eq!(set("[1,true]"), error(2, "Invalid request: property name must be a string", 5));
        assert_eq!(set(r#"["combined",true,1]"#), error(2, "Invalid request: too many parameters", 5));
        assert_eq!(set("[]"), error(2, "Invalid request: too few parameters", 5));
    }

    #[test]
    fn what_is_not_a_command_is_answered_with_an_error() {
        let hub = Hub::default();
        let (seat, _inbox) = hub.join(false);
        assert_eq!(
            answer("{", &seat),
            error(3, "Invalid JSON: EOF while parsing an object at line 1 column 1", Value::Null)
        );
        let unknown = "Invalid request: unknown variant `X`, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, \
                       `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY` at line 1 column 13";
        assert_eq!(answer(r#"{"method":"X","id":7}"#, &seat), error(2, unknown, 7));
        let missing = "Invalid request: missing field `method` at line 1 column 8";
        assert_eq!(answer(r#"{"id":7}"#, &seat), error(2, missing, 7));
        let id = "Invalid request: request ID must be an unsigned integer";
        for text in ["", r#","id":-1"#, r#","id":1.5"#, r#","id":null"#, r#","id":{}"#] {
            let text = format!(r#"{{"method":"LIST_SUBSCRIPTIONS"{text}}}"#);
            assert_eq!(answer(&text, &seat), error(2, id, Value::Null));
        }
    }

    #[test]
    fn a_subscription_is_refused_as_a_whole() {
        let hub = Hub::default();
        let (seat, _inbox) = hub.join(false);
        let subscribe = |names: &Value| {
            answer(&json!({ "method": "SUBSCRIBE", "params": names, "id": 1 }).to_string(), &seat)
        };
        let many: Value = (0..=MAX_STREAMS).map(|n| Value::from(format!("s{n}"))).collect();
        assert_eq!(subscribe(&many), error(2, "Invalid request: too many streams", 1));
        let refused = "Invalid request: the stream a@ticker is not supported";
        assert_eq!(subscribe(&json!(["a@aggTrade", "a@ticker"])), error(2, refused, 1));
        assert_eq!(
            subscribe(&json!(["a@aggTrade", 2])),
            error(2, "Invalid request: stream name must be a string", 1)
        );
        assert_eq!(seat.subscriptions(), []);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_answered_without_a_panic(
            text in ".*",
            method in "(SUBSCRIBE|UNSUBSCRIBE|LIST_SUBSCRIPTIONS|SET_PROPERTY|GET_PROPERTY)",
            params in "[\\[\\]a@,\"0-9{}]{0,20}",
        ) {
            let hub = Hub::default();
            let (seat, _inbox) = hub.join(false);
            answer(&text, &seat);
            answer(&format!(r#"{{"method":"{method}","params":{params},"id":1}}"#), &seat);
        }
    }
}
