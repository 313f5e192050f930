//! What grows old is renewed while the vault is in use: the key tree, whose holes take room, and the database's key.
//!
//! A tree is renewed by a second one beside it. Everything new hangs from the younger tree, the living move there in
//! small transactions, and when nothing alive names the older one, a rotation leaves it out. The key of the database is
//! renewed between two rotations, the first of which seals the new key beside the old one: whenever the power goes, one
//! of the two fits.

use std::sync::atomic::Ordering;

use rusqlite::{Connection, TransactionBehavior};

use crate::cipher::Key;
use crate::keys::{Keys, Shared};
use crate::lock::Ledger;
use crate::locked::Locked;
use crate::sql::Alive;
use crate::time::{cut, second_at};
use crate::tree::Frontier;
use crate::writer::Writer;
use crate::{Error, schema, sql};

/// Rows that move in one transaction at most, so that whoever writes waits only for a moment.
const BATCH: u32 = 100;
/// The key of the database is as old as this at most, if there is ever time to renew it.
const KEY_AGE_S: i64 = 7 * 86_400;
/// Under this name the table `renewed` knows it.
const DATABASE_KEY: &str = "database key";

/// SQLite's code for a disk that failed (sqlite.org/rescode.html).
const SQLITE_IOERR: i32 = 10;

impl Keys {
    /// Leaves out the older tree where all have moved, and begins a younger one where the trees take too much room.
    /// Whether one was begun.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub(crate) fn renew_trees(&mut self, is_moved: bool, crowded_bytes: usize) -> Result<bool, Error> {
        if is_moved && self.is_moving() {
            self.trees.remove(0);
        }
        let is_crowded = !self.is_moving() && self.tree_bytes() > crowded_bytes;
        if is_crowded && let Some(generation) = self.newest().map(Frontier::generation) {
            self.trees.push(Frontier::fresh(&Key::random()?, generation + 1));
            return Ok(true);
        }
        Ok(false)
    }
}

impl Shared {
    /// Moves some of the living to the younger tree: those after row `after`. Gives the last row that moved; nothing once
    /// no living row names the older tree.
    ///
    /// # Errors
    /// [`Error::Database`]; what has moved stays so, and the next try goes on.
    pub(crate) fn move_some(&self, conn: &mut Connection, after: i64) -> Result<Option<i64>, Error> {
        let Some(generation) = self.keys().newest().map(Frontier::generation) else { return Ok(None) };
        // What a doubted clock only hides is alive, and moves as well.
        let s_now = second_at(self.now().0.effective);
        let alive = Alive { s_now, cut: cut(s_now) };
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut rows = sql::unmoved(&transaction, generation, after, BATCH, alive)?;
        if rows.is_empty() && after > 0 {
            // What was damaged, or hung back for any other reason, is looked for once more from the beginning.
            rows = sql::unmoved(&transaction, generation, 0, BATCH, alive)?;
        }
        let mut writer = Writer::new(self, &transaction);
        for row in &rows {
            writer.move_row(row)?;
        }
        transaction.commit()?;
        Ok(rows.last().map(|row| row.ord))
    }

    /// Whether the key of the database has served its week. What was never renewed counts from now on.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub(crate) fn is_database_key_old(&self, conn: &Connection) -> Result<bool, Error> {
        let s_now = second_at(self.now().0.effective);
        match sql::renewed(conn, DATABASE_KEY)? {
            Some(at_s) => Ok(s_now - at_s >= KEY_AGE_S),
            None => sql::set_renewed(conn, DATABASE_KEY, s_now).map(|()| false),
        }
    }

    /// Encrypts the database under a new key. Readers wait meanwhile.
    ///
    /// # Errors
    /// [`Error::Disk`], [`Error::Database`]: the old key still stands, or the new one does already; `conn` is open under the
    /// one that fits.
    pub(crate) fn renew_database_key(&self, conn: &mut Connection) -> Result<(), Error> {
        let next = Key::random()?;
        self.keys_mut().k_db_next = Some(Locked::of(&next));
        self.rotate(Ledger::Database(conn), None)?;
        let renewed = {
            let _alone = self.alone();
            self.rekey(conn, &next)
        };
        // Whichever of them fits by now is the only one from here on.
        self.rotate(Ledger::Database(conn), None)?;
        renewed?;
        sql::set_renewed(conn, DATABASE_KEY, second_at(self.now().0.effective))
    }

    fn rekey(&self, conn: &mut Connection, next: &Key) -> Result<(), Error> {
        let rekeyed = sql::tidy(conn).and_then(|()| schema::rekey(conn, next)).and_then(|()| sql::tidy(conn));
        // A new connection, whatever became of it: what one knows that was half-way is not to be relied on.
        let (under, is_renewed) = match schema::connect(&self.database, next) {
            Ok(under) => (under, true),
            Err(_) => (self.connect()?, false),
        };
        let before = std::mem::replace(conn, under);
        drop(before);
        let mut keys = self.keys_mut();
        if is_renewed {
            keys.k_db = Locked::of(next);
        }
        keys.k_db_next = None;
        drop(keys);
        match rekeyed {
            // What it broke off in looked damaged to the connection it broke off in. The new one opened it whole.
            Err(Error::DatabaseDamaged) => Err(Error::Database(SQLITE_IOERR)),
            rekeyed => rekeyed,
        }
    }

    /// Says that no living row names the older tree, so that the next rotation leaves it out.
    pub(crate) fn has_moved(&self) {
        self.is_moved.store(true, Ordering::SeqCst);
    }
}
