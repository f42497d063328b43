//! Statements about the transaction and the session: `BEGIN`, `COMMIT`, `ROLLBACK`, `SET`, `SHOW`.

use sqlparser::ast::{
    ContextModifier, Expr as Ast, Set, Statement, TransactionAccessMode, TransactionIsolationLevel,
    TransactionMode, Value as Literal,
};

use super::{Bound, fold, object_name, refuse};
use crate::{
    data::{Modifier, Type},
    error::{Result, SqlError},
    settings::heading,
    sql::plan::{Output, Plan},
};

pub(super) fn control(statement: &Statement) -> Result<Bound> {
    let plan = match statement {
        Statement::StartTransaction { modes, modifier: None, statements, exception: None, .. }
            if statements.is_empty() =>
        {
            Plan::Begin { read_only: read_only(modes)? }
        }
        Statement::Commit { chain, modifier: None, .. } => {
            refuse(&[(*chain, "COMMIT AND CHAIN")])?;
            Plan::Commit
        }
        Statement::Rollback { chain, savepoint } => {
            refuse(&[(*chain, "ROLLBACK AND CHAIN"), (savepoint.is_some(), "ROLLBACK TO SAVEPOINT")])?;
            Plan::Rollback
        }
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

/// Every transaction is READ COMMITTED; a request for a stronger level is refused rather than weakened.
fn read_only(modes: &[TransactionMode]) -> Result<bool> {
    let mut read_only = false;
    for mode in modes {
        match mode {
            TransactionMode::AccessMode(mode) => read_only = *mode == TransactionAccessMode::ReadOnly,
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
            scope: None | Some(ContextModifier::Session),
            hivevar: false,
            variable,
            values,
        } => {
            let name = match variable.0.as_slice() {
                [_] => object_name(variable)?,
                _ => variable.to_string().to_lowercase(),
            };
            Ok(Plan::Set { name, value: setting(values)? })
        }
        Set::SetTimeZone { local: false, value } => {
            Ok(Plan::Set { name: "timezone".to_owned(), value: setting(std::slice::from_ref(value))? })
        }
        Set::SetNames { charset_name, .. } => {
            Ok(Plan::Set { name: "client_encoding".to_owned(), value: Some(charset_name.value.clone()) })
        }
        _ => Err(SqlError::unsupported(format!("{set}"))),
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
