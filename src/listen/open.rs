//! The connections of one worker: how many are open, and how they learn that a drain has begun.
//!
//! A connection tells the task that it is once, and looks at a flag from then on: nothing is registered or awaited for
//! each request.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};

use tokio::sync::Notify;

use super::Shared;

/// The connections of one worker; a drain waits for the last.
#[derive(Default)]
pub struct OpenConnections {
    count: Cell<usize>,
    changed: Notify,
    is_draining: Cell<bool>,
    tasks: RefCell<BTreeMap<u64, Waker>>,
    last: Cell<u64>,
}

impl OpenConnections {
    /// Waits until none is open.
    pub async fn none(&self) {
        while self.count.get() > 0 {
            self.changed.notified().await;
        }
    }

    /// The drain begins: whoever waits for a request looks up.
    pub(super) fn drain(&self) {
        self.is_draining.set(true);
        let tasks = std::mem::take(&mut *self.tasks.borrow_mut());
        tasks.into_values().for_each(Waker::wake);
    }

    /// Whether the drain has begun.
    pub(super) fn is_draining(&self) -> bool {
        self.is_draining.get()
    }

    /// Has this task woken when the drain begins, until what is returned is dropped.
    pub(super) async fn enlist(self: &Rc<Self>) -> Enlisted {
        let waker = poll_fn(|context| Poll::Ready(context.waker().clone())).await;
        let number = self.last.get() + 1;
        self.last.set(number);
        self.tasks.borrow_mut().insert(number, waker);
        Enlisted { open: self.clone(), number }
    }
}

/// A task that is woken when the drain begins.
pub(super) struct Enlisted {
    open: Rc<OpenConnections>,
    number: u64,
}

impl Drop for Enlisted {
    fn drop(&mut self) {
        self.open.tasks.borrow_mut().remove(&self.number);
    }
}

/// A place among the connections; free again when dropped.
pub(super) struct Slot {
    shared: Rc<Shared>,
    open: Rc<OpenConnections>,
}

impl Slot {
    /// Takes a place, if there is one.
    pub(super) fn take(shared: &Rc<Shared>, limit: usize, open: &Rc<OpenConnections>) -> Option<Self> {
        if shared.connections.fetch_add(1, Ordering::Relaxed) >= limit {
            shared.connections.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        shared.metrics.connections.inc();
        open.count.set(open.count.get() + 1);
        Some(Self { shared: shared.clone(), open: open.clone() })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.connections.fetch_sub(1, Ordering::Relaxed);
        self.shared.metrics.connections.dec();
        self.open.count.set(self.open.count.get() - 1);
        self.open.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::{Context, Wake};

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn whoever_is_enlisted_learns_of_the_drain() {
        let open = Rc::new(OpenConnections::default());
        let enlist = |task: &Arc<Woken>| {
            let waker = Waker::from(task.clone());
            let mut future = Box::pin(open.enlist());
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(enlisted) => enlisted,
                Poll::Pending => unreachable!("it waits for nothing"),
            }
        };
        let tasks = [(); 3].map(|()| Arc::new(Woken::default()));
        let first = enlist(&tasks[0]);
        drop(enlist(&tasks[1]));
        let third = enlist(&tasks[2]);
        assert!(!open.is_draining());
        open.drain();
        assert!(open.is_draining());
        assert_eq!(tasks.map(|task| task.0.load(Ordering::Relaxed)), [1, 0, 1]);
        drop((first, third));
        assert!(open.tasks.borrow().is_empty());
    }
}
