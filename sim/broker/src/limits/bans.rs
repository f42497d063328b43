//! Addresses that are banned, and for how long: from 2 minutes up to 3 days for repeat offenders ("IP Limits").

use std::{collections::BTreeMap, net::IpAddr};

const FIRST_MS: i64 = 2 * 60 * 1_000;
const LONGEST_MS: i64 = 3 * 24 * 60 * 60 * 1_000;
/// A ban counts as an earlier offence for as long after its end. The documentation gives no figure; this one bounds what is
/// remembered.
const FORGIVEN_AFTER_MS: i64 = LONGEST_MS;

/// The latest ban of each address. Times are milliseconds of the exchange's wall clock.
#[derive(Debug, Default)]
pub(super) struct Bans(BTreeMap<IpAddr, Ban>);

#[derive(Debug)]
struct Ban {
    until: i64,
    span: i64,
}

impl Bans {
    /// When the ban of `from` ends, if it is banned at `now`.
    pub fn until(&self, now: i64, from: IpAddr) -> Option<i64> {
        self.0.get(&from).map(|ban| ban.until).filter(|until| now < *until)
    }

    /// Bans `from`: twice as long as the last time. Returns when the ban ends.
    pub fn impose(&mut self, now: i64, from: IpAddr) -> i64 {
        self.0.retain(|_, ban| now < ban.until.saturating_add(FORGIVEN_AFTER_MS));
        let span = self.0.get(&from).map_or(FIRST_MS, |earlier| (earlier.span * 2).min(LONGEST_MS));
        let until = now.saturating_add(span);
        self.0.insert(from, Ban { until, span });
        until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bans_double_up_to_three_days_and_are_forgiven_after_three_more() {
        let from = [10, 0, 0, 1].into();
        let mut bans = Bans::default();
        let mut now = 0;
        let mut spans = Vec::new();
        for _ in 0..14 {
            let until = bans.impose(now, from);
            assert_eq!((bans.until(until - 1, from), bans.until(until, from)), (Some(until), None));
            spans.push((until - now) / 60_000);
            now = until;
        }
        assert_eq!(spans[..4], [2, 4, 8, 16]);
        assert_eq!(spans[11..], [4_096, 4_320, 4_320]);
        now += FORGIVEN_AFTER_MS;
        assert_eq!(bans.impose(now, from), now + FIRST_MS);
    }
}
