//! Files with explicit durability.

use std::{io, path::Path};

use async_trait::async_trait;

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Reading only; the file must exist.
    Read,
    /// Reading and writing; created empty when missing.
    ReadWrite,
    /// Reading and writing; must not exist yet.
    CreateNew,
}

/// A file of whichever world the process runs in.
pub type BoxFile = Box<dyn File>;

/// The process's data directory. Paths are relative to it and use `/`.
///
/// Durability follows POSIX at its strictest: written bytes survive a power loss only after [`File::sync`], and a created,
/// renamed or removed name only after [`Disk::sync_dir`] of its directory. Errors carry the errno that a real system gives.
#[async_trait]
pub trait Disk: Send + Sync {
    /// Opens `path`.
    ///
    /// # Errors
    /// `NotFound`, `AlreadyExists`, `ReadOnlyFilesystem`, `StorageFull`, I/O errors.
    async fn open(&self, path: &Path, mode: OpenMode) -> io::Result<BoxFile>;

    /// Atomically gives `from` the name `to`, replacing what was there.
    ///
    /// # Errors
    /// `NotFound` and I/O errors; then nothing has changed.
    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// `NotFound` and I/O errors.
    async fn remove(&self, path: &Path) -> io::Result<()>;

    /// Creates a directory and its missing parents.
    ///
    /// # Errors
    /// I/O errors.
    async fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable; `""` is the data directory itself.
    ///
    /// # Errors
    /// `NotFound` and I/O errors; after an error nothing may be assumed durable.
    async fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory, sorted.
    ///
    /// # Errors
    /// `NotFound` and I/O errors.
    async fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Bytes that can still be written.
    ///
    /// # Errors
    /// I/O errors.
    async fn free_space(&self) -> io::Result<u64>;
}

/// An open file.
#[expect(
    clippy::len_without_is_empty,
    reason = "a length that can fail is asked for where it matters, not for emptiness"
)]
#[async_trait]
pub trait File: Send + Sync {
    /// Reads at `offset`; fewer bytes than asked is legal, 0 is the end of the file.
    ///
    /// # Errors
    /// I/O errors.
    async fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes at `offset`; fewer bytes than asked is legal, as in `pwrite(2)`.
    ///
    /// # Errors
    /// `StorageFull` (ENOSPC) when not one byte fits, I/O errors.
    async fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize>;

    /// Truncates or extends with zeros.
    ///
    /// # Errors
    /// I/O errors.
    async fn set_len(&self, len: u64) -> io::Result<()>;

    /// The length in bytes.
    ///
    /// # Errors
    /// I/O errors.
    async fn len(&self) -> io::Result<u64>;

    /// `fsync(2)`: makes content and length durable.
    ///
    /// # Errors
    /// After an error the unsynced bytes may be gone although they can still be read, and the next call may succeed
    /// without having written them: a caller must not retry but rewrite from a source it trusts.
    async fn sync(&self) -> io::Result<()>;
}

/// Reads a whole file.
///
/// # Errors
/// Those of [`File::read_at`].
pub async fn read_all(file: &dyn File) -> io::Result<Vec<u8>> {
    let mut content = vec![0; usize::try_from(file.len().await?).map_err(io::Error::other)?];
    let mut filled = 0;
    while filled < content.len() {
        match file.read_at(&mut content[filled..], filled as u64).await? {
            0 => break,
            n => filled += n,
        }
    }
    content.truncate(filled);
    Ok(content)
}

/// Writes all of `data` at `offset`, going on after short writes.
///
/// # Errors
/// Those of [`File::write_at`]; a prefix of `data` may have been written then.
pub async fn write_all_at(file: &dyn File, data: &[u8], offset: u64) -> io::Result<()> {
    let mut written = 0;
    while written < data.len() {
        match file.write_at(&data[written..], offset + written as u64).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            n => written += n,
        }
    }
    Ok(())
}
