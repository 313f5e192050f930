//! What waits to be published: queued in the write that made it, tried until a relay has it or its time is up.

use std::{collections::HashSet, sync::Arc, time::Duration};

use mayfly_vault::{ChatId, ItemId, Life, NewItem, UnixMs, Urgency, Vault, Writer};
use nostr::{
    Event, EventBuilder, JsonUtil as _, Keys, Kind as EventKind, PublicKey, SecretKey, Tag, TagKind, Timestamp,
};

use crate::{
    Error, chat,
    connection::{Connection, Published},
    event::Events,
    expiry,
    frame::{Frame, OuterKey},
    message,
    mls::{self, Identity},
    payload::Payload,
    receipt,
    store::{self, ChatRecord, Kind, OutboxRecord, Outgoing, Secret},
    view::{self, MessageState, MessageView, Timer},
};

/// The event kind of messages (docs/wire.md, "Events").
pub(crate) const MESSAGE_KIND: u16 = 7_420;
/// The longest pause between two tries.
const MAX_PAUSE_S: u64 = 30;
/// How many events are on their way at once.
const BATCH: usize = 32;
/// How long relays are asked to keep a wrap, in seconds.
const WRAP_LIFE_S: u32 = 14 * 86_400;

/// Encrypts a payload for a chat and queues its event. `message` is the item whose state it carries, and with which it
/// dies.
pub(crate) fn enqueue(
    writer: &mut Writer<'_>,
    identity: &Identity,
    chat: ChatId,
    record: &ChatRecord,
    payload: &Payload,
    message: Option<ItemId>,
) -> Result<(), Error> {
    let death = match message {
        Some(id) => writer.item(id)?.and_then(|item| message::death(&item.life)),
        None => None,
    };
    enqueue_until(writer, identity, chat, record, payload, message, death)
}

/// [`enqueue`] for a payload that is worth nothing after `death`, whether it carries a message's state or not.
pub(crate) fn enqueue_until(
    writer: &mut Writer<'_>,
    identity: &Identity,
    chat: ChatId,
    record: &ChatRecord,
    payload: &Payload,
    message: Option<ItemId>,
    death: Option<UnixMs>,
) -> Result<(), Error> {
    let now = writer.now();
    let timer = Timer::try_from(payload.timer)?;
    let mut epoch = chat::load_epoch(writer, chat, record.epoch)?;
    let mls_message = mls::encrypt(writer, chat, identity, &record.group_id, &payload.encode()?)?;
    let key = Keys::generate().secret_key().to_secret_bytes();
    let frame = Frame { seq: epoch.sent, delete_secret: Some(key), messages: vec![mls_message] };
    let content = frame.seal(&OuterKey(epoch.outer.0), &epoch.route, MESSAGE_KIND)?;
    epoch.sent = epoch.sent.saturating_add(1);
    chat::save_epoch(writer, chat, &epoch)?;
    let row = OutboxRecord {
        what: Outgoing::Frame { route: epoch.route, content, key: Secret(key) },
        relays: record.relays.clone(),
        message: message.map(|id| *id.as_bytes()),
        relay_life_s: expiry::relay_life_s(timer, UnixMs(payload.sent_at_ms), now),
        is_sent: false,
    };
    let window = now.plus_ms(i64::from(expiry::OFFLINE_WINDOW_S) * 1_000);
    insert(writer, Some(chat), &row, death.map_or(window, |death| death.min(window)))
}

/// Queues a wrap, made from a sealed rumor, for an inbox key.
pub(crate) fn enqueue_wrap(
    writer: &mut Writer<'_>,
    chat: ChatId,
    seal: &Event,
    to: [u8; 32],
    relays: Vec<String>,
) -> Result<(), Error> {
    let row = OutboxRecord {
        what: Outgoing::Wrap { seal: seal.as_json(), to },
        relays,
        message: None,
        relay_life_s: WRAP_LIFE_S,
        is_sent: false,
    };
    let limit = writer.now().plus_ms(i64::from(WRAP_LIFE_S) * 1_000);
    insert(writer, Some(chat), &row, limit)
}

fn insert(writer: &mut Writer<'_>, chat: Option<ChatId>, row: &OutboxRecord, limit: UnixMs) -> Result<(), Error> {
    let id = match row.message {
        Some(message) => row_of(writer, ItemId::from_bytes(message))?,
        None => ItemId::random()?,
    };
    let body = store::encode(row)?;
    let life = Life::Held { limit: Some(limit) };
    writer.insert(&NewItem { id, chat, kind: Kind::Outbox.number(), life, body: &body })?;
    Ok(())
}

/// Where the row of a message lies.
fn row_of(writer: &Writer<'_>, message: ItemId) -> Result<ItemId, Error> {
    Ok(writer.derive_id(None, &[b"outbox".as_slice(), message.as_bytes()].concat())?)
}

/// Takes back what was not published yet of a message that is wiped.
pub(crate) fn withdraw(writer: &mut Writer<'_>, message: ItemId) -> Result<(), Error> {
    let id = row_of(writer, message)?;
    writer.wipe(id)?;
    Ok(())
}

/// How many rows wait.
pub(crate) fn waiting(vault: &Vault) -> Result<u64, Error> {
    vault.read(|reader| Ok(reader.all(Kind::Outbox.number())?.len() as u64))
}

/// The task that publishes; it ends when it is dropped.
pub(crate) struct Outbox {
    pub vault: Vault,
    pub identity: Arc<Identity>,
    pub connection: Arc<Connection>,
    pub events: Events,
    pub wake: Arc<tokio::sync::Notify>,
    pub idle: tokio::sync::watch::Sender<bool>,
}

impl Outbox {
    /// Publishes whatever waits, and again whenever it is woken or a pause is over.
    pub(crate) async fn run(self) {
        let mut tries: u32 = 0;
        let mut receipts_pause = std::pin::pin!(tokio::time::sleep(Duration::ZERO));
        let mut is_owing = true;
        loop {
            if is_owing && receipts_pause.is_elapsed() {
                // What a full disk refused is owed still, and tried after the pause again.
                let sent = self.send_receipts().await;
                is_owing = sent.is_err();
                if !matches!(sent, Ok(false)) {
                    receipts_pause.set(tokio::time::sleep(Duration::from_millis(receipt::INTERVAL_MS)));
                }
            }
            let is_empty = self.drain().await.unwrap_or(false);
            // Whoever waits for idleness waits for receipts that are owed, not for the pause after others.
            is_owing = is_owing && self.vault.read(receipt::is_any_owed).unwrap_or(true);
            self.idle.send_replace(is_empty && !is_owing);
            tries = if is_empty { 0 } else { tries.saturating_add(1) };
            let pause = match tries {
                0 => Duration::from_hours(1),
                _ => Duration::from_secs((1_u64 << tries.min(5)).min(MAX_PAUSE_S)),
            };
            tokio::select! {
                () = self.wake.notified() => {
                    tries = 0;
                    is_owing = true;
                }
                // Also where the pause ended while rows were being drained: then this is ready at once.
                () = &mut receipts_pause, if is_owing => {}
                () = tokio::time::sleep(pause) => is_owing = true,
            }
        }
    }

    /// Queues the receipts that are owed; `false` if there were none.
    async fn send_receipts(&self) -> Result<bool, Error> {
        let identity = Arc::clone(&self.identity);
        self.vault.write(Urgency::User, move |writer| receipt::send_owed(writer, &identity)).await
    }

    /// Tries every row once, oldest first. `true` if none is left.
    async fn drain(&self) -> Result<bool, Error> {
        let rows = self.vault.read(|reader| Ok::<_, Error>(reader.all(Kind::Outbox.number())?))?;
        let mut is_empty = true;
        let mut unreachable: HashSet<String> = HashSet::new();
        for batch in rows.chunks(BATCH) {
            let mut rows = Vec::new();
            let mut events = Vec::new();
            for item in batch {
                let Ok(row) = store::decode::<OutboxRecord>(item) else { continue };
                if row.relays.iter().all(|relay| unreachable.contains(relay)) {
                    is_empty = false;
                    continue;
                }
                events.push((sign(&row, self.vault.now())?, row.relays.clone()));
                rows.push((item.id, item.chat, row));
            }
            let said = self.connection.publish_all(&events).await;
            let tried = rows.into_iter().zip(said);
            let tried: Vec<Tried> =
                tried.map(|((id, chat, row), published)| Tried { id, chat, row, published }).collect();
            for one in &tried {
                unreachable.extend(one.published.unreachable.iter().cloned());
                is_empty &= one.published.unreachable.is_empty();
            }
            self.settle(tried).await?;
        }
        Ok(is_empty)
    }

    /// Writes what the relays answered, and tells it.
    async fn settle(&self, tried: Vec<Tried>) -> Result<(), Error> {
        let changed = self
            .vault
            .write(Urgency::User, move |writer| {
                let mut changed = Vec::new();
                for one in tried {
                    changed.extend(settle(writer, one)?);
                }
                Ok::<_, Error>(changed)
            })
            .await?;
        self.events.release(changed.into_iter().map(|message| view::Event::MessageChanged { message }));
        Ok(())
    }
}

/// A row, and what the relays said to its event.
struct Tried {
    id: ItemId,
    chat: Option<ChatId>,
    row: OutboxRecord,
    published: Published,
}

/// Moves a row and its message on. `None` if nobody answered.
fn settle(writer: &mut Writer<'_>, tried: Tried) -> Result<Option<MessageView>, Error> {
    let Tried { id, chat, mut row, published } = tried;
    if published.accepted.is_empty() && published.refused.is_empty() {
        return Ok(None);
    }
    let is_first = !row.is_sent;
    row.is_sent |= !published.accepted.is_empty();
    row.relays = published.unreachable;
    if row.relays.is_empty() {
        writer.wipe(id)?;
    } else if writer.item(id)?.is_some() {
        writer.replace(id, &store::encode(&row)?)?;
    }
    let state = if row.is_sent { MessageState::Sent } else { MessageState::NotSent };
    let is_told = is_first && (row.is_sent || row.relays.is_empty());
    match (chat, row.message) {
        (Some(chat), Some(message)) if is_told => {
            message::advance_own(writer, chat, ItemId::from_bytes(message), state)
        }
        _ => Ok(None),
    }
}

/// The event of a row, timed and signed now: its time tells when it was published, not when it was written.
fn sign(row: &OutboxRecord, now: UnixMs) -> Result<Event, Error> {
    let failed = || Error::Protocol("sign");
    let now_s = u64::try_from(now.0 / 1_000).unwrap_or_default();
    let expiration = Tag::expiration(Timestamp::from(now_s.saturating_add(u64::from(row.relay_life_s))));
    match &row.what {
        Outgoing::Frame { route, content, key } => {
            let keys = Keys::new(SecretKey::from_slice(&key.0).map_err(|_| failed())?);
            EventBuilder::new(EventKind::Custom(MESSAGE_KIND), content)
                .tags([Tag::custom(TagKind::custom("h"), [hex::encode(route)]), expiration])
                .custom_created_at(Timestamp::from(now_s))
                .sign_with_keys(&keys)
                .map_err(|_| failed())
        }
        Outgoing::Wrap { seal, to } => {
            let seal = Event::from_json(seal).map_err(|_| failed())?;
            let to = PublicKey::from_slice(to).map_err(|_| failed())?;
            EventBuilder::gift_wrap_from_seal(&to, &seal, [expiration]).map_err(|_| failed())
        }
    }
}
