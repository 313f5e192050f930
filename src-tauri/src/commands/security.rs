//! What opens the profile, what locks it, and what destroys it.

use std::num::NonZeroU32;

use mayfly_core::{Engine, Passphrase, view::SecurityView};
use serde::Serialize;
use tauri::{AppHandle, Manager as _, Runtime};

use crate::{error::Error, state::AppState, window};

/// The core's view, with what the shell knows.
#[derive(Debug, Clone, Serialize)]
pub struct Security {
    #[serde(flatten)]
    view: SecurityView,
    /// Whether the profile locks when this login is locked or put to sleep.
    locks_with_session: bool,
}

impl Security {
    fn of(state: &AppState, engine: &Engine) -> Self {
        let locks_with_session = state.is_login_heard.load(std::sync::atomic::Ordering::Relaxed);
        Self { view: engine.security(), locks_with_session }
    }
}

pub(super) fn active(state: &AppState) {
    state.idle.touch();
}

pub(super) async fn lock<R: Runtime>(app: &AppHandle<R>) -> Result<(), Error> {
    app.state::<AppState>().lock(|| window::renew(app)).await
}

pub(super) async fn panic<R: Runtime>(app: &AppHandle<R>) -> Result<(), Error> {
    app.state::<AppState>().panic(|| window::renew(app)).await
}

pub(super) async fn security(state: &AppState) -> Result<Security, Error> {
    Ok(Security::of(state, &state.engine().await?))
}

pub(super) async fn set_passphrase(state: &AppState, passphrase: String) -> Result<Security, Error> {
    let engine = state.engine().await?;
    engine.set_passphrase(Passphrase::from(passphrase)).await?;
    Ok(Security::of(state, &engine))
}

pub(super) async fn change_passphrase<R: Runtime>(
    app: &AppHandle<R>,
    old: String,
    passphrase: String,
) -> Result<Security, Error> {
    let (old, new) = (Passphrase::from(old), Passphrase::from(passphrase));
    prove(app, old, async |engine, old| engine.change_passphrase(old, new).await).await
}

pub(super) async fn remove_passphrase<R: Runtime>(app: &AppHandle<R>, old: String) -> Result<Security, Error> {
    prove(app, Passphrase::from(old), async |engine, old| engine.remove_passphrase(old).await).await
}

pub(super) async fn set_duress<R: Runtime>(
    app: &AppHandle<R>,
    passphrase: String,
    duress: Option<String>,
) -> Result<Security, Error> {
    let duress = duress.map(Passphrase::from);
    prove(app, Passphrase::from(passphrase), async |engine, pass| engine.set_duress(pass, duress).await).await
}

pub(super) async fn use_keyring(state: &AppState, is_used: bool) -> Result<Security, Error> {
    let engine = state.engine().await?;
    engine.use_keyring(is_used).await?;
    Ok(Security::of(state, &engine))
}

pub(super) async fn use_tpm(state: &AppState, is_used: bool) -> Result<Security, Error> {
    let engine = state.engine().await?;
    engine.use_tpm(is_used).await?;
    Ok(Security::of(state, &engine))
}

pub(super) async fn set_erase_after(state: &AppState, failures: Option<NonZeroU32>) -> Result<Security, Error> {
    let engine = state.engine().await?;
    engine.set_erase_after(failures).await?;
    Ok(Security::of(state, &engine))
}

pub(super) async fn set_lock_after(state: &AppState, seconds: Option<u32>) -> Result<Security, Error> {
    let engine = state.engine().await?;
    engine.set_lock_after(seconds).await?;
    Ok(Security::of(state, &engine))
}

/// Does what takes the present passphrase. Given the one for duress instead, or a wrong one too many, the profile is gone,
/// and the window begins anew with what is there then.
async fn prove<R: Runtime>(
    app: &AppHandle<R>,
    passphrase: Passphrase,
    act: impl AsyncFnOnce(Engine, Passphrase) -> Result<(), mayfly_core::Error>,
) -> Result<Security, Error> {
    let state = app.state::<AppState>();
    let engine = state.engine().await?;
    match act(engine.clone(), passphrase.clone()).await {
        Ok(()) => {}
        Err(error) if error.is_duress() => {
            drop(engine);
            state.start_over(passphrase, || window::renew(app)).await?;
            return Ok(Security::of(&state, &state.engine().await?));
        }
        Err(error @ mayfly_core::Error::ProfileDestroyed) => {
            state.panic(|| window::renew(app)).await?;
            return Err(error.into());
        }
        Err(error) => return Err(error.into()),
    }
    Ok(Security::of(&state, &engine))
}
