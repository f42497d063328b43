//! Conformance.
mod postgres;
