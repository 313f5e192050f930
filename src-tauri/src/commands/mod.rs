//! What the window can ask for: thin doors to the engine, each granted to the one window by name.

mod chats;
mod invitations;
mod messages;
mod profile;
mod security;

use mayfly_core::{ChatId, ItemId};
use tauri::{Runtime, ipc::Invoke};

use crate::error::Error;

/// All commands. `build.rs` and `capabilities/main.json` list the same names.
pub fn handler<R: Runtime>() -> impl Fn(Invoke<R>) -> bool + Send + Sync + 'static {
    tauri::generate_handler![
        profile::profile_state,
        profile::create_profile,
        profile::unlock,
        profile::profile,
        profile::set_relays,
        profile::status,
        profile::watch,
        security::active,
        security::lock,
        security::panic,
        security::security,
        security::set_passphrase,
        security::change_passphrase,
        security::remove_passphrase,
        security::set_duress,
        security::use_keyring,
        security::use_tpm,
        security::set_erase_after,
        security::set_lock_after,
        invitations::create_invitation,
        invitations::accept_invitation,
        chats::chats,
        chats::set_timer,
        chats::answer_timer,
        messages::messages,
        messages::send_message,
        messages::mark_read,
        messages::wipe_message,
    ]
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
