//! Numbers as Lua reads and writes them.

/// Reads a number: decimal with or without exponent, or hexadecimal; spaces around it do not count.
pub(super) fn parse(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1.0, digits),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        let value = u64::from_str_radix(hex, 16).ok().filter(|_| !hex.starts_with('+'))?;
        return Some(sign * value as f64);
    }
    // Rust also reads "inf", "nan" and a second sign.
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    digits.parse::<f64>().ok().map(|value| sign * value)
}

/// Writes a number as C's `%.{digits}g` does.
pub(super) fn format(value: f64, digits: usize) -> String {
    if value.is_nan() {
        return if value.is_sign_negative() { "-nan".into() } else { "nan".into() };
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let whole = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    match usize::try_from(digits as i32 - 1 - exponent) {
        Ok(decimals) if exponent >= -4 => whole(&format!("{value:.decimals$}")),
        _ => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{}e{sign}{:02}", whole(mantissa), exponent.abs())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_c_writes_them() {
        for (value, digits, text) in [
            (0.0, 14, "0"),
            (-0.0, 14, "-0"),
            (3.0, 14, "3"),
            (3.5, 17, "3.5"),
            (0.1, 14, "0.1"),
            (0.1, 17, "0.10000000000000001"),
            (30_000.0, 17, "30000"),
            (1e15, 14, "1e+15"),
            (1e15, 17, "1000000000000000"),
            (1e-5, 14, "1e-05"),
            (1.0 / 3.0, 14, "0.33333333333333"),
            (9.999_999_999_999_9e22, 14, "9.9999999999999e+22"),
            (f64::INFINITY, 14, "inf"),
        ] {
            assert_eq!(format(value, digits), text);
        }
    }

    #[test]
    fn numbers_are_read_as_lua_reads_them() {
        for (text, value) in
            [("10", 10.0), (" 1.5 ", 1.5), (".5", 0.5), ("5.", 5.0), ("1e3", 1e3), ("-0x10", -16.0)]
        {
            assert_eq!(parse(text.as_bytes()), Some(value), "{text}");
        }
        for text in ["", "-", "ten", "1 0", "0x", "0x+1", "inf", "nan", "--1", "1e"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
