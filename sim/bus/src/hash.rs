//! One hash: fields in the order in which they were first set, each with its value.
//!
//! Redis keeps that order as long as a hash is small (a listpack) and none when it is large (a hash table); here it is
//! always kept. Which of the two it would be shows in OBJECT ENCODING and in HSCAN.

use std::{collections::BTreeMap, sync::Arc};

/// `hash-max-listpack-entries`, default of Redis 7.0.
const COMPACT_FIELDS: usize = 512;
/// `hash-max-listpack-value`, in bytes.
const COMPACT_BYTES: usize = 64;

/// A field's name, shared between both indexes.
type Name = Arc<[u8]>;

/// A hash.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hash {
    serials: BTreeMap<Name, u64>,
    fields: BTreeMap<u64, (Name, Vec<u8>)>,
    /// How many fields were ever created.
    created: u64,
    /// Once too large, Redis never packs it again.
    large: bool,
}

impl Hash {
    /// How many fields there are.
    pub(crate) fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether Redis would keep it as a listpack.
    pub(crate) fn is_compact(&self) -> bool {
        !self.large
    }

    /// A field's value.
    pub(crate) fn get(&self, field: &[u8]) -> Option<&[u8]> {
        let serial = self.serials.get(field)?;
        self.fields.get(serial).map(|(_, value)| value.as_slice())
    }

    /// Sets a field; `true` when it is new.
    pub(crate) fn set(&mut self, field: &[u8], value: &[u8]) -> bool {
        self.large |= field.len().max(value.len()) > COMPACT_BYTES;
        if let Some((_, old)) = self.serials.get(field).and_then(|serial| self.fields.get_mut(serial)) {
            old.clear();
            old.extend_from_slice(value);
            return false;
        }
        let name = Name::from(field);
        self.created += 1;
        self.serials.insert(name.clone(), self.created);
        self.fields.insert(self.created, (name, value.to_vec()));
        self.large |= self.fields.len() > COMPACT_FIELDS;
        true
    }

    /// Removes a field; `false` when there is none.
    pub(crate) fn remove(&mut self, field: &[u8]) -> bool {
        self.serials.remove(field).is_some_and(|serial| self.fields.remove(&serial).is_some())
    }

    /// Every field with its value, the oldest field first.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.fields.values().map(|(name, value)| (&**name, value.as_slice()))
    }

    /// The fields created before the one with this number, the newest first; see [`crate::db::Db::created_before`].
    pub(crate) fn created_before(&self, serial: u64) -> impl Iterator<Item = (u64, (&[u8], &[u8]))> {
        self.fields
            .range(..serial)
            .rev()
            .map(|(serial, (name, value))| (*serial, (&**name, value.as_slice())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn fields_keep_the_order_in_which_they_were_first_set(
            steps in vec((0_u8..12, proptest::option::of(0_u8..4)), 0..60),
        ) {
            let mut hash = Hash::default();
            let mut model: Vec<(u8, u8)> = Vec::new();
            for (field, value) in steps {
                let known = model.iter().position(|(name, _)| *name == field);
                match (value, known) {
                    (Some(value), Some(at)) => {
                        prop_assert!(!hash.set(&[field], &[value]));
                        model[at].1 = value;
                    }
                    (Some(value), None) => {
                        prop_assert!(hash.set(&[field], &[value]));
                        model.push((field, value));
                    }
                    (None, known) => {
                        prop_assert_eq!(hash.remove(&[field]), known.is_some());
                        known.map(|at| model.remove(at));
                    }
                }
                let seen: Vec<_> = hash.iter().map(|(name, value)| (name[0], value[0])).collect();
                prop_assert_eq!(&seen, &model);
                prop_assert_eq!(hash.get(&[field]), model.iter().find(|(name, _)| *name == field).map(|(_, v)| std::slice::from_ref(v)));
            }
        }
    }

    #[test]
    fn a_hash_that_grew_large_stays_large() {
        let mut hash = Hash::default();
        hash.set(b"a", &[0; COMPACT_BYTES]);
        assert!(hash.is_compact());
        hash.set(b"a", &[0; COMPACT_BYTES + 1]);
        hash.set(b"a", b"");
        assert!(!hash.is_compact());
        let mut many = Hash::default();
        for number in 0..=COMPACT_FIELDS {
            many.set(number.to_string().as_bytes(), b"");
        }
        assert!(!many.is_compact());
    }
}
