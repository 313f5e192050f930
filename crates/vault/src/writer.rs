//! Writing: one job at a time, inside the one writer's transaction.

use std::ops::Deref;

use rusqlite::Connection;

use crate::cipher::Key;
use crate::item::{FIRST_FREE_KIND, KIND_CHAT_KEY, KIND_NAMING_KEY};
use crate::keys::Shared;
use crate::reader::Reader;
use crate::sabotage::{Sabotage, is_on};
use crate::seal::Leaf;
use crate::sql::{self, Sealed};
use crate::tag::{Region, Tag};
use crate::time::{Second, second_at};
use crate::{ChatId, Error, ItemId, Life, NewItem, UnixMs};

/// What was wiped by hand is irrecoverable within a second; half of it is left for the wipe itself.
const BY_HAND_MS: i64 = 500;
/// What was replaced is irrecoverable within a minute.
const REPLACED_MS: i64 = 55_000;

/// A job's view of the vault: everything a [`Reader`] has, and the changes.
///
/// All changes of a job are kept together or not at all.
pub struct Writer<'a> {
    reader: Reader<'a>,
    /// Whether something may now be due earlier than it was.
    pub(crate) is_due_changed: bool,
}

impl std::fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Writer(..)")
    }
}

impl<'a> Deref for Writer<'a> {
    type Target = Reader<'a>;

    fn deref(&self) -> &Reader<'a> {
        &self.reader
    }
}

/// Where an item is to hang, before it has a tag.
#[derive(Clone, Copy)]
enum Place {
    Timed(Second),
    Hold(Option<Second>),
    Record,
}

impl Place {
    /// Where a row hangs now.
    fn of(row: &Sealed) -> Self {
        match (row.leaf.tag.region(), row.due) {
            (Region::Timed(second), _) | (Region::Spill, Some(second)) => Self::Timed(second),
            (Region::Hold | Region::Spill, limit) => Self::Hold(limit),
            (Region::Record, _) => Self::Record,
        }
    }

    fn due(self) -> Option<Second> {
        match self {
            Self::Timed(second) => Some(second),
            Self::Hold(limit) => limit,
            Self::Record => None,
        }
    }
}

impl<'a> Writer<'a> {
    pub(crate) fn new(shared: &'a Shared, conn: &'a Connection) -> Self {
        Self { reader: Reader { shared, conn, may_look_again: false }, is_due_changed: false }
    }

    /// Inserts an item and gives its order.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::Buried`], [`Error::DeadlineRange`], [`Error::NoChat`], [`Error::TooLarge`],
    /// [`Error::ReservedKind`].
    pub fn insert(&mut self, item: &NewItem<'_>) -> Result<i64, Error> {
        if item.kind < FIRST_FREE_KIND {
            return Err(Error::ReservedKind);
        }
        if self.is_buried(item.id)? {
            return Err(Error::Buried);
        }
        if sql::has_item(self.conn, item.id)? {
            return Err(Error::Exists);
        }
        self.insert_row(item)
    }

    fn insert_row(&mut self, item: &NewItem<'_>) -> Result<i64, Error> {
        let chat_key = self.key_of(item.chat, item.kind)?.ok_or(Error::NoChat)?;
        let place = self.place(item.life)?;
        let dek = Key::random()?;
        let identity = self.shared.identity(item.id, item.chat, item.kind);
        let body = identity.seal_body(&dek, item.body)?;
        let (leaf, leaf_key) = self.new_leaf(place, item.id)?;
        let wrap = identity.wrap(leaf, &leaf_key, &chat_key, &dek)?.to_vec();
        let due = place.due();
        self.is_due_changed |= due.is_some();
        let row = Sealed { ord: 0, id: item.id, chat: item.chat, kind: item.kind, leaf, due, wrap, body };
        sql::insert(self.conn, &row)
    }

    /// Gives an item another body. Chat, kind, order and life stay; the old body dies with its key within a minute.
    ///
    /// # Errors
    /// [`Error::NoItem`], [`Error::NoChat`], [`Error::TooLarge`].
    pub fn replace(&mut self, id: ItemId, body: &[u8]) -> Result<(), Error> {
        let row = self.row(id)?.ok_or(Error::NoItem)?;
        let chat_key = self.key_of(row.chat, row.kind)?.ok_or(Error::NoChat)?;
        let dek = if is_on(Sabotage::ReuseDek) { self.row_dek(&row)?.ok_or(Error::Damaged)? } else { Key::random()? };
        let sealed = self.identity(&row).seal_body(&dek, body)?;
        if !is_on(Sabotage::NoPunctureOnReplace) {
            self.leave_leaf(&row, REPLACED_MS)?;
        }
        self.hang(&row, Place::of(&row), &chat_key, &dek)?;
        sql::set_body(self.conn, row.ord, &sealed)
    }

    /// Starts the timer of a held item, or brings the deadline of a timed one forward; gives the promised moment, on a
    /// whole second. Never later than a limit or deadline that it has already: 32 bytes are wrapped anew, and the old
    /// leaf is punctured, so that no copy of the old wrap outlives the timer.
    ///
    /// # Errors
    /// [`Error::NoItem`], [`Error::NoTimer`], [`Error::DeadlineRange`], [`Error::Damaged`].
    pub fn start_timer(&mut self, id: ItemId, deadline: UnixMs) -> Result<UnixMs, Error> {
        let row = self.row(id)?.ok_or(Error::NoItem)?;
        let asked = self.due(deadline);
        let second = match (row.leaf.tag.region(), row.due) {
            (Region::Record, _) => return Err(Error::NoTimer),
            (Region::Timed(now), _) | (Region::Spill, Some(now)) => {
                // A deadline beyond what a tag holds is no error here: it would have been later in any case.
                match Second::due(deadline) {
                    Some(_) if asked? < now => asked?,
                    Some(_) => return Ok(now.begins()),
                    None if deadline >= now.begins() => return Ok(now.begins()),
                    None => return Err(Error::DeadlineRange),
                }
            }
            (Region::Hold | Region::Spill, limit) => match (asked, limit) {
                (Ok(second), Some(limit)) => second.min(limit),
                (Ok(second), None) => second,
                (Err(_), Some(limit)) if deadline >= limit.begins() => limit,
                (Err(error), _) => return Err(error),
            },
        };
        let chat_key = self.key_of(row.chat, row.kind)?.ok_or(Error::NoChat)?;
        let dek = self.row_dek(&row)?.ok_or(Error::Damaged)?;
        if !is_on(Sabotage::NoPunctureOnTimerStart) {
            self.leave_leaf(&row, REPLACED_MS)?;
        }
        self.hang(&row, Place::Timed(second), &chat_key, &dek)?;
        Ok(second.begins())
    }

    /// Wipes an item by hand: its row goes now, its key within a second. Whether there was one.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn wipe(&mut self, id: ItemId) -> Result<bool, Error> {
        let Some(row) = self.row(id)? else { return Ok(false) };
        self.leave_leaf(&row, BY_HAND_MS)?;
        sql::delete(self.conn, row.ord)?;
        Ok(true)
    }

    /// Makes a chat: a key under which its items are sealed, besides their own.
    ///
    /// # Errors
    /// [`Error::Randomness`], [`Error::Database`].
    pub fn create_chat(&mut self) -> Result<ChatId, Error> {
        let chat = ChatId::random()?;
        self.insert_key(ItemId::from_bytes(*chat.as_bytes()), KIND_CHAT_KEY)?;
        Ok(chat)
    }

    /// Makes the key under which names become ids, once.
    pub(crate) fn create_naming_key(&mut self) -> Result<(), Error> {
        self.insert_key(ItemId::random()?, KIND_NAMING_KEY)
    }

    fn insert_key(&mut self, id: ItemId, kind: u8) -> Result<(), Error> {
        let key = Key::random()?;
        self.insert_row(&NewItem { id, chat: None, kind, life: Life::Record, body: &key.0 })?;
        Ok(())
    }

    /// Wipes a chat with everything in it: one puncture, however much that is. Nothing of it can be read any more; its
    /// keys are gone within a second, its rows in the background.
    ///
    /// # Errors
    /// [`Error::NoChat`], [`Error::Database`].
    pub fn wipe_chat(&mut self, chat: ChatId) -> Result<(), Error> {
        let row = sql::item(self.conn, ItemId::from_bytes(*chat.as_bytes()), self.alive())?
            .filter(|row| row.kind == KIND_CHAT_KEY)
            .ok_or(Error::NoChat)?;
        self.leave_leaf(&row, BY_HAND_MS)?;
        sql::delete(self.conn, row.ord)?;
        sql::add_dead_chat(self.conn, chat)
    }

    /// Puts a tombstone on an id: until then no item of this id is let in.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn bury(&mut self, id: ItemId, until: UnixMs) -> Result<(), Error> {
        // Rounded up, as a deadline is. Beyond what a tag can hold it simply stands longer than any item.
        sql::bury(self.conn, id, second_at(until.plus_ms(999)))
    }

    fn row(&self, id: ItemId) -> Result<Option<Sealed>, Error> {
        let row = sql::item(self.conn, id, self.alive())?;
        Ok(row.filter(|row| row.kind >= FIRST_FREE_KIND))
    }

    /// The second of a deadline, which has to lie ahead.
    fn due(&self, deadline: UnixMs) -> Result<Second, Error> {
        let s_now = second_at(self.now());
        Second::due(deadline).filter(|second| i64::from(second.0) > s_now).ok_or(Error::DeadlineRange)
    }

    fn place(&self, life: Life) -> Result<Place, Error> {
        Ok(match life {
            Life::Until(deadline) => Place::Timed(self.due(deadline)?),
            Life::Held { limit } => Place::Hold(limit.map(|limit| self.due(limit)).transpose()?),
            Life::Record => Place::Record,
        })
    }

    /// Wraps a row's key anew in another place.
    fn hang(&mut self, row: &Sealed, place: Place, chat_key: &Key, dek: &Key) -> Result<(), Error> {
        let (leaf, leaf_key) = self.new_leaf(place, row.id)?;
        let wrap = self.identity(row).wrap(leaf, &leaf_key, chat_key, dek)?;
        self.is_due_changed |= place.due().is_some();
        sql::rewrap(self.conn, row.ord, leaf, place.due(), &wrap)
    }

    /// An open leaf of the newest tree and its key.
    fn new_leaf(&mut self, place: Place, id: ItemId) -> Result<(Leaf, Key), Error> {
        let tag = match place {
            Place::Timed(second) => match self.timed_tag(second, id)? {
                Some(tag) => tag,
                // All 256 leaves of the second are gone: it dies at its row's second instead, like a held item.
                None => self.next_in("spill", Tag::SPILL, Tag::RECORD)?,
            },
            Place::Hold(_) => self.next_in("hold", Tag::HOLD, Tag::SPILL)?,
            Place::Record => self.next_in("record", Tag::RECORD, Tag::END)?,
        };
        let keys = self.shared.keys();
        let generation = keys.newest().ok_or(Error::Closed)?.generation();
        let leaf = Leaf { tag, generation };
        let key = keys.leaf_key(leaf).ok_or(Error::Closed)?;
        Ok((leaf, key))
    }

    /// The leaf of this second that the id falls on, or the next one that is neither gone nor condemned.
    fn timed_tag(&self, second: Second, id: ItemId) -> Result<Option<Tag>, Error> {
        pick(second, id, |tag| {
            let keys = self.shared.keys();
            let tree = keys.newest().ok_or(Error::Closed)?;
            let leaf = Leaf { tag, generation: tree.generation() };
            Ok(tree.is_open(tag) && !sql::is_condemned(self.conn, leaf)?)
        })
    }

    /// The next tag of a sequence; tags that are gone, after a database was put back, are passed over.
    fn next_in(&self, name: &str, first: Tag, end: Tag) -> Result<Tag, Error> {
        let next = sql::sequence(self.conn, name, first)?;
        let tag = self.shared.keys().newest().ok_or(Error::Closed)?.next_open(next, end).ok_or(Error::TooLarge)?;
        sql::set_sequence(self.conn, name, tag.to_sql() + 1)?;
        Ok(tag)
    }

    /// Condemns the leaf that a row hangs from, and the one that it hung from in an older tree.
    fn leave_leaf(&mut self, row: &Sealed, within_ms: i64) -> Result<(), Error> {
        let by = self.now().plus_ms(within_ms);
        self.condemn(row.leaf, row.ord, by)?;
        if self.shared.keys().is_moving()
            && let Some(before) = sql::take_moved(self.conn, row.id)?
        {
            self.condemn(before, row.ord, by)?;
        }
        Ok(())
    }

    /// Condemns a leaf, after moving whatever hangs there besides one row to other leaves.
    fn condemn(&mut self, leaf: Leaf, but: i64, by: UnixMs) -> Result<(), Error> {
        // First, so that nothing moves to a leaf that is about to go.
        sql::condemn(self.conn, leaf, by.0)?;
        self.is_due_changed = true;
        let Region::Timed(second) = leaf.tag.region() else { return Ok(()) };
        for other in sql::sharers(self.conn, leaf, but)? {
            // One that does not open, or whose chat is gone, has nothing to save.
            let Some(chat_key) = self.key_of(other.chat, other.kind)? else { continue };
            let Some(dek) = self.row_dek(&other)? else { continue };
            self.hang(&other, Place::Timed(second), &chat_key, &dek)?;
        }
        Ok(())
    }

    /// Hangs a row of an older tree from the youngest. Its old leaf lives as long as that tree, and is remembered: an item
    /// that dies in the meantime takes both along.
    pub(crate) fn move_row(&mut self, row: &Sealed) -> Result<(), Error> {
        let chat_key = self.key_of(row.chat, row.kind)?;
        let (Some(chat_key), Some(dek)) = (chat_key, self.row_dek(row)?) else {
            // Damaged: it opens nowhere, and must not hold the old tree for ever.
            let generation = self.shared.keys().newest().ok_or(Error::Closed)?.generation();
            return sql::rewrap(self.conn, row.ord, Leaf { generation, ..row.leaf }, row.due, &row.wrap);
        };
        if row.leaf.tag.region() == Region::Spill {
            // It may find a leaf of its second in the young tree, where its limit would no longer lead to the old leaf.
            sql::condemn(self.conn, row.leaf, self.now().plus_ms(REPLACED_MS).0)?;
        } else if !is_on(Sabotage::ForgetWhereItHung) {
            sql::keep_moved(self.conn, row.id, row.leaf)?;
        }
        self.hang(row, Place::of(row), &chat_key, &dek)
    }
}

/// The leaf of a second that an id falls on by its first byte, or cyclically the next one that is open.
pub(crate) fn pick(
    second: Second,
    id: ItemId,
    is_open: impl Fn(Tag) -> Result<bool, Error>,
) -> Result<Option<Tag>, Error> {
    let [first, ..] = *id.as_bytes();
    for step in 0..=u8::MAX {
        let tag = Tag::timed(second, first.wrapping_add(step));
        if is_open(tag)? {
            return Ok(Some(tag));
        }
    }
    Ok(None)
}
