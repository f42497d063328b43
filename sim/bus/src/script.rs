//! Scripts for EVAL: a small part of Lua 5.1, enough for the scripts by which clients hold locks.
//!
//! There are local variables, `if`, `return`, the operators, `KEYS`, `ARGV`, `redis.call`, `redis.pcall`,
//! `redis.error_reply`, `redis.status_reply`, `tonumber` and `tostring`. Deliberately absent is everything else – loops,
//! functions, tables, libraries –: a script that uses it is refused with the name of what is missing. Without loops no
//! script runs for ever.

mod lexer;
mod number;
mod parser;
mod run;

use std::{collections::BTreeMap, sync::Arc};

use sha1_smol::Sha1;

pub(crate) use parser::{CompileError, Script};
pub(crate) use run::{Commands, Value, run};

/// So many scripts are kept at most.
const SCRIPTS_MAX: usize = 10_000;

/// The name of a script: the SHA-1 of its text in lower-case hexadecimal digits.
pub(crate) fn digest(source: &[u8]) -> String {
    Sha1::from(source).digest().to_string()
}

/// The scripts that EVALSHA knows.
#[derive(Debug, Default)]
pub(crate) struct Scripts {
    by_digest: BTreeMap<String, Arc<Script>>,
}

impl Scripts {
    /// A script by its digest, in any case.
    pub(crate) fn get(&self, digest: &[u8]) -> Option<Arc<Script>> {
        let digest = std::str::from_utf8(digest).ok()?.to_ascii_lowercase();
        self.by_digest.get(&digest).cloned()
    }

    /// Compiles a script unless it is known, and keeps it as long as there is room.
    ///
    /// # Errors
    /// When the text is no script, or one of a kind that is not supported.
    pub(crate) fn load(&mut self, source: &[u8]) -> Result<(String, Arc<Script>), CompileError> {
        let digest = digest(source);
        if let Some(known) = self.by_digest.get(&digest) {
            return Ok((digest, known.clone()));
        }
        let script = Arc::new(Script::compile(source)?);
        if self.by_digest.len() < SCRIPTS_MAX {
            self.by_digest.insert(digest.clone(), script.clone());
        }
        Ok((digest, script))
    }

    /// Forgets all scripts.
    pub(crate) fn clear(&mut self) {
        self.by_digest.clear();
    }
}
