//! Every statement that the vault sends to its database, but for the schema: the rows and what is written about them
//! here, what dies and is taken away in [`deaths`].

use std::time::Duration;

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};

use crate::schema::BUSY;
use crate::seal::Leaf;
use crate::tag::Tag;
use crate::time::Second;
use crate::{ChatId, Error, ItemId};

mod deaths;

pub(crate) use deaths::*;

/// A row of `item`, still sealed.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) ord: i64,
    pub(crate) id: ItemId,
    pub(crate) chat: Option<ChatId>,
    pub(crate) kind: u8,
    pub(crate) leaf: Leaf,
    pub(crate) due: Option<Second>,
    pub(crate) wrap: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

/// What is alive for a reader: nothing with a tag before `cut`, nothing due at `s_now` or before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alive {
    pub(crate) s_now: i64,
    pub(crate) cut: Tag,
}

/// A row that the wipe removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wiped {
    /// Which item it was.
    pub id: ItemId,
    /// The chat it stood in.
    pub chat: Option<ChatId>,
    /// Its kind.
    pub kind: u8,
}

macro_rules! id_in_sql {
    ($name:ty) => {
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self.as_bytes())))
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                <[u8; 16]>::column_result(value).map(Self::from_bytes)
            }
        }
    };
}
id_in_sql!(ItemId);
id_in_sql!(ChatId);

impl ToSql for Tag {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(Tag::to_sql(*self).into())
    }
}

impl FromSql for Tag {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = i64::column_result(value)?;
        Tag::from_sql(number).ok_or(rusqlite::types::FromSqlError::OutOfRange(number))
    }
}

impl ToSql for Second {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(i64::from(self.0).into())
    }
}

impl FromSql for Second {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = i64::column_result(value)?;
        Second::from_sql(number).ok_or(rusqlite::types::FromSqlError::OutOfRange(number))
    }
}

const COLUMNS: &str = "ord, item_id, chat_id, kind, tau, gen, due_s, wrap, body";
/// The first of the two ways in which a read fails closed; the other is that the key is gone.
const ALIVE: &str = "tau >= :cut AND (due_s IS NULL OR due_s > :now)
    AND (chat_id IS NULL OR EXISTS (SELECT 1 FROM item chat WHERE chat.item_id = item.chat_id))";

fn sealed(row: &Row<'_>) -> rusqlite::Result<Sealed> {
    Ok(Sealed {
        ord: row.get(0)?,
        id: row.get(1)?,
        chat: row.get(2)?,
        kind: row.get(3)?,
        leaf: Leaf { tag: row.get(4)?, generation: row.get(5)? },
        due: row.get(6)?,
        wrap: row.get(7)?,
        body: row.get(8)?,
    })
}

/// One living row by its id.
pub(crate) fn item(conn: &Connection, id: ItemId, alive: Alive) -> Result<Option<Sealed>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM item WHERE item_id = :id AND {ALIVE}");
    let mut statement = conn.prepare_cached(&sql)?;
    let named: &[(&str, &dyn ToSql)] = &[(":id", &id), (":cut", &alive.cut), (":now", &alive.s_now)];
    Ok(statement.query_row(named, sealed).optional()?)
}

/// Living rows of a chat and kind before `before`, newest first.
pub(crate) fn page(
    conn: &Connection,
    chat: Option<ChatId>,
    kind: u8,
    before: i64,
    limit: u32,
    alive: Alive,
) -> Result<Vec<Sealed>, Error> {
    part(conn, &page_sql("ord < :ord", "DESC"), chat, kind, before, limit, alive)
}

/// Living rows of a chat and kind after `after`, oldest first.
pub(crate) fn after(
    conn: &Connection,
    chat: Option<ChatId>,
    kind: u8,
    after: i64,
    limit: u32,
    alive: Alive,
) -> Result<Vec<Sealed>, Error> {
    part(conn, &page_sql("ord > :ord", "ASC"), chat, kind, after, limit, alive)
}

fn page_sql(from: &str, direction: &str) -> String {
    format!(
        "SELECT {COLUMNS} FROM item WHERE chat_id IS :chat AND kind = :kind AND {from} AND {ALIVE}
         ORDER BY ord {direction} LIMIT :limit"
    )
}

fn part(
    conn: &Connection,
    sql: &str,
    chat: Option<ChatId>,
    kind: u8,
    ord: i64,
    limit: u32,
    alive: Alive,
) -> Result<Vec<Sealed>, Error> {
    let mut statement = conn.prepare_cached(sql)?;
    let named: &[(&str, &dyn ToSql)] = &[
        (":chat", &chat),
        (":kind", &kind),
        (":ord", &ord),
        (":limit", &limit),
        (":cut", &alive.cut),
        (":now", &alive.s_now),
    ];
    let rows = statement.query_map(named, sealed)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Living rows of a kind in all chats, oldest first.
pub(crate) fn all(conn: &Connection, kind: u8, alive: Alive) -> Result<Vec<Sealed>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM item WHERE kind = :kind AND {ALIVE} ORDER BY ord");
    let mut statement = conn.prepare_cached(&sql)?;
    let named: &[(&str, &dyn ToSql)] = &[(":kind", &kind), (":cut", &alive.cut), (":now", &alive.s_now)];
    let rows = statement.query_map(named, sealed)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many living rows a chat has of a kind: those the index counts, less those that wait for their removal.
pub(crate) fn count(conn: &Connection, chat: Option<ChatId>, kind: u8, alive: Alive) -> Result<u64, Error> {
    let mut every = conn.prepare_cached("SELECT count(*) FROM item WHERE chat_id IS ?1 AND kind = ?2")?;
    let every: i64 = every.query_row(params![chat, kind], |row| row.get(0))?;
    // The pluses keep the planner from the chat's index, which would look up every row of the chat.
    let mut dead =
        conn.prepare_cached("SELECT count(*) FROM item WHERE due_s <= ?1 AND +chat_id IS ?2 AND +kind = ?3")?;
    let dead: i64 = dead.query_row(params![alive.s_now, chat, kind], |row| row.get(0))?;
    Ok(u64::try_from(every - dead).unwrap_or(0))
}

/// Whether there is any row of this id, alive or not.
pub(crate) fn has_item(conn: &Connection, id: ItemId) -> Result<bool, Error> {
    Ok(conn.prepare_cached("SELECT 1 FROM item WHERE item_id = ?1")?.exists([id])?)
}

/// Whether a tombstone stands on this id.
pub(crate) fn is_buried(conn: &Connection, id: ItemId, s_now: i64) -> Result<bool, Error> {
    let mut statement = conn.prepare_cached("SELECT 1 FROM buried WHERE item_id = ?1 AND until_s > ?2")?;
    Ok(statement.exists(params![id, s_now])?)
}

/// Puts a tombstone, or keeps one that stands longer.
pub(crate) fn bury(conn: &Connection, id: ItemId, until_s: i64) -> Result<(), Error> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO buried (item_id, until_s) VALUES (?1, ?2)
         ON CONFLICT (item_id) DO UPDATE SET until_s = max(until_s, excluded.until_s)",
    )?;
    statement.execute(params![id, until_s])?;
    Ok(())
}

/// Inserts a row; gives its order.
pub(crate) fn insert(conn: &Connection, row: &Sealed) -> Result<i64, Error> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO item (item_id, chat_id, kind, tau, gen, due_s, wrap, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    let Sealed { id, chat, kind, leaf, due, wrap, body, .. } = row;
    Ok(statement.insert(params![id, chat, kind, leaf.tag, leaf.generation, due, wrap, body])?)
}

/// Hangs a row from another leaf.
pub(crate) fn rewrap(conn: &Connection, ord: i64, leaf: Leaf, due: Option<Second>, wrap: &[u8]) -> Result<(), Error> {
    let mut statement =
        conn.prepare_cached("UPDATE item SET tau = ?2, gen = ?3, due_s = ?4, wrap = ?5 WHERE ord = ?1")?;
    statement.execute(params![ord, leaf.tag, leaf.generation, due, wrap])?;
    Ok(())
}

/// Gives a row another body.
pub(crate) fn set_body(conn: &Connection, ord: i64, body: &[u8]) -> Result<(), Error> {
    conn.prepare_cached("UPDATE item SET body = ?2 WHERE ord = ?1")?.execute(params![ord, body])?;
    Ok(())
}

/// Removes a row.
pub(crate) fn delete(conn: &Connection, ord: i64) -> Result<(), Error> {
    conn.prepare_cached("DELETE FROM item WHERE ord = ?1")?.execute([ord])?;
    Ok(())
}

/// The rows that hang from a leaf, all but one.
pub(crate) fn sharers(conn: &Connection, leaf: Leaf, but: i64) -> Result<Vec<Sealed>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM item WHERE tau = ?1 AND gen = ?2 AND ord <> ?3");
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map(params![leaf.tag, leaf.generation, but], sealed)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Living rows after `after` that hang from a tree older than `generation`, oldest first.
pub(crate) fn unmoved(
    conn: &Connection,
    generation: u32,
    after: i64,
    limit: u32,
    alive: Alive,
) -> Result<Vec<Sealed>, Error> {
    let sql =
        format!("SELECT {COLUMNS} FROM item WHERE ord > :after AND gen < :gen AND {ALIVE} ORDER BY ord LIMIT :limit");
    let mut statement = conn.prepare_cached(&sql)?;
    let named: &[(&str, &dyn ToSql)] =
        &[(":after", &after), (":gen", &generation), (":limit", &limit), (":cut", &alive.cut), (":now", &alive.s_now)];
    let rows = statement.query_map(named, sealed)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Remembers where an item hung: as long as that tree lives, the leaf has to go when the item does.
pub(crate) fn keep_moved(conn: &Connection, id: ItemId, leaf: Leaf) -> Result<(), Error> {
    let mut statement = conn.prepare_cached("INSERT OR REPLACE INTO moved (item_id, tau, gen) VALUES (?1, ?2, ?3)")?;
    statement.execute(params![id, leaf.tag, leaf.generation])?;
    Ok(())
}

/// Where an item hung before it moved, forgetting it.
pub(crate) fn take_moved(conn: &Connection, id: ItemId) -> Result<Option<Leaf>, Error> {
    let mut statement = conn.prepare_cached("DELETE FROM moved WHERE item_id = ?1 RETURNING tau, gen")?;
    let leaf = statement.query_row([id], |row| Ok(Leaf { tag: row.get(0)?, generation: row.get(1)? }));
    Ok(leaf.optional()?)
}

/// Forgets up to `limit` places in a tree that is gone. Gives how many.
pub(crate) fn remove_moved(conn: &Connection, limit: u32) -> Result<usize, Error> {
    let mut statement =
        conn.prepare_cached("DELETE FROM moved WHERE item_id IN (SELECT item_id FROM moved LIMIT ?1)")?;
    Ok(statement.execute([limit])?)
}

/// The second in which something was last renewed.
pub(crate) fn renewed(conn: &Connection, what: &str) -> Result<Option<i64>, Error> {
    let mut statement = conn.prepare_cached("SELECT at_s FROM renewed WHERE what = ?1")?;
    Ok(statement.query_row([what], |row| row.get(0)).optional()?)
}

/// Sets what [`renewed`] gives.
pub(crate) fn set_renewed(conn: &Connection, what: &str, at_s: i64) -> Result<(), Error> {
    let mut statement = conn.prepare_cached("INSERT OR REPLACE INTO renewed (what, at_s) VALUES (?1, ?2)")?;
    statement.execute(params![what, at_s])?;
    Ok(())
}

/// Marks a chat whose rows are to be removed.
pub(crate) fn add_dead_chat(conn: &Connection, chat: ChatId) -> Result<(), Error> {
    conn.prepare_cached("INSERT OR IGNORE INTO dead_chat (chat_id) VALUES (?1)")?.execute([chat])?;
    Ok(())
}

/// The next tag of a sequence, not before `first`.
pub(crate) fn sequence(conn: &Connection, region: &str, first: Tag) -> Result<Tag, Error> {
    let mut statement = conn.prepare_cached("SELECT next FROM sequence WHERE region = ?1")?;
    let next: Option<i64> = statement.query_row([region], |row| row.get(0)).optional()?;
    Ok(next.and_then(Tag::from_sql).unwrap_or(first).max(first))
}

/// Sets what [`sequence`] gives next.
pub(crate) fn set_sequence(conn: &Connection, region: &str, next: i64) -> Result<(), Error> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO sequence (region, next) VALUES (?1, ?2)
         ON CONFLICT (region) DO UPDATE SET next = max(next, excluded.next)",
    )?;
    statement.execute(params![region, next])?;
    Ok(())
}

/// Gives up to `limit` free pages back to the system; whether there are more of them.
pub(crate) fn shrink(conn: &Connection, limit: u32) -> Result<bool, Error> {
    let mut statement = conn.prepare(&format!("PRAGMA incremental_vacuum({limit})"))?;
    let mut pages = statement.query([])?;
    // Each row stands for one page: whoever asks for the first alone frees one and no more.
    while pages.next()?.is_some() {}
    let left: i64 = conn.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
    Ok(left > 0)
}

/// Housekeeping after rows went: the write-ahead log into the file.
pub(crate) fn tidy(conn: &Connection) -> Result<(), Error> {
    // A reader that holds a snapshot makes this give up early, and the next wipe comes back to it. It must not wait for
    // that reader: the one writer would stand still with it.
    conn.busy_timeout(Duration::ZERO)?;
    let done = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    conn.busy_timeout(BUSY)?;
    match done {
        Err(error) if error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::deaths::{DUE_HOLDS, NEXT_DUE, REMOVE_EXPIRED};
    use super::*;
    use crate::cipher::Key;
    use crate::schema::{connect, migrate};

    fn plan(conn: &Connection, sql: &str) -> String {
        let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let lines = statement.raw_query().mapped(|row| row.get::<_, String>(3)).map(Result::unwrap);
        lines.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn no_hot_statement_walks_the_table_or_sorts() {
        let folder = tempfile::tempdir().unwrap();
        let mut conn = connect(&folder.path().join("a.db"), &Key([1; 32])).unwrap();
        migrate(&mut conn).unwrap();
        let (page, after) = (page_sql("ord < :ord", "DESC"), page_sql("ord > :ord", "ASC"));
        for (sql, index) in [
            (DUE_HOLDS, "item_by_held_due"),
            (NEXT_DUE, "item_by_due"),
            (REMOVE_EXPIRED, "item_by_due"),
            (REMOVE_EXPIRED, "item_by_leaf"),
            (&page, "item_by_chat"),
            (&after, "item_by_chat"),
        ] {
            let plan = plan(&conn, sql);
            assert!(plan.contains(index), "{sql}: {plan}");
            assert!(!plan.contains("SCAN item") && !plan.contains("B-TREE"), "{sql}: {plan}");
        }
    }
}
