//! Aggregates over the rows of a group.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    eval::Scope,
    function::to_json,
    plan::{Aggregate, AggregateFunction},
    run::compare_keys,
};
use crate::{
    data::{Float, Interval, Json, Type, Value, cast, float, numeric},
    error::Result,
};

/// The state of one aggregate while rows go by.
pub(crate) struct Accumulator<'a> {
    aggregate: &'a Aggregate,
    count: i64,
    value: Value,
    /// What has been seen, for `DISTINCT`.
    seen: BTreeSet<Vec<Value>>,
    /// Keys of the order and arguments, for aggregates whose result depends on the order.
    rows: Vec<(Vec<Value>, Vec<Value>)>,
}

impl<'a> Accumulator<'a> {
    pub(crate) fn new(aggregate: &'a Aggregate) -> Self {
        Self { aggregate, count: 0, value: Value::Null, seen: BTreeSet::new(), rows: Vec::new() }
    }

    pub(crate) fn add(&mut self, scope: &Scope<'_>) -> Result<()> {
        if let Some(filter) = &self.aggregate.filter
            && !filter.holds(scope)?
        {
            return Ok(());
        }
        let Some((first, others)) = self.aggregate.args.split_first() else {
            self.count += 1;
            return Ok(());
        };
        let value = first.eval(scope)?;
        if value.is_null() && !self.takes_nulls() {
            return Ok(());
        }
        if self.aggregate.distinct && !self.seen.insert(vec![value.clone()]) {
            return Ok(());
        }
        self.count += 1;
        if self.collects() {
            let mut args = vec![value];
            for other in others {
                args.push(other.eval(scope)?);
            }
            let keys = self.aggregate.order.iter().map(|key| key.expr.eval(scope)).collect::<Result<_>>()?;
            self.rows.push((keys, args));
            return Ok(());
        }
        self.take(value)
    }

    fn takes_nulls(&self) -> bool {
        matches!(self.aggregate.function, AggregateFunction::ArrayAgg | AggregateFunction::JsonAgg)
    }

    fn collects(&self) -> bool {
        self.takes_nulls() || self.aggregate.function == AggregateFunction::StringAgg
    }

    fn take(&mut self, value: Value) -> Result<()> {
        use AggregateFunction as F;
        let is_first = self.count == 1;
        match self.aggregate.function {
            F::Count | F::ArrayAgg | F::JsonAgg | F::StringAgg => {}
            F::Max if self.value >= value && !is_first => {}
            F::Min if self.value <= value && !is_first => {}
            F::BoolAnd if self.value == Value::Bool(false) => {}
            F::BoolOr if self.value == Value::Bool(true) => {}
            F::Max | F::Min | F::BoolAnd | F::BoolOr => self.value = value,
            F::Avg | F::AvgFloat | F::Sum | F::SumFloat | F::SumInt => {
                self.value = match (&self.value, value) {
                    (Value::Int(sum), Value::Int(value)) => {
                        Value::Int(sum.checked_add(value).ok_or_else(|| cast::range(Type::Int8))?)
                    }
                    (Value::Numeric(sum), Value::Numeric(value)) => {
                        Value::Numeric(numeric::add(*sum, value)?)
                    }
                    (Value::Float8(sum), Value::Float8(value)) => {
                        let finite = sum.0.is_finite() && value.0.is_finite();
                        Value::Float8(float::checked(sum.0 + value.0, finite)?)
                    }
                    (Value::Interval(sum), Value::Interval(value)) => {
                        Value::Interval(Interval::plus(*sum, value)?)
                    }
                    (_, first) => first,
                };
            }
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Value> {
        use AggregateFunction as F;
        if !self.aggregate.order.is_empty() || (self.collects() && self.aggregate.distinct) {
            let order = &self.aggregate.order;
            // `DISTINCT` sorts by the argument itself.
            self.rows.sort_by(
                |(a_keys, a), (b_keys, b)| {
                    if order.is_empty() { a.cmp(b) } else { compare_keys(a_keys, b_keys, order) }
                },
            );
        }
        let values = |rows: Vec<(Vec<Value>, Vec<Value>)>| {
            rows.into_iter().filter_map(|(_, args)| args.into_iter().next())
        };
        Ok(match (self.aggregate.function, self.value) {
            (F::Count, _) => Value::Int(self.count),
            (F::ArrayAgg | F::JsonAgg | F::StringAgg, _) if self.rows.is_empty() => Value::Null,
            (F::ArrayAgg, _) => Value::Array(values(self.rows).collect()),
            (F::JsonAgg, _) => {
                Value::Json(Arc::new(Json::Array(values(self.rows).map(|value| to_json(&value)).collect())))
            }
            (F::StringAgg, _) => joined(&self.rows),
            (F::Avg, Value::Numeric(sum)) => Value::Numeric(numeric::divide(sum, self.count.into())?),
            (F::AvgFloat, Value::Float8(sum)) => Value::Float8(Float(sum.0 / self.count as f64)),
            (_, value) => value,
        })
    }
}

/// Texts with their delimiters, of which the first is dropped.
fn joined(rows: &[(Vec<Value>, Vec<Value>)]) -> Value {
    let mut out = String::new();
    for (index, (_, args)) in rows.iter().enumerate() {
        if let ([_, Value::Text(delimiter), ..], true) = (args.as_slice(), index > 0) {
            out.push_str(delimiter);
        }
        if let Some(Value::Text(text)) = args.first() {
            out.push_str(text);
        }
    }
    Value::from(out)
}
