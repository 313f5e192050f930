//! What goes in and what comes out: items, and how long they live.

use std::fmt;

use zeroize::Zeroizing;

use crate::{ChatId, ItemId, UnixMs};

/// Kinds below this are the vault's own.
pub(crate) const FIRST_FREE_KIND: u8 = 16;
/// Items of kinds with this bit burn: besides all else they hang from a key that is in memory alone, and goes when the vault
/// is locked or closed, or its program ends, however it ends. They are over when it is opened again.
pub const BURNING: u8 = 0x80;
/// The record that holds a chat's key; its item id is the chat id.
pub(crate) const KIND_CHAT_KEY: u8 = 1;
/// The record that holds the key under which names become ids.
pub(crate) const KIND_NAMING_KEY: u8 = 2;

/// How long an item lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Until a deadline, rounded up to the whole second.
    Until(UnixMs),
    /// Its timer has not started; at the latest until the limit.
    Held {
        /// The latest death, if there is one.
        limit: Option<UnixMs>,
    },
    /// Until it is replaced or wiped.
    Record,
}

/// An item to insert.
#[derive(Clone, Copy)]
pub struct NewItem<'a> {
    /// Its id; one that is in use or buried is refused.
    pub id: ItemId,
    /// The chat whose key it is sealed under, too.
    pub chat: Option<ChatId>,
    /// What it is, in the caller's own numbering from 16 on.
    pub kind: u8,
    /// How long it lives.
    pub life: Life,
    /// The plaintext, up to 16 MiB.
    pub body: &'a [u8],
}

/// An item, opened.
#[derive(Clone, PartialEq, Eq)]
pub struct Item {
    /// Its id.
    pub id: ItemId,
    /// The chat it belongs to.
    pub chat: Option<ChatId>,
    /// What it is.
    pub kind: u8,
    /// Its place in the order of insertion, over all chats and kinds; rises, and is never used twice.
    pub order: i64,
    /// How long it lives; deadlines as promised, on whole seconds.
    pub life: Life,
    /// The plaintext, zeroized when dropped; `None` when the row is damaged.
    pub body: Option<Zeroizing<Vec<u8>>>,
}

impl fmt::Debug for NewItem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, chat, kind, life, .. } = self;
        write!(f, "NewItem {{ id: {id:?}, chat: {chat:?}, kind: {kind}, life: {life:?}, body: .. }}")
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, chat, kind, order, life, .. } = self;
        write!(f, "Item {{ id: {id:?}, chat: {chat:?}, kind: {kind}, order: {order}, life: {life:?}, body: .. }}")
    }
}
