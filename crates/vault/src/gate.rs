//! What stands between a passphrase and an open vault: the tally of tries, and the entry in the keyring.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::attempts::{Attempts, Tally};
use crate::cipher::Key;
use crate::clock::Reading;
use crate::keyring::{Entry, Keyring};
use crate::locked::Locked;
use crate::share::{Derived, duress_mark};
use crate::state::Header;
use crate::{Error, Passphrase, Place};

/// The gate of one vault, as long as it is open or being opened.
#[derive(Debug)]
pub(crate) struct Gate {
    attempts: Mutex<Attempts>,
    keyring: Mutex<Option<Arc<Keyring>>>,
    /// Held while what opens the vault is changed: one change at a time.
    changing: Mutex<()>,
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
        Ok(Self { attempts, keyring: Mutex::default(), changing: Mutex::default() })
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
