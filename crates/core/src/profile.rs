//! The profile: a name, an identity, and the relays its invitations lead through.

use mayfly_vault::{ItemId, Reader, Writer};
use nostr::{Keys, RelayUrl, SecretKey};
use ring::rand::{SecureRandom, SystemRandom};

use crate::{
    Error,
    expiry::DEFAULT_TIMER,
    mls::Identity,
    store::{self, Kind, ProfileRecord, Secret},
};

const MAX_NAME_CHARS: usize = 64;
/// The most relays that an invitation names.
const MAX_RELAYS: usize = 4;

/// 10 seconds to a day.
const LOCK_AFTER_S: std::ops::RangeInclusive<u32> = 10..=86_400;

/// What a profile is called that nobody named.
pub(crate) const NAMELESS: &str = "Me";

/// Where the profile's record lies.
fn id(reader: &Reader<'_>) -> Result<ItemId, Error> {
    Ok(reader.derive_id(None, b"profile")?)
}

/// A new profile's record, saved.
pub(crate) fn create(writer: &mut Writer<'_>, name: &str, relays: &[String]) -> Result<ProfileRecord, Error> {
    let inbox = Keys::generate();
    let (identity, signer) = Identity::generate(inbox.public_key().to_bytes())?;
    let record = ProfileRecord {
        name: check_name(name)?,
        signer,
        identity: identity.public,
        inbox: Secret(inbox.secret_key().to_secret_bytes()),
        relays: check_relays(relays)?,
        default_timer: DEFAULT_TIMER,
        lock_after_s: store::fifteen_minutes(),
    };
    save(writer, &record)?;
    Ok(record)
}

/// The record of the open profile.
pub(crate) fn load(reader: &Reader<'_>) -> Result<ProfileRecord, Error> {
    store::load(reader, id(reader)?)?.ok_or(Error::ProfileMissing)
}

/// Saves the record.
pub(crate) fn save(writer: &mut Writer<'_>, record: &ProfileRecord) -> Result<(), Error> {
    let id = id(writer)?;
    store::put(writer, id, None, Kind::Profile, record)
}

/// The profile's inbox key pair: its address among the members of its groups.
pub(crate) fn inbox_keys(record: &ProfileRecord) -> Result<Keys, Error> {
    SecretKey::from_slice(&record.inbox.0).map(Keys::new).map_err(|_| Error::Protocol("identity"))
}

/// A name without the white space around it.
///
/// # Errors
/// [`Error::NameInvalid`] if nothing is left, or too much, or it holds control characters.
pub(crate) fn check_name(name: &str) -> Result<String, Error> {
    let name = name.trim();
    let is_good = !name.is_empty() && name.chars().count() <= MAX_NAME_CHARS && !name.chars().any(char::is_control);
    if is_good { Ok(name.to_owned()) } else { Err(Error::NameInvalid) }
}

/// Relay addresses in their normal form, each once.
///
/// # Errors
/// [`Error::RelayInvalid`] for what is no relay's address, or for more than four.
pub(crate) fn check_relays(relays: &[String]) -> Result<Vec<String>, Error> {
    let mut good = Vec::new();
    for relay in relays {
        let url = RelayUrl::parse(relay.trim()).map_err(|_| Error::RelayInvalid)?.to_string();
        if !good.contains(&url) {
            good.push(url);
        }
    }
    if good.len() > MAX_RELAYS { Err(Error::RelayInvalid) } else { Ok(good) }
}

/// The seconds without a hand at it after which the window locks, as they are kept: 0 is never.
///
/// # Errors
/// [`Error::LockAfterInvalid`].
pub(crate) fn check_lock_after(seconds: Option<u32>) -> Result<u32, Error> {
    match seconds {
        None => Ok(0),
        Some(seconds) if LOCK_AFTER_S.contains(&seconds) => Ok(seconds),
        Some(_) => Err(Error::LockAfterInvalid),
    }
}

/// Whether a relay can be reached from this computer alone.
pub(crate) fn is_local(relay: &str) -> bool {
    let Ok(url) = RelayUrl::parse(relay) else { return false };
    let host = url.host().map(|host| host.to_string()).unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Random bytes.
///
/// # Errors
/// [`Error::Protocol`] if the system has none.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::Protocol("random"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_relays_are_known_as_such() {
        for local in ["ws://127.0.0.1:7000", "ws://localhost:1", "ws://[::1]:8080"] {
            assert!(is_local(local), "{local}");
        }
        for far in ["wss://relay.example.org", "ws://10.0.0.1:80"] {
            assert!(!is_local(far), "{far}");
        }
    }

    #[test]
    fn names_of_nothing_of_control_characters_and_of_novels_are_refused() {
        assert!(check_name("  ").is_err());
        assert!(check_name("a\u{7}b").is_err());
        assert!(check_name(&"x".repeat(65)).is_err());
        assert_eq!(check_name(" Mara Keller ").ok().as_deref(), Some("Mara Keller"));
    }
}
