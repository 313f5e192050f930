//! Wraps and bodies: how one item is sealed, and to what it is bound.

use zeroize::Zeroizing;

use crate::cipher::{Alg, Key, LABEL, SEAL_BYTES, expand, mac, random};
use crate::sabotage::{Sabotage, is_on};
use crate::tag::Tag;
use crate::{ChatId, Error, ItemId};

/// nonce 12, DEK 32, tag 16.
pub(crate) const WRAP_BYTES: usize = 60;
/// Bodies grow in steps of this, so that lengths tell less.
const PADDING: usize = 64;
/// The largest padded body.
const MAX_PADDED: usize = 1 << 24;

/// What a wrap and a body are bound to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity<'a> {
    pub(crate) alg: Alg,
    pub(crate) store_id: &'a [u8; 16],
    pub(crate) item_id: ItemId,
    pub(crate) chat_id: Option<ChatId>,
    pub(crate) kind: u8,
}

/// The leaf that a wrap hangs from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) tag: Tag,
    pub(crate) generation: u32,
}

/// Why a body does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadBody {
    Forged,
    Padding,
}

impl Identity<'_> {
    fn wrap_aad(&self, leaf: Leaf) -> Vec<u8> {
        if is_on(Sabotage::NoAad) {
            return Vec::new();
        }
        let (id, tag, generation) = (self.item_id.as_bytes(), leaf.tag.0.to_be_bytes(), leaf.generation.to_be_bytes());
        [LABEL, b"wrap", self.store_id, id, &[self.kind], &tag, &generation].concat()
    }

    fn body_aad(&self) -> Vec<u8> {
        if is_on(Sabotage::NoAad) {
            return Vec::new();
        }
        let chat = self.chat_id.map_or([0; 16], |chat| *chat.as_bytes());
        [LABEL, b"body", self.store_id, self.item_id.as_bytes(), &chat, &[self.kind]].concat()
    }

    /// Seals the item's key under its leaf and its chat.
    pub(crate) fn wrap(
        &self,
        leaf: Leaf,
        leaf_key: &Key,
        chat_key: &Key,
        dek: &Key,
    ) -> Result<[u8; WRAP_BYTES], Error> {
        self.wrap_with(random()?, leaf, leaf_key, chat_key, dek)
    }

    fn wrap_with(
        &self,
        nonce: [u8; 12],
        leaf: Leaf,
        leaf_key: &Key,
        chat_key: &Key,
        dek: &Key,
    ) -> Result<[u8; WRAP_BYTES], Error> {
        let mut sealed = Vec::with_capacity(WRAP_BYTES);
        sealed.extend_from_slice(&dek.0);
        self.alg.seal(&wrap_key(leaf_key, chat_key), nonce, &self.wrap_aad(leaf), &mut sealed)?;
        [nonce.as_slice(), &sealed].concat().try_into().map_err(|_| Error::TooLarge)
    }

    /// The item's key, or nothing where any of the inputs is not the one it was wrapped with.
    pub(crate) fn unwrap(&self, leaf: Leaf, leaf_key: &Key, chat_key: &Key, wrap: &[u8]) -> Option<Key> {
        let wrap: &[u8; WRAP_BYTES] = wrap.try_into().ok()?;
        let (nonce, sealed) = wrap.split_first_chunk()?;
        let dek = self.alg.open(&wrap_key(leaf_key, chat_key), *nonce, &self.wrap_aad(leaf), sealed)?;
        dek.first_chunk().map(|bytes| Key(*bytes))
    }

    /// Seals the body under a DEK that is used for this one body only: hence the fixed nonce.
    ///
    /// # Errors
    /// [`Error::TooLarge`] above 16 MiB.
    pub(crate) fn seal_body(&self, dek: &Key, data: &[u8]) -> Result<Vec<u8>, Error> {
        let length = data.len().checked_add(4).map(|n| n.next_multiple_of(PADDING)).ok_or(Error::TooLarge)?;
        if length > MAX_PADDED {
            return Err(Error::TooLarge);
        }
        let mut padded = Vec::with_capacity(length + SEAL_BYTES);
        padded.extend(u32::try_from(data.len()).map_err(|_| Error::TooLarge)?.to_be_bytes());
        padded.extend_from_slice(data);
        padded.resize(length, 0);
        self.alg.seal(&body_key(dek), [0; 12], &self.body_aad(), &mut padded)?;
        Ok(padded)
    }

    /// Opens a body.
    pub(crate) fn open_body(&self, dek: &Key, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, BadBody> {
        let mut padded = self.alg.open(&body_key(dek), [0; 12], &self.body_aad(), sealed).ok_or(BadBody::Forged)?;
        let (length, rest) = padded.split_first_chunk().ok_or(BadBody::Padding)?;
        let length = u32::from_be_bytes(*length) as usize;
        let zeros = rest.get(length..).ok_or(BadBody::Padding)?;
        let is_tight = padded.len() == (length + 4).next_multiple_of(PADDING) && padded.len() <= MAX_PADDED;
        if !is_tight || zeros.iter().any(|byte| *byte != 0) {
            return Err(BadBody::Padding);
        }
        padded.copy_within(4..4 + length, 0);
        padded.truncate(length);
        Ok(padded)
    }
}

/// The wrap's AEAD key: gone with the leaf, and gone with the chat.
fn wrap_key(leaf_key: &Key, chat_key: &Key) -> Key {
    mac(&leaf_key.0, &[LABEL, b"chat", &chat_key.0])
}

fn body_key(dek: &Key) -> Key {
    expand(dek, &[LABEL, b"body"])
}

#[cfg(test)]
impl Identity<'_> {
    /// A wrap under a nonce of the test's choice.
    pub(crate) fn wrap_for_test(
        &self,
        nonce: [u8; 12],
        leaf: Leaf,
        leaf_key: &Key,
        chat_key: &Key,
        dek: &Key,
    ) -> Result<[u8; WRAP_BYTES], Error> {
        self.wrap_with(nonce, leaf, leaf_key, chat_key, dek)
    }
}
