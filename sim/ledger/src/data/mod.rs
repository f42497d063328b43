//! Values: their types, their text and binary forms, and the conversions between them.

pub(crate) mod array;
pub(crate) mod binary;
pub(crate) mod cast;
pub(crate) mod float;
pub(crate) mod interval;
pub(crate) mod json;
pub(crate) mod numeric;
pub(crate) mod text;
pub(crate) mod timestamp;
mod types;
mod value;

pub(crate) use float::Float;
pub(crate) use interval::Interval;
pub(crate) use json::Json;
pub(crate) use types::{Modifier, Type};
pub(crate) use value::{Row, Value};
