//! Durations as faults write them.

use std::{fmt, time::Duration};

/// A duration in the largest unit that keeps it whole: `250ms`, `12s`, `10m`, `24h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

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

/// Reads what [`Span`] writes, and decimals of it: `1.5s`, `40.250s`, `3h`. Whole milliseconds only.
pub fn parse_span(text: &str) -> Option<Duration> {
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
        for millis in [0, 1, 250, 12_000, 90_000, 600_000, 86_400_000, 86_400_001] {
            let span = Duration::from_millis(millis);
            assert_eq!(parse_span(&Span(span).to_string()), Some(span), "{}", Span(span));
        }
        assert_eq!(parse_span("1.5s"), Some(Duration::from_millis(1_500)));
        assert_eq!(parse_span("40.250s"), Some(Duration::from_millis(40_250)));
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
