//! What the window can ask for: thin doors to the engine, behind the one sealed bridge.

mod chats;
mod invitations;
mod messages;
mod profile;
mod security;

use std::num::NonZeroU32;

use mayfly_core::{
    ChatId, ItemId,
    view::{Arrangement, Timer},
};
use serde::{Deserialize, Serialize};
use tauri::{
    AppHandle, Manager as _, Runtime, State, WebviewWindow,
    ipc::{Channel, Invoke, InvokeBody, InvokeResponseBody, Request, Response},
};
use zeroize::Zeroizing;

use crate::{error::Error, state::AppState};

/// All that crosses the bridge. `build.rs` and `capabilities/main.json` list the same names.
pub fn handler<R: Runtime>() -> impl Fn(Invoke<R>) -> bool + Send + Sync + 'static {
    tauri::generate_handler![greet, call, watch]
}

/// A page begins: it gives its public key, and gets ours.
#[tauri::command]
#[allow(clippy::needless_pass_by_value)] // What tauri hands to a command it hands over.
fn greet(state: State<'_, AppState>, request: Request<'_>) -> Result<Response, Error> {
    Ok(Response::new(state.bridge.greet(raw(&request)?)?))
}

/// One of the commands below, and its answer, both sealed.
#[tauri::command]
async fn call<R: Runtime>(
    app: AppHandle<R>,
    window: WebviewWindow<R>,
    request: Request<'_>,
) -> Result<Response, Error> {
    let session = app.state::<AppState>().bridge.session()?;
    let plain = session.open(raw(&request)?)?;
    let command = serde_json::from_slice(&plain).map_err(|_| Error::Bridge)?;
    drop(plain);
    let answer = match answer(&app, &window, command).await {
        Ok(answer) => answer,
        Err(error) => Zeroizing::new(serde_json::to_vec(&Refused { error }).map_err(|_| Error::Bridge)?),
    };
    Ok(Response::new(session.seal(&answer)?))
}

/// What happens in the profile from now on, event by event, sealed.
#[tauri::command]
async fn watch(state: State<'_, AppState>, channel: Channel<InvokeResponseBody>) -> Result<(), Error> {
    profile::watch(&state, channel).await
}

fn raw<'a>(request: &'a Request<'_>) -> Result<&'a [u8], Error> {
    match request.body() {
        InvokeBody::Raw(bytes) => Ok(bytes),
        InvokeBody::Json(_) => Err(Error::Bridge),
    }
}

/// Everything that the window can ask for.
#[derive(Deserialize)]
#[serde(tag = "command", content = "args", rename_all = "snake_case", rename_all_fields = "camelCase")]
enum Command {
    ProfileState {},
    CreateProfile { name: String, passphrase: Option<String> },
    Unlock { passphrase: Option<String> },
    Profile {},
    SetRelays { relays: Vec<String> },
    Status {},
    Active {},
    Rest { chat: Option<String> },
    Resume {},
    Lock {},
    Panic {},
    Security {},
    SetPassphrase { passphrase: String },
    ChangePassphrase { old: String, passphrase: String },
    RemovePassphrase { old: String },
    SetDuress { passphrase: String, duress: Option<String> },
    UseKeyring { is_used: bool },
    UseTpm { is_used: bool },
    SetEraseAfter { failures: Option<NonZeroU32> },
    SetLockAfter { seconds: Option<u32> },
    CreateInvitation {},
    AcceptInvitation { link: String },
    Chats {},
    SetTimer { chat: String, timer: Timer },
    AnswerTimer { chat: String, accept: bool },
    SetBurnOnLock { chat: String, burns: bool },
    Messages { chat: String, before: Option<i64>, limit: u32 },
    SendMessage { chat: String, text: String, timer: Option<Timer>, reply_to: Option<String> },
    SetDraft { chat: String, text: String, reply_to: Option<String> },
    React { chat: String, id: String, emoji: String },
    EditMessage { chat: String, id: String, text: String },
    DeleteForEveryone { chat: String, id: String },
    Arrange { chat: String, arrangement: Arrangement },
    MarkRead { chat: String, ids: Vec<String> },
    WipeMessage { chat: String, id: String },
}

/// `{"ok": …}`
#[derive(Serialize)]
struct Done<T> {
    ok: T,
}

/// `{"error": {"code", "message"}}`
#[derive(Serialize)]
struct Refused {
    error: Error,
}

async fn answer<R: Runtime>(
    app: &AppHandle<R>,
    window: &WebviewWindow<R>,
    command: Command,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let state = app.state::<AppState>();
    let state = state.inner();
    match command {
        Command::ProfileState {} => done(profile::profile_state(state).await?),
        Command::CreateProfile { name, passphrase } => done(profile::create_profile(state, name, passphrase).await?),
        Command::Unlock { passphrase } => done(profile::unlock(state, passphrase).await?),
        Command::Profile {} => done(profile::profile(state).await?),
        Command::SetRelays { relays } => done(profile::set_relays(state, relays).await?),
        Command::Status {} => done(profile::status(state).await?),
        Command::Active {} => {
            security::active(state);
            done(())
        }
        Command::Rest { chat } => {
            profile::rest(app, chat);
            done(())
        }
        Command::Resume {} => done(profile::resume(state)),
        Command::Lock {} => done(security::lock(app).await?),
        Command::Panic {} => done(security::panic(app).await?),
        Command::Security {} => done(security::security(state).await?),
        Command::SetPassphrase { passphrase } => done(security::set_passphrase(state, passphrase).await?),
        Command::ChangePassphrase { old, passphrase } => done(security::change_passphrase(app, old, passphrase).await?),
        Command::RemovePassphrase { old } => done(security::remove_passphrase(app, old).await?),
        Command::SetDuress { passphrase, duress } => done(security::set_duress(app, passphrase, duress).await?),
        Command::UseKeyring { is_used } => done(security::use_keyring(state, is_used).await?),
        Command::UseTpm { is_used } => done(security::use_tpm(state, is_used).await?),
        Command::SetEraseAfter { failures } => done(security::set_erase_after(state, failures).await?),
        Command::SetLockAfter { seconds } => done(security::set_lock_after(state, seconds).await?),
        Command::CreateInvitation {} => done(invitations::create_invitation(state).await?),
        Command::AcceptInvitation { link } => done(invitations::accept_invitation(state, link).await?),
        Command::Chats {} => done(chats::chats(state).await?),
        Command::SetTimer { chat, timer } => done(chats::set_timer(state, chat, timer).await?),
        Command::SetBurnOnLock { chat, burns } => done(chats::set_burn_on_lock(state, chat, burns).await?),
        Command::AnswerTimer { chat, accept } => done(chats::answer_timer(state, chat, accept).await?),
        Command::Messages { chat, before, limit } => done(messages::messages(state, chat, before, limit).await?),
        Command::SendMessage { chat, text, timer, reply_to } => {
            done(messages::send_message(state, chat, text, timer, reply_to).await?)
        }
        Command::SetDraft { chat, text, reply_to } => done(messages::set_draft(state, chat, text, reply_to).await?),
        Command::React { chat, id, emoji } => done(messages::react(state, chat, id, emoji).await?),
        Command::EditMessage { chat, id, text } => done(messages::edit_message(state, chat, id, text).await?),
        Command::DeleteForEveryone { chat, id } => done(messages::delete_for_everyone(state, chat, id).await?),
        Command::Arrange { chat, arrangement } => done(chats::arrange(state, chat, arrangement).await?),
        Command::MarkRead { chat, ids } => done(messages::mark_read(window, state, chat, ids).await?),
        Command::WipeMessage { chat, id } => done(messages::wipe_message(state, chat, id).await?),
    }
}

fn done<T: Serialize>(ok: T) -> Result<Zeroizing<Vec<u8>>, Error> {
    serde_json::to_vec(&Done { ok }).map(Zeroizing::new).map_err(|_| Error::Bridge)
}

/// A chat's id as the window writes it; what is no id names no chat.
fn chat_id(text: &str) -> Result<ChatId, Error> {
    text.parse().map_err(|_| mayfly_core::Error::ChatMissing.into())
}

/// A message's id as the window writes it; what is no id names no message.
fn item_id(text: &str) -> Result<ItemId, Error> {
    text.parse().map_err(|_| mayfly_core::Error::MessageMissing.into())
}

#[cfg(test)]
mod tests;
