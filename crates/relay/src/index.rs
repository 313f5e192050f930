//! The index: which events there are, under what they are filed, and where their bodies lie.
//!
//! All the relay's SQL stands here. It holds no content.

use std::path::Path;

use nostr::EventId;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};

use crate::bodies::Extent;
use crate::page::Page;
use crate::rules::Filing;
use crate::store::StoreError;

/// Version of the schema below; another one is refused.
const VERSION: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE events (
    row_id     INTEGER PRIMARY KEY,
    id         BLOB    NOT NULL UNIQUE,
    author     BLOB    NOT NULL,
    kind       INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    route      TEXT    NOT NULL,
    slot       TEXT,
    place      INTEGER NOT NULL,
    length     INTEGER NOT NULL
) STRICT;
CREATE INDEX events_by_expiry ON events (expires_at);
CREATE INDEX events_by_route ON events (kind, route, created_at);
CREATE UNIQUE INDEX events_by_slot ON events (slot) WHERE slot IS NOT NULL;
CREATE TABLE tombstones (
    id         BLOB    NOT NULL,
    deleted_by BLOB    NOT NULL,
    is_settled INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (id, deleted_by)
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstones_by_expiry ON tombstones (expires_at);
PRAGMA user_version = 1;
";

const COLUMNS: &str = "row_id, id, author, kind, created_at, expires_at, route, slot IS NOT NULL, place, length";

/// What the index knows of one event.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) row_id: i64,
    pub(crate) id: [u8; 32],
    pub(crate) author: [u8; 32],
    pub(crate) kind: u16,
    pub(crate) created_at: u64,
    pub(crate) expires_at: u64,
    pub(crate) route: String,
    pub(crate) has_slot: bool,
    pub(crate) extent: Extent,
}

/// Which events of a route are looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// Earliest and latest `created_at`, both included.
    pub(crate) since: u64,
    pub(crate) until: u64,
    /// The second at which they must still be alive.
    pub(crate) alive_at: u64,
}

impl Span {
    /// No bounds at all.
    pub(crate) const ALL: Self = Self { since: 0, until: i64::MAX.unsigned_abs(), alive_at: 0 };

    pub(crate) fn holds(self, entry: &Entry) -> bool {
        (self.since..=self.until).contains(&entry.created_at) && entry.expires_at > self.alive_at
    }
}

/// The open index. One process at a time holds it.
#[derive(Debug)]
pub(crate) struct Index {
    db: Connection,
}

impl Index {
    /// Opens or makes the index.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] when another relay holds it, [`StoreError::Damaged`] when it is
    /// another version's.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let db = Connection::open(path)?;
        // EXCLUSIVE: one relay a folder, and no shared-memory file. NORMAL: a commit costs no
        // fsync; a power cut may cost the last moments before it, which a mailbox of which each
        // chat has two or more can bear, and never the order of commits. secure_delete: freed
        // cells and pages are zeroed.
        db.execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE;
             PRAGMA secure_delete = ON;
             PRAGMA temp_store = MEMORY;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = NORMAL;
             BEGIN IMMEDIATE; COMMIT;",
        )?;
        db.set_prepared_statement_cache_capacity(32);
        let index = Self { db };
        match index.version()? {
            0 => index.db.execute_batch(&format!("BEGIN; {SCHEMA} COMMIT;"))?,
            VERSION => {}
            _ => return Err(StoreError::Damaged),
        }
        Ok(index)
    }

    /// Runs `work` as one transaction: all of it or nothing.
    ///
    /// # Errors
    ///
    /// What `work` or the commit returns.
    pub(crate) fn atomically<T>(&self, work: impl FnOnce(&Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let transaction = self.db.unchecked_transaction()?;
        let done = work(self)?;
        transaction.commit()?;
        Ok(done)
    }

    pub(crate) fn extents(&self) -> Result<Vec<Extent>, StoreError> {
        let mut all = self.prepare("SELECT place, length FROM events ORDER BY place")?;
        let rows = all.query_map([], |row| extent(row, 0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(crate) fn insert(&self, entry: &Entry, slot: Option<&str>) -> Result<(), StoreError> {
        self.prepare(
            "INSERT INTO events
             (id, author, kind, created_at, expires_at, route, slot, place, length)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            entry.id,
            entry.author,
            entry.kind,
            entry.created_at,
            entry.expires_at,
            entry.route,
            slot,
            entry.extent.place,
            entry.extent.length,
        ])?;
        Ok(())
    }

    pub(crate) fn remove(&self, row_id: i64) -> Result<(), StoreError> {
        let mut remove = self.prepare("DELETE FROM events WHERE row_id = ?1")?;
        remove.execute([row_id])?;
        Ok(())
    }

    pub(crate) fn by_id(&self, id: &[u8; 32]) -> Result<Option<Entry>, StoreError> {
        let mut find = self.prepare(&format!("SELECT {COLUMNS} FROM events WHERE id = ?1"))?;
        Ok(find.query_row([id], entry).optional()?)
    }

    pub(crate) fn by_slot(&self, slot: &str) -> Result<Option<Entry>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM events WHERE slot = ?1");
        Ok(self.prepare(&sql)?.query_row([slot], entry).optional()?)
    }

    /// Events filed under one value, newest first, as many as the page takes.
    pub(crate) fn by_route(&self, filing: (u16, &str), span: Span, mut page: Page) -> Result<Vec<Entry>, StoreError> {
        let mut find = self.prepare(&format!(
            "SELECT {COLUMNS} FROM events
             WHERE kind = ?1 AND route = ?2 AND created_at BETWEEN ?3 AND ?4 AND expires_at > ?5
             ORDER BY created_at DESC"
        ))?;
        let bounds = params![filing.0, filing.1, span.since, span.until, span.alive_at];
        let mut rows = find.query(bounds)?;
        let mut found: Vec<Entry> = Vec::new();
        while let Some(row) = rows.next()? {
            let next = entry(row)?;
            if !page.takes(next.created_at, next.extent.length) {
                break;
            }
            found.push(next);
        }
        Ok(found)
    }

    /// The versions stored at one address (author and `d` value). There is at most one.
    pub(crate) fn at_address(&self, filing: &Filing, author: &[u8; 32]) -> Result<Vec<Entry>, StoreError> {
        let route = (filing.kind, filing.route.as_str());
        let mut found = self.by_route(route, Span::ALL, Page::endless())?;
        found.retain(|entry| entry.author == *author);
        Ok(found)
    }

    /// Events whose time is up, at most `most`.
    pub(crate) fn expired(&self, now_s: u64, most: usize) -> Result<Vec<Entry>, StoreError> {
        let mut find =
            self.prepare(&format!("SELECT {COLUMNS} FROM events WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2"))?;
        let rows = find.query_map(params![now_s, most], entry)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The second at which the next event or tombstone goes.
    pub(crate) fn next_expiry(&self) -> Result<Option<u64>, StoreError> {
        let mut find = self.prepare(
            "SELECT min(least) FROM (SELECT min(expires_at) AS least FROM events
             UNION ALL SELECT min(expires_at) FROM tombstones)",
        )?;
        Ok(find.query_row([], |row| row.get(0))?)
    }

    /// Remembers that `deleted_by` deleted `id`. Settled: the event was here and the key had the
    /// right; else it counts only if the event comes and the right turns out to be there.
    pub(crate) fn bury(
        &self,
        id: &[u8; 32],
        deleted_by: &[u8; 32],
        is_settled: bool,
        expires_at: u64,
    ) -> Result<(), StoreError> {
        self.prepare(
            "INSERT INTO tombstones (id, deleted_by, is_settled, expires_at)
             VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (id, deleted_by) DO UPDATE SET
                is_settled = max(is_settled, excluded.is_settled),
                expires_at = max(expires_at, excluded.expires_at)",
        )?
        .execute(params![id, deleted_by, is_settled, expires_at])?;
        Ok(())
    }

    /// Who deleted `id`: (settled, key).
    pub(crate) fn tombstones_of(&self, id: &[u8; 32]) -> Result<Vec<(bool, [u8; 32])>, StoreError> {
        let sql = "SELECT is_settled, deleted_by FROM tombstones WHERE id = ?1";
        let mut find = self.prepare(sql)?;
        let rows = find.query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(crate) fn tombstones(&self) -> Result<u64, StoreError> {
        let mut count = self.prepare("SELECT count(*) FROM tombstones")?;
        Ok(count.query_row([], |row| row.get(0))?)
    }

    /// Drops tombstones whose event could no longer come; says how many.
    pub(crate) fn drop_tombstones(&self, now_s: u64) -> Result<usize, StoreError> {
        let mut drop = self.prepare("DELETE FROM tombstones WHERE expires_at <= ?1")?;
        Ok(drop.execute([now_s])?)
    }

    /// Empties the journal, which still holds old pages.
    pub(crate) fn empty_journal(&self) -> Result<(), StoreError> {
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        let is_busy: bool = self.db.query_row(sql, [], |row| row.get(0))?;
        if is_busy {
            return Err(StoreError::InUse);
        }
        Ok(())
    }

    /// Writes the index anew. `secure_delete` zeroes what is freed but not what a b-tree leaves in
    /// the gaps of its pages when it moves entries; in new pages there are only the living.
    pub(crate) fn rebuild(&self) -> Result<(), StoreError> {
        Ok(self.db.execute_batch("VACUUM")?)
    }

    fn version(&self) -> Result<i64, StoreError> {
        let read = |row: &Row<'_>| row.get(0);
        Ok(self.db.query_row("PRAGMA user_version", [], read)?)
    }

    fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>, StoreError> {
        Ok(self.db.prepare_cached(sql)?)
    }
}

impl Entry {
    /// Whether `key` (its bytes and its hexadecimal form) may delete this event: its own key, or
    /// the addressee of a wrap.
    pub(crate) fn may_be_deleted_by(&self, key: &[u8; 32], key_hex: &str) -> bool {
        self.author == *key || (self.kind == crate::rules::WRAP && self.route == key_hex)
    }

    pub(crate) fn event_id(&self) -> EventId {
        EventId::from_byte_array(self.id)
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        row_id: row.get(0)?,
        id: row.get(1)?,
        author: row.get(2)?,
        kind: row.get(3)?,
        created_at: row.get(4)?,
        expires_at: row.get(5)?,
        route: row.get(6)?,
        has_slot: row.get(7)?,
        extent: extent(row, 8)?,
    })
}

fn extent(row: &Row<'_>, first: usize) -> rusqlite::Result<Extent> {
    Ok(Extent { place: row.get(first)?, length: row.get(first + 1)? })
}
