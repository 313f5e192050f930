//! The only door to destruction on disk: rows that died, and files.
#![allow(clippy::disallowed_methods)] // This is the door behind which files may be removed.

use std::fs;
use std::io;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::item::FIRST_FREE_KIND;
use crate::keys::Swept;
use crate::sql::Wiped;
use crate::time::cut;
use crate::{Error, sql};

/// Rows that one transaction of the clean-up removes at most, so that whoever writes waits only for a moment.
const BATCH: u32 = 100;
/// The same for free pages: each is filled with the last one of the file, which is then cut off.
const PAGES: u32 = 50;

/// W3, and the room that it made: removes a batch of what the last W0 made unreadable, or gives free pages back. Gives the
/// rows that had expired, and whether there may be more to do.
pub(crate) fn remove_batch(
    conn: &mut Connection,
    swept: Swept,
    has_one_tree: bool,
) -> Result<(Vec<Wiped>, bool), Error> {
    let full = BATCH as usize;
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut wiped = sql::remove_expired(&transaction, swept.s_now, cut(swept.s_now), BATCH)?;
    let mut more = wiped.len() >= full;
    if !more {
        more |= sql::remove_dead_chats(&transaction, BATCH)? >= full;
        more |= sql::remove_condemned(&transaction, swept.condemned, BATCH)? >= full;
        // Places in a tree that is gone tell nothing any more.
        more |= has_one_tree && sql::remove_moved(&transaction, BATCH)? >= full;
        more |= sql::remove_buried(&transaction, swept.s_now, BATCH)? >= full;
    }
    if !more {
        more = sql::shrink(&transaction, PAGES)?;
    }
    transaction.commit()?;
    wiped.retain(|row| row.kind >= FIRST_FREE_KIND);
    Ok((wiped, more))
}

/// Removes a folder if nothing is left in it.
pub(crate) fn remove_empty_folder(path: &Path) -> Result<(), Error> {
    match fs::remove_dir(path) {
        Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => {
            Err(error.into())
        }
        _ => Ok(()),
    }
}

/// Removes a file; one that is not there is as good as removed.
pub(crate) fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
