//! Reading plans and writing reports, so that nothing is lost.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use sim::Plan;

/// Reads a plan; an error names the file, the line and what was expected.
pub fn read_plan(path: &Path) -> Result<Plan> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Plan::parse(&text).with_context(|| path.display().to_string())
}

/// A file that will be written at the end of a long run, and is known now to be writable.
pub struct Report {
    path: PathBuf,
    draft: PathBuf,
}

impl Report {
    /// Makes sure that the report can be written, without touching what is there.
    pub fn open(path: &Path) -> Result<Self> {
        let cannot = || format!("cannot write {}", path.display());
        if path.is_dir() {
            anyhow::bail!("cannot write {}: it is a directory", path.display());
        }
        let mut draft = path.as_os_str().to_owned();
        draft.push(".part");
        let draft = PathBuf::from(draft);
        fs::write(&draft, b"").with_context(cannot)?;
        Ok(Self { path: path.into(), draft })
    }

    /// Writes the whole report, or leaves the earlier one.
    pub fn write(self, content: &str) -> Result<()> {
        let write = || {
            let mut file = fs::OpenOptions::new().write(true).truncate(true).open(&self.draft)?;
            file.write_all(content.as_bytes())?;
            file.sync_all()?;
            fs::rename(&self.draft, &self.path)
        };
        write().with_context(|| format!("cannot write {}", self.path.display()))
    }
}
