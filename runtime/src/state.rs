//! State files: small documents that survive a crash at any step of writing them.
//!
//! A file is one JSON object: the schema's number, a version that grows with every save, a checksum, the content. A save writes
//! a new file and syncs it, moves the old one to `.bak`, moves the new one into place, and syncs the directory; only then is it
//! acknowledged. So each of the two names holds a whole document at every moment, and the newest of them is never older than
//! what was acknowledged last. What cannot be read is moved aside for a person to look at, and never taken for an empty
//! document. Deliberately absent: several writers of one file.

use std::{io, path::Path};

use env::{Env, OpenMode, detail, fact, read_all, write_all_at};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::{RawValue, to_raw_value};
use xxhash_rust::xxh3::xxh3_64;

/// How many unreadable files are kept beside each other; further ones replace the last.
const QUARANTINED: usize = 10;

/// A document that is kept in a state file.
pub trait State: Serialize + DeserializeOwned + Clone + Send + Sync {
    /// Where it is, below the process's data directory.
    const PATH: &'static str;
    /// The number of its schema; files of another number are unreadable.
    const SCHEMA: u32;

    /// What holds on a new disk.
    fn fresh() -> Self;

    /// What holds when there was a document and none can be read: the choice that can lose no money.
    fn fail_closed() -> Self;

    /// Whether it makes sense beyond its types.
    ///
    /// # Errors
    /// Says what does not.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The file.
    File,
    /// The version before: the file is missing because a save was cut short, or it was unreadable.
    Backup,
    /// Neither was ever written.
    Fresh,
    /// Neither can be read.
    FailClosed,
}

/// Why a value was not saved. The one before still holds.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It does not make sense.
    #[error("{path}: {reason}")]
    Invalid {
        /// The file.
        path: &'static str,
        /// What does not make sense.
        reason: String,
    },
    /// The disk refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: &'static str,
        /// The disk's reason.
        source: io::Error,
    },
}

/// The form on the disk.
#[derive(Serialize, Deserialize)]
struct Document<'a> {
    schema: u32,
    version: u64,
    /// XXH3 of `content` as it stands in the file, in hex.
    checksum: String,
    #[serde(borrow)]
    content: &'a RawValue,
}

/// The one writer of a state file.
pub struct StateFile<T> {
    env: Env,
    value: T,
    version: u64,
    origin: Origin,
}

/// What a name on the disk holds.
enum Found<T> {
    Nothing,
    Unreadable,
    Value(T, u64),
}

impl<T: State> StateFile<T> {
    /// Reads the file, or what is to hold instead. What is unreadable is reported as `state.quarantined`.
    pub async fn load(env: Env) -> Self {
        let file = find::<T>(&env, T::PATH.into()).await;
        let lost = matches!(file, Found::Unreadable);
        let (value, version, origin) = match file {
            Found::Value(value, version) => (value, version, Origin::File),
            Found::Nothing | Found::Unreadable => match find::<T>(&env, backup(T::PATH)).await {
                Found::Value(value, version) => (value, version, Origin::Backup),
                Found::Nothing if !lost => (T::fresh(), 0, Origin::Fresh),
                Found::Nothing | Found::Unreadable => (T::fail_closed(), 0, Origin::FailClosed),
            },
        };
        match origin {
            Origin::Backup => fact!("state.from_backup", path = T::PATH, version),
            Origin::FailClosed => fact!("state.fails_closed", path = T::PATH),
            Origin::File | Origin::Fresh => {}
        }
        Self { env, value, version, origin }
    }

    /// What holds.
    pub const fn value(&self) -> &T {
        &self.value
    }

    /// Where the value came from when it was read.
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// Makes `value` durable; afterwards it is what holds.
    ///
    /// # Errors
    /// The value before still holds, here and after a restart.
    pub async fn save(&mut self, value: T) -> Result<(), StateError> {
        let path = T::PATH;
        let text = encode(&value, self.version + 1).map_err(|reason| StateError::Invalid { path, reason })?;
        let written = replace(&self.env, path, text.as_bytes()).await;
        written.map_err(|source| StateError::Io { path, source })?;
        self.version += 1;
        self.value = value;
        detail!("state.saved", path, version = self.version);
        Ok(())
    }

    /// Lets `value` hold although it could not be made durable: for whoever must go on. A restart does not know it.
    pub fn hold(&mut self, value: T) {
        self.value = value;
    }

    /// Whether the file on the disk is what was saved last; an unreadable one is reported as [`StateFile::load`] does, and
    /// to be saved again.
    pub async fn intact(&self) -> bool {
        match find::<T>(&self.env, T::PATH.into()).await {
            Found::Value(_, version) => version == self.version,
            Found::Nothing => self.version == 0,
            Found::Unreadable => false,
        }
    }
}

fn backup(path: &str) -> String {
    format!("{path}.bak")
}

fn encode<T: State>(value: &T, version: u64) -> Result<String, String> {
    value.check()?;
    let content = to_raw_value(value).map_err(|error| error.to_string())?;
    let checksum = checksum(content.get());
    let document = Document { schema: T::SCHEMA, version, checksum, content: &content };
    serde_json::to_string(&document).map_err(|error| error.to_string())
}

fn decode<T: State>(text: &[u8]) -> Result<(T, u64), String> {
    let document: Document<'_> = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if document.schema != T::SCHEMA {
        return Err(format!("schema {} instead of {}", document.schema, T::SCHEMA));
    }
    let version = version_of(text)?;
    let value: T = serde_json::from_str(document.content.get()).map_err(|error| error.to_string())?;
    value.check()?;
    Ok((value, version))
}

/// The version of an image of a state file, for whoever examines a disk.
///
/// # Errors
/// Says why it is not a whole state file, of whatever content.
pub fn version_of(image: &[u8]) -> Result<u64, String> {
    let document: Document<'_> = serde_json::from_slice(image).map_err(|error| error.to_string())?;
    if document.checksum == checksum(document.content.get()) {
        Ok(document.version)
    } else {
        Err("the checksum is not that of the content".into())
    }
}

fn checksum(content: &str) -> String {
    format!("{:016x}", xxh3_64(content.as_bytes()))
}

/// Reads a name; what is unreadable gets another one.
async fn find<T: State>(env: &Env, path: String) -> Found<T> {
    let read = async {
        let file = env.disk.open(Path::new(&path), OpenMode::Read).await?;
        read_all(&*file).await
    };
    let reason = match read.await {
        Ok(text) => match decode(&text) {
            Ok((value, version)) => return Found::Value(value, version),
            Err(reason) => reason,
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Found::Nothing,
        Err(error) => error.to_string(),
    };
    let aside = quarantine(env, &path).await.unwrap_or_default();
    fact!("state.quarantined", path, aside, reason);
    Found::Unreadable
}

/// Moves a file aside; the new name.
async fn quarantine(env: &Env, path: &str) -> io::Result<String> {
    let (directory, name) = split(path);
    let names = env.disk.list(Path::new(directory)).await?;
    let free = (1..QUARANTINED).find(|n| !names.contains(&format!("{name}.corrupt-{n}")));
    let aside = format!("{path}.corrupt-{}", free.unwrap_or(QUARANTINED));
    env.disk.rename(Path::new(path), Path::new(&aside)).await?;
    Ok(aside)
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Writes a whole file under its name, keeping the one before as the backup.
async fn replace(env: &Env, path: &str, text: &[u8]) -> io::Result<()> {
    let disk = &env.disk;
    let (directory, _) = split(path);
    let (temporary, backup) = (format!("{path}.tmp"), backup(path));
    disk.create_dir_all(Path::new(directory)).await?;
    // What an earlier attempt left must not be taken for synced.
    match disk.remove(Path::new(&temporary)).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.open(Path::new(&temporary), OpenMode::CreateNew).await?;
    write_all_at(&*file, text, 0).await?;
    file.sync().await?;
    match disk.rename(Path::new(path), Path::new(&backup)).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    disk.rename(Path::new(&temporary), Path::new(path)).await?;
    for parent in ancestors(directory) {
        disk.sync_dir(Path::new(parent)).await?;
    }
    Ok(())
}

/// A directory and those it is in, up to the data directory: the first save may have created them all.
fn ancestors(directory: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(directory), |directory| (!directory.is_empty()).then(|| split(directory).0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Limits {
        open_orders: u32,
    }

    impl State for Limits {
        const PATH: &'static str = "shared_data/limits.json";
        const SCHEMA: u32 = 2;

        fn fresh() -> Self {
            Self { open_orders: 8 }
        }

        fn fail_closed() -> Self {
            Self { open_orders: 0 }
        }

        fn check(&self) -> Result<(), String> {
            if self.open_orders <= 8 { Ok(()) } else { Err("more than 8 open orders".into()) }
        }
    }

    fn env(directory: &tempfile::TempDir) -> Env {
        let config = env::os::Config { data_dir: directory.path().into(), ..Default::default() };
        env::os::env(config).unwrap()
    }

    async fn overwrite(env: &Env, path: &str, text: &[u8]) {
        let file = env.disk.open(Path::new(path), OpenMode::ReadWrite).await.unwrap();
        file.set_len(0).await.unwrap();
        write_all_at(&*file, text, 0).await.unwrap();
    }

    #[tokio::test]
    async fn a_saved_value_is_found_again_and_a_new_disk_is_fresh() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = StateFile::<Limits>::load(env(&directory)).await;
        assert_eq!((file.value().open_orders, file.origin()), (8, Origin::Fresh));
        for open_orders in [3, 4] {
            file.save(Limits { open_orders }).await.unwrap();
        }
        assert!(file.intact().await);
        let again = StateFile::<Limits>::load(env(&directory)).await;
        assert_eq!((again.value().open_orders, again.origin()), (4, Origin::File));
    }

    #[tokio::test]
    async fn an_unreadable_file_gives_way_to_the_backup_and_that_to_the_closed_default() {
        let directory = tempfile::tempdir().unwrap();
        let env = env(&directory);
        let mut file = StateFile::<Limits>::load(env.clone()).await;
        for open_orders in [3, 4] {
            file.save(Limits { open_orders }).await.unwrap();
        }
        overwrite(&env, Limits::PATH, b"{ invalid json").await;
        assert!(!file.intact().await);
        let again = StateFile::<Limits>::load(env.clone()).await;
        assert_eq!((again.value().open_orders, again.origin()), (3, Origin::Backup));
        let names = env.disk.list(Path::new("shared_data")).await.unwrap();
        assert_eq!(names, ["limits.json.bak", "limits.json.corrupt-1"]);
        overwrite(&env, "shared_data/limits.json.bak", b"").await;
        overwrite(&env, Limits::PATH, b"[]").await;
        let closed = StateFile::<Limits>::load(env).await;
        assert_eq!((closed.value().open_orders, closed.origin()), (0, Origin::FailClosed));
    }

    #[tokio::test]
    async fn a_value_that_makes_no_sense_is_neither_saved_nor_read() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = StateFile::<Limits>::load(env(&directory)).await;
        assert!(matches!(file.save(Limits { open_orders: 9 }).await, Err(StateError::Invalid { .. })));
        assert_eq!(file.value().open_orders, 8);
        for text in [
            r#"{"schema":2,"version":1,"checksum":"0000000000000000","content":{"open_orders":1}}"#
                .to_owned(),
            encode(&Limits { open_orders: 1 }, 1).unwrap().replace("\"schema\":2", "\"schema\":3"),
            encode(&Limits { open_orders: 1 }, 1).unwrap().replace("orders\":1", "orders\":2"),
        ] {
            assert!(decode::<Limits>(text.as_bytes()).is_err(), "{text}");
        }
    }
}
