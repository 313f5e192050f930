//! What opens a profile, and how that is changed while it is open.

use mayfly_vault::Passphrase;

use crate::{Engine, Error, engine::blocking};

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
}
