//! Reading: rows to items, failing closed.

use rusqlite::Connection;

use crate::cipher::{Key, LABEL, mac};
use crate::item::{BURNING, FIRST_FREE_KIND, KIND_CHAT_KEY, KIND_NAMING_KEY};
use crate::keys::Shared;
use crate::sql::{self, Alive, Sealed};
use crate::tag::Region;
use crate::time::Second;
use crate::{ChatId, Error, Item, ItemId, Life, UnixMs};

/// One snapshot of the vault.
///
/// What has expired is not there, twice over: the query leaves it out, and the key that would open it is gone.
pub struct Reader<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) conn: &'a Connection,
    /// Whether a row whose leaf has just been replaced may be looked up again outside the snapshot.
    pub(crate) may_look_again: bool,
}

impl std::fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader(..)")
    }
}

/// Why a row gave no plaintext.
enum Shut {
    /// Its leaf or its chat is gone.
    Gone,
    Damaged,
}

impl Reader<'_> {
    /// Now, by the vault's rules.
    pub fn now(&self) -> UnixMs {
        self.shared.now().0.effective
    }

    pub(crate) fn alive(&self) -> Alive {
        self.shared.alive()
    }

    /// The item of this id, or nothing if there is none alive.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn item(&self, id: ItemId) -> Result<Option<Item>, Error> {
        match sql::item(self.conn, id, self.alive())? {
            Some(row) if row.kind >= FIRST_FREE_KIND => {
                let chat_key = self.key_of(row.chat, row.kind)?;
                self.open(&row, chat_key.as_ref())
            }
            _ => Ok(None),
        }
    }

    /// Up to `limit` items of a chat (or outside any) and kind, newest first, before an order if one is given.
    ///
    /// # Errors
    /// [`Error::ReservedKind`], [`Error::Database`].
    pub fn page(&self, chat: Option<ChatId>, kind: u8, before: Option<i64>, limit: u32) -> Result<Vec<Item>, Error> {
        check_kind(kind)?;
        let before = before.unwrap_or(i64::MAX);
        self.open_all(sql::page(self.conn, chat, kind, before, limit, self.alive())?)
    }

    /// Up to `limit` items of a chat (or outside any) and kind after an order, oldest first.
    ///
    /// # Errors
    /// [`Error::ReservedKind`], [`Error::Database`].
    pub fn after(&self, chat: Option<ChatId>, kind: u8, after: i64, limit: u32) -> Result<Vec<Item>, Error> {
        check_kind(kind)?;
        self.open_all(sql::after(self.conn, chat, kind, after, limit, self.alive())?)
    }

    /// All items of a kind, across chats and outside, oldest first.
    ///
    /// # Errors
    /// [`Error::ReservedKind`], [`Error::Database`].
    pub fn all(&self, kind: u8) -> Result<Vec<Item>, Error> {
        check_kind(kind)?;
        self.open_all(sql::all(self.conn, kind, self.alive())?)
    }

    /// How many items a chat (or none) has of a kind.
    ///
    /// # Errors
    /// [`Error::ReservedKind`], [`Error::Database`].
    pub fn count(&self, chat: Option<ChatId>, kind: u8) -> Result<u64, Error> {
        check_kind(kind)?;
        if let Some(chat) = chat
            && self.chat_row(chat)?.is_none()
        {
            return Ok(0);
        }
        sql::count(self.conn, chat, kind, self.alive())
    }

    /// Whether a tombstone stands on this id.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn is_buried(&self, id: ItemId) -> Result<bool, Error> {
        sql::is_buried(self.conn, id, self.alive().s_now)
    }

    /// The id that a name has in a chat, or outside any: the same each time, and telling nothing about the name.
    ///
    /// # Errors
    /// [`Error::NoChat`], [`Error::Damaged`], [`Error::Database`].
    pub fn derive_id(&self, chat: Option<ChatId>, name: &[u8]) -> Result<ItemId, Error> {
        let key = match chat {
            Some(chat) => self.chat_key(chat)?.ok_or(Error::NoChat)?,
            None => self.naming_key()?,
        };
        let full = mac(&key.0, &[LABEL, b"name", name]);
        full.0.first_chunk().map(|bytes| ItemId::from_bytes(*bytes)).ok_or(Error::Damaged)
    }

    fn naming_key(&self) -> Result<Key, Error> {
        let row = sql::all(self.conn, KIND_NAMING_KEY, self.alive())?.pop().ok_or(Error::Damaged)?;
        self.record_key(&row).map_err(|_| Error::Damaged)
    }

    fn chat_row(&self, chat: ChatId) -> Result<Option<Sealed>, Error> {
        let row = sql::item(self.conn, ItemId::from_bytes(*chat.as_bytes()), self.alive())?;
        Ok(row.filter(|row| row.kind == KIND_CHAT_KEY))
    }

    /// The key of a chat, or nothing where the chat is gone.
    pub(crate) fn chat_key(&self, chat: ChatId) -> Result<Option<Key>, Error> {
        let Some(row) = self.chat_row(chat)? else { return Ok(None) };
        if let Some(key) = self.shared.keys().cached_chat(chat) {
            return Ok(Some(key));
        }
        let Ok(key) = self.record_key(&row) else { return Ok(None) };
        // Under the lock that a wipe needs to puncture: what is gone by then is not put into the cache afterwards.
        let keys = self.shared.keys();
        if keys.leaf_key(row.leaf).is_some() {
            keys.cache_chat(chat, &key);
        }
        Ok(Some(key))
    }

    /// The 32 bytes in a record of the vault's own.
    fn record_key(&self, row: &Sealed) -> Result<Key, Shut> {
        let dek = self.dek(row, &Key::ZERO)?;
        let body = self.identity(row).open_body(&dek, &row.body).map_err(|_| Shut::Damaged)?;
        body.first_chunk().map(|bytes| Key(*bytes)).ok_or(Shut::Damaged)
    }

    pub(crate) fn identity(&self, row: &Sealed) -> crate::seal::Identity<'_> {
        self.shared.identity(row.id, row.chat, row.kind)
    }

    /// The key that a row hangs from besides its leaf: that of the chat it stands in, zeros outside any; for a kind that
    /// burns, that one under the key that is in memory alone.
    pub(crate) fn key_of(&self, chat: Option<ChatId>, kind: u8) -> Result<Option<Key>, Error> {
        let key = chat.map_or(Ok(Some(Key::ZERO)), |chat| self.chat_key(chat))?;
        if kind & BURNING == 0 {
            return Ok(key);
        }
        Ok(key.and_then(|key| self.shared.keys().burning(&key)))
    }

    fn dek(&self, row: &Sealed, chat_key: &Key) -> Result<Key, Shut> {
        let leaf_key = self.shared.keys().leaf_key(row.leaf).ok_or(Shut::Gone)?;
        self.identity(row).unwrap(row.leaf, &leaf_key, chat_key, &row.wrap).ok_or(Shut::Damaged)
    }

    /// The item key of a row, where everything it hangs from is alive.
    pub(crate) fn row_dek(&self, row: &Sealed) -> Result<Option<Key>, Error> {
        Ok(self.key_of(row.chat, row.kind)?.and_then(|chat_key| self.dek(row, &chat_key).ok()))
    }

    fn open_all(&self, rows: Vec<Sealed>) -> Result<Vec<Item>, Error> {
        let mut items = Vec::with_capacity(rows.len());
        // Most rows of a page stand in one chat.
        let mut last: Option<(Option<ChatId>, u8, Option<Key>)> = None;
        for row in rows {
            let burns = row.kind & BURNING;
            let chat_key = match last {
                Some((chat, as_well, key)) if (chat, as_well) == (row.chat, burns) => key,
                _ => self.key_of(row.chat, row.kind)?,
            };
            items.extend(self.open(&row, chat_key.as_ref())?);
            last = Some((row.chat, burns, chat_key));
        }
        Ok(items)
    }

    /// Opens a row. Nothing if it, or its chat, has died since the snapshot was taken.
    fn open(&self, row: &Sealed, chat_key: Option<&Key>) -> Result<Option<Item>, Error> {
        let Some(chat_key) = chat_key else { return Ok(None) };
        let opened = self
            .dek(row, chat_key)
            .and_then(|dek| self.identity(row).open_body(&dek, &row.body).map_err(|_| Shut::Damaged));
        let body = match opened {
            Ok(body) => Some(body),
            Err(Shut::Gone) if self.may_look_again => return self.look_again(row.id),
            Err(Shut::Gone | Shut::Damaged) => None,
        };
        let life = life(row);
        Ok(Some(Item { id: row.id, chat: row.chat, kind: row.kind, order: row.ord, life, body }))
    }

    /// A leaf can go between the snapshot and this look, because the item got another: then the row of now counts.
    fn look_again(&self, id: ItemId) -> Result<Option<Item>, Error> {
        let conn = self.shared.reader()?;
        let item = Reader { shared: self.shared, conn: &conn, may_look_again: false }.item(id);
        self.shared.put_back(conn);
        item
    }
}

fn check_kind(kind: u8) -> Result<(), Error> {
    if kind < FIRST_FREE_KIND { Err(Error::ReservedKind) } else { Ok(()) }
}

fn life(row: &Sealed) -> Life {
    match (row.leaf.tag.region(), row.due) {
        (Region::Timed(second), _) | (Region::Spill, Some(second)) => Life::Until(second.begins()),
        (Region::Hold | Region::Spill, limit) => Life::Held { limit: limit.map(Second::begins) },
        (Region::Record, _) => Life::Record,
    }
}
