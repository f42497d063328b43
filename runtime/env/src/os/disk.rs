//! Real files. Every call runs on tokio's blocking pool.

use std::{
    fs, io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;

use crate::{BoxFile, Disk, File, OpenMode};

pub(super) struct OsDisk {
    root: PathBuf,
}

impl OsDisk {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    async fn with_path<T: Send + 'static>(
        &self,
        path: &Path,
        call: impl FnOnce(PathBuf) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let path = self.root.join(path);
        blocking(move || call(path)).await
    }
}

async fn blocking<T: Send + 'static>(call: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(call).await.map_err(io::Error::other)?
}

#[async_trait]
impl Disk for OsDisk {
    async fn open(&self, path: &Path, mode: OpenMode) -> io::Result<BoxFile> {
        let mut options = fs::OpenOptions::new();
        match mode {
            OpenMode::Read => options.read(true),
            OpenMode::ReadWrite => options.read(true).write(true).create(true).truncate(false),
            OpenMode::CreateNew => options.read(true).write(true).create_new(true),
        };
        let file = self.with_path(path, move |path| options.open(path)).await?;
        Ok(Box::new(OsFile(Arc::new(file))))
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let to = self.root.join(to);
        self.with_path(from, move |from| fs::rename(from, to)).await
    }

    async fn remove(&self, path: &Path) -> io::Result<()> {
        self.with_path(path, fs::remove_file).await
    }

    async fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.with_path(path, fs::create_dir_all).await
    }

    async fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.with_path(path, |path| fs::File::open(path)?.sync_all()).await
    }

    async fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.with_path(path, |path| {
            let mut names: Vec<String> = fs::read_dir(path)?
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                .collect::<io::Result<_>>()?;
            names.sort();
            Ok(names)
        })
        .await
    }

    async fn free_space(&self) -> io::Result<u64> {
        self.with_path(Path::new(""), |root| {
            let stat = rustix::fs::statvfs(root)?;
            Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
        })
        .await
    }
}

struct OsFile(Arc<fs::File>);

#[async_trait]
impl File for OsFile {
    async fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let (file, len) = (self.0.clone(), buf.len());
        let read = blocking(move || {
            let mut read = vec![0; len];
            let n = file.read_at(&mut read, offset)?;
            read.truncate(n);
            Ok(read)
        })
        .await?;
        buf[..read.len()].copy_from_slice(&read);
        Ok(read.len())
    }

    async fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize> {
        let (file, data) = (self.0.clone(), data.to_vec());
        blocking(move || file.write_at(&data, offset)).await
    }

    async fn set_len(&self, len: u64) -> io::Result<()> {
        let file = self.0.clone();
        blocking(move || file.set_len(len)).await
    }

    async fn len(&self) -> io::Result<u64> {
        let file = self.0.clone();
        blocking(move || Ok(file.metadata()?.len())).await
    }

    async fn sync(&self) -> io::Result<()> {
        let file = self.0.clone();
        blocking(move || file.sync_all()).await
    }
}
