//! What arrives: opened, decrypted and stored in one write, then told, and only then deleted at the relays.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use mayfly_vault::{ChatId, ItemId, Reader, Urgency, Vault, Writer};
use nostr::{
    Event, EventBuilder, EventId, Keys, Kind as EventKind, SecretKey,
    nips::{nip09::EventDeletionRequest, nip59},
};
use tokio::sync::{Notify, mpsc};

use crate::{
    Error, arrangement, chat,
    connection::{Connection, Incoming},
    contact,
    event::Events,
    expiry, followup,
    frame::Frame,
    invitation, message,
    mls::{self, Decrypted, Identity},
    outbox::MESSAGE_KIND,
    payload::{Body, Payload},
    profile, receipt, timer,
    view::{Event as Told, MessageKind},
};

/// How many events are taken in one write.
const BATCH: usize = 64;
/// How long to wait after each failure to store an event.
const RETRY_PAUSES: [Duration; 3] = [Duration::from_millis(100), Duration::from_secs(1), Duration::from_secs(5)];
/// Routes by their name in hex, as it stands in an event's `h` tag.
pub(crate) type Routes = RwLock<HashMap<String, chat::Route>>;

/// The task that receives.
pub(crate) struct Inbox {
    pub vault: Vault,
    pub identity: Arc<Identity>,
    pub connection: Arc<Connection>,
    pub events: Events,
    pub routes: Arc<Routes>,
    pub wake_outbox: Arc<Notify>,
}

/// An event of a known route, opened but not yet decrypted.
#[derive(Clone)]
struct Opened {
    event: EventId,
    chat: ChatId,
    frame: Frame,
}

impl Inbox {
    /// Receives for as long as it is polled.
    pub(crate) async fn run(self, mut incoming: mpsc::Receiver<Incoming>) {
        let mut next = incoming.recv().await;
        while let Some(what) = next.take() {
            match what {
                Incoming::Messages(mut events) => {
                    // What waits already is taken along: one commit for all of it.
                    while events.len() < BATCH {
                        match incoming.try_recv() {
                            Ok(Incoming::Messages(more)) => events.extend(more),
                            Ok(wrap) => {
                                next = Some(wrap);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    self.receive_batch(events).await;
                }
                Incoming::Wrap { inbox, event } => {
                    // A wrap that fails is no reason to stop: the next one may be good.
                    let _ = self.receive_wrap(inbox, *event).await;
                }
            }
            if next.is_none() {
                next = incoming.recv().await;
            }
        }
    }

    /// Opens a batch and takes it in the order it was sent, not in the order the relay told it.
    async fn receive_batch(&self, events: Vec<Event>) {
        let mut opened: Vec<Opened> = events.iter().filter_map(|event| self.open(event)).collect();
        opened.sort_by_key(|one| (one.frame.seq, one.event));
        while !opened.is_empty() {
            let rest = opened.split_off(opened.len().min(BATCH));
            let batch = Arc::new(std::mem::replace(&mut opened, rest));
            if self.receive(Arc::clone(&batch)).await.is_ok() {
                continue;
            }
            // A fault of the store. One bad event must not hold up the others; a full disk may pass.
            for one in batch.iter() {
                self.receive_stubbornly(one).await;
            }
        }
    }

    fn open(&self, event: &Event) -> Option<Opened> {
        if event.kind != EventKind::Custom(MESSAGE_KIND) || event.verify().is_err() {
            return None;
        }
        let name = event.tags.iter().find(|tag| tag.kind().as_str() == "h")?.content()?;
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        let route = routes.get(name)?;
        let frame = Frame::open(&event.content, &route.outer, &route.name, MESSAGE_KIND).ok()?;
        Some(Opened { event: event.id, chat: route.chat, frame })
    }

    /// Tries an event a few times. What still fails is not acknowledged: the relay tells it again at the next start.
    async fn receive_stubbornly(&self, one: &Opened) {
        for pause in RETRY_PAUSES {
            if self.receive(Arc::new(vec![one.clone()])).await.is_ok() {
                return;
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Takes some events in one write, tells what came of them, and only then has the relays delete them.
    async fn receive(&self, opened: Arc<Vec<Opened>>) -> Result<(), Error> {
        let identity = Arc::clone(&self.identity);
        let (taken, changed) = self
            .vault
            .write(Urgency::User, move |writer| {
                let taken = opened.iter().map(|one| take_frame(writer, &identity, one));
                let taken = taken.collect::<Result<Vec<Taken>, Error>>()?;
                let changed = changed_chats(writer, &taken)?;
                Ok::<_, Error>((taken, changed))
            })
            .await?;
        self.wake_outbox.notify_one();
        for one in taken {
            self.events.release(one.told);
            if let Some(secret) = one.delete_secret {
                self.delete_at_relays(&secret, one.event, one.relays);
            }
        }
        self.events.release(changed);
        Ok(())
    }

    /// Asks the relays to delete an event, signed with the throw-away key that its sender handed over.
    fn delete_at_relays(&self, secret: &[u8; 32], event: EventId, relays: Vec<String>) {
        let Ok(secret) = SecretKey::from_slice(secret) else { return };
        let request = EventDeletionRequest::new().id(event);
        let Ok(deletion) = EventBuilder::delete(request).sign_with_keys(&Keys::new(secret)) else { return };
        let connection = Arc::clone(&self.connection);
        tokio::spawn(async move { connection.publish(deletion, relays).await });
    }

    /// A Welcome to a link of ours: joins the group, and the link is used up.
    async fn receive_wrap(&self, inbox: [u8; 32], event: Event) -> Result<(), Error> {
        let failed = || Error::Protocol("wrap");
        let invitation = self.vault.read(|reader| invitation::load(reader, &inbox))?.ok_or_else(failed)?;
        let keys = Keys::new(SecretKey::from_slice(&invitation.inbox.0).map_err(|_| failed())?);
        let gift = nip59::UnwrappedGift::from_gift_wrap(&keys, &event).await.map_err(|_| failed())?;
        let letter = contact::read_letter(&gift.rumor)?;
        if letter.token != invitation.token {
            return Err(failed());
        }
        let identity = Arc::clone(&self.identity);
        let told =
            self.vault.write(Urgency::User, move |writer| contact::join(writer, &identity, &inbox, &letter)).await?;
        refresh_routes(&self.vault, &self.routes, &self.connection).await?;
        self.events.release(told);
        self.wake_outbox.notify_one();
        self.connection.close_inbox(&inbox).await;
        let request = EventDeletionRequest::new().id(event.id);
        if let Ok(deletion) = EventBuilder::delete(request)
            .tag(nostr::Tag::custom(nostr::TagKind::custom("k"), ["1059"]))
            .sign_with_keys(&keys)
        {
            let relays = invitation.relays.clone();
            let connection = Arc::clone(&self.connection);
            tokio::spawn(async move { connection.publish(deletion, relays).await });
        }
        Ok(())
    }
}

/// Reads the routes from the vault and asks the relays for them.
pub(crate) async fn refresh_routes(vault: &Vault, routes: &Routes, connection: &Connection) -> Result<(), Error> {
    let (all, at_hand) = vault.read(|reader| Ok::<_, Error>((chat::routes(reader)?, profile::load(reader)?.relays)))?;
    let wanted: Vec<_> = all.iter().map(|route| (hex::encode(route.name), route.relays.clone())).collect();
    {
        let mut known = routes.write().unwrap_or_else(PoisonError::into_inner);
        *known = all.into_iter().map(|route| (hex::encode(route.name), route)).collect();
    }
    connection.want(wanted, &at_hand).await;
    Ok(())
}

/// What came of an event.
struct Taken {
    event: EventId,
    chat: ChatId,
    told: Vec<Told>,
    /// The chat itself is to be told anew.
    is_chat_changed: bool,
    /// Signs its deletion at these relays; none for our own events, which the other side has yet to fetch.
    delete_secret: Option<[u8; 32]>,
    relays: Vec<String>,
}

/// Takes all MLS messages of one event. What comes twice, late or broken is dropped; the event is remembered either way,
/// unless it is our own.
fn take_frame(writer: &mut Writer<'_>, identity: &Identity, opened: &Opened) -> Result<Taken, Error> {
    let Opened { event, chat, ref frame } = *opened;
    let record = chat::load(writer, chat)?;
    let mut taken = Taken {
        event,
        chat,
        told: Vec::new(),
        is_chat_changed: false,
        delete_secret: frame.delete_secret,
        relays: record.relays,
    };
    let seen = seen_id(writer, event)?;
    if writer.is_buried(seen)? {
        return Ok(taken);
    }
    for bytes in &frame.messages {
        match mls::decrypt(writer, chat, &record.group_id, bytes) {
            Ok(Decrypted::Application { sender, bytes }) if sender == record.peer_identity => {
                // What is no payload is dropped; its key is gone all the same.
                if let Ok(payload) = Payload::decode(&bytes) {
                    taken.told.extend(take_payload(writer, identity, chat, &sender, &payload)?);
                    taken.is_chat_changed |= !matches!(payload.body, Body::Receipts { .. });
                }
            }
            // The other side has yet to fetch it. It is not remembered either: what is remembered is deleted at the
            // relays when it comes again, and our own comes again with every start.
            Ok(Decrypted::Own) => {
                taken.delete_secret = None;
                return Ok(taken);
            }
            Ok(Decrypted::Application { .. } | Decrypted::Duplicate) | Err(Error::Protocol(_)) => {}
            Err(fault) => return Err(fault),
        }
    }
    let window = writer.now().plus_ms(i64::from(expiry::OFFLINE_WINDOW_S + 2 * 86_400) * 1_000);
    writer.bury(seen, window)?;
    Ok(taken)
}

fn seen_id(reader: &Reader<'_>, event: EventId) -> Result<ItemId, Error> {
    Ok(reader.derive_id(None, &[b"event".as_slice(), event.as_bytes()].concat())?)
}

fn take_payload(
    writer: &mut Writer<'_>,
    identity: &Identity,
    chat: ChatId,
    sender: &[u8; 32],
    payload: &Payload,
) -> Result<Vec<Told>, Error> {
    let mut told = Vec::new();
    // Whoever is blocked can still take back what they said, and agree to shorter lives: nothing else.
    let is_let_in = matches!(payload.body, Body::Delete { .. } | Body::TimerChange { .. } | Body::TimerAnswer { .. });
    if chat::load(writer, chat)?.is_blocked && !is_let_in {
        return Ok(told);
    }
    activate(writer, chat, payload)?;
    if let Some(theirs) = payload.body.timer_move()? {
        let shown = timer::receive(writer, chat, sender, payload, theirs)?;
        told.extend(shown.map(|message| Told::MessageReceived { message }));
    }
    match &payload.body {
        Body::Text { text, .. } => {
            let text = text.clone();
            let shown = message::store_received(writer, chat, sender, payload, MessageKind::Text, text, None)?;
            arrangement::bring_back(writer, chat)?;
            told.extend(shown.map(|message| Told::MessageReceived { message }));
        }
        Body::Receipts { delivered, read } => {
            let changed = receipt::receive(writer, identity, chat, delivered, read)?;
            told.extend(changed.into_iter().map(|message| Told::MessageChanged { message }));
        }
        Body::Reaction { message, emoji } => {
            let changed = followup::take_reaction(writer, chat, sender, message, emoji)?;
            told.extend(changed.map(|message| Told::MessageChanged { message }));
        }
        Body::Edit { message, text } => {
            let changed = followup::take_edit(writer, chat, sender, payload.sent_at_ms, *message, text)?;
            told.extend(changed.map(|message| Told::MessageChanged { message }));
        }
        Body::Delete { message } => {
            let id = followup::take_deletion(writer, chat, sender, *message)?;
            told.push(Told::MessagesWiped { chat: chat.to_string(), ids: vec![id.to_string()] });
        }
        Body::Hello { .. } | Body::TimerChange { .. } | Body::TimerProposal { .. } | Body::TimerAnswer { .. } => {}
    }
    Ok(told)
}

/// The chats in which something came, each told once: what a chat shows takes counting all that is unread in it.
fn changed_chats(reader: &Reader<'_>, taken: &[Taken]) -> Result<Vec<Told>, Error> {
    let mut chats: Vec<ChatId> = taken.iter().filter(|one| one.is_chat_changed).map(|one| one.chat).collect();
    chats.sort_unstable();
    chats.dedup();
    let tell = |chat| {
        let record = chat::load(reader, chat)?;
        Ok(Told::ChatChanged { chat: chat::view(reader, chat, &record)? })
    };
    chats.into_iter().map(tell).collect()
}

/// The peer has spoken: the chat is active, and a Hello says its name.
fn activate(writer: &mut Writer<'_>, chat: ChatId, payload: &Payload) -> Result<(), Error> {
    let mut record = chat::load(writer, chat)?;
    let name = match &payload.body {
        Body::Hello { name } => profile::check_name(name).ok(),
        _ => None,
    };
    if record.is_active && name.is_none() {
        return Ok(());
    }
    record.is_active = true;
    record.peer_name = name.unwrap_or(record.peer_name);
    chat::save(writer, chat, &record)
}
