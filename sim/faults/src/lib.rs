//! The port through which a test breaks a server in ways that only the server itself can be broken: a lost answer, a stale
//! reply, an evicted key.
//!
//! A server defines its vocabulary as one closed enum that implements [`Fault`], and asks its [`Board`] at the places where a
//! fault could strike. Whoever injects faults – a simulated world that plays a plan, an operator – sees only the [`Port`]:
//! faults as text, begun and ended. [`Words`] and [`Span`] are how that text is read and written.
//!
//! Deliberately absent: when a fault begins and how long it lasts, which is the injector's business; and faults of machines,
//! disks and networks, which a server cannot tell from bad luck.

mod board;
mod span;
mod words;

pub use board::{Bite, Board, Fault, Port};
pub use span::{Span, parse_span};
pub use words::{Unexpected, Words};
