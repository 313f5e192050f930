//! The bridge between the page and the program, sealed (docs/bridge.md).
//!
//! What crosses it goes through the platform's web engine, which copies it more than once and gives the memory back as it
//! is. Sealed at both ends, words stand in clear in memory of ours alone, which is wiped, and in the page's own process,
//! which ends when the profile is locked.

use std::sync::{Arc, Mutex, PoisonError};

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral},
    hkdf::{HKDF_SHA256, Prk, Salt},
    rand::{SecureRandom, SystemRandom},
};
use zeroize::Zeroizing;

use crate::error::Error;

/// What is under the key of each direction.
const TO_PROGRAM: &[u8] = b"mayfly/v1/bridge to program";
const TO_PAGE: &[u8] = b"mayfly/v1/bridge to page";

/// The bridge, to the page that greeted last.
#[derive(Default)]
pub struct Bridge {
    session: Mutex<Option<Arc<Session>>>,
}

/// The keys of one page. They go with it.
pub struct Session {
    to_program: LessSafeKey,
    to_page: LessSafeKey,
}

impl std::fmt::Debug for Bridge {
    /// Shows nothing.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bridge")
    }
}

impl Bridge {
    /// Agrees on keys with a page, by its public key (P-256, uncompressed, 65 bytes); gives ours. The page before is cut off.
    ///
    /// # Errors
    /// [`Error::Bridge`] for what is no public key.
    pub fn greet(&self, page: &[u8]) -> Result<Vec<u8>, Error> {
        let random = SystemRandom::new();
        let own = EphemeralPrivateKey::generate(&ECDH_P256, &random).map_err(|_| Error::Bridge)?;
        let program = own.compute_public_key().map_err(|_| Error::Bridge)?.as_ref().to_vec();
        let session = agree_ephemeral(own, &UnparsedPublicKey::new(&ECDH_P256, page), |secret| {
            let root = Salt::new(HKDF_SHA256, &[]).extract(secret);
            let key = |label| key(&root, &[label, page, &program]);
            Some(Session { to_program: key(TO_PROGRAM)?, to_page: key(TO_PAGE)? })
        });
        let session = session.ok().flatten().ok_or(Error::Bridge)?;
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(session));
        Ok(program)
    }

    /// The keys of the page that is there.
    ///
    /// # Errors
    /// [`Error::Bridge`] before any page has greeted.
    pub fn session(&self) -> Result<Arc<Session>, Error> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or(Error::Bridge)
    }
}

fn key(root: &Prk, info: &[&[u8]]) -> Option<LessSafeKey> {
    let okm = root.expand(info, &AES_256_GCM).ok()?;
    Some(LessSafeKey::new(UnboundKey::from(okm)))
}

impl Session {
    /// Opens what the page has sealed: a nonce of 12 bytes, and AES-256-GCM's ciphertext and tag.
    ///
    /// # Errors
    /// [`Error::Bridge`] for anything else.
    pub fn open(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(Error::Bridge)?;
        let mut body = Zeroizing::new(body.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.to_program.open_in_place(nonce, Aad::empty(), &mut body).map_err(|_| Error::Bridge)?.len();
        body.truncate(length);
        Ok(body)
    }

    /// Seals what is for the page.
    ///
    /// # Errors
    /// [`Error::Bridge`] where the system has no random numbers.
    pub fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| Error::Bridge)?;
        let mut body = Zeroizing::new(plain.to_vec());
        let tag = self
            .to_page
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut body)
            .map_err(|_| Error::Bridge)?;
        Ok([&nonce[..], &body, tag.as_ref()].concat())
    }
}
