//! `docs/conformance.md`: what was compared, as the tests found it. Each test owns a section of that file, between two
//! comments, and fails when the section says something else than the run; with `UPDATE_DOCS=1` it writes the section.
//!
//! What goes in must be the same on every run: counts under fixed seeds, versions, reasons; no times, no durations.

use std::{
    fs,
    sync::{Mutex, PoisonError},
};

const DOCUMENT: &str = "docs/conformance.md";

/// Compares the section called `name` with `text`, which is Markdown.
///
/// # Panics
/// When they differ, or the document has no such section.
pub fn check(name: &str, text: &str) {
    // Tests run at the same time and write the same file.
    static WRITING: Mutex<()> = Mutex::new(());
    let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let path = tests::root().join(DOCUMENT);
    let document = fs::read_to_string(&path).expect("the document exists");
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->\n"));
    let (before, rest) = document.split_once(&begin).unwrap_or_else(|| panic!("{DOCUMENT} has no {begin}"));
    let (written, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{DOCUMENT} has no {end}"));
    let found = format!("\n{}\n\n", text.trim());
    if written == found {
        return;
    }
    assert!(
        std::env::var_os("UPDATE_DOCS").is_some(),
        "{DOCUMENT}, section {name:?}, does not say what this run found; UPDATE_DOCS=1 writes it anew:\n{found}"
    );
    fs::write(&path, [before, &begin, &found, &end, after].concat()).expect("a writable document");
}

/// The version of a Python package in `requirements.txt`.
pub fn pinned(package: &str) -> String {
    let requirements = include_str!("requirements.txt").lines();
    let mut versions = requirements.filter_map(|line| line.strip_prefix(package)?.strip_prefix("=="));
    versions.next().unwrap_or_else(|| panic!("requirements.txt does not name {package}")).to_owned()
}

/// A table in Markdown.
pub fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&head.map(str::to_owned));
    text += &line(&[const { String::new() }; N].map(|_| "---".to_owned()));
    for row in rows {
        text += &line(&row);
    }
    text
}

/// `text` as it may stand in a cell of a table.
pub fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
