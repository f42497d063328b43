//! Statements about the transaction, the session and the server: `BEGIN`, `SAVEPOINT`, `SET`, `SHOW`, `LOCK TABLE`,
//! `CHECKPOINT` and their like.

use sqlparser::ast::{
    ContextModifier, Expr as Ast, Lock, LockTableMode, ObjectName, Reset, Set, Statement,
    TransactionAccessMode, TransactionIsolationLevel, TransactionMode, Value as Literal,
};

use super::{Bound, fold, object_name, refuse};
use crate::{
    data::{Modifier, Type},
    error::{Result, SqlError},
    settings::{ALL_SETTINGS, heading},
    sql::{
        extension,
        plan::{Output, Plan},
    },
    store::{Catalog, TableLock},
};

pub(super) fn control(statement: &Statement) -> Result<Bound> {
    let plan = match statement {
        Statement::StartTransaction { modes, modifier: None, statements, exception: None, .. }
            if statements.is_empty() =>
        {
            Plan::Begin { read_only: read_only(modes)?.unwrap_or(false) }
        }
        Statement::Commit { chain, modifier: None, .. } => {
            refuse(&[(*chain, "COMMIT AND CHAIN")])?;
            Plan::Commit
        }
        Statement::Rollback { chain, savepoint } => {
            refuse(&[(*chain, "ROLLBACK AND CHAIN")])?;
            match savepoint {
                Some(savepoint) => Plan::RollbackTo { savepoint: fold(savepoint) },
                None => Plan::Rollback,
            }
        }
        Statement::Savepoint { name } => Plan::Savepoint { name: fold(name) },
        Statement::ReleaseSavepoint { name } => Plan::Release { savepoint: fold(name) },
        Statement::Reset(reset) => self::reset(&reset.reset)?,
        Statement::Set(set) => self::set(set)?,
        Statement::ShowVariable { variable } => {
            let words: Vec<String> = variable.iter().map(fold).collect();
            let name = match words.join(" ").as_str() {
                "time zone" => "timezone".to_owned(),
                "transaction isolation level" => "transaction_isolation".to_owned(),
                _ => words.join("."),
            };
            let column = Output { name: heading(&name).to_owned(), ty: Type::Text, modifier: Modifier::None };
            return Ok((Plan::Show { name }, vec![column]));
        }
        other => {
            let text = other.to_string();
            let command: Vec<&str> = text.split_whitespace().take(2).collect();
            return Err(SqlError::unsupported(command.join(" ")));
        }
    };
    Ok((plan, Vec::new()))
}

/// `RESET`, and `CHECKPOINT`, which the parser is made to read as one.
fn reset(reset: &Reset) -> Result<Plan> {
    match reset {
        Reset::ConfigurationParameter(name) if extension::marked(name) == Some("checkpoint") => {
            Ok(Plan::Checkpoint)
        }
        Reset::ConfigurationParameter(name) => {
            Ok(Plan::Set { name: setting_name(name)?, value: None, local: false })
        }
        Reset::ALL => Ok(Plan::Set { name: ALL_SETTINGS.to_owned(), value: None, local: false }),
        Reset::SessionAuthorization => Err(SqlError::unsupported("RESET SESSION AUTHORIZATION")),
    }
}

pub(super) fn lock(lock: &Lock, catalog: &Catalog<'_>) -> Result<Bound> {
    let tables = lock.tables.iter().map(|target| {
        let name = object_name(&target.name)?;
        Ok((catalog.find(&name)?, name))
    });
    let tables = tables.collect::<Result<_>>()?;
    let mode = match lock.lock_mode {
        Some(LockTableMode::AccessShare) => TableLock::AccessShare,
        Some(LockTableMode::RowShare) => TableLock::RowShare,
        Some(LockTableMode::RowExclusive) => TableLock::RowExclusive,
        Some(LockTableMode::ShareUpdateExclusive) => TableLock::ShareUpdateExclusive,
        Some(LockTableMode::Share) => TableLock::Share,
        Some(LockTableMode::ShareRowExclusive) => TableLock::ShareRowExclusive,
        Some(LockTableMode::Exclusive) => TableLock::Exclusive,
        Some(LockTableMode::AccessExclusive) | None => TableLock::AccessExclusive,
    };
    Ok((Plan::LockTable { tables, mode, nowait: lock.nowait }, Vec::new()))
}

/// Every transaction is READ COMMITTED; a request for a stronger level is refused rather than weakened.
fn read_only(modes: &[TransactionMode]) -> Result<Option<bool>> {
    let mut read_only = None;
    for mode in modes {
        match mode {
            TransactionMode::AccessMode(mode) => read_only = Some(*mode == TransactionAccessMode::ReadOnly),
            TransactionMode::IsolationLevel(
                TransactionIsolationLevel::ReadCommitted | TransactionIsolationLevel::ReadUncommitted,
            ) => {}
            TransactionMode::IsolationLevel(level) => {
                return Err(SqlError::unsupported(format!("the isolation level {level}")));
            }
        }
    }
    Ok(read_only)
}

fn set(set: &Set) -> Result<Plan> {
    match set {
        Set::SingleAssignment {
            scope: scope @ (None | Some(ContextModifier::Session | ContextModifier::Local)),
            hivevar: false,
            variable,
            values,
        } => Ok(Plan::Set {
            name: setting_name(variable)?,
            value: setting(values)?,
            local: *scope == Some(ContextModifier::Local),
        }),
        Set::SetTimeZone { local, value } => {
            let value = setting(std::slice::from_ref(value))?;
            Ok(Plan::Set { name: "timezone".to_owned(), value, local: *local })
        }
        Set::SetNames { charset_name, .. } => {
            let value = Some(charset_name.value.clone());
            Ok(Plan::Set { name: "client_encoding".to_owned(), value, local: false })
        }
        Set::SetTransaction { modes, snapshot: None, session: false } => {
            Ok(Plan::SetTransaction { read_only: read_only(modes)? })
        }
        _ => Err(SqlError::unsupported(format!("{set}"))),
    }
}

fn setting_name(name: &ObjectName) -> Result<String> {
    match name.0.as_slice() {
        [_] => object_name(name),
        _ => Ok(name.to_string().to_lowercase()),
    }
}

/// The text of a setting's value; none for `DEFAULT`.
fn setting(values: &[Ast]) -> Result<Option<String>> {
    let words = values
        .iter()
        .map(|value| match value {
            Ast::Identifier(ident) => Ok(ident.value.clone()),
            Ast::Value(value) => Ok(match &value.value {
                Literal::SingleQuotedString(text) => text.clone(),
                other => other.to_string(),
            }),
            Ast::UnaryOp { .. } => Ok(value.to_string()),
            other => Err(SqlError::unsupported(format!("the setting {other}"))),
        })
        .collect::<Result<Vec<String>>>()?;
    Ok(if words.len() == 1 && words[0].eq_ignore_ascii_case("default") {
        None
    } else {
        Some(words.join(", "))
    })
}
