//! From text to result: parse, bind, run.
//!
//! [`mod@parse`] turns text into syntax trees, [`mod@bind`] resolves every name and type against the schema into a [`plan`], once per
//! statement, and [`eval`], [`run`] and [`mod@change`] execute plans with the
//! functions of [`function`] and the made-up tables of [`system`]. Names are not looked up and text is not parsed while rows are touched.

mod aggregate;
mod bind;
mod change;
mod constraint;
mod draw;
mod eval;
mod extension;
mod fold;
mod function;
mod grammar;
mod parse;
mod plan;
mod reference;
mod reform;
mod run;
mod system;
mod token;

pub(crate) use bind::{bind, schema_from_sql};
pub(crate) use change::{Change, Progress, Step, change, not_available};
pub(crate) use draw::Remembered;
pub(crate) use parse::{Statement, parse};
pub(crate) use plan::{Expr, Output, Plan, Prepared};
pub(crate) use run::{Answer, Inputs, Memo, query};
pub(crate) use token::locate;
