//! What a client can say on a stream: SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS ("Live Subscribing/Unsubscribing").

use serde::Deserialize;
use serde_json::{Value, json};

use super::{MAX_NAME, MAX_STREAMS, hub::Seat};

#[derive(Deserialize)]
struct Command {
    method: String,
    #[serde(default)]
    params: Vec<String>,
    #[serde(default)]
    id: Value,
}

/// Does what `text` asks for and returns the answer.
pub(crate) fn answer(text: &str, seat: &Seat<'_>) -> String {
    let command: Command = match serde_json::from_str(text) {
        Ok(command) => command,
        Err(error) => return refusal(&Value::Null, 3, &format!("Invalid JSON: {error}")),
    };
    let result = match command.method.as_str() {
        "SUBSCRIBE" => {
            if let Some(reason) = objection(&command.params, seat) {
                return refusal(&command.id, 2, reason);
            }
            command.params.iter().for_each(|name| seat.subscribe(name));
            Value::Null
        }
        "UNSUBSCRIBE" => {
            command.params.iter().for_each(|name| seat.unsubscribe(name));
            Value::Null
        }
        "LIST_SUBSCRIPTIONS" => seat.subscriptions().iter().map(|name| Value::from(&**name)).collect(),
        _ => return refusal(&command.id, 2, "Invalid request: unknown method"),
    };
    json!({ "result": result, "id": command.id }).to_string()
}

fn objection(names: &[String], seat: &Seat<'_>) -> Option<&'static str> {
    if names.iter().any(|name| name.is_empty() || name.len() > MAX_NAME) {
        Some("Invalid request: a stream's name is empty or too long")
    } else if names.len() + seat.subscriptions().len() > MAX_STREAMS {
        Some("Invalid request: too many streams")
    } else {
        None
    }
}

fn refusal(id: &Value, code: u32, msg: &str) -> String {
    json!({ "error": { "code": code, "msg": msg }, "id": id }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Hub;

    #[test]
    fn subscriptions_are_added_listed_and_removed() {
        let hub = Hub::default();
        let (seat, _inbox) = hub.join(false);
        let subscribe = r#"{"method":"SUBSCRIBE","params":["b@x","a@x"],"id":1}"#;
        assert_eq!(answer(subscribe, &seat), r#"{"id":1,"result":null}"#);
        let list = r#"{"method":"LIST_SUBSCRIPTIONS","id":"two"}"#;
        assert_eq!(answer(list, &seat), r#"{"id":"two","result":["a@x","b@x"]}"#);
        answer(r#"{"method":"UNSUBSCRIBE","params":["a@x","never"],"id":3}"#, &seat);
        assert_eq!(answer(list, &seat), r#"{"id":"two","result":["b@x"]}"#);
    }

    #[test]
    fn what_is_not_a_command_is_answered_with_an_error() {
        let hub = Hub::default();
        let (seat, _inbox) = hub.join(false);
        assert!(answer("{", &seat).starts_with(r#"{"error":{"code":3,"msg":"Invalid JSON: "#));
        let unknown = r#"{"error":{"code":2,"msg":"Invalid request: unknown method"},"id":7}"#;
        assert_eq!(answer(r#"{"method":"X","id":7}"#, &seat), unknown);
        let many: Vec<String> = (0..=MAX_STREAMS).map(|n| format!("s{n}")).collect();
        let refused = answer(&json!({ "method": "SUBSCRIBE", "params": many }).to_string(), &seat);
        assert!(refused.contains("too many streams"));
        assert_eq!(seat.subscriptions(), []);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_answered_without_a_panic(text in ".*") {
            let hub = Hub::default();
            let (seat, _inbox) = hub.join(false);
            answer(&text, &seat);
        }
    }
}
