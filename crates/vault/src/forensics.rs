//! For whoever attacks the files: everything that the real code could still derive from what was found.
//!
//! Behind a cargo feature, and in nothing that is handed out.

use zeroize::Zeroizing;

use crate::cipher::Key;
use crate::keyring::Entry;
use crate::opening::ShareCopy;
use crate::seal::{Identity, Leaf};
use crate::share::{Shares, bit};
use crate::state::{Header, PAGE, State, open_record};
use crate::tag::Tag;
use crate::{ChatId, ItemId, Passphrase, UnixMs};

/// The key of the database file itself. Silent in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct RawKey {
    /// The cipher's raw key.
    pub key: [u8; 32],
    /// The salt in the file's first bytes.
    pub salt: [u8; 16],
}

impl std::fmt::Debug for RawKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RawKey(..)")
    }
}

/// A state that opened.
#[derive(Debug)]
pub struct Dump {
    header: Header,
    state: State,
}

/// What an attacker has besides files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// The passphrase.
    pub pass: Option<&'a Passphrase>,
    /// The entry in the keyring, as it stands there.
    pub keyring: Option<&'a str>,
}

/// Tries every state file under every share found, whatever epoch either claims.
pub fn attack(states: &[&[u8]], shares: &[&[u8]], pass: Option<&Passphrase>) -> Vec<Dump> {
    attack_knowing(states, shares, Known { pass, keyring: None })
}

/// [`attack`] by somebody who knows more.
pub fn attack_knowing(states: &[&[u8]], shares: &[&[u8]], known: Known<'_>) -> Vec<Dump> {
    let entry = known.keyring.and_then(Entry::decode);
    let slots: Vec<Key> = shares
        .iter()
        .flat_map(|share| share.chunks(PAGE))
        .filter_map(|copy| match ShareCopy::decode(copy) {
            ShareCopy::Whole(slot) => Some(slot.key),
            ShareCopy::Broken | ShareCopy::Panic => None,
        })
        .collect();
    let mut dumps = Vec::new();
    for file in states {
        let Ok(header) = Header::decode(file) else { continue };
        let pass = match known.pass {
            Some(pass) if header.shares & bit::PASS != 0 => pass.share(&header.salt, header.cost).ok(),
            _ => None,
        };
        let keyring = entry.as_ref().filter(|_| header.shares & bit::KEYRING != 0).map(|entry| &entry.key);
        for slot in &slots {
            let shares = Shares { pass: pass.as_ref(), keyring, slot: Some(slot), ..Shares::default() };
            if let Ok(state) = open_record(file, &header, &shares.root(&header.store_id)) {
                dumps.push(Dump { header: header.clone(), state });
            }
        }
    }
    dumps
}

impl Dump {
    /// The epoch of this state.
    pub fn epoch(&self) -> u64 {
        self.header.e
    }

    /// The mark of time in it.
    pub fn mark(&self) -> UnixMs {
        self.state.mark.at
    }

    /// The key of the database.
    pub fn database_key(&self) -> [u8; 32] {
        self.state.k_db.key().0
    }

    /// The generations of key trees in it.
    pub fn generations(&self) -> Vec<u32> {
        self.state.trees.iter().map(crate::tree::Frontier::generation).collect()
    }

    /// The key of a leaf, if it can still be derived.
    pub fn leaf(&self, tau: u64, generation: u32) -> Option<[u8; 32]> {
        let tree = self.state.trees.iter().find(|tree| tree.generation() == generation)?;
        tree.eval(Tag(tau)).map(|key| key.0)
    }

    /// Opens the wrap of a row.
    pub fn unwrap(&self, row: &FoundRow<'_>, chat_key: &[u8; 32]) -> Option<[u8; 32]> {
        let leaf_key = Key(self.leaf(row.tau, row.generation)?);
        let leaf = Leaf { tag: Tag(row.tau), generation: row.generation };
        self.identity(row).unwrap(leaf, &leaf_key, &Key(*chat_key), row.wrap).map(|dek| dek.0)
    }

    /// Opens the body of a row.
    pub fn open_body(&self, row: &FoundRow<'_>, dek: &[u8; 32]) -> Option<Zeroizing<Vec<u8>>> {
        self.identity(row).open_body(&Key(*dek), row.body).ok()
    }

    fn identity(&self, row: &FoundRow<'_>) -> Identity<'_> {
        let Header { alg, store_id, .. } = &self.header;
        Identity { alg: *alg, store_id, item_id: row.id, chat_id: row.chat, kind: row.kind }
    }
}

/// A row of the database as an attacker finds it.
#[derive(Clone, Copy)]
pub struct FoundRow<'a> {
    /// Its id.
    pub id: ItemId,
    /// Its chat.
    pub chat: Option<ChatId>,
    /// Its kind.
    pub kind: u8,
    /// Its tag.
    pub tau: u64,
    /// The generation of its tree.
    pub generation: u32,
    /// Its wrapped key.
    pub wrap: &'a [u8],
    /// Its sealed body.
    pub body: &'a [u8],
}

impl std::fmt::Debug for FoundRow<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FoundRow {{ id: {:?}, .. }}", self.id)
    }
}
