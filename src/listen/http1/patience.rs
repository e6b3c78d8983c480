//! How long one wait may last, on one timer for all waits of a connection.
//!
//! A timer is not set again for each wait: it is left to fire too early, and set again then.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// The end of the present wait, and a timer that fires no later.
#[derive(Default)]
pub(super) struct Patience {
    due: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// Ready when the present wait has lasted for `longest`. It begins when this is first asked.
    pub(super) fn poll_over(&mut self, longest: Duration, context: &mut Context<'_>) -> Poll<()> {
        let due = *self.due.get_or_insert_with(|| Instant::now() + longest);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        while timer.as_mut().poll(context).is_ready() {
            if timer.deadline() >= due {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
        Poll::Pending
    }

    /// The wait is over; another begins anew.
    pub(super) fn over(&mut self) {
        self.due = None;
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Waker;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(40);

    fn is_over(patience: &mut Patience, longest: Duration) -> bool {
        patience.poll_over(longest, &mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test]
    async fn each_wait_has_its_own_time() {
        let mut patience = Patience::default();
        // A wait that ends before its time, and another one, for which the timer fires too early.
        assert!(!is_over(&mut patience, SHORT));
        tokio::time::sleep(SHORT / 2).await;
        assert!(!is_over(&mut patience, SHORT));
        patience.over();
        let start = Instant::now();
        poll_fn(|context| patience.poll_over(SHORT, context)).await;
        assert!(start.elapsed() >= SHORT);
        // One whose timer fired while nothing was waited for.
        patience.over();
        assert!(!is_over(&mut patience, SHORT));
        patience.over();
        tokio::time::sleep(SHORT * 2).await;
        let start = Instant::now();
        poll_fn(|context| patience.poll_over(SHORT, context)).await;
        assert!(start.elapsed() >= SHORT);
        // A shorter one is not held up by the timer of a longer one.
        patience.over();
        assert!(!is_over(&mut patience, LONG));
        patience.over();
        let start = Instant::now();
        poll_fn(|context| patience.poll_over(SHORT, context)).await;
        assert!(start.elapsed() >= SHORT && start.elapsed() < LONG / 2);
        // One that goes on is not extended by being asked for.
        patience.over();
        let start = Instant::now();
        while !is_over(&mut patience, SHORT) {
            tokio::time::sleep(SHORT / 8).await;
        }
        assert!(start.elapsed() >= SHORT && start.elapsed() < LONG / 2);
    }
}
