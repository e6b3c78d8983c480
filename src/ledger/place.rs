//! How far the index has read each segment.

use std::collections::HashMap;

use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};

use super::catch_up::Stop;
use super::read::Lines;
use super::segment::Segment;
use super::tally::{signed, unsigned};

/// What the index knows, by the identity of segments.
pub(super) struct Known(pub(super) HashMap<[u8; 32], KnownSegment>);

/// What the index knows of a segment.
pub(super) struct KnownSegment {
    pub(super) id: i64,
    done: u64,
    metered: u64,
    last: u64,
    digest: Option<[u8; 32]>,
    pub(super) complete: bool,
    pub(super) gone: bool,
    pub(super) rows: Option<(i64, i64)>,
    malformed: i64,
}

impl Known {
    pub(super) fn load(db: &Connection) -> rusqlite::Result<Self> {
        let mut found = HashMap::new();
        let mut rows = db.prepare(
            "SELECT id, done, metered, last, digest, complete, gone, first_row, last_row, identity, malformed \
             FROM segment",
        )?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let number = |column| unsigned(row, column);
            let rows = row.get::<_, Option<i64>>(7)?.zip(row.get::<_, Option<i64>>(8)?);
            let known = KnownSegment {
                id: row.get(0)?,
                done: number(1)?,
                metered: number(2)?,
                last: number(3)?,
                digest: row.get(4)?,
                complete: row.get(5)?,
                gone: row.get(6)?,
                rows,
                malformed: row.get(10)?,
            };
            found.insert(row.get(9)?, known);
        }
        Ok(Self(found))
    }
}

impl KnownSegment {
    /// Where the reading stopped, if the last line that was read is still there.
    pub(super) fn resume(&self, segment: &Segment) -> Result<(Place, Lines), Stop> {
        let record = |error| Stop::Record(segment.path.clone(), error);
        let mut lines = Lines::open_at(&segment.path, self.last).map_err(record)?;
        if let Some(digest) = self.digest {
            let same = match lines.complete().map_err(record)? {
                Some(line) => Sha256::digest(line.bytes)[..] == digest,
                None => false,
            };
            if !same || lines.at() != self.done {
                return Err(Stop::Changed);
            }
        }
        let place = Place {
            id: self.id,
            done: self.done,
            metered: self.metered,
            last: self.last,
            digest: self.digest,
            malformed: self.malformed,
            rows: self.rows,
            returned: self.gone || self.metered > self.done,
        };
        Ok((place, lines))
    }
}

/// How far a segment is read.
pub(super) struct Place {
    pub(super) id: i64,
    pub(super) done: u64,
    /// How far its calls are counted as usage; beyond `done` where the segment was gone.
    pub(super) metered: u64,
    /// Where the last line that was read begins, and what it is.
    pub(super) last: u64,
    pub(super) digest: Option<[u8; 32]>,
    pub(super) malformed: i64,
    pub(super) rows: Option<(i64, i64)>,
    /// Whether the segment was gone and is back, perhaps by and by, so that later calls are in the index already.
    pub(super) returned: bool,
}

impl Place {
    /// The beginning of a segment that the index has not seen.
    pub(super) fn new(db: &Connection, segment: &Segment) -> rusqlite::Result<Self> {
        let insert = "INSERT INTO segment (identity, name) VALUES (?, '') RETURNING id";
        let id = db.query_row(insert, params![segment.identity], |row| row.get(0))?;
        Ok(Self { id, done: 0, metered: 0, last: 0, digest: None, malformed: 0, rows: None, returned: false })
    }

    /// Writes it down.
    pub(super) fn save(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let (first, last) = self.rows.unzip();
        self.metered = self.metered.max(self.done);
        let mut update = db.prepare_cached(
            "UPDATE segment SET done = ?, metered = ?, last = ?, digest = ?, first_row = ?, last_row = ?, \
             malformed = ? WHERE id = ?",
        )?;
        update.execute(params![
            signed(self.done),
            signed(self.metered),
            signed(self.last),
            self.digest,
            first,
            last,
            self.malformed,
            self.id
        ])?;
        Ok(())
    }
}
