//! A host's disk: the volume, and the faults on top of it with the errno that a real system gives.

mod volume;

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use env::{BoxFile, Disk, File, OpenMode};
use volume::{Inode, NameError, Volume};

use crate::{
    draw::{Draws, scale},
    plan::{DiskFault, Survival},
    recorder::Recorder,
};

/// Bytes free on a disk that no fault fills.
const ROOMY: u64 = 1 << 40;

/// errno(3) numbers of Linux.
const EIO: i32 = 5;
const EROFS: i32 = 30;
const ENOSPC: i32 = 28;

/// The disk of one host. It outlives the host's processes.
pub(crate) struct SimDisk {
    host: Arc<str>,
    draws: Arc<Draws>,
    recorder: Arc<Recorder>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    volume: Volume,
    /// Active faults, by the plan entry that caused each.
    faults: Vec<(usize, DiskFault)>,
}

impl State {
    fn fault<T>(&self, matches: impl Fn(&DiskFault) -> Option<T>) -> Option<(usize, T)> {
        self.faults.iter().find_map(|(entry, fault)| matches(fault).map(|found| (*entry, found)))
    }

    fn room(&mut self) -> Option<(usize, &mut u64)> {
        self.faults.iter_mut().find_map(|(entry, fault)| match fault {
            DiskFault::FullAfter { bytes } => Some((*entry, bytes)),
            _ => None,
        })
    }

    fn is_read_only(&self) -> Option<usize> {
        self.fault(|fault| matches!(fault, DiskFault::ReadOnly).then_some(())).map(|(entry, ())| entry)
    }
}

/// The outcome of an operation, and the fault that shaped it.
type Shaped<T> = (Option<usize>, io::Result<T>);

impl SimDisk {
    pub(crate) fn new(host: Arc<str>, draws: Arc<Draws>, recorder: Arc<Recorder>) -> Arc<Self> {
        Arc::new(Self { host, draws, recorder, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no disk operation panics")
    }

    /// Begins a fault; one that is over at once has its effect now.
    pub(crate) fn begin(&self, entry: usize, fault: &DiskFault) {
        let bit = {
            let mut state = self.state();
            match fault {
                DiskFault::Corrupt { path, offset, len } => state.volume.corrupt(path, *offset, *len) > 0,
                DiskFault::Vanish { path } => state.volume.vanish(path),
                DiskFault::LoseUnsynced => state.volume.lose_unsynced(),
                lasting => {
                    state.faults.push((entry, lasting.clone()));
                    false
                }
            }
        };
        if bit {
            self.recorder.bite(entry);
        }
    }

    pub(crate) fn end(&self, entry: usize) {
        self.state().faults.retain(|(active, _)| *active != entry);
    }

    /// The machine loses power; whether unsynced data was lost.
    pub(crate) fn power_loss(&self, survival: Option<Survival>) -> bool {
        let entity = |path: &str| format!("{}:{path}", self.host);
        self.state().volume.power_loss(
            |path| {
                let drawn = || Survival::ALL[self.draws.below("disk.survival", &entity(path), 3) as usize];
                survival.unwrap_or_else(drawn)
            },
            |path| self.draws.below("disk.torn_block", &entity(path), 2) == 1,
        )
    }

    /// What a power loss that keeps nothing would leave of a file, handed to `look`.
    pub(crate) fn durable<T>(&self, path: &str, look: impl FnOnce(Option<&[u8]>) -> T) -> T {
        look(self.state().volume.durable(path))
    }

    /// Waits as long as a slow disk makes the process wait.
    async fn wait(&self) {
        let slow = self.state().fault(|fault| match fault {
            DiskFault::Slow { least, most } => Some((*least, *most)),
            _ => None,
        });
        if let Some((entry, (least, most))) = slow {
            let millis = (most - least).as_millis() as u64;
            let extra =
                std::time::Duration::from_millis(self.draws.below("disk.slow", &self.host, millis + 1));
            self.recorder.bite(entry);
            tokio::time::sleep(least + extra).await;
        }
    }

    fn done<T>(&self, (entry, outcome): Shaped<T>) -> io::Result<T> {
        if let Some(entry) = entry {
            self.recorder.bite(entry);
        }
        outcome
    }

    /// A change of names: refused on a read-only disk, otherwise done.
    async fn rename_like<T>(
        &self,
        change: impl FnOnce(&mut Volume) -> Result<T, NameError> + Send,
    ) -> io::Result<T> {
        self.wait().await;
        let shaped = {
            let mut state = self.state();
            match state.is_read_only() {
                Some(entry) => (Some(entry), Err(errno(EROFS))),
                None => (None, change(&mut state.volume).map_err(name_error)),
            }
        };
        self.done(shaped)
    }
}

fn errno(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

fn name_error(error: NameError) -> io::Error {
    errno(match error {
        NameError::Missing => libc::ENOENT,
        NameError::Exists => libc::EEXIST,
        NameError::NotADirectory => libc::ENOTDIR,
        NameError::IsADirectory => libc::EISDIR,
    })
}

/// A path in the volume's form: relative, `/` between names, no `.` and no `..`.
fn volume_path(path: &Path) -> io::Result<String> {
    use std::path::Component;
    let mut text = String::new();
    for component in path.components() {
        let name = match component {
            Component::Normal(name) => name.to_str().ok_or_else(|| errno(libc::EINVAL))?,
            Component::CurDir => continue,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(errno(libc::EINVAL));
            }
        };
        if !text.is_empty() {
            text.push('/');
        }
        text.push_str(name);
    }
    Ok(text)
}

/// The disk as the processes of its host see it.
pub(crate) struct HostDisk(pub(crate) Arc<SimDisk>);

#[async_trait]
impl Disk for HostDisk {
    async fn open(&self, path: &Path, mode: OpenMode) -> io::Result<BoxFile> {
        let path = volume_path(path)?;
        let disk = &self.0;
        disk.wait().await;
        let shaped = {
            let mut state = disk.state();
            match (state.volume.lookup(&path), mode) {
                (Ok(_), OpenMode::CreateNew) => (None, Err(errno(libc::EEXIST))),
                (Ok(inode), _) => (None, Ok(inode)),
                (Err(NameError::Missing), OpenMode::ReadWrite | OpenMode::CreateNew) => {
                    let full = state.room().and_then(|(entry, room)| (*room == 0).then_some(entry));
                    match (state.is_read_only(), full) {
                        (Some(entry), _) => (Some(entry), Err(errno(EROFS))),
                        (None, Some(entry)) => (Some(entry), Err(errno(ENOSPC))),
                        (None, None) => (None, state.volume.create(&path).map_err(name_error)),
                    }
                }
                (Err(error), _) => (None, Err(name_error(error))),
            }
        };
        let inode = disk.done(shaped)?;
        Ok(Box::new(SimFile {
            disk: disk.clone(),
            path: path.into(),
            inode,
            writable: mode != OpenMode::Read,
        }))
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (volume_path(from)?, volume_path(to)?);
        self.0.rename_like(move |volume| volume.rename(&from, &to)).await
    }

    async fn remove(&self, path: &Path) -> io::Result<()> {
        let path = volume_path(path)?;
        self.0.rename_like(move |volume| volume.remove(&path)).await
    }

    async fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let path = volume_path(path)?;
        self.0.rename_like(move |volume| volume.create_dir_all(&path)).await
    }

    async fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let path = volume_path(path)?;
        self.0.wait().await;
        self.0.state().volume.sync_dir(&path).map_err(name_error)
    }

    async fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let path = volume_path(path)?;
        self.0.wait().await;
        self.0.state().volume.list(&path).map_err(name_error)
    }

    async fn free_space(&self) -> io::Result<u64> {
        Ok(self.0.state().room().map_or(ROOMY, |(_, room)| *room))
    }
}

struct SimFile {
    disk: Arc<SimDisk>,
    path: Arc<str>,
    inode: Inode,
    writable: bool,
}

impl SimFile {
    fn require_writable(&self) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(errno(libc::EBADF)) }
    }

    /// How much of `wanted` a short read or write moves: at least one byte, less than all.
    fn shortened(&self, site: &'static str, wanted: usize) -> usize {
        1 + scale(self.disk.draws.bits(site, &self.disk.host), wanted as u64 - 1) as usize
    }

    fn write(&self, state: &mut State, data: &[u8], offset: u64) -> Shaped<usize> {
        if let Some(entry) = state.is_read_only() {
            return (Some(entry), Err(errno(EROFS)));
        }
        let mut count = data.len();
        let mut shaped_by = None;
        if count > 1
            && let Some((entry, ())) =
                state.fault(|fault| matches!(fault, DiskFault::ShortWrites).then_some(()))
        {
            count = self.shortened("disk.short_write", count);
            shaped_by = Some(entry);
        }
        let len = state.volume.len(self.inode);
        let growth = (offset + count as u64).saturating_sub(len);
        if let Some((entry, room)) = state.room() {
            if growth > *room {
                // A gap before `offset` takes room, too.
                count = count.saturating_sub((growth - *room) as usize);
                shaped_by = Some(entry);
            }
            if count == 0 && !data.is_empty() {
                return (shaped_by, Err(errno(ENOSPC)));
            }
            *room -= (offset + count as u64).saturating_sub(len);
        }
        state.volume.write(self.inode, &data[..count], offset);
        (shaped_by, Ok(count))
    }
}

#[async_trait]
impl File for SimFile {
    async fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.wait().await;
        let shaped = {
            let state = self.disk.state();
            let short = state.fault(|fault| matches!(fault, DiskFault::ShortReads).then_some(()));
            match short {
                Some((entry, ())) if buf.len() > 1 => {
                    let wanted = self.shortened("disk.short_read", buf.len());
                    (Some(entry), Ok(state.volume.read(self.inode, &mut buf[..wanted], offset)))
                }
                _ => (None, Ok(state.volume.read(self.inode, buf, offset))),
            }
        };
        self.disk.done(shaped)
    }

    async fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize> {
        self.require_writable()?;
        self.disk.wait().await;
        let shaped = self.write(&mut self.disk.state(), data, offset);
        if let Ok(count) = &shaped.1 {
            self.disk.recorder.note("disk.write", &self.disk.host, [offset, *count as u64], &data[..*count]);
        }
        self.disk.done(shaped)
    }

    async fn set_len(&self, len: u64) -> io::Result<()> {
        self.require_writable()?;
        self.disk.wait().await;
        let shaped = {
            let mut state = self.disk.state();
            let now = state.volume.len(self.inode);
            let growth = len.saturating_sub(now);
            let refused = match (state.is_read_only(), state.room()) {
                (Some(entry), _) => Some((entry, EROFS)),
                (None, Some((entry, room))) if growth > *room => Some((entry, ENOSPC)),
                (None, Some((_, room))) => {
                    *room = *room - growth + now.saturating_sub(len);
                    None
                }
                (None, None) => None,
            };
            match refused {
                Some((entry, number)) => (Some(entry), Err(errno(number))),
                None => {
                    state.volume.set_len(self.inode, len);
                    (None, Ok(()))
                }
            }
        };
        self.disk.done(shaped)
    }

    async fn len(&self) -> io::Result<u64> {
        Ok(self.disk.state().volume.len(self.inode))
    }

    async fn sync(&self) -> io::Result<()> {
        self.disk.wait().await;
        let mut synced = 0;
        let shaped = {
            let mut state = self.disk.state();
            let failing = state.fault(|fault| matches!(fault, DiskFault::FsyncFails).then_some(()));
            match failing {
                Some((entry, ())) => {
                    state.volume.drop_dirty(self.inode);
                    state.faults.retain(|(active, _)| *active != entry);
                    (Some(entry), Err(errno(EIO)))
                }
                None => {
                    synced = state.volume.sync(self.inode);
                    (None, Ok(()))
                }
            }
        };
        self.disk.recorder.note("disk.sync", &self.disk.host, [synced, 0], self.path.as_bytes());
        self.disk.done(shaped)
    }
}
