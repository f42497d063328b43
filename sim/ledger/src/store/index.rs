//! Index ranges.

use std::ops::Bound as End;

use crate::data::Value;

/// The keys that begin with `prefix` and whose next value lies within the ends.
#[derive(Debug)]
pub(crate) struct Range {
    pub(crate) prefix: Vec<Value>,
    pub(crate) low: Option<Bound>,
    pub(crate) high: Option<Bound>,
}

#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) value: Value,
    pub(crate) inclusive: bool,
}

impl Range {
    /// Whether a key belongs to the range. A null lies within no bounds.
    pub(crate) fn contains(&self, key: &[Value]) -> bool {
        let (head, tail) = key.split_at(self.prefix.len().min(key.len()));
        head == self.prefix.as_slice()
            && (self.low.is_none() && self.high.is_none()
                || tail.first().is_some_and(|next| self.bounds(next)))
    }

    fn bounds(&self, value: &Value) -> bool {
        let above = |bound: &Bound| bound.value < *value || (bound.inclusive && bound.value == *value);
        let below = |bound: &Bound| bound.value > *value || (bound.inclusive && bound.value == *value);
        !value.is_null() && self.low.as_ref().is_none_or(above) && self.high.as_ref().is_none_or(below)
    }

    /// Whether no later key can belong to the range once `key` does not.
    pub(crate) fn is_past(&self, key: &[Value]) -> bool {
        let (head, tail) = key.split_at(self.prefix.len().min(key.len()));
        head != self.prefix.as_slice()
            || matches!((&self.high, tail.first()), (Some(high), Some(next)) if *next > high.value)
    }

    /// Where to begin in the order of keys.
    pub(crate) fn start(&self) -> End<Vec<Value>> {
        let mut key = self.prefix.clone();
        key.extend(self.low.as_ref().map(|low| low.value.clone()));
        End::Included(key)
    }
}
