//! Where active faults stand.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::watch;

use crate::words::{Unexpected, Words};

/// The vocabulary of one server.
pub trait Fault: fmt::Display + Send + Sized + 'static {
    /// Reads what `Display` writes. Words that are left over are the caller's error.
    ///
    /// # Errors
    /// At the first word that belongs to no fault.
    fn read(words: &mut Words<'_>) -> Result<Self, Unexpected>;

    /// Whether it is a state that lasts until it is ended, rather than a single act.
    fn lasts(&self) -> bool;
}

/// Called when a fault has changed an outcome.
pub type Bite = Box<dyn Fn() + Send + Sync>;

/// What an injector sees of a server: faults as text.
pub trait Port: Send + Sync {
    /// Whether the fault that `text` describes lasts.
    ///
    /// # Errors
    /// When `text` describes none.
    fn check(&self, text: &str) -> Result<bool, Unexpected>;

    /// Begins the fault that `text` describes; `id` is for [`Port::end`].
    ///
    /// # Errors
    /// When `text` describes none.
    fn begin(&self, id: usize, text: &str, bite: Bite) -> Result<(), Unexpected>;

    /// Ends a fault. One that has ended, or was an act that has been done, is no error.
    fn end(&self, id: usize);
}

/// The faults of one server that are on.
pub struct Board<F> {
    on: AtomicUsize,
    posted: Mutex<Vec<Posted<F>>>,
    version: watch::Sender<u64>,
}

struct Posted<F> {
    id: usize,
    fault: F,
    bite: Arc<dyn Fn() + Send + Sync>,
}

impl<F: Fault> Board<F> {
    /// A board with no fault on it.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Begins a fault.
    pub fn post(&self, id: usize, fault: F, bite: Bite) {
        self.change(|posted| posted.push(Posted { id, fault, bite: bite.into() }));
    }

    /// Asks every fault that is on, oldest first, until one answers: that one has bitten. An act is done with that. A fault
    /// may keep count in itself. With nothing on the board this costs one load.
    pub fn strike<T>(&self, mut answer: impl FnMut(&mut F) -> Option<T>) -> Option<T> {
        if self.on.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut posted = self.posted();
        let (index, answered) =
            posted.iter_mut().enumerate().find_map(|(index, it)| Some((index, answer(&mut it.fault)?)))?;
        let bite = posted[index].bite.clone();
        if !posted[index].fault.lasts() {
            posted.remove(index);
            self.on.store(posted.len(), Ordering::Relaxed);
        }
        drop(posted);
        bite();
        Some(answered)
    }

    /// Changes whenever a fault begins or ends: for acts that must happen at once.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    fn posted(&self) -> MutexGuard<'_, Vec<Posted<F>>> {
        self.posted.lock().expect("no answer to a fault panics")
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Posted<F>>)) {
        let mut posted = self.posted();
        change(&mut posted);
        self.on.store(posted.len(), Ordering::Relaxed);
        drop(posted);
        self.version.send_modify(|version| *version += 1);
    }
}

impl<F> Default for Board<F> {
    fn default() -> Self {
        Self { on: AtomicUsize::new(0), posted: Mutex::default(), version: watch::Sender::new(0) }
    }
}

impl<F> fmt::Debug for Board<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Board({} on)", self.on.load(Ordering::Relaxed))
    }
}

impl<F: Fault> Port for Board<F> {
    fn check(&self, text: &str) -> Result<bool, Unexpected> {
        Ok(read::<F>(text)?.lasts())
    }

    fn begin(&self, id: usize, text: &str, bite: Bite) -> Result<(), Unexpected> {
        self.post(id, read(text)?, bite);
        Ok(())
    }

    fn end(&self, id: usize) {
        self.change(|posted| posted.retain(|it| it.id != id));
    }
}

fn read<F: Fault>(text: &str) -> Result<F, Unexpected> {
    let mut words = Words::new(text);
    let fault = F::read(&mut words)?;
    words.end("the end of the fault")?;
    Ok(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `fog` lasts; `drop N` is an act.
    #[derive(Debug, PartialEq)]
    enum Weather {
        Fog,
        Drop(u8),
    }

    impl fmt::Display for Weather {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self {
                Self::Fog => write!(f, "fog"),
                Self::Drop(count) => write!(f, "drop {count}"),
            }
        }
    }

    impl Fault for Weather {
        fn read(words: &mut Words<'_>) -> Result<Self, Unexpected> {
            match words.next("fog or drop")? {
                "fog" => Ok(Self::Fog),
                "drop" => Ok(Self::Drop(words.count()?)),
                other => Err(words.unexpected("fog or drop", Some(other))),
            }
        }

        fn lasts(&self) -> bool {
            matches!(self, Self::Fog)
        }
    }

    fn fog(fault: &mut Weather) -> Option<()> {
        (*fault == Weather::Fog).then_some(())
    }

    fn dropped(fault: &mut Weather) -> Option<u8> {
        match fault {
            Weather::Fog => None,
            Weather::Drop(count) => Some(*count),
        }
    }

    fn board() -> (Arc<Board<Weather>>, Arc<AtomicUsize>, impl Fn() -> Bite) {
        let bites = Arc::new(AtomicUsize::new(0));
        let counted = bites.clone();
        let bite = move || -> Bite {
            let bites = counted.clone();
            Box::new(move || {
                bites.fetch_add(1, Ordering::Relaxed);
            })
        };
        (Board::new(), bites, bite)
    }

    #[test]
    fn a_state_bites_until_it_is_ended() {
        let (board, bites, bite) = board();
        assert_eq!(board.strike(fog), None);
        board.begin(7, "fog", bite()).expect("a fault");
        assert_eq!(board.strike(dropped), None, "another fault is on");
        assert_eq!(bites.load(Ordering::Relaxed), 0);
        assert_eq!((board.strike(fog), board.strike(fog)), (Some(()), Some(())));
        board.end(7);
        assert_eq!(board.strike(fog), None);
        assert_eq!(bites.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn an_act_bites_once_and_the_oldest_first() {
        let (board, bites, bite) = board();
        board.begin(1, "drop 3", bite()).expect("a fault");
        board.begin(2, "drop 4", bite()).expect("a fault");
        assert_eq!([(); 3].map(|()| board.strike(dropped)), [Some(3), Some(4), None]);
        assert_eq!(bites.load(Ordering::Relaxed), 2);
        board.end(1);
    }

    #[test]
    fn subscribers_hear_of_beginnings_and_ends() {
        let (board, _, bite) = board();
        let mut changes = board.subscribe();
        board.begin(1, "fog", bite()).expect("a fault");
        assert!(changes.has_changed().expect("the board lives"));
        changes.mark_unchanged();
        board.end(1);
        assert!(changes.has_changed().expect("the board lives"));
    }

    #[test]
    fn a_text_that_is_no_fault_is_refused_with_what_was_expected() {
        let (board, ..) = board();
        let told = |text| board.check(text).expect_err(text).to_string();
        assert_eq!(told("rain"), "expected fog or drop, found `rain`");
        assert_eq!(told("drop"), "expected a number above zero, found the end of the line");
        assert_eq!(told("drop 0"), "expected a number above zero, found `0`");
        assert_eq!(told("fog 3"), "expected the end of the fault, found `3`");
        assert_eq!((board.check("fog"), board.check("drop 1")), (Ok(true), Ok(false)));
    }
}
