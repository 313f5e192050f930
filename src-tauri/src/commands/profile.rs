//! The profile: creating and opening it, its relays, and what happens in it.

use std::sync::{Arc, PoisonError};

use mayfly_core::view::{Event, ProfileView, StatusView};
use serde::Serialize;
use tauri::{
    AppHandle, Manager as _, Runtime,
    ipc::{Channel, InvokeResponseBody},
};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use zeroize::Zeroizing;

use crate::{
    bridge::Session,
    error::Error,
    state::{AppState, ProfileState},
    window,
};

pub(super) async fn profile_state(state: &AppState) -> Result<ProfileState, Error> {
    state.settle().await
}

pub(super) async fn create_profile(
    state: &AppState,
    name: String,
    passphrase: Option<String>,
) -> Result<ProfileView, Error> {
    state.create(name, passphrase).await
}

pub(super) async fn unlock(state: &AppState, passphrase: Option<String>) -> Result<ProfileView, Error> {
    state.unlock(passphrase).await
}

pub(super) async fn profile(state: &AppState) -> Result<ProfileView, Error> {
    Ok(state.engine().await?.profile())
}

pub(super) async fn set_relays(state: &AppState, relays: Vec<String>) -> Result<ProfileView, Error> {
    Ok(state.engine().await?.set_relays(relays).await?)
}

pub(super) async fn status(state: &AppState) -> Result<StatusView, Error> {
    Ok(state.engine().await?.status())
}

pub(super) async fn watch(state: &AppState, channel: Channel<InvokeResponseBody>) -> Result<(), Error> {
    let (events, session) = (state.engine().await?.events(), state.bridge.session()?);
    state.set_watcher(tauri::async_runtime::spawn(tell(events, session, channel)));
    Ok(())
}

/// Replaces the page, so that what it has held of the dead goes with its process; the new one shows this chat.
pub(super) fn rest<R: Runtime>(app: &AppHandle<R>, chat: Option<String>) {
    *app.state::<AppState>().resume.lock().unwrap_or_else(PoisonError::into_inner) = chat;
    window::renew(app);
}

/// The chat that the page before had open, once.
pub(super) fn resume(state: &AppState) -> Option<String> {
    state.resume.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// What the window is told.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Told {
    /// Something happened.
    Event(Box<Event>),
    /// Events were lost: everything that is shown must be asked for again.
    Resync(Resync),
}

/// `{"event":"resync"}`
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(tag = "event", rename = "resync")]
pub struct Resync {}

/// Tells the events as they come, sealed for this page, until the profile is closed or the page is gone.
async fn tell(mut events: Receiver<Event>, session: Arc<Session>, channel: Channel<InvokeResponseBody>) {
    loop {
        let told = match events.recv().await {
            Ok(event) => Told::Event(Box::new(event)),
            Err(RecvError::Lagged(_)) => Told::Resync(Resync {}),
            Err(RecvError::Closed) => return,
        };
        let Ok(sealed) = serde_json::to_vec(&told).map(Zeroizing::new).map(|plain| session.seal(&plain)) else {
            return;
        };
        if !sealed.is_ok_and(|sealed| channel.send(InvokeResponseBody::Raw(sealed)).is_ok()) {
            return;
        }
    }
}
