//! The parameters of a request, from its query and its form body alike.

use std::borrow::Cow;

use rust_decimal::Decimal;

use crate::error::ApiError;

/// A kind of parameter that is written in few characters.
pub(crate) trait Value: Sized {
    /// What is legal, as the exchange words it in −1100 ("Error Codes").
    const LEGAL: &'static str;

    fn read(text: &str) -> Option<Self>;
}

macro_rules! integers {
    ($($kind:ty)+) => {
        $(impl Value for $kind {
            const LEGAL: &'static str = "^[0-9]{1,20}$";

            fn read(text: &str) -> Option<Self> {
                digits(text).then(|| text.parse().ok())?
            }
        })+
    };
}

integers!(i64 u32 u64 usize);

impl Value for Decimal {
    const LEGAL: &'static str = "^([0-9]{1,20})(\\.[0-9]{1,20})?$";

    fn read(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        (digits(whole) && digits(fraction)).then(|| text.parse().ok())?
    }
}

impl Value for bool {
    const LEGAL: &'static str = "^(?i)(true|false)$";

    fn read(text: &str) -> Option<Self> {
        match text {
            _ if text.eq_ignore_ascii_case("true") => Some(true),
            _ if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }
}

fn digits(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Decoded name–value pairs; of a name sent twice the first counts, the query before the body.
#[derive(Debug, Default)]
pub(crate) struct Params<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Params<'a> {
    pub fn parse(query: &'a str, body: &'a str) -> Self {
        let pairs = form_urlencoded::parse(query.as_bytes());
        Self(pairs.chain(form_urlencoded::parse(body.as_bytes())).collect())
    }

    /// From the names and values of a JSON object; numbers and booleans count as if they were written out.
    pub fn of_object(object: &'a serde_json::Map<String, serde_json::Value>) -> Self {
        let text = |value: &'a serde_json::Value| match value {
            serde_json::Value::String(text) => Cow::Borrowed(text.as_str()),
            other => Cow::Owned(other.to_string()),
        };
        Self(object.iter().map(|(name, value)| (Cow::Borrowed(name.as_str()), text(value))).collect())
    }

    /// The value of `name`; an empty one counts as not sent.
    pub fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        (!value.is_empty()).then_some(value)
    }

    /// The value of a parameter that must be there.
    pub fn required(&self, name: &'static str) -> Result<&str, ApiError> {
        self.text(name).ok_or(ApiError::MissingParameter(name))
    }

    /// The value read as `T`; malformed is an error, missing is not.
    pub fn parsed<T: Value>(&self, name: &'static str) -> Result<Option<T>, ApiError> {
        let illegal = ApiError::IllegalParameter { name, legal: T::LEGAL };
        self.text(name).map(|text| T::read(text).ok_or(illegal)).transpose()
    }

    /// The value read as `T` of a parameter that must be there.
    pub fn required_parsed<T: Value>(&self, name: &'static str) -> Result<T, ApiError> {
        self.parsed(name)?.ok_or(ApiError::MissingParameter(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_wins_over_the_body_and_empty_is_missing() {
        let params = Params::parse("a=1&b=", "a=2&c=x%40y+z");
        assert_eq!(params.text("a"), Some("1"));
        assert_eq!(params.text("b"), None);
        assert_eq!(params.text("c"), Some("x@y z"));
        assert_eq!(params.required("d"), Err(ApiError::MissingParameter("d")));
        let legal = "^[0-9]{1,20}$";
        assert_eq!(params.parsed::<u64>("c"), Err(ApiError::IllegalParameter { name: "c", legal }));
        assert_eq!(params.required_parsed::<u64>("a"), Ok(1));
    }

    #[test]
    fn numbers_have_digits_and_one_point_and_nothing_else() {
        for text in ["", "-1", "+1", "1e3", "1.", ".5", "1.2.3", " 1", "0x1", "１", "123456789012345678901"]
        {
            assert_eq!((Decimal::read(text), u64::read(text)), (None, None), "{text:?}");
        }
        assert_eq!(Decimal::read("0.10"), Some(Decimal::new(10, 2)));
        assert_eq!(
            (u64::read("18446744073709551615"), i64::read("18446744073709551615")),
            (Some(u64::MAX), None)
        );
        assert_eq!(
            (bool::read("TRUE"), bool::read("false"), bool::read("1")),
            (Some(true), Some(false), None)
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_taken_without_a_panic(query in ".*", body in ".*") {
            let params = Params::parse(&query, &body);
            let _ = (params.text("a"), params.parsed::<rust_decimal::Decimal>("a"));
            let _ = crate::sign::Signer::new("s").verify(&query, &body);
        }
    }
}
