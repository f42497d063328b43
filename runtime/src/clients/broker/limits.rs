//! What the exchange tells of its limits: how much is used up, and for how long to stay away.
//!
//! Until a `Retry-After` is over no request leaves, whoever in this process wants it: asking on is what turns a 429 into a ban
//! ("General Info", LIMITS).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::{
    HeaderMap, StatusCode,
    header::{HeaderName, RETRY_AFTER},
};
use tokio::time::{Duration, Instant};

use super::answer::BrokerError;

/// The weight that this address has used in the present minute.
const USED_WEIGHT: HeaderName = HeaderName::from_static("x-mbx-used-weight-1m");

/// The orders of the account in the present 10 s and in the present minute.
const ORDERS_10S: HeaderName = HeaderName::from_static("x-mbx-order-count-10s");
const ORDERS_1M: HeaderName = HeaderName::from_static("x-mbx-order-count-1m");

/// What was told last. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Limits(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    used_weight: u32,
    orders: Option<(u32, u32)>,
    not_before: Option<Instant>,
}

/// The time that an answer demands to be left alone.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    number(headers, &RETRY_AFTER).map(|seconds| Duration::from_secs(seconds.into()))
}

impl Limits {
    /// Whether a request may leave.
    ///
    /// # Errors
    /// [`BrokerError::Busy`] with the time that is left.
    pub(super) fn may_ask(&self) -> Result<(), BrokerError> {
        let left = self.told().not_before.map(|at| at.saturating_duration_since(Instant::now()));
        match left.filter(|left| !left.is_zero()) {
            Some(left) => Err(BrokerError::Busy {
                msg: "the exchange has told us to wait".into(),
                retry_after: Some(left),
            }),
            None => Ok(()),
        }
    }

    /// Takes note of an answer's headers.
    pub(super) fn note(&self, status: StatusCode, headers: &HeaderMap) {
        let mut told = self.told();
        if let Some(weight) = number(headers, &USED_WEIGHT) {
            told.used_weight = weight;
        }
        if let (Some(ten_seconds), Some(minute)) = (number(headers, &ORDERS_10S), number(headers, &ORDERS_1M))
        {
            told.orders = Some((ten_seconds, minute));
        }
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::IM_A_TEAPOT)
            && let Some(wait) = retry_after(headers)
        {
            told.not_before = told.not_before.max(Some(Instant::now() + wait));
        }
    }

    pub(super) fn used_weight(&self) -> u32 {
        self.told().used_weight
    }

    /// The order counts, if there were any since the last call.
    pub(super) fn take_orders(&self) -> Option<(u32, u32)> {
        self.told().orders.take()
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // Every method leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u32> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_429_nothing_leaves_before_its_retry_after() {
        let limits = Limits::default();
        assert_eq!(limits.may_ask(), Ok(()));
        limits.note(StatusCode::TOO_MANY_REQUESTS, &headers(&[(RETRY_AFTER, "7")]));
        limits.note(StatusCode::TOO_MANY_REQUESTS, &headers(&[(RETRY_AFTER, "3")]));
        tokio::time::advance(Duration::from_millis(6_999)).await;
        let left = Some(Duration::from_millis(1));
        assert!(
            matches!(limits.may_ask(), Err(BrokerError::Busy { retry_after, .. }) if retry_after == left)
        );
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(limits.may_ask(), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_429_or_418_tells_everybody_to_wait() {
        let limits = Limits::default();
        limits.note(StatusCode::SERVICE_UNAVAILABLE, &headers(&[(RETRY_AFTER, "7")]));
        limits.note(StatusCode::TOO_MANY_REQUESTS, &headers(&[(RETRY_AFTER, "soon")]));
        assert_eq!(limits.may_ask(), Ok(()));
        limits.note(StatusCode::IM_A_TEAPOT, &headers(&[(RETRY_AFTER, "120")]));
        assert!(limits.may_ask().is_err());
    }

    #[test]
    fn order_counts_are_news_once_and_the_weight_is_what_was_told_last() {
        let limits = Limits::default();
        limits.note(StatusCode::OK, &headers(&[(ORDERS_10S, "3"), (ORDERS_1M, "9"), (USED_WEIGHT, "41")]));
        limits.note(StatusCode::OK, &headers(&[(USED_WEIGHT, "42")]));
        assert_eq!(
            (limits.used_weight(), limits.take_orders(), limits.take_orders()),
            (42, Some((3, 9)), None)
        );
    }
}
