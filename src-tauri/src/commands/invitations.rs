//! Inviting somebody, and accepting what somebody else sent.

use mayfly_core::view::{ChatView, InvitationView};
use tauri::State;

use crate::{error::Error, state::AppState};

#[tauri::command]
pub async fn create_invitation(state: State<'_, AppState>) -> Result<InvitationView, Error> {
    Ok(state.engine().await?.create_invitation().await?)
}

#[tauri::command]
pub async fn accept_invitation(state: State<'_, AppState>, link: String) -> Result<ChatView, Error> {
    Ok(state.engine().await?.accept_invitation(&link).await?)
}
