//! Every planted bug, built and caught.
//!
//! A file `fixtures/planted/*.patch` begins with three lines: which scenario to run, with how many seeds at most, and the
//! words of the check that must break (or `vacuous`). The patch is applied to a copy of the workspace, that copy is built,
//! and the scenario must fail with those words and no others.
//!
//! Each bug is a build, so whoever has not the time for all of them takes a share: `PLANTED_SHARE=2/5` takes every fifth bug,
//! from the third on.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tests::root;

/// The head of a patch file.
#[derive(Debug)]
struct Planted {
    patch: PathBuf,
    scenario: String,
    seeds: String,
    catcher: String,
}

fn planted() -> Vec<Planted> {
    let directory = root().join("fixtures/planted");
    let mut patches: Vec<PathBuf> =
        fs::read_dir(directory).expect("fixtures").map(|entry| entry.expect("an entry").path()).collect();
    patches.retain(|path| path.extension().is_some_and(|extension| extension == "patch"));
    patches.sort();
    let (which, of) = share();
    let ours = patches.into_iter().enumerate().filter(|(index, _)| index % of == which % of);
    ours.map(|(_, patch)| Planted::read(patch)).collect()
}

/// Which share of the bugs is wanted: its number, and how many shares there are.
fn share() -> (usize, usize) {
    let Ok(text) = std::env::var("PLANTED_SHARE") else {
        return (0, 1);
    };
    let parsed = text.split_once('/').and_then(|(which, of)| Some((which.parse().ok()?, of.parse().ok()?)));
    parsed.filter(|(_, of)| *of > 0).unwrap_or_else(|| panic!("PLANTED_SHARE={text:?} is not like 2/5"))
}

impl Planted {
    fn read(patch: PathBuf) -> Self {
        let text = fs::read_to_string(&patch).expect("a readable patch");
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.unwrap_or_else(|| panic!("{}: no line `{name}: …`", patch.display())).to_string()
        };
        Self {
            scenario: field("Scenario"),
            seeds: field("Seeds"),
            catcher: field("Catcher"),
            patch: patch.clone(),
        }
    }

    /// Applies the patch, and takes it back whatever happens.
    fn grow(&self, copy: &Path) {
        let git = |args: &[&str]| {
            let output =
                Command::new("git").args(args).arg(&self.patch).current_dir(copy).output().expect("git runs");
            assert!(
                output.status.success(),
                "{}: {}",
                self.patch.display(),
                String::from_utf8_lossy(&output.stderr)
            );
        };
        git(&["apply"]);
        let run = tradewind(copy, &["run", &self.scenario, "--seeds", &self.seeds]);
        git(&["apply", "--reverse"]);
        let screen = String::from_utf8_lossy(&run.stdout).into_owned();
        assert_eq!(
            run.status.code(),
            Some(1),
            "{} was not caught:\n{screen}{}",
            self.patch.display(),
            String::from_utf8_lossy(&run.stderr)
        );
        let told: Vec<&str> = screen.lines().filter_map(|line| line.strip_prefix("broken   ")).collect();
        assert!(
            !told.is_empty() && told.iter().all(|words| *words == self.catcher),
            "{self:?} was caught by {told:?}"
        );
    }
}

/// A copy of everything that git knows of, with changes that are not committed.
fn copy_of_the_workspace(into: &Path) {
    let list = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output();
    let list = String::from_utf8(list.expect("git runs").stdout).expect("paths of text");
    for file in list.lines().filter(|file| root().join(file).is_file()) {
        let target = into.join(file);
        fs::create_dir_all(target.parent().expect("a file is in a directory")).expect("a writable directory");
        fs::copy(root().join(file), &target).expect("a readable file");
    }
}

/// Builds the copy and runs its `tradewind`. The copy's crates are told from the workspace's by their path; the libraries
/// that both need are built once.
fn tradewind(copy: &Path, args: &[&str]) -> Output {
    let target = root().join("target");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["run", "--quiet", "--package", "scenarios", "--bin", "tradewind", "--target-dir"])
        .arg(target)
        .arg("--")
        .args(args);
    cargo.current_dir(copy).output().expect("cargo runs")
}

#[test]
fn every_planted_bug_is_caught_by_the_check_it_names() {
    let directory = tempfile::tempdir().expect("room for a copy");
    copy_of_the_workspace(directory.path());
    let bugs = planted();
    assert!(!bugs.is_empty(), "there are planted bugs");
    for bug in &bugs {
        bug.grow(directory.path());
    }
    // The copy is healthy again: what was caught were the bugs, not the copying.
    let scenarios: BTreeSet<&str> = bugs.iter().map(|bug| bug.scenario.as_str()).collect();
    for scenario in scenarios {
        let run = tradewind(directory.path(), &["run", scenario, "--seeds", "2"]);
        assert!(
            run.status.success(),
            "{scenario} fails without a bug:\n{}",
            String::from_utf8_lossy(&run.stdout)
        );
    }
}
