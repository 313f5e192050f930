//! How two people come into one chat: one accepts a link and makes the group, its Welcome travels sealed to the link's
//! inbox key, the other joins, and the link is used up (docs/wire.md, "Invitations").

use base64::{Engine as _, engine::general_purpose::STANDARD};
use mayfly_vault::Writer;
use nostr::{
    Event, EventBuilder, JsonUtil as _, Keys, Kind as EventKind, PublicKey, Timestamp, UnsignedEvent,
    nips::{nip44, nip59},
};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Link, chat, invitation,
    mls::{self, Identity},
    outbox,
    payload::{Body, Payload, PayloadId, WireTimer},
    profile::{self, random},
    store::ProfileRecord,
    view::{ChatView, Event as ChatEvent, Timer},
};

/// The kind of the rumor that carries a Welcome.
const WELCOME_KIND: u16 = 7_421;

/// What a Welcome's rumor says, in CBOR and base64.
#[derive(Serialize, Deserialize)]
pub(crate) struct WelcomeLetter {
    pub v: u8,
    #[serde(with = "serde_bytes")]
    pub token: [u8; 16],
    #[serde(with = "serde_bytes")]
    pub welcome: Vec<u8>,
    #[serde(with = "serde_bytes")]
    pub tree: Vec<u8>,
    /// The name of the one who made the group.
    pub name: String,
    /// The timer the chat begins with.
    pub timer: WireTimer,
    /// The relays the chat uses.
    pub relays: Vec<String>,
}

/// Makes the group of two and queues its Welcome.
pub(crate) fn accept(
    writer: &mut Writer<'_>,
    identity: &Identity,
    profile: &ProfileRecord,
    link: &Link,
) -> Result<ChatView, Error> {
    let now_s = u64::try_from(writer.now().0 / 1_000).unwrap_or_default();
    if now_s > link.not_after_s {
        return Err(Error::InvitationExpired);
    }
    if chat::all(writer)?.iter().any(|(_, record)| record.peer_identity == link.identity) {
        return Err(Error::InvitationUsed);
    }
    let chat = writer.create_chat()?;
    let created = mls::create_direct(writer, chat, identity, &link.identity, &link.key_package)?;
    let peer = chat::Peer {
        group_id: created.group_id,
        identity: link.identity,
        name: String::new(),
        relays: link.relays.clone(),
        is_active: false,
        timer: None,
    };
    let record = chat::begin(writer, chat, profile, peer, &created.keys)?;
    let letter = WelcomeLetter {
        v: 1,
        token: link.token,
        welcome: created.welcome,
        tree: created.tree,
        name: profile.name.clone(),
        timer: record.contract.timer.into(),
        relays: link.relays.clone(),
    };
    let sender = profile::inbox_keys(profile)?;
    let seal = seal_letter(&sender, &link.inbox, &letter, now_s)?;
    outbox::enqueue_wrap(writer, chat, &seal, link.inbox, link.relays.clone())?;
    chat::view(writer, chat, &record)
}

/// Seals a Welcome for the inbox key of a link (NIP-59): signed by our own inbox key, readable by the link's alone.
fn seal_letter(sender: &Keys, to: &[u8; 32], letter: &WelcomeLetter, now_s: u64) -> Result<Event, Error> {
    let failed = || Error::Protocol("wrap");
    let mut bytes = Vec::new();
    ciborium::into_writer(letter, &mut bytes).map_err(|_| failed())?;
    let mut rumor = EventBuilder::new(EventKind::Custom(WELCOME_KIND), STANDARD.encode(bytes))
        .custom_created_at(Timestamp::from(now_s))
        .build(sender.public_key());
    rumor.ensure_id();
    let to = PublicKey::from_slice(to).map_err(|_| Error::InvitationInvalid)?;
    let content =
        nip44::encrypt(sender.secret_key(), &to, rumor.as_json(), nip44::Version::default()).map_err(|_| failed())?;
    EventBuilder::new(EventKind::Seal, content)
        .custom_created_at(Timestamp::tweaked(nip59::RANGE_RANDOM_TIMESTAMP_TWEAK))
        .sign_with_keys(sender)
        .map_err(|_| failed())
}

/// Reads the letter in a rumor.
///
/// # Errors
/// [`Error::Protocol`] for anything that is no letter of this version.
pub(crate) fn read_letter(rumor: &UnsignedEvent) -> Result<WelcomeLetter, Error> {
    let failed = || Error::Protocol("wrap");
    if rumor.kind != EventKind::Custom(WELCOME_KIND) {
        return Err(failed());
    }
    let bytes = STANDARD.decode(&rumor.content).map_err(|_| failed())?;
    let letter: WelcomeLetter = ciborium::from_reader(bytes.as_slice()).map_err(|_| failed())?;
    if letter.v == 1 { Ok(letter) } else { Err(failed()) }
}

/// Joins the group a Welcome opens, uses the invitation up, and says Hello.
pub(crate) fn join(
    writer: &mut Writer<'_>,
    identity: &Identity,
    inbox: &[u8; 32],
    letter: &WelcomeLetter,
) -> Result<Vec<ChatEvent>, Error> {
    let invitation = invitation::load(writer, inbox)?.ok_or(Error::Protocol("wrap"))?;
    let own = profile::load(writer)?;
    let chat = writer.create_chat()?;
    let joined = mls::join_direct(writer, chat, identity, &letter.welcome, &letter.tree)?;
    let relays = profile::check_relays(&letter.relays).unwrap_or(invitation.relays);
    let peer = chat::Peer {
        group_id: joined.group_id,
        identity: joined.peer_identity,
        name: profile::check_name(&letter.name).unwrap_or_default(),
        relays,
        is_active: true,
        timer: Timer::try_from(letter.timer).ok(),
    };
    let record = chat::begin(writer, chat, &own, peer, &joined.keys)?;
    let invitation_id = invitation::id(writer, inbox)?;
    writer.wipe(invitation_id)?;
    let hello =
        Payload::new(PayloadId(random()?), writer.now().0, record.contract.timer, Body::Hello { name: own.name });
    outbox::enqueue(writer, identity, chat, &record, &hello, None)?;
    let view = chat::view(writer, chat, &record)?;
    Ok(vec![ChatEvent::ChatChanged { chat: view }])
}
