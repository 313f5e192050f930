//! The chats and their timers.

use mayfly_core::view::{Arrangement, ChatView, Timer};

use super::chat_id;
use crate::{error::Error, state::AppState};

pub(super) async fn chats(state: &AppState) -> Result<Vec<ChatView>, Error> {
    Ok(state.engine().await?.chats()?)
}

pub(super) async fn set_timer(state: &AppState, chat: String, timer: Timer) -> Result<ChatView, Error> {
    Ok(state.engine().await?.set_timer(chat_id(&chat)?, timer).await?)
}

pub(super) async fn set_burn_on_lock(state: &AppState, chat: String, burns: bool) -> Result<ChatView, Error> {
    Ok(state.engine().await?.set_burn_on_lock(chat_id(&chat)?, burns).await?)
}

pub(super) async fn answer_timer(state: &AppState, chat: String, accept: bool) -> Result<ChatView, Error> {
    Ok(state.engine().await?.answer_timer(chat_id(&chat)?, accept).await?)
}

pub(super) async fn arrange(state: &AppState, chat: String, arrangement: Arrangement) -> Result<ChatView, Error> {
    Ok(state.engine().await?.arrange(chat_id(&chat)?, arrangement).await?)
}
