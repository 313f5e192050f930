//! What can go wrong at the vault's border.

use std::io;

use rusqlite::ErrorCode;

/// Why the vault refused or failed.
///
/// Carries neither content nor names nor paths, so that it may be logged and shown. [`Error::code`] is stable and meant
/// for programs, the text is meant for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// [`create`](crate::Vault::create) where a vault already is.
    #[error("There already is a vault in this place.")]
    AlreadyCreated,
    /// Nothing to open.
    #[error("There is no vault in this place.")]
    Missing,
    /// Another process, or another handle in this one, holds the profile.
    #[error("This profile is already open in another window or program.")]
    InUse,
    /// No copy opens: a wrong passphrase, a missing share and damage look alike, on purpose.
    #[error("The vault does not open. The passphrase is wrong, or its key files are missing or damaged.")]
    Locked,
    /// The header asks for a passphrase and none was given.
    #[error("This vault opens with a passphrase.")]
    PassphraseNeeded,
    /// A change asked for the present passphrase, and this is not it.
    #[error("This is not the present passphrase. Nothing was changed.")]
    PassphraseWrong,
    /// A first passphrase, where there is one.
    #[error("There is a passphrase already. Change it instead.")]
    PassphraseSet,
    /// A change of the passphrase, where there is none.
    #[error("There is no passphrase yet. Set one first.")]
    PassphraseUnset,
    /// The passphrase for duress may not be the one that opens.
    #[error("The passphrase that destroys everything has to be another one than the one that opens.")]
    DuressIsPassphrase,
    /// Too many wrong passphrases; the next may be tried after a wait.
    #[error("Too many wrong passphrases. Try again in {wait_s} seconds.")]
    TooManyAttempts {
        /// Whole seconds from now.
        wait_s: u64,
    },
    /// The passphrase was the one for duress: whoever opens this place with it anew finds an empty vault.
    #[error("The vault has to be opened anew.")]
    Duress,
    /// No keyring answers.
    #[error(
        "The keyring of this login does not answer. Sign in to a session that has one, the one this was set up in, and try again."
    )]
    KeyringUnavailable,
    /// The keyring is locked, and nobody unlocked it.
    #[error("The keyring of this login is locked. Unlock it and try again.")]
    KeyringLocked,
    /// The keyring has no entry for this vault.
    #[error("The keyring of this login has no key for this profile. Without it the profile cannot be opened.")]
    KeyringEmpty,
    /// No TPM answers, or it has no room.
    #[error(
        "The security chip (TPM) of this machine does not answer. Check that it is switched on and that you may use it."
    )]
    TpmUnavailable,
    /// The header asks for a key share that this build cannot supply.
    #[error("This vault needs a key from a place that this version of the program cannot reach.")]
    ShareUnavailable,
    /// An older copy than the one last seen on this machine.
    #[error("This is an older copy of the vault than the one last used here, and it stays closed.")]
    RolledBack,
    /// The vault was destroyed on purpose; what was left of that has just been finished.
    #[error("The vault was destroyed and cannot be opened again.")]
    Panicked,
    /// `SQLite` was built without its cipher; nothing is ever written in clear instead.
    #[error("The database library on this machine cannot encrypt, so the vault stays closed.")]
    CipherMissing,
    /// The database was written by a newer version.
    #[error("The vault was written by a newer version of the program.")]
    Newer,
    /// It was locked, and waits for its passphrase.
    #[error("The vault is locked. Unlock it with its passphrase.")]
    IsLocked,
    /// The handle was closed.
    #[error("The vault is closed.")]
    Closed,
    /// The job given to the writer panicked; nothing of it was kept.
    #[error("A change was given up because of a fault in the program. Nothing of it was kept.")]
    JobPanicked,
    /// An item of this id is there already.
    #[error("This item is already there.")]
    Exists,
    /// The id stands under a tombstone.
    #[error("This item was wiped and does not come back.")]
    Buried,
    /// The deadline has passed, or lies beyond what a tag can hold.
    #[error("The deadline is not in the range that a timer can hold.")]
    DeadlineRange,
    /// No living item of this id.
    #[error("This item is not there.")]
    NoItem,
    /// No living chat of this id.
    #[error("This chat is not there.")]
    NoChat,
    /// A timer cannot start on a record, which lives until it is replaced.
    #[error("This item has no timer that could start.")]
    NoTimer,
    /// The row is there, but its bytes do not open.
    #[error("This item is damaged.")]
    Damaged,
    /// More than 16 MiB in one item.
    #[error("This is too large for one item.")]
    TooLarge,
    /// Kinds 0 to 15 are the vault's own.
    #[error("This kind of item belongs to the vault itself.")]
    ReservedKind,
    /// The operating system gave no random bytes.
    #[error("The system gave no random numbers.")]
    Randomness,
    /// Reading or writing a file failed.
    #[error("A file of the vault could not be read or written: {0}.")]
    Disk(io::ErrorKind),
    /// Pages of the database do not open: the disk, or somebody, has changed them.
    #[error("A part of the database is damaged. What lies elsewhere can still be read.")]
    DatabaseDamaged,
    /// `SQLite` failed; the number is its extended result code, 0 where the fault was another.
    #[error("The database failed with code {0}.")]
    Database(i32),
}

impl Error {
    /// The stable code of this error, in `snake_case`.
    pub fn code(self) -> &'static str {
        match self {
            Self::AlreadyCreated => "vault_already_created",
            Self::Missing => "vault_missing",
            Self::InUse => "profile_in_use",
            Self::Locked => "vault_locked",
            Self::PassphraseNeeded => "passphrase_needed",
            Self::PassphraseWrong => "passphrase_wrong",
            Self::PassphraseSet => "passphrase_set",
            Self::PassphraseUnset => "passphrase_unset",
            Self::DuressIsPassphrase => "duress_is_passphrase",
            Self::TooManyAttempts { .. } => "too_many_attempts",
            Self::Duress => "duress",
            Self::KeyringUnavailable => "keyring_unavailable",
            Self::KeyringLocked => "keyring_locked",
            Self::KeyringEmpty => "keyring_empty",
            Self::TpmUnavailable => "tpm_unavailable",
            Self::ShareUnavailable => "share_unavailable",
            Self::RolledBack => "rolled_back",
            Self::Panicked => "vault_destroyed",
            Self::CipherMissing => "cipher_missing",
            Self::Newer => "vault_newer",
            Self::IsLocked => "vault_is_locked",
            Self::Closed => "vault_closed",
            Self::JobPanicked => "job_panicked",
            Self::Exists => "item_exists",
            Self::Buried => "item_buried",
            Self::DeadlineRange => "deadline_range",
            Self::NoItem => "item_missing",
            Self::NoChat => "chat_missing",
            Self::NoTimer => "no_timer",
            Self::Damaged => "item_damaged",
            Self::TooLarge => "item_too_large",
            Self::ReservedKind => "reserved_kind",
            Self::Randomness => "no_randomness",
            Self::Disk(_) => "disk_failed",
            Self::DatabaseDamaged => "database_damaged",
            Self::Database(_) => "database_failed",
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Disk(error.kind())
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::DatabaseDamaged,
            _ => Self::Database(error.sqlite_error().map_or(0, |e| e.extended_code)),
        }
    }
}
