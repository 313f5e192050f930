//! The peers of the vault: a messenger's table in `SQLCipher` alone, with the same settings, as others keep it.

use std::path::Path;

use rusqlite::{CachedStatement, Connection, params};

use crate::Outcome;

/// The raw key of every peer.
pub const KEY: [u8; 32] = [0x5a; 32];

/// Inserts one message: id, chat, due second, body.
pub const INSERT: &str = "INSERT INTO message (message_id, chat_id, kind, due_s, body) VALUES (?, ?, 19, ?, ?)";

/// The newest messages: chat, now, how many.
pub const PAGE: &str = "SELECT ord, message_id, due_s, body FROM message
     WHERE chat_id = ? AND kind = 19 AND due_s > ? ORDER BY ord DESC LIMIT ?";

/// Another body for a message: body, its order.
pub const UPDATE: &str = "UPDATE message SET body = ? WHERE ord = ?";

/// Deletes what is due: now.
pub const ERASE: &str = "DELETE FROM message WHERE due_s <= ?";

/// What makes a fresh connection one of ours: key, settings, table.
pub fn setup() -> String {
    format!(
        "PRAGMA key = \"x'{}'\";
         PRAGMA auto_vacuum = INCREMENTAL;
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
        hex::encode(KEY)
    )
}

/// The database library that the vault has beneath it, without the vault.
#[derive(Debug)]
pub struct Plain(Connection);

impl Plain {
    /// Opens the database at `path`, and makes the table where there is none.
    ///
    /// # Errors
    /// Whatever the database says.
    pub fn open(path: &Path) -> Outcome<Self> {
        let connection = Connection::open(path)?;
        connection.execute_batch(&setup())?;
        Ok(Self(connection))
    }

    /// Inserts a message for each id and due second, in one transaction.
    ///
    /// # Errors
    /// Whatever the database says.
    pub fn insert(&mut self, messages: &[([u8; 16], i64)], chat: [u8; 16], body: &[u8]) -> Outcome<()> {
        let transaction = self.0.transaction()?;
        for (id, due_s) in messages {
            let mut statement: CachedStatement<'_> = transaction.prepare_cached(INSERT)?;
            statement.execute(params![id, chat, due_s, body])?;
        }
        Ok(transaction.commit()?)
    }

    /// The newest bodies of a chat.
    ///
    /// # Errors
    /// Whatever the database says.
    pub fn page(&self, chat: [u8; 16], now_s: i64, limit: u32) -> Outcome<Vec<Vec<u8>>> {
        let mut statement = self.0.prepare_cached(PAGE)?;
        let bodies = statement.query_map(params![chat, now_s, limit], |row| row.get(3))?;
        Ok(bodies.collect::<Result<_, _>>()?)
    }
}
