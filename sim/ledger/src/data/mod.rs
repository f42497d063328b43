//! Values: their types, their text and binary forms, and the conversions between them.

pub(crate) mod binary;
pub(crate) mod cast;
pub(crate) mod json;
pub(crate) mod numeric;
pub(crate) mod text;
pub(crate) mod timestamp;
mod types;
mod value;

pub(crate) use json::Json;
pub(crate) use types::{Modifier, Type};
pub(crate) use value::{Row, Value};
