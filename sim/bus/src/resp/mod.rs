//! The Redis serialization protocol, versions 2 and 3, from the server's side.

mod reply;
mod request;

pub(crate) use reply::{Protocol, Reply};
pub(crate) use request::{Args, Limits, OwnedArgs, ProtocolError, RequestReader};

use std::ops::RangeInclusive;

/// Parses a decimal integer as strictly as Redis: no sign but `-`, no leading zero, no space (`string2ll`, Redis `util.c`).
pub(crate) fn parse_i64(text: &[u8]) -> Option<i64> {
    const LENGTHS: RangeInclusive<usize> = 1..=20;
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let canonical = match digits {
        [b'0'] => digits.len() == text.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !canonical || !LENGTHS.contains(&text.len()) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::parse_i64;

    #[test]
    fn integers_are_read_as_strictly_as_redis_reads_them() {
        for good in ["0", "7", "-7", "10", "9223372036854775807", "-9223372036854775808"] {
            assert_eq!(parse_i64(good.as_bytes()), good.parse().ok(), "{good}");
        }
        for bad in
            ["", "-", "-0", "+1", "01", " 1", "1 ", "1.0", "9223372036854775808", "-9223372036854775809", "x"]
        {
            assert_eq!(parse_i64(bad.as_bytes()), None, "{bad}");
        }
    }
}
