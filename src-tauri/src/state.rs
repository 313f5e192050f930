//! The shell's state: the profile that is open, its tasks, and the embedded relay.

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    time::Duration,
};

use mayfly_core::{Clock, Engine, LockedProfile, NewProfile, Passphrase, Running, view::ProfileView};
use serde::Serialize;
use tauri::async_runtime::JoinHandle;
use tokio::sync::RwLock;

use crate::{bridge::Bridge, embedded_relay::OwnRelay, error::Error, idle::Idle, paths::Paths};

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

/// A profile that this program holds.
enum Held {
    Open(Open),
    Locked(LockedProfile),
}

/// What all commands share. Opening and locking hold the lock, so that whoever asks meanwhile waits for the outcome.
pub struct AppState {
    paths: Paths,
    clock: Arc<dyn Clock>,
    /// What `MAYFLY_RELAY` says.
    relays_elsewhere: Option<String>,
    held: RwLock<Option<Held>>,
    relay: tokio::sync::Mutex<Option<OwnRelay>>,
    watcher: Mutex<Option<JoinHandle<()>>>,
    /// The chat that the page had open when it was last replaced.
    pub resume: Mutex<Option<String>>,
    /// What the page and this program say to each other.
    pub bridge: Bridge,
    /// When a hand was last at it.
    pub idle: Idle,
    /// Whether the login tells when it is locked or put to sleep.
    pub is_login_heard: Arc<AtomicBool>,
}

impl std::fmt::Debug for AppState {
    /// Shows nothing.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AppState")
    }
}

impl AppState {
    /// Nothing is open yet.
    pub fn new(paths: Paths, relays_elsewhere: Option<String>, clock: Arc<dyn Clock>) -> Self {
        Self {
            paths,
            idle: Idle::new(Arc::clone(&clock)),
            clock,
            relays_elsewhere,
            held: RwLock::default(),
            relay: tokio::sync::Mutex::default(),
            watcher: Mutex::default(),
            resume: Mutex::default(),
            bridge: Bridge::default(),
            is_login_heard: Arc::default(),
        }
    }

    /// How things stand; a profile without a passphrase is opened by being asked for.
    ///
    /// # Errors
    /// Those of opening.
    pub async fn settle(&self) -> Result<ProfileState, Error> {
        let mut held = self.held.write().await;
        match &*held {
            Some(Held::Open(_)) => return Ok(ProfileState::Open),
            Some(Held::Locked(_)) => return Ok(ProfileState::Locked),
            None => {}
        }
        if !Engine::exists(&self.paths.profile) {
            return Ok(ProfileState::None);
        }
        if Engine::needs_passphrase(&self.paths.profile)? {
            return Ok(ProfileState::Locked);
        }
        *held = Some(Held::Open(self.open_engine(None).await?));
        Ok(ProfileState::Open)
    }

    /// Creates a profile and opens it; its first relay is the app's own.
    ///
    /// # Errors
    /// Those of [`Engine::create`], and [`Error::Relay`].
    pub async fn create(&self, name: String, passphrase: Option<String>) -> Result<ProfileView, Error> {
        let mut held = self.held.write().await;
        let relays = self.own_relays().await?;
        let new = NewProfile { name, passphrase: passphrase.map(Passphrase::from), relays };
        let engine = Engine::create(&self.paths.profile, new, Arc::clone(&self.clock)).await?;
        let view = engine.profile();
        *held = Some(Held::Open(Open { running: engine.run(), engine }));
        self.idle.touch();
        Ok(view)
    }

    /// Opens the profile, or unlocks it. What died meanwhile is destroyed before this returns.
    ///
    /// # Errors
    /// Those of [`Engine::open`] and [`LockedProfile::unlock`].
    pub async fn unlock(&self, passphrase: Option<String>) -> Result<ProfileView, Error> {
        let mut held = self.held.write().await;
        let passphrase = passphrase.map(Passphrase::from);
        let opened = match held.take() {
            Some(Held::Open(open)) => open,
            Some(Held::Locked(locked)) => match self.unlock_locked(locked, passphrase).await {
                Ok(open) => open,
                Err((error, locked)) => {
                    *held = locked.map(Held::Locked);
                    return Err(error);
                }
            },
            None => self.open_engine(passphrase).await?,
        };
        self.idle.touch();
        let view = opened.engine.profile();
        *held = Some(Held::Open(opened));
        Ok(view)
    }

    /// Gives the locked profile back with the error, where there is still one.
    async fn unlock_locked(
        &self,
        locked: LockedProfile,
        passphrase: Option<Passphrase>,
    ) -> Result<Open, (Error, Option<LockedProfile>)> {
        let Some(passphrase) = passphrase else {
            return Err((mayfly_core::Error::PassphraseRequired.into(), Some(locked)));
        };
        match locked.unlock(passphrase.clone()).await {
            Ok(engine) => Ok(Open { running: engine.run(), engine }),
            Err(error) if error.is_duress() => {
                // Whatever this says: opening anew with the same passphrase is what destroys.
                let _ = locked.close().await;
                self.open_engine(Some(passphrase)).await.map_err(|error| (error, None))
            }
            Err(mayfly_core::Error::ProfileDestroyed) => {
                // It says that it is closed, which it was before: what counts is that its place is free now.
                let _ = locked.close().await;
                Err((mayfly_core::Error::ProfileDestroyed.into(), None))
            }
            Err(error) => Err((error.into(), Some(locked))),
        }
    }

    /// Locks the profile, if it is open: what it held in memory is gone when this returns, and what falls due goes on
    /// dying. `cover` is called at once, before anything that takes time.
    ///
    /// # Errors
    /// [`mayfly_core::Error::Access`] without a passphrase: it stays open.
    pub async fn lock(&self, cover: impl FnOnce()) -> Result<(), Error> {
        let mut held = self.held.write().await;
        let Some(Held::Open(open)) = &*held else { return Ok(()) };
        open.engine.can_lock()?;
        cover();
        self.stop_watching();
        let Some(Held::Open(Open { engine, running })) = held.take() else { return Ok(()) };
        running.stop().await;
        *held = Some(Held::Locked(engine.lock().await?));
        Ok(())
    }

    /// How many milliseconds are left until the profile is to lock by itself; `None` where it is not to.
    pub async fn locks_in_ms(&self) -> Option<u64> {
        let engine = self.engine().await.ok()?;
        let security = engine.security();
        security.lock_after_s.filter(|_| security.has_passphrase).map(|limit_s| self.idle.left_ms(limit_s))
    }

    /// Destroys the profile, keys first, open or not; `cover` is called as soon as they are gone.
    ///
    /// # Errors
    /// Those of [`Engine::panic_at`].
    pub async fn panic(&self, cover: impl FnOnce()) -> Result<(), Error> {
        let mut held = self.held.write().await;
        let destroyed = match &*held {
            Some(Held::Open(open)) => open.engine.panic().await,
            Some(Held::Locked(locked)) => locked.panic().await,
            None => Engine::panic_at(&self.paths.profile).await,
        };
        cover();
        self.stop_watching();
        // A new profile finds the place free once whoever still wrote into the old one has ended.
        let _ = let_go(held.take()).await;
        Ok(destroyed?)
    }

    /// Closes the profile, which [the passphrase that destroys](mayfly_core::Error::is_duress) was given to, and opens its
    /// place anew with it: what is there then is empty.
    ///
    /// # Errors
    /// Those of [`Engine::open`].
    pub async fn start_over(&self, passphrase: Passphrase, cover: impl FnOnce()) -> Result<(), Error> {
        let mut held = self.held.write().await;
        cover();
        self.stop_watching();
        // Opening it again destroys what this could not.
        let _ = let_go(held.take()).await;
        *held = Some(Held::Open(self.open_engine(Some(passphrase)).await?));
        Ok(())
    }

    /// The engine of the open profile.
    ///
    /// # Errors
    /// [`Error::NotOpen`].
    pub async fn engine(&self) -> Result<Engine, Error> {
        match &*self.held.read().await {
            Some(Held::Open(open)) => Ok(open.engine.clone()),
            _ => Err(Error::NotOpen),
        }
    }

    /// Keeps the task that tells events to the window. A page that is loaded anew listens anew; the old ear is gone.
    pub fn set_watcher(&self, task: JoinHandle<()>) {
        let before = self.watcher.lock().unwrap_or_else(PoisonError::into_inner).replace(task);
        if let Some(before) = before {
            before.abort();
        }
    }

    fn stop_watching(&self) {
        if let Some(watcher) = self.watcher.lock().unwrap_or_else(PoisonError::into_inner).take() {
            watcher.abort();
        }
    }

    /// Closes the profile and ends the relay, within a bound.
    pub async fn close(&self) {
        let _ = tokio::time::timeout(CLOSING_LIMIT, async {
            // A fault at the end is the next start's to find; there is no window left to tell it to.
            let _ = let_go(self.held.write().await.take()).await;
            if let Some(relay) = self.relay.lock().await.take() {
                relay.stop().await;
            }
        })
        .await;
    }

    async fn open_engine(&self, passphrase: Option<Passphrase>) -> Result<Open, Error> {
        let engine = Engine::open(&self.paths.profile, passphrase, Arc::clone(&self.clock)).await?;
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

/// Stops a profile's tasks and closes it; nothing of it is open, locked or written afterwards.
async fn let_go(held: Option<Held>) -> Result<(), mayfly_core::Error> {
    match held {
        Some(Held::Open(Open { engine, running })) => {
            running.stop().await;
            engine.close().await
        }
        Some(Held::Locked(locked)) => locked.close().await,
        None => Ok(()),
    }
}
