//! Hand-written statements, file by file, each asked in all three modes.

use std::{fs, io};

use super::{
    compare::Difference,
    pair::{Pair, Real, Statement},
    wire::Mode,
};

/// A file of statements.
pub struct Corpus {
    pub name: String,
    statements: Vec<String>,
}

/// All files, by name.
pub fn all() -> Vec<Corpus> {
    let directory = tests::root().join("tests/conformance/postgres/corpus");
    let mut paths: Vec<_> =
        fs::read_dir(directory).expect("the corpus").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
        .iter()
        .map(|path| Corpus {
            name: path.file_stem().expect("a name").to_string_lossy().into_owned(),
            statements: statements(&fs::read_to_string(path).expect("a readable file")),
        })
        .collect()
}

/// One statement a line; a line of comment is none.
fn statements(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with("-- "));
    lines.map(|line| line.strip_suffix(';').unwrap_or(line).to_owned()).collect()
}

impl Corpus {
    /// How many statements it has.
    pub fn len(&self) -> usize {
        self.statements.len()
    }

    /// Asks both servers every statement, on a fresh database; returns the statements that they answer differently.
    ///
    /// # Errors
    /// When a server closes the connection or does not answer.
    pub fn run(&self, real: &Real, mode: Mode) -> io::Result<Vec<(String, Difference)>> {
        let pair = Pair::new(real)?;
        let mut session = pair.session()?;
        let mut findings = Vec::new();
        for sql in &self.statements {
            let ordered = sql.to_ascii_lowercase().contains("order by");
            let statement = Statement { sql: sql.clone(), params: Vec::new(), mode, ordered };
            let differences = session.ask(&statement)?;
            findings.extend(differences.into_iter().map(|difference| (sql.clone(), difference)));
        }
        Ok(findings)
    }
}
