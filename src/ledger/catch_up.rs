//! Bringing an index up to date: every line that it has not seen, once.
//!
//! Lines are taken in batches, one transaction each: an index that was interrupted goes on where it was. A call is
//! one row: its intent until the outcome is there, then the outcome.

use std::collections::HashMap;
use std::io;

use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};

use super::again::Again;
use super::id::RequestId;
use super::index::Step;
use super::line::{Kind, Line};
use super::place::{Known, KnownSegment, Place};
use super::read::Lines;
use super::segment::Segment;
use super::tally::{Key, Tallies, signed};
use super::words::{Kind as Word, Words};

/// Lines of one transaction.
const BATCH: usize = 100_000;

/// Why an index could not catch up.
pub(super) enum Stop {
    /// SQLite.
    Index(rusqlite::Error),
    /// A segment is not what it was when it was read: the index is of another record, or the record was changed.
    Changed,
    /// A segment cannot be read.
    Record(std::path::PathBuf, io::Error),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Index(error)
    }
}

/// Reads what is new in `segments` into the index.
pub(super) fn catch_up(
    db: &Connection,
    segments: &[Segment],
    progress: &mut dyn FnMut(Step),
) -> Result<(), Stop> {
    let known = Known::load(db)?;
    let present = segments.iter().any(|segment| known.0.contains_key(&segment.identity));
    if !present && known.0.values().any(|known| !known.gone) {
        return Err(Stop::Changed);
    }
    let gone: Vec<(i64, Option<(i64, i64)>)> = known
        .0
        .iter()
        .filter(|(identity, known)| !known.gone && segments.iter().all(|here| here.identity != **identity))
        .map(|(_, known)| (known.id, known.rows))
        .collect();
    let work: Vec<(usize, Option<&KnownSegment>)> = segments
        .iter()
        .map(|segment| known.0.get(&segment.identity))
        .enumerate()
        .filter(|(_, known)| known.is_none_or(|known| !known.complete))
        .collect();
    if !gone.is_empty() {
        let batch = db.unchecked_transaction()?;
        for (id, rows) in gone {
            forget(db, id, rows)?;
        }
        batch.commit()?;
    }
    if work.is_empty() {
        return Ok(());
    }
    let total = work.iter().map(|(number, _)| segments[*number].size).sum();
    let mut reading = Reading::new(db, total)?;
    for (number, known) in work {
        let segment = &segments[number];
        let again = Again::before(segment, &segments[..number]);
        reading.again = again.map_err(|error| Stop::Record(segment.path.clone(), error))?;
        reading.segment(segment, known, progress)?;
    }
    Ok(())
}

/// Takes the calls of a deleted segment out; what they added up to stays counted.
fn forget(db: &Connection, id: i64, rows: Option<(i64, i64)>) -> rusqlite::Result<()> {
    if let Some((first, last)) = rows {
        db.execute("DELETE FROM resource WHERE row BETWEEN ? AND ?", params![first, last])?;
        db.execute("DELETE FROM call WHERE row BETWEEN ? AND ?", params![first, last])?;
    }
    let forgotten = "UPDATE segment SET gone = 1, done = 0, last = 0, digest = NULL, complete = 0, \
                     first_row = NULL, last_row = NULL WHERE id = ?";
    db.execute(forgotten, [id]).map(|_| ())
}

struct Reading<'d> {
    db: &'d Connection,
    words: Words,
    tallies: Tallies,
    /// Calls whose outcome has not been met.
    open: HashMap<RequestId, Open>,
    /// What of the segment was read in the one before.
    again: Again,
    next_row: i64,
    lines: u64,
    bytes: u64,
    total: u64,
}

/// An intent.
enum Open {
    /// Its row is in the index.
    Written(i64),
    /// It was met in this batch, and most likely its outcome will be.
    Met(Box<Call>),
}

/// A row of `call`, and what it is about.
struct Call {
    time: i64,
    record: i64,
    client: i64,
    route: i64,
    operation: i64,
    source: i64,
    error: i64,
    status: u16,
    refused: bool,
    bytes_in: u64,
    bytes_out: u64,
    total_us: u64,
    at: u64,
    length: usize,
    request: RequestId,
    resources: Vec<Box<str>>,
}

impl<'d> Reading<'d> {
    fn new(db: &'d Connection, total: u64) -> rusqlite::Result<Self> {
        let next_row = db.query_row("SELECT coalesce(max(row), 0) + 1 FROM call", [], |row| row.get(0))?;
        let mut open = HashMap::new();
        let mut rows = db.prepare("SELECT request, row FROM call WHERE record = 0")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            open.insert(row.get(0)?, Open::Written(row.get(1)?));
        }
        let words = Words::load(db)?;
        let tallies = Tallies::new(db)?;
        Ok(Self { db, words, tallies, open, again: Again::default(), next_row, lines: 0, bytes: 0, total })
    }

    fn segment(
        &mut self,
        segment: &Segment,
        known: Option<&KnownSegment>,
        progress: &mut dyn FnMut(Step),
    ) -> Result<(), Stop> {
        let record = |error| Stop::Record(segment.path.clone(), error);
        let (mut place, mut lines) = match known {
            Some(known) => known.resume(segment)?,
            None => (Place::new(self.db, segment)?, segment.lines().map_err(record)?),
        };
        let name = segment.path.file_name().unwrap_or_default().to_string_lossy();
        self.db.execute("UPDATE segment SET gone = 0, name = ? WHERE id = ?", params![name, place.id])?;
        let broken = loop {
            match self.batch(&mut lines, &mut place)? {
                Ok(true) => {}
                Ok(false) => break None,
                // What lies behind a fault in a compressed file cannot be had; what lies before it is taken.
                Err(error) if segment.compressed => break Some(error.to_string()),
                Err(error) => return Err(record(error)),
            }
            let bytes = self.bytes + lines.consumed().min(segment.size);
            progress(Step::Reading { bytes, of: self.total, lines: self.lines });
        };
        self.bytes += segment.size;
        progress(Step::Reading { bytes: self.bytes, of: self.total, lines: self.lines });
        if segment.compressed {
            let complete = "UPDATE segment SET complete = 1, broken = ? WHERE id = ?";
            self.db.execute(complete, params![broken, place.id])?;
        }
        Ok(())
    }

    /// Takes the next lines in one transaction; whether there may be more. The inner error is the segment's, after
    /// the lines before it were taken.
    fn batch(&mut self, lines: &mut Lines, place: &mut Place) -> Result<io::Result<bool>, Stop> {
        let transaction = self.db.unchecked_transaction()?;
        let mut taken = 0;
        let mut last = Vec::new();
        let end = loop {
            if taken == BATCH {
                break Ok(true);
            }
            match lines.complete() {
                Ok(Some(line)) => {
                    place.last = line.at;
                    last.clear();
                    last.extend_from_slice(line.bytes);
                    if !self.line(line.at, line.bytes, place)? {
                        place.malformed += 1;
                    }
                }
                end => break end.map(|_| false),
            }
            taken += 1;
        };
        self.lines += taken as u64;
        if taken > 0 {
            place.done = lines.at();
            place.digest = Some(Sha256::digest(&last).into());
            self.save(place)?;
        }
        transaction.commit()?;
        Ok(end)
    }

    /// Takes one line; whether it is one of ours.
    fn line(&mut self, at: u64, bytes: &[u8], place: &mut Place) -> rusqlite::Result<bool> {
        let Some(line) = Line::read(bytes) else { return Ok(false) };
        let record = match line.kind() {
            Some(Kind::Note) => return Ok(true),
            Some(Kind::Intent) => 0,
            Some(Kind::Outcome) => 1,
            None => return Ok(false),
        };
        let Some(time) = line.time() else { return Ok(false) };
        if self.again.holds(&line) {
            return Ok(true);
        }
        let mut resources: Vec<Box<str>> =
            line.resources.iter().map(|resource| (*resource.name).into()).collect();
        if resources.len() > 2 {
            resources[1..].sort_unstable();
        }
        resources.dedup();
        let call = Call {
            time,
            record,
            client: self.words.count(Word::Client, line.client()),
            route: self.words.count(Word::Route, &line.extra.route),
            operation: self.words.count(Word::Operation, line.operation()),
            source: self.words.count(Word::Source, &line.source),
            error: self.words.count(Word::Error, &line.error_code),
            status: line.extra.status,
            refused: line.refused(),
            bytes_in: line.extra.bytes_in,
            bytes_out: line.extra.bytes_out,
            total_us: line.total_us(),
            at,
            length: bytes.len(),
            request: RequestId::of(&line.request_id),
            resources,
        };
        if record == 0 {
            self.open.insert(call.request.clone(), Open::Met(Box::new(call)));
            return Ok(true);
        }
        if let Some(Open::Written(row)) = self.open.remove(&call.request) {
            self.db.prepare_cached("UPDATE call SET record = 2 WHERE row = ?")?.execute([row])?;
        }
        if at >= place.metered {
            self.meter(&call, &line);
        }
        self.insert(&call, place)?;
        Ok(true)
    }

    fn meter(&mut self, call: &Call, line: &Line<'_>) {
        let (zone, account) = line.zone_and_account();
        let key = Key {
            start: 0,
            client: call.client,
            route: call.route,
            operation: call.operation,
            bucket: self.words.count(Word::Bucket, line.bucket()),
            zone: self.words.count(Word::Zone, &zone),
            account: self.words.count(Word::Account, &account),
            class: call.status / 100,
        };
        self.tallies.add(call.time, key, call.bytes_in, call.bytes_out, call.total_us);
    }

    /// Writes a call's row.
    fn insert(&mut self, call: &Call, place: &mut Place) -> rusqlite::Result<i64> {
        let row = self.next_row;
        self.next_row += 1;
        place.rows = Some((place.rows.map_or(row, |(first, _)| first), row));
        let resource = call.resources.first().map_or("", |first| first);
        let mut insert = self.db.prepare_cached(
            "INSERT INTO call (row, time, record, client, route, operation, source, status, refused, error, \
             bytes_in, bytes_out, total_us, segment, at, length, request, resource) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        insert.execute(params![
            row,
            call.time,
            call.record,
            call.client,
            call.route,
            call.operation,
            call.source,
            call.status,
            call.refused,
            call.error,
            signed(call.bytes_in),
            signed(call.bytes_out),
            signed(call.total_us),
            place.id,
            signed(call.at),
            signed(call.length as u64),
            call.request,
            resource
        ])?;
        for resource in call.resources.iter().filter(|resource| !resource.is_empty()) {
            let mut insert =
                self.db.prepare_cached("INSERT INTO resource (text, time, row) VALUES (?, ?, ?)")?;
            insert.execute(params![resource, call.time, row])?;
        }
        Ok(row)
    }

    /// Whether the outcome of a call is in the index.
    fn ended(&self, request: &RequestId) -> rusqlite::Result<bool> {
        self.db.prepare_cached("SELECT 1 FROM call WHERE request = ? AND record = 1")?.exists([request])
    }

    /// Writes what the lines of a batch came to.
    fn save(&mut self, place: &mut Place) -> rusqlite::Result<()> {
        let mut met = Vec::new();
        for (request, open) in &mut self.open {
            if let Open::Met(_) = open
                && let Open::Met(call) = std::mem::replace(open, Open::Written(0))
            {
                met.push((request.clone(), call));
            }
        }
        // In the order of the record, whatever that of the map.
        met.sort_unstable_by_key(|(_, call)| call.at);
        for (request, call) in met {
            if place.returned && self.ended(&request)? {
                self.open.remove(&request);
                continue;
            }
            let row = self.insert(&call, place)?;
            self.open.insert(request, Open::Written(row));
        }
        self.words.save(self.db)?;
        self.tallies.save(self.db)?;
        place.save(self.db)
    }
}
