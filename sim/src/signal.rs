//! Wakes the driver when there is something for it to do.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

/// A flag with a waker: raising it twice before the driver looks is raising it once.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    raised: AtomicBool,
    driver: Mutex<Option<Waker>>,
}

impl Signal {
    pub(crate) fn raise(&self) {
        if !self.raised.swap(true, Ordering::Relaxed)
            && let Some(waker) = self.driver.lock().expect("waking does not panic").as_ref()
        {
            waker.wake_by_ref();
        }
    }

    /// Ready, and lowered, when the signal has been raised since.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.raised.swap(false, Ordering::Relaxed) {
            return Poll::Ready(());
        }
        let mut driver = self.driver.lock().expect("waking does not panic");
        if !driver.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *driver = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}
