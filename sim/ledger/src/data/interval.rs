//! `interval`: months, days and time apart, because a month and a day have no fixed length.

use std::{cmp::Ordering, fmt::Write as _};

use crate::error::{Result, SqlError, state};

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A span of time. Ordered as if a month had 30 days and a day 24 hours.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Interval {
    pub(crate) months: i32,
    pub(crate) days: i32,
    pub(crate) micros: i64,
}

impl Interval {
    fn span(self) -> i128 {
        (i128::from(self.months) * 30 + i128::from(self.days)) * i128::from(DAY) + i128::from(self.micros)
    }

    /// The sum with each part on its own.
    pub(crate) fn plus(self, other: Self) -> Result<Self> {
        let sum = || {
            Some(Self {
                months: self.months.checked_add(other.months)?,
                days: self.days.checked_add(other.days)?,
                micros: self.micros.checked_add(other.micros)?,
            })
        };
        sum().ok_or_else(overflow)
    }

    pub(crate) fn negated(self) -> Result<Self> {
        let negated = || {
            Some(Self {
                months: self.months.checked_neg()?,
                days: self.days.checked_neg()?,
                micros: self.micros.checked_neg()?,
            })
        };
        negated().ok_or_else(overflow)
    }

    /// Fractions of months become days and fractions of days time (`interval_mul` of PostgreSQL).
    pub(crate) fn times(self, factor: f64) -> Result<Self> {
        let months = f64::from(self.months) * factor;
        let days = f64::from(self.days) * factor;
        let whole_months = months.trunc();
        let whole_days = days.trunc();
        let day_rest = (months - whole_months) * 30.0;
        // What is meant as a whole number must not become just less than it.
        let rounded = |value: f64| (value * 1e6).round() / 1e6;
        let spilled = rounded(day_rest);
        let seconds = rounded((days - whole_days + spilled - spilled.trunc()) * 86_400.0);
        let micros = (self.micros as f64 * factor + seconds * SECOND as f64).round();
        let total_days = whole_days + spilled.trunc();
        let fits = |value: f64, limit: f64| value.is_finite() && value.abs() < limit;
        if !fits(whole_months, 2_147_483_648.0) || !fits(total_days, 2_147_483_648.0) || !fits(micros, 9.2e18)
        {
            return Err(overflow());
        }
        Ok(Self { months: whole_months as i32, days: total_days as i32, micros: micros as i64 })
    }
}

impl Ord for Interval {
    fn cmp(&self, other: &Self) -> Ordering {
        self.span().cmp(&other.span())
    }
}

impl PartialOrd for Interval {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Interval {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Interval {}

fn overflow() -> Box<SqlError> {
    SqlError::new(state::DATETIME_OVERFLOW, "interval out of range")
}

/// Appends the text form of `IntervalStyle` postgres: `1 year 2 mons -3 days 04:05:06.7`.
pub(crate) fn write(interval: Interval, out: &mut String) {
    let start = out.len();
    let mut negative_before = false;
    let mut part = |value: i32, unit: &str, out: &mut String| {
        if value == 0 {
            return;
        }
        let space = if out.len() > start { " " } else { "" };
        let sign = if negative_before && value > 0 { "+" } else { "" };
        let plural = if value == 1 { "" } else { "s" };
        let _ = write!(out, "{space}{sign}{value} {unit}{plural}");
        negative_before = value < 0;
    };
    part(interval.months / 12, "year", out);
    part(interval.months % 12, "mon", out);
    part(interval.days, "day", out);
    if interval.micros != 0 || out.len() == start {
        let space = if out.len() > start { " " } else { "" };
        let sign = match interval.micros {
            ..0 => "-",
            _ if negative_before => "+",
            _ => "",
        };
        let _ = write!(out, "{space}{sign}");
        super::timestamp::write_time(interval.micros.unsigned_abs(), out);
    }
}

/// Reads `1 year 2 mons 3 days 04:05:06`, `5 minutes`, `-1 day ago`, and ISO 8601 (`P1DT2H`).
pub(crate) fn parse(text: &str) -> Result<Interval> {
    let found = if text.trim_start().starts_with('P') { iso(text.trim()) } else { words(text) };
    found.ok_or_else(|| {
        SqlError::new(state::BAD_DATETIME, format!("invalid input syntax for type interval: \"{text}\""))
    })
}

fn words(text: &str) -> Option<Interval> {
    let lower = text.trim().to_ascii_lowercase();
    let (body, ago) = match lower.strip_suffix("ago") {
        Some(body) => (body.trim_end().to_owned(), true),
        None => (lower, false),
    };
    let body = body.strip_prefix('@').unwrap_or(&body);
    let mut total = Interval::default();
    let mut tokens = split_units(body).into_iter().peekable();
    tokens.peek()?;
    while let Some(token) = tokens.next() {
        if token.contains(':') {
            total.micros = total.micros.checked_add(clock(&token)?)?;
            continue;
        }
        // A number without a unit counts seconds.
        let unit = match tokens.peek() {
            Some(next) if next.starts_with(|c: char| c.is_ascii_alphabetic()) => tokens.next(),
            Some(_) => return None,
            None => Some("second".to_owned()),
        }?;
        add(&mut total, &token, &unit)?;
    }
    if ago { total.negated().ok() } else { Some(total) }
}

/// Splits at spaces, and between a number and the unit that follows it directly.
fn split_units(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    for word in text.split_whitespace() {
        match word.find(|c: char| c.is_ascii_alphabetic()) {
            Some(at) if at > 0 => tokens.extend([word[..at].to_owned(), word[at..].to_owned()]),
            _ => tokens.push(word.to_owned()),
        }
    }
    tokens
}

fn clock(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut parts = digits.split(':');
    let hours: i64 = parts.next()?.parse().ok()?;
    let minutes: i64 = parts.next()?.parse().ok()?;
    let seconds = parts.next().map_or(Some(0), |seconds| decimal(seconds, SECOND))?;
    if parts.next().is_some() || !(0..60).contains(&minutes) || !(0..=60 * SECOND).contains(&seconds) {
        return None;
    }
    let micros = hours.checked_mul(HOUR)?.checked_add(minutes * MINUTE + seconds)?;
    Some(if negative { -micros } else { micros })
}

/// A decimal number of units of `unit`, rounded to whole ones.
fn decimal(text: &str, unit: i64) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let negative = whole.starts_with('-');
    let whole: i64 = if matches!(whole, "" | "-" | "+") { 0 } else { whole.parse().ok()? };
    let mut total = whole.checked_mul(unit)?;
    if !fraction.is_empty() {
        if !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let part: f64 = format!("0.{fraction}").parse().ok()?;
        let part = (part * unit as f64).round() as i64;
        total = if negative { total.checked_sub(part)? } else { total.checked_add(part)? };
    }
    Some(total)
}

fn add(total: &mut Interval, number: &str, unit: &str) -> Option<()> {
    let days = |total: &mut Interval, number: &str, days: i64| {
        let micros = decimal(number, days.checked_mul(DAY)?)?;
        total.days = total.days.checked_add(i32::try_from(micros / DAY).ok()?)?;
        total.micros = total.micros.checked_add(micros % DAY)?;
        Some(())
    };
    let months = |total: &mut Interval, number: &str, months: i64| {
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let whole = i64::from(if matches!(whole, "" | "-") { 0 } else { whole.parse::<i32>().ok()? });
        total.months = total.months.checked_add(i32::try_from(whole.checked_mul(months)?).ok()?)?;
        if !fraction.is_empty() {
            // Fractions of years become months, those of months days of which a month has 30.
            let sign = if number.starts_with('-') { -1.0 } else { 1.0 };
            let rest = format!("0.{fraction}").parse::<f64>().ok()? * months as f64 * sign;
            total.months = total.months.checked_add(rest.trunc() as i32)?;
            if months == 1 {
                let micros = (rest.fract() * 30.0 * DAY as f64).round() as i64;
                total.days = total.days.checked_add(i32::try_from(micros / DAY).ok()?)?;
                total.micros = total.micros.checked_add(micros % DAY)?;
            }
        }
        Some(())
    };
    let time = match unit {
        "us" | "usec" | "usecs" | "microsecond" | "microseconds" => 1,
        "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" => 1_000,
        "s" | "sec" | "secs" | "second" | "seconds" => SECOND,
        "m" | "min" | "mins" | "minute" | "minutes" => MINUTE,
        "h" | "hr" | "hrs" | "hour" | "hours" => HOUR,
        "d" | "day" | "days" => return days(total, number, 1),
        "w" | "week" | "weeks" => return days(total, number, 7),
        "mon" | "mons" | "month" | "months" => return months(total, number, 1),
        "y" | "yr" | "yrs" | "year" | "years" => return months(total, number, 12),
        "decade" | "decades" => return months(total, number, 120),
        "century" | "centuries" => return months(total, number, 1_200),
        _ => return None,
    };
    total.micros = total.micros.checked_add(decimal(number, time)?)?;
    Some(())
}

fn iso(text: &str) -> Option<Interval> {
    let mut total = Interval::default();
    let mut in_time = false;
    let mut rest = text.strip_prefix('P')?;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('T') {
            in_time = true;
            rest = after;
            continue;
        }
        let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let unit = match (&rest[end..=end], in_time) {
            ("Y", false) => "year",
            ("M", false) => "month",
            ("W", false) => "week",
            ("D", false) => "day",
            ("H", true) => "hour",
            ("M", true) => "minute",
            ("S", true) => "second",
            _ => return None,
        };
        add(&mut total, &rest[..end], unit)?;
        rest = &rest[end + 1..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        let mut out = String::new();
        write(parse(text).unwrap(), &mut out);
        out
    }

    #[test]
    fn intervals_print_as_postgresql_prints_them() {
        for (input, output) in [
            ("5 minutes", "00:05:00"),
            ("1 day 02:03:04.5", "1 day 02:03:04.5"),
            ("1 year 2 mons", "1 year 2 mons"),
            ("-1 day", "-1 days"),
            ("1 mon -1 day", "1 mon -1 days"),
            ("-1 mon +1 day", "-1 mons +1 day"),
            ("1 week", "7 days"),
            ("90 minutes ago", "-01:30:00"),
            ("1.5 days", "1 day 12:00:00"),
            ("1.5 months", "1 mon 15 days"),
            ("100 hours", "100:00:00"),
            ("30s", "00:00:30"),
            ("7", "00:00:07"),
            ("P1Y2M3DT4H5M6S", "1 year 2 mons 3 days 04:05:06"),
            ("0", "00:00:00"),
            ("-1 day 2 hours", "-1 days +02:00:00"),
        ] {
            assert_eq!(shown(input), output, "{input}");
        }
        for input in ["", "x", "1 fortnight", "5 5", "P", "1:99"] {
            assert_eq!(parse(input).unwrap_err().state, state::BAD_DATETIME, "{input}");
        }
    }

    #[test]
    fn multiplication_spills_downwards() {
        let half = |text: &str| {
            let mut out = String::new();
            write(parse(text).unwrap().times(0.5).unwrap(), &mut out);
            out
        };
        assert_eq!(half("1 month"), "15 days");
        assert_eq!(half("3 days"), "1 day 12:00:00");
        assert_eq!(half("1 hour"), "00:30:00");
    }

    proptest! {
        #[test]
        fn every_interval_survives_its_text_form(months in -50_000_i32..50_000, days in -50_000_i32..50_000, micros in -1_000_000_000_000_i64..1_000_000_000_000) {
            let interval = Interval { months, days, micros };
            let mut text = String::new();
            write(interval, &mut text);
            let back = parse(&text).unwrap();
            prop_assert_eq!((back.months, back.days, back.micros), (months, days, micros));
        }

        #[test]
        fn no_text_panics(text in "[0-9a-z:. PTYMDHS+-]{0,30}") {
            let _ = parse(&text);
        }
    }
}
