//! The parameters of a request, from its query and its form body alike.

use std::{borrow::Cow, str::FromStr};

use crate::error::ApiError;

/// Decoded name–value pairs; of a name sent twice the first counts, the query before the body.
#[derive(Debug, Default)]
pub(crate) struct Params<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Params<'a> {
    pub fn parse(query: &'a str, body: &'a str) -> Self {
        let pairs = form_urlencoded::parse(query.as_bytes());
        Self(pairs.chain(form_urlencoded::parse(body.as_bytes())).collect())
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
    pub fn parsed<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, ApiError> {
        self.text(name).map(|text| text.parse().map_err(|_| ApiError::MissingParameter(name))).transpose()
    }

    /// The value read as `T` of a parameter that must be there.
    pub fn required_parsed<T: FromStr>(&self, name: &'static str) -> Result<T, ApiError> {
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
        assert_eq!(params.parsed::<u64>("c"), Err(ApiError::MissingParameter("c")));
        assert_eq!(params.required_parsed::<u64>("a"), Ok(1));
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
