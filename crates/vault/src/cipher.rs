//! The primitives everything else is made of: HMAC-SHA-256, HKDF, the two AEADs and random bytes, all from ring.

use std::fmt;

use ring::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::Error;

/// What every derivation and every additional data begins with.
pub(crate) const LABEL: &[u8] = b"mayfly/v1/";
/// What an AEAD adds to the plaintext.
pub(crate) const SEAL_BYTES: usize = 16;

/// 32 secret bytes; zeroized when dropped, silent in `Debug`.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Key(pub(crate) [u8; 32]);

impl Key {
    pub(crate) const ZERO: Key = Key([0; 32]);

    pub(crate) fn random() -> Result<Self, Error> {
        Ok(Self(random()?))
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.0 == [0; 32]
    }

    /// Whether the other is the same, in a time that does not tell how much of it agrees.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Which AEAD a store or a blob uses; chosen once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alg {
    Aes256Gcm,
    ChaCha20Poly1305,
}

impl Alg {
    /// The faster of the two on this machine.
    pub(crate) fn for_this_cpu() -> Self {
        #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
        let has_aes = std::arch::is_x86_feature_detected!("aes");
        #[cfg(target_arch = "aarch64")]
        let has_aes = std::arch::is_aarch64_feature_detected!("aes");
        #[cfg(not(any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64")))]
        let has_aes = false;
        if has_aes { Self::Aes256Gcm } else { Self::ChaCha20Poly1305 }
    }

    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Aes256Gcm),
            2 => Some(Self::ChaCha20Poly1305),
            _ => None,
        }
    }

    pub(crate) fn byte(self) -> u8 {
        match self {
            Self::Aes256Gcm => 1,
            Self::ChaCha20Poly1305 => 2,
        }
    }

    fn key(self, key: &Key) -> Option<LessSafeKey> {
        let algorithm = match self {
            Self::Aes256Gcm => &aead::AES_256_GCM,
            Self::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
        };
        UnboundKey::new(algorithm, &key.0).ok().map(LessSafeKey::new)
    }

    /// Seals `data` in place and appends the tag.
    pub(crate) fn seal(self, key: &Key, nonce: [u8; 12], aad: &[u8], data: &mut Vec<u8>) -> Result<(), Error> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let key = self.key(key).ok_or(Error::TooLarge)?;
        // Room for the tag first, so that no plaintext is left behind by a reallocation.
        data.reserve_exact(SEAL_BYTES);
        key.seal_in_place_append_tag(nonce, Aad::from(aad), data).map_err(|_| Error::TooLarge)
    }

    /// The plaintext, or nothing where key, nonce, data or additional data differ from what was sealed.
    pub(crate) fn open(self, key: &Key, nonce: [u8; 12], aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut data = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(nonce);
        let length = self.key(key)?.open_in_place(nonce, Aad::from(aad), &mut data).ok()?.len();
        data.truncate(length);
        Some(data)
    }
}

/// HMAC-SHA-256 over the parts, one after the other.
pub(crate) fn mac(key: &[u8], parts: &[&[u8]]) -> Key {
    Mac::new(key).of(parts)
}

/// A key of HMAC-SHA-256, made ready once for several messages: half of the work of a short one.
pub(crate) struct Mac(hmac::Key);

impl Mac {
    pub(crate) fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The HMAC over the parts, one after the other.
    pub(crate) fn of(&self, parts: &[&[u8]]) -> Key {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
        }
        let tag = context.sign();
        // An HMAC-SHA-256 is never shorter.
        tag.as_ref().first_chunk().map_or(Key::ZERO, |bytes| Key(*bytes))
    }
}

/// HKDF-Extract (RFC 5869 §2.2), which is one HMAC keyed by the salt.
pub(crate) fn extract(salt: &[&[u8]], secret: &[u8]) -> Key {
    mac(&salt.concat(), &[secret])
}

/// HKDF-Expand (RFC 5869 §2.3) to one block of 32 bytes.
pub(crate) fn expand(key: &Key, info: &[&[u8]]) -> Key {
    let mut parts = info.to_vec();
    parts.push(&[1]);
    mac(&key.0, &parts)
}

/// Fresh random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::Randomness)?;
    Ok(bytes)
}
