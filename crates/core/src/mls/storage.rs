//! OpenMLS's storage over vault items: every record sealed, and written in the transaction of our own rows.
//!
//! Changes gather in memory and are written once, by [`MlsStore::flush`]: OpenMLS writes some records several times in
//! one operation, and each version of a record on disk costs a leaf of the vault's key tree. What belongs to a group
//! lies in its chat and dies with it; key packages belong to the profile.

use std::{
    cell::RefCell,
    collections::{BTreeMap, btree_map::Entry},
};

use mayfly_vault::{ChatId, ItemId, Writer};
use openmls_traits::storage::{CURRENT_VERSION, Entity, Key, StorageProvider, traits};
use zeroize::Zeroizing;

use crate::{
    Error,
    store::{self, Kind},
};

/// Names a kind of record; also the first part of its key.
#[derive(Clone, Copy)]
struct Label(&'static str);

/// Where a record lies.
#[derive(Clone, Copy)]
enum Scope {
    /// In the chat of the operation, where there is one.
    Group,
    /// In the profile.
    Profile,
}

struct Slot {
    chat: Option<ChatId>,
    /// The record's bytes now; `None` if there is none.
    value: Option<Zeroizing<Vec<u8>>>,
    /// Whether an item stands in the vault.
    is_stored: bool,
    is_changed: bool,
}

/// One operation's view of the MLS records.
pub(super) struct MlsStore<'a, 'w> {
    writer: RefCell<&'a mut Writer<'w>>,
    chat: Option<ChatId>,
    slots: RefCell<BTreeMap<ItemId, Slot>>,
}

impl<'a, 'w> MlsStore<'a, 'w> {
    /// A view for an operation of `chat`, or of none.
    pub(super) fn new(writer: &'a mut Writer<'w>, chat: Option<ChatId>) -> Self {
        Self { writer: RefCell::new(writer), chat, slots: RefCell::default() }
    }

    /// Writes what changed.
    ///
    /// # Errors
    /// [`Error::Store`] if the vault refuses; the caller's transaction is then rolled back.
    pub(super) fn flush(self) -> Result<(), Error> {
        let writer = self.writer.into_inner();
        for (id, slot) in self.slots.into_inner() {
            match slot.value {
                _ if !slot.is_changed => {}
                Some(bytes) => store::put_bytes(writer, id, slot.chat, Kind::Mls, &bytes)?,
                None if slot.is_stored => {
                    writer.wipe(id)?;
                }
                None => {}
            }
        }
        Ok(())
    }

    fn with_slot<T>(
        &self,
        scope: Scope,
        label: Label,
        key: &impl Key<CURRENT_VERSION>,
        run: impl FnOnce(&mut Slot) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let chat = match scope {
            Scope::Group => self.chat,
            Scope::Profile => None,
        };
        let mut name = Zeroizing::new(label.0.as_bytes().to_vec());
        ciborium::into_writer(key, &mut *name).map_err(|_| Error::Store("mls_key"))?;
        let writer = self.writer.borrow();
        let id = writer.derive_id(chat, &name)?;
        match self.slots.borrow_mut().entry(id) {
            Entry::Occupied(entry) => run(entry.into_mut()),
            Entry::Vacant(entry) => {
                let value = match writer.item(id)? {
                    Some(item) => Some(item.body.ok_or(Error::Store("damaged"))?),
                    None => None,
                };
                let is_stored = value.is_some();
                run(entry.insert(Slot { chat, value, is_stored, is_changed: false }))
            }
        }
    }

    fn write<V: Entity<CURRENT_VERSION>>(
        &self,
        scope: Scope,
        label: Label,
        key: &impl Key<CURRENT_VERSION>,
        value: &V,
    ) -> Result<(), Error> {
        self.write_all(scope, label, key, value)
    }

    /// [`MlsStore::write`] for what is no entity itself: lists of entities.
    fn write_all<V: serde::Serialize + ?Sized>(
        &self,
        scope: Scope,
        label: Label,
        key: &impl Key<CURRENT_VERSION>,
        value: &V,
    ) -> Result<(), Error> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(1024));
        ciborium::into_writer(value, &mut *bytes).map_err(|_| Error::Store("mls_record"))?;
        self.with_slot(scope, label, key, |slot| {
            slot.is_changed |= slot.value.as_ref() != Some(&bytes);
            slot.value = Some(bytes);
            Ok(())
        })
    }

    fn read<V: serde::de::DeserializeOwned>(
        &self,
        scope: Scope,
        label: Label,
        key: &impl Key<CURRENT_VERSION>,
    ) -> Result<Option<V>, Error> {
        self.with_slot(scope, label, key, |slot| {
            let Some(bytes) = &slot.value else { return Ok(None) };
            ciborium::from_reader(bytes.as_slice()).map(Some).map_err(|_| Error::Store("mls_record"))
        })
    }

    fn remove(&self, scope: Scope, label: Label, key: &impl Key<CURRENT_VERSION>) -> Result<(), Error> {
        self.with_slot(scope, label, key, |slot| {
            slot.is_changed |= slot.value.is_some();
            slot.value = None;
            Ok(())
        })
    }
}

/// A key in two or three parts.
#[derive(serde::Serialize)]
struct Parts<T: serde::Serialize>(T);

impl<T: serde::Serialize> Key<CURRENT_VERSION> for Parts<T> {}

const MLS_JOIN_CONFIG: Label = Label("mls/mls_join_config");
const TREE: Label = Label("mls/tree");
const INTERIM_TRANSCRIPT_HASH: Label = Label("mls/interim_transcript_hash");
const CONTEXT: Label = Label("mls/context");
const CONFIRMATION_TAG: Label = Label("mls/confirmation_tag");
const GROUP_STATE: Label = Label("mls/group_state");
const MESSAGE_SECRETS: Label = Label("mls/message_secrets");
const RESUMPTION_PSK_STORE: Label = Label("mls/resumption_psk_store");
const OWN_LEAF_INDEX: Label = Label("mls/own_leaf_index");
const GROUP_EPOCH_SECRETS: Label = Label("mls/group_epoch_secrets");
const SIGNATURE_KEY_PAIR: Label = Label("mls/signature_key_pair");
const ENCRYPTION_KEY_PAIR: Label = Label("mls/encryption_key_pair");
const KEY_PACKAGE: Label = Label("mls/key_package");
const PSK: Label = Label("mls/psk");
const EPOCH_KEY_PAIRS: Label = Label("mls/epoch_key_pairs");
const OWN_LEAF_NODES: Label = Label("mls/own_leaf_nodes");
const PROPOSAL_REFS: Label = Label("mls/proposal_refs");
const PROPOSAL: Label = Label("mls/proposal");

/// A record that a group has one of: its writer, reader and remover.
macro_rules! group_record {
    ($label:ident, $entity:ident, $write:ident, $read:ident, $delete:ident) => {
        fn $write<GroupId: traits::GroupId<CURRENT_VERSION>, $entity: traits::$entity<CURRENT_VERSION>>(
            &self,
            group: &GroupId,
            record: &$entity,
        ) -> Result<(), Error> {
            self.write(Scope::Group, $label, group, record)
        }

        fn $read<GroupId: traits::GroupId<CURRENT_VERSION>, $entity: traits::$entity<CURRENT_VERSION>>(
            &self,
            group: &GroupId,
        ) -> Result<Option<$entity>, Error> {
            self.read(Scope::Group, $label, group)
        }

        fn $delete<GroupId: traits::GroupId<CURRENT_VERSION>>(&self, group: &GroupId) -> Result<(), Error> {
            self.remove(Scope::Group, $label, group)
        }
    };
}

/// A record that is found by a key of its own. The trait names the generics of its readers in either order.
macro_rules! keyed_record {
    ($scope:ident, $label:ident, $key:ident, $entity:ident, $write:ident, $read:ident<$first:ident, $second:ident>, $delete:ident) => {
        fn $write<$key: traits::$key<CURRENT_VERSION>, $entity: traits::$entity<CURRENT_VERSION>>(
            &self,
            key: &$key,
            record: &$entity,
        ) -> Result<(), Error> {
            self.write(Scope::$scope, $label, key, record)
        }

        fn $read<$first: traits::$first<CURRENT_VERSION>, $second: traits::$second<CURRENT_VERSION>>(
            &self,
            key: &$key,
        ) -> Result<Option<$entity>, Error> {
            self.read(Scope::$scope, $label, key)
        }

        fn $delete<$key: traits::$key<CURRENT_VERSION>>(&self, key: &$key) -> Result<(), Error> {
            self.remove(Scope::$scope, $label, key)
        }
    };
}

impl StorageProvider<CURRENT_VERSION> for MlsStore<'_, '_> {
    type Error = Error;

    group_record!(
        MLS_JOIN_CONFIG,
        MlsGroupJoinConfig,
        write_mls_join_config,
        mls_group_join_config,
        delete_group_config
    );
    group_record!(TREE, TreeSync, write_tree, tree, delete_tree);
    group_record!(
        INTERIM_TRANSCRIPT_HASH,
        InterimTranscriptHash,
        write_interim_transcript_hash,
        interim_transcript_hash,
        delete_interim_transcript_hash
    );
    group_record!(CONTEXT, GroupContext, write_context, group_context, delete_context);
    group_record!(CONFIRMATION_TAG, ConfirmationTag, write_confirmation_tag, confirmation_tag, delete_confirmation_tag);
    group_record!(MESSAGE_SECRETS, MessageSecrets, write_message_secrets, message_secrets, delete_message_secrets);
    group_record!(
        RESUMPTION_PSK_STORE,
        ResumptionPskStore,
        write_resumption_psk_store,
        resumption_psk_store,
        delete_all_resumption_psk_secrets
    );
    group_record!(OWN_LEAF_INDEX, LeafNodeIndex, write_own_leaf_index, own_leaf_index, delete_own_leaf_index);
    group_record!(
        GROUP_EPOCH_SECRETS,
        GroupEpochSecrets,
        write_group_epoch_secrets,
        group_epoch_secrets,
        delete_group_epoch_secrets
    );

    fn write_group_state<GroupState: traits::GroupState<CURRENT_VERSION>, GroupId: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group: &GroupId,
        record: &GroupState,
    ) -> Result<(), Error> {
        self.write(Scope::Group, GROUP_STATE, group, record)
    }

    fn group_state<GroupState: traits::GroupState<CURRENT_VERSION>, GroupId: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group: &GroupId,
    ) -> Result<Option<GroupState>, Error> {
        self.read(Scope::Group, GROUP_STATE, group)
    }

    fn delete_group_state<GroupId: traits::GroupId<CURRENT_VERSION>>(&self, group: &GroupId) -> Result<(), Error> {
        self.remove(Scope::Group, GROUP_STATE, group)
    }

    keyed_record!(
        Profile,
        SIGNATURE_KEY_PAIR,
        SignaturePublicKey,
        SignatureKeyPair,
        write_signature_key_pair,
        signature_key_pair<SignaturePublicKey, SignatureKeyPair>,
        delete_signature_key_pair
    );
    keyed_record!(
        Group,
        ENCRYPTION_KEY_PAIR,
        EncryptionKey,
        HpkeKeyPair,
        write_encryption_key_pair,
        encryption_key_pair<HpkeKeyPair, EncryptionKey>,
        delete_encryption_key_pair
    );
    keyed_record!(
        Profile,
        KEY_PACKAGE,
        HashReference,
        KeyPackage,
        write_key_package,
        key_package<HashReference, KeyPackage>,
        delete_key_package
    );
    keyed_record!(Group, PSK, PskId, PskBundle, write_psk, psk<PskBundle, PskId>, delete_psk);

    fn write_encryption_epoch_key_pairs<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        EpochKey: traits::EpochKey<CURRENT_VERSION>,
        HpkeKeyPair: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        group: &GroupId,
        epoch: &EpochKey,
        leaf_index: u32,
        pairs: &[HpkeKeyPair],
    ) -> Result<(), Error> {
        self.write_all(Scope::Group, EPOCH_KEY_PAIRS, &Parts((group, epoch, leaf_index)), pairs)
    }

    fn encryption_epoch_key_pairs<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        EpochKey: traits::EpochKey<CURRENT_VERSION>,
        HpkeKeyPair: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        group: &GroupId,
        epoch: &EpochKey,
        leaf_index: u32,
    ) -> Result<Vec<HpkeKeyPair>, Error> {
        let pairs = self.read(Scope::Group, EPOCH_KEY_PAIRS, &Parts((group, epoch, leaf_index)))?;
        Ok(pairs.unwrap_or_default())
    }

    fn delete_encryption_epoch_key_pairs<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        EpochKey: traits::EpochKey<CURRENT_VERSION>,
    >(
        &self,
        group: &GroupId,
        epoch: &EpochKey,
        leaf_index: u32,
    ) -> Result<(), Error> {
        self.remove(Scope::Group, EPOCH_KEY_PAIRS, &Parts((group, epoch, leaf_index)))
    }

    fn append_own_leaf_node<GroupId: traits::GroupId<CURRENT_VERSION>, LeafNode: traits::LeafNode<CURRENT_VERSION>>(
        &self,
        group: &GroupId,
        leaf_node: &LeafNode,
    ) -> Result<(), Error> {
        let mut nodes: Vec<ciborium::Value> = self.read(Scope::Group, OWN_LEAF_NODES, group)?.unwrap_or_default();
        nodes.push(ciborium::Value::serialized(leaf_node).map_err(|_| Error::Store("mls_record"))?);
        self.write_all(Scope::Group, OWN_LEAF_NODES, group, &nodes)
    }

    fn own_leaf_nodes<GroupId: traits::GroupId<CURRENT_VERSION>, LeafNode: traits::LeafNode<CURRENT_VERSION>>(
        &self,
        group: &GroupId,
    ) -> Result<Vec<LeafNode>, Error> {
        Ok(self.read(Scope::Group, OWN_LEAF_NODES, group)?.unwrap_or_default())
    }

    fn delete_own_leaf_nodes<GroupId: traits::GroupId<CURRENT_VERSION>>(&self, group: &GroupId) -> Result<(), Error> {
        self.remove(Scope::Group, OWN_LEAF_NODES, group)
    }

    fn queue_proposal<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ProposalRef: traits::ProposalRef<CURRENT_VERSION>,
        QueuedProposal: traits::QueuedProposal<CURRENT_VERSION>,
    >(
        &self,
        group: &GroupId,
        reference: &ProposalRef,
        proposal: &QueuedProposal,
    ) -> Result<(), Error> {
        let reference = ciborium::Value::serialized(reference).map_err(|_| Error::Store("mls_record"))?;
        let mut references: Vec<ciborium::Value> = self.read(Scope::Group, PROPOSAL_REFS, group)?.unwrap_or_default();
        if !references.contains(&reference) {
            references.push(reference.clone());
        }
        self.write_all(Scope::Group, PROPOSAL_REFS, group, &references)?;
        self.write_all(Scope::Group, PROPOSAL, &Parts((group, reference)), proposal)
    }

    fn queued_proposal_refs<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ProposalRef: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        group: &GroupId,
    ) -> Result<Vec<ProposalRef>, Error> {
        Ok(self.read(Scope::Group, PROPOSAL_REFS, group)?.unwrap_or_default())
    }

    fn queued_proposals<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ProposalRef: traits::ProposalRef<CURRENT_VERSION>,
        QueuedProposal: traits::QueuedProposal<CURRENT_VERSION>,
    >(
        &self,
        group: &GroupId,
    ) -> Result<Vec<(ProposalRef, QueuedProposal)>, Error> {
        let references: Vec<ciborium::Value> = self.read(Scope::Group, PROPOSAL_REFS, group)?.unwrap_or_default();
        let load = |reference: ciborium::Value| {
            let proposal = self.read(Scope::Group, PROPOSAL, &Parts((group, &reference)))?;
            let reference = reference.deserialized().map_err(|_| Error::Store("mls_record"))?;
            Ok(proposal.map(|proposal| (reference, proposal)))
        };
        references.into_iter().filter_map(|reference| load(reference).transpose()).collect()
    }

    fn remove_proposal<GroupId: traits::GroupId<CURRENT_VERSION>, ProposalRef: traits::ProposalRef<CURRENT_VERSION>>(
        &self,
        group: &GroupId,
        reference: &ProposalRef,
    ) -> Result<(), Error> {
        let reference = ciborium::Value::serialized(reference).map_err(|_| Error::Store("mls_record"))?;
        let mut references: Vec<ciborium::Value> = self.read(Scope::Group, PROPOSAL_REFS, group)?.unwrap_or_default();
        references.retain(|other| other != &reference);
        self.write_all(Scope::Group, PROPOSAL_REFS, group, &references)?;
        self.remove(Scope::Group, PROPOSAL, &Parts((group, reference)))
    }

    fn clear_proposal_queue<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ProposalRef: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        group: &GroupId,
    ) -> Result<(), Error> {
        let references: Vec<ciborium::Value> = self.read(Scope::Group, PROPOSAL_REFS, group)?.unwrap_or_default();
        for reference in references {
            self.remove(Scope::Group, PROPOSAL, &Parts((group, reference)))?;
        }
        self.remove(Scope::Group, PROPOSAL_REFS, group)
    }
}
