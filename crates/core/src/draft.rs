//! Drafts: words that somebody has begun to write lie sealed like messages, and die like them.
//!
//! A draft lives as long as messages of its chat do, at least five minutes and at most a week after the last key, and no longer
//! than the message that it answers. In a chat that burns it burns.

use mayfly_vault::{ChatId, Item, ItemId, Life, NewItem, Reader, UnixMs, Urgency, Writer};

use crate::{
    Engine, Error, chat, expiry, message,
    payload::MAX_TEXT_CHARS,
    store::{self, DraftRecord, Kind},
    view::DraftView,
};

impl Engine {
    /// Keeps what somebody has begun to write in a chat, in place of what was kept before; empty words are forgotten.
    /// Nothing is told of it: whoever writes knows.
    ///
    /// # Errors
    /// [`Error::MessageTooLong`], [`Error::ChatMissing`].
    pub async fn set_draft(&self, chat: ChatId, text: &str, reply_to: Option<ItemId>) -> Result<(), Error> {
        let text = zeroize::Zeroizing::new(text.to_owned());
        self.store().write(Urgency::User, move |writer| set(writer, chat, &text, reply_to)).await
    }
}

/// The draft that is alive in a chat. Each has an id of its own: that of a dead one is not free until its row is gone.
fn living(reader: &Reader<'_>, chat: ChatId) -> Result<Option<Item>, Error> {
    for kind in [Kind::Draft, Kind::BurningDraft] {
        if let Some(item) = reader.page(Some(chat), kind.number(), None, 1)?.pop() {
            return Ok(Some(item));
        }
    }
    Ok(None)
}

fn set(writer: &mut Writer<'_>, chat: ChatId, text: &str, reply_to: Option<ItemId>) -> Result<(), Error> {
    if text.chars().count() > MAX_TEXT_CHARS {
        return Err(Error::MessageTooLong);
    }
    let record = chat::load(writer, chat)?;
    clear(writer, chat)?;
    // What answers a message that has died meanwhile answers nothing.
    let source = reply_to.and_then(|source| message::item(writer, chat, source).ok());
    if text.trim().is_empty() && source.is_none() {
        return Ok(());
    }
    let left = writer.now().plus_ms(i64::from(expiry::draft_life_s(record.contract.timer)) * 1_000);
    let death = source.as_ref().and_then(|source| message::death(&source.life));
    let until = death.map_or(left, |death: UnixMs| death.min(left));
    let draft = DraftRecord { text: text.to_owned(), reply_to: source.map(|source| *source.id.as_bytes()) };
    let kind = if record.burns { Kind::BurningDraft } else { Kind::Draft };
    let body = store::encode(&draft)?;
    let new =
        NewItem { id: ItemId::random()?, chat: Some(chat), kind: kind.number(), life: Life::Until(until), body: &body };
    match writer.insert(&new) {
        // The message that it answers dies in this second.
        Ok(_) | Err(mayfly_vault::Error::DeadlineRange) => Ok(()),
        Err(fault) => Err(fault.into()),
    }
}

/// Forgets a chat's draft, as sending does.
pub(crate) fn clear(writer: &mut Writer<'_>, chat: ChatId) -> Result<(), Error> {
    while let Some(draft) = living(writer, chat)? {
        writer.wipe(draft.id)?;
    }
    Ok(())
}

/// A chat's draft, if there is one that is alive.
pub(crate) fn view(reader: &Reader<'_>, chat: ChatId) -> Result<Option<DraftView>, Error> {
    let draft: Option<DraftRecord> = living(reader, chat)?.map(|item| store::decode(&item)).transpose()?;
    Ok(draft.map(|draft| DraftView {
        text: draft.text,
        reply_to: draft.reply_to.map(|source| ItemId::from_bytes(source).to_string()),
    }))
}
