//! Feeds the trace from `tracing`: facts and details become events, everything else is off and costs nothing.

use std::{fmt, sync::Arc};

use tracing::{
    Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::Interest,
};

use super::{Kind, Value};
use crate::recorder::Recorder;

/// The `tracing` target of facts and details; the macros of the crate `env` set it.
const TARGET: &str = "fact";

/// The subscriber of one run, installed for the thread of the run only.
pub(crate) struct FactSubscriber(pub(crate) Arc<Recorder>);

impl Subscriber for FactSubscriber {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET && metadata.is_event()
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let metadata = event.metadata();
        if !self.enabled(metadata) {
            return;
        }
        let mut fields = Fields(Vec::with_capacity(metadata.fields().len()));
        event.record(&mut fields);
        let kind = if *metadata.level() == Level::INFO { Kind::Fact } else { Kind::Detail };
        self.0.service_event(metadata.name(), kind, fields.0);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Fields(Vec<(&'static str, Value)>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push((field.name(), Value::Text(format!("{value:?}").into())));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), value.into()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.push((field.name(), Value::Bool(value)));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.push((field.name(), Value::Int(value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.push((field.name(), Value::Uint(value)));
    }
}
