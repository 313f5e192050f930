//! The chats and their timers.

use mayfly_core::view::{ChatView, Timer};
use tauri::State;

use super::chat_id;
use crate::{error::Error, state::AppState};

#[tauri::command]
pub async fn chats(state: State<'_, AppState>) -> Result<Vec<ChatView>, Error> {
    Ok(state.engine().await?.chats()?)
}

#[tauri::command]
pub async fn set_timer(state: State<'_, AppState>, chat: String, timer: Timer) -> Result<ChatView, Error> {
    Ok(state.engine().await?.set_timer(chat_id(&chat)?, timer).await?)
}

#[tauri::command]
pub async fn answer_timer(state: State<'_, AppState>, chat: String, accept: bool) -> Result<ChatView, Error> {
    Ok(state.engine().await?.answer_timer(chat_id(&chat)?, accept).await?)
}
