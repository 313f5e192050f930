//! The statements about death: leaves that are condemned, what is due in which second, and the removal of rows whose key
//! is gone.

use rusqlite::{Connection, params};

use super::Wiped;
use crate::Error;
use crate::item::BURNING;
use crate::seal::Leaf;
use crate::tag::Tag;
use crate::time::Second;

/// Condemns a leaf: the next wipe punctures it, at the latest at `by_ms`.
pub(crate) fn condemn(conn: &Connection, leaf: Leaf, by_ms: i64) -> Result<(), Error> {
    let mut statement = conn.prepare_cached("INSERT INTO dying (tau, gen, by_ms) VALUES (?1, ?2, ?3)")?;
    statement.execute(params![leaf.tag, leaf.generation, by_ms])?;
    Ok(())
}

/// Whether a leaf is condemned.
pub(crate) fn is_condemned(conn: &Connection, leaf: Leaf) -> Result<bool, Error> {
    let mut statement = conn.prepare_cached("SELECT 1 FROM dying WHERE tau = ?1 AND gen = ?2")?;
    Ok(statement.exists(params![leaf.tag, leaf.generation])?)
}

/// The condemned leaves, with the last number among them.
pub(crate) fn condemned(conn: &Connection) -> Result<(Vec<Leaf>, Option<i64>), Error> {
    let rows = condemned_after(conn, 0)?;
    let last = rows.last().map(|(seq, _)| *seq);
    Ok((rows.into_iter().map(|(_, leaf)| leaf).collect(), last))
}

/// The border of the held region is written out, so that the index of those rows alone serves: the keys of a million
/// timed items go without a look at their rows.
pub(super) const DUE_HOLDS: &str = "SELECT tau, gen FROM item WHERE due_s <= ?1 AND tau >= 549755813888";

/// Leaves outside the timed region whose row is due: time alone does not drop them.
pub(crate) fn due_holds(conn: &Connection, s_now: i64) -> Result<Vec<Leaf>, Error> {
    let mut statement = conn.prepare_cached(DUE_HOLDS)?;
    let rows = statement.query_map([s_now], |row| Ok(Leaf { tag: row.get(0)?, generation: row.get(1)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What burns is over: its second of death is the first of all, so that it is shown no more and the next wipe takes it.
pub(crate) fn burn_out(conn: &Connection) -> Result<(), Error> {
    // Looked for first: where there is none, a disk that cannot be written is no hindrance.
    let any = "SELECT 1 FROM item WHERE kind >= ?1 AND (due_s IS NULL OR due_s > 0)";
    if conn.prepare_cached(any)?.exists([BURNING])? {
        let sql = "UPDATE item SET due_s = 0 WHERE kind >= ?1 AND (due_s IS NULL OR due_s > 0)";
        conn.prepare_cached(sql)?.execute([BURNING])?;
    }
    Ok(())
}

/// The seconds after `s_now` in which anything dies, rising.
pub(crate) fn due_seconds(conn: &Connection, s_now: i64) -> Result<Vec<Second>, Error> {
    let mut statement = conn.prepare("SELECT DISTINCT due_s FROM item WHERE due_s > ?1 ORDER BY due_s")?;
    Ok(statement.query_map([s_now], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Leaves outside the timed region whose row falls due after `s_now`, with that second.
pub(crate) fn dues_held(conn: &Connection, s_now: i64) -> Result<Vec<(i64, Leaf)>, Error> {
    numbered(conn, "SELECT due_s, tau, gen FROM item WHERE due_s > ?1 AND tau >= 549755813888", s_now)
}

/// The same for where held items hung before they moved to a younger tree.
pub(crate) fn dues_moved(conn: &Connection, s_now: i64) -> Result<Vec<(i64, Leaf)>, Error> {
    let sql = "SELECT item.due_s, moved.tau, moved.gen FROM item JOIN moved ON moved.item_id = item.item_id
               WHERE item.due_s > ?1 AND item.tau >= 549755813888";
    numbered(conn, sql, s_now)
}

/// The condemned leaves after number `last`, with their numbers.
pub(crate) fn condemned_after(conn: &Connection, last: i64) -> Result<Vec<(i64, Leaf)>, Error> {
    numbered(conn, "SELECT seq, tau, gen FROM dying WHERE seq > ?1 ORDER BY seq", last)
}

fn numbered(conn: &Connection, sql: &str, after: i64) -> Result<Vec<(i64, Leaf)>, Error> {
    let mut statement = conn.prepare_cached(sql)?;
    let rows =
        statement.query_map([after], |row| Ok((row.get(0)?, Leaf { tag: row.get(1)?, generation: row.get(2)? })))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Where held items hung that are due, before they moved to a younger tree.
pub(crate) fn due_moved(conn: &Connection, s_now: i64) -> Result<Vec<Leaf>, Error> {
    let mut statement = conn.prepare_cached(
        "SELECT moved.tau, moved.gen FROM item JOIN moved ON moved.item_id = item.item_id
         WHERE item.due_s <= ?1 AND item.tau >= 549755813888",
    )?;
    let rows = statement.query_map([s_now], |row| Ok(Leaf { tag: row.get(0)?, generation: row.get(1)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) const REMOVE_EXPIRED: &str =
    "DELETE FROM item WHERE ord IN (SELECT ord FROM item WHERE due_s <= ?1 OR tau < ?2 LIMIT ?3)
     RETURNING item_id, chat_id, kind";

/// Removes up to `limit` rows that have expired; gives what they were.
pub(crate) fn remove_expired(conn: &Connection, s_now: i64, cut: Tag, limit: u32) -> Result<Vec<Wiped>, Error> {
    let mut statement = conn.prepare_cached(REMOVE_EXPIRED)?;
    let rows = statement.query_map(params![s_now, cut, limit], |row| {
        Ok(Wiped { id: row.get(0)?, chat: row.get(1)?, kind: row.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Removes up to `limit` rows of chats whose key is gone, and the marks of chats without rows. Gives how many rows.
pub(crate) fn remove_dead_chats(conn: &Connection, limit: u32) -> Result<usize, Error> {
    let mut rows = conn.prepare_cached(
        "DELETE FROM item WHERE ord IN
           (SELECT ord FROM item WHERE chat_id IN (SELECT chat_id FROM dead_chat) LIMIT ?1)",
    )?;
    let removed = rows.execute([limit])?;
    conn.prepare_cached(
        "DELETE FROM dead_chat WHERE NOT EXISTS (SELECT 1 FROM item WHERE item.chat_id = dead_chat.chat_id)",
    )?
    .execute([])?;
    Ok(removed)
}

/// Removes up to `limit` condemned leaves that a wipe took. Gives how many.
pub(crate) fn remove_condemned(conn: &Connection, last: i64, limit: u32) -> Result<usize, Error> {
    let mut statement =
        conn.prepare_cached("DELETE FROM dying WHERE seq IN (SELECT seq FROM dying WHERE seq <= ?1 LIMIT ?2)")?;
    Ok(statement.execute(params![last, limit])?)
}

/// Removes up to `limit` tombstones whose time is over. Gives how many.
pub(crate) fn remove_buried(conn: &Connection, s_now: i64, limit: u32) -> Result<usize, Error> {
    let mut statement = conn.prepare_cached(
        "DELETE FROM buried WHERE item_id IN (SELECT item_id FROM buried WHERE until_s <= ?1 LIMIT ?2)",
    )?;
    Ok(statement.execute(params![s_now, limit])?)
}

pub(super) const NEXT_DUE: &str = "SELECT min(due_s) FROM item WHERE due_s > ?1";

/// The first due second after `s_now`.
pub(crate) fn next_due(conn: &Connection, s_now: i64) -> Result<Option<Second>, Error> {
    Ok(conn.prepare_cached(NEXT_DUE)?.query_row([s_now], |row| row.get(0))?)
}

/// When the first condemned leaf after number `last` has to go.
pub(crate) fn next_condemned(conn: &Connection, last: i64) -> Result<Option<i64>, Error> {
    Ok(conn.prepare_cached("SELECT min(by_ms) FROM dying WHERE seq > ?1")?.query_row([last], |row| row.get(0))?)
}
