//! Simulated time, and durations as plans write them.

use std::{fmt, time::Duration};

/// A span of `n` milliseconds.
pub const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A span of `n` seconds.
pub const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A span of `n` minutes.
pub const fn mins(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

/// Time since the start of the run. Its resolution is the millisecond, that of tokio's timers; the clock of a run only
/// stands at whole milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimTime(Duration);

impl SimTime {
    /// The start of the run.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// The moment `elapsed` after the start.
    pub const fn after(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// Time since the start.
    pub const fn elapsed(self) -> Duration {
        self.0
    }

    /// Whole milliseconds since the start.
    pub const fn as_millis(self) -> u64 {
        self.0.as_millis() as u64
    }

    /// The span from `earlier` to `self`; zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl std::ops::Add<Duration> for SimTime {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }
}

/// Seconds with three decimals, as plans and traces write it: `40.250s`.
impl fmt::Display for SimTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:03}s", self.0.as_secs(), self.0.subsec_millis());
        f.pad(&text)
    }
}

/// A duration in the largest unit that keeps it whole: `250ms`, `12s`, `10m`, `24h`.
pub(crate) struct Span(pub(crate) Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        match millis {
            0 => write!(f, "0s"),
            _ if millis.is_multiple_of(3_600_000) => write!(f, "{}h", millis / 3_600_000),
            _ if millis.is_multiple_of(60_000) => write!(f, "{}m", millis / 60_000),
            _ if millis.is_multiple_of(1_000) => write!(f, "{}s", millis / 1_000),
            _ => write!(f, "{millis}ms"),
        }
    }
}

/// Reads what [`Span`] and [`SimTime`] write, and decimals of them: `1.5s`, `40.250s`, `3h`.
pub(crate) fn parse_span(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: u64 = whole.parse().ok()?;
    if number.ends_with('.') || fraction.len() > 9 {
        return None;
    }
    let mut millis = whole.checked_mul(factor)?;
    if !fraction.is_empty() {
        let scale = 10_u64.pow(fraction.len() as u32);
        let part = fraction.parse::<u64>().ok()?.checked_mul(factor)?;
        if part % scale != 0 {
            return None;
        }
        millis = millis.checked_add(part / scale)?;
    }
    Some(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_read_back_as_it_is_written() {
        for span in [ms(0), ms(1), ms(250), secs(12), secs(90), mins(10), secs(86_400), ms(86_400_001)] {
            assert_eq!(parse_span(&Span(span).to_string()), Some(span), "{}", Span(span));
            assert_eq!(parse_span(&SimTime::after(span).to_string()), Some(span));
        }
        assert_eq!(parse_span("1.5s"), Some(ms(1_500)));
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in
            ["", "12", "s", "-1s", "1.s", "1.0005ms", "1.2.3s", "9999999999999999999999s", "5 s", "5d"]
        {
            assert_eq!(parse_span(text), None, "{text:?}");
        }
    }
}
