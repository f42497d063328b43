//! A background task of a simulated process: it runs as its host, and only while the host lets it.

use std::{
    any::Any,
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, Once, atomic::Ordering},
    task::{Context, Poll},
};

use env::{BoxFuture, Task, Tasks};
use tokio::time::{Sleep, sleep};

use crate::{
    host::Host,
    kernel::Kernel,
    recorder::{current_host, enter},
    verdict::Verdict,
};

/// Where a task's future lives, so that killing the process can drop it at once.
#[derive(Default)]
pub(crate) struct TaskSlot(Mutex<Option<BoxFuture<()>>>);

impl TaskSlot {
    pub(crate) fn discard(&self) {
        // Taken out first: dropping it must not happen under the lock.
        let future = self.0.lock().ok().and_then(|mut slot| slot.take());
        drop(future);
    }
}

/// The tasks of one host, as its processes start them.
pub(crate) struct HostTasks {
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) host: Arc<Host>,
}

impl Tasks for HostTasks {
    #[expect(clippy::disallowed_methods, reason = "the engine is what gives tasks to hosts")]
    fn spawn(&self, name: &'static str, future: BoxFuture<()>) -> Task {
        let slot = Arc::new(TaskSlot(Mutex::new(Some(future))));
        let id = {
            let mut state = self.host.state();
            // A process that is gone starts nothing: its last destructors may still ask.
            state.process.as_mut().map(|process| {
                let id = process.next_task;
                process.next_task += 1;
                process.tasks.insert(id, slot.clone());
                id
            })
        };
        if id.is_none() {
            slot.discard();
        }
        let task =
            HostTask { kernel: self.kernel.clone(), host: self.host.clone(), name, id, slot, delay: None };
        Task::new(tokio::spawn(task))
    }
}

struct HostTask {
    kernel: Arc<Kernel>,
    host: Arc<Host>,
    name: &'static str,
    id: Option<u64>,
    slot: Arc<TaskSlot>,
    /// Runs while a slow host makes the task wait for its turn.
    delay: Option<Pin<Box<Sleep>>>,
}

impl HostTask {
    /// Whether the host lets the task run now; if not, it will be woken.
    fn admitted(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(delay) = &mut self.delay {
            if delay.as_mut().poll(cx).is_pending() {
                return false;
            }
            self.delay = None;
            return !self.parked(cx);
        }
        if self.parked(cx) {
            return false;
        }
        let slow = self.host.state().slowness.last().copied();
        let Some((entry, least, most)) = slow else {
            return true;
        };
        self.kernel.recorder.bite(entry);
        let millis = (most - least).as_millis() as u64;
        let extra = self.kernel.draws.below("host.slow", &self.host.name, millis + 1);
        let mut delay = Box::pin(sleep(least + std::time::Duration::from_millis(extra)));
        let pending = delay.as_mut().poll(cx).is_pending();
        self.delay = pending.then_some(delay);
        !pending
    }

    fn parked(&self, cx: &Context<'_>) -> bool {
        let entry = {
            let mut state = self.host.state();
            let Some(entry) = state.pauses.first().copied() else {
                return false;
            };
            state.parked.push(cx.waker().clone());
            entry
        };
        self.kernel.recorder.bite(entry);
        true
    }

    fn finish(&self) {
        let Some(id) = self.id else { return };
        let mut state = self.host.state();
        let Some(process) = state.process.as_mut() else {
            return;
        };
        // A later process of the host has tasks of the same numbers.
        if process.tasks.get(&id).is_some_and(|slot| Arc::ptr_eq(slot, &self.slot)) {
            process.tasks.remove(&id);
        }
    }
}

/// An aborted task's future must go now, although the host still lists it.
impl Drop for HostTask {
    fn drop(&mut self) {
        let _entered = enter(self.host.index);
        self.slot.discard();
        self.finish();
    }
}

impl Future for HostTask {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if !this.kernel.spend() {
            return Poll::Pending;
        }
        if this.host.impeded.load(Ordering::Relaxed) && !this.admitted(cx) {
            return Poll::Pending;
        }
        let outcome = {
            let _entered = enter(this.host.index);
            let Ok(mut slot) = this.slot.0.lock() else {
                return Poll::Ready(());
            };
            let Some(future) = slot.as_mut() else {
                return Poll::Ready(());
            };
            let outcome = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
            if !matches!(outcome, Ok(Poll::Pending)) {
                // What the future owns may act as it goes, so it goes while the host is entered.
                *slot = None;
            }
            outcome
        };
        match outcome {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(()),
            Err(panic) => {
                let message = panic_message(&*panic);
                let (host, task) = (this.host.name.to_string(), this.name.to_string());
                this.kernel.recorder.conclude(Verdict::Panicked { host, task, message });
                Poll::Ready(())
            }
        }
    }
}

thread_local! {
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Panics of simulated processes are verdicts, not text on standard error: keeps where each happened.
pub(crate) fn capture_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| match current_host() {
            Some(_) => {
                LAST_PANIC.set(info.location().map(|place| format!("{}:{}", place.file(), place.line())))
            }
            None => usual(info),
        }));
    });
}

pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let said = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is no text".into());
    match LAST_PANIC.take() {
        Some(place) => format!("{said} ({place})"),
        None => said,
    }
}
