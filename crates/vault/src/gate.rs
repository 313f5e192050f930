//! What stands between a passphrase and an open vault: the tally of tries, and the entry in the keyring.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::attempts::{Attempts, Tally};
use crate::cipher::Key;
use crate::clock::Reading;
use crate::keyring::{Entry, Keyring};
use crate::locked::Locked;
use crate::rotation::Next;
use crate::share::{Derived, duress_mark};
use crate::state::Header;
use crate::{Error, Passphrase, Place};

/// The gate of one vault, as long as it is open or being opened.
#[derive(Debug)]
pub(crate) struct Gate {
    attempts: Mutex<Attempts>,
    keyring: Mutex<Option<Arc<Keyring>>>,
    moves: Mutex<Moves>,
    /// The epoch that counts if the TPM holds its share: it fell silent when it was told.
    pending: Mutex<Option<Next>>,
    /// Held while what opens the vault is changed: one change at a time.
    changing: Mutex<()>,
}

/// How the share in the TPM stands: it is replaced seldom, because the chip wears out.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    /// When it was last replaced, by the boot clock.
    last_ms: Option<u64>,
    /// Something died since.
    is_owed: bool,
    /// There will be no later time.
    is_hurried: bool,
}

impl Moves {
    /// Replaced at most this often.
    const EVERY_MS: u64 = 60_000;

    /// Something died.
    pub(crate) fn owe(&mut self) {
        self.is_owed = true;
    }

    /// The next wipe replaces it if anything died, however soon.
    pub(crate) fn hurry(&mut self) {
        self.is_hurried = true;
    }

    /// In how many milliseconds it is to be replaced, if it is.
    pub(crate) fn due_in_ms(&self, boottime_ms: u64) -> Option<u64> {
        let wait = self.last_ms.map_or(0, |last| (last + Self::EVERY_MS).saturating_sub(boottime_ms));
        self.is_owed.then_some(if self.is_hurried { 0 } else { wait })
    }

    /// The TPM did not take it: not again at once.
    pub(crate) fn put_off(&mut self, boottime_ms: u64) {
        *self = Self { last_ms: Some(boottime_ms), is_owed: true, is_hurried: false };
    }

    pub(crate) fn moved(&mut self, boottime_ms: u64) {
        *self = Self { last_ms: Some(boottime_ms), ..Self::default() };
    }
}

/// What a passphrase turned out to be, before it is known whether it opens.
pub(crate) enum Tried {
    Share(Derived),
    /// The one that means "destroy everything".
    Duress(Derived),
}

impl Gate {
    /// The gate of what lies in this place.
    pub(crate) fn open(place: &Place) -> Result<Self, Error> {
        let attempts = Mutex::new(Attempts::open(place)?);
        Ok(Self {
            attempts,
            keyring: Mutex::default(),
            moves: Mutex::default(),
            pending: Mutex::default(),
            changing: Mutex::default(),
        })
    }

    /// Asks the keyring for the share of this vault. Its memory of wrong passphrases counts where it is the later one.
    ///
    /// # Errors
    /// [`Error::KeyringUnavailable`], [`Error::KeyringLocked`], [`Error::KeyringEmpty`].
    pub(crate) fn load(&self, store_id: &[u8; 16]) -> Result<Entry, Error> {
        let keyring = Arc::new(Keyring::of(store_id)?);
        let entry = keyring.load()?;
        self.attempts().merge(entry.tally);
        self.set_keyring(Some(keyring));
        Ok(entry)
    }

    /// Derives what a passphrase gives, once it was counted as wrong: [`passed`](Self::passed) takes that back.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`], [`Error::Disk`].
    pub(crate) fn attempt(
        &self,
        pass: &Passphrase,
        header: &Header,
        keyring: Option<&Entry>,
        reading: &Reading,
    ) -> Result<Tried, Error> {
        self.attempts().begin(reading)?;
        if let (Some(entry), Some(keyring)) = (keyring, self.keyring()) {
            keyring.tell(&Entry { tally: self.tally(), ..entry.clone() });
        }
        let share = pass.share(&header.salt, header.cost)?;
        let is_duress = duress_mark(&share, &header.store_id).is_same(&Key(header.duress));
        let derived = Derived { salt: header.salt, cost: header.cost, share };
        Ok(if is_duress { Tried::Duress(derived) } else { Tried::Share(derived) })
    }

    /// The passphrase was right.
    pub(crate) fn passed(&self) -> Result<(), Error> {
        self.attempts().clear()
    }

    /// The passphrase was wrong: whether it was the last that was allowed.
    pub(crate) fn is_spent(&self) -> bool {
        self.tally().is_spent()
    }

    pub(crate) fn tally(&self) -> Tally {
        self.attempts().tally()
    }

    pub(crate) fn attempts(&self) -> MutexGuard<'_, Attempts> {
        lock(&self.attempts)
    }

    pub(crate) fn moves(&self) -> MutexGuard<'_, Moves> {
        lock(&self.moves)
    }

    pub(crate) fn pending(&self) -> MutexGuard<'_, Option<Next>> {
        lock(&self.pending)
    }

    pub(crate) fn set_pending(&self, next: Option<Next>) {
        *lock(&self.pending) = next;
    }

    /// One change at a time.
    pub(crate) fn changing(&self) -> MutexGuard<'_, ()> {
        lock(&self.changing)
    }

    pub(crate) fn keyring(&self) -> Option<Arc<Keyring>> {
        lock(&self.keyring).clone()
    }

    pub(crate) fn set_keyring(&self, keyring: Option<Arc<Keyring>>) {
        *lock(&self.keyring) = keyring;
    }

    /// The entry as it should stand now, where there is one.
    pub(crate) fn entry(&self, mark: u64, share: Option<&Locked>) -> Option<(Arc<Keyring>, Entry)> {
        let entry = Entry { mark, key: share?.key(), tally: self.tally() };
        Some((self.keyring()?, entry))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these guard is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
