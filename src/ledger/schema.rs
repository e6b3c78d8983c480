//! The tables of the index, and the marks by which a file is known to be one.

use rusqlite::Connection;

/// `application_id` of an index, at byte 68 of its file: `csix`.
pub(super) const APPLICATION: i32 = 0x6373_6978;

/// `user_version`: the number of this schema; an index that is not finished has 0. Another number is made anew.
pub(super) const VERSION: i32 = 2;

/// Where a segment's lines were read to, the words that calls share, calls, what calls are about, and usage.
///
/// `segment.metered` is how far its calls are counted as usage: counts outlive a segment, and must not be made
/// twice should it come back. `call.record` is 0 for an intent whose outcome is not recorded, 1 for an outcome, 2
/// for an intent whose outcome was recorded after the index had taken it: no question finds it.
const TABLES: &str = "
CREATE TABLE segment (
    id INTEGER PRIMARY KEY, identity BLOB NOT NULL UNIQUE, name TEXT NOT NULL,
    done INTEGER NOT NULL DEFAULT 0, metered INTEGER NOT NULL DEFAULT 0,
    last INTEGER NOT NULL DEFAULT 0, digest BLOB,
    complete INTEGER NOT NULL DEFAULT 0, gone INTEGER NOT NULL DEFAULT 0,
    malformed INTEGER NOT NULL DEFAULT 0, broken TEXT,
    first_row INTEGER, last_row INTEGER
);
CREATE TABLE word (
    id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, text TEXT NOT NULL, calls INTEGER NOT NULL, UNIQUE (kind, text)
);
CREATE TABLE call (
    row INTEGER PRIMARY KEY, time INTEGER NOT NULL, record INTEGER NOT NULL,
    client INTEGER NOT NULL, route INTEGER NOT NULL, operation INTEGER NOT NULL, source INTEGER NOT NULL,
    status INTEGER NOT NULL, refused INTEGER NOT NULL, error INTEGER NOT NULL,
    bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL, total_us INTEGER NOT NULL,
    segment INTEGER NOT NULL, at INTEGER NOT NULL, length INTEGER NOT NULL,
    request BLOB NOT NULL, resource TEXT NOT NULL
);
CREATE TABLE resource (text TEXT NOT NULL, time INTEGER NOT NULL, row INTEGER NOT NULL);
";

/// Usage is counted three times, by quarters of an hour, days and months (UTC), so that what is long need not be added
/// up from thousands of what is short.
const USAGE: &str = "
CREATE TABLE NAME (
    start INTEGER NOT NULL, client INTEGER NOT NULL, route INTEGER NOT NULL, operation INTEGER NOT NULL,
    bucket INTEGER NOT NULL, zone INTEGER NOT NULL, account INTEGER NOT NULL, class INTEGER NOT NULL,
    calls INTEGER NOT NULL, bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL,
    sum_us INTEGER NOT NULL, max_us INTEGER NOT NULL, histogram BLOB NOT NULL,
    PRIMARY KEY (start, client, route, operation, bucket, zone, account, class)
) WITHOUT ROWID;
";

/// What makes questions quick; made after a first load, when sorting once is cheaper than keeping order.
/// Most hold the words that filters ask about, so that what is filtered out is never looked up.
pub(super) const INDICES: [&str; 10] = [
    "CREATE INDEX by_time ON call (time, client, operation, route, status, source)",
    "CREATE INDEX by_client ON call (client, time, operation, route, status, source)",
    "CREATE INDEX by_operation ON call (operation, time, client, route, status, source)",
    "CREATE INDEX by_route ON call (route, time, client, operation, status, source)",
    "CREATE INDEX by_source ON call (source, time)",
    "CREATE INDEX by_failure ON call (time, status, client, operation, route, source) WHERE status >= 400",
    "CREATE INDEX by_refusal ON call (time, client, operation, route, status, source) WHERE refused = 1",
    "CREATE INDEX by_open ON call (request) WHERE record = 0",
    "CREATE INDEX by_request ON call (request)",
    "CREATE INDEX by_resource ON resource (text, time, row)",
];

/// Settings of a connection that builds an index from nothing: until it is finished, nobody else uses it, and a
/// crash means beginning again.
const BUILDING: &str = "
PRAGMA page_size = 8192;
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -131072;
";

/// Settings of a connection that asks and adds.
const ASKING: &str = "
PRAGMA locking_mode = NORMAL;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA cache_size = -65536;
";

/// Makes an empty index.
pub(super) fn create(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(BUILDING)?;
    db.pragma_update(None, "application_id", APPLICATION)?;
    db.execute_batch(TABLES)?;
    for name in ["usage_quarter", "usage_day", "usage_month"] {
        db.execute_batch(&USAGE.replace("NAME", name))?;
    }
    Ok(())
}

/// Says that an index is whole.
pub(super) fn finish(db: &Connection) -> rusqlite::Result<()> {
    db.pragma_update(None, "user_version", VERSION)
}

/// Prepares a connection to a whole index.
pub(super) fn ready(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(ASKING)
}
