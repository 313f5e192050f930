//! Every decoder against arbitrary bytes, and against good bytes with something changed: refused, never a panic.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::collection::vec;
use proptest::prelude::*;

use crate::blob::{Blob, Layout};
use crate::cipher::{Alg, Key};
use crate::locked::Locked;
use crate::opening::{ShareCopy, Slot};
use crate::seal::{Identity, Leaf};
use crate::share::Cost;
use crate::state::{Header, State, open_record, seal_record};
use crate::tag::Tag;
use crate::time::{Mark, UnixMs};
use crate::tree::Frontier;
use crate::{ChatId, ItemId};

const STORE: [u8; 16] = [4; 16];

fn identity() -> Identity<'static> {
    Identity {
        alg: Alg::ChaCha20Poly1305,
        store_id: &STORE,
        item_id: ItemId::from_bytes([1; 16]),
        chat_id: Some(ChatId::from_bytes([2; 16])),
        kind: 20,
    }
}

fn record(root: &Key) -> Vec<u8> {
    let mut header = Header {
        alg: Alg::Aes256Gcm,
        shares: 8,
        e: 7,
        store_id: STORE,
        salt: [0; 16],
        cost: Cost::NONE,
        tpm_counter: 0,
        duress: [9; 32],
        sealed_bytes: 0,
        nonce: [3; 12],
    };
    let state = State {
        mark: Mark { at: UnixMs(5), boot_id: [6; 16], boottime_ms: 7 },
        k_db: Locked::of(&Key([8; 32])),
        k_db_next: None,
        trees: vec![Frontier::fresh(&Key([9; 32]), 0)],
    };
    seal_record(&mut header, root, &state.encode()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn arbitrary_bytes_are_refused_everywhere(bytes in vec(any::<u8>(), 0..5000)) {
        let key = Key([1; 32]);
        if let Ok(header) = Header::decode(&bytes) {
            prop_assert!(open_record(&bytes, &header, &key).is_err());
        }
        let _ = State::decode(&bytes);
        prop_assert_eq!(ShareCopy::decode(&bytes), ShareCopy::Broken);
        let leaf = Leaf { tag: Tag(1), generation: 0 };
        prop_assert!(identity().unwrap(leaf, &key, &key, &bytes).is_none());
        prop_assert!(identity().open_body(&key, &bytes).is_err());
        prop_assert!(Blob::open(&key.0, &bytes).is_err());
        let _ = Layout::of(bytes.len() as u64);
    }

    #[test]
    fn a_state_with_any_one_byte_changed_does_not_open(at in 0usize..400, flip in 1u8..) {
        let root = Key([1; 32]);
        let good = record(&root);
        let header = Header::decode(&good).unwrap();
        prop_assert!(open_record(&good, &header, &root).is_ok());
        let end = crate::state::HEADER_BYTES + header.sealed_bytes as usize;
        let mut bad = good;
        bad[at % end] ^= flip;
        prop_assert!(Header::decode(&bad).and_then(|header| open_record(&bad, &header, &root)).is_err());
    }

    #[test]
    fn a_share_copy_with_any_one_byte_changed_is_broken(at in 0usize..4096, flip in 1u8..) {
        let mut copy = Slot { e: 3, key: Key([1; 32]) }.encode();
        copy[at] ^= flip;
        prop_assert_eq!(ShareCopy::decode(&copy), ShareCopy::Broken);
    }

    #[test]
    fn what_was_sealed_opens_and_with_any_one_byte_changed_does_not(
        plain in vec(any::<u8>(), 0..300),
        at in any::<usize>(),
        flip in 1u8..,
    ) {
        let dek = Key([1; 32]);
        let mut body = identity().seal_body(&dek, &plain).unwrap();
        prop_assert_eq!(&*identity().open_body(&dek, &body).unwrap(), &plain);
        let at_body = at % body.len();
        body[at_body] ^= flip;
        prop_assert!(identity().open_body(&dek, &body).is_err());

        let leaf = Leaf { tag: Tag(77), generation: 1 };
        let (leaf_key, chat_key) = (Key([2; 32]), Key([3; 32]));
        let mut wrap = identity().wrap(leaf, &leaf_key, &chat_key, &dek).unwrap();
        wrap[at % 60] ^= flip;
        prop_assert!(identity().unwrap(leaf, &leaf_key, &chat_key, &wrap).is_none());
    }

    #[test]
    fn a_header_reads_back_as_it_was_written(e in 1u64.., store_id: [u8; 16], nonce: [u8; 12], duress: [u8; 32], tpm_counter: u64) {
        let header = Header {
            alg: Alg::ChaCha20Poly1305,
            shares: 31,
            e,
            store_id,
            salt: [1; 16],
            cost: Cost::DEFAULT,
            tpm_counter,
            duress,
            sealed_bytes: 100,
            nonce,
        };
        prop_assert_eq!(Header::decode(&header.encode()).unwrap(), header);
    }
}
