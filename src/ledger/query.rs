//! Questions to an index: which calls a [`Filter`] covers, in the order of their arrival.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, params_from_iter};

use super::Error;
use super::fetch::Fetch;
use super::filter::Filter;
use super::id::RequestId;
use super::index::Index;
use super::line::{Kind, Line};
use super::tally::unsigned;
use super::text::ascii_json;
use super::words::Kind as Word;

/// A call, as a table shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Arrival, in microseconds since 1970.
    pub time: i64,
    /// Its id, as the caller got it with the answer.
    pub request: String,
    /// Whether only its intent is recorded: it may still run, or nobody knows how it ended.
    pub open: bool,
    /// The client.
    pub client: String,
    /// The route.
    pub route: String,
    /// The operation.
    pub operation: String,
    /// The call's own resource.
    pub resource: String,
    /// Where the caller was.
    pub source: String,
    /// The status that the caller got; 0 when there was none.
    pub status: u16,
    /// Our own code, when the answer is ours.
    pub error: String,
    /// Microseconds from arrival to the last byte.
    pub total_us: u64,
}

impl Call {
    /// A call from its line; nothing where the line is of no call.
    pub fn of(line: &Line<'_>) -> Option<Self> {
        Some(Self {
            time: line.time()?,
            request: RequestId::of(&line.request_id).to_string(),
            open: match line.kind()? {
                Kind::Note => return None,
                Kind::Intent => true,
                Kind::Outcome => false,
            },
            client: line.client().to_owned(),
            route: line.extra.route.to_string(),
            operation: line.operation().to_owned(),
            resource: line.resource().to_owned(),
            source: line.source.to_string(),
            status: line.extra.status,
            error: line.error_code.to_string(),
            total_us: line.total_us(),
        })
    }
}

/// Whether to go on after a call.
pub type More = std::ops::ControlFlow<()>;

/// How one condition narrows the calls down.
struct Narrow {
    /// The order that finds them.
    index: &'static str,
    /// How many calls of all it leaves, about.
    calls: f64,
    /// Whether that order is by time as well.
    by_time: bool,
}

/// The conditions of a question as SQL.
#[derive(Default)]
struct Sql {
    conditions: Vec<String>,
    values: Vec<Value>,
    narrows: Vec<Narrow>,
    /// No call can match.
    nothing: bool,
}

const COLUMNS: &str = "call.time, call.record, call.client, call.route, call.operation, call.resource, call.source, \
                       call.status, call.error, call.total_us, call.segment, call.at, call.length, call.request";

impl Index {
    /// Gives every call that is asked for to `each`, in the order of arrival. With a limit, only the latest so many.
    ///
    /// # Errors
    /// The index, or what `each` says.
    pub fn calls(
        &self,
        filter: &Filter,
        limit: Option<usize>,
        mut each: impl FnMut(Call) -> Result<More, Error>,
    ) -> Result<(), Error> {
        let mut names = Names::default();
        self.rows(filter, limit, |row| {
            let call = names.call(self, row).map_err(|error| self.error(&error))?;
            each(call)
        })
    }

    /// As [`Self::calls`], with the line of each call as it stands in the record, in printable ASCII.
    ///
    /// # Errors
    /// The index, the record, or what `each` says. [`Error::Damaged`] when a line is not the call's.
    pub fn lines(
        &self,
        filter: &Filter,
        limit: Option<usize>,
        mut each: impl FnMut(&str) -> Result<More, Error>,
    ) -> Result<(), Error> {
        let mut fetch = Fetch::new(&self.log)?;
        let mut identities = std::collections::HashMap::new();
        self.rows(filter, limit, |row| {
            let fail = |error| self.error(&error);
            let segment: i64 = row.get(10).map_err(fail)?;
            let identity = if let Some(identity) = identities.get(&segment) {
                *identity
            } else {
                let find = "SELECT identity FROM segment WHERE id = ?";
                let identity = self.db.query_row(find, [segment], |row| row.get(0)).map_err(fail)?;
                identities.insert(segment, identity);
                identity
            };
            let (at, length) = (unsigned(row, 11).map_err(fail)?, row.get(12).map_err(fail)?);
            let bytes = fetch.line(identity, at, length)?;
            let same = Line::read(&bytes).is_some_and(|line| {
                row.get::<_, RequestId>(13).is_ok_and(|id| id == RequestId::of(&line.request_id))
            });
            match std::str::from_utf8(&bytes) {
                Ok(text) if same => each(&ascii_json(text)),
                _ => Err(self.damaged()),
            }
        })
    }

    fn rows(
        &self,
        filter: &Filter,
        limit: Option<usize>,
        mut each: impl FnMut(&Row<'_>) -> Result<More, Error>,
    ) -> Result<(), Error> {
        let fail = |error| self.error(&error);
        let Some((select, values)) = self.select(filter, limit).map_err(fail)? else { return Ok(()) };
        tracing::debug!(select, "question");
        let mut select = self.db.prepare(&select).map_err(fail)?;
        let mut rows = select.query(params_from_iter(values)).map_err(fail)?;
        while let Some(row) = rows.next().map_err(fail)? {
            if each(row)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The statement that answers a question; nothing where no call can match.
    fn select(
        &self,
        filter: &Filter,
        limit: Option<usize>,
    ) -> rusqlite::Result<Option<(String, Vec<Value>)>> {
        let mut sql = Sql::default();
        let all = self.db.query_row("SELECT coalesce(max(row), 0) FROM call", [], |row| row.get(0))?;
        let span = self.span(filter, all)?;
        self.words(&mut sql, Word::Client, &filter.clients, |name| {
            filter.clients.iter().any(|is| is == name)
        })?;
        self.words(&mut sql, Word::Route, &filter.routes, |name| filter.routes.iter().any(|is| is == name))?;
        self.words(&mut sql, Word::Operation, &filter.operations, |name| filter.matches_operation(name))?;
        self.words(&mut sql, Word::Source, &filter.sources, |name| filter.matches_source(name))?;
        if sql.nothing {
            return Ok(None);
        }
        if !filter.statuses.is_empty() {
            let ranges: Vec<String> = filter
                .statuses
                .iter()
                .map(|statuses| {
                    format!("call.status BETWEEN {} AND {}", statuses.0.start(), statuses.0.end())
                })
                .collect();
            sql.conditions.push(format!("({})", ranges.join(" OR ")));
            if filter.statuses.iter().all(|statuses| *statuses.0.start() >= 400) {
                sql.conditions.push("call.status >= 400".to_owned());
                let failed = self.counted(
                    "SELECT count(*) FROM (SELECT 1 FROM call INDEXED BY by_failure \
                    WHERE status >= 400 LIMIT 1000000)",
                )?;
                sql.narrows.push(Narrow { index: "by_failure", calls: failed, by_time: true });
            }
        }
        if filter.refused {
            sql.conditions.push("call.refused = 1".to_owned());
            let refused = self.counted(
                "SELECT count(*) FROM (SELECT 1 FROM call INDEXED BY by_refusal \
                WHERE refused = 1 LIMIT 1000000)",
            )?;
            sql.narrows.push(Narrow { index: "by_refusal", calls: refused, by_time: true });
        }
        for (time, condition) in [(filter.since, "call.time >= ?"), (filter.until, "call.time < ?")] {
            if let Some(time) = time {
                sql.conditions.push(condition.to_owned());
                sql.values.push(time.into());
            }
        }
        if let Some(prefix) = &filter.resource {
            let (range, values) = beginning_with(prefix);
            sql.conditions.push(format!("call.row IN (SELECT row FROM resource WHERE {range})"));
            sql.values.extend(values.clone());
            let count = format!("SELECT count(*) FROM (SELECT 1 FROM resource WHERE {range} LIMIT 1000000)");
            let calls = self.db.query_row(&count, params_from_iter(values), |row| row.get(0))?;
            sql.narrows.push(Narrow { index: "", calls, by_time: false });
        }
        if let Some(id) = &filter.request {
            sql.conditions.push("call.request = ?".to_owned());
            sql.values.push(RequestId::of(id).into());
            sql.narrows.push(Narrow { index: "by_request", calls: 0.0, by_time: false });
        }
        sql.conditions.push("call.record < 2".to_owned());
        let index = sql.cheapest(all, span, limit);
        let indexed =
            if index.is_empty() { " NOT INDEXED".to_owned() } else { format!(" INDEXED BY {index}") };
        let conditions = sql.conditions.join(" AND ");
        let inner = format!("SELECT {COLUMNS}, call.row AS row FROM call{indexed} WHERE {conditions}");
        let select = match limit {
            None => format!("{inner} ORDER BY call.time, call.row"),
            Some(limit) => format!(
                "SELECT * FROM ({inner} ORDER BY call.time DESC, call.row DESC LIMIT {limit}) ORDER BY time, row"
            ),
        };
        Ok(Some((select, sql.values)))
    }

    /// How many calls lie in the time that is asked for, about: rows are numbered nearly in the order of arrival.
    fn span(&self, filter: &Filter, all: f64) -> rusqlite::Result<f64> {
        let row = |time: Option<i64>, otherwise: f64| {
            let Some(time) = time else { return Ok(otherwise) };
            let find = "SELECT row FROM call INDEXED BY by_time WHERE time >= ? ORDER BY time LIMIT 1";
            Ok::<f64, rusqlite::Error>(
                self.db.query_row(find, [time], |row| row.get(0)).optional()?.unwrap_or(all),
            )
        };
        Ok((row(filter.until, all)? - row(filter.since, 0.0)?).max(1.0))
    }

    fn counted(&self, count: &str) -> rusqlite::Result<f64> {
        self.db.query_row(count, [], |row| row.get(0))
    }

    /// Adds the condition that a call's word of this kind is one of those that match.
    fn words<T>(
        &self,
        sql: &mut Sql,
        kind: Word,
        asked: &[T],
        matches: impl Fn(&str) -> bool,
    ) -> rusqlite::Result<()> {
        if asked.is_empty() {
            return Ok(());
        }
        let (ids, calls) = self.word_ids(kind, matches)?;
        let (column, index) = match kind {
            Word::Client => ("client", "by_client"),
            Word::Route => ("route", "by_route"),
            Word::Operation => ("operation", "by_operation"),
            _ => ("source", "by_source"),
        };
        sql.nothing |= ids.is_empty();
        let by_time = ids.len() == 1;
        sql.conditions.push(format!("call.{column} {}", one_of(&ids)));
        sql.narrows.push(Narrow { index, calls, by_time });
        Ok(())
    }

    /// The numbers of the words that match, and how many calls use them.
    pub(super) fn word_ids(
        &self,
        kind: Word,
        matches: impl Fn(&str) -> bool,
    ) -> rusqlite::Result<(Vec<i64>, f64)> {
        let (mut ids, mut calls) = (Vec::new(), 0.0);
        let mut rows = self.db.prepare_cached("SELECT id, text, calls FROM word WHERE kind = ?")?;
        let mut rows = rows.query([kind as i64])?;
        while let Some(row) = rows.next()? {
            if matches(row.get_ref(1)?.as_str()?) {
                ids.push(row.get(0)?);
                calls += row.get::<_, f64>(2)?;
            }
        }
        Ok((ids, calls))
    }
}

impl Sql {
    /// The order to go through so that the fewest calls are looked at, as far as counts can tell.
    ///
    /// A condition on one word gives its calls by time, and a limit ends that early; one on several words must see
    /// them all. Going by time alone sees every call of the span, or ends early where enough of them match.
    fn cheapest(&self, all: f64, span: f64, limit: Option<usize>) -> &'static str {
        let share = |narrow: &Narrow| (narrow.calls / all.max(1.0)).clamp(1e-9, 1.0);
        let every: f64 = self.narrows.iter().map(share).product();
        // Conditions go together more often than chance has it.
        let wanted = limit.map_or(f64::INFINITY, |limit| 10.0 * limit_as_number(limit));
        let mut best = ("by_time", span.min(wanted / every));
        for narrow in &self.narrows {
            let early = if narrow.by_time { wanted * share(narrow) / every } else { f64::INFINITY };
            let in_span = if narrow.by_time { narrow.calls * span / all.max(1.0) } else { narrow.calls };
            let cost = in_span.min(early) * if narrow.by_time { 1.0 } else { 3.0 };
            if cost < best.1 {
                best = (narrow.index, cost);
            }
        }
        best.0
    }
}

#[allow(clippy::cast_precision_loss, reason = "an estimate")]
fn limit_as_number(limit: usize) -> f64 {
    limit as f64
}

/// `= 1` or `IN (1,2)`. Numbers of our own making, so they may stand in the text.
pub(super) fn one_of(ids: &[i64]) -> String {
    match ids {
        [id] => format!("= {id}"),
        ids => {
            let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
            format!("IN (SELECT value FROM json_each('[{}]'))", ids.join(","))
        }
    }
}

/// The range of texts that begin with `prefix`, in the order of their bytes.
fn beginning_with(prefix: &str) -> (&'static str, Vec<Value>) {
    let mut end: Vec<char> = prefix.chars().collect();
    while let Some(last) = end.pop() {
        // The next letter, over the gap of the surrogates; behind the last letter of all, one place before.
        let next = u32::from(last) + 1;
        if let Some(next) = char::from_u32(if next == 0xd800 { 0xe000 } else { next }) {
            end.push(next);
            let end: String = end.into_iter().collect();
            return ("text >= ? AND text < ?", vec![prefix.to_owned().into(), end.into()]);
        }
    }
    ("text >= ?", vec![prefix.to_owned().into()])
}

/// The words behind the numbers, as they were met.
#[derive(Default)]
struct Names(std::collections::HashMap<i64, String>);

impl Names {
    fn of(&mut self, index: &Index, id: i64) -> rusqlite::Result<String> {
        if let Some(text) = self.0.get(&id) {
            return Ok(text.clone());
        }
        let mut find = index.db.prepare_cached("SELECT text FROM word WHERE id = ?")?;
        let text: String = find.query_row([id], |row| row.get(0))?;
        self.0.insert(id, text.clone());
        Ok(text)
    }

    fn call(&mut self, index: &Index, row: &Row<'_>) -> rusqlite::Result<Call> {
        Ok(Call {
            time: row.get(0)?,
            request: row.get::<_, RequestId>(13)?.to_string(),
            open: row.get::<_, i64>(1)? == 0,
            client: self.of(index, row.get(2)?)?,
            route: self.of(index, row.get(3)?)?,
            operation: self.of(index, row.get(4)?)?,
            resource: row.get(5)?,
            source: self.of(index, row.get(6)?)?,
            status: row.get(7)?,
            error: self.of(index, row.get(8)?)?,
            total_us: unsigned(row, 9)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_what_begins_so_and_nothing_else() {
        let last = char::MAX;
        let texts = [
            "",
            "a",
            "a/",
            "a/b",
            "a0",
            "b",
            "\u{7f}",
            "\u{d7ff}",
            "\u{d7ff}x",
            "\u{e000}",
            "\u{ffff}",
            "\u{10000}",
            &format!("{last}"),
            &format!("{last}{last}"),
            &format!("{last}a"),
            &format!("a{last}"),
            &format!("a{last}b"),
        ];
        for prefix in texts {
            let (_, ends) = beginning_with(prefix);
            let ends: Vec<&str> = ends
                .iter()
                .filter_map(|end| if let Value::Text(end) = end { Some(end.as_str()) } else { None })
                .collect();
            for text in texts {
                let inside = ends[0] <= text && ends.get(1).is_none_or(|end| text < *end);
                assert_eq!(inside, text.starts_with(prefix), "{prefix:?} {text:?}");
            }
        }
    }
}
