//! Facts and details: the events of a service's own story, as opposed to log lines.

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

/// Reports one of many: as [`fact!`](macro@crate::fact), but too frequent for a story that a person reads: each market
/// trade, each connection.
#[macro_export]
macro_rules! detail {
    ($name:literal $(, $($fields:tt)*)?) => {
        $crate::__tracing::event!(name: $name, target: "fact", $crate::__tracing::Level::DEBUG, { $($($fields)*)? })
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn both_macros_take_any_number_of_fields() {
        crate::fact!("story.began");
        crate::fact!("story.went_on", chapter = 2_u64, title = %"rain");
        crate::detail!("story.word", text = "a");
    }
}
