//! Contact links: what one person hands to another so that they can talk (docs/wire.md, "Invitations").
//!
//! `mayfly:` and base64url without padding of
//! `ver u8 1 | identity 32 | inbox 32 | token 16 | not_after u64 s | n u8 ≤ 4 × (len u8 | relay) | len u16 | key package |
//! SHA-256(all before)[..4]`. The checksum is no protection: it tells a link that was cut in copying from one that is wrong.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mayfly_vault::{ItemId, Reader, UnixMs, Writer};
use ring::digest::{SHA256, digest};

use crate::{
    Error,
    mls::{self, Identity},
    profile::{check_relays, random},
    store::{self, InvitationRecord, Kind, Secret},
};

const SCHEME: &str = "mayfly:";
const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 4;
/// A link in whole, so that a QR code holds it.
const MAX_LINK_BYTES: usize = 2_048;
/// How long a one-time link can be accepted.
const LIFE_MS: i64 = 7 * 86_400 * 1_000;

/// What stands in a contact link.
#[derive(Clone, PartialEq, Eq)]
pub struct Link {
    /// The inviter's Ed25519 identity key.
    pub identity: [u8; 32],
    /// The link's own inbox key (BIP-340, x only).
    pub inbox: [u8; 32],
    /// Proves to the inviter that the answer is to this link.
    pub token: [u8; 16],
    /// Unix seconds after which nobody accepts it.
    pub not_after_s: u64,
    /// Where the inviter looks for answers.
    pub relays: Vec<String>,
    /// The inviter's one-time key package, TLS-encoded.
    pub key_package: Vec<u8>,
}

impl std::fmt::Debug for Link {
    /// Shows nothing: whoever reads a link can use it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link")
    }
}

impl Link {
    /// The link as text.
    ///
    /// # Errors
    /// [`Error::RelayInvalid`] if its relays' addresses are too long for 2 KB.
    pub fn encode(&self) -> Result<String, Error> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.identity);
        bytes.extend_from_slice(&self.inbox);
        bytes.extend_from_slice(&self.token);
        bytes.extend_from_slice(&self.not_after_s.to_be_bytes());
        bytes.push(u8::try_from(self.relays.len()).map_err(|_| Error::RelayInvalid)?);
        for relay in &self.relays {
            bytes.push(u8::try_from(relay.len()).map_err(|_| Error::RelayInvalid)?);
            bytes.extend_from_slice(relay.as_bytes());
        }
        let length = u16::try_from(self.key_package.len()).map_err(|_| Error::Protocol("key_package"))?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&self.key_package);
        let checksum = digest(&SHA256, &bytes);
        bytes.extend(checksum.as_ref().iter().take(CHECKSUM_BYTES));
        let link = format!("{SCHEME}{}", URL_SAFE_NO_PAD.encode(bytes));
        if link.len() > MAX_LINK_BYTES { Err(Error::RelayInvalid) } else { Ok(link) }
    }

    /// Reads a link that a person pasted; white space anywhere in it is forgiven.
    ///
    /// # Errors
    /// [`Error::InvitationInvalid`] if it is no link, a cut one, or of a version that is not known.
    pub fn decode(text: &str) -> Result<Self, Error> {
        let refused = Error::InvitationInvalid;
        let text: String = text.chars().filter(|c| !c.is_whitespace()).take(2 * MAX_LINK_BYTES).collect();
        let text = text.strip_prefix(SCHEME).ok_or(refused.clone())?;
        if text.len() > MAX_LINK_BYTES {
            return Err(refused);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refused.clone())?;
        let body_bytes = bytes.len().checked_sub(CHECKSUM_BYTES).ok_or(refused.clone())?;
        let (body, checksum) = bytes.split_at_checked(body_bytes).ok_or(refused.clone())?;
        if digest(&SHA256, body).as_ref().get(..CHECKSUM_BYTES) != Some(checksum) {
            return Err(refused);
        }
        Self::decode_body(body).ok_or(refused)
    }

    fn decode_body(mut rest: &[u8]) -> Option<Self> {
        let mut take = |bytes: usize| -> Option<&[u8]> {
            let (head, tail) = rest.split_at_checked(bytes)?;
            rest = tail;
            Some(head)
        };
        if take(1)? != [VERSION] {
            return None;
        }
        let identity = take(32)?.try_into().ok()?;
        let inbox = take(32)?.try_into().ok()?;
        let token = take(16)?.try_into().ok()?;
        let not_after_s = u64::from_be_bytes(take(8)?.try_into().ok()?);
        let [count] = *take(1)? else { return None };
        let mut relays = Vec::new();
        for _ in 0..count {
            let [length] = *take(1)? else { return None };
            relays.push(std::str::from_utf8(take(length.into())?).ok()?.to_owned());
        }
        let length = u16::from_be_bytes(take(2)?.try_into().ok()?);
        let key_package = take(length.into())?.to_vec();
        let relays = check_relays(&relays).ok()?;
        (rest.is_empty() && !relays.is_empty()).then_some(Self {
            identity,
            inbox,
            token,
            not_after_s,
            relays,
            key_package,
        })
    }
}

/// Makes a one-time link and keeps what is needed to recognise its answer.
pub(crate) fn create(
    writer: &mut Writer<'_>,
    identity: &Identity,
    relays: &[String],
) -> Result<(Link, InvitationRecord), Error> {
    if relays.is_empty() {
        return Err(Error::RelayRequired);
    }
    let inbox = nostr::Keys::generate();
    let not_after_ms = writer.now().0 + LIFE_MS;
    let record = InvitationRecord {
        token: random()?,
        inbox: Secret(inbox.secret_key().to_secret_bytes()),
        not_after_ms,
        relays: relays.to_vec(),
    };
    let link = Link {
        identity: identity.public,
        inbox: inbox.public_key().to_bytes(),
        token: record.token,
        not_after_s: u64::try_from(not_after_ms / 1_000).unwrap_or_default(),
        relays: relays.to_vec(),
        key_package: mls::key_package(writer, identity)?,
    };
    let id = id(writer, &link.inbox)?;
    let limit = Some(UnixMs(not_after_ms));
    let body = store::encode(&record)?;
    writer.insert(&mayfly_vault::NewItem {
        id,
        chat: None,
        kind: Kind::Invitation.number(),
        life: mayfly_vault::Life::Held { limit },
        body: &body,
    })?;
    Ok((link, record))
}

/// Where the invitation with this inbox key lies.
pub(crate) fn id(reader: &Reader<'_>, inbox: &[u8; 32]) -> Result<ItemId, Error> {
    Ok(reader.derive_id(None, &[b"invitation".as_slice(), inbox].concat())?)
}

/// The invitation that an answer to this inbox key belongs to.
pub(crate) fn load(reader: &Reader<'_>, inbox: &[u8; 32]) -> Result<Option<InvitationRecord>, Error> {
    store::load(reader, id(reader, inbox)?)
}

/// All invitations that can still be accepted.
pub(crate) fn all(reader: &Reader<'_>) -> Result<Vec<InvitationRecord>, Error> {
    reader.all(Kind::Invitation.number())?.iter().map(store::decode).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use proptest::prelude::*;

    use super::*;

    fn link() -> Link {
        Link {
            identity: [1; 32],
            inbox: [2; 32],
            token: [3; 16],
            not_after_s: 1_800_000_000,
            relays: vec!["wss://relay.example.org".into(), "ws://127.0.0.1:7000".into()],
            key_package: vec![9; 320],
        }
    }

    #[test]
    fn a_link_comes_back_whole_even_when_it_was_broken_over_lines() {
        let text = link().encode().unwrap();
        assert!(text.len() <= MAX_LINK_BYTES);
        let broken = format!(" {}\n {}", &text[..50], &text[50..]);
        assert_eq!(Link::decode(&broken).unwrap(), link());
    }

    #[test]
    fn a_link_that_was_cut_anywhere_is_refused() {
        let text = link().encode().unwrap();
        for end in 0..text.len() {
            assert!(Link::decode(&text[..end]).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_decoder_panic(text in ".{0,300}", bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Link::decode(&text);
            let _ = Link::decode(&format!("{SCHEME}{text}"));
            let _ = Link::decode_body(&bytes);
        }
    }
}
