//! Background tasks that belong to a process.

use std::pin::Pin;

use tokio::task::JoinHandle;

/// A boxed future that can be spawned.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Where a process's background tasks run.
pub trait Tasks: Send + Sync {
    /// Starts `future`; it ends by itself, by [`Task::abort`], or with the process.
    fn spawn(&self, name: &'static str, future: BoxFuture<()>) -> Task;
}

/// A handle to a background task. Dropping it lets the task run on.
#[derive(Debug)]
pub struct Task(JoinHandle<()>);

impl Task {
    /// Wraps the task that an implementation of [`Tasks`] has started.
    pub fn new(handle: JoinHandle<()>) -> Self {
        Self(handle)
    }

    /// Drops the task's future at its next await point.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Waits until the task has ended in whichever way.
    pub async fn ended(self) {
        // How it ended is the task's own story: a panic has been reported where it happened.
        let _ = self.0.await;
    }

    /// Ties the task to the returned guard: dropping the guard aborts it.
    pub fn abort_on_drop(self) -> impl Drop + Send + Sync + 'static {
        struct Guard(Task);
        impl Drop for Guard {
            fn drop(&mut self) {
                self.0.abort();
            }
        }
        Guard(self)
    }
}
