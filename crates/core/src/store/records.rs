//! The records, as they lie in their seals. Fields are added with `#[serde(default)]`, never given another meaning.

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{
    contract::Contract,
    view::{MessageKind, MessageState, Sender, Timer},
};

/// The profile: who we are.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ProfileRecord {
    /// The name that contacts see.
    pub name: String,
    /// The MLS signature key pair, in CBOR, in the form that `openmls_basic_credential` gives it.
    #[serde(with = "serde_bytes")]
    pub signer: Vec<u8>,
    /// The Ed25519 public key: the identity.
    #[serde(with = "serde_bytes")]
    pub identity: [u8; 32],
    /// The secret of the profile's inbox key (BIP-340).
    pub inbox: Secret,
    /// Relays that invitations name.
    pub relays: Vec<String>,
    /// What new chats start with.
    pub default_timer: Timer,
    /// After how many seconds without a hand at it the window locks; 0 is never.
    #[serde(default = "fifteen_minutes")]
    pub lock_after_s: u32,
}

/// What [`ProfileRecord::lock_after_s`] is where nobody has chosen.
pub(crate) const fn fifteen_minutes() -> u32 {
    15 * 60
}

/// 32 secret bytes.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Secret(#[serde(with = "serde_bytes")] pub [u8; 32]);

/// A link that we gave out and nobody has used.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct InvitationRecord {
    #[serde(with = "serde_bytes")]
    pub token: [u8; 16],
    /// The secret of the link's own inbox key.
    pub inbox: Secret,
    pub not_after_ms: i64,
    /// Where answers arrive.
    pub relays: Vec<String>,
}

/// A chat.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ChatRecord {
    #[serde(with = "serde_bytes")]
    pub group_id: Vec<u8>,
    #[serde(with = "serde_bytes")]
    pub peer_identity: [u8; 32],
    /// The peer's name; empty until it said Hello.
    pub peer_name: String,
    pub relays: Vec<String>,
    pub created_at_ms: i64,
    /// The peer has spoken: both are in.
    pub is_active: bool,
    pub contract: Contract,
    /// Up to here everything was read (an item's order).
    pub read_through: i64,
    pub epoch: u64,
    /// What is said here from now on burns with the lock.
    #[serde(default)]
    pub burns: bool,
    /// Since when it stands above the others.
    #[serde(default)]
    pub pinned_ms: Option<i64>,
    /// Until when it is silent.
    #[serde(default)]
    pub muted_until_ms: Option<i64>,
    /// Since when it is put away, until something is said there.
    #[serde(default)]
    pub archived_ms: Option<i64>,
    /// What the peer says is let fall.
    #[serde(default)]
    pub is_blocked: bool,
}

/// One epoch of a chat's group: what its outer layer needs.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct EpochRecord {
    pub epoch: u64,
    #[serde(with = "serde_bytes")]
    pub route: [u8; 32],
    pub outer: Secret,
    /// Events this device has sent in this epoch.
    pub sent: u32,
}

/// A message. Its deadline is the item's own life; how far it has come is a [`StateRecord`].
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct MessageRecord {
    #[serde(with = "serde_bytes")]
    pub payload_id: [u8; 16],
    pub sender: Sender,
    pub kind: MessageKind,
    pub text: String,
    pub notice: Option<Timer>,
    pub timer: Timer,
    /// Never later than it was first seen here.
    pub sent_at_ms: i64,
    /// The message that this one answers, by its place here, an item id. Never its words.
    #[serde(default)]
    pub reply_to: Option<[u8; 16]>,
    /// When its writer gave it its present words, where these are not the first.
    #[serde(default)]
    pub edited_at_ms: Option<i64>,
}

/// How far a message has come, and the signs under it: both change, and die with it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct StateRecord {
    pub state: MessageState,
    /// In the order in which they came, one of each person.
    #[serde(default)]
    pub reactions: Vec<ReactionRecord>,
}

/// A sign under a message.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ReactionRecord {
    /// Who set it, an identity key; `None` is this profile.
    #[serde(with = "serde_bytes")]
    pub by: Option<[u8; 32]>,
    pub emoji: String,
}

/// Words that somebody has begun to write.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct DraftRecord {
    pub text: String,
    /// The message that they answer, an item id.
    pub reply_to: Option<[u8; 16]>,
}

/// An event on its way out.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct OutboxRecord {
    pub what: Outgoing,
    /// Relays that have not confirmed it.
    pub relays: Vec<String>,
    /// The message whose state it carries, an item id.
    pub message: Option<[u8; 16]>,
    /// How long relays are asked to keep it, in seconds from publishing.
    pub relay_life_s: u32,
    /// At least one relay has it.
    pub is_sent: bool,
}

/// The event, all but its time and signature: those it gets when it is published.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Outgoing {
    /// Kind 7420.
    Frame {
        #[serde(with = "serde_bytes")]
        route: [u8; 32],
        content: String,
        /// The throw-away key that signs it.
        key: Secret,
    },
    /// Kind 1059: a seal (NIP-59), as JSON, for the inbox key `to`.
    Wrap {
        seal: String,
        #[serde(with = "serde_bytes")]
        to: [u8; 32],
    },
}

/// A receipt that is owed to the peer.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ReceiptRecord {
    #[serde(with = "serde_bytes")]
    pub payload_id: [u8; 16],
    pub is_read: bool,
}
