//! How much may be asked per address and ordered per account ("General Info", section LIMITS; figures as
//! `exchangeInfo.rateLimits`), and what comes to those who go on asking.
//!
//! Weight is per address, orders are per account. Windows are aligned to the exchange's wall clock: one of a minute begins
//! with the minute.
//!
//! Deliberately absent: the ban of addresses whose streams are cut again and again, which the documentation only threatens.

mod bans;

use std::{collections::BTreeMap, net::IpAddr};

use self::bans::Bans;
use crate::error::ApiError;

/// Request weight per address and minute.
pub(crate) const WEIGHT_PER_MINUTE: u32 = 2_400;
/// Orders per account and 10 seconds.
pub(crate) const ORDERS_PER_10S: u32 = 300;
/// Orders per account and minute.
pub(crate) const ORDERS_PER_MINUTE: u32 = 1_200;

/// Requests that an address may send after its first 429 of a minute before it is banned. The documentation says only
/// that a ban follows "repeatedly violating rate limits and/or failing to back off"; a client that stops at its first 429
/// may still have a handful of requests under way.
pub(crate) const PATIENCE: u32 = 10;

const MINUTE_MS: i64 = 60_000;
const TEN_SECONDS_MS: i64 = 10_000;

/// Counts per key within the current window; windows are aligned to the exchange's wall clock.
#[derive(Debug)]
struct Window<K> {
    length_ms: i64,
    number: i64,
    counts: BTreeMap<K, u32>,
}

impl<K: Ord> Window<K> {
    fn new(length_ms: i64) -> Self {
        Self { length_ms, number: 0, counts: BTreeMap::new() }
    }

    /// Adds `n` to the count of `key` at `now` and returns the sum.
    fn add(&mut self, now: i64, key: K, n: u32) -> u32 {
        let number = now.div_euclid(self.length_ms);
        if number != self.number {
            self.number = number;
            self.counts.clear();
        }
        let count = self.counts.entry(key).or_default();
        *count = count.saturating_add(n);
        *count
    }

    /// Whole seconds until the window of `now` ends, rounded up.
    fn ends_in(&self, now: i64) -> i64 {
        whole_seconds(self.length_ms - now.rem_euclid(self.length_ms))
    }
}

/// The counters of an exchange. Times are milliseconds of its wall clock.
#[derive(Debug)]
pub(crate) struct Limits {
    weight: Window<IpAddr>,
    refusals: Window<IpAddr>,
    bans: Bans,
    orders_10s: Window<usize>,
    orders_1m: Window<usize>,
}

/// An account's order counts after an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OrderCounts {
    pub ten_seconds: u32,
    pub minute: u32,
}

impl Limits {
    pub fn new() -> Self {
        Self {
            weight: Window::new(MINUTE_MS),
            refusals: Window::new(MINUTE_MS),
            bans: Bans::default(),
            orders_10s: Window::new(TEN_SECONDS_MS),
            orders_1m: Window::new(MINUTE_MS),
        }
    }

    /// Counts a request, refused or not, and returns the weight used.
    ///
    /// # Errors
    /// [`ApiError::TooManyRequests`] for the rest of a minute whose weight is used up; [`ApiError::Banned`] when the address
    /// went on asking, and for as long as its ban lasts.
    pub fn request(&mut self, now: i64, from: IpAddr, weight: u32) -> Result<u32, ApiError> {
        if let Some(until) = self.bans.until(now, from) {
            return Err(banned(now, until));
        }
        let used = self.weight.add(now, from, weight);
        if used <= WEIGHT_PER_MINUTE {
            return Ok(used);
        }
        if self.refusals.add(now, from, 1) > PATIENCE + 1 {
            return Err(banned(now, self.bans.impose(now, from)));
        }
        let retry_after = self.weight.ends_in(now);
        Err(ApiError::TooManyRequests { limit: WEIGHT_PER_MINUTE, retry_after })
    }

    /// The weight that an address has used in the window of `now`.
    pub fn used(&mut self, now: i64, from: IpAddr) -> u32 {
        self.weight.add(now, from, 0)
    }

    /// Counts an order, refused or not.
    pub fn order(&mut self, now: i64, account: usize) -> Result<OrderCounts, ApiError> {
        let ten_seconds = self.orders_10s.add(now, account, 1);
        let minute = self.orders_1m.add(now, account, 1);
        if ten_seconds > ORDERS_PER_10S {
            let retry_after = self.orders_10s.ends_in(now);
            return Err(ApiError::TooManyOrders {
                limit: ORDERS_PER_10S,
                interval: "10 seconds",
                retry_after,
            });
        }
        if minute > ORDERS_PER_MINUTE {
            let retry_after = self.orders_1m.ends_in(now);
            return Err(ApiError::TooManyOrders {
                limit: ORDERS_PER_MINUTE,
                interval: "minute",
                retry_after,
            });
        }
        Ok(OrderCounts { ten_seconds, minute })
    }
}

fn banned(now: i64, until: i64) -> ApiError {
    ApiError::Banned { until, retry_after: whole_seconds(until - now) }
}

/// Milliseconds in seconds, rounded up: whoever waits so long has waited long enough.
pub(crate) fn whole_seconds(millis: i64) -> i64 {
    millis.saturating_add(999).div_euclid(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_goes_on_after_a_429_is_banned_for_two_minutes_and_for_four_the_next_time() {
        let from = [10, 0, 0, 1].into();
        let mut limits = Limits::new();
        let exhaust = |limits: &mut Limits, now: i64| {
            assert_eq!(limits.request(now, from, WEIGHT_PER_MINUTE), Ok(WEIGHT_PER_MINUTE));
            for _ in 0..=PATIENCE {
                assert!(matches!(limits.request(now, from, 1), Err(ApiError::TooManyRequests { .. })));
            }
            limits.request(now, from, 1)
        };
        let first = exhaust(&mut limits, 600_500);
        assert_eq!(first, Err(ApiError::Banned { until: 720_500, retry_after: 120 }));
        let waiting = limits.request(720_499, from, 1);
        assert_eq!(waiting, Err(ApiError::Banned { until: 720_500, retry_after: 1 }));
        assert_eq!(limits.request(720_500, [10, 0, 0, 2].into(), 1), Ok(1), "an address of its own");
        let second = exhaust(&mut limits, 720_500);
        assert_eq!(second, Err(ApiError::Banned { until: 960_500, retry_after: 240 }));
    }

    #[test]
    fn a_client_that_backs_off_is_never_banned() {
        let from = [10, 0, 0, 1].into();
        let mut limits = Limits::new();
        for minute in 0..10_000 {
            let now = minute * MINUTE_MS;
            assert_eq!(limits.request(now, from, WEIGHT_PER_MINUTE), Ok(WEIGHT_PER_MINUTE));
            for _ in 0..=PATIENCE {
                assert!(matches!(limits.request(now, from, 1), Err(ApiError::TooManyRequests { .. })));
            }
        }
    }

    #[test]
    fn weight_runs_out_per_address_and_comes_back_with_the_minute() {
        let (a, b) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let mut limits = Limits::new();
        assert_eq!(limits.request(600_500, a, 2_400), Ok(2_400));
        let refused = limits.request(600_500, a, 1);
        assert_eq!(refused, Err(ApiError::TooManyRequests { limit: 2_400, retry_after: 60 }));
        assert_eq!(limits.request(600_500, b, 1), Ok(1));
        assert_eq!(limits.request(660_000, a, 1), Ok(1));
    }

    #[test]
    fn the_301st_order_in_ten_seconds_is_refused() {
        let mut limits = Limits::new();
        for n in 1..=300 {
            assert_eq!(limits.order(20_000, 0), Ok(OrderCounts { ten_seconds: n, minute: n }));
        }
        let refused = ApiError::TooManyOrders { limit: 300, interval: "10 seconds", retry_after: 2 };
        assert_eq!(limits.order(28_000, 0), Err(refused));
        assert_eq!(limits.order(30_000, 0), Ok(OrderCounts { ten_seconds: 1, minute: 302 }));
    }
}
