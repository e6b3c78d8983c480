//! A reading of all metrics at one moment, taken from the text that collectors get: whoever shows numbers from it shows
//! those numbers.

use std::collections::BTreeMap;

/// Every series and its value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    samples: Vec<Sample>,
}

/// One series.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The metric with its suffix, `_total` for example.
    pub name: String,
    /// Its labels, in order.
    pub labels: Vec<(String, String)>,
    /// Its value.
    pub value: f64,
}

impl Sample {
    /// The value of a label; nothing where it has none of this name.
    pub fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(label, _)| label == name).map_or("", |(_, value)| value)
    }
}

impl Reading {
    /// Reads `OpenMetrics` text; lines that are none are left out.
    pub fn of(text: &str) -> Self {
        Self { samples: text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect() }
    }

    /// The series of one name.
    pub fn all<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'r Sample> {
        self.samples.iter().filter(move |sample| sample.name == name)
    }

    /// The value of the one series that has this name and this label.
    pub fn one(&self, name: &str, label: (&str, &str)) -> Option<f64> {
        self.all(name).find(|sample| sample.label(label.0) == label.1).map(|sample| sample.value)
    }

    /// The value of a series without labels.
    pub fn plain(&self, name: &str) -> Option<f64> {
        self.all(name).find(|sample| sample.labels.is_empty()).map(|sample| sample.value)
    }

    /// The values of one name, summed over all labels but one.
    pub fn sums(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for sample in self.all(name) {
            *sums.entry(sample.label(label).to_owned()).or_default() += sample.value;
        }
        sums
    }
}

/// `name{label="value",…} value`; in values `\`, `"` and newlines are escaped. Exemplars are never written here.
fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Vec::new(), rest),
    };
    Some(Sample { name: name.to_owned(), labels, value: rest.trim().parse().ok()? })
}

/// The labels, and what comes after their brace.
fn labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut found = Vec::new();
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Some((found, after));
        }
        let (name, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut letters = after.char_indices();
        let end = loop {
            match letters.next()? {
                (at, '"') => break at,
                (_, '\\') => value.push(match letters.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, letter) => value.push(letter),
            }
        };
        found.push((name.to_owned(), value));
        rest = after[end + 1..].trim_start_matches(',');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Metrics, RequestLabels};

    #[test]
    fn what_is_written_is_read() {
        let metrics = Metrics::default();
        let route = "a \"quoted\\\" {route}, with=\"all\"\n of it";
        for (class, count) in [("2xx", 3), ("5xx", 4)] {
            let label =
                RequestLabels { route: route.to_owned(), scheme: "s3-v4", method: "GET", code_class: class };
            metrics.requests.get_or_create(&label).inc_by(count);
        }
        metrics.connections.set(-7);
        let label = super::super::RouteLabel { route: route.to_owned() };
        metrics.request_duration.get_or_create(&label).observe(0.02);
        metrics.clock_skew.get_or_create(&label).set(-0.25);
        let reading = Reading::of(&metrics.text());
        let sums = reading.sums("countersign_requests_total", "route");
        assert_eq!(sums.into_iter().collect::<Vec<_>>(), [(route.to_owned(), 7.0)]);
        assert_eq!(reading.one("countersign_requests_total", ("code_class", "5xx")), Some(4.0));
        assert_eq!(reading.plain("countersign_connections"), Some(-7.0));
        assert_eq!(reading.one("countersign_upstream_clock_skew_seconds", ("route", route)), Some(-0.25));
        let buckets: Vec<(&str, f64)> = reading
            .all("countersign_request_duration_seconds_bucket")
            .map(|sample| (sample.label("le"), sample.value))
            .collect();
        assert_eq!(buckets.len(), 15);
        assert_eq!((buckets[1], buckets[2], buckets[14]), (("0.01", 0.0), ("0.025", 1.0), ("+Inf", 1.0)));
        assert_eq!(reading.plain("countersign_nothing"), None);
    }

    #[test]
    fn what_is_no_line_is_left_out() {
        let text = "# HELP a b\na 1\nb{c=\"d\n\nb{c=\"d\"} x\nlast{} 2\n# EOF\n";
        let reading = Reading::of(text);
        let names: Vec<&str> = reading.samples.iter().map(|sample| sample.name.as_str()).collect();
        assert_eq!(names, ["a", "last"]);
    }
}
