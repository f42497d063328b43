//! Hygiene that no compiler checks.

use std::{
    fs,
    path::{Path, PathBuf},
};

use scenarios::ALL;
use tests::root;

fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display())) {
        let path = entry.expect("a readable directory").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn stems(directory: &str, extension: &str) -> Vec<String> {
    let stem = |path: &PathBuf| path.file_stem().expect("a file").to_string_lossy().into_owned();
    files(&root().join(directory), extension).iter().map(stem).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_file_of_the_catalogue_is_registered_in_alphabetical_order() {
    let registered: Vec<&str> = ALL.iter().map(|scenario| scenario.name).collect();
    assert_eq!(registered, stems("scenarios/src/catalogue", "rs"));
}

#[test]
fn every_scenario_begins_with_its_four_header_lines() {
    for path in files(&root().join("scenarios/src/catalogue"), "rs") {
        let text = read(&path);
        for header in ["//! SCENARIO      ", "//! EXPECTED      ", "//! FAILURE MODE  ", "//! SOURCE        "]
        {
            assert!(text.lines().any(|line| line.starts_with(header)), "{}: no {header:?}", path.display());
        }
    }
}

#[test]
fn every_scenario_has_its_snapshot_and_its_planted_bug() {
    let names: Vec<&str> = ALL.iter().map(|scenario| scenario.name).collect();
    assert_eq!(stems("tests/it/snapshots", "snap"), names);
    let planted = stems("fixtures/planted", "patch");
    for name in names {
        assert!(planted.iter().any(|patch| patch.starts_with(name)), "no planted bug is for {name}");
    }
}

#[test]
fn every_test_file_is_part_of_its_binary() {
    let top = root().join("tests/it");
    for path in files(&top, "rs") {
        let (stem, directory) = (path.file_stem().expect("a file"), path.parent().expect("a directory"));
        let parent = if directory == top { top.join("main.rs") } else { directory.with_extension("rs") };
        let declared = format!("mod {};", stem.display());
        assert!(stem == "main" || read(&parent).contains(&declared), "{} is not compiled", path.display());
    }
}

#[test]
fn every_source_file_says_what_it_is() {
    for crate_directory in ["runtime", "sim", "scenarios", "tests"] {
        for path in files(&root().join(crate_directory), "rs") {
            let text = read(&path);
            assert!(text.starts_with("//!") || text.starts_with("#!["), "{} has no header", path.display());
        }
    }
}

#[test]
fn what_the_documents_name_exists() {
    for document in
        ["README.md", "ARCHITECTURE.md", "docs/conformance.md", "docs/events.md", "docs/performance.md"]
    {
        let text = read(&root().join(document));
        let linked = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in linked.filter(|target| !target.starts_with("http") && !target.starts_with('#')) {
            let base = root().join(document);
            let path = base.parent().expect("a document is in a directory").join(target);
            assert!(path.exists(), "{document} links to {target}, which does not exist");
        }
    }
}

/// What the runtime may expect because nothing from outside can make it otherwise: the file, and the words that say why.
const EXPECTED: &[(&str, &str)] = &[
    ("clients/broker.rs", "HMAC takes a key of any length"),
    ("core/breaker.rs", "it was there or has just been added"),
    ("core/strategy.rs", "0.003 is a quantity"),
    ("services.rs", "BTCUSDT is a symbol"),
    ("services/trader/gates.rs", "the venue's symbols are symbols"),
    ("services/trader/gates/breakers.rs", "a record of a breaker is made of texts and numbers"),
    ("streams/seal.rs", "HMAC takes a key of any length"),
];

/// Every line of the runtime's code that is not of a test and not a comment, with the file it is in.
fn lines_of_the_runtime() -> Vec<(String, String)> {
    let top = root().join("runtime/src");
    let mut lines = Vec::new();
    for path in files(&top, "rs").into_iter().filter(|path| !path.ends_with("tests.rs")) {
        let name = path.strip_prefix(&top).expect("a file below the top").display().to_string();
        let text = read(&path);
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.extend(code.map(|line| (name.clone(), line.to_owned())));
    }
    assert!(lines.len() > 1_000, "the runtime is somewhere else");
    lines
}

#[test]
fn the_runtime_panics_at_nothing_that_comes_from_outside() {
    const PANICS: &[&str] =
        &[".unwrap()", ".unwrap_err()", "panic!(", "todo!(", "unimplemented!(", "unreachable!("];
    let mut expected = Vec::new();
    for (file, line) in lines_of_the_runtime() {
        assert!(!PANICS.iter().any(|word| line.contains(word)), "runtime/src/{file}: {}", line.trim());
        if let Some((_, words)) = line.split_once(".expect(") {
            let words = words.strip_prefix('"').and_then(|words| words.split('"').next()).unwrap_or_default();
            expected.push((file, words.to_owned()));
        }
    }
    expected.sort();
    let listed: Vec<_> = EXPECTED.iter().map(|(file, words)| (file.to_string(), words.to_string())).collect();
    assert_eq!(expected, listed, "what the runtime expects is not what is known to be harmless");
}

#[test]
fn no_decision_of_the_runtime_is_made_with_floating_point_numbers() {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    for (file, line) in lines_of_the_runtime() {
        let mut words = line.split(|c| !is_word(c));
        let floating = words
            .any(|word| word == "f32" || word == "f64" || word.ends_with("_f64") || word.ends_with("_f32"));
        assert!(!floating, "runtime/src/{file}: {}", line.trim());
    }
}
