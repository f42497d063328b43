//! Facts: the events of a service's own story, as opposed to log lines.

/// Reports that something happened: `fact!("order.sent", client_order_id = %id, qty = %qty)`.
///
/// A fact is a `tracing` event with target `fact`, a stable dotted name and typed fields; values are shown with `%` or
/// recorded as integers, booleans and strings. Whoever observes a process (a trace, a check, a log) keys on that name.
/// A fact carries names and quantities, never addresses, task ids or anything else that differs from run to run.
#[macro_export]
macro_rules! fact {
    ($name:literal $(, $($fields:tt)*)?) => {
        $crate::__tracing::event!(name: $name, target: "fact", $crate::__tracing::Level::INFO, { $($($fields)*)? })
    };
}
