//! `count`, `sum`, `min`, `max` over the rows of a statement.

use super::{
    eval::Scope,
    plan::{Aggregate, AggregateFunction},
};
use crate::data::{Type, Value, cast, numeric};
use crate::error::Result;

/// The state of one aggregate while rows go by.
pub(crate) struct Accumulator<'a> {
    aggregate: &'a Aggregate,
    count: i64,
    value: Value,
}

impl<'a> Accumulator<'a> {
    pub(crate) fn new(aggregate: &'a Aggregate) -> Self {
        Self { aggregate, count: 0, value: Value::Null }
    }

    pub(crate) fn add(&mut self, scope: &Scope<'_>) -> Result<()> {
        let Some(argument) = &self.aggregate.argument else {
            self.count += 1;
            return Ok(());
        };
        let value = argument.eval(scope)?;
        if value.is_null() {
            return Ok(());
        }
        self.count += 1;
        match self.aggregate.function {
            AggregateFunction::Count => {}
            AggregateFunction::Max if self.value >= value && self.count > 1 => {}
            AggregateFunction::Min if self.value <= value && self.count > 1 => {}
            AggregateFunction::Max | AggregateFunction::Min => self.value = value,
            AggregateFunction::SumInt4 | AggregateFunction::Sum => {
                self.value = match (&self.value, value) {
                    (Value::Int(sum), Value::Int(value)) => {
                        Value::Int(sum.checked_add(value).ok_or_else(|| cast::range(Type::Int8))?)
                    }
                    (Value::Numeric(sum), Value::Numeric(value)) => {
                        Value::Numeric(numeric::add(*sum, value)?)
                    }
                    (_, first) => first,
                };
            }
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Value {
        match self.aggregate.function {
            AggregateFunction::Count => Value::Int(self.count),
            _ => self.value,
        }
    }
}
