//! How chats are arranged on this device: pinned, silent, put away, shut. Nobody else learns of it.

use mayfly_vault::{ChatId, Urgency, Writer};

use crate::{
    Engine, Error, chat,
    view::{Arrangement, ChatView},
};

impl Engine {
    /// Arranges a chat.
    ///
    /// # Errors
    /// [`Error::ChatMissing`].
    pub async fn arrange(&self, chat: ChatId, arrangement: Arrangement) -> Result<ChatView, Error> {
        let arrange = move |writer: &mut Writer<'_>| {
            let mut record = chat::load(writer, chat)?;
            let now_ms = writer.now().0;
            match arrangement {
                Arrangement::Pinned(is_pinned) => record.pinned_ms = is_pinned.then_some(now_ms),
                Arrangement::Muted(until) => {
                    record.muted_until_ms = Some(until.timestamp_millis()).filter(|until| *until > now_ms);
                }
                Arrangement::Archived(is_archived) => {
                    record.archived_ms = is_archived.then_some(now_ms);
                    // What is put away stands above nothing.
                    record.pinned_ms = record.pinned_ms.filter(|_| !is_archived);
                }
                Arrangement::Blocked(is_blocked) => record.is_blocked = is_blocked,
            }
            chat::save(writer, chat, &record)?;
            chat::view(writer, chat, &record)
        };
        let view = self.store().write(Urgency::User, arrange).await?;
        self.tell_chat(view.clone());
        Ok(view)
    }
}

/// Something was said in a chat: it comes back from where it was put away, unless it is to be silent.
pub(crate) fn bring_back(writer: &mut Writer<'_>, chat: ChatId) -> Result<(), Error> {
    let mut record = chat::load(writer, chat)?;
    let is_silent = record.muted_until_ms.is_some_and(|until| until > writer.now().0);
    if record.archived_ms.is_some() && !is_silent {
        record.archived_ms = None;
        chat::save(writer, chat, &record)?;
    }
    Ok(())
}
