//! Patterns as KEYS, SCAN and PSUBSCRIBE understand them: `*`, `?`, `[a-c]`, `[^a]` and `\` before any of these
//! (`stringmatchlen`, Redis `util.c`).
//!
//! Deliberately absent: patterns that ignore case; who needs one lowers both sides.

/// Whether `text` as a whole fits `pattern`; as in Redis the empty text fits only the empty pattern. Takes at most the
/// product of both lengths, however many stars there are.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut at, mut seen) = (0, 0);
    // Behind the last star, and what of the text that star has not swallowed yet.
    let mut retry: Option<(usize, usize)> = None;
    while seen < text.len() {
        if pattern.get(at) == Some(&b'*') {
            at += 1;
            retry = Some((at, seen));
        } else if let Some(width) = one(&pattern[at..], text[seen]) {
            at += width;
            seen += 1;
        } else if let Some((behind_star, from)) = retry {
            at = behind_star;
            seen = from + 1;
            retry = Some((behind_star, seen));
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

/// How many bytes of the pattern stand for `byte`, if they fit it.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'[', class @ ..] => one_of(class, byte).map(|width| width + 1),
        [b'\\', literal, ..] => (*literal == byte).then_some(2),
        [literal, ..] => (*literal == byte).then_some(1),
    }
}

/// As [`one`] for what follows `[`. A class that is not closed ends with the pattern.
fn one_of(class: &[u8], byte: u8) -> Option<usize> {
    let negated = class.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut fits = false;
    loop {
        match &class[at..] {
            [b'\\', literal, ..] => {
                fits |= *literal == byte;
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            [] => break,
            [from, b'-', to, ..] => {
                fits |= (*from.min(to)..=*from.max(to)).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                fits |= *literal == byte;
                at += 1;
            }
        }
    }
    (fits != negated).then_some(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::matches;

    #[test]
    fn patterns_fit_what_redis_says_they_fit() {
        for (pattern, fitting, other) in [
            ("*", "anything", ""),
            ("md:*", "md:BTC", "mdBTC"),
            ("h?llo", "hallo", "hllo"),
            ("h[ae]llo", "hello", "hillo"),
            ("h[^e]llo", "hallo", "hello"),
            ("h[a-b]llo", "hbllo", "hcllo"),
            ("h[b-a]llo", "hallo", "hcllo"),
            ("a\\*c", "a*c", "abc"),
            ("[\\]]", "]", "\\"),
            ("[ab", "a", "c"),
            ("a**b*c", "axbxbc", "axbxb"),
            ("\\", "\\", "a"),
        ] {
            assert!(matches(pattern.as_bytes(), fitting.as_bytes()), "{pattern} {fitting}");
            if !other.is_empty() {
                assert!(!matches(pattern.as_bytes(), other.as_bytes()), "{pattern} {other}");
            }
        }
        assert!(!matches(b"", b"a") && matches(b"", b""));
        assert!(!matches(b"*", b"") && matches(b"a*", b"a"));
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        assert!(!matches(&b"a*".repeat(40), &b"a".repeat(39)));
        assert!(!matches(&[&b"*a".repeat(40)[..], b"b"].concat(), &b"a".repeat(5_000)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_pattern(pattern in "[\\[\\]\\\\^*?a-c-]{0,12}", text in "[a-c\\-\\]]{0,12}") {
            matches(pattern.as_bytes(), text.as_bytes());
        }
    }
}
