//! What an operator may ask of a trader: to close a circuit breaker.

use std::sync::Arc;

use async_trait::async_trait;
use env::fact;
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;

use crate::{
    core::Symbol,
    status::{Answer, Asked, Routes},
};

/// Where a breaker is closed; the supervisor passes on what its operators ask for.
const RESET: &str = "/admin/breaker/reset";

/// The resets that were asked for; the desk, if there is one, looks at those that come.
pub(super) type Resets = watch::Receiver<Option<Symbol>>;

/// The endpoints.
pub(super) struct Operator {
    token: String,
    resets: watch::Sender<Option<Symbol>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reset {
    symbol: Symbol,
}

impl Operator {
    /// The endpoints for whoever has the token, and what is asked through them.
    pub(super) fn new(token: String) -> (Arc<Self>, Resets) {
        let (resets, asked) = watch::channel(None);
        (Arc::new(Self { token, resets }), asked)
    }

    fn reset(&self, asked: &Asked) -> Answer {
        if asked.bearer.as_deref() != Some(&self.token) {
            return Answer::refusal(StatusCode::UNAUTHORIZED, "the token is missing or wrong");
        }
        match serde_json::from_slice::<Reset>(&asked.body) {
            Ok(Reset { symbol }) => {
                fact!("breaker.reset_by_hand", symbol = %symbol);
                let answer = Answer::json(StatusCode::OK, &json!({ "symbol": symbol }));
                self.resets.send_replace(Some(symbol));
                answer
            }
            Err(error) => Answer::refusal(StatusCode::BAD_REQUEST, error.to_string()),
        }
    }
}

#[async_trait]
impl Routes for Operator {
    async fn answer(&self, asked: &Asked) -> Option<Answer> {
        (asked.method == Method::POST && asked.path == RESET).then(|| self.reset(asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(operator: &Operator, bearer: Option<&str>, body: &'static str) -> Option<StatusCode> {
        let asked = Asked {
            method: Method::POST,
            path: RESET.into(),
            bearer: bearer.map(str::to_owned),
            body: body.as_bytes().into(),
        };
        operator.answer(&asked).await.map(|answer| answer.status)
    }

    #[tokio::test]
    async fn only_the_token_closes_a_breaker_and_only_of_a_symbol() {
        let (operator, mut resets) = Operator::new("token".into());
        let body = r#"{"symbol":"BTCUSDT"}"#;
        for bearer in [None, Some("guess")] {
            assert_eq!(ask(&operator, bearer, body).await, Some(StatusCode::UNAUTHORIZED));
        }
        for body in ["", "{}", r#"{"symbol":"b t c"}"#] {
            assert_eq!(ask(&operator, Some("token"), body).await, Some(StatusCode::BAD_REQUEST));
        }
        assert!(!resets.has_changed().unwrap());
        assert_eq!(ask(&operator, Some("token"), body).await, Some(StatusCode::OK));
        assert_eq!(*resets.borrow_and_update(), Some("BTCUSDT".parse().unwrap()));
    }
}
