//! The peer of the vault: a messenger's table in `SQLCipher` alone, with the same settings, as others keep it.

use std::path::Path;

use rusqlite::{CachedStatement, Connection, params};

use crate::Outcome;

/// A database with one table of messages.
#[derive(Debug)]
pub struct Plain(Connection);

impl Plain {
    /// Opens the database at `path` under a raw key, and makes the table where there is none.
    ///
    /// # Errors
    /// Whatever the database says.
    pub fn open(path: &Path) -> Outcome<Self> {
        let connection = Connection::open(path)?;
        connection.execute_batch(&format!("PRAGMA key = \"x'{}'\";", "5a".repeat(32)))?;
        connection.execute_batch(
            "PRAGMA auto_vacuum = INCREMENTAL;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA secure_delete = ON;
             PRAGMA temp_store = MEMORY;
             PRAGMA mmap_size = 0;
             CREATE TABLE IF NOT EXISTS message (
               ord        INTEGER PRIMARY KEY AUTOINCREMENT,
               message_id BLOB    NOT NULL UNIQUE,
               chat_id    BLOB    NOT NULL,
               kind       INTEGER NOT NULL,
               due_s      INTEGER NOT NULL,
               body       BLOB    NOT NULL
             ) STRICT;
             CREATE INDEX IF NOT EXISTS message_by_chat ON message (chat_id, kind);
             CREATE INDEX IF NOT EXISTS message_by_due ON message (due_s);",
        )?;
        Ok(Self(connection))
    }

    /// Inserts messages in one transaction.
    ///
    /// # Errors
    /// Whatever the database says.
    pub fn insert(&mut self, ids: &[[u8; 16]], chat: [u8; 16], due_s: i64, body: &[u8]) -> Outcome<()> {
        let transaction = self.0.transaction()?;
        for id in ids {
            let insert = "INSERT INTO message (message_id, chat_id, kind, due_s, body) VALUES (?1, ?2, 19, ?3, ?4)";
            let mut statement: CachedStatement<'_> = transaction.prepare_cached(insert)?;
            statement.execute(params![id, chat, due_s, body])?;
        }
        Ok(transaction.commit()?)
    }

    /// The newest bodies of a chat.
    ///
    /// # Errors
    /// Whatever the database says.
    pub fn page(&self, chat: [u8; 16], now_s: i64, limit: u32) -> Outcome<Vec<Vec<u8>>> {
        let query = "SELECT ord, message_id, due_s, body FROM message
                     WHERE chat_id = ?1 AND kind = 19 AND due_s > ?2 ORDER BY ord DESC LIMIT ?3";
        let mut statement = self.0.prepare_cached(query)?;
        let bodies = statement.query_map(params![chat, now_s, limit], |row| row.get(3))?;
        Ok(bodies.collect::<Result<_, _>>()?)
    }
}
