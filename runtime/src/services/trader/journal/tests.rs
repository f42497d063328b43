//! The journal on a real directory, with a disk whose fsync can be made to fail.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use env::{Disk, File};

use super::*;

/// A disk on which the next few fsyncs of files fail. It counts the fsyncs that follow a failed one on the same file.
struct Flaky {
    disk: Arc<dyn Disk>,
    state: Arc<FlakyState>,
}

#[derive(Default)]
struct FlakyState {
    to_fail: AtomicU64,
    failed: AtomicU64,
    repeated: AtomicU64,
}

struct FlakyFile {
    file: BoxFile,
    state: Arc<FlakyState>,
    failed: AtomicU64,
}

#[async_trait]
impl Disk for Flaky {
    async fn open(&self, path: &Path, mode: OpenMode) -> io::Result<BoxFile> {
        let file = self.disk.open(path, mode).await?;
        Ok(Box::new(FlakyFile { file, state: self.state.clone(), failed: AtomicU64::new(0) }))
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to).await
    }

    async fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path).await
    }

    async fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir_all(path).await
    }

    async fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_dir(path).await
    }

    async fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.disk.list(path).await
    }

    async fn free_space(&self) -> io::Result<u64> {
        self.disk.free_space().await
    }
}

#[async_trait]
impl File for FlakyFile {
    async fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset).await
    }

    async fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(data, offset).await
    }

    async fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len).await
    }

    async fn len(&self) -> io::Result<u64> {
        self.file.len().await
    }

    async fn sync(&self) -> io::Result<()> {
        self.state.repeated.fetch_add(self.failed.load(Ordering::Relaxed), Ordering::Relaxed);
        let fails =
            self.state.to_fail.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        if fails.is_ok() {
            self.failed.store(1, Ordering::Relaxed);
            self.state.failed.fetch_add(1, Ordering::Relaxed);
            return Err(io::Error::other("the platter is scratched"));
        }
        self.file.sync().await
    }
}

/// Runs `test` in an empty directory of its own.
fn in_directory(name: &str, test: impl AsyncFnOnce(Env, Arc<FlakyState>)) {
    let data_dir = std::env::temp_dir().join(format!("tradewind-journal-{name}-{}", std::process::id()));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut env =
            env::os::env(env::os::Config { data_dir: data_dir.clone(), ..Default::default() }).unwrap();
        let state = Arc::new(FlakyState::default());
        env.disk = Arc::new(Flaky { disk: env.disk, state: state.clone() });
        env.disk.create_dir_all(Path::new(DIRECTORY)).await.unwrap();
        test(env.clone(), state).await;
        for file in env.disk.list(Path::new(DIRECTORY)).await.unwrap() {
            env.disk.remove(&Path::new(DIRECTORY).join(file)).await.unwrap();
        }
    });
    runtime.shutdown_background();
}

async fn open(env: &Env) -> Journal {
    let journal = Journal::open(env, Leave::default());
    until(&journal, false).await;
    journal
}

async fn until(journal: &Journal, failed: bool) {
    journal.failed.clone().wait_for(|now| *now == failed).await.unwrap();
}

fn sent(attempt: u64) -> Event {
    Event::Sent { order: "tw-1".parse().unwrap(), attempt }
}

async fn content(env: &Env, path: &str) -> Vec<u8> {
    let file = env.disk.open(Path::new(path), OpenMode::Read).await.unwrap();
    read_all(&*file).await.unwrap()
}

async fn put(env: &Env, path: &str, content: &[u8]) {
    let file = env.disk.open(Path::new(path), OpenMode::ReadWrite).await.unwrap();
    file.set_len(0).await.unwrap();
    write_all_at(&*file, content, 0).await.unwrap();
}

/// What the file holds; it has no holes and no torn tail.
async fn events(env: &Env) -> Vec<Event> {
    let file = content(env, FILE).await;
    let reading = read(Chain::default(), &file);
    assert_eq!((&reading.holes[..], reading.intact), (&[][..], file.len()));
    reading.records.into_iter().map(|record| record.event).collect()
}

#[test]
fn lines_are_there_after_a_restart_and_the_chain_goes_on() {
    in_directory("restart", async |env, _| {
        open(&env).await.append(sent(1)).await.unwrap();
        let journal = open(&env).await;
        journal.note(sent(2));
        journal.append(sent(3)).await.unwrap();
        assert_eq!(events(&env).await, [sent(1), sent(2), sent(3)]);
    });
}

#[test]
fn a_torn_tail_is_left_out_and_the_chain_goes_on() {
    in_directory("torn", async |env, _| {
        let journal = open(&env).await;
        journal.append(sent(1)).await.unwrap();
        journal.append(sent(2)).await.unwrap();
        let mut file = content(&env, FILE).await;
        file.truncate(file.len() - 9);
        put(&env, FILE, &file).await;
        open(&env).await.append(sent(3)).await.unwrap();
        assert_eq!(events(&env).await, [sent(1), sent(3)]);
    });
}

#[test]
fn a_file_with_a_hole_is_set_aside_and_the_new_one_says_what_is_missing() {
    in_directory("hole", async |env, _| {
        let journal = open(&env).await;
        for attempt in 1..=3 {
            journal.append(sent(attempt)).await.unwrap();
        }
        let mut file = content(&env, FILE).await;
        let middle = file.len() / 2;
        file[middle] ^= 1;
        put(&env, FILE, &file).await;
        open(&env).await.append(sent(4)).await.unwrap();
        let name = "journal.corrupt-1.jsonl".to_owned();
        assert_eq!(content(&env, &format!("{DIRECTORY}/{name}")).await, file);
        assert_eq!(events(&env).await, [Event::Quarantined { file: name, first: 2, last: 2 }, sent(4)]);
        let first = &read(Chain::default(), &content(&env, FILE).await).records[0];
        assert_eq!(first.seq, 4, "the chain goes on behind the last line that could be read");
    });
}

#[test]
fn a_failed_fsync_is_not_repeated_and_the_lines_go_to_a_new_file() {
    in_directory("fsync", async |env, disk| {
        let journal = open(&env).await;
        journal.append(sent(1)).await.unwrap();
        disk.to_fail.store(2, Ordering::Relaxed);
        assert_eq!(journal.append(sent(2)).await, Err(NotJournaled));
        assert_eq!(journal.append(sent(3)).await, Err(NotJournaled), "until the new file is durable");
        journal.note(sent(4));
        until(&journal, false).await;
        journal.append(sent(5)).await.unwrap();
        assert_eq!(events(&env).await, [sent(1), sent(2), sent(4), sent(5)]);
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        assert_eq!((count(&disk.failed), count(&disk.repeated)), (2, 0));
    });
}

#[test]
fn a_full_file_is_sealed_and_the_next_one_follows_it_even_when_it_is_empty() {
    in_directory("seal", async |env, _| {
        let journal = open(&env).await;
        let sealed = format!("{DIRECTORY}/{}", sealed_name(1));
        let line = content(&env, FILE).await.len();
        assert_eq!(line, 0);
        for attempt in 1..2_000 {
            journal.note(sent(attempt));
        }
        journal.append(sent(2_000)).await.unwrap();
        let full = content(&env, &sealed).await;
        assert!((SEGMENT..SEGMENT + 64 * 400).contains(&full.len()), "{} bytes", full.len());
        let before = read(Chain::default(), &full);
        let after = read(before.chain, &content(&env, FILE).await);
        assert_eq!((before.holes.len(), after.holes.len()), (0, 0));
        assert_eq!((before.records.len() + after.records.len()) as u64, after.chain.last());

        put(&env, FILE, b"").await;
        open(&env).await.append(sent(1)).await.unwrap();
        let first = read(before.chain, &content(&env, FILE).await);
        assert_eq!((first.holes.len(), first.chain.last()), (0, before.chain.last() + 1));
    });
}

#[test]
fn a_crash_between_the_two_renames_loses_nothing() {
    in_directory("renames", async |env, _| {
        open(&env).await.append(sent(1)).await.unwrap();
        env.disk.rename(Path::new(FILE), Path::new(FRESH)).await.unwrap();
        open(&env).await.append(sent(2)).await.unwrap();
        assert_eq!(events(&env).await, [sent(1), sent(2)]);
    });
}
