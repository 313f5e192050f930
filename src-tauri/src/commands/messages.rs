//! Messages: showing, sending, reading, destroying.

use mayfly_core::view::{MessageView, Timer};
use tauri::{Runtime, WebviewWindow};

use super::{chat_id, item_id};
use crate::{error::Error, state::AppState, window};

pub(super) async fn messages(
    state: &AppState,
    chat: String,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<MessageView>, Error> {
    Ok(state.engine().await?.messages(chat_id(&chat)?, before, limit)?)
}

pub(super) async fn send_message(
    state: &AppState,
    chat: String,
    text: String,
    timer: Option<Timer>,
) -> Result<MessageView, Error> {
    Ok(state.engine().await?.send_message(chat_id(&chat)?, &text, timer).await?)
}

/// Refused unless somebody can be looking: a page that is wrong about its focus starts no timer.
pub(super) async fn mark_read<R: Runtime>(
    window: &WebviewWindow<R>,
    state: &AppState,
    chat: String,
    ids: Vec<String>,
) -> Result<(), Error> {
    window::is_attended(window).then_some(()).ok_or(Error::NotFocused)?;
    let ids = ids.iter().map(|id| item_id(id)).collect::<Result<Vec<_>, _>>()?;
    Ok(state.engine().await?.mark_read(chat_id(&chat)?, &ids).await?)
}

pub(super) async fn wipe_message(state: &AppState, chat: String, id: String) -> Result<(), Error> {
    Ok(state.engine().await?.wipe_message(chat_id(&chat)?, item_id(&id)?).await?)
}
