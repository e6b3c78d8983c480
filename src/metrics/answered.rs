//! The counters of one route's answers, each looked up once, when there is one to count. Labels are bounded: standard
//! methods and classes of statuses.

use std::sync::OnceLock;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::RequestLabels;

/// The methods that are told apart; every other one is the last.
const METHODS: [&str; 8] = ["GET", "PUT", "POST", "HEAD", "DELETE", "PATCH", "OPTIONS", "_OTHER"];
/// Classes of statuses; whatever has none, as that of a caller who left, is of the first.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

fn index(method: &str) -> usize {
    METHODS.iter().position(|known| *known == method).unwrap_or(METHODS.len() - 1)
}

/// The label of a method.
pub fn method_label(method: &str) -> &'static str {
    METHODS[index(method)]
}

/// The counters of one route.
pub struct Answered {
    family: Family<RequestLabels, Counter>,
    route: String,
    scheme: &'static str,
    counters: [[OnceLock<Counter>; CLASSES.len()]; METHODS.len()],
}

impl Answered {
    /// The counters of `route`, which signs by `scheme`, in `family`.
    pub fn new(family: &Family<RequestLabels, Counter>, route: &str, scheme: &'static str) -> Self {
        Self { family: family.clone(), route: route.to_owned(), scheme, counters: Default::default() }
    }

    /// Counts an answer with this status to a request with this method.
    pub fn count(&self, method: &str, status: u16) {
        let method = index(method);
        let class = Some(usize::from(status / 100)).filter(|class| *class < CLASSES.len()).unwrap_or(0);
        let look_up = || {
            let (route, scheme) = (self.route.clone(), self.scheme);
            let label = RequestLabels { route, scheme, method: METHODS[method], code_class: CLASSES[class] };
            self.family.get_or_create(&label).clone()
        };
        self.counters[method][class].get_or_init(look_up).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_counted_under_its_labels() {
        let family = Family::default();
        let answered = Answered::new(&family, "r", "s3-v4");
        let answers = [("GET", 200), ("GET", 206), ("BREW", 418), ("PUT", 0), ("PUT", 999), ("HEAD", 504)];
        for (method, status) in answers {
            answered.count(method, status);
        }
        let count = |method, code_class| {
            let label = RequestLabels { route: "r".to_owned(), scheme: "s3-v4", method, code_class };
            family.get(&label).map(|counter| counter.get())
        };
        assert_eq!(count("GET", "2xx"), Some(2));
        assert_eq!(count("_OTHER", "4xx"), Some(1));
        assert_eq!(count("PUT", "none"), Some(2));
        assert_eq!(count("HEAD", "5xx"), Some(1));
        assert_eq!(count("HEAD", "2xx"), None, "nothing appears before it is counted");
    }
}
