//! Messages: sending, storing what arrived, reading, and how a shell sees them.

use mayfly_vault::{ChatId, Item, ItemId, Life, NewItem, Reader, UnixMs, Writer};

use crate::{
    Error, chat,
    chat::instant,
    draft, expiry,
    mls::Identity,
    outbox,
    payload::{Body, MAX_TEXT_CHARS, MessageName, Payload, PayloadId},
    profile::random,
    receipt,
    store::{self, ChatRecord, Kind, MessageRecord, StateRecord},
    view::{MessageKind, MessageState, MessageView, QuoteView, ReactionView, Sender, Timer, TimerMode},
};

/// How much of a message is shown with the answer to it, in characters.
const QUOTE_CHARS: usize = 200;

/// Where the message `payload_id` of `sender` lies in a chat: (identity key, id) is its name everywhere.
pub(crate) fn id(reader: &Reader<'_>, chat: ChatId, sender: &[u8; 32], payload_id: PayloadId) -> Result<ItemId, Error> {
    Ok(reader.derive_id(Some(chat), &[b"message".as_slice(), sender, &payload_id.0].concat())?)
}

fn state_id(reader: &Reader<'_>, chat: ChatId, message: ItemId) -> Result<ItemId, Error> {
    Ok(reader.derive_id(Some(chat), &[b"state".as_slice(), message.as_bytes()].concat())?)
}

/// Words that can be sent, without the white space behind them.
///
/// # Errors
/// [`Error::MessageEmpty`], [`Error::MessageTooLong`].
pub(crate) fn check_text(text: &str) -> Result<&str, Error> {
    let text = text.trim_end();
    if text.trim().is_empty() {
        return Err(Error::MessageEmpty);
    }
    if text.chars().count() > MAX_TEXT_CHARS {
        return Err(Error::MessageTooLong);
    }
    Ok(text)
}

/// Sends words: one write for the ratchet, the message and its outbox row.
///
/// # Errors
/// [`Error::MessageEmpty`], [`Error::MessageTooLong`], [`Error::TimerInvalid`], [`Error::ChatMissing`];
/// [`Error::MessageMissing`] if what they answer has died.
pub(crate) fn send(
    writer: &mut Writer<'_>,
    identity: &Identity,
    chat: ChatId,
    text: &str,
    timer: Option<Timer>,
    reply_to: Option<ItemId>,
) -> Result<MessageView, Error> {
    let text = check_text(text)?;
    let record = open_chat(writer, chat)?;
    let timer = match timer {
        Some(asked) => expiry::within(expiry::check(asked)?, record.contract.timer),
        None => record.contract.timer,
    };
    let answered = match reply_to {
        Some(source) => Some(name(writer, identity, chat, &record, source)?),
        None => None,
    };
    let message = MessageRecord {
        payload_id: random()?,
        sender: Sender::Me,
        kind: MessageKind::Text,
        text: text.to_owned(),
        notice: None,
        timer,
        sent_at_ms: writer.now().0,
        reply_to: reply_to.map(|id| *id.as_bytes()),
        edited_at_ms: None,
    };
    let body = Body::Text { text: text.to_owned(), reply_to: answered };
    let item = store_own(writer, identity, chat, &record, &message, body)?;
    draft::clear(writer, chat)?;
    load_view(writer, item)
}

/// The record of a chat that can be written into.
///
/// # Errors
/// [`Error::ChatBlocked`], [`Error::ChatMissing`].
pub(crate) fn open_chat(reader: &Reader<'_>, chat: ChatId) -> Result<ChatRecord, Error> {
    let record = chat::load(reader, chat)?;
    if record.is_blocked { Err(Error::ChatBlocked) } else { Ok(record) }
}

/// The name that a message of a chat has everywhere.
///
/// # Errors
/// [`Error::MessageMissing`] if it is not in this chat, or dead.
pub(crate) fn name(
    reader: &Reader<'_>,
    identity: &Identity,
    chat: ChatId,
    record: &ChatRecord,
    message: ItemId,
) -> Result<MessageName, Error> {
    let message: MessageRecord = store::decode(&item(reader, chat, message)?)?;
    let author = match message.sender {
        Sender::Me => identity.public,
        Sender::Them => record.peer_identity,
    };
    Ok(MessageName { author, id: PayloadId(message.payload_id) })
}

/// A living message of a chat.
///
/// # Errors
/// [`Error::MessageMissing`].
pub(crate) fn item(reader: &Reader<'_>, chat: ChatId, message: ItemId) -> Result<Item, Error> {
    let is_here = |item: &Item| item.chat == Some(chat) && Kind::is_message(item.kind);
    reader.item(message)?.filter(is_here).ok_or(Error::MessageMissing)
}

/// Stores a message or notice of ours and queues its payload.
pub(crate) fn store_own(
    writer: &mut Writer<'_>,
    identity: &Identity,
    chat: ChatId,
    record: &ChatRecord,
    message: &MessageRecord,
    body: Body,
) -> Result<ItemId, Error> {
    let now = writer.now();
    let item = id(writer, chat, &identity.public, PayloadId(message.payload_id))?;
    let life = expiry::life_at_start(message.timer, UnixMs(message.sent_at_ms), now);
    if !insert(writer, chat, record.burns, item, message, life)? {
        return Err(Error::MessageMissing);
    }
    let payload = Payload::new(PayloadId(message.payload_id), message.sent_at_ms, message.timer, body);
    outbox::enqueue(writer, identity, chat, record, &payload, Some(item))?;
    Ok(item)
}

/// Stores what arrived; `None` if it is dead, or was here before.
pub(crate) fn store_received(
    writer: &mut Writer<'_>,
    chat: ChatId,
    sender: &[u8; 32],
    payload: &Payload,
    kind: MessageKind,
    text: String,
    notice: Option<Timer>,
) -> Result<Option<MessageView>, Error> {
    let now = writer.now();
    // A peer that asks for a longer life than was agreed on does not get it here.
    let record = chat::load(writer, chat)?;
    let timer = expiry::within(Timer::try_from(payload.timer)?, record.contract.timer);
    let sent = expiry::sent(UnixMs(payload.sent_at_ms), now);
    let reply_to = match &payload.body {
        Body::Text { reply_to: Some(name), .. } => Some(*id(writer, chat, &name.author, name.id)?.as_bytes()),
        _ => None,
    };
    let message = MessageRecord {
        payload_id: payload.id.0,
        sender: Sender::Them,
        kind,
        text,
        notice,
        timer,
        sent_at_ms: sent.0,
        reply_to,
        edited_at_ms: None,
    };
    let item = id(writer, chat, sender, payload.id)?;
    if writer.item(item)?.is_some() || writer.is_buried(item)? {
        return Ok(None);
    }
    if !insert(writer, chat, record.burns, item, &message, expiry::life_at_start(timer, sent, now))? {
        return Ok(None);
    }
    receipt::owe(writer, chat, payload.id, false)?;
    load_view(writer, item).map(Some)
}

/// Inserts a message; `false` if its time is up.
fn insert(
    writer: &mut Writer<'_>,
    chat: ChatId,
    burns: bool,
    id: ItemId,
    message: &MessageRecord,
    life: expiry::Life,
) -> Result<bool, Error> {
    let life = match life {
        expiry::Life::Until(deadline) => Life::Until(deadline),
        expiry::Life::Held(limit) => Life::Held { limit },
        expiry::Life::Dead => return Ok(false),
    };
    let body = store::encode(message)?;
    let [kind, _] = Kind::of_messages(burns);
    match writer.insert(&NewItem { id, chat: Some(chat), kind: kind.number(), life, body: &body }) {
        Ok(_) => Ok(true),
        // The second turned between the rule and the insertion.
        Err(mayfly_vault::Error::DeadlineRange) => Ok(false),
        Err(fault) => Err(fault.into()),
    }
}

/// When an item dies, as far as that is settled.
pub(crate) fn death(life: &Life) -> Option<UnixMs> {
    match life {
        Life::Until(deadline) => Some(*deadline),
        Life::Held { limit } => *limit,
        Life::Record => None,
    }
}

/// How far a message has come, and the signs under it.
pub(crate) fn progress(
    reader: &Reader<'_>,
    chat: ChatId,
    item: &Item,
    record: &MessageRecord,
) -> Result<StateRecord, Error> {
    let stored: Option<StateRecord> = store::load(reader, state_id(reader, chat, item.id)?)?;
    let state = match record.sender {
        Sender::Me => MessageState::Waiting,
        Sender::Them => MessageState::Unread,
    };
    Ok(stored.unwrap_or(StateRecord { state, reactions: Vec::new() }))
}

/// Saves [`progress`]; the record dies with the message, at `limit`.
pub(crate) fn save_progress(
    writer: &mut Writer<'_>,
    chat: ChatId,
    message: &Item,
    progress: &StateRecord,
    limit: Option<UnixMs>,
) -> Result<(), Error> {
    let id = state_id(writer, chat, message.id)?;
    writer.wipe(id)?;
    let body = store::encode(progress)?;
    let [_, kind] = Kind::of_messages(message.kind == Kind::BurningMessage.number());
    writer.insert(&NewItem { id, chat: Some(chat), kind: kind.number(), life: Life::Held { limit }, body: &body })?;
    Ok(())
}

/// Moves a message of ours on; a state never goes back. `None` if there is nothing to tell.
pub(crate) fn advance_own(
    writer: &mut Writer<'_>,
    chat: ChatId,
    message: ItemId,
    to: MessageState,
) -> Result<Option<MessageView>, Error> {
    let rank = |state: MessageState| match state {
        MessageState::Waiting => 0,
        MessageState::NotSent => 1,
        MessageState::Sent => 2,
        MessageState::Delivered => 3,
        MessageState::Read => 4,
        MessageState::Unread | MessageState::Seen => u8::MAX,
    };
    let Some(item) = writer.item(message)? else { return Ok(None) };
    let record: MessageRecord = store::decode(&item)?;
    let mut progress = progress(writer, chat, &item, &record)?;
    if record.sender != Sender::Me || rank(progress.state) >= rank(to) {
        return Ok(None);
    }
    let mut limit = death(&item.life);
    if to == MessageState::Read {
        limit = start_timer(writer, &item, &record)?.or(limit);
    }
    progress.state = to;
    save_progress(writer, chat, &item, &progress, limit)?;
    load_view(writer, message).map(Some)
}

/// Starts the timer of a message that was read now. `None` if reading starts nothing.
fn start_timer(writer: &mut Writer<'_>, item: &Item, record: &MessageRecord) -> Result<Option<UnixMs>, Error> {
    match (&item.life, expiry::deadline_after_read(record.timer, writer.now())) {
        (Life::Held { .. }, Some(deadline)) => Ok(Some(writer.start_timer(item.id, deadline)?)),
        _ => Ok(None),
    }
}

/// Marks received messages as read: starts their timers and owes the receipts. Ids that are gone are passed over.
pub(crate) fn mark_read(writer: &mut Writer<'_>, chat: ChatId, ids: &[ItemId]) -> Result<Vec<MessageView>, Error> {
    let mut changed = Vec::new();
    for id in ids {
        let Some(item) = writer.item(*id)? else { continue };
        if item.chat != Some(chat) || !Kind::is_message(item.kind) {
            continue;
        }
        let Ok(record) = store::decode::<MessageRecord>(&item) else { continue };
        let mut progress = progress(writer, chat, &item, &record)?;
        if record.sender != Sender::Them || progress.state == MessageState::Seen {
            continue;
        }
        let mut limit = death(&item.life);
        limit = start_timer(writer, &item, &record)?.or(limit);
        progress.state = MessageState::Seen;
        save_progress(writer, chat, &item, &progress, limit)?;
        receipt::owe(writer, chat, PayloadId(record.payload_id), true)?;
        changed.push(load_view(writer, *id)?);
    }
    if !changed.is_empty() {
        move_read_mark(writer, chat)?;
    }
    Ok(changed)
}

/// Remembers up to where everything was read, so that counting what is unread stays short.
fn move_read_mark(writer: &mut Writer<'_>, chat: ChatId) -> Result<(), Error> {
    let mut record = chat::load(writer, chat)?;
    let first_unread = chat::unread(writer, chat, record.read_through)?.first().map(|item| item.order - 1);
    let newest = chat::newest(writer, chat, None, 1)?.first().map(|item| item.order);
    let Some(read_through) = first_unread.or(newest) else { return Ok(()) };
    if read_through > record.read_through {
        record.read_through = read_through;
        chat::save(writer, chat, &record)?;
    }
    Ok(())
}

/// Wipes one message here, with all that hangs on it.
///
/// # Errors
/// [`Error::MessageMissing`] if it is not in this chat.
pub(crate) fn wipe(writer: &mut Writer<'_>, chat: ChatId, message: ItemId) -> Result<(), Error> {
    item(writer, chat, message)?;
    destroy(writer, chat, message)
}

/// [`wipe`] for a message that may be here or not: none of this name is let in for 30 days.
pub(crate) fn destroy(writer: &mut Writer<'_>, chat: ChatId, message: ItemId) -> Result<(), Error> {
    let state = state_id(writer, chat, message)?;
    writer.wipe(state)?;
    outbox::withdraw(writer, message)?;
    writer.wipe(message)?;
    let until = writer.now().plus_ms(i64::from(expiry::OFFLINE_WINDOW_S) * 1_000);
    writer.bury(message, until)?;
    Ok(())
}

pub(crate) fn load_view(reader: &Reader<'_>, id: ItemId) -> Result<MessageView, Error> {
    view(reader, &reader.item(id)?.ok_or(Error::MessageMissing)?)
}

/// The message in an item, as a shell shows it.
pub(crate) fn view(reader: &Reader<'_>, item: &Item) -> Result<MessageView, Error> {
    let chat = item.chat.ok_or(Error::MessageMissing)?;
    if item.body.is_none() {
        return Ok(damaged(reader, chat, item));
    }
    let record: MessageRecord = store::decode(item)?;
    let progress = progress(reader, chat, item, &record)?;
    let (expires_at, dies_unread_at) = match item.life {
        Life::Until(deadline) => (Some(instant(deadline)), None),
        Life::Held { limit } => (None, limit.map(instant)),
        Life::Record => (None, None),
    };
    Ok(MessageView {
        id: item.id.to_string(),
        chat: chat.to_string(),
        sender: record.sender,
        kind: record.kind,
        text: record.text,
        notice: record.notice,
        timer: record.timer,
        sent_at: instant(UnixMs(record.sent_at_ms)),
        expires_at,
        dies_unread_at,
        state: progress.state,
        quote: record.reply_to.and_then(|source| quote(reader, chat, ItemId::from_bytes(source))),
        reactions: reactions(&progress),
        is_edited: record.edited_at_ms.is_some(),
        order: item.order,
    })
}

/// The beginning of a message that is answered, read where it stands: it is nowhere else, so it dies with it.
fn quote(reader: &Reader<'_>, chat: ChatId, source: ItemId) -> Option<QuoteView> {
    let item = item(reader, chat, source).ok()?;
    let record: MessageRecord = store::decode(&item).ok()?;
    let text = record.text.chars().take(QUOTE_CHARS).collect();
    Some(QuoteView { id: source.to_string(), sender: record.sender, text })
}

/// The signs under a message, equal ones counted together.
fn reactions(progress: &StateRecord) -> Vec<ReactionView> {
    let mut views: Vec<ReactionView> = Vec::new();
    for reaction in &progress.reactions {
        let is_mine = reaction.by.is_none();
        match views.iter_mut().find(|view| view.emoji == reaction.emoji) {
            Some(view) => {
                view.count += 1;
                view.is_mine |= is_mine;
            }
            None => views.push(ReactionView { emoji: reaction.emoji.clone(), count: 1, is_mine }),
        }
    }
    views
}

/// What can be said of a message that does not open.
fn damaged(reader: &Reader<'_>, chat: ChatId, item: &Item) -> MessageView {
    MessageView {
        id: item.id.to_string(),
        chat: chat.to_string(),
        sender: Sender::Them,
        kind: MessageKind::Damaged,
        text: String::new(),
        notice: None,
        timer: Timer { mode: TimerMode::AfterSend, ttl_s: None },
        sent_at: instant(reader.now()),
        expires_at: death(&item.life).map(instant),
        dies_unread_at: None,
        state: MessageState::Seen,
        quote: None,
        reactions: Vec::new(),
        is_edited: false,
        order: item.order,
    }
}

/// A page of messages, oldest first.
pub(crate) fn page(
    reader: &Reader<'_>,
    chat: ChatId,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<MessageView>, Error> {
    chat::load(reader, chat)?;
    let mut items = chat::newest(reader, chat, before, limit)?;
    items.reverse();
    Ok(items.iter().filter_map(|item| view(reader, item).ok()).collect())
}
