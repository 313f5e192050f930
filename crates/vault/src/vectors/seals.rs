//! Wraps, bodies and blobs.

use serde_json::Value;

use super::{alg, array, data, hex, key, number, part, rows, sha256, tag};
use crate::blob::{BadBlob, Blob, CHUNK_BYTES, HEADER_BYTES, Layout};
use crate::cipher::Key;
use crate::seal::{BadBody, Identity, Leaf};
use crate::time::{Second, second_at};
use crate::tree::{Frontier, Range};
use crate::{ChatId, ItemId, UnixMs};

/// A value of the case, or of the change to it.
fn of<'a>(case: &'a Value, change: Option<&'a Value>, name: &str) -> &'a Value {
    match change {
        Some(change) if change["changed"] == name => &change["to"],
        _ => &case[name],
    }
}

fn wrap_tree(part: &Value) -> Frontier {
    let v = &part["tree"];
    let mut tree = Frontier::fresh(&key(&v["seed"]), number(&v["gen"]));
    let now = UnixMs(v["advanced_to_ms"].as_i64().unwrap());
    tree.drop_ranges(vec![Range::up_to(crate::time::cut(second_at(now)))]);
    tree
}

fn unwrap(case: &Value, change: Option<&Value>, wrap: &[u8]) -> Option<Key> {
    let store_id = array(of(case, change, "store_id"));
    let identity = Identity {
        alg: alg(of(case, change, "alg")),
        store_id: &store_id,
        item_id: ItemId::from_bytes(array(of(case, change, "item_id"))),
        chat_id: None,
        kind: number(of(case, change, "kind")),
    };
    let leaf = Leaf { tag: tag(of(case, change, "tag")), generation: number(of(case, change, "gen")) };
    let (leaf_key, chat_key) = (key(of(case, change, "k_tag")), key(of(case, change, "chat_key")));
    identity.unwrap(leaf, &leaf_key, &chat_key, wrap)
}

#[test]
fn wraps_are_byte_for_byte_as_given_and_open() {
    let part = part("wrap");
    let tree = wrap_tree(&part);
    for v in rows(&part["good"]) {
        let leaf = Leaf { tag: tag(&v["tag"]), generation: number(&v["gen"]) };
        assert_eq!(tree.eval(leaf.tag), Some(key(&v["k_tag"])), "{}", v["name"]);
        let store_id = array(&v["store_id"]);
        let identity = Identity {
            alg: alg(&v["alg"]),
            store_id: &store_id,
            item_id: ItemId::from_bytes(array(&v["item_id"])),
            chat_id: None,
            kind: number(&v["kind"]),
        };
        let (leaf_key, chat_key, dek) = (key(&v["k_tag"]), key(&v["chat_key"]), key(&v["dek"]));
        let wrap = identity.wrap_for_test(array(&v["nonce"]), leaf, &leaf_key, &chat_key, &dek).unwrap();
        assert_eq!(wrap.to_vec(), hex(&v["wrap"]), "{}", v["name"]);
        assert_eq!(unwrap(v, None, &wrap), Some(dek));
        let fresh = identity.wrap(leaf, &leaf_key, &chat_key, &key(&v["dek"])).unwrap();
        assert_ne!(fresh, wrap, "a nonce is drawn at random");
        assert_eq!(unwrap(v, None, &fresh), Some(key(&v["dek"])));
    }
}

#[test]
fn a_wrap_opens_with_nothing_but_its_own_inputs() {
    let part = part("wrap");
    let case = rows(&part["good"]).iter().find(|v| v["name"] == part["bad"]["of"]).unwrap();
    for v in rows(&part["bad"]["rows"]) {
        let mut tree = wrap_tree(&part);
        match v["name"].as_str().unwrap() {
            "punctured" => tree.drop_ranges(vec![Range::one(tag(&case["tag"]))]),
            "its second has come" => tree.drop_ranges(vec![Range::up_to(crate::tag::Tag(tag(&case["tag"]).0 | 255))]),
            _ => {
                assert_eq!(unwrap(case, Some(v), &hex(&v["wrap"])), None, "{}", v["name"]);
                continue;
            }
        }
        assert_eq!(tree.eval(tag(&case["tag"])), None, "{}", v["name"]);
    }
}

#[test]
fn an_item_hangs_from_its_own_leaf_or_from_the_next_open_one() {
    for v in rows(&part("wrap")["pick"]) {
        let mut tree = Frontier::fresh(&Key([3; 32]), 0);
        let second = Second(number(&v["s"]));
        let gone: Vec<u8> = match v["gone_subs"].as_array() {
            Some(subs) => subs.iter().map(number).collect(),
            None => (0..=u8::MAX).collect(),
        };
        tree.drop_ranges(gone.iter().map(|sub| Range::one(crate::tag::Tag::timed(second, *sub))).collect());
        let id = ItemId::from_bytes(array(&v["item_id"]));
        let picked = crate::writer::pick(second, id, |tag| Ok(tree.is_open(tag))).unwrap();
        assert_eq!(picked, v.get("tag").map(tag), "{v}");
    }
}

fn body_identity<'a>(
    part: &Value,
    change: Option<&Value>,
    store_id: &'a [u8; 16],
    alg: crate::cipher::Alg,
) -> Identity<'a> {
    Identity {
        alg,
        store_id,
        item_id: ItemId::from_bytes(array(of(part, change, "item_id"))),
        chat_id: Some(ChatId::from_bytes(array(of(part, change, "chat_id")))),
        kind: number(of(part, change, "kind")),
    }
}

#[test]
fn bodies_are_byte_for_byte_as_given_and_open() {
    let part = part("body");
    let (dek, store_id) = (key(&part["dek"]), array(&part["store_id"]));
    for v in rows(&part["good"]) {
        let identity = body_identity(&part, None, &store_id, alg(&v["alg"]));
        let plain = data(number(&v["data_size"]));
        let sealed = identity.seal_body(&dek, &plain).unwrap();
        assert_eq!(sealed.len(), number::<usize>(&v["padded_size"]) + 16, "{v}");
        match v.get("sealed") {
            Some(expected) => assert_eq!(sealed, hex(expected)),
            None => assert_eq!(sha256(&sealed), hex(&v["sealed_sha256"])),
        }
        assert_eq!(*identity.open_body(&dek, &sealed).unwrap(), plain);
    }
}

#[test]
fn a_body_opens_with_nothing_but_its_own_inputs_and_padding() {
    let part = part("body");
    for v in rows(&part["bad"]) {
        let store_id = array(of(&part, Some(v), "store_id"));
        let alg = if v["changed"] == "alg" { alg(&v["to"]) } else { crate::cipher::Alg::Aes256Gcm };
        let identity = body_identity(&part, Some(v), &store_id, alg);
        let opened = identity.open_body(&key(of(&part, Some(v), "dek")), &hex(&v["sealed"]));
        let expected = if v["reason"] == "padding" { BadBody::Padding } else { BadBody::Forged };
        assert_eq!(opened.err(), Some(expected), "{}", v["name"]);
    }
}

#[test]
fn a_body_above_16_mib_is_refused() {
    let store_id = [0; 16];
    let identity = body_identity(&part("body"), None, &store_id, crate::cipher::Alg::Aes256Gcm);
    let largest = (1 << 24) - 4;
    assert_eq!(identity.seal_body(&Key([1; 32]), &data(largest)).unwrap().len(), (1 << 24) + 16);
    assert_eq!(identity.seal_body(&Key([1; 32]), &data(largest + 1)), Err(crate::Error::TooLarge));
}

fn seal_blob(dek: &[u8; 32], header: &[u8], plain: &[u8]) -> Vec<u8> {
    let blob = Blob::open(dek, header).unwrap();
    let mut sealed = blob.header().to_vec();
    let mut chunks: Vec<&[u8]> = plain.chunks(CHUNK_BYTES).collect();
    if chunks.is_empty() {
        chunks.push(&[]);
    }
    for (index, chunk) in chunks.iter().enumerate() {
        let is_last = index + 1 == chunks.len();
        sealed.extend(blob.seal_chunk(u32::try_from(index).unwrap(), is_last, chunk).unwrap());
    }
    sealed
}

fn open_blob(dek: &[u8; 32], sealed: &[u8]) -> Result<Vec<u8>, BadBlob> {
    let blob = Blob::open(dek, sealed)?;
    let layout = Layout::of(sealed.len() as u64)?;
    let mut plain = Vec::new();
    for index in 0..layout.chunks {
        let (range, is_last) = layout.chunk(index).unwrap();
        let chunk = &sealed[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
        plain.extend_from_slice(&blob.open_chunk(index, is_last, chunk)?);
    }
    assert_eq!(plain.len() as u64, layout.data_bytes);
    Ok(plain)
}

#[test]
fn blobs_are_byte_for_byte_as_given_and_open() {
    let part = part("blob");
    let dek = array(&part["dek"]);
    for v in rows(&part["good"]) {
        let plain = data(number(&v["data_size"]));
        let sealed = seal_blob(&dek, &hex(&v["header"]), &plain);
        assert_eq!(sealed.len(), number::<usize>(&v["sealed_size"]), "{v}");
        assert_eq!(sha256(&sealed), hex(&v["sealed_sha256"]));
        assert_eq!(sealed[sealed.len() - 16..], hex(&v["last_16"]));
        assert_eq!(Layout::of(sealed.len() as u64).unwrap().chunks, number::<u32>(&v["chunks"]));
        if let Some(whole) = v.get("sealed") {
            assert_eq!(sealed, hex(whole));
        }
        assert_eq!(open_blob(&dek, &sealed).unwrap(), plain);
    }
}

#[test]
fn any_chunk_of_a_blob_opens_alone() {
    let part = part("blob");
    let dek = array(&part["dek"]);
    let header = hex(&rows(&part["good"])[0]["header"]);
    let sealed = seal_blob(&dek, &header, &data(200_000));
    let (blob, layout) = (Blob::open(&dek, &sealed).unwrap(), Layout::of(sealed.len() as u64).unwrap());
    for v in rows(&part["seek_in_200000"]) {
        let index = number(&v["i"]);
        let (range, is_last) = layout.chunk(index).unwrap();
        assert_eq!(range.start, number::<u64>(&v["sealed_from"]));
        assert_eq!(Some(is_last), v["last"].as_bool());
        let chunk = &sealed[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
        assert_eq!(sha256(&blob.open_chunk(index, is_last, chunk).unwrap()), hex(&v["data_sha256"]));
    }
}

#[test]
fn a_fresh_blob_draws_its_own_prefix() {
    let (one, two) = (Blob::new(&[1; 32], &[2; 16]).unwrap(), Blob::new(&[1; 32], &[2; 16]).unwrap());
    assert_ne!(one.header(), two.header());
    assert_eq!(one.header()[..24], two.header()[..24]);
    let sealed = seal_blob(&[1; 32], one.header(), b"a");
    assert_eq!(open_blob(&[1; 32], &sealed).unwrap(), b"a");
}

/// The bytes of a bad case, built as its name says.
fn bad_blob(name: &str, dek: &[u8; 32], header: &[u8], whole: &[u8]) -> Vec<u8> {
    let sealed_chunk = CHUNK_BYTES + 16;
    let chunk = |index: usize| {
        let start = HEADER_BYTES + index * sealed_chunk;
        &whole[start..whole.len().min(start + sealed_chunk)]
    };
    let raw = |index: u32, last: u8, plain: &[u8]| {
        // Sealed past the checks of the real writer, under the real key and nonce.
        let key = crate::cipher::expand(&Key(*dek), &[crate::cipher::LABEL, b"blob"]);
        let nonce: [u8; 12] = [&header[24..31], &index.to_be_bytes(), &[last]].concat().try_into().unwrap();
        let mut sealed = plain.to_vec();
        let aad = [crate::cipher::LABEL, b"blob", header].concat();
        crate::cipher::Alg::Aes256Gcm.seal(&key, nonce, &aad, &mut sealed).unwrap();
        sealed
    };
    let full = data(CHUNK_BYTES);
    match name {
        "sealed with an empty last chunk after a full one" => [header, &raw(0, 0, &full), &raw(1, 1, &[])].concat(),
        "sealed with a middle chunk of 65,535 bytes" => {
            [header, &raw(0, 0, &full[..65_535]), &raw(1, 1, &full[65_535..])].concat()
        }
        "sealed with no last chunk" => [header, &raw(0, 0, &full)].concat(),
        "last chunk cut off" => whole[..whole.len() - chunk(3).len()].to_vec(),
        "cut inside the last chunk" => whole[..whole.len() - 1].to_vec(),
        "cut inside a middle chunk" => whole[..65_684].to_vec(),
        "header only" => whole[..32].to_vec(),
        "31 bytes" => whole[..31].to_vec(),
        "chunks 0 and 1 swapped" => [header, chunk(1), chunk(0), chunk(2), chunk(3)].concat(),
        "chunk 1 doubled" => [header, chunk(0), chunk(1), chunk(1), chunk(2), chunk(3)].concat(),
        "chunk 0 left out" => [header, chunk(1), chunk(2), chunk(3)].concat(),
        "a chunk after the last" => [whole, chunk(3)].concat(),
        "an empty chunk after a full last one" => {
            let two = seal_blob(dek, header, &data(131_072));
            [&two[..], &raw(2, 1, &[])].concat()
        }
        "last chunk of another length under the same key" => {
            let longer = seal_blob(dek, header, &data(300_000));
            [header, chunk(0), chunk(1), chunk(2), &longer[HEADER_BYTES + 4 * sealed_chunk..]].concat()
        }
        "a bit flipped in chunk 2" => {
            let mut flipped = whole.to_vec();
            flipped[HEADER_BYTES + 2 * sealed_chunk + 5] ^= 1;
            flipped
        }
        _ => whole.to_vec(),
    }
}

#[test]
fn a_blob_that_was_cut_moved_or_changed_does_not_open() {
    let part = part("blob");
    let dek = array(&part["dek"]);
    let header = hex(&rows(&part["good"])[0]["header"]);
    let whole = seal_blob(&dek, &header, &data(200_000));
    let mut same_bytes = 0;
    for v in rows(&part["bad"]["rows"]) {
        let name = v["name"].as_str().unwrap();
        match name {
            "other DEK" => {
                assert_eq!(open_blob(&[9; 32], &whole), Err(BadBlob::Forged));
                continue;
            }
            "chunk 3 opened as not the last" | "chunk 1 opened as the last" => {
                let index: u32 = if name.starts_with("chunk 3") { 3 } else { 1 };
                let (range, is_last) = Layout::of(whole.len() as u64).unwrap().chunk(index).unwrap();
                let chunk = &whole[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
                let opened = Blob::open(&dek, &whole).unwrap().open_chunk(index, !is_last, chunk);
                let expected = if index == 3 { BadBlob::Chunk } else { BadBlob::Forged };
                assert_eq!(opened.err(), Some(expected), "{name}");
                continue;
            }
            _ => {}
        }
        let mut bad = bad_blob(name, &dek, &header, &whole);
        if name.starts_with("header: ") {
            bad[..HEADER_BYTES].copy_from_slice(&hex(&v["header"]));
        }
        if sha256(&bad) == hex(&v["sha256"]) {
            same_bytes += 1;
        }
        assert!(open_blob(&dek, &bad).is_err(), "{name}");
    }
    // Three names leave a choice: which bit is flipped, and what data an ill-cut blob holds.
    assert_eq!(same_bytes, 20, "so many cases are built to the very bytes that were given");
}
