//! Tables in memory, the log on disk, and the way from one to the other.
//!
//! Tables are changed in place. A [`Layer`] remembers what a transaction replaced until its record is durable; readers look
//! through the layers at what is durable, and undoing a layer is undoing the transaction.

mod index;
mod layer;
mod log;
mod record;
mod schema;
mod table;
mod tables;
mod wal;

pub(crate) use index::{Bound, Range};
pub(crate) use layer::{Layer, View};
pub(crate) use log::{Failure, Log};
pub(crate) use record::{apply, redo};
pub(crate) use schema::{Check, Column, Origin, Schema, Unique};
pub(crate) use table::Table;
pub(crate) use tables::{Catalog, Tables};
pub(crate) use wal::{Position, next_record};

pub use log::OpenError;
