//! What a client says of itself when it connects.

use crate::{
    error::{Result, SqlError, state},
    settings::Settings,
};

/// The setting that holds the name of the user.
const USER: &str = "session_authorization";

/// The settings that a startup message asks for. Every user and every database is known; a user must be named because every
/// client does.
pub(crate) fn settings(params: Vec<(String, String)>) -> Result<Settings> {
    let mut settings = Settings::default();
    let mut user = String::new();
    for (name, value) in params {
        match name.as_str() {
            "user" => user = value,
            "database" => {}
            "options" => options(&value, &mut settings)?,
            "replication" if matches!(value.as_str(), "" | "false" | "off" | "no" | "0") => {}
            "replication" => return Err(SqlError::unsupported("replication")),
            _ => settings.set(&name, Some(value), false)?,
        }
    }
    if user.is_empty() {
        return Err(SqlError::new(
            state::INVALID_AUTHORIZATION,
            "no PostgreSQL user name specified in startup packet",
        ));
    }
    settings.found(USER, user);
    settings.commit();
    Ok(settings)
}

/// The user's name.
pub(crate) fn user(settings: &Settings) -> &str {
    settings.show(USER).unwrap_or_default()
}

/// Command-line options of a server process: `-c name=value` and `--name=value` (PostgreSQL 16 docs, §20.1.4).
fn options(text: &str, settings: &mut Settings) -> Result<()> {
    let words = words(text);
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let assignment = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            Some("") if word == "-c" => words.next(),
            other => other,
        };
        let Some((name, value)) = assignment.and_then(|assignment| assignment.split_once('=')) else {
            let message = format!("invalid command-line argument for server process: {word}");
            return Err(SqlError::syntax(message));
        };
        settings.set(&name.replace('-', "_"), Some(value.to_owned()), false)?;
    }
    Ok(())
}

/// Words between spaces; a backslash takes the next character literally.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\\' => word.get_or_insert_default().extend(chars.next()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(params: &[(&str, &str)]) -> Result<Settings> {
        settings(params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn options_are_settings() {
        let options = "-c statement_timeout=5s -capplication_name=a\\ b --lock-timeout=7";
        let settings = told(&[("user", "me"), ("options", options)]).unwrap();
        assert_eq!(settings.show("statement_timeout").unwrap(), "5s");
        assert_eq!(settings.show("application_name").unwrap(), "a b");
        assert_eq!(settings.show("lock_timeout").unwrap(), "7ms");
        assert_eq!(user(&settings), "me");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (name, value, code) in [
            ("options", "-x", "42601"),
            ("options", "-c", "42601"),
            ("options", "-c nonsense=1", "42704"),
            ("replication", "database", "0A000"),
            ("nonsense", "1", "42704"),
        ] {
            assert_eq!(told(&[("user", "me"), (name, value)]).err().map(|it| it.state), Some(code), "{name}");
        }
        assert_eq!(told(&[]).err().map(|it| it.state), Some("28000"));
    }
}
