//! What calls add up to, by who, what and where, and by time.
//!
//! Counted while the index catches up, in quarters of an hour as object-storage metering does. A call is counted in
//! the quarter of its arrival, once its outcome is recorded; an intent alone counts nothing.

use std::collections::{BTreeMap, HashMap};

use super::Error;
use super::filter::Filter;
use super::index::Index;
use super::query::one_of;
use super::tally::{DAY, Latency, month, unsigned};
use super::words::Kind as Word;

pub use super::tally::QUARTER;

/// What usage is told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The client.
    Client,
    /// The route.
    Route,
    /// The operation.
    Operation,
    /// The bucket of S3 calls; others are left out.
    Bucket,
    /// The zone that CloudStack calls name; others are left out.
    Zone,
    /// The account that CloudStack calls name; others are left out.
    Account,
}

/// How long a line of usage is. Days and months are UTC's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// From each full hour.
    Hour,
    /// From each midnight.
    Day,
    /// From the first of each month.
    Month,
    /// All of the time that is asked for, at once.
    Whole,
}

/// The usage of one name in one period.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Its beginning, in microseconds since 1970.
    pub from: i64,
    /// Its end; calls that arrive then belong to the next.
    pub until: i64,
    /// The client, bucket, …
    pub name: String,
    /// All calls.
    pub calls: u64,
    /// Calls that were not answered with a status below 400: refused, failed, or left by their caller.
    pub errors: u64,
    /// Bytes of request bodies.
    pub bytes_in: u64,
    /// Bytes of answers' bodies.
    pub bytes_out: u64,
    /// Calls that were answered with a status below 400, by operation.
    pub operations: BTreeMap<String, u64>,
    /// How long calls took.
    pub latency: Latency,
}

impl Period {
    /// The period of this length that holds `time`; nothing for [`Period::Whole`], and for times beyond the calendar.
    fn around(self, time: i64) -> Option<(i64, i64)> {
        // UTC's days have no leap seconds here, as timestamps have none.
        let length = match self {
            Self::Whole => return None,
            Self::Hour => DAY / 24,
            Self::Day => DAY,
            Self::Month => return month(time),
        };
        let from = time.div_euclid(length) * length;
        Some((from, from + length))
    }
}

impl Index {
    /// The usage from `since` to before `until`, by period and name. Of the filter only clients, routes and
    /// operations count. Both ends are of quarters: an end inside one stands for its beginning.
    ///
    /// # Errors
    /// The index.
    pub fn usage(&self, by: By, period: Period, filter: &Filter) -> Result<Vec<Usage>, Error> {
        self.sums(by, period, filter).map_err(|error| self.error(&error))
    }

    fn sums(&self, by: By, period: Period, filter: &Filter) -> rusqlite::Result<Vec<Usage>> {
        let whole = |time: i64| time.div_euclid(QUARTER) * QUARTER;
        let edge = |order: &str| {
            let find = format!("SELECT start FROM usage_quarter ORDER BY start {order} LIMIT 1");
            rusqlite::OptionalExtension::optional(self.db.query_row(&find, [], |row| row.get::<_, i64>(0)))
        };
        let (Some(first), Some(last)) = (edge("ASC")?, edge("DESC")?) else { return Ok(Vec::new()) };
        let since = filter.since.map_or(first, whole);
        let until = filter.until.map_or(last.saturating_add(QUARTER), whole);
        // Where no end is asked for, there is nothing beyond it: so the month may be taken whole.
        let (begin, end) =
            (month(first).map_or(since, |month| month.0), month(last).map_or(until, |month| month.1));
        let (begin, end) = (filter.since.map_or(begin, whole), filter.until.map_or(end, whole));
        let mut conditions = String::new();
        let mut narrow = |column: &str, kind, asked: bool, matches: &dyn Fn(&str) -> bool| {
            if asked {
                let (ids, _) = self.word_ids(kind, matches)?;
                conditions.push_str(&format!(" AND {column} {}", one_of(&ids)));
            }
            Ok::<(), rusqlite::Error>(())
        };
        let named = |names: &[String], name: &str| names.iter().any(|known| known == name);
        narrow("client", Word::Client, !filter.clients.is_empty(), &|name| named(&filter.clients, name))?;
        narrow("route", Word::Route, !filter.routes.is_empty(), &|name| named(&filter.routes, name))?;
        narrow("operation", Word::Operation, !filter.operations.is_empty(), &|name| {
            filter.matches_operation(name)
        })?;
        let column = match by {
            By::Client => "client",
            By::Route => "route",
            By::Operation => "operation",
            By::Bucket => "bucket",
            By::Zone => "zone",
            By::Account => "account",
        };
        let mut names = HashMap::new();
        let mut words = self.db.prepare("SELECT id, text FROM word WHERE kind <> ?")?;
        let mut words = words.query([Word::Source as i64])?;
        while let Some(word) = words.next()? {
            names.insert(word.get::<_, i64>(0)?, word.get::<_, String>(1)?);
        }
        let parts: Vec<String> = parts(period, begin, end)
            .into_iter()
            .map(|(table, from, until)| {
                format!(
                    "SELECT start, {column}, operation, class, calls, bytes_in, bytes_out, sum_us, max_us, histogram \
                     FROM {table} WHERE start >= {from} AND start < {until}{conditions}"
                )
            })
            .collect();
        let mut rows = self.db.prepare(&parts.join(" UNION ALL "))?;
        let mut rows = rows.query([])?;
        let mut found: BTreeMap<(i64, &str), Usage> = BTreeMap::new();
        let nameless = matches!(by, By::Bucket | By::Zone | By::Account);
        let mut current = (0, 0);
        while let Some(row) = rows.next()? {
            let start: i64 = row.get(0)?;
            let name = names.get(&row.get(1)?).map_or("", String::as_str);
            if name.is_empty() && nameless {
                continue;
            }
            if !(current.0..current.1).contains(&start) {
                current = period.around(start).unwrap_or((since, until));
            }
            let usage = found.entry((current.0, name)).or_insert_with(|| Usage {
                from: current.0,
                until: current.1,
                name: name.to_owned(),
                ..Usage::default()
            });
            let calls = unsigned(row, 4)?;
            usage.calls += calls;
            if matches!(row.get::<_, i64>(3)?, 1..=3) {
                let operation = names.get(&row.get(2)?).map_or("", String::as_str);
                match usage.operations.get_mut(operation) {
                    Some(known) => *known += calls,
                    None => drop(usage.operations.insert(operation.to_owned(), calls)),
                }
            } else {
                usage.errors += calls;
            }
            usage.bytes_in = usage.bytes_in.saturating_add(unsigned(row, 5)?);
            usage.bytes_out = usage.bytes_out.saturating_add(unsigned(row, 6)?);
            let histogram = row.get_ref(9)?.as_blob()?;
            usage.latency.merge(&Latency::stored(unsigned(row, 7)?, unsigned(row, 8)?, histogram));
        }
        Ok(found.into_values().collect())
    }
}

/// Which table counts which part of the time: whole months by months where no shorter period is asked for, whole days
/// by days, what is left by quarters.
fn parts(period: Period, since: i64, until: i64) -> Vec<(&'static str, i64, i64)> {
    let first = since.saturating_add(DAY - 1).div_euclid(DAY) * DAY;
    let last = until.div_euclid(DAY) * DAY;
    if period == Period::Hour || first >= last {
        return vec![("usage_quarter", since, until)];
    }
    let (mut days_until, mut days_from) = (last, last);
    let mut parts = vec![("usage_quarter", since, first), ("usage_quarter", last, until)];
    if period != Period::Day
        && let Some((begun, next)) = month(first)
        && let Some((end, _)) = month(last)
    {
        let begin = if begun == first { first } else { next };
        if begin < end {
            (days_until, days_from) = (begin, end);
            parts.push(("usage_month", begin, end));
        }
    }
    parts.extend([("usage_day", first, days_until), ("usage_day", days_from, last)]);
    parts
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn every_quarter_is_counted_once_by_the_longest_that_fits() {
        let at = |time: &str| time.parse::<Timestamp>().map(Timestamp::as_microsecond).unwrap_or_default();
        for (since, until, months, days) in [
            ("2026-10-01T00:00:00Z", "2026-12-01T00:00:00Z", 61, 0),
            ("2026-09-29T23:45:00Z", "2026-12-02T00:15:00Z", 61, 2),
            ("2026-10-01T00:15:00Z", "2026-12-01T00:00:00Z", 30, 30),
            ("2026-10-02T00:00:00Z", "2026-11-30T23:45:00Z", 0, 59),
            ("2026-10-31T23:45:00Z", "2026-11-01T00:15:00Z", 0, 0),
            ("2026-10-05T00:00:00Z", "2026-10-04T00:00:00Z", 0, 0),
        ] {
            let (since, until) = (at(since), at(until));
            for period in [Period::Hour, Period::Day, Period::Month, Period::Whole] {
                let mut parts = parts(period, since, until);
                parts.retain(|(_, from, until)| from < until);
                parts.sort_by_key(|(_, from, _)| *from);
                let length = |table: &str| -> i64 {
                    parts.iter().filter(|part| part.0 == table).map(|(_, from, until)| until - from).sum()
                };
                let (by_months, by_days) = match period {
                    Period::Hour => (0, 0),
                    Period::Day => (0, months + days),
                    _ => (months, days),
                };
                assert_eq!((length("usage_month"), length("usage_day")), (by_months * DAY, by_days * DAY));
                let gapless = parts.windows(2).all(|pair| pair[0].2 == pair[1].1);
                let ends = parts.first().zip(parts.last()).map(|(first, last)| (first.1, last.2));
                assert!(gapless && ends.is_none_or(|ends| ends == (since, until)), "{parts:?}");
                assert_eq!(parts.is_empty(), since >= until);
            }
        }
    }

    #[test]
    fn periods_are_those_of_utc() {
        let second =
            |time: &str| time.parse::<Timestamp>().map(Timestamp::as_microsecond).unwrap_or_default();
        let around = |period: Period, time: &str| period.around(second(time));
        let span = |from: &str, until: &str| Some((second(from), second(until)));
        assert_eq!(
            around(Period::Hour, "2026-11-22T09:45:00Z"),
            span("2026-11-22T09:00:00Z", "2026-11-22T10:00:00Z")
        );
        assert_eq!(
            around(Period::Day, "2026-12-31T23:45:00Z"),
            span("2026-12-31T00:00:00Z", "2027-01-01T00:00:00Z")
        );
        assert_eq!(
            around(Period::Month, "2028-02-29T00:00:00Z"),
            span("2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z")
        );
        assert_eq!(
            around(Period::Hour, "1969-12-31T23:59:59Z"),
            span("1969-12-31T23:00:00Z", "1970-01-01T00:00:00Z")
        );
        assert_eq!(around(Period::Whole, "2026-11-22T09:45:00Z"), None);
    }
}
