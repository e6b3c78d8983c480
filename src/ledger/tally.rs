//! Usage while it is being counted: sums of calls by quarter of an hour and by who, what and where.

use std::collections::HashMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use rusqlite::{Connection, OptionalExtension, params};

/// Microseconds of a bucket: a quarter of an hour, as object-storage metering counts (UTAPI).
pub const QUARTER: i64 = 900_000_000;

/// Microseconds of a day.
pub(super) const DAY: i64 = 96 * QUARTER;

/// The month (UTC) that holds a time, and where the next begins; nothing at the end of the calendar.
pub(super) fn month(time: i64) -> Option<(i64, i64)> {
    let first = Timestamp::from_microsecond(time).ok()?.to_zoned(TimeZone::UTC).date().first_of_month();
    let start = |date: Date| Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_microsecond());
    Some((start(first)?, start(first.checked_add(1.month()).ok()?)?))
}

/// What calls are counted by; names are numbers of words.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    /// The beginning of the quarter, day or month of the arrival, in microseconds since 1970.
    pub(super) start: i64,
    pub(super) client: i64,
    pub(super) route: i64,
    pub(super) operation: i64,
    pub(super) bucket: i64,
    pub(super) zone: i64,
    pub(super) account: i64,
    /// The first digit of the status; 0 where the caller got none.
    pub(super) class: u16,
}

/// What the calls of one key add up to.
#[derive(Clone, Default)]
struct Tally {
    calls: u64,
    bytes_in: u64,
    bytes_out: u64,
    latency: Latency,
}

/// How long calls took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Microseconds of all calls together.
    pub sum_us: u64,
    /// Microseconds of the longest.
    pub max_us: u64,
    /// How many calls fell into each step of a logarithmic scale, least first.
    steps: Vec<(u8, u64)>,
}

impl Latency {
    /// Adds one call.
    pub(super) fn add(&mut self, us: u64) {
        self.sum_us = self.sum_us.saturating_add(us);
        self.max_us = self.max_us.max(us);
        self.step(step(us), 1);
    }

    /// Adds the calls of another.
    pub fn merge(&mut self, other: &Self) {
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
        self.max_us = self.max_us.max(other.max_us);
        for &(step, calls) in &other.steps {
            self.step(step, calls);
        }
    }

    fn step(&mut self, step: u8, calls: u64) {
        match self.steps.binary_search_by_key(&step, |(known, _)| *known) {
            Ok(at) => self.steps[at].1 += calls,
            Err(at) => self.steps.insert(at, (step, calls)),
        }
    }

    /// Microseconds within which this share (0 to 100) of the calls ended: the upper end of a step of the scale, so
    /// at most a quarter too much, and never more than the longest call.
    pub fn percentile(&self, percent: u64) -> u64 {
        let calls: u64 = self.steps.iter().map(|(_, calls)| calls).sum();
        let wanted = (calls * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for &(step, calls) in &self.steps {
            seen += calls;
            if seen >= wanted {
                return upper(step).min(self.max_us);
            }
        }
        self.max_us
    }

    /// The scale as bytes: a step and the calls in it, nine bytes each.
    pub(super) fn histogram(&self) -> Vec<u8> {
        self.steps.iter().flat_map(|(step, calls)| [*step].into_iter().chain(calls.to_le_bytes())).collect()
    }

    pub(super) fn stored(sum_us: u64, max_us: u64, histogram: &[u8]) -> Self {
        let mut new = Self { sum_us, max_us, steps: Vec::new() };
        for entry in histogram.chunks_exact(9) {
            let mut calls = [0; 8];
            calls.copy_from_slice(&entry[1..]);
            new.step(entry[0], u64::from_le_bytes(calls));
        }
        new
    }
}

/// The step of a duration: 0 below 128 microseconds, then four to each doubling.
fn step(us: u64) -> u8 {
    if us < 128 {
        return 0;
    }
    let octave = u64::from(us.ilog2());
    let quarter = us >> (octave - 2) & 3;
    u8::try_from((octave - 7) * 4 + quarter + 1).unwrap_or(u8::MAX)
}

/// The longest duration of a step.
fn upper(step: u8) -> u64 {
    let Some(index) = u64::from(step).checked_sub(1) else { return 127 };
    // A damaged index may name a step that no duration has.
    let (octave, quarter) = ((index / 4 + 7).min(63), index % 4);
    let width = 1_u64 << (octave - 2);
    (4 + quarter) * width + (width - 1)
}

/// Tallies that are not in the index yet.
pub(super) struct Tallies {
    quarters: Table,
    days: Table,
    months: Table,
    /// The month of the last call.
    month: (i64, i64),
}

/// One of the tables of usage.
struct Table {
    select: String,
    insert: String,
    /// The latest start in the table: what begins later is new.
    latest: i64,
    tallies: HashMap<Key, Tally>,
}

impl Tallies {
    pub(super) fn new(db: &Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            quarters: Table::new(db, "usage_quarter")?,
            days: Table::new(db, "usage_day")?,
            months: Table::new(db, "usage_month")?,
            month: (0, 0),
        })
    }

    /// Counts a call.
    pub(super) fn add(&mut self, time: i64, key: Key, bytes_in: u64, bytes_out: u64, total_us: u64) {
        if !(self.month.0..self.month.1).contains(&time) {
            self.month = month(time).unwrap_or((time, time));
        }
        let start = |length| time.div_euclid(length) * length;
        let tables = [
            (&mut self.quarters, start(QUARTER)),
            (&mut self.days, start(DAY)),
            (&mut self.months, self.month.0),
        ];
        for (table, start) in tables {
            let tally = table.tallies.entry(Key { start, ..key }).or_default();
            tally.calls += 1;
            tally.bytes_in = tally.bytes_in.saturating_add(bytes_in);
            tally.bytes_out = tally.bytes_out.saturating_add(bytes_out);
            tally.latency.add(total_us);
        }
    }

    /// Adds everything to what the index holds, and forgets it.
    pub(super) fn save(&mut self, db: &Connection) -> rusqlite::Result<()> {
        self.quarters.save(db)?;
        self.days.save(db)?;
        self.months.save(db)
    }
}

impl Table {
    fn new(db: &Connection, name: &str) -> rusqlite::Result<Self> {
        let latest = format!("SELECT start FROM {name} ORDER BY start DESC LIMIT 1");
        Ok(Self {
            select: format!(
                "SELECT calls, bytes_in, bytes_out, sum_us, max_us, histogram FROM {name} WHERE start = ? AND \
                 client = ? AND route = ? AND operation = ? AND bucket = ? AND zone = ? AND account = ? AND class = ?"
            ),
            insert: format!(
                "INSERT OR REPLACE INTO {name} (start, client, route, operation, bucket, zone, account, class, \
                 calls, bytes_in, bytes_out, sum_us, max_us, histogram) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            ),
            latest: db.query_row(&latest, [], |row| row.get(0)).optional()?.unwrap_or(i64::MIN),
            tallies: HashMap::new(),
        })
    }

    fn save(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let mut known = db.prepare_cached(&self.select)?;
        let mut write = db.prepare_cached(&self.insert)?;
        let mut tallies: Vec<(Key, Tally)> = self.tallies.drain().collect();
        // In the order of the table, so that its pages are touched once.
        tallies.sort_unstable_by_key(|(key, _)| *key);
        let latest = tallies.last().map_or(i64::MIN, |(key, _)| key.start);
        for (key, mut tally) in tallies {
            let Key { start, client, route, operation, bucket, zone, account, class } = key;
            let row = params![start, client, route, operation, bucket, zone, account, class];
            if start <= self.latest {
                let before = known.query_row(row, Tally::stored).optional()?;
                tally.merge(&before.unwrap_or_default());
            }
            let Tally { calls, bytes_in, bytes_out, latency } = tally;
            write.execute(params![
                start,
                client,
                route,
                operation,
                bucket,
                zone,
                account,
                class,
                signed(calls),
                signed(bytes_in),
                signed(bytes_out),
                signed(latency.sum_us),
                signed(latency.max_us),
                latency.histogram()
            ])?;
        }
        self.latest = self.latest.max(latest);
        Ok(())
    }
}

impl Tally {
    fn stored(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let latency = Latency::stored(unsigned(row, 3)?, unsigned(row, 4)?, row.get_ref(5)?.as_blob()?);
        Ok(Self {
            calls: unsigned(row, 0)?,
            bytes_in: unsigned(row, 1)?,
            bytes_out: unsigned(row, 2)?,
            latency,
        })
    }

    fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.bytes_in = self.bytes_in.saturating_add(other.bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(other.bytes_out);
        self.latency.merge(&other.latency);
    }
}

/// SQLite's numbers are signed; what does not fit is the greatest that does.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_lies_in_its_step_and_the_scale_is_fine_enough() {
        assert!((0..5000).is_sorted_by_key(step));
        for us in (0..5000).chain((1..36).flat_map(|power| [(1 << power) - 1, 1 << power, (1 << power) + 1]))
        {
            let top = upper(step(us));
            assert!(us <= top && (us < 128 || top <= us + us / 4), "{us}: {top}");
        }
        assert!(step(u64::MAX) > step(1 << 40));
        assert!(upper(step(u64::MAX)) > 1 << 62);
    }

    #[test]
    fn percentiles_are_close_and_survive_storing() {
        let mut latency = Latency::default();
        assert_eq!(latency.percentile(50), 0);
        for us in 1..=100_000 {
            latency.add(us);
        }
        let stored = Latency::stored(latency.sum_us, latency.max_us, &latency.histogram());
        assert_eq!(stored, latency);
        for (percent, exact) in [(50, 50_000), (90, 90_000), (99, 99_000), (100, 100_000)] {
            let found = stored.percentile(percent);
            assert!((exact..=exact + exact / 4).contains(&found), "{percent}: {found}");
        }
        let mut twice = latency.clone();
        twice.merge(&latency);
        assert_eq!((twice.sum_us, twice.percentile(50)), (2 * latency.sum_us, latency.percentile(50)));
    }
}
