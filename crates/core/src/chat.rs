//! Chats: their records, how two people come into one, and how a shell sees them.

use chrono::{DateTime, Utc};
use mayfly_vault::{ChatId, Item, ItemId, Reader, UnixMs, Writer};

use crate::{
    Error,
    contract::Contract,
    draft,
    frame::OuterKey,
    message,
    mls::EpochKeys,
    store::{self, ChatRecord, EpochRecord, Kind, ProfileRecord, Secret},
    view::{ChatState, ChatView, MessageState, ProposalView, Sender},
};

/// The most unread messages that are counted one by one.
const MAX_UNREAD: u32 = 999;

/// The way that an epoch's events come, and what opens them.
pub(crate) struct Route {
    /// The value of the events' `h` tag.
    pub name: [u8; 32],
    pub chat: ChatId,
    pub outer: OuterKey,
    /// The relays to ask.
    pub relays: Vec<String>,
}

fn id(reader: &Reader<'_>, chat: ChatId) -> Result<ItemId, Error> {
    Ok(reader.derive_id(Some(chat), b"chat")?)
}

/// The record of a chat.
///
/// # Errors
/// [`Error::ChatMissing`] if there is none.
pub(crate) fn load(reader: &Reader<'_>, chat: ChatId) -> Result<ChatRecord, Error> {
    let id = id(reader, chat).map_err(|_| Error::ChatMissing)?;
    store::load(reader, id)?.ok_or(Error::ChatMissing)
}

/// Saves a chat's record.
pub(crate) fn save(writer: &mut Writer<'_>, chat: ChatId, record: &ChatRecord) -> Result<(), Error> {
    let id = id(writer, chat)?;
    store::put(writer, id, Some(chat), Kind::Chat, record)
}

/// All chats, oldest first; damaged ones are left out.
pub(crate) fn all(reader: &Reader<'_>) -> Result<Vec<(ChatId, ChatRecord)>, Error> {
    let items = reader.all(Kind::Chat.number())?;
    Ok(items.iter().filter_map(|item| Some((item.chat?, store::decode(item).ok()?))).collect())
}

/// A chat that was just made or joined, saved with the keys of its first epoch.
pub(crate) fn begin(
    writer: &mut Writer<'_>,
    chat: ChatId,
    profile: &ProfileRecord,
    peer: Peer,
    keys: &EpochKeys,
) -> Result<ChatRecord, Error> {
    let record = ChatRecord {
        group_id: peer.group_id,
        peer_identity: peer.identity,
        peer_name: peer.name,
        relays: peer.relays,
        created_at_ms: writer.now().0,
        is_active: peer.is_active,
        contract: Contract::new(peer.timer.unwrap_or(profile.default_timer)),
        read_through: 0,
        epoch: keys.epoch,
        burns: false,
        pinned_ms: None,
        muted_until_ms: None,
        archived_ms: None,
        is_blocked: false,
    };
    save(writer, chat, &record)?;
    let epoch = EpochRecord { epoch: keys.epoch, route: keys.route, outer: Secret(keys.outer.0), sent: 0 };
    save_epoch(writer, chat, &epoch)?;
    Ok(record)
}

/// What is known of the other side when a chat begins.
pub(crate) struct Peer {
    pub group_id: Vec<u8>,
    pub identity: [u8; 32],
    pub name: String,
    pub relays: Vec<String>,
    pub is_active: bool,
    /// The timer that the side which made the group began with.
    pub timer: Option<crate::view::Timer>,
}

fn epoch_id(reader: &Reader<'_>, chat: ChatId, epoch: u64) -> Result<ItemId, Error> {
    Ok(reader.derive_id(Some(chat), &[b"epoch".as_slice(), &epoch.to_be_bytes()].concat())?)
}

/// The record of an epoch of a chat's group.
pub(crate) fn load_epoch(reader: &Reader<'_>, chat: ChatId, epoch: u64) -> Result<EpochRecord, Error> {
    store::load(reader, epoch_id(reader, chat, epoch)?)?.ok_or(Error::Store("epoch"))
}

/// Saves the record of an epoch.
pub(crate) fn save_epoch(writer: &mut Writer<'_>, chat: ChatId, record: &EpochRecord) -> Result<(), Error> {
    let id = epoch_id(writer, chat, record.epoch)?;
    store::put(writer, id, Some(chat), Kind::Epoch, record)
}

/// Every route that events may come by.
pub(crate) fn routes(reader: &Reader<'_>) -> Result<Vec<Route>, Error> {
    let mut routes = Vec::new();
    for item in reader.all(Kind::Epoch.number())? {
        let Some(chat) = item.chat else { continue };
        let Ok(epoch) = store::decode::<EpochRecord>(&item) else { continue };
        let Ok(record) = load(reader, chat) else { continue };
        routes.push(Route { name: epoch.route, chat, outer: OuterKey(epoch.outer.0), relays: record.relays });
    }
    Ok(routes)
}

/// The chat as a shell shows it.
pub(crate) fn view(reader: &Reader<'_>, chat: ChatId, record: &ChatRecord) -> Result<ChatView, Error> {
    let last = match newest(reader, chat, None, 1)?.first() {
        Some(item) => message::view(reader, item).ok(),
        None => None,
    };
    Ok(ChatView {
        id: chat.to_string(),
        name: record.peer_name.clone(),
        state: if record.is_active { ChatState::Active } else { ChatState::Waiting },
        timer: record.contract.timer,
        burns_on_lock: record.burns,
        proposal: record.contract.proposal().map(|(timer, is_ours)| ProposalView { timer, is_ours }),
        unread: unread(reader, chat, record.read_through)?.len() as u64,
        last,
        draft: draft::view(reader, chat).unwrap_or_default(),
        hue: hue(&record.peer_identity),
        created_at: instant(UnixMs(record.created_at_ms)),
        pinned_at: record.pinned_ms.map(UnixMs).map(instant),
        muted_until: record.muted_until_ms.map(UnixMs).filter(|until| *until > reader.now()).map(instant),
        is_archived: record.archived_ms.is_some(),
        is_blocked: record.is_blocked,
    })
}

/// A chat's messages before an order, newest first: those that burn among the others.
pub(crate) fn newest(reader: &Reader<'_>, chat: ChatId, before: Option<i64>, limit: u32) -> Result<Vec<Item>, Error> {
    let [stays, burns] = [false, true].map(|burns| Kind::of_messages(burns)[0].number());
    let mut items = reader.page(Some(chat), stays, before, limit)?;
    items.extend(reader.page(Some(chat), burns, before, limit)?);
    items.sort_by_key(|item| std::cmp::Reverse(item.order));
    items.truncate(limit as usize);
    Ok(items)
}

/// The received messages after `read_through` that were not read, oldest first.
pub(crate) fn unread(reader: &Reader<'_>, chat: ChatId, read_through: i64) -> Result<Vec<Item>, Error> {
    let [stays, burns] = [false, true].map(|burns| Kind::of_messages(burns)[0].number());
    let mut items = reader.after(Some(chat), stays, read_through, MAX_UNREAD)?;
    items.extend(reader.after(Some(chat), burns, read_through, MAX_UNREAD)?);
    items.sort_by_key(|item| item.order);
    let mut unread = Vec::new();
    for item in items {
        let Ok(record) = store::decode::<store::MessageRecord>(&item) else { continue };
        if record.sender == Sender::Them
            && message::progress(reader, chat, &item, &record)?.state == MessageState::Unread
        {
            unread.push(item);
        }
    }
    Ok(unread)
}

/// A hue for the contact's picture: never red or amber, which mean time and danger here.
fn hue(identity: &[u8; 32]) -> u16 {
    const FROM: u16 = 80;
    const TO: u16 = 330;
    let [first, second, ..] = identity;
    FROM + u16::from_be_bytes([*first, *second]) % (TO - FROM)
}

/// A moment for a shell.
pub(crate) fn instant(at: UnixMs) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(at.0).unwrap_or(DateTime::UNIX_EPOCH)
}
