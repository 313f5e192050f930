//! What a shell shows: the types that cross to the window and to the command line, as JSON.
//!
//! These are the promise to scripts and to the UI alike; their TypeScript twins are generated from here
//! (`ui/src/lib/backend/bindings`). Nothing in here is stored.

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// When a timer starts to run (docs/wire.md, "Timers").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum TimerMode {
    /// One instant for everybody, counted from pressing Send.
    AfterSend,
    /// Each recipient's clock starts when the message has been read on that device.
    AfterRead,
}

/// A disappearing timer: how long a message lives, and from when that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
pub struct Timer {
    /// From when the life is counted.
    pub mode: TimerMode,
    /// The life in seconds, 1 s to 365 days; `null` is "off": the message stays until it is deleted.
    pub ttl_s: Option<u32>,
}

/// The profile that is open.
#[derive(Clone, Serialize, TS)]
pub struct ProfileView {
    /// The name that contacts see.
    pub name: String,
    /// The relays that this profile's invitations name.
    pub relays: Vec<String>,
    /// The timer that a new chat starts with.
    pub default_timer: Timer,
    /// How well this disk lets things be destroyed, in words for people.
    pub erasure: String,
    /// Whether a passphrase is asked for at the start.
    pub has_passphrase: bool,
}

/// What opens the profile, and what locks or destroys it.
#[derive(Debug, Clone, Serialize, TS)]
pub struct SecurityView {
    /// Whether a passphrase is asked for.
    pub has_passphrase: bool,
    /// Whether it opens only with this login's keyring.
    pub has_keyring: bool,
    /// Whether it opens only with this machine's TPM.
    pub has_tpm: bool,
    /// Wrong passphrases in a row after which everything is destroyed; `null` is never.
    pub erase_after: Option<NonZeroU32>,
    /// Seconds without a hand at it after which the window locks; `null` is never. Without a passphrase nothing locks.
    pub lock_after_s: Option<u32>,
}

/// A contact link that somebody else can accept.
#[derive(Clone, Serialize, TS)]
pub struct InvitationView {
    /// The `mayfly:` link, at most 2 KB.
    pub link: String,
    /// After this moment nobody can accept it.
    pub expires_at: DateTime<Utc>,
    /// It leads through a relay that only this computer can reach.
    pub is_local_only: bool,
}

/// How far a chat has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ChatState {
    /// We accepted an invitation, the other side has not answered yet. Messages can be sent already.
    Waiting,
    /// Both sides are in.
    Active,
}

/// A longer timer that one side asked for and the other has not answered.
#[derive(Debug, Clone, Serialize, TS)]
pub struct ProposalView {
    /// The timer asked for.
    pub timer: Timer,
    /// We asked, and wait for the other side; otherwise it is ours to answer.
    pub is_ours: bool,
}

/// Where a chat stands on this device, and whether it is heard. Nobody else learns of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "what", content = "value", rename_all = "snake_case")]
pub enum Arrangement {
    /// Above the others, or among them.
    Pinned(bool),
    /// Silent until then; a moment that is over ends it.
    Muted(DateTime<Utc>),
    /// Put away until something is said there, or back.
    Archived(bool),
    /// Shut, for what comes and what goes, or open again.
    Blocked(bool),
}

/// Words that somebody has begun to write.
#[derive(Clone, Serialize, TS)]
pub struct DraftView {
    /// The words.
    pub text: String,
    /// The message that they answer, by its id.
    pub reply_to: Option<String>,
}

/// A chat as the list shows it.
#[derive(Clone, Serialize, TS)]
pub struct ChatView {
    /// 32 hex digits, this device's own name for the chat.
    pub id: String,
    /// The contact's name; empty while it is not known.
    pub name: String,
    /// How far the chat has come.
    pub state: ChatState,
    /// The timer that new messages get.
    pub timer: Timer,
    /// What is said here is destroyed on this device when the profile is locked, or the program ends.
    pub burns_on_lock: bool,
    /// A longer timer that waits for an answer.
    pub proposal: Option<ProposalView>,
    /// Received messages that were not read yet.
    #[ts(type = "number")]
    pub unread: u64,
    /// The newest message that is alive.
    pub last: Option<MessageView>,
    /// What was begun to be written and is kept.
    pub draft: Option<DraftView>,
    /// A hue in degrees, from the contact's key, for the picture.
    pub hue: u16,
    /// When the chat began.
    pub created_at: DateTime<Utc>,
    /// Since when it stands above the chats that are not pinned.
    pub pinned_at: Option<DateTime<Utc>>,
    /// Until when nothing in it makes itself heard.
    pub muted_until: Option<DateTime<Utc>>,
    /// It was put away, until something is said there again.
    pub is_archived: bool,
    /// Nothing the other side says is let in, and nothing can be said to it.
    pub is_blocked: bool,
}

/// Who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Sender {
    /// This profile.
    Me,
    /// The other side.
    Them,
}

/// What stands in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// Words that a person wrote.
    Text,
    /// The timer became another.
    TimerChanged,
    /// A longer timer was asked for.
    TimerProposed,
    /// A longer timer was turned down.
    TimerDeclined,
    /// Something that does not open any more, because its bytes were changed. Nothing is known of it but where it stands.
    Damaged,
}

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// Ours, not at any relay yet.
    Waiting,
    /// Ours, a relay has it.
    Sent,
    /// Ours, the other's device has it.
    Delivered,
    /// Ours, the other has read it.
    Read,
    /// Ours, it could not be sent.
    NotSent,
    /// Theirs, not read here yet.
    Unread,
    /// Theirs, read here.
    Seen,
}

/// The message that another answers, as far as it is alive.
#[derive(Clone, Serialize, TS)]
pub struct QuoteView {
    /// The message's id.
    pub id: String,
    /// Who said it.
    pub sender: Sender,
    /// The beginning of its words.
    pub text: String,
}

/// A sign under a message.
#[derive(Clone, Serialize, TS)]
pub struct ReactionView {
    /// The sign.
    pub emoji: String,
    /// How many people set it.
    pub count: u32,
    /// This profile is one of them.
    pub is_mine: bool,
}

/// One message of a chat.
#[derive(Clone, Serialize, TS)]
pub struct MessageView {
    /// 32 hex digits.
    pub id: String,
    /// The chat's id.
    pub chat: String,
    /// Who said it.
    pub sender: Sender,
    /// What it is.
    pub kind: MessageKind,
    /// The words; empty in a notice.
    pub text: String,
    /// The timer that a notice speaks of.
    pub notice: Option<Timer>,
    /// The timer this message was sent with.
    pub timer: Timer,
    /// When its sender pressed Send (never later than it was first seen here).
    pub sent_at: DateTime<Utc>,
    /// The whole second in which it dies; `null` while its timer has not started, or is off.
    pub expires_at: Option<DateTime<Utc>>,
    /// Unread and not started: it dies then all the same.
    pub dies_unread_at: Option<DateTime<Utc>>,
    /// How far it has come.
    pub state: MessageState,
    /// The message that it answers; `null` also when that one is dead.
    pub quote: Option<QuoteView>,
    /// The signs under it, in the order in which they came.
    pub reactions: Vec<ReactionView>,
    /// Its writer has changed its words since.
    pub is_edited: bool,
    /// Its place in the chat, rising; the cursor for pages.
    #[ts(type = "number")]
    pub order: i64,
}

/// How the profile stands with its relays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Connection {
    /// There is no relay to connect to.
    NoRelay,
    /// Trying.
    Connecting,
    /// At least one relay answers.
    Connected,
    /// None answers; it is tried again by itself.
    Offline,
}

/// The state of the profile's connections and of what waits.
#[derive(Debug, Clone, Serialize, TS)]
pub struct StatusView {
    /// All relays taken together.
    pub connection: Connection,
    /// Relays that answer.
    pub relays_connected: u32,
    /// Relays that are in use.
    pub relays_known: u32,
    /// Events that wait to be sent.
    #[ts(type = "number")]
    pub waiting: u64,
    /// How well this disk lets things be destroyed, in words for people.
    pub erasure: String,
}

/// The answer to sending something.
#[derive(Debug, Clone, Serialize, TS)]
pub struct SentView {
    /// The message's id, or the chat's where no message was made.
    pub id: String,
    /// Whether a relay has it.
    pub state: SentState,
}

/// Whether a relay has what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum SentState {
    /// At least one relay has it.
    Sent,
    /// It waits here and goes out by itself.
    Queued,
}

/// What happened; released only after the vault has committed it.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A message of the other side arrived.
    MessageReceived {
        /// The message.
        message: MessageView,
    },
    /// A message of ours was committed here.
    MessageQueued {
        /// The message.
        message: MessageView,
    },
    /// A message's state or timer became another.
    MessageChanged {
        /// The message as it is now.
        message: MessageView,
    },
    /// Messages are destroyed; drop every copy of them now.
    MessagesWiped {
        /// The chat's id.
        chat: String,
        /// The messages' ids.
        ids: Vec<String>,
    },
    /// What was begun to be written in a chat is destroyed; drop every copy of it now.
    DraftWiped {
        /// The chat's id.
        chat: String,
    },
    /// A chat is new, or its name, state, timer or proposal became another.
    ChatChanged {
        /// The chat as it is now.
        chat: ChatView,
    },
    /// The connection became another.
    StatusChanged {
        /// The status as it is now.
        status: StatusView,
    },
}

/// `Debug` shows nothing of the user's: no words, names, links or relays.
macro_rules! silent_debug {
    ($($view:ident { $($field:ident),* }),* $(,)?) => {$(
        impl std::fmt::Debug for $view {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($view))$(.field(stringify!($field), &self.$field))*.finish_non_exhaustive()
            }
        }
    )*};
}

silent_debug!(
    ProfileView { has_passphrase },
    InvitationView { is_local_only },
    ChatView { id, state, unread },
    QuoteView { id, sender },
    DraftView { reply_to },
    ReactionView { count, is_mine },
    MessageView { id, kind, state, expires_at },
);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{fs, path::Path};

    use super::*;

    /// The UI's types are generated from these; `MAYFLY_BLESS=1` writes them anew.
    #[test]
    fn the_typescript_twins_are_those_that_stand_in_the_ui() {
        let committed = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../ui/src/lib/backend/bindings"));
        let generated = tempfile::tempdir().unwrap();
        let bless = std::env::var_os("MAYFLY_BLESS").is_some();
        let config = ts_rs::Config::new().with_out_dir(if bless { committed } else { generated.path() });
        Event::export_all(&config).unwrap();
        ProfileView::export_all(&config).unwrap();
        InvitationView::export_all(&config).unwrap();
        SecurityView::export_all(&config).unwrap();
        SentView::export_all(&config).unwrap();
        Arrangement::export_all(&config).unwrap();
        for entry in fs::read_dir(generated.path()).unwrap() {
            let path = entry.unwrap().path();
            let twin = fs::read_to_string(committed.join(path.file_name().unwrap())).unwrap_or_default();
            assert!(fs::read_to_string(&path).unwrap() == twin, "{path:?} differs: run with MAYFLY_BLESS=1");
        }
    }

    #[test]
    fn debug_texts_hold_nothing_of_the_users() {
        let profile = ProfileView {
            name: "Mara Keller".into(),
            relays: vec!["wss://secret.example".into()],
            default_timer: crate::expiry::DEFAULT_TIMER,
            erasure: String::new(),
            has_passphrase: true,
        };
        let invitation =
            InvitationView { link: "mayfly:secret".into(), expires_at: DateTime::UNIX_EPOCH, is_local_only: false };
        let shown = format!("{profile:?} {invitation:?}");
        assert!(!shown.contains("Mara") && !shown.contains("secret"), "{shown}");
    }
}
