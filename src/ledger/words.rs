//! The words that many calls share, as numbers: names of clients, routes, operations, and so on.

use std::collections::HashMap;

use rusqlite::{Connection, params};

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Client,
    Route,
    Operation,
    Source,
    Error,
    Bucket,
    Zone,
    Account,
}

const KINDS: usize = 8;

struct Word {
    id: i64,
    calls: i64,
    changed: bool,
    new: bool,
}

/// All words, in memory while the index catches up.
pub(super) struct Words {
    kinds: [HashMap<Box<str>, Word>; KINDS],
    next: i64,
}

impl Words {
    pub(super) fn load(db: &Connection) -> rusqlite::Result<Self> {
        let mut new = Self { kinds: Default::default(), next: 1 };
        let mut rows = db.prepare("SELECT id, kind, text, calls FROM word")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let (id, kind): (i64, u8) = (row.get(0)?, row.get(1)?);
            let word = Word { id, calls: row.get(3)?, changed: false, new: false };
            if let Some(words) = new.kinds.get_mut(usize::from(kind)) {
                words.insert(row.get::<_, String>(2)?.into(), word);
            }
            new.next = new.next.max(id + 1);
        }
        Ok(new)
    }

    /// The number of a word that one more call uses.
    pub(super) fn count(&mut self, kind: Kind, text: &str) -> i64 {
        let words = &mut self.kinds[kind as usize];
        if let Some(word) = words.get_mut(text) {
            (word.calls, word.changed) = (word.calls + 1, true);
            return word.id;
        }
        let id = self.next;
        self.next += 1;
        words.insert(text.into(), Word { id, calls: 1, changed: false, new: true });
        id
    }

    /// Writes what changed.
    pub(super) fn save(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let mut insert = db.prepare_cached("INSERT INTO word (id, kind, text, calls) VALUES (?, ?, ?, ?)")?;
        let mut update = db.prepare_cached("UPDATE word SET calls = ? WHERE id = ?")?;
        for (kind, words) in (0_u8..).zip(&mut self.kinds) {
            for (text, word) in words.iter_mut().filter(|(_, word)| word.new || word.changed) {
                if word.new {
                    insert.execute(params![word.id, kind, text, word.calls])?;
                } else {
                    update.execute(params![word.calls, word.id])?;
                }
                (word.new, word.changed) = (false, false);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::schema;

    #[test]
    fn a_word_keeps_its_number_and_is_counted_on() -> rusqlite::Result<()> {
        let db = Connection::open_in_memory()?;
        schema::create(&db)?;
        let mut words = Words::load(&db)?;
        let (ops, route) = (words.count(Kind::Client, "ops"), words.count(Kind::Route, "ops"));
        assert_ne!(ops, route);
        words.save(&db)?;
        for _ in 0..2 {
            let mut words = Words::load(&db)?;
            assert_eq!((words.count(Kind::Client, "ops"), words.count(Kind::Route, "ops")), (ops, route));
            assert!(words.count(Kind::Client, "ci") > route);
            words.save(&db)?;
        }
        let calls = "SELECT calls FROM word WHERE id = ?";
        assert_eq!(db.query_row(calls, [ops], |row| row.get::<_, i64>(0))?, 3);
        Ok(())
    }
}
