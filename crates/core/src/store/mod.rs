//! What the core keeps, as typed records over the vault's items. No SQL in here, and no plaintext outside a seal.

mod records;

use mayfly_vault::{BURNING, ChatId, Item, ItemId, Life, NewItem, Reader, Writer};
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

pub(crate) use records::{
    ChatRecord, DraftRecord, EpochRecord, InvitationRecord, MessageRecord, OutboxRecord, Outgoing, ProfileRecord,
    ReactionRecord, ReceiptRecord, Secret, StateRecord, fifteen_minutes,
};

use crate::Error;

/// What a row is; one number each, never used again. 0 to 15 are the vault's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Profile = 16,
    Invitation = 17,
    Chat = 18,
    Message = 19,
    /// How far a message has come; an item of its own, because it changes and the message does not.
    MessageState = 20,
    Outbox = 21,
    Mls = 22,
    Epoch = 23,
    Receipt = 24,
    /// What an audit lets live for two seconds.
    Audit = 25,
    /// Words that somebody has begun to write.
    Draft = 26,
    /// A message that burns with the lock…
    BurningMessage = BURNING + 19,
    /// …and how far it has come.
    BurningState = BURNING + 20,
    /// Words begun in a chat that burns.
    BurningDraft = BURNING + 26,
}

impl Kind {
    /// The kind of a message, and of how far it has come, in a chat that burns or in another.
    pub(crate) const fn of_messages(burns: bool) -> [Self; 2] {
        if burns { [Self::BurningMessage, Self::BurningState] } else { [Self::Message, Self::MessageState] }
    }

    /// Whether this is a message, burning or not.
    pub(crate) const fn is_message(number: u8) -> bool {
        number & !BURNING == Self::Message as u8
    }

    /// Whether these are words that somebody has begun to write, burning or not.
    pub(crate) const fn is_draft(number: u8) -> bool {
        number & !BURNING == Self::Draft as u8
    }

    pub(crate) const fn number(self) -> u8 {
        self as u8
    }
}

/// The bytes of a record, in CBOR.
pub(crate) fn encode<T: Serialize>(record: &T) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(512));
    ciborium::into_writer(record, &mut *bytes).map_err(|_| Error::Store("record"))?;
    Ok(bytes)
}

/// The record in an item.
///
/// # Errors
/// [`Error::Store`] if the item is damaged or of another format.
pub(crate) fn decode<T: DeserializeOwned>(item: &Item) -> Result<T, Error> {
    let body = item.body.as_ref().ok_or(Error::Store("damaged"))?;
    ciborium::from_reader(body.as_slice()).map_err(|_| Error::Store("record"))
}

/// Loads one record.
pub(crate) fn load<T: DeserializeOwned>(reader: &Reader<'_>, id: ItemId) -> Result<Option<T>, Error> {
    reader.item(id)?.map(|item| decode(&item)).transpose()
}

/// Saves a record that newer versions replace: inserts it, or replaces the one that stands there.
pub(crate) fn put<T: Serialize>(
    writer: &mut Writer<'_>,
    id: ItemId,
    chat: Option<ChatId>,
    kind: Kind,
    record: &T,
) -> Result<(), Error> {
    put_bytes(writer, id, chat, kind, &encode(record)?)
}

/// [`put`] for a record that is encoded already.
pub(crate) fn put_bytes(
    writer: &mut Writer<'_>,
    id: ItemId,
    chat: Option<ChatId>,
    kind: Kind,
    body: &[u8],
) -> Result<(), Error> {
    if writer.item(id)?.is_some() {
        writer.replace(id, body)?;
    } else {
        writer.insert(&NewItem { id, chat, kind: kind.number(), life: Life::Record, body })?;
    }
    Ok(())
}
