//! Delivery and read receipts: owed when something was stored or read, sent together (docs/wire.md, "Receipts").

use std::collections::BTreeMap;

use mayfly_vault::{ChatId, ItemId, Life, NewItem, Reader, Writer};

use crate::{
    Error, chat, expiry, message,
    mls::Identity,
    outbox,
    payload::{Body, MAX_RECEIPT_IDS, Payload, PayloadId},
    profile::random,
    store::{self, Kind, ReceiptRecord},
    view::{MessageState, MessageView},
};

/// Receipts of a chat of two are sent together, at most this often.
pub(crate) const INTERVAL_MS: u64 = 2_000;

/// Owes the peer a receipt for one of its payloads.
pub(crate) fn owe(writer: &mut Writer<'_>, chat: ChatId, payload_id: PayloadId, is_read: bool) -> Result<(), Error> {
    if chat::load(writer, chat)?.is_blocked {
        return Ok(());
    }
    let name = [b"receipt".as_slice(), &[u8::from(is_read)], &payload_id.0].concat();
    let id = writer.derive_id(Some(chat), &name)?;
    if writer.item(id)?.is_some() {
        return Ok(());
    }
    let body = store::encode(&ReceiptRecord { payload_id: payload_id.0, is_read })?;
    let limit = Some(writer.now().plus_ms(i64::from(expiry::UNREAD_CAP_S) * 1_000));
    let kind = Kind::Receipt.number();
    writer.insert(&NewItem { id, chat: Some(chat), kind, life: Life::Held { limit }, body: &body })?;
    Ok(())
}

/// Whether any receipt is owed to anybody.
pub(crate) fn is_any_owed(reader: &Reader<'_>) -> Result<bool, Error> {
    Ok(!reader.all(Kind::Receipt.number())?.is_empty())
}

/// Turns all receipts that are owed into payloads on their way out. `false` if none was owed.
pub(crate) fn send_owed(writer: &mut Writer<'_>, identity: &Identity) -> Result<bool, Error> {
    let mut owed: BTreeMap<ChatId, Vec<(ItemId, ReceiptRecord)>> = BTreeMap::new();
    for item in writer.all(Kind::Receipt.number())? {
        if let (Some(chat), Ok(record)) = (item.chat, store::decode::<ReceiptRecord>(&item)) {
            owed.entry(chat).or_default().push((item.id, record));
        }
    }
    for (chat, receipts) in &owed {
        for batch in receipts.chunks(MAX_RECEIPT_IDS) {
            send_batch(writer, identity, *chat, batch)?;
        }
    }
    Ok(!owed.is_empty())
}

fn send_batch(
    writer: &mut Writer<'_>,
    identity: &Identity,
    chat: ChatId,
    batch: &[(ItemId, ReceiptRecord)],
) -> Result<(), Error> {
    let record = chat::load(writer, chat)?;
    let ids = |is_read: bool| {
        batch.iter().filter(|(_, r)| r.is_read == is_read).map(|(_, r)| PayloadId(r.payload_id)).collect()
    };
    let body = Body::Receipts { delivered: ids(false), read: ids(true) };
    let payload = Payload::new(PayloadId(random()?), writer.now().0, record.contract.timer, body);
    outbox::enqueue(writer, identity, chat, &record, &payload, None)?;
    for (id, _) in batch {
        writer.wipe(*id)?;
    }
    Ok(())
}

/// Takes the peer's receipts for messages of ours.
pub(crate) fn receive(
    writer: &mut Writer<'_>,
    identity: &Identity,
    chat: ChatId,
    delivered: &[PayloadId],
    read: &[PayloadId],
) -> Result<Vec<MessageView>, Error> {
    let mut changed = Vec::new();
    let states = [(delivered, MessageState::Delivered), (read, MessageState::Read)];
    for (ids, state) in states {
        for payload_id in ids {
            let item = message::id(writer, chat, &identity.public, *payload_id)?;
            changed.extend(message::advance_own(writer, chat, item, state)?);
        }
    }
    Ok(changed)
}
