//! A disk in memory that fills up, fails to sync and forgets what was not synced.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use env::{BoxFile, Disk, File, OpenMode};

/// Shared by everyone who holds a clone.
#[derive(Clone, Default)]
pub struct FaultyDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    files: BTreeMap<String, Content>,
    /// Bytes that can still be written; without a limit when none.
    room: Option<usize>,
    /// The next syncs fail and drop what they should have written.
    failing_syncs: usize,
    syncs: usize,
    /// Syncs wait until this is given back.
    gate: Option<Arc<tokio::sync::Semaphore>>,
}

#[derive(Clone, Default)]
struct Content {
    cached: Vec<u8>,
    durable: Vec<u8>,
}

impl FaultyDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// A disk whose file `path` durably holds `bytes`.
    pub fn holding(path: &str, bytes: &[u8]) -> Self {
        let disk = Self::default();
        let content = Content { cached: bytes.to_vec(), durable: bytes.to_vec() };
        disk.state().files.insert(path.to_owned(), content);
        disk
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
        self.state().files.get(path).map(|content| content.cached.clone()).unwrap_or_default()
    }

    /// What would be left after a power loss.
    pub fn durable(&self, path: &str) -> Vec<u8> {
        self.state().files.get(path).map(|content| content.durable.clone()).unwrap_or_default()
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
        if mode == OpenMode::Read && !state.files.contains_key(&path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.files.entry(path.clone()).or_default();
        Ok(Box::new(FaultyFile { disk: self.clone(), path }))
    }

    async fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn remove(&self, path: &Path) -> io::Result<()> {
        self.state().files.remove(&name(path)).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    async fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    async fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    async fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        Ok(self.state().files.keys().cloned().collect())
    }

    async fn free_space(&self) -> io::Result<u64> {
        Ok(self.state().room.map_or(u64::MAX, |room| room as u64))
    }
}

struct FaultyFile {
    disk: FaultyDisk,
    path: String,
}

impl FaultyFile {
    fn with<T>(&self, act: impl FnOnce(&mut Vec<u8>, &mut Option<usize>) -> T) -> T {
        let mut state = self.disk.state();
        let State { files, room, .. } = &mut *state;
        act(&mut files.get_mut(&self.path).unwrap().cached, room)
    }
}

#[async_trait]
impl File for FaultyFile {
    async fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|content, _| {
            let rest = content.get(offset as usize..).unwrap_or_default();
            let count = rest.len().min(buf.len());
            buf[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        })
    }

    async fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize> {
        self.with(|content, room| {
            let offset = offset as usize;
            let mut count = data.len();
            if let Some(room) = room {
                let inside = content.len().saturating_sub(offset);
                count = count.min(inside + *room);
                if count == 0 {
                    return Err(io::Error::from_raw_os_error(28));
                }
                *room -= count.saturating_sub(inside);
            }
            if content.len() < offset + count {
                content.resize(offset + count, 0);
            }
            content[offset..offset + count].copy_from_slice(&data[..count]);
            Ok(count)
        })
    }

    async fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|content, room| {
            if let Some(room) = room {
                *room += content.len().saturating_sub(len as usize);
            }
            content.resize(len as usize, 0);
        });
        Ok(())
    }

    async fn len(&self) -> io::Result<u64> {
        Ok(self.with(|content, _| content.len() as u64))
    }

    async fn sync(&self) -> io::Result<()> {
        let gate = self.disk.state().gate.clone();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        let mut state = self.disk.state();
        state.syncs += 1;
        let fails = state.failing_syncs > 0;
        let content = state.files.get_mut(&self.path).unwrap();
        if fails {
            content.cached = content.durable.clone();
            state.failing_syncs -= 1;
            return Err(io::Error::from_raw_os_error(5));
        }
        content.durable = content.cached.clone();
        Ok(())
    }
}
