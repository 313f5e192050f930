//! The only door to OpenMLS (RFC 9420): identities, key packages, groups of two, encrypting and decrypting.
//!
//! Every call works inside a write of the vault, so that the ratchet and our own rows commit together or not at all.

mod storage;

use mayfly_vault::{ChatId, Writer};
use openmls::prelude::{
    BasicCredential, Capabilities, Ciphersuite, CredentialWithKey, GroupId, KeyPackage, KeyPackageIn, Lifetime,
    MlsGroup, MlsGroupCreateConfig, MlsGroupJoinConfig, MlsMessageBodyIn, MlsMessageIn, OpenMlsProvider,
    PURE_CIPHERTEXT_WIRE_FORMAT_POLICY, ProcessMessageError, ProcessedMessageContent, ProtocolMessage, ProtocolVersion,
    RatchetTreeIn, SenderRatchetConfiguration, StagedWelcome,
    tls_codec::{Deserialize as _, Serialize as _},
};
use openmls::{
    framing::errors::{MessageDecryptionError, SecretTreeError},
    group::ValidationError,
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::RustCrypto;

use self::storage::MlsStore;
use crate::{Error, frame::OuterKey};

const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;
/// A leaf's credential is this version and the 32 bytes of the member's inbox key.
const CREDENTIAL_VERSION: u8 = 1;
/// How many late and how many missing messages a ratchet tolerates.
const OUT_OF_ORDER: u32 = 50;
const MAX_FORWARD: u32 = 10_000;
/// A key package lives as long as the longest link, and a day for clocks that differ.
const KEY_PACKAGE_LIFE_S: u64 = 8 * 86_400;

/// The secret half of an identity, as the profile keeps it.
pub(crate) struct Identity {
    signer: SignatureKeyPair,
    /// The Ed25519 public key.
    pub public: [u8; 32],
    /// The public inbox key that stands in our leaves.
    pub inbox: [u8; 32],
}

impl Identity {
    /// A new identity and the bytes that [`Identity::open`] takes.
    pub(crate) fn generate(inbox: [u8; 32]) -> Result<(Self, Vec<u8>), Error> {
        let signer = SignatureKeyPair::new(SUITE.signature_algorithm()).map_err(|_| Error::Protocol("identity"))?;
        let mut bytes = Vec::new();
        ciborium::into_writer(&signer, &mut bytes).map_err(|_| Error::Protocol("identity"))?;
        Ok((Self::from_signer(signer, inbox)?, bytes))
    }

    /// The identity that a profile keeps.
    pub(crate) fn open(bytes: &[u8], inbox: [u8; 32]) -> Result<Self, Error> {
        let signer = ciborium::from_reader(bytes).map_err(|_| Error::Protocol("identity"))?;
        Self::from_signer(signer, inbox)
    }

    fn from_signer(signer: SignatureKeyPair, inbox: [u8; 32]) -> Result<Self, Error> {
        let public = signer.public().try_into().map_err(|_| Error::Protocol("identity"))?;
        Ok(Self { signer, public, inbox })
    }

    fn credential(&self) -> CredentialWithKey {
        let mut content = vec![CREDENTIAL_VERSION];
        content.extend_from_slice(&self.inbox);
        CredentialWithKey {
            credential: BasicCredential::new(content).into(),
            signature_key: self.signer.public().into(),
        }
    }
}

/// What the outer layer of one epoch needs.
#[derive(Clone)]
pub(crate) struct EpochKeys {
    pub epoch: u64,
    pub route: [u8; 32],
    pub outer: OuterKey,
}

/// A group of two that was just made.
pub(crate) struct Created {
    pub group_id: Vec<u8>,
    pub welcome: Vec<u8>,
    pub tree: Vec<u8>,
    pub keys: EpochKeys,
}

/// A group of two that was just joined.
pub(crate) struct Joined {
    pub group_id: Vec<u8>,
    pub peer_identity: [u8; 32],
    pub keys: EpochKeys,
}

/// What an MLS message turned out to be.
pub(crate) enum Decrypted {
    /// An application message of the other member.
    Application { sender: [u8; 32], bytes: Vec<u8> },
    /// It was opened before: its key is gone.
    Duplicate,
    /// It is our own, come back from the relay.
    Own,
}

struct Provider<'s, 'a, 'w> {
    crypto: RustCrypto,
    store: &'s MlsStore<'a, 'w>,
}

impl<'a, 'w> OpenMlsProvider for Provider<'_, 'a, 'w> {
    type CryptoProvider = RustCrypto;
    type RandProvider = RustCrypto;
    type StorageProvider = MlsStore<'a, 'w>;

    fn storage(&self) -> &Self::StorageProvider {
        self.store
    }

    fn crypto(&self) -> &Self::CryptoProvider {
        &self.crypto
    }

    fn rand(&self) -> &Self::RandProvider {
        &self.crypto
    }
}

/// Runs MLS over the vault and writes what it changed.
fn with_provider<'w, T>(
    writer: &mut Writer<'w>,
    chat: Option<ChatId>,
    run: impl FnOnce(&Provider<'_, '_, 'w>) -> Result<T, Error>,
) -> Result<T, Error> {
    let store = MlsStore::new(writer, chat);
    let result = run(&Provider { crypto: RustCrypto::default(), store: &store })?;
    store.flush()?;
    Ok(result)
}

/// Takes the 32-byte Ed25519 key and nothing else.
fn identity_of(key: &[u8]) -> Result<[u8; 32], Error> {
    key.try_into().map_err(|_| Error::Protocol("identity"))
}

/// A one-time key package for an invitation, TLS-encoded; its secret half stays in the vault until a Welcome uses it.
pub(crate) fn key_package(writer: &mut Writer<'_>, identity: &Identity) -> Result<Vec<u8>, Error> {
    let failed = |_| Error::Protocol("key_package");
    with_provider(writer, None, |provider| {
        let bundle = KeyPackage::builder()
            .key_package_lifetime(Lifetime::new(KEY_PACKAGE_LIFE_S))
            .leaf_node_capabilities(Capabilities::default())
            .build(SUITE, provider, &identity.signer, identity.credential())
            .map_err(|_| Error::Protocol("key_package"))?;
        bundle.key_package().tls_serialize_detached().map_err(failed)
    })
}

/// Makes the group of two for a chat with the owner of `key_package`.
///
/// # Errors
/// [`Error::InvitationInvalid`] if the key package is damaged, or does not belong to `peer_identity`.
pub(crate) fn create_direct(
    writer: &mut Writer<'_>,
    chat: ChatId,
    identity: &Identity,
    peer_identity: &[u8; 32],
    key_package: &[u8],
) -> Result<Created, Error> {
    let failed = || Error::Protocol("create");
    with_provider(writer, Some(chat), |provider| {
        let peer = KeyPackageIn::tls_deserialize_exact(key_package)
            .map_err(|_| Error::InvitationInvalid)?
            .validate(provider.crypto(), ProtocolVersion::Mls10)
            .map_err(|_| Error::InvitationInvalid)?;
        if peer.ciphersuite() != SUITE || peer.leaf_node().signature_key().as_slice() != peer_identity {
            return Err(Error::InvitationInvalid);
        }
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(SUITE)
            .wire_format_policy(PURE_CIPHERTEXT_WIRE_FORMAT_POLICY)
            .sender_ratchet_configuration(SenderRatchetConfiguration::new(OUT_OF_ORDER, MAX_FORWARD))
            .use_ratchet_tree_extension(false)
            .build();
        let mut group =
            MlsGroup::new(provider, &identity.signer, &config, identity.credential()).map_err(|_| failed())?;
        let (_commit, welcome, _info) = group.add_members(provider, &identity.signer, &[peer]).map_err(|_| failed())?;
        group.merge_pending_commit(provider).map_err(|_| failed())?;
        Ok(Created {
            group_id: group.group_id().as_slice().to_vec(),
            welcome: welcome.to_bytes().map_err(|_| failed())?,
            tree: group.export_ratchet_tree().tls_serialize_detached().map_err(|_| failed())?,
            keys: epoch_keys(provider, &group)?,
        })
    })
}

/// Joins the group of two that a Welcome opens. The key package it was made for is used up.
///
/// # Errors
/// [`Error::Protocol`] for anything but a Welcome of ours into a group of exactly two.
pub(crate) fn join_direct(
    writer: &mut Writer<'_>,
    chat: ChatId,
    identity: &Identity,
    welcome: &[u8],
    tree: &[u8],
) -> Result<Joined, Error> {
    let failed = || Error::Protocol("welcome");
    with_provider(writer, Some(chat), |provider| {
        let message = MlsMessageIn::tls_deserialize_exact(welcome).map_err(|_| failed())?;
        let MlsMessageBodyIn::Welcome(welcome) = message.extract() else { return Err(failed()) };
        let tree = RatchetTreeIn::tls_deserialize_exact(tree).map_err(|_| failed())?;
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(PURE_CIPHERTEXT_WIRE_FORMAT_POLICY)
            .sender_ratchet_configuration(SenderRatchetConfiguration::new(OUT_OF_ORDER, MAX_FORWARD))
            .use_ratchet_tree_extension(false)
            .build();
        let group = StagedWelcome::build_from_welcome(provider, &config, welcome)
            .map_err(|_| failed())?
            .with_ratchet_tree(tree)
            .skip_lifetime_validation()
            .build()
            .map_err(|_| failed())?
            .into_group(provider)
            .map_err(|_| failed())?;
        let members: Vec<_> = group.members().collect();
        let peer = members.iter().find(|member| member.index != group.own_leaf_index()).ok_or_else(failed)?;
        if members.len() != 2 || group.ciphersuite() != SUITE || peer.signature_key == identity.public {
            return Err(failed());
        }
        Ok(Joined {
            group_id: group.group_id().as_slice().to_vec(),
            peer_identity: identity_of(&peer.signature_key)?,
            keys: epoch_keys(provider, &group)?,
        })
    })
}

/// Encrypts a payload for a chat's group.
pub(crate) fn encrypt(
    writer: &mut Writer<'_>,
    chat: ChatId,
    identity: &Identity,
    group_id: &[u8],
    payload: &[u8],
) -> Result<Vec<u8>, Error> {
    let failed = || Error::Protocol("encrypt");
    with_provider(writer, Some(chat), |provider| {
        let mut group = load(provider, group_id)?;
        let message = group.create_message(provider, &identity.signer, payload).map_err(|_| failed())?;
        message.to_bytes().map_err(|_| failed())
    })
}

/// Opens one MLS message of a chat's group; its key is gone afterwards.
///
/// # Errors
/// [`Error::Protocol`] for bytes that are no message of this group, and for kinds that no chat of two takes.
pub(crate) fn decrypt(
    writer: &mut Writer<'_>,
    chat: ChatId,
    group_id: &[u8],
    message: &[u8],
) -> Result<Decrypted, Error> {
    let failed = || Error::Protocol("decrypt");
    with_provider(writer, Some(chat), |provider| {
        let message = MlsMessageIn::tls_deserialize_exact(message).map_err(|_| failed())?;
        let MlsMessageBodyIn::PrivateMessage(message) = message.extract() else { return Err(failed()) };
        let mut group = load(provider, group_id)?;
        let processed = match group.process_message(provider, ProtocolMessage::from(message)) {
            Ok(processed) => processed,
            Err(error) if is_reuse(&error) => return Ok(Decrypted::Duplicate),
            Err(_) => return Err(failed()),
        };
        if matches!(processed.content(), ProcessedMessageContent::OwnPrivateMessage) {
            return Ok(Decrypted::Own);
        }
        let sender = match processed.sender() {
            openmls::prelude::Sender::Member(index) => {
                let member = group.member_at(*index).ok_or_else(failed)?;
                identity_of(&member.signature_key)?
            }
            _ => return Err(failed()),
        };
        match processed.into_content() {
            ProcessedMessageContent::ApplicationMessage(application) => {
                Ok(Decrypted::Application { sender, bytes: application.into_bytes() })
            }
            _ => Err(failed()),
        }
    })
}

/// Whether a message failed because its key was used before, which is how a second copy of it shows.
fn is_reuse<E>(error: &ProcessMessageError<E>) -> bool {
    matches!(
        error,
        ProcessMessageError::ValidationError(ValidationError::UnableToDecrypt(
            MessageDecryptionError::SecretTreeError(
                SecretTreeError::SecretReuseError | SecretTreeError::TooDistantInThePast
            )
        ))
    )
}

fn load(provider: &Provider<'_, '_, '_>, group_id: &[u8]) -> Result<MlsGroup, Error> {
    MlsGroup::load(provider.storage(), &GroupId::from_slice(group_id))
        .map_err(|_| Error::Protocol("group"))?
        .ok_or(Error::Protocol("group"))
}

/// `X(label, "")` of docs/wire.md for the group's present epoch.
fn epoch_keys(provider: &Provider<'_, '_, '_>, group: &MlsGroup) -> Result<EpochKeys, Error> {
    let export = |label: &str| -> Result<[u8; 32], Error> {
        let secret = group.export_secret(provider.crypto(), label, b"", 32).map_err(|_| Error::Protocol("exporter"))?;
        secret.try_into().map_err(|_| Error::Protocol("exporter"))
    };
    Ok(EpochKeys {
        epoch: group.epoch().as_u64(),
        route: export("mayfly/v1/route")?,
        outer: OuterKey(export("mayfly/v1/outer")?),
    })
}
