//! The shell's state: the profile that is open, its tasks, and the embedded relay.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mayfly_core::{Engine, NewProfile, Passphrase, Running, SystemClock, view::ProfileView};
use serde::Serialize;
use tauri::async_runtime::JoinHandle;
use tokio::sync::RwLock;

use crate::{embedded_relay::OwnRelay, error::Error, paths::Paths};

/// How long the window's end may wait for the profile to close. What is not written by then is safe all the same:
/// the next start finds it as a crash would leave it.
const CLOSING_LIMIT: Duration = Duration::from_secs(5);

/// Whether there is a profile, and whether it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ProfileState {
    /// There is none.
    None,
    /// It waits for its passphrase.
    Locked,
    /// It is open.
    Open,
}

/// An open profile with its tasks.
struct Open {
    engine: Engine,
    running: Running,
}

/// What all commands share. Opening holds the lock, so that whoever asks meanwhile waits for the outcome.
pub struct AppState {
    paths: Paths,
    /// What `MAYFLY_RELAY` says.
    relays_elsewhere: Option<String>,
    open: RwLock<Option<Open>>,
    relay: tokio::sync::Mutex<Option<OwnRelay>>,
    watcher: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for AppState {
    /// Shows nothing.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AppState")
    }
}

impl AppState {
    /// Nothing is open yet.
    pub fn new(paths: Paths, relays_elsewhere: Option<String>) -> Self {
        Self {
            paths,
            relays_elsewhere,
            open: RwLock::default(),
            relay: tokio::sync::Mutex::default(),
            watcher: Mutex::default(),
        }
    }

    /// How things stand; a profile without a passphrase is opened by being asked for.
    ///
    /// # Errors
    /// Those of opening.
    pub async fn settle(&self) -> Result<ProfileState, Error> {
        let mut open = self.open.write().await;
        if open.is_some() {
            return Ok(ProfileState::Open);
        }
        if !Engine::exists(&self.paths.profile) {
            return Ok(ProfileState::None);
        }
        if Engine::needs_passphrase(&self.paths.profile)? {
            return Ok(ProfileState::Locked);
        }
        *open = Some(self.open_engine(None).await?);
        Ok(ProfileState::Open)
    }

    /// Creates a profile and opens it; its first relay is the app's own.
    ///
    /// # Errors
    /// Those of [`Engine::create`], and [`Error::Relay`].
    pub async fn create(&self, name: String, passphrase: Option<String>) -> Result<ProfileView, Error> {
        let mut open = self.open.write().await;
        let relays = self.own_relays().await?;
        let new = NewProfile { name, passphrase: passphrase.map(Passphrase::from), relays };
        let engine = Engine::create(&self.paths.profile, new, Arc::new(SystemClock)).await?;
        let view = engine.profile();
        *open = Some(Open { running: engine.run(), engine });
        Ok(view)
    }

    /// Opens the profile. What died meanwhile is destroyed before this returns.
    ///
    /// # Errors
    /// Those of [`Engine::open`].
    pub async fn unlock(&self, passphrase: Option<String>) -> Result<ProfileView, Error> {
        let mut open = self.open.write().await;
        if let Some(open) = &*open {
            return Ok(open.engine.profile());
        }
        let opened = self.open_engine(passphrase.map(Passphrase::from)).await?;
        Ok(open.insert(opened).engine.profile())
    }

    /// The engine of the open profile.
    ///
    /// # Errors
    /// [`Error::NotOpen`].
    pub async fn engine(&self) -> Result<Engine, Error> {
        self.open.read().await.as_ref().map(|open| open.engine.clone()).ok_or(Error::NotOpen)
    }

    /// Keeps the task that tells events to the window. A page that is loaded anew listens anew; the old ear is gone.
    pub fn set_watcher(&self, task: JoinHandle<()>) {
        let before = self.watcher.lock().unwrap_or_else(PoisonError::into_inner).replace(task);
        if let Some(before) = before {
            before.abort();
        }
    }

    /// Closes the profile and ends the relay, within a bound.
    pub async fn close(&self) {
        let _ = tokio::time::timeout(CLOSING_LIMIT, async {
            if let Some(Open { engine, running }) = self.open.write().await.take() {
                running.stop().await;
                // A fault at the end is the next start's to find; there is no window left to tell it to.
                let _ = engine.close().await;
            }
            if let Some(relay) = self.relay.lock().await.take() {
                relay.stop().await;
            }
        })
        .await;
    }

    async fn open_engine(&self, passphrase: Option<Passphrase>) -> Result<Open, Error> {
        let engine = Engine::open(&self.paths.profile, passphrase, Arc::new(SystemClock)).await?;
        // Without its own relay the profile opens all the same, and says that it is offline.
        let _ = self.own_relays().await;
        Ok(Open { running: engine.run(), engine })
    }

    async fn own_relays(&self) -> Result<Vec<String>, Error> {
        let mut relay = self.relay.lock().await;
        if let Some(relay) = &*relay {
            return Ok(relay.urls());
        }
        let started = OwnRelay::start(&self.paths.relay, self.relays_elsewhere.as_deref()).await?;
        Ok(relay.insert(started).urls())
    }
}
