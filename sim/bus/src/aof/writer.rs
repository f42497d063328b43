//! Writes the append-only file. One future, run by the server, does everything to the file, one thing after the other, except
//! that with `everysec` it does not wait for an fsync and never for a rewrite.
//!
//! When a write fails, as in Redis (`flushAppendOnlyFile`): with `always` the server ends; else the partial write is cut off,
//! writes are refused with MISCONF, and once a second what could not be written is tried again. Its clients have been
//! answered by then. When an fsync fails: with `always` the server ends; else writes are refused until the file has been
//! rewritten from memory.
//!
//! There is no timer while there is nothing to sync.

use std::{io, mem, path::Path, sync::Arc, time::Duration};

use env::{BoxFuture, File, OpenMode, read_all, write_all_at};
use tokio::time::{Instant, sleep_until};

use super::{AofError, FILE, Journal, REWRITTEN, format, load, rewrite, words};
use crate::{
    AppendFsync, command,
    connection::Session,
    db::Db,
    epoch::{self, Guarantee},
    resp::Args,
    server::{Order, Shared, State},
};

/// Between fsyncs of `everysec`, and before a failed write is tried again.
const SECOND: Duration = Duration::from_secs(1);
/// Before a failed rewrite is tried again by itself (`AOF_REWRITE_LIMITE_THRESHOLD` waits a minute, Redis `aof.c`).
const REWRITE_RETRY: Duration = Duration::from_secs(60);

/// Owns the append-only file, if there is one, and takes the server's orders.
pub(crate) struct Recorder {
    shared: Arc<Shared>,
    log: Option<Log>,
}

/// The open file.
struct Log {
    file: Arc<dyn File>,
    /// How long it is; what follows is garbage of a failed write.
    len: u64,
    /// How much of it is durable.
    synced: u64,
    /// The newest second that is in it.
    time: i64,
    /// What the batch before last was written under.
    policy: AppendFsync,
    /// What could not be written, and when it is tried again.
    unwritten: Option<(Vec<u8>, Instant)>,
    /// The fsync under way, and how much it makes durable.
    syncing: Option<(u64, BoxFuture<io::Result<()>>)>,
    next_sync: Instant,
    rewriting: Option<BoxFuture<io::Result<Rewritten>>>,
    next_rewrite: Instant,
}

/// A file that holds the data as it was when the rewrite began.
struct Rewritten {
    file: Arc<dyn File>,
    len: u64,
}

/// What ends the waiting in [`Recorder::run`].
enum Event {
    Kicked,
    Synced(io::Result<()>),
    Rewritten(io::Result<Rewritten>),
    Due,
}

impl Recorder {
    /// Loads the file into the server's data, if there shall be one.
    ///
    /// # Errors
    /// When it is damaged, or cannot be read or made durable.
    pub(crate) async fn open(shared: Arc<Shared>) -> Result<Self, AofError> {
        if !shared.state().config.append_only {
            // No news: without the file every start is a new dataset.
            epoch::adopt(&mut shared.state(), &epoch::draw(&shared));
            return Ok(Self { shared, log: None });
        }
        let file: Arc<dyn File> = shared.env.disk.open(Path::new(FILE), OpenMode::ReadWrite).await?.into();
        let mut log = Log::new(file);
        let loaded = log.load(&shared, None).await?;
        {
            let state = &mut *shared.state();
            begin(&shared, state, log.len);
            match loaded.dataset {
                Some((epoch, Guarantee::Always | Guarantee::Closed)) if !loaded.cut => {
                    epoch::adopt(state, &epoch);
                }
                Some(_) if loaded.cut => epoch::renew(&shared, state, "torn tail"),
                Some(_) => epoch::renew(&shared, state, "not stopped in order"),
                None => epoch::renew(&shared, state, "new dataset"),
            }
        }
        log.write_durably(&shared).await?;
        shared.env.disk.sync_dir(Path::new("")).await?;
        Ok(Self { shared, log: Some(log) })
    }

    /// Writes what is handed to the journal until there is an order, and everything before it is written.
    ///
    /// # Errors
    /// When what must not be lost cannot be made durable.
    pub(crate) async fn run(&mut self) -> Result<Order, AofError> {
        let shared = self.shared.clone();
        let Some(log) = &mut self.log else {
            loop {
                if let Some(order) = shared.state().order.take() {
                    return Ok(order);
                }
                shared.kick.notified().await;
            }
        };
        loop {
            log.write_pending(&shared).await?;
            if let Some(order) = shared.state().order.take() {
                return Ok(order);
            }
            log.begin_rewrite(&shared);
            log.begin_sync(&shared);
            match log.wait(&shared).await {
                Event::Kicked | Event::Due => {}
                Event::Synced(outcome) => log.synced(&shared, outcome)?,
                Event::Rewritten(outcome) => log.rewritten(&shared, outcome).await?,
            }
        }
    }

    /// Makes everything durable, and says in the file that this is so.
    ///
    /// # Errors
    /// When it cannot; the next start then finds a file that was not closed.
    pub(crate) async fn close(&mut self) -> Result<(), AofError> {
        let Some(log) = &mut self.log else {
            return Ok(());
        };
        {
            let state = &mut *self.shared.state();
            let healthy = state.journal.as_ref().is_some_and(|journal| journal.denies_writes().is_none());
            let epoch = epoch::current(state);
            if let Some(journal) = state.journal.as_mut().filter(|_| healthy) {
                journal.annotate(&epoch, Guarantee::Closed);
            }
        }
        log.write_durably(&self.shared).await
    }

    /// Comes back with the data as it was so long ago.
    ///
    /// # Errors
    /// As [`Recorder::open`].
    pub(crate) async fn go_back(&mut self, losing: Duration) -> Result<(), AofError> {
        let shared = &*self.shared;
        {
            let state = &mut *shared.state();
            state.waiters.clear();
            state.db = Db::default();
        }
        if let Some(log) = &mut self.log {
            let now = shared.env.clock.now().as_millis();
            let losing = i64::try_from(losing.as_millis()).unwrap_or(i64::MAX);
            let until = now.saturating_sub(losing).div_euclid(1_000) - 1;
            *log = Log::new(log.file.clone());
            log.load(shared, Some(until)).await?;
        }
        let state = &mut *shared.state();
        if let Some(log) = &self.log {
            begin(shared, state, log.len);
        }
        epoch::renew(shared, state, "failover");
        env::fact!("bus.failed_over", keys = state.db.len() as u64);
        shared.record(state);
        shared.check_timer(state);
        Ok(())
    }
}

/// From now on what commands do is recorded, in a file of this size. What was not recorded until now never will be.
fn begin(shared: &Shared, state: &mut State, size: u64) {
    state.db.effects.record(true);
    let appended = state.journal.as_ref().map_or(0, Journal::appended);
    state.journal = Some(Journal::new(appended, size));
    shared.settled.send_replace(appended);
}

impl Log {
    fn new(file: Arc<dyn File>) -> Self {
        let now = Instant::now();
        Self {
            file,
            len: 0,
            synced: 0,
            time: i64::MIN,
            policy: AppendFsync::Always,
            unwritten: None,
            syncing: None,
            next_sync: now,
            rewriting: None,
            next_rewrite: now,
        }
    }

    /// Repeats what the file holds, up to a second if one is given, and cuts off the rest.
    async fn load(&mut self, shared: &Shared, until: Option<i64>) -> Result<load::Loaded, AofError> {
        let content = read_all(&*self.file).await?;
        let loaded = {
            let state = &mut *shared.state();
            let mut session = Session::default();
            state.db.loading = true;
            let loaded = load::replay(&content, until, |args| repeat(shared, state, &mut session, args));
            state.db.loading = false;
            loaded?
        };
        env::fact!("bus.aof_loaded", commands = loaded.commands, bytes = loaded.valid);
        if loaded.cut {
            let bytes = content.len() as u64 - loaded.valid;
            env::fact!("bus.aof_cut", at = loaded.valid, bytes, torn = until.is_none());
            self.file.set_len(loaded.valid).await?;
        }
        self.len = loaded.valid;
        Ok(loaded)
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// When a write or fsync fails and nothing may be acknowledged before it is durable.
    async fn write_pending(&mut self, shared: &Shared) -> Result<(), AofError> {
        loop {
            let (body, position, policy) = {
                let state = &mut *shared.state();
                let Some(journal) = &mut state.journal else {
                    return Ok(());
                };
                let fresh = journal.take();
                let body = match &mut self.unwritten {
                    None => fresh,
                    Some((old, retry)) => {
                        old.extend(fresh);
                        if *retry > Instant::now() && state.order.is_none() {
                            shared.settled.send_replace(journal.appended());
                            return Ok(());
                        }
                        mem::take(old)
                    }
                };
                (body, journal.appended(), state.config.append_fsync)
            };
            if body.is_empty() {
                return Ok(());
            }
            // Under a weaker policy nobody is answered before the file says so.
            let durably = policy == AppendFsync::Always || policy != self.policy;
            match self.write(shared, &body).await {
                Ok(()) => self.written(shared, durably, policy).await?,
                Err(error) if policy == AppendFsync::Always => return Err(AofError::Write(words(&error))),
                Err(error) => {
                    self.unwritten = Some((body, Instant::now() + SECOND));
                    self.tell_of_failed_write(shared, &error).await;
                    shared.settled.send_replace(position);
                    return Ok(());
                }
            }
            shared.settled.send_replace(position);
        }
    }

    async fn write(&mut self, shared: &Shared, body: &[u8]) -> io::Result<()> {
        let now = shared.env.clock.now().as_millis().div_euclid(1_000);
        let batch = format::batch(body, (now > self.time).then_some(now), self.synced);
        write_all_at(&*self.file, &batch, self.len).await?;
        self.time = self.time.max(now);
        self.len += batch.len() as u64;
        Ok(())
    }

    async fn written(&mut self, shared: &Shared, durably: bool, policy: AppendFsync) -> Result<(), AofError> {
        self.unwritten = None;
        if let Some(journal) = &mut shared.state().journal {
            journal.size = self.len;
            if journal.write_error.take().is_some() {
                env::fact!("bus.aof_recovered");
            }
        }
        if !durably {
            return Ok(());
        }
        match self.file.sync().await {
            Ok(()) => {
                self.policy = policy;
                self.synced = self.len;
                Ok(())
            }
            Err(error) if policy == AppendFsync::Always || self.policy == AppendFsync::Always => {
                Err(AofError::Fsync(words(&error)))
            }
            Err(error) => {
                distrust(shared, &error);
                Ok(())
            }
        }
    }

    async fn tell_of_failed_write(&mut self, shared: &Shared, error: &io::Error) {
        // What is left of the failed write is overwritten by the next one that succeeds, or cut off as a torn tail.
        let _ = self.file.set_len(self.len).await;
        let reason = words(error);
        if let Some(journal) = &mut shared.state().journal {
            if journal.write_error.is_none() {
                env::fact!("bus.aof_write_failed", error = %reason);
            }
            journal.write_error = Some(reason);
        }
    }

    /// Writes what waits and makes everything durable, whatever the policy.
    async fn write_durably(&mut self, shared: &Shared) -> Result<(), AofError> {
        self.syncing = None;
        self.write_pending(shared).await?;
        if self.synced < self.len {
            self.file.sync().await?;
            self.synced = self.len;
        }
        Ok(())
    }

    /// Begins an fsync when `everysec` wants one.
    fn begin_sync(&mut self, shared: &Shared) {
        if self.needs_sync(shared) && Instant::now() >= self.next_sync {
            let file = self.file.clone();
            self.next_sync = Instant::now() + SECOND;
            self.syncing = Some((self.len, Box::pin(async move { file.sync().await })));
        }
    }

    fn needs_sync(&self, shared: &Shared) -> bool {
        self.syncing.is_none() && self.synced < self.len && {
            let state = shared.state();
            let trusted = state.journal.as_ref().is_some_and(|journal| journal.sync_error.is_none());
            trusted && state.config.append_fsync == AppendFsync::EverySec
        }
    }

    fn synced(&mut self, shared: &Shared, outcome: io::Result<()>) -> Result<(), AofError> {
        let reach = self.syncing.take().map_or(0, |(reach, _)| reach);
        match outcome {
            Ok(()) => self.synced = self.synced.max(reach),
            Err(error) => distrust(shared, &error),
        }
        Ok(())
    }

    /// Begins a rewrite when one is asked for, or the file has grown enough, or cannot be trusted.
    fn begin_rewrite(&mut self, shared: &Shared) {
        let state = &mut *shared.state();
        let (percentage, min_size) = (state.config.rewrite_percentage, state.config.rewrite_min_size);
        let Some(journal) = &mut state.journal else {
            return;
        };
        let by_itself = journal.has_grown(percentage, min_size) || journal.sync_error.is_some();
        let due = journal.rewrite_wanted || by_itself && Instant::now() >= self.next_rewrite;
        if self.rewriting.is_some() || !due {
            return;
        }
        journal.begin_rewrite();
        let base = rewrite::base(state);
        env::fact!("bus.aof_rewrite_began", bytes = base.len() as u64);
        let disk = shared.env.disk.clone();
        self.rewriting = Some(Box::pin(async move {
            let file: Arc<dyn File> = disk.open(Path::new(REWRITTEN), OpenMode::ReadWrite).await?.into();
            let batch = format::batch(&base, None, 0);
            file.set_len(0).await?;
            write_all_at(&*file, &batch, 0).await?;
            file.sync().await?;
            Ok(Rewritten { file, len: batch.len() as u64 })
        }));
    }

    /// Adds what was done since the rewrite began, and puts its file in the place of this one.
    async fn rewritten(&mut self, shared: &Shared, outcome: io::Result<Rewritten>) -> Result<(), AofError> {
        self.rewriting = None;
        let (tail, pending, position, distrusted) = {
            let state = &mut *shared.state();
            let Some(journal) = &mut state.journal else {
                return Ok(());
            };
            let distrusted = journal.sync_error.is_some();
            (journal.end_rewrite(), journal.take(), journal.appended(), distrusted)
        };
        let outcome = match outcome {
            Ok(rewritten) => self.replace(shared, rewritten, &tail).await,
            Err(error) => Err(error),
        };
        let failed = outcome.is_err();
        match outcome {
            Ok(()) => {
                self.unwritten = None;
                shared.settled.send_replace(position);
                env::fact!("bus.aof_rewritten", bytes = self.len);
            }
            Err(error) => {
                self.next_rewrite = Instant::now() + if distrusted { SECOND } else { REWRITE_RETRY };
                let (mut body, retry) = self.unwritten.take().unwrap_or((Vec::new(), Instant::now()));
                body.extend(pending);
                self.unwritten = Some((body, retry)).filter(|(body, _)| !body.is_empty());
                env::fact!("bus.aof_rewrite_failed", error = %words(&error));
            }
        }
        if let Some(journal) = &mut shared.state().journal {
            journal.rewrites += 1;
            journal.rewrite_failed = failed;
            if !failed {
                journal.size = self.len;
                journal.base_size = self.len;
                journal.write_error = None;
                journal.sync_error = None;
            }
        }
        Ok(())
    }

    async fn replace(&mut self, shared: &Shared, rewritten: Rewritten, tail: &[u8]) -> io::Result<()> {
        let Rewritten { file, len: base } = rewritten;
        let now = shared.env.clock.now().as_millis().div_euclid(1_000);
        let batch = if tail.is_empty() { Vec::new() } else { format::batch(tail, Some(now), base) };
        write_all_at(&*file, &batch, base).await?;
        file.sync().await?;
        let disk = &shared.env.disk;
        disk.rename(Path::new(REWRITTEN), Path::new(FILE)).await?;
        disk.sync_dir(Path::new("")).await?;
        let len = base + batch.len() as u64;
        let time = if tail.is_empty() { i64::MIN } else { now };
        *self = Self {
            len,
            synced: len,
            time,
            policy: self.policy,
            next_sync: self.next_sync,
            ..Self::new(file)
        };
        Ok(())
    }

    /// Waits for the next thing to do.
    async fn wait(&mut self, shared: &Shared) -> Event {
        let due = self.due(shared);
        let Self { syncing, rewriting, .. } = self;
        tokio::select! {
            biased;
            outcome = ended(syncing.as_mut().map(|(_, sync)| sync)) => Event::Synced(outcome),
            outcome = ended(rewriting.as_mut()) => Event::Rewritten(outcome),
            () = shared.kick.notified() => Event::Kicked,
            () = reached(due) => Event::Due,
        }
    }

    /// When there is something to do by itself.
    fn due(&self, shared: &Shared) -> Option<Instant> {
        let sync = self.needs_sync(shared).then_some(self.next_sync);
        let retry = self.unwritten.as_ref().map(|(_, retry)| *retry);
        let distrusted = shared.state().journal.as_ref().is_some_and(|journal| journal.sync_error.is_some());
        let rewrite = (distrusted && self.rewriting.is_none()).then_some(self.next_rewrite);
        [sync, retry, rewrite].into_iter().flatten().min()
    }
}

/// An fsync failed: the file may lack what it seems to hold.
fn distrust(shared: &Shared, error: &io::Error) {
    let reason = words(error);
    env::fact!("bus.aof_fsync_failed", error = %reason);
    if let Some(journal) = &mut shared.state().journal {
        journal.sync_error = Some(reason);
    }
}

/// Executes a command of the file.
fn repeat(shared: &Shared, state: &mut State, session: &mut Session, args: Args<'_>) -> Result<(), String> {
    let answer = command::repeat(shared, state, session, args);
    match answer.strip_prefix(b"-") {
        None => Ok(()),
        Some(error) => Err(String::from_utf8_lossy(error).trim_end().to_owned()),
    }
}

async fn ended<T>(future: Option<&mut BoxFuture<T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn reached(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
