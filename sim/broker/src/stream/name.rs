//! Names of streams: `<symbol>@<kind>`, or a listen key, which has no `@`.

use super::market::is_topic;
use crate::fault::Audience;

/// The longest name of a stream.
const MAX_NAME: usize = 128;

/// Who may listen: a name without `@` can only be a listen key.
pub(super) fn audience(name: &str) -> Audience {
    if name.contains('@') { Audience::Market } else { Audience::User }
}

/// Why nobody can listen to `name`. A symbol that is not listed and an unknown listen key are no reason: the venue takes them,
/// too, and stays silent.
pub(super) fn objection(name: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"@!_.-+".contains(&byte);
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(allowed) {
        return Some("Invalid request: invalid stream name".into());
    }
    match name.split_once('@') {
        Some((symbol, kind)) if symbol.is_empty() || symbol.starts_with('!') || !is_topic(kind) => {
            Some(format!("Invalid request: the stream {name} is not supported"))
        }
        None if name.starts_with('!') => Some(format!("Invalid request: the stream {name} is not supported")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_served_is_taken_and_what_is_not_is_named() {
        for name in [
            "btcusdt@aggTrade",
            "nosuch@bookTicker",
            "btcusdt@kline_1m",
            "btcusdt@depth5@100ms",
            "btcusdt@depth",
            "pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv6a81va65sdf1",
        ] {
            assert_eq!(objection(name), None, "{name}");
        }
        for name in [
            "btcusdt@trade",
            "!miniTicker@arr",
            "!bookTicker",
            "btcusdt@depth7",
            "@aggTrade",
            "btcusdt@aggTrade@x",
        ] {
            assert!(objection(name).is_some_and(|why| why.contains(name)), "{name}");
        }
        for name in ["", "btc usdt@aggTrade", "a/b", "é", &"x".repeat(129)] {
            assert_eq!(objection(name).as_deref(), Some("Invalid request: invalid stream name"));
        }
    }
}
