//! What the counters did over the last hours, in short steps; the plots are drawn from it.
//!
//! A step keeps what changed since the one before, and nothing of routes where nothing did. Whoever asks gets what
//! happened since the last step too, so that sums over the history are the counters, for as long as it reaches back to
//! the start.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::Serialize;

use crate::metrics::reading::Reading;

/// How long a step is.
pub(super) const STEP: Duration = Duration::from_secs(15);
/// Steps that are kept: four hours.
const STEPS: usize = 960;
/// Points that a plot has at most.
const POINTS: usize = 240;

/// Classes of answers, as the metrics name them; `none` left before there was one.
pub(super) const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/// Counts by class of answers and by how long they took, of one route or of several.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counts {
    /// In the order of [`CLASSES`].
    pub(super) classes: [f64; 6],
    /// Upper bounds in seconds, and how many took at most so long; cumulative, the last without a bound.
    buckets: Vec<(f64, f64)>,
}

impl Counts {
    /// Of one route at this moment, since the start; of requests without a route, by the empty name.
    fn read(reading: &Reading, route: &str) -> Self {
        let mut counts = Self::default();
        for sample in
            reading.all("countersign_requests_total").filter(|sample| sample.label("route") == route)
        {
            if let Some(class) = CLASSES.iter().position(|class| *class == sample.label("code_class")) {
                counts.classes[class] += sample.value;
            }
        }
        let buckets = reading.all("countersign_request_duration_seconds_bucket");
        for sample in buckets.filter(|sample| sample.label("route") == route) {
            // The last is `+Inf`, which Rust reads as such.
            counts.buckets.push((sample.label("le").parse().unwrap_or(f64::INFINITY), sample.value));
        }
        counts
    }

    /// All answers.
    pub(super) fn requests(&self) -> f64 {
        self.classes.iter().sum()
    }

    fn since(&self, earlier: &Self) -> Self {
        let mut counts = self.clone();
        for (class, before) in counts.classes.iter_mut().zip(earlier.classes) {
            *class -= before;
        }
        for ((_, count), (_, before)) in counts.buckets.iter_mut().zip(&earlier.buckets) {
            *count -= before;
        }
        counts
    }

    fn add(&mut self, other: &Self) {
        for (class, more) in self.classes.iter_mut().zip(other.classes) {
            *class += more;
        }
        if self.buckets.is_empty() {
            self.buckets.clone_from(&other.buckets);
        } else {
            for ((_, count), (_, more)) in self.buckets.iter_mut().zip(&other.buckets) {
                *count += more;
            }
        }
    }

    /// The time in seconds that this share of all requests took at most, drawn straight between two bounds, as
    /// Prometheus' `histogram_quantile` does it; of what is beyond the last bound, that bound.
    pub(super) fn quantile(&self, share: f64) -> Option<f64> {
        let all = self.buckets.last()?.1;
        if all <= 0.0 {
            return None;
        }
        let wanted = share * all;
        let (mut bound, mut below) = (0.0, 0.0);
        for (next, count) in &self.buckets {
            if *count >= wanted && *count > below {
                return Some(if next.is_finite() {
                    bound + (next - bound) * ((wanted - below) / (count - below)).clamp(0.0, 1.0)
                } else {
                    bound
                });
            }
            if next.is_finite() {
                bound = *next;
            }
            below = *count;
        }
        Some(bound)
    }
}

/// What changed within one step.
#[derive(Clone, Debug, Default)]
struct Step {
    /// When it ended, in seconds since 1970.
    ended: f64,
    /// How long it was, in seconds.
    seconds: f64,
    /// By route.
    routes: BTreeMap<String, Counts>,
    /// By route and reason.
    refused: BTreeMap<(String, String), f64>,
}

/// All steps, and where the counters stood at the end of the last one.
pub(super) struct History {
    steps: VecDeque<Step>,
    last: Standing,
    ended: f64,
}

/// Where the counters stand.
#[derive(Clone, Default)]
struct Standing {
    routes: BTreeMap<String, Counts>,
    refused: BTreeMap<(String, String), f64>,
}

impl Standing {
    fn of(reading: &Reading) -> Self {
        let routes = reading.sums("countersign_requests_total", "route");
        let routes = routes.into_keys().map(|route| {
            let counts = Counts::read(reading, &route);
            (route, counts)
        });
        let refused = reading.all("countersign_refused_total").map(|sample| {
            ((sample.label("route").to_owned(), sample.label("reason").to_owned()), sample.value)
        });
        Self { routes: routes.collect(), refused: refused.collect() }
    }
}

/// One point of a plot: some steps together.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Point {
    /// When it ended, in seconds since 1970.
    ended: f64,
    /// How long it is, in seconds.
    seconds: f64,
    /// Answers by class, in the order of the plot's `classes`.
    classes: [f64; 6],
    /// Seconds that half of the requests took at most.
    p50: Option<f64>,
    /// Seconds that 99 of a hundred took at most.
    p99: Option<f64>,
    /// Refusals by reason.
    refused: BTreeMap<String, f64>,
}

/// What is plotted.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Plot {
    /// The names of the classes.
    classes: [&'static str; 6],
    /// In the order of time.
    points: Vec<Point>,
}

impl History {
    /// A history that begins at `now`, with a process whose counters are zero.
    pub(super) fn begin(now: f64) -> Self {
        Self { steps: VecDeque::new(), last: Standing::default(), ended: now }
    }

    /// Ends a step.
    pub(super) fn step(&mut self, reading: &Reading, now: f64) {
        let standing = Standing::of(reading);
        let step = self.since(&standing, now);
        if self.steps.len() >= STEPS {
            self.steps.pop_front();
        }
        self.steps.push_back(step);
        (self.last, self.ended) = (standing, now);
    }

    fn since(&self, standing: &Standing, now: f64) -> Step {
        let mut step = Step { ended: now, seconds: (now - self.ended).max(0.0), ..Step::default() };
        for (route, counts) in &standing.routes {
            let since = self.last.routes.get(route).map_or_else(|| counts.clone(), |last| counts.since(last));
            if since.requests() > 0.0 {
                step.routes.insert(route.clone(), since);
            }
        }
        for (key, count) in &standing.refused {
            let since = count - self.last.refused.get(key).unwrap_or(&0.0);
            if since > 0.0 {
                step.refused.insert(key.clone(), since);
            }
        }
        step
    }

    /// The steps that ended within the last `window` seconds, and what happened since.
    fn within<'h>(&'h self, open: &'h Step, window: f64) -> impl Iterator<Item = &'h Step> {
        let from = open.ended - window;
        self.steps.iter().filter(move |step| step.ended > from).chain(std::iter::once(open))
    }

    /// What each route did within the last `window` seconds or so, and how many seconds that were.
    pub(super) fn recent(&self, reading: &Reading, now: f64, window: f64) -> (BTreeMap<String, Counts>, f64) {
        let open = self.since(&Standing::of(reading), now);
        let (mut routes, mut seconds) = (BTreeMap::<String, Counts>::new(), 0.0);
        for step in self.within(&open, window) {
            seconds += step.seconds;
            for (route, counts) in &step.routes {
                routes.entry(route.clone()).or_default().add(counts);
            }
        }
        (routes, seconds)
    }

    /// The plot of one route, or of everything, over the last `window` seconds.
    pub(super) fn plot(&self, reading: &Reading, now: f64, window: f64, route: Option<&str>) -> Plot {
        let open = self.since(&Standing::of(reading), now);
        let steps: Vec<&Step> = self.within(&open, window).collect();
        let points = steps.chunks(steps.len().div_ceil(POINTS).max(1)).map(|steps| point(steps, route));
        Plot { classes: CLASSES, points: points.collect() }
    }
}

fn point(steps: &[&Step], route: Option<&str>) -> Point {
    let (mut point, mut counts) = (Point::default(), Counts::default());
    let wanted = |name: &str| route.is_none_or(|route| route == name);
    for step in steps {
        point.ended = step.ended;
        point.seconds += step.seconds;
        for (_, more) in step.routes.iter().filter(|(name, _)| wanted(name)) {
            counts.add(more);
        }
        for ((_, reason), count) in step.refused.iter().filter(|((name, _), _)| wanted(name)) {
            *point.refused.entry(reason.clone()).or_default() += count;
        }
    }
    (point.classes, point.p50, point.p99) = (counts.classes, counts.quantile(0.5), counts.quantile(0.99));
    point
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Metrics, RefusedLabels, RequestLabels, RouteLabel};

    fn count(metrics: &Metrics, route: &str, class: &'static str, seconds: f64) {
        let label = RequestLabels { route: route.into(), scheme: "s3-v4", method: "GET", code_class: class };
        metrics.requests.get_or_create(&label).inc();
        metrics.request_duration.get_or_create(&RouteLabel { route: route.into() }).observe(seconds);
    }

    fn refuse(metrics: &Metrics, route: &str, reason: &'static str) {
        metrics.refused.get_or_create(&RefusedLabels { route: route.into(), reason }).inc();
    }

    fn now(metrics: &Metrics) -> Reading {
        Reading::of(&metrics.text())
    }

    /// Sums of a plot: by class, and of refusals.
    fn sums(plot: &Plot) -> ([f64; 6], f64) {
        let mut classes = [0.0; 6];
        for point in &plot.points {
            for (sum, count) in classes.iter_mut().zip(point.classes) {
                *sum += count;
            }
        }
        (classes, plot.points.iter().flat_map(|point| point.refused.values()).sum())
    }

    #[test]
    #[allow(clippy::float_cmp, reason = "whole numbers")]
    fn sums_over_the_history_are_the_counters_at_any_moment() {
        let metrics = Metrics::default();
        let mut history = History::begin(1_000.0);
        for round in 0..1_500_u32 {
            if round % 3 == 0 {
                count(&metrics, "a", "2xx", 0.003);
            }
            if round % 7 == 0 {
                count(&metrics, "b", "5xx", 0.3);
                refuse(&metrics, "b", "upstream-timeout");
            }
            if round == 900 {
                let plot = history.plot(&now(&metrics), 10_500.0, 1e9, None);
                let reading = now(&metrics);
                let (classes, refused) = sums(&plot);
                let by_class = reading.sums("countersign_requests_total", "code_class");
                assert_eq!((classes[1], classes[4]), (by_class["2xx"], by_class["5xx"]));
                let by_reason = reading.sums("countersign_refused_total", "reason");
                assert_eq!(refused, by_reason["upstream-timeout"]);
                assert!(plot.points.len() <= POINTS, "{}", plot.points.len());
                let of_one = sums(&history.plot(&reading, 10_500.0, 1e9, Some("a")));
                assert_eq!((of_one.0[1], of_one.0[4], of_one.1), (by_class["2xx"], 0.0, 0.0));
            }
            history.step(&now(&metrics), 1_000.0 + 15.0 * f64::from(round + 1));
        }
        assert_eq!(history.steps.len(), STEPS);
        // Nothing is kept of routes where nothing happened.
        assert!(history.steps.iter().any(|step| step.routes.is_empty()));
        // The last of all steps is open, and counted at once.
        let end = 1_000.0 + 15.0 * 1_500.0 + 1.0;
        count(&metrics, "c", "2xx", 0.001);
        let (routes, seconds) = history.recent(&now(&metrics), end, 60.0);
        assert_eq!(routes["c"].requests(), 1.0);
        assert!((46.0..=61.0).contains(&seconds), "{seconds}");
    }

    #[test]
    fn quantiles_are_those_of_a_line_between_bounds() {
        let metrics = Metrics::default();
        assert_eq!(Counts::default().quantile(0.5), None);
        for _ in 0..90 {
            count(&metrics, "a", "2xx", 0.002);
        }
        for _ in 0..10 {
            count(&metrics, "a", "2xx", 0.06);
        }
        let counts = Counts::read(&now(&metrics), "a");
        let near = |share: f64, seconds: f64| {
            let found = counts.quantile(share).unwrap_or(f64::NAN);
            assert!((found - seconds).abs() < 1e-9, "{share}: {found}");
        };
        near(0.45, 0.0025);
        near(0.9, 0.005);
        // Between 50 and 75 ms.
        near(0.95, 0.0625);
        near(1.0, 0.075);
        count(&metrics, "a", "2xx", 100.0);
        let beyond = Counts::read(&now(&metrics), "a").quantile(1.0).unwrap_or_default();
        assert!((beyond - 10.0).abs() < 1e-9, "{beyond}");
    }
}
