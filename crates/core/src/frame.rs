//! The outer layer of an event: what a relay holds is this, padded and encrypted under a key of the epoch.
//!
//! `content = base64(nonce 12 ‖ AES-256-GCM(K_e, nonce, aad = h ‖ u16be kind, frame))`, where
//! `frame = 1 u8 | seq u32 | del-length u8 (0 or 32) | del | n × (len u32 | MLSMessage) | zeros` to 512, 1024, 2048,
//! 4096, then multiples of 4096 bytes. A length of 0 ends the messages. See docs/wire.md, "Events".

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};
use zeroize::Zeroizing;

use crate::Error;

const VERSION: u8 = 1;
/// The most bytes that one event's frame may have after decryption.
const MAX_FRAME_BYTES: usize = 96 * 1024;
/// The most MLS messages in one frame: a commit and the proposals it refers to.
const MAX_MESSAGES: usize = 32;

/// The key of an epoch's outer layer, from the MLS exporter.
#[derive(Clone, PartialEq, Eq, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
pub struct OuterKey(pub(crate) [u8; 32]);

impl std::fmt::Debug for OuterKey {
    /// Shows nothing.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OuterKey")
    }
}

/// What one event carries.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// How many events this leaf sent before in the epoch: a hint for sorting.
    pub seq: u32,
    /// The throw-away secret that signed the event; whoever has it may have relays delete it.
    pub delete_secret: Option<[u8; 32]>,
    /// The MLS messages, TLS-encoded.
    pub messages: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Frame {
    /// Shows counts alone.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frame").field("messages", &self.messages.len()).finish_non_exhaustive()
    }
}

impl Frame {
    /// The event content for a route `h` and an event kind.
    ///
    /// # Errors
    /// [`Error::MessageTooLong`] if the frame is too large for an event, [`Error::Protocol`] if there is no randomness.
    pub fn seal(&self, key: &OuterKey, route: &[u8; 32], kind: u16) -> Result<String, Error> {
        let refused = Error::Protocol("frame");
        let mut bytes = self.encode()?;
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| refused.clone())?;
        let tag = aead(key)?
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad(route, kind)), &mut bytes)
            .map_err(|_| refused)?;
        let mut sealed = nonce.to_vec();
        sealed.extend_from_slice(&bytes);
        sealed.extend_from_slice(tag.as_ref());
        Ok(STANDARD.encode(sealed))
    }

    /// Opens an event's content.
    ///
    /// # Errors
    /// [`Error::Protocol`] for anything that was not sealed with this key for this route and kind.
    pub fn open(content: &str, key: &OuterKey, route: &[u8; 32], kind: u16) -> Result<Self, Error> {
        let refused = Error::Protocol("frame");
        if content.len() > MAX_FRAME_BYTES * 4 / 3 + 64 {
            return Err(refused);
        }
        let mut sealed = STANDARD.decode(content).map_err(|_| refused.clone())?;
        let (nonce, body) = sealed.split_at_mut_checked(NONCE_LEN).ok_or(refused.clone())?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| refused.clone())?;
        let frame = aead(key)?.open_in_place(nonce, Aad::from(aad(route, kind)), body).map_err(|_| refused)?;
        Self::decode(frame)
    }

    fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.seq.to_be_bytes());
        match &self.delete_secret {
            Some(secret) => {
                bytes.push(32);
                bytes.extend_from_slice(secret);
            }
            None => bytes.push(0),
        }
        for message in &self.messages {
            let length = u32::try_from(message.len()).map_err(|_| Error::MessageTooLong)?;
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(message);
        }
        bytes.resize(padded_bytes(bytes.len()), 0);
        if bytes.len() > MAX_FRAME_BYTES {
            return Err(Error::MessageTooLong);
        }
        Ok(bytes)
    }

    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader(bytes);
        if reader.u8()? != VERSION {
            return Err(Error::Protocol("frame"));
        }
        let seq = reader.u32()?;
        let delete_secret = match reader.u8()? {
            0 => None,
            32 => Some(reader.array::<32>()?),
            _ => return Err(Error::Protocol("frame")),
        };
        let mut messages = Vec::new();
        while reader.0.len() >= 4 {
            let length = reader.u32()? as usize;
            if length == 0 {
                break;
            }
            if messages.len() == MAX_MESSAGES {
                return Err(Error::Protocol("frame"));
            }
            messages.push(reader.take(length)?.to_vec());
        }
        if reader.0.iter().any(|byte| *byte != 0) {
            return Err(Error::Protocol("frame"));
        }
        Ok(Self { seq, delete_secret, messages })
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], Error> {
        let (head, rest) = self.0.split_at_checked(bytes).ok_or(Error::Protocol("frame"))?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.take(N)?.try_into().map_err(|_| Error::Protocol("frame"))
    }

    fn u8(&mut self) -> Result<u8, Error> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_be_bytes)
    }
}

/// The size that a frame of `bytes` is padded to.
fn padded_bytes(bytes: usize) -> usize {
    match bytes {
        0..=512 => 512,
        513..=1024 => 1024,
        1025..=2048 => 2048,
        _ => bytes.next_multiple_of(4096),
    }
}

fn aad(route: &[u8; 32], kind: u16) -> [u8; 34] {
    let mut aad = [0; 34];
    let (head, tail) = aad.split_at_mut(32);
    head.copy_from_slice(route);
    tail.copy_from_slice(&kind.to_be_bytes());
    aad
}

fn aead(key: &OuterKey) -> Result<LessSafeKey, Error> {
    let bytes = Zeroizing::new(key.0);
    UnboundKey::new(&AES_256_GCM, bytes.as_slice()).map(LessSafeKey::new).map_err(|_| Error::Protocol("frame"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use proptest::prelude::*;

    use super::*;

    const KEY: OuterKey = OuterKey([3; 32]);

    fn frames() -> impl Strategy<Value = Frame> {
        let messages = proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..3000), 0..4);
        (any::<u32>(), any::<Option<[u8; 32]>>(), messages).prop_map(|(seq, delete_secret, messages)| Frame {
            seq,
            delete_secret,
            messages,
        })
    }

    proptest! {
        #[test]
        fn what_is_sealed_is_opened_and_only_by_its_key_route_and_kind(frame in frames()) {
            let content = frame.seal(&KEY, &[1; 32], 7420).unwrap();
            prop_assert_eq!(Frame::open(&content, &KEY, &[1; 32], 7420).unwrap(), frame);
            prop_assert!(Frame::open(&content, &OuterKey([4; 32]), &[1; 32], 7420).is_err());
            prop_assert!(Frame::open(&content, &KEY, &[2; 32], 7420).is_err());
            prop_assert!(Frame::open(&content, &KEY, &[1; 32], 27420).is_err());
        }

        #[test]
        fn sizes_come_in_few_classes(bytes in 0_usize..20_000) {
            let frame = Frame { seq: 0, delete_secret: None, messages: vec![vec![9; bytes.max(1)]] };
            let size = frame.encode().unwrap().len();
            prop_assert!(matches!(size, 512 | 1024 | 2048) || size.is_multiple_of(4096));
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), text in ".{0,200}") {
            let _ = Frame::decode(&bytes);
            let _ = Frame::open(&text, &KEY, &[0; 32], 7420);
        }
    }
}
