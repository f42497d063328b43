//! A disk in memory that fills up, fails to sync, forgets what was not synced, and remembers every state it was in.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use env::{BoxFile, Disk, File, OpenMode};

/// What a disk holds, by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Shared by everyone who holds a clone.
#[derive(Clone, Default)]
pub struct FaultyDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    contents: Vec<Content>,
    /// What processes see, and what a power loss would leave.
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Bytes that can still be written; without a limit when none.
    room: Option<usize>,
    /// The next syncs fail and drop what they should have written.
    failing_syncs: usize,
    syncs: usize,
    /// Syncs wait until this is given back.
    gate: Option<Arc<tokio::sync::Semaphore>>,
    /// What the test has noted, and the states that the disk was in, each with the note of its time.
    note: usize,
    history: Option<Vec<(usize, Files)>>,
}

#[derive(Clone, Default)]
struct Content {
    cached: Vec<u8>,
    durable: Vec<u8>,
    /// Where the two begin to differ.
    clean: usize,
}

impl State {
    fn platter(&self) -> Files {
        let durable = |(name, at): (&String, &usize)| (name.clone(), self.contents[*at].durable.clone());
        self.durable_names.iter().map(durable).collect()
    }

    fn cache(&self) -> Files {
        let cached = |(name, at): (&String, &usize)| (name.clone(), self.contents[*at].cached.clone());
        self.names.iter().map(cached).collect()
    }

    /// Remembers what a power loss, and what a kill of the process, would leave now.
    fn remember(&mut self) {
        if let Some(mut history) = self.history.take() {
            history.extend([(self.note, self.platter()), (self.note, self.cache())]);
            self.history = Some(history);
        }
    }
}

impl FaultyDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// A disk that durably holds `files`.
    pub fn with(files: Files) -> Self {
        let disk = Self::default();
        for (name, bytes) in files {
            let mut state = disk.state();
            let clean = bytes.len();
            let at = state.contents.len();
            state.contents.push(Content { cached: bytes.clone(), durable: bytes, clean });
            state.names.insert(name.clone(), at);
            state.durable_names.insert(name, at);
        }
        disk
    }

    /// A disk whose file `path` durably holds `bytes`.
    pub fn holding(path: &str, bytes: &[u8]) -> Self {
        Self::with([(path.to_owned(), bytes.to_vec())].into())
    }

    pub fn full_after(&self, bytes: usize) {
        self.state().room = Some(bytes);
    }

    pub fn free(&self) {
        self.state().room = None;
    }

    pub fn fail_next_sync(&self) {
        self.state().failing_syncs = 1;
    }

    pub fn syncs(&self) -> usize {
        self.state().syncs
    }

    /// Holds every sync until the returned semaphore has permits.
    pub fn hold_syncs(&self) -> Arc<tokio::sync::Semaphore> {
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        self.state().gate = Some(gate.clone());
        gate
    }

    /// What a reader of the file sees now.
    pub fn cached(&self, path: &str) -> Vec<u8> {
        self.state().cache().remove(path).unwrap_or_default()
    }

    /// What would be left of the file after a power loss.
    pub fn durable(&self, path: &str) -> Vec<u8> {
        self.platter().remove(path).unwrap_or_default()
    }

    /// What would be left after a power loss.
    pub fn platter(&self) -> Files {
        self.state().platter()
    }

    /// The names that processes see.
    pub fn names(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    /// From now on every state is remembered, with the number noted last.
    pub fn keep_history(&self) {
        self.state().history = Some(Vec::new());
    }

    pub fn note(&self, note: usize) {
        self.state().note = note;
    }

    pub fn history(&self) -> Vec<(usize, Files)> {
        self.state().history.take().unwrap_or_default()
    }
}

fn name(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[async_trait]
impl Disk for FaultyDisk {
    async fn open(&self, path: &Path, mode: OpenMode) -> io::Result<BoxFile> {
        let path = name(path);
        let mut state = self.state();
        let at = match state.names.get(&path) {
            Some(at) => *at,
            None if mode == OpenMode::Read => return Err(io::ErrorKind::NotFound.into()),
            None => {
                let at = state.contents.len();
                state.contents.push(Content::default());
                state.names.insert(path, at);
                state.remember();
                at
            }
        };
        Ok(Box::new(FaultyFile { disk: self.clone(), at }))
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let at = state.names.remove(&name(from)).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(name(to), at);
        state.remember();
        Ok(())
    }

    async fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let at = state.names.remove(&name(path)).ok_or(io::ErrorKind::NotFound)?;
        let freed = state.contents[at].cached.len();
        if let Some(room) = &mut state.room {
            *room += freed;
        }
        state.remember();
        Ok(())
    }

    async fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    async fn sync_dir(&self, _: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.durable_names = state.names.clone();
        state.remember();
        Ok(())
    }

    async fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        Ok(self.names())
    }

    async fn free_space(&self) -> io::Result<u64> {
        Ok(self.state().room.map_or(u64::MAX, |room| room as u64))
    }
}

struct FaultyFile {
    disk: FaultyDisk,
    at: usize,
}

impl FaultyFile {
    fn with<T>(&self, act: impl FnOnce(&mut Content, &mut Option<usize>) -> T) -> T {
        let mut state = self.disk.state();
        let State { contents, room, .. } = &mut *state;
        act(&mut contents[self.at], room)
    }
}

#[async_trait]
impl File for FaultyFile {
    async fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|content, _| {
            let rest = content.cached.get(offset as usize..).unwrap_or_default();
            let count = rest.len().min(buf.len());
            buf[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        })
    }

    async fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize> {
        let written = self.with(|content, room| {
            let offset = offset as usize;
            let mut count = data.len();
            if let Some(room) = room {
                let inside = content.cached.len().saturating_sub(offset);
                count = count.min(inside + *room);
                if count == 0 {
                    return Err(io::Error::from_raw_os_error(28));
                }
                *room -= count.saturating_sub(inside);
            }
            if content.cached.len() < offset + count {
                content.cached.resize(offset + count, 0);
            }
            content.cached[offset..offset + count].copy_from_slice(&data[..count]);
            content.clean = content.clean.min(offset);
            Ok(count)
        });
        self.disk.state().remember();
        written
    }

    async fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|content, room| {
            if let Some(room) = room {
                *room += content.cached.len().saturating_sub(len as usize);
            }
            content.cached.resize(len as usize, 0);
            content.clean = content.clean.min(len as usize);
        });
        self.disk.state().remember();
        Ok(())
    }

    async fn len(&self) -> io::Result<u64> {
        Ok(self.with(|content, _| content.cached.len() as u64))
    }

    async fn sync(&self) -> io::Result<()> {
        let gate = self.disk.state().gate.clone();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        let mut state = self.disk.state();
        state.syncs += 1;
        let fails = state.failing_syncs > 0;
        let content = &mut state.contents[self.at];
        if fails {
            content.cached = content.durable.clone();
            content.clean = content.cached.len();
            state.failing_syncs -= 1;
            return Err(io::Error::from_raw_os_error(5));
        }
        content.durable.truncate(content.clean);
        content.durable.extend_from_slice(&content.cached[content.durable.len()..]);
        content.clean = content.cached.len();
        state.remember();
        Ok(())
    }
}
