//! The profile: creating and opening it, its relays, and what happens in it.

use mayfly_core::view::{Event, ProfileView, StatusView};
use serde::Serialize;
use tauri::{State, ipc::Channel};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::{
    error::Error,
    state::{AppState, ProfileState},
};

#[tauri::command]
pub async fn profile_state(state: State<'_, AppState>) -> Result<ProfileState, Error> {
    state.settle().await
}

#[tauri::command]
pub async fn create_profile(
    state: State<'_, AppState>,
    name: String,
    passphrase: Option<String>,
) -> Result<ProfileView, Error> {
    state.create(name, passphrase).await
}

#[tauri::command]
pub async fn unlock(state: State<'_, AppState>, passphrase: Option<String>) -> Result<ProfileView, Error> {
    state.unlock(passphrase).await
}

#[tauri::command]
pub async fn profile(state: State<'_, AppState>) -> Result<ProfileView, Error> {
    Ok(state.engine().await?.profile())
}

#[tauri::command]
pub async fn set_relays(state: State<'_, AppState>, relays: Vec<String>) -> Result<ProfileView, Error> {
    Ok(state.engine().await?.set_relays(relays).await?)
}

#[tauri::command]
pub async fn status(state: State<'_, AppState>) -> Result<StatusView, Error> {
    Ok(state.engine().await?.status())
}

#[tauri::command]
pub async fn watch(state: State<'_, AppState>, channel: Channel<Told>) -> Result<(), Error> {
    let events = state.engine().await?.events();
    state.set_watcher(tauri::async_runtime::spawn(tell(events, channel)));
    Ok(())
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

/// Tells the events as they come, until the profile is closed or the page is gone.
async fn tell(mut events: Receiver<Event>, channel: Channel<Told>) {
    loop {
        let told = match events.recv().await {
            Ok(event) => Told::Event(Box::new(event)),
            Err(RecvError::Lagged(_)) => Told::Resync(Resync {}),
            Err(RecvError::Closed) => return,
        };
        if channel.send(told).is_err() {
            return;
        }
    }
}
