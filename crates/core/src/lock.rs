//! A locked profile: names, keys and routes are gone from memory, and what falls due dies all the same.

use mayfly_vault::{ChatId, Passphrase, Urgency, Vault, Writer};
use tokio::task::JoinSet;

use crate::{Engine, Error, chat, engine::blocking, profile, reaper, view::ChatView};

/// A profile that waits for its passphrase, and goes on wiping. Dropping it is as closing the program.
#[derive(Debug)]
#[must_use = "the profile is let go of when this is dropped, and nothing is wiped any more"]
pub struct LockedProfile {
    vault: Vault,
    _reaper: JoinSet<()>,
}

impl Engine {
    /// Whether it can be locked.
    ///
    /// # Errors
    /// [`Error::Access`] where there is no passphrase.
    pub fn can_lock(&self) -> Result<(), Error> {
        if self.store().has_passphrase() { Ok(()) } else { Err(mayfly_vault::Error::PassphraseUnset.into()) }
    }

    /// Wipes, and locks the profile. Stop [`Running`](crate::Running) first, and drop every clone of this engine afterwards:
    /// what it holds in memory goes with the last one, and all it is asked for until then fails.
    ///
    /// It locks also where the wipe fails, on a full disk for instance: the locked profile tries that again by itself.
    ///
    /// # Errors
    /// [`Error::Access`] where there is no passphrase; [`Error::Closed`]. It is not locked then.
    pub async fn lock(&self) -> Result<LockedProfile, Error> {
        let vault = self.store().clone();
        if let Err(refusal) = vault.lock().await
            && !vault.is_locked()
        {
            return Err(refusal.into());
        }
        let mut tasks = JoinSet::new();
        tasks.spawn(reaper::run(vault.clone()));
        Ok(LockedProfile { vault, _reaper: tasks })
    }

    /// Has what is said in a chat from now on burn on this device: it is over when the profile is locked, or the program
    /// ends, however it ends. Its key is in memory alone.
    ///
    /// # Errors
    /// [`Error::ChatMissing`].
    pub async fn set_burn_on_lock(&self, chat: ChatId, burns: bool) -> Result<ChatView, Error> {
        let set = move |writer: &mut Writer<'_>| {
            let mut record = chat::load(writer, chat)?;
            record.burns = burns;
            chat::save(writer, chat, &record)?;
            chat::view(writer, chat, &record)
        };
        let view = self.store().write(Urgency::User, set).await?;
        self.tell_chat(view.clone());
        Ok(view)
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
    /// one that [is for duress](Error::is_duress): close this and open the place anew with the same passphrase.
    pub async fn unlock(&self, pass: Passphrase) -> Result<Engine, Error> {
        let vault = self.vault.clone();
        blocking(move || vault.unlock(&pass)).await?;
        let opened = self.vault.read(profile::load).and_then(|record| Engine::from_parts(self.vault.clone(), record));
        if opened.is_err() {
            // Nobody holds it open, so it must not stay open.
            let _ = self.vault.lock().await;
        }
        opened
    }

    /// Destroys the profile with everything in it, at once and for good.
    ///
    /// # Errors
    /// [`Error::DiskFull`], [`Error::ReadOnly`], [`Error::Store`]: its key files could not be overwritten.
    pub async fn panic(&self) -> Result<(), Error> {
        let vault = self.vault.clone();
        blocking(move || vault.panic()).await
    }

    /// Closes the profile.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::DiskFull`].
    pub async fn close(self) -> Result<(), Error> {
        Ok(self.vault.close().await?)
    }
}
