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
    reply_to: Option<String>,
) -> Result<MessageView, Error> {
    let (engine, chat) = (state.engine().await?, chat_id(&chat)?);
    Ok(match reply_to {
        Some(source) => engine.reply(chat, item_id(&source)?, &text, timer).await?,
        None => engine.send_message(chat, &text, timer).await?,
    })
}

pub(super) async fn set_draft(
    state: &AppState,
    chat: String,
    text: String,
    reply_to: Option<String>,
) -> Result<(), Error> {
    let text = zeroize::Zeroizing::new(text);
    // What it answers may have died while it was on its way; the words are kept all the same.
    let source = reply_to.and_then(|id| item_id(&id).ok());
    Ok(state.engine().await?.set_draft(chat_id(&chat)?, &text, source).await?)
}

pub(super) async fn react(state: &AppState, chat: String, id: String, emoji: String) -> Result<MessageView, Error> {
    Ok(state.engine().await?.react(chat_id(&chat)?, item_id(&id)?, &emoji).await?)
}

pub(super) async fn edit_message(
    state: &AppState,
    chat: String,
    id: String,
    text: String,
) -> Result<MessageView, Error> {
    Ok(state.engine().await?.edit_message(chat_id(&chat)?, item_id(&id)?, &text).await?)
}

pub(super) async fn delete_for_everyone(state: &AppState, chat: String, id: String) -> Result<(), Error> {
    Ok(state.engine().await?.delete_for_everyone(chat_id(&chat)?, item_id(&id)?).await?)
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
