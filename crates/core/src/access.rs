//! What opens a profile, and how that is changed while it is open.

use std::num::NonZeroU32;

use mayfly_vault::{Passphrase, Vault};

use crate::{Engine, Error, ProfilePlace, engine::blocking, profile, view::SecurityView};

impl Engine {
    /// Sets a passphrase where there was none.
    ///
    /// # Errors
    /// [`Error::Access`] if there is one already; [`Error::DiskFull`], [`Error::ReadOnly`].
    pub async fn set_passphrase(&self, new: Passphrase) -> Result<(), Error> {
        let vault = self.store().clone();
        blocking(move || vault.set_passphrase(&new)).await
    }

    /// Puts another passphrase in the place of the present one. One for duress has to be set again afterwards.
    ///
    /// # Errors
    /// [`Error::Access`] if `old` is not the present one; [`Error::DiskFull`], [`Error::ReadOnly`].
    pub async fn change_passphrase(&self, old: Passphrase, new: Passphrase) -> Result<(), Error> {
        let vault = self.store().clone();
        blocking(move || vault.change_passphrase(&old, &new)).await
    }

    /// Opens without a passphrase from now on.
    ///
    /// # Errors
    /// [`Error::Access`] if `old` is not the present one; [`Error::DiskFull`], [`Error::ReadOnly`].
    pub async fn remove_passphrase(&self, old: Passphrase) -> Result<(), Error> {
        let vault = self.store().clone();
        blocking(move || vault.remove_passphrase(&old)).await
    }

    /// Sets the passphrase that, typed at the door, destroys everything and opens an empty profile; `None` takes it away.
    ///
    /// # Errors
    /// [`Error::Access`] if `pass` is not the present one, or both are the same; [`Error::DiskFull`], [`Error::ReadOnly`].
    pub async fn set_duress(&self, pass: Passphrase, duress: Option<Passphrase>) -> Result<(), Error> {
        let vault = self.store().clone();
        blocking(move || vault.set_duress(&pass, duress.as_ref())).await
    }

    /// Ties the profile to this login's keyring, or unties it. A person may be asked to unlock the keyring.
    ///
    /// # Errors
    /// [`Error::Access`] if no keyring answers; [`Error::DiskFull`], [`Error::ReadOnly`].
    pub async fn use_keyring(&self, is_used: bool) -> Result<(), Error> {
        let vault = self.store().clone();
        blocking(move || if is_used { vault.add_keyring() } else { vault.remove_keyring() }).await
    }

    /// Whether the profile opens only with this login's keyring.
    pub fn has_keyring(&self) -> bool {
        self.store().has_keyring()
    }

    /// Ties the profile to this machine's TPM, or unties it.
    ///
    /// # Errors
    /// [`Error::Access`] if no TPM answers; [`Error::DiskFull`], [`Error::ReadOnly`].
    pub async fn use_tpm(&self, is_used: bool) -> Result<(), Error> {
        let vault = self.store().clone();
        blocking(move || if is_used { vault.add_tpm() } else { vault.remove_tpm() }).await
    }

    /// Whether the profile opens only with this machine's TPM.
    pub fn has_tpm(&self) -> bool {
        self.store().has_tpm()
    }

    /// After how many wrong passphrases in a row the profile destroys itself; `None` is never.
    ///
    /// # Errors
    /// [`Error::DiskFull`], [`Error::ReadOnly`].
    pub async fn set_erase_after(&self, failures: Option<NonZeroU32>) -> Result<(), Error> {
        let vault = self.store().clone();
        blocking(move || vault.set_erase_after(failures)).await
    }

    /// What [`set_erase_after`](Self::set_erase_after) set.
    pub fn erase_after(&self) -> Option<NonZeroU32> {
        self.store().erase_after()
    }

    /// What opens the profile, and what locks or destroys it.
    pub fn security(&self) -> SecurityView {
        let vault = self.store();
        SecurityView {
            has_passphrase: vault.has_passphrase(),
            has_keyring: vault.has_keyring(),
            has_tpm: vault.has_tpm(),
            erase_after: vault.erase_after(),
            lock_after_s: Some(self.profile_record().lock_after_s).filter(|seconds| *seconds > 0),
        }
    }

    /// After how many seconds without a hand at it the window locks; `None` is never.
    ///
    /// # Errors
    /// [`Error::LockAfterInvalid`]; [`Error::DiskFull`], [`Error::ReadOnly`].
    pub async fn set_lock_after(&self, seconds: Option<u32>) -> Result<(), Error> {
        let lock_after_s = profile::check_lock_after(seconds)?;
        self.change_profile(move |record| record.lock_after_s = lock_after_s).await
    }

    /// Destroys the profile with everything in it, at once and for good. Nothing else works afterwards; drop it.
    ///
    /// # Errors
    /// [`Error::DiskFull`], [`Error::ReadOnly`], [`Error::Store`]: its key files could not be overwritten.
    pub async fn panic(&self) -> Result<(), Error> {
        let vault = self.store().clone();
        blocking(move || vault.panic()).await
    }

    /// Destroys the profile in this place, whether or not somebody has it open: whoever has finds out with the next wipe,
    /// and keeps nothing.
    ///
    /// # Errors
    /// As [`panic`](Self::panic).
    pub async fn panic_at(place: &ProfilePlace) -> Result<(), Error> {
        let place = place.vault();
        blocking(move || Vault::panic_at(&place)).await
    }

    /// Destroys the profile in this place, which nobody has open, and removes its files and its entry in the keyring.
    ///
    /// # Errors
    /// [`Error::ProfileInUse`], [`Error::ReadOnly`].
    pub async fn erase_at(place: &ProfilePlace) -> Result<(), Error> {
        let place = place.vault();
        blocking(move || Vault::erase_at(&place)).await
    }
}
