//! What follows a message: answers, signs under it, other words for it, and its deletion for everyone.
//!
//! None of it outlives the message: an answer names it and never copies its words, signs lie in a record that dies with it,
//! other words take the place of the first ones and their deadline, which no change moves.

use mayfly_vault::{ChatId, Item, ItemId, UnixMs, Urgency, Writer};

use crate::{
    Engine, Error, chat, expiry, message,
    mls::Identity,
    outbox,
    payload::{Body, MessageName, Payload, PayloadId, is_reaction},
    profile::random,
    store::{self, MessageRecord, ReactionRecord},
    view::{Event, MessageKind, MessageView, Sender, Timer},
};

impl Engine {
    /// Sends words that answer a message of the chat; else as [`Engine::send_message`].
    ///
    /// # Errors
    /// As there; [`Error::MessageMissing`] if what they answer has died.
    pub async fn reply(
        &self,
        chat: ChatId,
        to: ItemId,
        text: &str,
        timer: Option<Timer>,
    ) -> Result<MessageView, Error> {
        self.send(chat, text, timer, Some(to)).await
    }

    /// Puts a sign under a message, in place of an earlier one of ours; an empty one takes it away.
    ///
    /// # Errors
    /// [`Error::ReactionInvalid`], [`Error::MessageMissing`], [`Error::ChatMissing`].
    pub async fn react(&self, chat: ChatId, message: ItemId, emoji: &str) -> Result<MessageView, Error> {
        let (identity, emoji) = (self.identity(), emoji.to_owned());
        let set = move |writer: &mut Writer<'_>| react(writer, &identity, chat, message, &emoji);
        Ok(self.changed(self.store().write(Urgency::User, set).await?))
    }

    /// Gives a message of ours other words, for 24 hours after it was sent. Its timer goes on as it was.
    ///
    /// # Errors
    /// [`Error::MessageNotOwn`], [`Error::EditTooLate`], [`Error::MessageEmpty`], [`Error::MessageTooLong`],
    /// [`Error::MessageMissing`], [`Error::ChatMissing`].
    pub async fn edit_message(&self, chat: ChatId, message: ItemId, text: &str) -> Result<MessageView, Error> {
        let (identity, text) = (self.identity(), zeroize::Zeroizing::new(text.to_owned()));
        let set = move |writer: &mut Writer<'_>| edit(writer, &identity, chat, message, &text);
        Ok(self.changed(self.store().write(Urgency::User, set).await?))
    }

    /// Destroys a message on this device.
    ///
    /// # Errors
    /// [`Error::MessageMissing`].
    pub async fn wipe_message(&self, chat: ChatId, message: ItemId) -> Result<(), Error> {
        self.store().write(Urgency::User, move |writer| message::wipe(writer, chat, message)).await?;
        self.wiped(chat, message)
    }

    /// Destroys a message of ours here, and asks the other side's device to destroy it there.
    ///
    /// # Errors
    /// [`Error::MessageNotOwn`], [`Error::MessageMissing`], [`Error::ChatMissing`].
    pub async fn delete_for_everyone(&self, chat: ChatId, message: ItemId) -> Result<(), Error> {
        let identity = self.identity();
        let delete = move |writer: &mut Writer<'_>| delete(writer, &identity, chat, message);
        self.store().write(Urgency::User, delete).await?;
        self.wake();
        self.wiped(chat, message)
    }

    fn wiped(&self, chat: ChatId, message: ItemId) -> Result<(), Error> {
        self.tell([Event::MessagesWiped { chat: chat.to_string(), ids: vec![message.to_string()] }]);
        self.tell_chat(self.chat(chat)?);
        Ok(())
    }

    fn changed(&self, message: MessageView) -> MessageView {
        self.tell([Event::MessageChanged { message: message.clone() }]);
        self.wake();
        message
    }
}

/// Queues what follows a message: under its timer, and no longer than it lives.
fn enqueue(
    writer: &mut Writer<'_>,
    identity: &Identity,
    chat: ChatId,
    timer: Timer,
    death: Option<UnixMs>,
    body: Body,
) -> Result<(), Error> {
    let record = chat::load(writer, chat)?;
    let payload = Payload::new(PayloadId(random()?), writer.now().0, timer, body);
    outbox::enqueue_until(writer, identity, chat, &record, &payload, None, death)
}

fn react(
    writer: &mut Writer<'_>,
    identity: &Identity,
    chat: ChatId,
    message: ItemId,
    emoji: &str,
) -> Result<MessageView, Error> {
    if !is_reaction(emoji) {
        return Err(Error::ReactionInvalid);
    }
    let record = message::open_chat(writer, chat)?;
    let name = message::name(writer, identity, chat, &record, message)?;
    let item = message::item(writer, chat, message)?;
    let source: MessageRecord = store::decode(&item)?;
    if set_reaction(writer, chat, &item, &source, None, emoji)? {
        let body = Body::Reaction { message: name, emoji: emoji.to_owned() };
        enqueue(writer, identity, chat, source.timer, message::death(&item.life), body)?;
    }
    message::load_view(writer, message)
}

/// Takes a sign of the other side. `None` if there is nothing to tell, as when the message is dead.
pub(crate) fn take_reaction(
    writer: &mut Writer<'_>,
    chat: ChatId,
    sender: &[u8; 32],
    message: &MessageName,
    emoji: &str,
) -> Result<Option<MessageView>, Error> {
    let id = message::id(writer, chat, &message.author, message.id)?;
    let Ok(item) = message::item(writer, chat, id) else { return Ok(None) };
    let Ok(source) = store::decode::<MessageRecord>(&item) else { return Ok(None) };
    let is_new = set_reaction(writer, chat, &item, &source, Some(*sender), emoji)?;
    is_new.then(|| message::load_view(writer, id)).transpose()
}

/// Sets somebody's sign; `false` if it stands there already.
fn set_reaction(
    writer: &mut Writer<'_>,
    chat: ChatId,
    item: &Item,
    source: &MessageRecord,
    by: Option<[u8; 32]>,
    emoji: &str,
) -> Result<bool, Error> {
    let mut progress = message::progress(writer, chat, item, source)?;
    let before = progress.reactions.iter().position(|reaction| reaction.by == by);
    let before = before.map(|at| progress.reactions.remove(at).emoji);
    if before.as_deref().unwrap_or_default() == emoji {
        return Ok(false);
    }
    if !emoji.is_empty() {
        progress.reactions.push(ReactionRecord { by, emoji: emoji.to_owned() });
    }
    message::save_progress(writer, chat, item, &progress, message::death(&item.life))?;
    Ok(true)
}

fn edit(
    writer: &mut Writer<'_>,
    identity: &Identity,
    chat: ChatId,
    message: ItemId,
    text: &str,
) -> Result<MessageView, Error> {
    let text = message::check_text(text)?;
    let item = message::item(writer, chat, message)?;
    let source: MessageRecord = store::decode(&item)?;
    if source.sender != Sender::Me || source.kind != MessageKind::Text {
        return Err(Error::MessageNotOwn);
    }
    let now = writer.now();
    if now > UnixMs(source.sent_at_ms).plus_ms(expiry::EDIT_WINDOW_MS) {
        return Err(Error::EditTooLate);
    }
    if source.text != text {
        let body = Body::Edit { message: PayloadId(source.payload_id), text: text.to_owned() };
        enqueue(writer, identity, chat, source.timer, message::death(&item.life), body)?;
        replace_text(writer, message, &source, text, now)?;
    }
    message::load_view(writer, message)
}

/// Takes other words for a message of the other side. `None` if there is nothing to tell: it is dead, or newer words stand
/// there, or its day is over.
pub(crate) fn take_edit(
    writer: &mut Writer<'_>,
    chat: ChatId,
    sender: &[u8; 32],
    sent_at_ms: i64,
    message: PayloadId,
    text: &str,
) -> Result<Option<MessageView>, Error> {
    let id = message::id(writer, chat, sender, message)?;
    let Ok(item) = message::item(writer, chat, id) else { return Ok(None) };
    let Ok(source) = store::decode::<MessageRecord>(&item) else { return Ok(None) };
    let at = expiry::sent(UnixMs(sent_at_ms), writer.now());
    let is_in_time = at <= UnixMs(source.sent_at_ms).plus_ms(expiry::EDIT_WINDOW_MS);
    let is_newer = source.edited_at_ms.is_none_or(|before| at.0 > before);
    if source.kind != MessageKind::Text || !is_in_time || !is_newer {
        return Ok(None);
    }
    replace_text(writer, id, &source, text.trim_end(), at)?;
    message::load_view(writer, id).map(Some)
}

/// The old words die with their key within a minute; the life stays.
fn replace_text(
    writer: &mut Writer<'_>,
    id: ItemId,
    source: &MessageRecord,
    text: &str,
    at: UnixMs,
) -> Result<(), Error> {
    // Two changes within a millisecond are two changes.
    let edited_at_ms = source.edited_at_ms.map_or(at.0, |before| at.0.max(before + 1));
    let record = MessageRecord { text: text.to_owned(), edited_at_ms: Some(edited_at_ms), ..source.clone() };
    Ok(writer.replace(id, &store::encode(&record)?)?)
}

fn delete(writer: &mut Writer<'_>, identity: &Identity, chat: ChatId, message: ItemId) -> Result<(), Error> {
    let item = message::item(writer, chat, message)?;
    let source: MessageRecord = store::decode(&item)?;
    if source.sender != Sender::Me || source.kind != MessageKind::Text {
        return Err(Error::MessageNotOwn);
    }
    // Also where the outbox still has it: it may be on its way to a relay in this very moment.
    let body = Body::Delete { message: PayloadId(source.payload_id) };
    enqueue(writer, identity, chat, source.timer, message::death(&item.life), body)?;
    message::destroy(writer, chat, message)
}

/// Takes the deletion of a message of the other side, also of one that has yet to come.
pub(crate) fn take_deletion(
    writer: &mut Writer<'_>,
    chat: ChatId,
    sender: &[u8; 32],
    message: PayloadId,
) -> Result<ItemId, Error> {
    let id = message::id(writer, chat, sender, message)?;
    message::destroy(writer, chat, id)?;
    Ok(id)
}
