//! Opening the database, and its schema.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use zeroize::Zeroizing;

use crate::Error;
use crate::cipher::Key;

/// The number in `PRAGMA user_version` that this program writes.
const VERSION: i64 = 2;

/// How long a connection waits for another one's short locks. There is one writer, so this is for readers that open while
/// the write-ahead log is moved.
pub(crate) const BUSY: Duration = Duration::from_secs(5);

/// Version 1. Rows hold nothing in clear but what a row must tell to be found and to die.
const MIGRATION_1: &str = "
CREATE TABLE item (
  ord        INTEGER PRIMARY KEY AUTOINCREMENT,
  item_id    BLOB    NOT NULL UNIQUE CHECK (length(item_id) = 16),
  chat_id    BLOB    CHECK (length(chat_id) = 16),
  kind       INTEGER NOT NULL,
  tau        INTEGER NOT NULL,
  gen        INTEGER NOT NULL,
  due_s      INTEGER,
  wrap       BLOB    NOT NULL CHECK (length(wrap) = 60),
  blob_id    BLOB    CHECK (length(blob_id) = 16),
  blob_bytes INTEGER,
  body       BLOB    NOT NULL
) STRICT;
CREATE INDEX item_by_chat ON item (chat_id, kind);
CREATE INDEX item_by_kind ON item (kind);
CREATE INDEX item_by_leaf ON item (tau, gen);
CREATE INDEX item_by_due ON item (due_s) WHERE due_s IS NOT NULL;
CREATE INDEX item_by_held_due ON item (due_s, tau, gen) WHERE due_s IS NOT NULL AND tau >= 549755813888;
CREATE TABLE dying (
  seq   INTEGER PRIMARY KEY AUTOINCREMENT,
  tau   INTEGER NOT NULL,
  gen   INTEGER NOT NULL,
  by_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX dying_by_leaf ON dying (tau, gen);
CREATE TABLE dead_chat (
  chat_id BLOB PRIMARY KEY CHECK (length(chat_id) = 16)
) STRICT, WITHOUT ROWID;
CREATE TABLE buried (
  item_id BLOB    PRIMARY KEY CHECK (length(item_id) = 16),
  until_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX buried_by_until ON buried (until_s);
CREATE TABLE sequence (
  region TEXT    PRIMARY KEY,
  next   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Version 2: where items hung before they moved to a younger tree, and when things were last renewed.
const MIGRATION_2: &str = "
CREATE TABLE moved (
  item_id BLOB    PRIMARY KEY CHECK (length(item_id) = 16),
  tau     INTEGER NOT NULL,
  gen     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE renewed (
  what TEXT    PRIMARY KEY,
  at_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Opens the database under its raw key, creating it where there is none.
///
/// # Errors
/// [`Error::CipherMissing`] when the library cannot encrypt, [`Error::Database`] when the key does not fit.
pub(crate) fn connect(path: &Path, key: &Key) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    let cipher: String = conn.query_row("PRAGMA cipher_version", [], |row| row.get(0)).unwrap_or_default();
    if cipher.is_empty() {
        return Err(Error::CipherMissing);
    }
    // Its own log would write to standard error, about pages and keys that do not fit.
    conn.execute_batch("PRAGMA cipher_log_level = NONE;")?;
    conn.execute_batch(&key_statement("PRAGMA key", key))?;
    conn.busy_timeout(BUSY)?;
    // auto_vacuum counts only before the first page is written; afterwards it is what it was. A log that goes into the file
    // in small pieces stops whoever writes for half as long at worst as one of the usual thousand pages.
    conn.execute_batch(
        "PRAGMA auto_vacuum = INCREMENTAL;
         PRAGMA journal_mode = WAL;
         PRAGMA wal_autocheckpoint = 300;
         PRAGMA synchronous = FULL;
         PRAGMA fullfsync = ON;
         PRAGMA checkpoint_fullfsync = ON;
         PRAGMA secure_delete = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA mmap_size = 0;",
    )?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

/// Encrypts the whole database under another key. This has to be its only connection.
///
/// # Errors
/// [`Error::Database`]; then either the old key fits or the new one.
pub(crate) fn rekey(conn: &Connection, key: &Key) -> Result<(), Error> {
    Ok(conn.execute_batch(&key_statement("PRAGMA rekey", key))?)
}

fn key_statement(pragma: &str, key: &Key) -> Zeroizing<String> {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = Zeroizing::new(String::with_capacity(128));
    text.push_str(pragma);
    text.push_str(" = \"x'");
    for byte in &key.0 {
        for nibble in [byte >> 4, byte & 15] {
            text.push(HEX.get(usize::from(nibble)).copied().map_or('0', char::from));
        }
    }
    text.push_str("'\";");
    text
}

/// Brings the schema to the version of this program.
///
/// # Errors
/// [`Error::Newer`] when the database was written by a later one.
pub(crate) fn migrate(conn: &mut Connection) -> Result<(), Error> {
    let version: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let steps: &[&str] = match version {
        VERSION => return Ok(()),
        0 => &[MIGRATION_1, MIGRATION_2],
        1 => &[MIGRATION_2],
        _ => return Err(Error::Newer),
    };
    let transaction = conn.transaction()?;
    for step in steps {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The whole schema as the database itself tells it.
    fn schema(conn: &Connection) -> String {
        let mut statement = conn
            .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY name")
            .unwrap();
        let parts: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        format!("-- Generated from the migrations by a test; do not edit.\n{};\n", parts.join(";\n"))
    }

    #[test]
    fn the_schema_file_is_what_the_migrations_make() {
        let folder = tempfile::tempdir().unwrap();
        let mut conn = connect(&folder.path().join("a.db"), &Key([1; 32])).unwrap();
        migrate(&mut conn).unwrap();
        migrate(&mut conn).unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.sql");
        let made = schema(&conn);
        if std::env::var_os("MAYFLY_BLESS").is_some() {
            std::fs::write(&path, &made).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), made, "run again with MAYFLY_BLESS=1 to renew it");
    }

    #[test]
    fn a_database_of_a_newer_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut conn = connect(&folder.path().join("a.db"), &Key([1; 32])).unwrap();
        conn.pragma_update(None, "user_version", VERSION + 1).unwrap();
        assert_eq!(migrate(&mut conn), Err(Error::Newer));
    }

    #[test]
    fn the_file_is_encrypted_and_every_safety_pragma_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let mut conn = connect(&path, &Key([1; 32])).unwrap();
        migrate(&mut conn).unwrap();
        for (name, value) in
            [("secure_delete", 1), ("auto_vacuum", 2), ("synchronous", 2), ("temp_store", 2), ("mmap_size", 0)]
        {
            // A pragma that is off may answer with no row at all.
            let found: i64 = conn.pragma_query_value(None, name, |row| row.get(0)).unwrap_or(0);
            assert_eq!(found, value, "{name}");
        }
        drop(conn);
        assert!(!std::fs::read(&path).unwrap().starts_with(b"SQLite format 3"));
        assert!(connect(&path, &Key([2; 32])).is_err());
    }
}
