//! `journal.jsonl`: the trader's own record of its orders, chained line by line (see `core::journal`).
//!
//! A failed write or fsync is never repeated on the same file, whose unsynced pages may be gone although they can be read.
//! The lines of the current file are in memory too, and a new file is written from there. Until that one is durable the
//! journal has *failed*, and entries halt; exits go on, and their lines wait. What did not become durable was promised to
//! nobody: an entry is sent only behind its durable line.
//!
//! A file is full at [`SEGMENT`] bytes; then it is sealed under the number of its first line, and a new one begins.
//! Deliberately absent: reading what old files say of orders, which the ledger and the broker know better.

use std::{io, path::Path, time::Duration};

use env::{BoxFile, Env, OpenMode, fact, read_all, write_all_at};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

use super::leave::Leave;
use crate::{
    clients::backoff::Backoff,
    core::{
        Cause,
        journal::{Chain, Event, Hole, Reading, read},
    },
};

const DIRECTORY: &str = "shared_data";

/// Where the journal is on the trader's disk.
pub const FILE: &str = "shared_data/journal.jsonl";

/// What becomes the journal when it is complete.
const FRESH: &str = "shared_data/journal.jsonl.new";

/// Bytes of a full file: some 250 orders. It is in memory, too.
const SEGMENT: usize = 256 << 10;

/// How many sealed files are kept: more than ten thousand orders.
const KEPT: usize = 48;

/// How many events one write and one fsync take along.
const BATCH: usize = 64;

/// How long an entry waits for its line: some fsyncs of a busy disk.
const PATIENCE: Duration = Duration::from_secs(1);

/// The delays between attempts to write a new file.
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_CAP: Duration = Duration::from_secs(5);

/// A line is not durable, and whatever depends on it must not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the order journal cannot be written")]
pub(super) struct NotJournaled;

/// The way to the journal. Cheap to clone.
#[derive(Clone)]
pub(super) struct Journal {
    send: mpsc::UnboundedSender<Line>,
    failed: watch::Receiver<bool>,
}

/// A line to be written, and who waits for it.
struct Line {
    event: Event,
    durable: Option<oneshot::Sender<()>>,
}

impl Journal {
    /// Opens the journal in the background; until it is open, it counts as failed.
    pub(super) fn open(env: &Env, leave: Leave) -> Self {
        let (send, lines) = mpsc::unbounded_channel();
        let (tell, failed) = watch::channel(true);
        let health = Health { leave, tell };
        health.fail();
        env.spawn("trader.journal", keep(env.clone(), lines, health));
        Self { send, failed }
    }

    /// Writes a line when the journal can. No limit is needed: entries stop while it cannot, and exits are few.
    pub(super) fn note(&self, event: Event) {
        // The keeper ends with the process only, and then nobody misses the line.
        let _ = self.send.send(Line { event, durable: None });
    }

    /// Writes a line and waits until it is durable.
    ///
    /// # Errors
    /// It is not, or not in time. It may become durable later: the line must be true whatever the caller does now.
    pub(super) async fn append(&self, event: Event) -> Result<(), NotJournaled> {
        if *self.failed.borrow() {
            return Err(NotJournaled);
        }
        let (durable, written) = oneshot::channel();
        let _ = self.send.send(Line { event, durable: Some(durable) });
        match timeout(PATIENCE, written).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(NotJournaled),
        }
    }
}

/// Tells those who depend on the journal whether it works.
struct Health {
    leave: Leave,
    tell: watch::Sender<bool>,
}

impl Health {
    fn fail(&self) {
        self.leave.raise(Cause::JournalFailed);
        self.tell.send_replace(true);
    }

    fn recover(&self) {
        self.leave.end(&Cause::JournalFailed);
        self.tell.send_replace(false);
    }
}

/// Writes lines until there can be no more.
async fn keep(env: Env, mut lines: mpsc::UnboundedReceiver<Line>, health: Health) {
    let mut backoff = Backoff::new("trader.journal", RETRY_FIRST, RETRY_CAP);
    let mut keeper = loop {
        match Keeper::open(&env).await {
            Ok(keeper) => break keeper,
            Err(error) => fact!("journal.unavailable", reason = %error),
        }
        backoff.wait(&env).await;
    };
    health.recover();
    let mut batch = Vec::with_capacity(BATCH);
    while lines.recv_many(&mut batch, BATCH).await > 0 {
        let mut waiting = Vec::new();
        for Line { event, durable } in batch.drain(..) {
            keeper.add(event);
            waiting.extend(durable);
        }
        if let Err(error) = keeper.write().await {
            fact!("journal.failed", reason = %error);
            health.fail();
            drop(waiting);
            keeper.insist().await;
            health.recover();
            continue;
        }
        for durable in waiting {
            // Who waits no longer has given up the entry.
            let _ = durable.send(());
        }
    }
}

/// The current file.
struct Keeper {
    env: Env,
    file: Option<BoxFile>,
    /// All lines of the file, which a new one is written from.
    content: Vec<u8>,
    /// How many of these bytes are durable.
    durable: usize,
    /// The number of the file's first line.
    first: u64,
    chain: Chain,
    /// What the file on the disk is to be called when a new one takes its place; without it, it is replaced.
    retire_as: Option<String>,
}

impl Keeper {
    /// Opens the journal of an earlier life: leaves out a torn tail, sets a file with holes aside. The rest is written to a
    /// new file at once: what can be read need not be what is on the platter, if that life ended after a failed fsync.
    async fn open(env: &Env) -> io::Result<Self> {
        env.disk.create_dir_all(Path::new(DIRECTORY)).await?;
        env.disk.sync_dir(Path::new("")).await?;
        let names = env.disk.list(Path::new(DIRECTORY)).await?;
        let is_there = |path: &str| names.iter().any(|name| path.strip_prefix("shared_data/") == Some(name));
        if !is_there(FILE) && is_there(FRESH) {
            // It was complete when the file before was put away.
            env.disk.rename(Path::new(FRESH), Path::new(FILE)).await?;
        }
        let before = chain_behind_the_sealed(env, &names).await?;
        let file = env.disk.open(Path::new(FILE), OpenMode::ReadWrite).await?;
        let mut content = read_all(&*file).await?;
        let Reading { records, holes, intact, chain } = read(before, &content);
        fact!("journal.opened", lines = records.len() as u64, last = chain.last());
        if intact < content.len() {
            fact!("journal.torn", bytes = (content.len() - intact) as u64);
            content.truncate(intact);
        }
        let first = records.first().map_or(chain.last() + 1, |record| record.seq);
        let mut keeper =
            Self { env: env.clone(), file: None, durable: 0, content, first, chain, retire_as: None };
        if !holes.is_empty() {
            keeper.quarantine(&names, &holes);
        }
        keeper.begin_anew().await?;
        Ok(keeper)
    }

    /// Empties the file but for what is missing; the old one is kept for whoever looks into it.
    fn quarantine(&mut self, names: &[String], holes: &[Hole]) {
        let number = 1 + names.iter().filter(|name| name.starts_with("journal.corrupt-")).count();
        let file = format!("journal.corrupt-{number}.jsonl");
        self.begin_empty(file.clone());
        for Hole { bytes, first, last } in holes {
            fact!("journal.quarantined", file = %file, bytes = bytes.len() as u64, first = *first, last = *last);
            self.add(Event::Quarantined { file: file.clone(), first: *first, last: *last });
        }
    }

    /// Adds a line to what is to be written.
    fn add(&mut self, event: Event) {
        if let Err(error) = self.chain.append(self.env.clock.now(), event, &mut self.content) {
            fact!("journal.not_encoded", reason = %error);
        }
    }

    /// Makes durable what was added.
    async fn write(&mut self) -> io::Result<()> {
        let Some(file) = &self.file else {
            return Err(io::Error::other("there is no file"));
        };
        write_all_at(&**file, &self.content[self.durable..], self.durable as u64).await?;
        file.sync().await?;
        self.durable = self.content.len();
        if self.durable >= SEGMENT { self.seal().await } else { Ok(()) }
    }

    /// Puts a full file away, and the oldest one with it.
    async fn seal(&mut self) -> io::Result<()> {
        let name = sealed_name(self.first);
        self.begin_empty(name.clone());
        self.begin_anew().await?;
        fact!("journal.sealed", file = %name);
        let names = self.env.disk.list(Path::new(DIRECTORY)).await?;
        let sealed: Vec<&String> = names.iter().filter(|name| is_sealed(name)).collect();
        for oldest in sealed.iter().take(sealed.len().saturating_sub(KEPT)) {
            self.env.disk.remove(&Path::new(DIRECTORY).join(oldest)).await?;
        }
        Ok(())
    }

    /// Writes new files until one is durable.
    async fn insist(&mut self) {
        let mut backoff = Backoff::new("trader.journal", RETRY_FIRST, RETRY_CAP);
        loop {
            backoff.wait(&self.env).await;
            match self.begin_anew().await {
                Ok(()) => break,
                Err(error) => fact!("journal.not_rewritten", reason = %error),
            }
        }
        fact!("journal.rewritten", lines = self.chain.last() + 1 - self.first);
    }

    /// The next line is the first of a new file; the current one gets a name of its own.
    fn begin_empty(&mut self, retire_as: String) {
        self.content.clear();
        self.first = self.chain.last() + 1;
        self.retire_as = Some(retire_as);
    }

    /// Writes the content to a new file, which then takes the place of the current one.
    async fn begin_anew(&mut self) -> io::Result<()> {
        let disk = &self.env.disk;
        self.file = None;
        match disk.remove(Path::new(FRESH)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = disk.open(Path::new(FRESH), OpenMode::CreateNew).await?;
        write_all_at(&*file, &self.content, 0).await?;
        file.sync().await?;
        if let Some(name) = &self.retire_as {
            disk.rename(Path::new(FILE), &Path::new(DIRECTORY).join(name)).await?;
            self.retire_as = None;
        }
        disk.rename(Path::new(FRESH), Path::new(FILE)).await?;
        disk.sync_dir(Path::new(DIRECTORY)).await?;
        (self.file, self.durable) = (Some(file), self.content.len());
        Ok(())
    }
}

fn sealed_name(first: u64) -> String {
    format!("journal-{first:012}.jsonl")
}

/// Where a full file of the journal is on the trader's disk that begins with the line `first`.
pub fn sealed_file(first: u64) -> String {
    format!("{DIRECTORY}/{}", sealed_name(first))
}

fn is_sealed(name: &str) -> bool {
    name.starts_with("journal-") && name.ends_with(".jsonl")
}

/// Where the chain stands behind the newest sealed file; at its beginning if there is none.
async fn chain_behind_the_sealed(env: &Env, names: &[String]) -> io::Result<Chain> {
    let Some(newest) = names.iter().rfind(|name| is_sealed(name)) else {
        return Ok(Chain::default());
    };
    let file = env.disk.open(&Path::new(DIRECTORY).join(newest), OpenMode::Read).await?;
    Ok(read(Chain::default(), &read_all(&*file).await?).chain)
}

#[cfg(test)]
mod tests;
