//! A crash-consistent volume: what a process sees, and what a power loss would leave of it.
//!
//! POSIX at its strictest. A file is an inode with a cached and a durable content; a directory is a set of names with a
//! live and a durable form. `sync` makes one inode's content durable, `sync_dir` the names of one directory; nothing
//! else does. Pure: no clock, no randomness, no faults.
//!
//! Not `turmoil-fs`, although it models the same thing: it keys content by path instead of by inode, so a file that is
//! renamed away and created anew before its directory is synced loses what was synced into it
//! (`a_file_created_anew_keeps_what_was_synced` here fails on it), and its pending writes cannot be dropped to model a
//! failed fsync. The tests compare the two where `turmoil-fs` is right.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use crate::plan::Survival;

/// The unit in which an interrupted write is torn: the sector size that disks guarantee to write whole.
pub(crate) const BLOCK: u64 = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Inode(u64);

/// Why a name could not be used; the errno is the caller's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameError {
    Missing,
    Exists,
    NotADirectory,
    IsADirectory,
}

#[derive(Debug, Default)]
struct Content {
    durable: Vec<u8>,
    cached: Vec<u8>,
    dirty: Vec<Range<u64>>,
    /// The least length since the last sync, when the length was set: what lay beyond it is gone.
    cut: Option<u64>,
}

#[derive(Clone, Debug, Default)]
struct Names {
    files: BTreeMap<String, Inode>,
    dirs: BTreeSet<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Volume {
    inodes: BTreeMap<Inode, Content>,
    live: Names,
    durable: Names,
    next: u64,
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn is_below(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
}

impl Names {
    fn is_dir(&self, path: &str) -> bool {
        path.is_empty() || self.dirs.contains(path)
    }

    fn in_dir<'a>(&'a self, dir: &'a str) -> impl Iterator<Item = &'a String> {
        self.files.keys().chain(&self.dirs).filter(move |path| !path.is_empty() && parent(path) == dir)
    }
}

impl Volume {
    pub(crate) fn lookup(&self, path: &str) -> Result<Inode, NameError> {
        match self.live.files.get(path) {
            Some(inode) => Ok(*inode),
            None if self.live.is_dir(path) => Err(NameError::IsADirectory),
            None => Err(NameError::Missing),
        }
    }

    pub(crate) fn create(&mut self, path: &str) -> Result<Inode, NameError> {
        if self.live.files.contains_key(path) || self.live.is_dir(path) {
            return Err(NameError::Exists);
        }
        self.require_parent(path)?;
        let inode = Inode(self.next);
        self.next += 1;
        self.inodes.insert(inode, Content::default());
        self.live.files.insert(path.into(), inode);
        Ok(inode)
    }

    fn require_parent(&self, path: &str) -> Result<(), NameError> {
        match parent(path) {
            dir if self.live.is_dir(dir) => Ok(()),
            dir if self.live.files.contains_key(dir) => Err(NameError::NotADirectory),
            _ => Err(NameError::Missing),
        }
    }

    pub(crate) fn create_dir_all(&mut self, path: &str) -> Result<(), NameError> {
        if self.live.is_dir(path) {
            return Ok(());
        }
        if self.live.files.contains_key(path) {
            return Err(NameError::NotADirectory);
        }
        self.create_dir_all(parent(path))?;
        self.live.dirs.insert(path.into());
        Ok(())
    }

    pub(crate) fn rename(&mut self, from: &str, to: &str) -> Result<(), NameError> {
        let inode = self.lookup(from)?;
        if self.live.is_dir(to) {
            return Err(NameError::IsADirectory);
        }
        self.require_parent(to)?;
        self.live.files.remove(from);
        self.live.files.insert(to.into(), inode);
        Ok(())
    }

    pub(crate) fn remove(&mut self, path: &str) -> Result<(), NameError> {
        self.lookup(path)?;
        self.live.files.remove(path);
        Ok(())
    }

    /// Removes a file or a whole directory, live and durable at once.
    pub(crate) fn vanish(&mut self, path: &str) -> bool {
        let there = self.live.files.contains_key(path) || self.live.dirs.contains(path);
        for names in [&mut self.live, &mut self.durable] {
            names.files.retain(|name, _| name != path && !is_below(name, path));
            names.dirs.retain(|name| name != path && !is_below(name, path));
        }
        there
    }

    pub(crate) fn list(&self, dir: &str) -> Result<Vec<String>, NameError> {
        if !self.live.is_dir(dir) {
            return Err(NameError::Missing);
        }
        let mut names: Vec<String> =
            self.live.in_dir(dir).map(|path| path.rsplit('/').next().unwrap_or(path).to_string()).collect();
        names.sort();
        Ok(names)
    }

    pub(crate) fn sync_dir(&mut self, dir: &str) -> Result<(), NameError> {
        if !self.live.is_dir(dir) {
            return Err(NameError::Missing);
        }
        let here = |path: &str| !path.is_empty() && parent(path) == dir;
        self.durable.files.retain(|path, _| !here(path));
        self.durable.dirs.retain(|path| !here(path));
        for (path, inode) in self.live.files.iter().filter(|(path, _)| here(path)) {
            self.durable.files.insert(path.clone(), *inode);
        }
        for path in self.live.dirs.iter().filter(|path| here(path)) {
            self.durable.dirs.insert(path.clone());
        }
        Ok(())
    }

    pub(crate) fn len(&self, inode: Inode) -> u64 {
        self.inodes.get(&inode).map_or(0, |content| content.cached.len() as u64)
    }

    pub(crate) fn read(&self, inode: Inode, buf: &mut [u8], offset: u64) -> usize {
        let Some(content) = self.inodes.get(&inode) else {
            return 0;
        };
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.cached.len());
        let available = &content.cached[start..];
        let count = available.len().min(buf.len());
        buf[..count].copy_from_slice(&available[..count]);
        count
    }

    pub(crate) fn write(&mut self, inode: Inode, data: &[u8], offset: u64) {
        let Some(content) = self.inodes.get_mut(&inode) else {
            return;
        };
        let (start, end) = (offset as usize, offset as usize + data.len());
        if content.cached.len() < end {
            content.cached.resize(end, 0);
        }
        content.cached[start..end].copy_from_slice(data);
        match content.dirty.last_mut() {
            Some(last) if last.end == offset => last.end = end as u64,
            _ => content.dirty.push(offset..end as u64),
        }
    }

    pub(crate) fn set_len(&mut self, inode: Inode, len: u64) {
        let Some(content) = self.inodes.get_mut(&inode) else {
            return;
        };
        let least = content.cut.unwrap_or(u64::MAX).min(content.cached.len() as u64).min(len);
        content.cut = Some(least);
        content.cached.resize(len as usize, 0);
    }

    /// Makes the content durable; returns how many bytes were written out.
    pub(crate) fn sync(&mut self, inode: Inode) -> u64 {
        self.inodes.get_mut(&inode).map_or(0, |content| content.flush(|_| true))
    }

    /// The kernel gives up on the dirty pages: they can still be read, but nothing will ever write them.
    pub(crate) fn drop_dirty(&mut self, inode: Inode) -> bool {
        let Some(content) = self.inodes.get_mut(&inode) else {
            return false;
        };
        let lost = !content.dirty.is_empty() || content.cut.is_some();
        content.dirty.clear();
        content.cut = None;
        lost
    }

    /// Drops what was not synced from the cache, too; whether there was any.
    pub(crate) fn lose_unsynced(&mut self) -> bool {
        let mut lost = false;
        for content in self.inodes.values_mut() {
            lost |= content.cached != content.durable;
            content.reload();
        }
        lost
    }

    /// Flips every bit of a range, in the cache and on the platter; how many bytes were hit.
    pub(crate) fn corrupt(&mut self, path: &str, offset: u64, len: u64) -> usize {
        let Some(content) = self.live.files.get(path).and_then(|inode| self.inodes.get_mut(inode)) else {
            return 0;
        };
        let mut hit = 0;
        for bytes in [&mut content.durable, &mut content.cached] {
            let start = (offset as usize).min(bytes.len());
            let end = offset.saturating_add(len).min(bytes.len() as u64) as usize;
            bytes[start..end].iter_mut().for_each(|byte| *byte = !*byte);
            hit = end.saturating_sub(start).max(hit);
        }
        hit
    }

    /// The machine loses power. `survival` tells for each file what becomes of its unsynced bytes, `block_survives` for
    /// each of its torn blocks. Returns whether anything unsynced was lost.
    pub(crate) fn power_loss(
        &mut self,
        mut survival: impl FnMut(&str) -> Survival,
        mut block_survives: impl FnMut(&str) -> bool,
    ) -> bool {
        let before: BTreeMap<String, Vec<u8>> = self.contents(&self.live);
        self.live = self.durable.clone();
        let reachable: BTreeSet<Inode> = self.live.files.values().copied().collect();
        self.inodes.retain(|inode, _| reachable.contains(inode));
        for (path, inode) in &self.live.files {
            let Some(content) = self.inodes.get_mut(inode) else {
                continue;
            };
            match survival(path) {
                Survival::None => {}
                Survival::All => {
                    content.flush(|_| true);
                }
                Survival::Torn => {
                    content.flush(|_| block_survives(path));
                }
            }
            content.reload();
        }
        before != self.contents(&self.live)
    }

    fn contents(&self, names: &Names) -> BTreeMap<String, Vec<u8>> {
        let content =
            |inode: &Inode| self.inodes.get(inode).map(|content| content.cached.clone()).unwrap_or_default();
        names.files.iter().map(|(path, inode)| (path.clone(), content(inode))).collect()
    }

    /// What a power loss that keeps nothing would leave of a file.
    pub(crate) fn durable(&self, path: &str) -> Option<&[u8]> {
        let mut dir = parent(path);
        while !dir.is_empty() {
            if !self.durable.dirs.contains(dir) {
                return None;
            }
            dir = parent(dir);
        }
        let inode = self.durable.files.get(path)?;
        self.inodes.get(inode).map(|content| content.durable.as_slice())
    }
}

impl Content {
    /// Writes out the dirty blocks that `keep` keeps, and the length that was set if it keeps that (asked first).
    fn flush(&mut self, mut keep: impl FnMut(u64) -> bool) -> u64 {
        let mut written = 0;
        let resized = self.cut.take().filter(|_| keep(u64::MAX));
        if let Some(cut) = resized {
            self.durable.truncate(cut as usize);
        }
        for range in std::mem::take(&mut self.dirty) {
            let end = range.end.min(self.cached.len() as u64);
            let mut at = range.start;
            while at < end {
                let next = ((at / BLOCK + 1) * BLOCK).min(end);
                if keep(at / BLOCK) {
                    let block = at as usize..next as usize;
                    if self.durable.len() < block.end {
                        self.durable.resize(block.end, 0);
                    }
                    self.durable[block.clone()].copy_from_slice(&self.cached[block]);
                    written += next - at;
                }
                at = next;
            }
        }
        if resized.is_some() {
            self.durable.resize(self.cached.len(), 0);
        }
        written
    }

    fn reload(&mut self) {
        self.cached.clone_from(&self.durable);
        self.dirty.clear();
        self.cut = None;
    }
}

#[cfg(test)]
mod tests;
