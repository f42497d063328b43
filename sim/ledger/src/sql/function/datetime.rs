//! Dates, times and intervals: functions and operators (PostgreSQL 16 docs, §9.8 and §9.9).

use rust_decimal::Decimal;

use super::{
    DATE, FLOAT, Function, INT4, INTERVAL, TEXT, TIME, TIMESTAMP, TIMESTAMPTZ, function, int_of, text_of,
};
use crate::{
    data::{Float, Interval, Type, Value, numeric, timestamp},
    error::{Result, SqlError, state},
    sql::eval::Scope,
};

pub(super) const ALL: &[Function] = &[
    function("*", &[FLOAT, INTERVAL], Type::Interval, |args, _| scaled(&args[1], float_of(&args[0]))),
    function("*", &[INTERVAL, FLOAT], Type::Interval, |args, _| scaled(&args[0], float_of(&args[1]))),
    function("+", &[DATE, INT4], Type::Date, |args, _| later_day(&args[0], int_of(&args[1]))),
    function("+", &[DATE, INTERVAL], Type::Timestamp, later),
    function("+", &[DATE, TIME], Type::Timestamp, |args, _| {
        let time = Interval { micros: time_of(&args[1]), ..Interval::default() };
        Ok(Value::LocalTimestamp(timestamp::plus(moment_of(&args[0])?, time)?))
    }),
    function("+", &[INT4, DATE], Type::Date, |args, _| later_day(&args[1], int_of(&args[0]))),
    function("+", &[INTERVAL, INTERVAL], Type::Interval, |args, _| {
        interval_of(&args[0]).plus(interval_of(&args[1])).map(Value::Interval)
    }),
    function("+", &[INTERVAL, TIMESTAMP], Type::Timestamp, |args, scope| {
        later(&[args[1].clone(), args[0].clone()], scope)
    }),
    function("+", &[INTERVAL, TIMESTAMPTZ], Type::Timestamptz, |args, scope| {
        later(&[args[1].clone(), args[0].clone()], scope)
    }),
    function("+", &[TIME, INTERVAL], Type::Time, |args, _| {
        Ok(Value::Time(timestamp::time(time_of(&args[0]).wrapping_add(interval_of(&args[1]).micros))))
    }),
    function("+", &[TIMESTAMP, INTERVAL], Type::Timestamp, later),
    function("+", &[TIMESTAMPTZ, INTERVAL], Type::Timestamptz, later),
    function("-", &[DATE, DATE], Type::Int4, |args, _| match (&args[0], &args[1]) {
        (Value::Date(a), Value::Date(b)) => Ok(Value::Int(i64::from(*a) - i64::from(*b))),
        _ => Ok(Value::Null),
    }),
    function("-", &[DATE, INT4], Type::Date, |args, _| later_day(&args[0], -int_of(&args[1]))),
    function("-", &[DATE, INTERVAL], Type::Timestamp, earlier),
    function("-", &[INTERVAL], Type::Interval, |args, _| {
        interval_of(&args[0]).negated().map(Value::Interval)
    }),
    function("-", &[INTERVAL, INTERVAL], Type::Interval, |args, _| {
        interval_of(&args[0]).plus(interval_of(&args[1]).negated()?).map(Value::Interval)
    }),
    function("-", &[TIME, INTERVAL], Type::Time, |args, _| {
        Ok(Value::Time(timestamp::time(time_of(&args[0]).wrapping_sub(interval_of(&args[1]).micros))))
    }),
    function("-", &[TIME, TIME], Type::Interval, |args, _| {
        let micros = time_of(&args[0]) - time_of(&args[1]);
        Ok(Value::Interval(Interval { micros, ..Interval::default() }))
    }),
    function("-", &[TIMESTAMP, INTERVAL], Type::Timestamp, earlier),
    function("-", &[TIMESTAMP, TIMESTAMP], Type::Interval, between),
    function("-", &[TIMESTAMPTZ, INTERVAL], Type::Timestamptz, earlier),
    function("-", &[TIMESTAMPTZ, TIMESTAMPTZ], Type::Interval, between),
    function("/", &[INTERVAL, FLOAT], Type::Interval, |args, _| match float_of(&args[1]) {
        0.0 => Err(numeric::division_by_zero()),
        divisor => scaled(&args[0], 1.0 / divisor),
    }),
    function("clock_timestamp", &[], Type::Timestamptz, |_, scope| {
        Ok(Value::Timestamp(scope.run.clock_now()))
    }),
    function("current_date", &[], Type::Date, |_, scope| Ok(Value::Date(timestamp::day(scope.run.now())))),
    function("current_time", &[], Type::Time, |_, scope| Ok(Value::Time(timestamp::time(scope.run.now())))),
    function("date", &[TIMESTAMP], Type::Date, |args, _| {
        Ok(Value::Date(timestamp::day(moment_of(&args[0])?)))
    }),
    function("date", &[TIMESTAMPTZ], Type::Date, |args, _| {
        Ok(Value::Date(timestamp::day(moment_of(&args[0])?)))
    }),
    function("date_part", &[TEXT, INTERVAL], Type::Float8, date_part),
    function("date_part", &[TEXT, TIMESTAMP], Type::Float8, date_part),
    function("date_part", &[TEXT, TIMESTAMPTZ], Type::Float8, date_part),
    function("date_trunc", &[TEXT, TIMESTAMP], Type::Timestamp, date_trunc),
    function("date_trunc", &[TEXT, TIMESTAMPTZ], Type::Timestamptz, date_trunc),
    function("extract", &[TEXT, DATE], Type::Numeric, extract),
    function("extract", &[TEXT, INTERVAL], Type::Numeric, extract),
    function("extract", &[TEXT, TIME], Type::Numeric, extract),
    function("extract", &[TEXT, TIMESTAMP], Type::Numeric, extract),
    function("extract", &[TEXT, TIMESTAMPTZ], Type::Numeric, extract),
    function("localtimestamp", &[], Type::Timestamp, |_, scope| Ok(Value::LocalTimestamp(scope.run.now()))),
    function("make_date", &[INT4, INT4, INT4], Type::Date, |args, _| {
        let text = format!("{:04}-{:02}-{:02}", int_of(&args[0]), int_of(&args[1]), int_of(&args[2]));
        timestamp::parse_date(&text).map(Value::Date)
    }),
    function("to_char", &[TIMESTAMP, TEXT], Type::Text, to_char),
    function("to_char", &[TIMESTAMPTZ, TEXT], Type::Text, to_char),
    function("to_timestamp", &[FLOAT], Type::Timestamptz, |args, _| {
        let micros = (float_of(&args[0]) * timestamp::SECOND as f64).round();
        if !(-2.1e17..9.2e18).contains(&micros) {
            return Err(timestamp::out_of_range());
        }
        Ok(Value::Timestamp(timestamp::from_unix(micros as i64)))
    }),
];

fn float_of(value: &Value) -> f64 {
    if let Value::Float8(Float(value)) = value { *value } else { f64::NAN }
}

fn interval_of(value: &Value) -> Interval {
    if let Value::Interval(interval) = value { *interval } else { Interval::default() }
}

fn time_of(value: &Value) -> i64 {
    if let Value::Time(micros) = value { *micros } else { 0 }
}

/// The microsecond that a moment is, or at which a day begins.
fn moment_of(value: &Value) -> Result<i64> {
    match value {
        Value::Timestamp(micros) | Value::LocalTimestamp(micros) => Ok(*micros),
        Value::Date(days) => timestamp::midnight(*days),
        _ => Ok(0),
    }
}

fn scaled(interval: &Value, factor: f64) -> Result<Value> {
    interval_of(interval).times(factor).map(Value::Interval)
}

fn later_day(date: &Value, days: i64) -> Result<Value> {
    let Value::Date(date) = date else { return Ok(Value::Null) };
    let sum = i32::try_from(i64::from(*date) + days).ok();
    sum.map(Value::Date).ok_or_else(|| SqlError::new(state::DATETIME_OVERFLOW, "date out of range"))
}

fn shifted(moment: &Value, interval: Interval) -> Result<Value> {
    let micros = timestamp::plus(moment_of(moment)?, interval)?;
    Ok(if matches!(moment, Value::Timestamp(_)) {
        Value::Timestamp(micros)
    } else {
        Value::LocalTimestamp(micros)
    })
}

fn later(args: &[Value], _: &Scope<'_>) -> Result<Value> {
    shifted(&args[0], interval_of(&args[1]))
}

fn earlier(args: &[Value], _: &Scope<'_>) -> Result<Value> {
    shifted(&args[0], interval_of(&args[1]).negated()?)
}

/// Whole days, and what is left as time (`timestamp_mi` of PostgreSQL).
fn between(args: &[Value], _: &Scope<'_>) -> Result<Value> {
    let (a, b) = (moment_of(&args[0])?, moment_of(&args[1])?);
    let micros = a.checked_sub(b).filter(|_| !timestamp::is_infinite(a) && !timestamp::is_infinite(b));
    let micros = micros
        .ok_or_else(|| SqlError::new(state::DATETIME_OVERFLOW, "cannot subtract infinite timestamps"))?;
    let days = (micros / timestamp::DAY) as i32;
    Ok(Value::Interval(Interval { months: 0, days, micros: micros % timestamp::DAY }))
}

fn date_trunc(args: &[Value], _: &Scope<'_>) -> Result<Value> {
    let unit = text_of(&args[0]).to_lowercase();
    let local = matches!(args[1], Value::LocalTimestamp(_));
    let micros =
        timestamp::truncate(moment_of(&args[1])?, &unit).ok_or_else(|| unknown_unit(&unit, &args[1]))?;
    Ok(if local { Value::LocalTimestamp(micros) } else { Value::Timestamp(micros) })
}

fn unknown_unit(unit: &str, source: &Value) -> Box<SqlError> {
    let ty = match source {
        Value::Interval(_) => Type::Interval,
        Value::Time(_) => Type::Time,
        Value::Date(_) => Type::Date,
        Value::LocalTimestamp(_) => Type::Timestamp,
        _ => Type::Timestamptz,
    };
    SqlError::new(state::INVALID_PARAMETER_VALUE, format!("unit \"{unit}\" not recognized for type {ty}"))
}

/// `extract`: an exact number with as many digits as the field has.
fn extract(args: &[Value], _: &Scope<'_>) -> Result<Value> {
    let (unit, source) = (text_of(&args[0]).to_lowercase(), &args[1]);
    let found = match source {
        Value::Interval(interval) => interval_field(&unit, *interval),
        Value::Time(micros) => time_field(&unit, *micros),
        source => moment_field(&unit, moment_of(source)?, matches!(source, Value::Date(_))),
    };
    let (value, scale) = found.ok_or_else(|| unknown_unit(&unit, source))?;
    Decimal::try_from_i128_with_scale(value, scale).map(Value::Numeric).map_err(|_| timestamp::out_of_range())
}

fn date_part(args: &[Value], scope: &Scope<'_>) -> Result<Value> {
    match extract(args, scope)? {
        Value::Numeric(value) => Ok(Value::Float8(Float(numeric::to_float(value)))),
        other => Ok(other),
    }
}

/// A field as a coefficient and its digits after the point.
type Field = Option<(i128, u32)>;

fn time_field(unit: &str, micros: i64) -> Field {
    let minute = micros % (60 * timestamp::SECOND);
    let whole = |value: i64| Some((i128::from(value), 0));
    match unit {
        "hour" => whole(micros / (3_600 * timestamp::SECOND)),
        "minute" => whole(micros / (60 * timestamp::SECOND) % 60),
        "second" => Some((minute.into(), 6)),
        "millisecond" | "milliseconds" => Some((minute.into(), 3)),
        "microsecond" | "microseconds" => whole(minute),
        "epoch" => Some((micros.into(), 6)),
        _ => None,
    }
}

fn moment_field(unit: &str, micros: i64, is_date: bool) -> Field {
    let parts = timestamp::parts(micros);
    let whole = |value: i64| Some((i128::from(value), 0));
    match unit {
        "year" => whole(if parts.year > 0 { parts.year } else { parts.year - 1 }),
        "month" => whole(parts.month),
        "day" => whole(parts.day),
        "quarter" => whole((parts.month + 2) / 3),
        "week" => whole(parts.week.1),
        "isoyear" => whole(parts.week.0),
        "dow" => whole(parts.weekday),
        "isodow" => whole(if parts.weekday == 0 { 7 } else { parts.weekday }),
        "doy" => whole(parts.day_of_year),
        "decade" => whole(parts.year.div_euclid(10)),
        "century" => whole((parts.year + 99).div_euclid(100)),
        "epoch" if is_date => Some((timestamp::since_unix(micros) / i128::from(timestamp::SECOND), 0)),
        "epoch" => Some((timestamp::since_unix(micros), 6)),
        "timezone" | "timezone_hour" | "timezone_minute" if !is_date => whole(0),
        _ if is_date => None,
        unit => time_field(unit, parts.time),
    }
}

fn interval_field(unit: &str, interval: Interval) -> Field {
    let whole = |value: i32| Some((i128::from(value), 0));
    match unit {
        "year" => whole(interval.months / 12),
        "month" => whole(interval.months % 12),
        "quarter" => whole(interval.months % 12 / 3 + 1),
        "day" => whole(interval.days),
        // A year counts 365.25 days here and a month 30 (`interval_part` of PostgreSQL).
        "epoch" => {
            let days = i128::from(interval.months % 12) * 30 + i128::from(interval.days);
            let years = i128::from(interval.months / 12);
            let micros = (years * 1_461 * 6 + days * 24) * 3_600 * i128::from(timestamp::SECOND);
            Some((micros + i128::from(interval.micros), 6))
        }
        unit => time_field(unit, interval.micros),
    }
}

/// Patterns of `to_char`; the longest first where one begins another.
const PATTERNS: [&str; 20] = [
    "YYYY", "HH24", "HH12", "Month", "month", "MONTH", "Day", "Mon", "DDD", "YY", "MM", "DD", "HH", "MI",
    "SS", "MS", "US", "Dy", "AM", "ID",
];

/// `to_char` for the patterns above; text in double quotes and all that is not a letter stands for itself.
fn to_char(args: &[Value], _: &Scope<'_>) -> Result<Value> {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    let parts = timestamp::parts(moment_of(&args[0])?);
    let (seconds, fraction) = (parts.time / timestamp::SECOND, parts.time % timestamp::SECOND);
    let (hour, month) = (seconds / 3_600, MONTHS[(parts.month - 1).clamp(0, 11) as usize]);
    let twelve = if hour % 12 == 0 { 12 } else { hour % 12 };
    let day = DAYS[parts.weekday.clamp(0, 6) as usize];
    let mut out = String::new();
    let mut rest = text_of(&args[1]);
    while let Some(c) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let end = quoted.find('"').unwrap_or(quoted.len());
            out.push_str(&quoted[..end]);
            rest = quoted.get(end + 1..).unwrap_or_default();
            continue;
        }
        let Some(pattern) = PATTERNS.iter().find(|pattern| rest.starts_with(**pattern)) else {
            // Only what stands between patterns is copied: a letter may be a pattern that is not known here.
            if c.is_ascii_alphabetic() && c != 'T' && c != 'Z' {
                return Err(SqlError::unsupported(format!("the to_char pattern \"{rest}\"")));
            }
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        rest = &rest[pattern.len()..];
        out.push_str(&match *pattern {
            "YYYY" => format!("{:04}", parts.year),
            "YY" => format!("{:02}", parts.year.rem_euclid(100)),
            "MM" => format!("{:02}", parts.month),
            "DD" => format!("{:02}", parts.day),
            "DDD" => format!("{:03}", parts.day_of_year),
            "HH24" => format!("{hour:02}"),
            "HH" | "HH12" => format!("{twelve:02}"),
            "MI" => format!("{:02}", seconds / 60 % 60),
            "SS" => format!("{:02}", seconds % 60),
            "MS" => format!("{:03}", fraction / 1_000),
            "US" => format!("{fraction:06}"),
            "AM" => (if hour < 12 { "AM" } else { "PM" }).to_owned(),
            "Mon" => month[..3].to_owned(),
            "Month" => format!("{month:<9}"),
            "MONTH" => format!("{:<9}", month.to_uppercase()),
            "month" => format!("{:<9}", month.to_lowercase()),
            "Day" => format!("{day:<9}"),
            "Dy" => day[..3].to_owned(),
            _ => (if parts.weekday == 0 { 7 } else { parts.weekday }).to_string(),
        });
    }
    Ok(Value::from(out))
}
