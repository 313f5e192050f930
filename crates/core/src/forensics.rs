//! For whoever holds a device and all that ever went over the wire: what the real code could still decrypt of it.
//!
//! Behind a cargo feature, and in nothing that is handed out.

use mayfly_vault::{Urgency, Writer};

use crate::{
    Engine, Error, chat,
    frame::Frame,
    mls::{self, Decrypted},
    outbox::MESSAGE_KIND,
};

impl Engine {
    /// What an event says, if any key that this profile still has opens it. Nothing is kept of the try: the ratchet
    /// stands afterwards where it stood.
    pub fn decrypt_event(&self, event: &str) -> Option<Vec<Vec<u8>>> {
        let event: serde_json::Value = serde_json::from_str(event).ok()?;
        let content = event.get("content")?.as_str()?;
        let routes = self.vault().read(chat::routes).ok()?;
        let (chat, frame) = routes.iter().find_map(|route| {
            let frame = Frame::open(content, &route.outer, &route.name, MESSAGE_KIND).ok()?;
            Some((route.chat, frame))
        })?;
        let (say, said) = std::sync::mpsc::channel();
        let decrypt = move |writer: &mut Writer<'_>| {
            let record = chat::load(writer, chat)?;
            for message in &frame.messages {
                if let Ok(Decrypted::Application { bytes, .. }) = mls::decrypt(writer, chat, &record.group_id, message)
                {
                    let _ = say.send(bytes);
                }
            }
            // An error undoes all that the job did.
            Err::<(), Error>(Error::Protocol("looked only"))
        };
        let _ = self.vault().write_blocking(Urgency::User, decrypt);
        let said: Vec<Vec<u8>> = said.iter().collect();
        (!said.is_empty()).then_some(said)
    }

    /// The database's key, for those who attack the files.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn raw_key(&self) -> Result<mayfly_vault::RawKey, Error> {
        Ok(self.store().raw_key()?)
    }

    /// The vault below, for tests that look inside.
    pub fn vault(&self) -> &mayfly_vault::Vault {
        self.store()
    }
}
