//! Dates and times: microseconds and days since 2000-01-01T00:00:00Z, printed in UTC.
//!
//! Only ISO 8601 forms are read (`2026-01-02 03:04:05.678+00`, `2026-01-02T03:04:05Z`, a date alone); a missing zone means
//! UTC, the only `TimeZone` this server has. Calendar arithmetic is here too.

use std::fmt::Write as _;

use env::WallTime;

use super::Interval;
use crate::error::{Result, SqlError, state};

/// 2000-01-01 in microseconds since 1970-01-01.
const EPOCH: i64 = 946_684_800_000_000;
pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const DAY: i64 = 86_400 * SECOND;
/// Days from 0000-03-01 (the era of [`civil`]) to 2000-01-01.
const ERA_OFFSET: i64 = 730_425;
/// `DT_NOBEGIN` and `DT_NOEND` of PostgreSQL.
const INFINITY: i64 = i64::MAX;
const MINUS_INFINITY: i64 = i64::MIN;
/// 4713-11-24 BC, and 294277-01-01, which is the first moment beyond.
const FIRST: i64 = -211_813_488_000_000_000;
const LAST: i64 = 9_223_371_331_200_000_000;

/// What the wall clock shows, as a database value.
pub(crate) fn from_wall(time: WallTime) -> i64 {
    time.as_micros().saturating_sub(EPOCH)
}

/// Appends the text form: `2026-01-02 03:04:05.678+00`; without the zone if it is local.
pub(crate) fn write(micros: i64, local: bool, out: &mut String) {
    match micros {
        INFINITY => return out.push_str("infinity"),
        MINUS_INFINITY => return out.push_str("-infinity"),
        _ => {}
    }
    let (year, month, day) = civil(micros.div_euclid(DAY));
    let (shown, suffix) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    let _ = write!(out, "{shown:04}-{month:02}-{day:02} ");
    write_time(micros.rem_euclid(DAY).unsigned_abs(), out);
    out.push_str(if local { "" } else { "+00" });
    out.push_str(suffix);
}

/// Appends `2026-01-02`.
pub(crate) fn write_date(days: i32, out: &mut String) {
    match days {
        i32::MAX => return out.push_str("infinity"),
        i32::MIN => return out.push_str("-infinity"),
        _ => {}
    }
    let (year, month, day) = civil(i64::from(days));
    let (shown, suffix) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    let _ = write!(out, "{shown:04}-{month:02}-{day:02}{suffix}");
}

/// Appends `03:04:05.678`.
pub(crate) fn write_time(micros: u64, out: &mut String) {
    let seconds = micros / SECOND as u64;
    let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let fraction = micros % SECOND as u64;
    if fraction > 0 {
        let digits = format!(".{fraction:06}");
        out.push_str(digits.trim_end_matches('0'));
    }
}

/// Reads the text form of a moment; a local one ignores a zone.
pub(crate) fn parse(text: &str, local: bool) -> Result<i64> {
    match text.trim() {
        "infinity" => Ok(INFINITY),
        "-infinity" => Ok(MINUS_INFINITY),
        "epoch" => Ok(-EPOCH),
        trimmed => {
            let name = if local { "timestamp" } else { "timestamp with time zone" };
            read(trimmed, text, name, |reader| reader.moment(local))
        }
    }
}

/// Reads `2026-01-02`; what follows a date is dropped.
pub(crate) fn parse_date(text: &str) -> Result<i32> {
    match text.trim() {
        "infinity" => Ok(i32::MAX),
        "-infinity" => Ok(i32::MIN),
        "epoch" => Ok((-EPOCH / DAY) as i32),
        trimmed => read(trimmed, text, "date", |reader| {
            reader.moment(true).map(|micros| micros.div_euclid(DAY) as i32)
        }),
    }
}

/// Reads `03:04:05.678`.
pub(crate) fn parse_time(text: &str) -> Result<i64> {
    read(text.trim(), text, "time", |mut reader| {
        let time = reader.time()?;
        if reader.rest.is_empty() { Ok(time) } else { Err(Fault::Syntax) }
    })
}

fn read<T>(
    trimmed: &str,
    text: &str,
    ty: &str,
    read: impl FnOnce(Reader<'_>) -> std::result::Result<T, Fault>,
) -> Result<T> {
    read(Reader { rest: trimmed.as_bytes() }).map_err(|fault| match fault {
        Fault::Syntax => {
            SqlError::new(state::BAD_DATETIME, format!("invalid input syntax for type {ty}: \"{text}\""))
        }
        Fault::Range => {
            SqlError::new(state::DATETIME_OVERFLOW, format!("date/time field value out of range: \"{text}\""))
        }
    })
}

/// Whether a moment is one of the two infinities.
pub(crate) fn is_infinite(micros: i64) -> bool {
    matches!(micros, INFINITY | MINUS_INFINITY)
}

pub(crate) fn out_of_range() -> Box<SqlError> {
    SqlError::new(state::DATETIME_OVERFLOW, "timestamp out of range")
}

/// The moment after an interval: months first, then days, then time (`timestamp_pl_interval` of PostgreSQL).
pub(crate) fn plus(micros: i64, interval: Interval) -> Result<i64> {
    if is_infinite(micros) {
        return Ok(micros);
    }
    let shifted = || {
        let mut day = micros.div_euclid(DAY);
        if interval.months != 0 {
            let (year, month, of_month) = civil(day);
            let months = year * 12 + month - 1 + i64::from(interval.months);
            let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
            day = days(year, month, of_month.min(month_days(year, month)));
        }
        day.checked_add(i64::from(interval.days))?
            .checked_mul(DAY)?
            .checked_add(micros.rem_euclid(DAY))?
            .checked_add(interval.micros)
            .filter(|micros| (FIRST..LAST).contains(micros))
    };
    shifted().ok_or_else(out_of_range)
}

/// The first microsecond of the period of `unit` that a moment lies in; none for an unknown unit.
pub(crate) fn truncate(micros: i64, unit: &str) -> Option<i64> {
    let day = micros.div_euclid(DAY);
    let (year, month, _) = civil(day);
    let within = |unit: i64| micros - micros.rem_euclid(unit);
    let first_of = |year: i64, month: i64| days(year, month, 1) * DAY;
    Some(match unit {
        _ if is_infinite(micros) => micros,
        "microseconds" | "microsecond" => micros,
        "milliseconds" | "millisecond" => within(1_000),
        "second" | "seconds" => within(SECOND),
        "minute" | "minutes" => within(60 * SECOND),
        "hour" | "hours" => within(3_600 * SECOND),
        "day" | "days" => day * DAY,
        // 2000-01-03 was a Monday.
        "week" | "weeks" => (day - (day - 2).rem_euclid(7)) * DAY,
        "month" | "months" => first_of(year, month),
        "quarter" => first_of(year, (month - 1) / 3 * 3 + 1),
        "year" | "years" => first_of(year, 1),
        "decade" => first_of(year.div_euclid(10) * 10, 1),
        "century" => first_of((year - 1).div_euclid(100) * 100 + 1, 1),
        _ => return None,
    })
}

/// The parts of a moment.
pub(crate) struct Parts {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    /// 0 is Sunday.
    pub(crate) weekday: i64,
    /// 1 is the first of January.
    pub(crate) day_of_year: i64,
    /// ISO 8601 year and week.
    pub(crate) week: (i64, i64),
    /// Microseconds since midnight.
    pub(crate) time: i64,
}

/// Takes a moment apart.
pub(crate) fn parts(micros: i64) -> Parts {
    let at = micros.div_euclid(DAY);
    let (year, month, day) = civil(at);
    // 2000-01-01 was a Saturday.
    let weekday = (at + 6).rem_euclid(7);
    // The ISO week belongs to the year of its Thursday.
    let thursday = at - (weekday + 6).rem_euclid(7) + 3;
    let (iso_year, ..) = civil(thursday);
    let week = (thursday - days(iso_year, 1, 1)) / 7 + 1;
    Parts {
        year,
        month,
        day,
        weekday,
        day_of_year: at - days(year, 1, 1) + 1,
        week: (iso_year, week),
        time: micros.rem_euclid(DAY),
    }
}

/// Microseconds since 1970-01-01T00:00:00Z.
pub(crate) fn since_unix(micros: i64) -> i128 {
    i128::from(micros) + i128::from(EPOCH)
}

/// The moment that many microseconds after 1970-01-01T00:00:00Z.
pub(crate) fn from_unix(micros: i64) -> i64 {
    micros.saturating_sub(EPOCH)
}

/// Midnight of a day.
pub(crate) fn midnight(days: i32) -> Result<i64> {
    match days {
        i32::MAX => Ok(INFINITY),
        i32::MIN => Ok(MINUS_INFINITY),
        days => i64::from(days).checked_mul(DAY).ok_or_else(out_of_range),
    }
}

/// The day that a moment lies in.
pub(crate) fn day(micros: i64) -> i32 {
    match micros {
        INFINITY => i32::MAX,
        MINUS_INFINITY => i32::MIN,
        micros => micros.div_euclid(DAY) as i32,
    }
}

/// Microseconds since midnight.
pub(crate) fn time(micros: i64) -> i64 {
    micros.rem_euclid(DAY)
}

enum Fault {
    Syntax,
    Range,
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn moment(mut self, local: bool) -> std::result::Result<i64, Fault> {
        let year = self.number(4, 6)?;
        self.expect(b'-')?;
        let month = self.number(1, 2)?;
        self.expect(b'-')?;
        let day = self.number(1, 2)?;
        if !(1..=12).contains(&month)
            || !(1..=month_days(year, month)).contains(&day)
            || !(1..=294_276).contains(&year)
        {
            return Err(Fault::Range);
        }
        let mut micros = days(year, month, day) * DAY;
        if self.eat(b'T')
            || (self.rest.first() == Some(&b' ') && self.rest.get(1).is_some_and(u8::is_ascii_digit))
        {
            self.eat(b' ');
            micros += self.time()?;
        }
        let zone = self.zone()?;
        micros -= if local { 0 } else { zone };
        if self.rest.is_empty() { Ok(micros) } else { Err(Fault::Syntax) }
    }

    fn time(&mut self) -> std::result::Result<i64, Fault> {
        let hour = self.number(1, 2)?;
        self.expect(b':')?;
        let minute = self.number(2, 2)?;
        let (mut second, mut fraction) = (0, 0);
        if self.eat(b':') {
            second = self.number(2, 2)?;
            if self.eat(b'.') {
                fraction = self.fraction()?;
            }
        }
        if hour > 24 || minute > 59 || second > 60 || (hour == 24 && minute + second + fraction > 0) {
            return Err(Fault::Range);
        }
        Ok((hour * 3_600 + minute * 60 + second) * SECOND + fraction)
    }

    /// The offset east of UTC.
    fn zone(&mut self) -> std::result::Result<i64, Fault> {
        self.eat(b' ');
        if self.rest.is_empty() || self.eat(b'Z') || self.eat(b'z') {
            return Ok(0);
        }
        if self.rest.eq_ignore_ascii_case(b"UTC") {
            self.rest = &[];
            return Ok(0);
        }
        let sign = match self.rest.first() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return Err(Fault::Syntax),
        };
        self.rest = &self.rest[1..];
        let hours = self.number(1, 2)?;
        let minutes = if self.eat(b':') || self.rest.len() == 2 { self.number(2, 2)? } else { 0 };
        if hours > 15 || minutes > 59 {
            Err(Fault::Range)
        } else {
            Ok(sign * (hours * 60 + minutes) * 60 * SECOND)
        }
    }

    /// Digits after the point, rounded to microseconds.
    fn fraction(&mut self) -> std::result::Result<i64, Fault> {
        let count = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let digits = &self.rest[..count];
        self.rest = &self.rest[count..];
        let micros =
            (0..6).fold(0, |value, place| value * 10 + digits.get(place).map_or(0, |d| i64::from(d - b'0')));
        Ok(micros + i64::from(digits.get(6).is_some_and(|digit| *digit >= b'5')))
    }

    fn number(&mut self, least: usize, most: usize) -> std::result::Result<i64, Fault> {
        let count = self.rest.iter().take(most).take_while(|b| b.is_ascii_digit()).count();
        if count < least {
            return Err(Fault::Syntax);
        }
        let value = self.rest[..count].iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
        self.rest = &self.rest[count..];
        Ok(value)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        self.rest = &self.rest[usize::from(found)..];
        found
    }

    fn expect(&mut self, byte: u8) -> std::result::Result<(), Fault> {
        if self.eat(byte) { Ok(()) } else { Err(Fault::Syntax) }
    }
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 2000-01-01 of a date of the proleptic Gregorian calendar (Howard Hinnant's `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - ERA_OFFSET
}

/// The date of a day since 2000-01-01 (`civil_from_days`).
fn civil(day: i64) -> (i64, i64, i64) {
    let day = day + ERA_OFFSET;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{parse, write};

    fn text(micros: i64) -> String {
        let mut out = String::new();
        write(micros, false, &mut out);
        out
    }

    #[test]
    fn moments_print_in_utc_without_trailing_zeros() {
        for (input, output) in [
            ("2000-01-01", "2000-01-01 00:00:00+00"),
            ("2026-02-28T23:59:59.9999995Z", "2026-03-01 00:00:00+00"),
            ("2024-02-29 12:30:00.250+05:30", "2024-02-29 07:00:00.25+00"),
            ("1969-12-31 23:59-0130", "1970-01-01 01:29:00+00"),
            ("epoch", "1970-01-01 00:00:00+00"),
            ("infinity", "infinity"),
        ] {
            assert_eq!(text(parse(input, false).unwrap()), output, "{input}");
        }
    }

    #[test]
    fn impossible_and_malformed_moments_are_refused() {
        for input in [
            "",
            "now-ish",
            "2026-13-01",
            "2023-02-29",
            "2026-01-01 25:00",
            "2026-01-01 1",
            "2026-01-01 00:00x",
        ] {
            assert!(parse(input, false).is_err(), "{input}");
        }
    }

    proptest! {
        #[test]
        fn every_moment_survives_its_text_form(micros in -60_000_000_000_000_000_i64..9_000_000_000_000_000_000) {
            prop_assert_eq!(parse(&text(micros), false).unwrap(), micros);
        }

        #[test]
        fn no_input_panics(input in "[0-9 TZ:.+-]{0,30}", any in any::<i64>()) {
            let _ = parse(&input, false);
            let _ = text(any);
        }
    }
}
