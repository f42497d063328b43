//! Who sent a request, and when: HMAC-SHA256 over query and body, and the timestamp window ("Endpoint security type").

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::error::ApiError;

/// How far a request's timestamp may lie in the future, in milliseconds, exclusive.
const MAX_AHEAD_MS: i64 = 1_000;
/// Age limit of a request without `recvWindow`, in milliseconds.
const DEFAULT_RECV_WINDOW_MS: i64 = 5_000;
/// The largest `recvWindow`, in milliseconds.
const MAX_RECV_WINDOW_MS: i64 = 60_000;

/// An account's key, ready to sign.
#[derive(Clone)]
pub struct Signer(Hmac<Sha256>);

impl Signer {
    /// From the account's secret.
    pub fn new(secret: &str) -> Self {
        Self(Hmac::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length"))
    }

    /// The signature of `payload` in lower-case hex.
    pub fn sign(&self, payload: &str) -> String {
        let mut mac = self.0.clone();
        mac.update(payload.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }

    /// Checks the signature at the end of the body or, with no body, of the query. Signed is the query followed
    /// directly by the body, without the signature. Takes the same time for every wrong signature.
    pub(crate) fn verify(&self, query: &str, body: &str) -> Result<(), ApiError> {
        let last = if body.is_empty() { query } else { body };
        let (signed, signature) = split(last).ok_or(ApiError::MissingParameter("signature"))?;
        let mut expected = self.0.clone();
        if !body.is_empty() {
            expected.update(query.as_bytes());
        }
        expected.update(signed.as_bytes());
        let mut given = [0; 32];
        hex::decode_to_slice(signature, &mut given).map_err(|_| ApiError::BadSignature)?;
        expected.verify_slice(&given).map_err(|_| ApiError::BadSignature)
    }
}

/// The signature of `payload` under `secret` in lower-case hex.
pub fn sign(secret: &str, payload: &str) -> String {
    Signer::new(secret).sign(payload)
}

/// `symbol=X&signature=S` → (`symbol=X`, `S`).
fn split(text: &str) -> Option<(&str, &str)> {
    let (signed, last) = text.rsplit_once('&').unwrap_or(("", text));
    last.strip_prefix("signature=").map(|signature| (signed, signature))
}

/// Whether a request stamped `timestamp` may be served at `now`, all in milliseconds.
pub(crate) fn check_time(now: i64, timestamp: i64, recv_window: Option<i64>) -> Result<(), ApiError> {
    let window = recv_window.unwrap_or(DEFAULT_RECV_WINDOW_MS);
    if !(0..=MAX_RECV_WINDOW_MS).contains(&window) {
        Err(ApiError::RecvWindow)
    } else if timestamp >= now.saturating_add(MAX_AHEAD_MS) {
        Err(ApiError::TimestampAhead)
    } else if now.saturating_sub(timestamp) > window {
        Err(ApiError::TimestampOld)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of the venue's documentation ("SIGNED Endpoint Examples for POST /fapi/v1/order").
    const SECRET: &str = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9";
    const QUERY: &str = "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC&recvWindow=5000\
                         &timestamp=1591702613943";
    const SIGNATURE: &str = "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9";

    #[test]
    fn the_documented_example_has_the_documented_signature() {
        assert_eq!(sign(SECRET, QUERY), SIGNATURE);
    }

    #[test]
    fn a_signature_is_accepted_in_the_query_in_the_body_and_over_both() {
        let signer = Signer::new("s");
        let signed = |payload: &str| signer.sign(payload);
        assert_eq!(signer.verify(&format!("a=1&signature={}", signed("a=1")), ""), Ok(()));
        assert_eq!(signer.verify("", &format!("a=1&signature={}", signed("a=1"))), Ok(()));
        assert_eq!(signer.verify("a=1", &format!("b=2&signature={}", signed("a=1b=2"))), Ok(()));
        let joined = format!("b=2&signature={}", signed("a=1&b=2"));
        assert_eq!(signer.verify("a=1", &joined), Err(ApiError::BadSignature));
    }

    #[test]
    fn a_wrong_malformed_missing_or_misplaced_signature_is_refused() {
        let signer = Signer::new("s");
        let other = Signer::new("t").sign("a=1");
        assert_eq!(signer.verify(&format!("a=1&signature={other}"), ""), Err(ApiError::BadSignature));
        assert_eq!(signer.verify("a=1&signature=zz", ""), Err(ApiError::BadSignature));
        let missing = Err(ApiError::MissingParameter("signature"));
        assert_eq!(signer.verify("a=1", ""), missing);
        assert_eq!(signer.verify(&format!("signature={}&a=1", signer.sign("a=1")), ""), missing);
    }

    #[test]
    fn the_window_is_open_below_a_second_ahead_and_up_to_the_receive_window_behind() {
        let now = 1_000_000;
        assert_eq!(check_time(now, now + 999, None), Ok(()));
        assert_eq!(check_time(now, now + 1_000, None), Err(ApiError::TimestampAhead));
        assert_eq!(check_time(now, now - 5_000, None), Ok(()));
        assert_eq!(check_time(now, now - 5_001, None), Err(ApiError::TimestampOld));
        assert_eq!(check_time(now, now - 60_000, Some(60_000)), Ok(()));
        assert_eq!(check_time(now, now, Some(60_001)), Err(ApiError::RecvWindow));
        assert_eq!(check_time(now, i64::MIN, Some(10)), Err(ApiError::TimestampOld));
        assert_eq!(check_time(now, i64::MAX, Some(10)), Err(ApiError::TimestampAhead));
    }
}
