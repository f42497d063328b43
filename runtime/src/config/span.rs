//! Spans of time as they stand in a configuration: `"250ms"`, `"5s"`, `"2m"`, `"1h"`. A number without a unit is refused.

use std::{fmt, time::Duration};

use serde::{Deserializer, Serializer, de};

/// The units, longest first, in milliseconds. `ms` stands before `m` and `s`, of which it consists.
const UNITS: [(&str, u64); 4] = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];

/// Reads a span; `None` when the text is none.
pub(super) fn read(text: &str) -> Option<Duration> {
    let (digits, unit) = UNITS.iter().find_map(|(unit, ms)| Some((text.strip_suffix(unit)?, ms)))?;
    let whole = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = whole.then(|| digits.parse().ok())??;
    Some(Duration::from_millis(number.checked_mul(*unit)?))
}

/// Writes a span in the largest unit that keeps it whole.
pub(super) fn write(span: Duration) -> String {
    let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let largest = ["h", "m", "s", "ms"].into_iter().find_map(|name| {
        let (_, unit) = UNITS.iter().find(|(unit, _)| *unit == name)?;
        (ms > 0 && ms % unit == 0).then(|| format!("{}{name}", ms / unit))
    });
    largest.unwrap_or_else(|| "0s".into())
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    struct Visitor;

    impl de::Visitor<'_> for Visitor {
        type Value = Duration;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(r#"a span of time with its unit, such as "250ms", "5s", "2m" or "1h""#)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
            read(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }
    deserializer.deserialize_str(Visitor)
}

pub(super) fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&write(*span))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_a_whole_number_and_a_unit() {
        for (text, ms) in [("250ms", 250), ("5s", 5_000), ("2m", 120_000), ("1h", 3_600_000), ("0s", 0)] {
            assert_eq!(read(text), Some(Duration::from_millis(ms)), "{text}");
            assert_eq!(write(Duration::from_millis(ms)), text);
        }
        for text in [
            "",
            "5",
            "s",
            "5 s",
            "-5s",
            "+5s",
            "1.5s",
            "5k",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(write(Duration::from_millis(1_500)), "1500ms");
    }
}
