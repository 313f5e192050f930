//! What can go wrong, with codes that shells may rely on.

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

/// A refusal or a failure, as both shells see it.
///
/// The code is stable; the sentence tells what to do and holds nothing of the user's.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no profile in this place.
    #[error("There is no profile here yet. Create one first.")]
    ProfileMissing,
    /// A profile stands there already.
    #[error("There is a profile here already.")]
    ProfileExists,
    /// Another process has the profile open.
    #[error("This profile is open in another window or program. Close that one first.")]
    ProfileInUse,
    /// The passphrase is wrong, the share file is missing, or the files are damaged: these look alike.
    #[error(
        "The profile did not open. Check the passphrase; if it is right, files of the profile are missing or damaged."
    )]
    Locked,
    /// The profile has a passphrase and none was given.
    #[error("This profile opens with its passphrase.")]
    PassphraseRequired,
    /// A passphrase or a key share was refused, or could not be changed. The vault's own codes and sentences.
    #[error("{0}")]
    Access(mayfly_vault::Error),
    /// An older copy of the profile than the one last used here.
    #[error("This is an older copy of the profile than the one last used here, and it stays closed.")]
    RolledBack,
    /// The profile was destroyed on purpose.
    #[error("This profile was destroyed and cannot be opened again.")]
    ProfileDestroyed,
    /// A name is empty or too long.
    #[error("Choose a name of 1 to 64 characters.")]
    NameInvalid,
    /// The profile knows no relay.
    #[error("A relay is needed to reach anybody. Add one to the profile first.")]
    RelayRequired,
    /// That is no relay's address.
    #[error("A relay's address starts with ws:// or wss:// and names a host.")]
    RelayInvalid,
    /// That is no invitation, or a part of it is missing.
    #[error("This is not a whole Mayfly invitation. Copy the link again from its beginning to its end.")]
    InvitationInvalid,
    /// The invitation's time is over.
    #[error("This invitation has run out. Ask for a new one.")]
    InvitationExpired,
    /// One's own invitation.
    #[error("This is your own invitation. Send it to the person you want to reach.")]
    InvitationOwn,
    /// The invitation was accepted here before.
    #[error("You accepted this invitation already.")]
    InvitationUsed,
    /// No chat has that id or name.
    #[error("There is no such chat.")]
    ChatMissing,
    /// The chat is blocked on this device.
    #[error("You have blocked this contact. Unblock it to write.")]
    ChatBlocked,
    /// Several chats fit.
    #[error("More than one chat fits. Use its id.")]
    ChatAmbiguous,
    /// No message has that id: it may have died.
    #[error("There is no such message any more.")]
    MessageMissing,
    /// A message without words.
    #[error("Write something first.")]
    MessageEmpty,
    /// A message above the limit.
    #[error("This message is too long. Send it in parts of at most 16,000 characters.")]
    MessageTooLong,
    /// Only its writer changes a message or takes it back, and only words can be changed.
    #[error("Only a message of your own can be changed or deleted for everyone.")]
    MessageNotOwn,
    /// More than 24 hours after it was sent.
    #[error("A message can be changed for 24 hours after it was sent. Delete it and write it anew.")]
    EditTooLate,
    /// That is no sign for a reaction.
    #[error("A reaction is one emoji.")]
    ReactionInvalid,
    /// A life of 0, or of more than 365 days.
    #[error("A timer lasts from 1 second to 365 days, or is off.")]
    TimerInvalid,
    /// A time after which to lock of less than 10 seconds, or of more than a day.
    #[error("The window locks after 10 seconds to a day without a hand at it, or never.")]
    LockAfterInvalid,
    /// Nothing was proposed that could be answered.
    #[error("No change of the timer waits for an answer.")]
    ProposalMissing,
    /// The profile was closed.
    #[error("The profile is closed.")]
    Closed,
    /// No space is left.
    #[error("The disk is full. Nothing was lost; free some space and try again.")]
    DiskFull,
    /// The disk or the folder cannot be written.
    #[error("The profile's folder cannot be written. Check its permissions and the disk.")]
    ReadOnly,
    /// Pages of the database, or all of it, do not open.
    #[error("A part of the profile's files is damaged. What is left can be read; the rest cannot be brought back.")]
    Damaged,
    /// The store failed in another way; the code names it.
    #[error("The store reported a fault ({0}). Nothing that was confirmed is lost.")]
    Store(&'static str),
    /// MLS refused; the word says where.
    #[error("A message could not be protected or opened ({0}).")]
    Protocol(&'static str),
}

impl Error {
    /// The stable word that scripts and the UI's table of texts go by.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ProfileMissing => "profile_missing",
            Self::ProfileExists => "profile_exists",
            Self::ProfileInUse => "profile_in_use",
            Self::Locked => "locked",
            Self::PassphraseRequired => "passphrase_required",
            Self::Access(error) => error.code(),
            Self::RolledBack => "rolled_back",
            Self::ProfileDestroyed => "profile_destroyed",
            Self::NameInvalid => "name_invalid",
            Self::RelayRequired => "relay_required",
            Self::RelayInvalid => "relay_invalid",
            Self::InvitationInvalid => "invitation_invalid",
            Self::InvitationExpired => "invitation_expired",
            Self::InvitationOwn => "invitation_own",
            Self::InvitationUsed => "invitation_used",
            Self::ChatMissing => "chat_missing",
            Self::ChatBlocked => "chat_blocked",
            Self::ChatAmbiguous => "chat_ambiguous",
            Self::MessageMissing => "message_missing",
            Self::MessageEmpty => "message_empty",
            Self::MessageTooLong => "message_too_long",
            Self::MessageNotOwn => "message_not_own",
            Self::EditTooLate => "edit_too_late",
            Self::ReactionInvalid => "reaction_invalid",
            Self::TimerInvalid => "timer_invalid",
            Self::LockAfterInvalid => "lock_after_invalid",
            Self::ProposalMissing => "proposal_missing",
            Self::Closed => "closed",
            Self::DiskFull => "disk_full",
            Self::ReadOnly => "read_only",
            Self::Damaged => "store_damaged",
            Self::Store(_) => "store_failed",
            Self::Protocol(_) => "protocol_failed",
        }
    }
}

impl Error {
    /// Whether this was the passphrase that destroys: close the profile and open its place anew with the same passphrase.
    pub fn is_duress(&self) -> bool {
        matches!(self, Self::Access(mayfly_vault::Error::Duress))
    }

    /// How many seconds to wait before trying again, where that is the reason.
    pub fn wait_s(&self) -> Option<u64> {
        match self {
            Self::Access(mayfly_vault::Error::TooManyAttempts { wait_s }) => Some(*wait_s),
            _ => None,
        }
    }
}

impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Error", 2 + usize::from(self.wait_s().is_some()))?;
        fields.serialize_field("code", self.code())?;
        fields.serialize_field("message", &self.to_string())?;
        if let Some(wait_s) = self.wait_s() {
            fields.serialize_field("wait_s", &wait_s)?;
        }
        fields.end()
    }
}

impl From<mayfly_vault::Error> for Error {
    fn from(error: mayfly_vault::Error) -> Self {
        use std::io::ErrorKind;

        use mayfly_vault::Error as Vault;
        match error {
            Vault::Missing => Self::ProfileMissing,
            Vault::AlreadyCreated => Self::ProfileExists,
            Vault::InUse => Self::ProfileInUse,
            Vault::Locked => Self::Locked,
            Vault::PassphraseNeeded => Self::PassphraseRequired,
            Vault::IsLocked
            | Vault::PassphraseWrong
            | Vault::PassphraseSet
            | Vault::PassphraseUnset
            | Vault::Duress
            | Vault::DuressIsPassphrase
            | Vault::TooManyAttempts { .. }
            | Vault::KeyringUnavailable
            | Vault::KeyringLocked
            | Vault::KeyringEmpty
            | Vault::TpmUnavailable => Self::Access(error),
            Vault::RolledBack => Self::RolledBack,
            Vault::Panicked => Self::ProfileDestroyed,
            Vault::Closed => Self::Closed,
            Vault::Disk(ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => Self::DiskFull,
            Vault::Disk(ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied) => Self::ReadOnly,
            Vault::Database(code) if code & 0xff == SQLITE_FULL => Self::DiskFull,
            Vault::Database(code) if code & 0xff == SQLITE_READONLY => Self::ReadOnly,
            Vault::DatabaseDamaged | Vault::Disk(ErrorKind::NotFound) => Self::Damaged,
            other => Self::Store(other.code()),
        }
    }
}

/// SQLite's primary result codes (sqlite.org/rescode.html).
const SQLITE_READONLY: i32 = 8;
const SQLITE_FULL: i32 = 13;
