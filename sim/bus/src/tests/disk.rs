//! A disk in memory that can lose power, fill up and fail to sync.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use env::{BoxFile, Disk, File, OpenMode};

const ENOSPC: i32 = 28;
const EIO: i32 = 5;

/// What is written and what is durable. Names become durable at once: the tests are about content.
#[derive(Default)]
pub(super) struct MemDisk(Arc<Mutex<Volume>>);

#[derive(Default)]
struct Volume {
    names: BTreeMap<PathBuf, usize>,
    files: Vec<Content>,
    full: bool,
    broken: bool,
    syncs: usize,
    /// How many power losses there were: files opened before one are dead.
    losses: usize,
}

#[derive(Default)]
struct Content {
    cached: Vec<u8>,
    durable: Vec<u8>,
}

struct MemFile {
    volume: Arc<Mutex<Volume>>,
    index: usize,
    opened_after: usize,
}

impl MemFile {
    fn lock(&self) -> io::Result<MutexGuard<'_, Volume>> {
        let volume = lock(&self.volume);
        if volume.losses == self.opened_after { Ok(volume) } else { Err(io::Error::from_raw_os_error(EIO)) }
    }
}

fn lock(volume: &Mutex<Volume>) -> MutexGuard<'_, Volume> {
    volume.lock().expect("no test panics here")
}

impl MemDisk {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    fn file<T>(&self, path: &str, look: impl FnOnce(&mut Content) -> T) -> T {
        let volume = &mut *lock(&self.0);
        look(&mut volume.files[volume.names[Path::new(path)]])
    }

    pub(super) fn power_loss(&self) {
        let volume = &mut *lock(&self.0);
        volume.losses += 1;
        volume.files.iter_mut().for_each(|file| file.cached.clone_from(&file.durable));
    }

    pub(super) fn fill(&self, full: bool) {
        lock(&self.0).full = full;
    }

    pub(super) fn break_sync(&self, broken: bool) {
        lock(&self.0).broken = broken;
    }

    /// How often anything was synced.
    pub(super) fn syncs(&self) -> usize {
        lock(&self.0).syncs
    }

    pub(super) fn content(&self, path: &str) -> Vec<u8> {
        self.file(path, |file| file.cached.clone())
    }

    pub(super) fn len(&self, path: &str) -> usize {
        self.file(path, |file| file.cached.len())
    }

    pub(super) fn cut(&self, path: &str, len: usize) {
        self.file(path, |file| file.cached.truncate(len));
    }

    pub(super) fn damage(&self, path: &str, at: usize) {
        self.file(path, |file| file.cached[at] ^= 0xff);
    }
}

#[async_trait]
impl Disk for MemDisk {
    async fn open(&self, path: &Path, _: OpenMode) -> io::Result<BoxFile> {
        let volume = &mut *lock(&self.0);
        let next = volume.files.len();
        let index = *volume.names.entry(path.to_owned()).or_insert(next);
        if index == next {
            volume.files.push(Content::default());
        }
        Ok(Box::new(MemFile { volume: self.0.clone(), index, opened_after: volume.losses }))
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let volume = &mut *lock(&self.0);
        let index = volume.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        volume.names.insert(to.to_owned(), index);
        Ok(())
    }

    async fn remove(&self, path: &Path) -> io::Result<()> {
        lock(&self.0).names.remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    async fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    async fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    async fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        Ok(lock(&self.0).names.keys().map(|path| path.to_string_lossy().into_owned()).collect())
    }

    async fn free_space(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

#[async_trait]
impl File for MemFile {
    async fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let volume = self.lock()?;
        let rest = volume.files[self.index].cached.get(offset as usize..).unwrap_or_default();
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    async fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize> {
        let volume = &mut *self.lock()?;
        if volume.full {
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        let (cached, offset) = (&mut volume.files[self.index].cached, offset as usize);
        cached.resize(cached.len().max(offset + data.len()), 0);
        cached[offset..offset + data.len()].copy_from_slice(data);
        Ok(data.len())
    }

    async fn set_len(&self, len: u64) -> io::Result<()> {
        self.lock()?.files[self.index].cached.resize(len as usize, 0);
        Ok(())
    }

    async fn len(&self) -> io::Result<u64> {
        Ok(self.lock()?.files[self.index].cached.len() as u64)
    }

    async fn sync(&self) -> io::Result<()> {
        let volume = &mut *self.lock()?;
        volume.syncs += 1;
        if volume.broken {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        let file = &mut volume.files[self.index];
        file.durable.clone_from(&file.cached);
        Ok(())
    }
}
