//! What the test binaries share: the workspace's root and the `tradewind` binary.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The root of the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is a member of the workspace")
}

/// The directory of the running test's profile, `…/target/PROFILE`: a test is in `deps` below it.
fn profile() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    test.ancestors().nth(2).expect("tests run from the target directory").to_owned()
}

/// Cargo's target directory, for what tests build and download.
///
/// # Panics
/// When the test was moved away from there.
pub fn target() -> PathBuf {
    profile().parent().expect("a profile is in the target directory").to_owned()
}

/// The `tradewind` binary in the profile of the running test; built at the first call.
///
/// # Panics
/// When it cannot be built.
pub fn tradewind() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let profile = profile();
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "scenarios", "--bin", "tradewind"]).current_dir(root());
        build.arg("--target-dir").arg(target());
        if profile.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo runs").success(), "tradewind cannot be built");
        profile.join("tradewind")
    })
}
