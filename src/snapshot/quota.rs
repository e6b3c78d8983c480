//! How much a client or a route may ask for: requests over time, and requests at once.
//!
//! The state is shared by all workers and outlives a reload, as far as its numbers stay. Two atomics hold it; nobody
//! waits for anybody.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, RateLimiter};

use crate::config::{self, Rate};

/// The limits of one client or route, with what is used of them.
#[derive(Default)]
pub struct Quota {
    pace: Option<Arc<Pace>>,
    concurrency: Option<NonZeroU32>,
    /// Requests in progress; counted where there is a limit.
    count: Arc<AtomicU32>,
}

/// A generic cell rate algorithm (GCRA): requests come evenly, but for a burst after a pause.
struct Pace {
    rate: Rate,
    limiter: DefaultDirectRateLimiter,
}

/// One request in progress; counted until it is dropped.
pub struct InFlight(Option<Arc<AtomicU32>>);

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(count) = &self.0 {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Quota {
    /// The limits of the configuration. What `earlier` limits have counted still counts, unless the rate is another.
    pub fn new(quota: &config::Quota, earlier: Option<&Self>) -> Self {
        let config::Quota { rate, concurrency } = *quota;
        let kept = earlier.and_then(|earlier| earlier.pace.clone());
        let pace = rate.map(|rate| match kept.filter(|kept| kept.rate == rate) {
            Some(kept) => kept,
            None => Arc::new(Pace::new(rate)),
        });
        let count = earlier.map(|earlier| earlier.count.clone()).unwrap_or_default();
        Self { pace, concurrency, count }
    }

    /// Begins a request, unless as many are in progress as may be.
    pub fn begin(&self) -> Option<InFlight> {
        let Some(most) = self.concurrency else { return Some(InFlight(None)) };
        let one_more = |count: u32| (count < most.get()).then_some(count + 1);
        self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(InFlight(Some(self.count.clone())))
    }

    /// Takes one request from the rate.
    ///
    /// # Errors
    /// There is none left; the time until there is.
    pub fn pace(&self) -> Result<(), Duration> {
        let Some(pace) = &self.pace else { return Ok(()) };
        pace.limiter.check().map_err(|early| early.wait_time_from(DefaultClock::default().now()))
    }
}

impl Pace {
    fn new(rate: Rate) -> Self {
        // The configuration has at most a million requests a second, so that this is a microsecond or more.
        let apart = (rate.per / rate.requests.get()).max(Duration::from_nanos(1));
        let quota = governor::Quota::with_period(apart).unwrap_or(governor::Quota::per_second(rate.requests));
        Self { rate, limiter: RateLimiter::direct(quota.allow_burst(rate.burst)) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn quota(requests: u32, burst: u32, concurrency: Option<u32>) -> config::Quota {
        let [requests, burst] = [requests, burst].map(|count| NonZeroU32::new(count).unwrap());
        let rate = Rate { requests, per: Duration::from_secs(3600), burst };
        config::Quota { rate: Some(rate), concurrency: concurrency.and_then(NonZeroU32::new) }
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let paced = Quota::new(&quota(60, 3, None), None);
        assert!((0..3).all(|_| paced.pace().is_ok()));
        let wait = paced.pace().unwrap_err();
        assert!(wait > Duration::from_secs(58) && wait <= Duration::from_secs(60), "{wait:?}");
        let unlimited = Quota::default();
        assert!((0..1000).all(|_| unlimited.pace().is_ok() && unlimited.begin().is_some()));
    }

    #[test]
    fn what_runs_counts_until_it_is_over() {
        let limited = Quota::new(&quota(60, 3, Some(2)), None);
        let first = limited.begin().unwrap();
        let second = limited.begin().unwrap();
        assert!(limited.begin().is_none());
        drop(first);
        let third = limited.begin().unwrap();
        assert!(limited.begin().is_none());
        drop((second, third));
        assert_eq!(limited.count.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_reload_forgets_nothing_that_stays() {
        let old = Quota::new(&quota(60, 1, Some(1)), None);
        let running = old.begin().unwrap();
        old.pace().unwrap();
        let same = Quota::new(&quota(60, 1, Some(2)), Some(&old));
        assert!(same.pace().is_err(), "the rate did not change");
        let second = same.begin().unwrap();
        assert!(same.begin().is_none(), "what runs was counted before");
        drop(running);
        assert!(same.begin().is_some());
        drop(second);
        assert!(Quota::new(&quota(61, 1, None), Some(&same)).pace().is_ok(), "another rate begins anew");
    }
}
