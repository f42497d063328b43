//! Tables in memory, the log on disk, and the way from one to the other.
//!
//! Tables are changed in place. A [`Layer`] remembers what a transaction did until its record is durable; readers look past
//! it at what is durable, and undoing a layer is undoing the transaction. No row has two uncommitted changes, so layers can
//! be undone in any order.

mod index;
mod lock;
mod log;
mod record;
mod recovery;
mod schema;
mod sequence;
mod snapshot;
mod table;
mod tables;
mod transaction;
mod view;
mod wal;

pub(crate) use index::{Bound, Range};
pub(crate) use lock::{RowLock, TableLock};
pub(crate) use log::{Failure, Log};
pub(crate) use record::{apply, redo};
pub(crate) use recovery::open;
pub(crate) use schema::{Action, Check, Column, ForeignKey, Identity, Index, Kind, Origin, Schema, Supply};
pub(crate) use sequence::{Drawn, Position as SequencePosition, Sequence};
pub(crate) use snapshot::{Frozen, read as read_checkpoint};
pub(crate) use table::{Conflict, Duplicate, Filling, Origins, Table};
pub(crate) use tables::{Catalog, Tables};
pub(crate) use transaction::{Layer, Mark, TransactionId};
pub(crate) use view::View;
pub(crate) use wal::{Position, length_before, next_record, segment_name};

pub use recovery::OpenError;
