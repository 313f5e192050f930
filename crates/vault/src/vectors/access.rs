//! The tally of wrong passphrases, the keyring's entry, and what a panic leaves to be done.

use serde_json::Value;

use super::{array, hex, key, number, part, rows};
use crate::UnixMs;
use crate::attempts::Tally;
use crate::clock::Reading;
use crate::keyring::Entry;
use crate::opening::{Elsewhere, ShareCopy, left_elsewhere, panic_copy};
use crate::state::PAGE;
use crate::tpm::Tpm;

fn page(value: &Value) -> Vec<u8> {
    let mut bytes = hex(value);
    bytes.resize(PAGE, 0);
    bytes
}

#[test]
fn tallies_are_byte_for_byte_as_given() {
    let part = part("access");
    for v in rows(&part["attempts"]) {
        let tally = Tally::decode_copy(&page(&v["first_72"])).unwrap();
        assert_eq!(tally.encode_copy(), page(&v["first_72"]));
        assert_eq!(tally.encode(), hex(&v["tally"]));
        assert_eq!((tally.seq, tally.failures), (number(&v["seq"]), number(&v["failures"])));
        assert_eq!(tally.erase_after, number::<u32>(&v["erase_after"]));
    }
    for v in rows(&part["bad_attempts"]) {
        assert_eq!(Tally::decode_copy(&page(&v["first_72"])), None, "{}", v["name"]);
    }
}

#[test]
fn the_waits_are_as_given() {
    let reading = Reading { wall: UnixMs(9_000), boot_id: [1; 16], boottime_ms: 5 };
    for v in rows(&part("access")["waits"]) {
        let tally = (0..number::<u32>(&v["failures"])).fold(Tally::default(), |tally, _| tally.failed(&reading));
        assert_eq!(tally.wait_s(&reading), number::<u64>(&v["wait_s"]));
    }
}

#[test]
fn the_entry_in_the_keyring_is_as_given() {
    let part = part("access");
    let v = &part["keyring"];
    let tally = Tally::decode(&hex(&v["tally"])).unwrap();
    let entry = Entry { mark: number(&v["mark"]), key: key(&v["key"]), tally };
    assert_eq!(*entry.encode(), v["secret"].as_str().unwrap());
    assert_eq!(Entry::decode(v["secret"].as_str().unwrap()), Some(entry));
    for v in rows(&part["bad_keyring"]) {
        assert_eq!(Entry::decode(v["secret"].as_str().unwrap()), None, "{}", v["name"]);
    }
}

#[test]
fn a_panic_names_the_entry_that_is_still_to_go() {
    let v = &part("access")["panic_with_keyring"];
    let id: [u8; 16] = array(&v["store_id"]);
    let elsewhere = Elsewhere { keyring_id: Some(id), tpm: None };
    let copy = panic_copy(elsewhere);
    assert_eq!(copy, page(&v["first_20"]));
    assert_eq!(ShareCopy::decode(&copy), ShareCopy::Panic);
    let with_tpm = Elsewhere { tpm: Some(Tpm::at(0x0180_0001)), ..elsewhere };
    for elsewhere in [elsewhere, with_tpm, Elsewhere::default()] {
        assert_eq!(left_elsewhere(&panic_copy(elsewhere)), Some(elsewhere));
    }
}
