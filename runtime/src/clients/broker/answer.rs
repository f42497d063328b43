//! What an HTTP answer of the broker means: done, definitely not done, or unknown.
//!
//! Source: Binance USD-M futures API, "General Information" (HTTP return codes) and "Error Codes".

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;

use super::http::Response;
use crate::core::Status;

/// Why a request has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// Definitely not done, and the same request would be refused again.
    #[error("{code} {msg}")]
    Rejected {
        /// The exchange's code.
        code: i32,
        /// The exchange's words.
        msg: String,
    },
    /// Definitely not done: the exchange has no capacity, or we have used up ours.
    #[error("busy: {msg}")]
    Busy {
        /// The exchange's words.
        msg: String,
        /// How long to wait before the next request, if the exchange said so.
        retry_after: Option<Duration>,
    },
    /// Definitely not done: it did not leave this machine.
    #[error("not sent: {0}")]
    NotSent(String),
    /// Perhaps done.
    #[error("unknown: {0}")]
    Unknown(String),
}

/// The body of a refusal.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Refusal {
    code: i32,
    msg: String,
}

impl Refusal {
    /// "Order does not exist."
    pub(super) const NO_SUCH_ORDER: i32 = -2013;
    /// "clientOrderId is duplicated"
    pub(super) const DUPLICATE_CLIENT_ORDER_ID: i32 = -4116;
    /// "Too many requests"
    const TOO_MANY_REQUESTS: i32 = -1003;
    /// "An unexpected response was received from the message bus. Execution status unknown."
    const UNEXPECTED_RESPONSE: i32 = -1006;
    /// "Timeout waiting for response from backend server. Send status unknown; execution status unknown."
    const TIMEOUT: i32 = -1007;
    /// "Server is currently overloaded with other requests."
    const OVERLOADED: i32 = -1008;
    /// "Too many new orders"
    const TOO_MANY_ORDERS: i32 = -1015;

    /// The text of the one 503 that says that nothing was done without a code of its own.
    const SERVICE_UNAVAILABLE: &str = "Service Unavailable.";
}

/// Sorts an answer by its status and the code in its body; returns the body of a success.
pub(super) fn meaning(response: Response) -> Result<Bytes, BrokerError> {
    let Response { status, retry_after, body } = response;
    if status.is_success() {
        return Ok(body);
    }
    let refusal: Option<Refusal> = serde_json::from_slice(&body).ok();
    let Refusal { code, msg } = match (status.as_u16(), refusal) {
        (429 | 418, refusal) => {
            return Err(BrokerError::Busy { msg: refusal.unwrap_or_default().msg, retry_after });
        }
        (_, Some(refusal)) => refusal,
        (status, None) => return Err(BrokerError::Unknown(format!("HTTP {status} without a reason"))),
    };
    Err(match code {
        Refusal::TOO_MANY_REQUESTS | Refusal::TOO_MANY_ORDERS | Refusal::OVERLOADED => {
            BrokerError::Busy { msg, retry_after }
        }
        Refusal::UNEXPECTED_RESPONSE | Refusal::TIMEOUT => BrokerError::Unknown(msg),
        _ if msg == Refusal::SERVICE_UNAVAILABLE => BrokerError::Busy { msg, retry_after },
        code if status.is_client_error() => BrokerError::Rejected { code, msg },
        _ => BrokerError::Unknown(msg),
    })
}

/// Reads the body of a success; what cannot be read leaves open what it said.
pub(super) fn json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, BrokerError> {
    serde_json::from_slice(body)
        .map_err(|error| BrokerError::Unknown(format!("an answer that makes no sense: {error}")))
}

/// The exchange's word for where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OrderState {
    /// Accepted, not executed.
    New,
    /// Executed in part.
    PartiallyFilled,
    /// Executed.
    Filled,
    /// Canceled by the account's owner, or by the exchange on their behalf.
    Canceled,
    /// Ended by its own terms.
    Expired,
    /// Ended by self-trade prevention.
    ExpiredInMatch,
    /// Refused after it was accepted for processing.
    Rejected,
}

impl OrderState {
    /// Our word for it.
    pub const fn status(self) -> Status {
        match self {
            Self::New => Status::Acked,
            Self::PartiallyFilled => Status::Partial,
            Self::Filled => Status::Filled,
            Self::Canceled => Status::Canceled,
            Self::Expired | Self::ExpiredInMatch => Status::Expired,
            Self::Rejected => Status::Rejected,
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;

    use super::*;

    fn answer(status: u16, body: &'static str) -> Result<Bytes, BrokerError> {
        let status = StatusCode::from_u16(status).unwrap();
        meaning(Response {
            status,
            retry_after: Some(Duration::from_secs(3)),
            body: Bytes::from_static(body.as_bytes()),
        })
    }

    #[test]
    fn only_a_reasoned_4xx_is_a_rejection() {
        assert_eq!(
            answer(400, r#"{"code":-2019,"msg":"Margin is insufficient."}"#),
            Err(BrokerError::Rejected { code: -2019, msg: "Margin is insufficient.".into() })
        );
        for (status, body) in [
            (400, "<html>"),
            (403, ""),
            (500, r#"{"code":-1000,"msg":"An unknown error occurred"}"#),
            (502, ""),
            (503, r#"{"code":-1000,"msg":"Unknown error, please check your request or try again later."}"#),
            (408, r#"{"code":-1007,"msg":"Timeout"}"#),
            (400, r#"{"code":-1006,"msg":"Unexpected"}"#),
        ] {
            assert!(matches!(answer(status, body), Err(BrokerError::Unknown(_))), "{status} {body}");
        }
    }

    #[test]
    fn refusals_for_lack_of_capacity_are_definite_but_may_be_repeated() {
        for (status, body) in [
            (429, r#"{"code":-1003,"msg":"Too many requests"}"#),
            (418, ""),
            (429, r#"{"code":-1015,"msg":"Too many new orders"}"#),
            (503, r#"{"code":-1008,"msg":"Server is currently overloaded"}"#),
            (503, r#"{"code":0,"msg":"Service Unavailable."}"#),
        ] {
            let retry_after = Some(Duration::from_secs(3));
            assert!(
                matches!(answer(status, body), Err(BrokerError::Busy { retry_after: after, .. }) if after == retry_after),
                "{status} {body}"
            );
        }
    }
}
