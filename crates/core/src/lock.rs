//! A locked profile: names, keys and routes are gone from memory, and what falls due dies all the same.

use mayfly_vault::{Passphrase, Vault};
use tokio::task::JoinSet;

use crate::{Engine, Error, engine::blocking, profile, reaper};

/// A profile that waits for its passphrase, and goes on wiping. Dropping it is as closing the program.
#[derive(Debug)]
#[must_use = "the profile is let go of when this is dropped, and nothing is wiped any more"]
pub struct LockedProfile {
    vault: Vault,
    _reaper: JoinSet<()>,
}

impl Engine {
    /// Wipes, and locks the profile. Stop [`Running`](crate::Running) first, and drop every clone of this engine afterwards:
    /// what it holds in memory goes with the last one, and all it is asked for until then fails.
    ///
    /// # Errors
    /// [`Error::Access`] where there is no passphrase; [`Error::DiskFull`], [`Error::Store`]: what was due may still have
    /// to be wiped, and [`is_locked`](Self::is_locked) says that it is locked all the same: ask once more.
    pub async fn lock(&self) -> Result<LockedProfile, Error> {
        let vault = self.store().clone();
        vault.lock().await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(reaper::run(vault.clone()));
        Ok(LockedProfile { vault, _reaper: tasks })
    }

    /// Whether it was locked.
    pub fn is_locked(&self) -> bool {
        self.store().is_locked()
    }
}

impl LockedProfile {
    /// Opens the profile again, after a wipe. After an error it is locked as before. Run the engine to receive what others
    /// have sent meanwhile.
    ///
    /// # Errors
    /// [`Error::Access`] for a wrong passphrase, or one too soon; [`Error::ProfileDestroyed`] when it was one too many;
    /// [`Error::Store`] with the code `duress`: drop this and open the place anew with the same passphrase.
    pub async fn unlock(&self, pass: Passphrase) -> Result<Engine, Error> {
        let vault = self.vault.clone();
        blocking(move || vault.unlock(&pass)).await?;
        let record = self.vault.read(profile::load)?;
        Engine::from_parts(self.vault.clone(), record)
    }

    /// Closes the profile.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::DiskFull`].
    pub async fn close(self) -> Result<(), Error> {
        Ok(self.vault.close().await?)
    }
}
