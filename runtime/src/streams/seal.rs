//! Seals on signals: whoever can write to the bus cannot trade.
//!
//! A seal is the HMAC-SHA256 of the fields' values, joined by line feeds, under the issuer's key, in hex. No value has a line
//! feed: each has an alphabet of its own that is checked when it is read. Deliberately absent: what may be issued by whom.

use std::{collections::BTreeMap, fmt};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Somebody who may issue signals, with the key that proves it.
#[derive(Clone)]
pub struct Issuer {
    name: String,
    mac: Hmac<Sha256>,
}

impl Issuer {
    /// An issuer with this key.
    pub fn new(name: impl Into<String>, key: impl AsRef<[u8]>) -> Self {
        let mac = Hmac::new_from_slice(key.as_ref()).expect("HMAC takes a key of any length");
        Self { name: name.into(), mac }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The seal on these values.
    pub fn seal<'a>(&self, values: impl IntoIterator<Item = &'a str>) -> String {
        hex::encode(self.over(values).finalize().into_bytes())
    }

    fn over<'a>(&self, values: impl IntoIterator<Item = &'a str>) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        for (index, value) in values.into_iter().enumerate() {
            if index > 0 {
                mac.update(b"\n");
            }
            mac.update(value.as_bytes());
        }
        mac
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The keys of those whose signals are acted on.
#[derive(Clone, Debug, Default)]
pub struct Keys(BTreeMap<String, Issuer>);

impl Keys {
    /// The keys by the names of their issuers.
    pub fn new(keys: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(keys.into_iter().map(|(name, key)| (name.clone(), Issuer::new(name, key))).collect())
    }

    /// Whether `seal` is the issuer's on these values. Takes the same time wherever a wrong one differs.
    pub fn verify<'a>(&self, issuer: &str, values: impl IntoIterator<Item = &'a str>, seal: &str) -> bool {
        match (self.0.get(issuer), hex::decode(seal)) {
            (Some(issuer), Ok(seal)) => issuer.over(values).verify_slice(&seal).is_ok(),
            (None, _) | (_, Err(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_an_hmac_over_the_joined_values() {
        // RFC 4231, test case 2.
        let issuer = Issuer::new("rfc", "Jefe");
        let seal = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(issuer.seal(["what do ya want for nothing?"]), seal);
        assert_ne!(
            issuer.seal(["what do ya want", "for nothing?"]),
            issuer.seal(["what do ya wantfor nothing?"])
        );
        assert!(!format!("{issuer:?}").contains("Jefe"));
    }

    #[test]
    fn only_the_issuers_own_key_makes_its_seal() {
        let keys = Keys::new([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]);
        let seal = Issuer::new("a", "1").seal(["x", "y"]);
        assert!(keys.verify("a", ["x", "y"], &seal));
        for (issuer, seal) in [("b", &*seal), ("c", &seal), ("a", &seal[2..]), ("a", ""), ("a", "zz")] {
            assert!(!keys.verify(issuer, ["x", "y"], seal), "{issuer} {seal}");
        }
        assert!(!keys.verify("a", ["x"], &seal));
    }
}
