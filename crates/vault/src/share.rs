//! The shares that a root is made of, and what the passphrase becomes.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use unicode_normalization::UnicodeNormalization;
use zeroize::{Zeroize, Zeroizing};

use crate::Error;
use crate::cipher::{Key, LABEL, expand, extract, mac, random};

/// Bits of the header's `shares` byte.
pub(crate) mod bit {
    pub(crate) const PASS: u8 = 1;
    pub(crate) const KEYRING: u8 = 2;
    pub(crate) const TPM: u8 = 4;
    pub(crate) const SLOT: u8 = 8;
    pub(crate) const REMOTE: u8 = 16;
    pub(crate) const ALL: u8 = PASS | KEYRING | TPM | SLOT | REMOTE;
}

/// What a person types to open the vault; zeroized when dropped, silent in `Debug`.
///
/// Kept in Unicode's NFKC form, so that the same word opens on another keyboard or system.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl From<String> for Passphrase {
    fn from(mut typed: String) -> Self {
        // NFKC expands one character to at most 18; a fixed room keeps the string from being moved and left behind.
        let mut normal = Zeroizing::new(String::with_capacity(typed.len().saturating_mul(18)));
        normal.extend(typed.nfkc());
        typed.zeroize();
        Self(normal)
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// What Argon2id costs: memory in KiB, passes, lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) m_kib: u32,
    pub(crate) t: u32,
    pub(crate) p: u32,
}

impl Cost {
    /// About 0.4 s on a laptop.
    pub(crate) const DEFAULT: Cost = Cost { m_kib: 64 * 1024, t: 3, p: 1 };
    /// Stands in the header where there is no passphrase.
    pub(crate) const NONE: Cost = Cost { m_kib: 0, t: 0, p: 0 };

    /// Whether it is within what the format allows: dear enough to matter, cheap enough to ever end.
    pub(crate) fn is_allowed(self) -> bool {
        (64 * 1024..=1024 * 1024).contains(&self.m_kib) && (3..=16).contains(&self.t) && (1..=4).contains(&self.p)
    }
}

impl Passphrase {
    /// The `pass` share: Argon2id version 1.3 (RFC 9106).
    pub(crate) fn share(&self, salt: &[u8; 16], cost: Cost) -> Result<Key, Error> {
        let params = Params::new(cost.m_kib, cost.t, cost.p, Some(32)).map_err(|_| Error::Locked)?;
        let mut out = Key::ZERO;
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(self.0.as_bytes(), salt, &mut out.0)
            .map_err(|_| Error::Locked)?;
        Ok(out)
    }
}

/// What a passphrase became, and how.
#[derive(Clone, Debug)]
pub(crate) struct Derived {
    pub(crate) salt: [u8; 16],
    pub(crate) cost: Cost,
    pub(crate) share: Key,
}

impl Derived {
    /// A passphrase under a salt of its own.
    pub(crate) fn fresh(pass: &Passphrase) -> Result<Self, Error> {
        let (salt, cost) = (random()?, Cost::DEFAULT);
        Ok(Self { salt, cost, share: pass.share(&salt, cost)? })
    }
}

/// The shares of one root; an absent one counts as empty.
#[derive(Debug, Default)]
pub(crate) struct Shares<'a> {
    pub(crate) pass: Option<&'a Key>,
    pub(crate) keyring: Option<&'a Key>,
    pub(crate) tpm: Option<&'a Key>,
    pub(crate) slot: Option<&'a Key>,
    pub(crate) remote: Option<&'a Key>,
}

impl Shares<'_> {
    /// The root of an epoch: whoever misses the value of a single share of the time has nothing.
    pub(crate) fn root(&self, store_id: &[u8; 16]) -> Key {
        let mut secret = Zeroizing::new(Vec::with_capacity(5 * 36));
        for share in [self.pass, self.keyring, self.tpm, self.slot, self.remote] {
            let bytes: &[u8] = share.map_or(&[], |key| &key.0);
            secret.extend(u32::try_from(bytes.len()).unwrap_or(0).to_be_bytes());
            secret.extend_from_slice(bytes);
        }
        extract(&[LABEL, b"root", store_id], &secret)
    }
}

/// The key that the state of epoch `e` is sealed under.
pub(crate) fn state_key(root: &Key, store_id: &[u8; 16], e: u64) -> Key {
    expand(root, &[LABEL, b"state", store_id, &e.to_be_bytes()])
}

/// What the header holds where a second passphrase means "destroy everything".
pub(crate) fn duress_mark(share: &Key, store_id: &[u8; 16]) -> Key {
    mac(&share.0, &[LABEL, b"duress", store_id])
}
