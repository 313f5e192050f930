//! The state and share files, and the rules of opening.

use serde_json::Value;

use super::{alg, array, hex, key, number, part, rows, sha256, tag};
use crate::Error;
use crate::cipher::Key;
use crate::locked::Locked;
use crate::opening::{Elsewhere, Found, ShareCopy, Slot, panic_copy};
use crate::share::{Cost, Shares};
use crate::state::{BadState, Header, PAGE, State, open_record, seal_record};
use crate::time::{Mark, UnixMs};
use crate::tree::{BadFrontier, Frontier, Range};

fn open(record: &[u8], root: &Key) -> Result<State, BadState> {
    let header = Header::decode(record)?;
    open_record(record, &header, root)
}

#[test]
fn states_are_byte_for_byte_as_given_and_open() {
    for v in rows(&part("state")["good"]) {
        let (root, plain) = (key(&v["root"]), hex(&v["plaintext"]));
        let state = State::decode(&plain).unwrap();
        assert_eq!(*state.encode(), plain);
        let mut header = Header::decode(&hex(&v["header"])).unwrap();
        assert_eq!(header.encode(), hex(&v["header"]));
        assert_eq!((header.e, header.alg), (number(&v["e"]), alg(&v["alg"])));
        assert_eq!((header.shares, header.tpm_counter), (number(&v["shares"]), number(&v["counter"])));
        let record = seal_record(&mut header, &root, &plain).unwrap();
        assert_eq!(record.len(), number::<usize>(&v["record_size"]));
        if let Some(sum) = v.get("record_sha256") {
            assert_eq!(sha256(&record), hex(sum));
        }
        assert_eq!(*open(&record, &root).unwrap().encode(), plain);
        // What lies behind the record in a longer file changes nothing.
        assert_eq!(*open(&[record, vec![0; 8192]].concat(), &root).unwrap().encode(), plain);
    }
}

#[test]
fn a_state_is_what_its_drops_leave_of_a_fresh_tree() {
    let seed = key(&part("tree")["seed"]);
    let mut checked = 0;
    for v in rows(&part("state")["good"]).iter().filter(|v| v.get("drops").is_some()) {
        let mut tree = Frontier::fresh(&seed, 0);
        for step in rows(&v["drops"]) {
            let range = |pair: &Value| Range { lo: tag(&pair[0]), hi: tag(&pair[1]) };
            tree.drop_ranges(rows(&step["drops"]).iter().map(range).collect());
        }
        assert_eq!(tree.node_count(), number::<usize>(&v["nodes"]));
        let state = State {
            mark: Mark {
                at: UnixMs(v["hwm_ms"].as_i64().unwrap()),
                boot_id: array(&v["boot_id"]),
                boottime_ms: number(&v["boottime_ms"]),
            },
            k_db: Locked::of(&key(&v["k_db"])),
            k_db_next: None,
            trees: vec![tree],
        };
        assert_eq!(*state.encode(), hex(&v["plaintext"]));
        checked += 1;
    }
    assert_eq!(checked, 4);
}

#[test]
fn a_state_that_was_changed_does_not_open() {
    let part = part("state");
    let of = &part["bad_of"];
    assert!(open(&padded(of, &of["record"]), &key(&of["root"])).is_ok());
    for v in rows(&part["bad_records"]) {
        let reason = match v["reason"].as_str().unwrap() {
            "forged" => BadState::Forged,
            "short" => BadState::Short,
            "header" => BadState::Header,
            "version" => BadState::Version,
            "cost" => BadState::Cost,
            other => panic!("{other}"),
        };
        let found = match v.get("header") {
            Some(header) => Header::decode(&hex(header)).map(|_| ()),
            None => open(&padded(v, &v["record"]), &key(&v["root"])).map(|_| ()),
        };
        assert_eq!(found, Err(reason), "{}", v["name"]);
    }
}

fn padded(size_of: &Value, record: &Value) -> Vec<u8> {
    let mut bytes = hex(record);
    bytes.resize(number(&size_of["record_size"]), 0);
    bytes
}

#[test]
fn a_plaintext_that_is_no_state_is_refused_though_it_was_sealed_rightly() {
    for v in rows(&part("state")["bad_plaintexts"]) {
        let reason = match v["reason"].as_str().unwrap() {
            "short" => [BadState::Short, BadState::Frontier(BadFrontier::Short)],
            "depth" => [BadState::Frontier(BadFrontier::Depth); 2],
            "alignment" => [BadState::Frontier(BadFrontier::Alignment); 2],
            "order" => [BadState::Frontier(BadFrontier::Order); 2],
            "generations" => [BadState::Generations; 2],
            "trailing" => [BadState::Trailing; 2],
            "version" => [BadState::Version; 2],
            other => panic!("{other}"),
        };
        let found = State::decode(&hex(&v["plaintext"])).map(|_| ()).unwrap_err();
        assert!(reason.contains(&found), "{}: {found:?}", v["name"]);
    }
}

#[test]
fn the_cost_of_a_passphrase_has_a_floor_and_a_ceiling() {
    let cost = |m_kib, t, p| Cost { m_kib, t, p }.is_allowed();
    assert!(cost(65_536, 3, 1) && cost(1_048_576, 16, 4));
    assert!(!cost(65_535, 3, 1) && !cost(1_048_577, 3, 1));
    assert!(!cost(65_536, 2, 1) && !cost(65_536, 17, 1));
    assert!(!cost(65_536, 3, 0) && !cost(65_536, 3, 5));
}

fn copy_bytes(v: &Value) -> Vec<u8> {
    let mut bytes = hex(&v["first_128"]);
    bytes.resize(PAGE, 0);
    bytes
}

#[test]
fn copies_of_the_share_file_are_read_and_written_as_given() {
    for v in rows(&part("opening")["share_copies"]) {
        let bytes = copy_bytes(v);
        let decoded = ShareCopy::decode(&bytes);
        match &v["decoded"] {
            Value::Null => assert_eq!(decoded, ShareCopy::Broken, "{}", v["name"]),
            Value::String(_) => {
                assert_eq!(decoded, ShareCopy::Panic);
                assert_eq!(panic_copy(Elsewhere::default()), bytes);
            }
            whole => {
                let slot = Slot { e: number(&whole["e"]), key: key(&whole["slot"]) };
                assert_eq!(slot.encode(), bytes);
                assert_eq!(decoded, ShareCopy::Whole(slot));
            }
        }
    }
}

/// What a case says lies in a state file.
fn state_bytes(records: &Value, what: &str) -> Vec<u8> {
    let record = |name: &str| {
        let mut bytes = hex(&records[name]);
        bytes.resize(PAGE, 0);
        bytes
    };
    match what {
        "zero" => vec![0; PAGE],
        "only the first 150 bytes of e 5" => {
            let mut bytes = record("e 5");
            bytes[150..].fill(0);
            bytes
        }
        "e 4 with its first 150 bytes zeroed" => {
            let mut bytes = record("e 4");
            bytes[..150].fill(0);
            bytes
        }
        name => record(name),
    }
}

#[test]
fn after_every_crash_exactly_one_epoch_opens_or_none() {
    let part = part("opening");
    let copies = rows(&part["share_copies"]);
    let copy = |name: &Value| ShareCopy::decode(&copy_bytes(copies.iter().find(|copy| copy["name"] == *name).unwrap()));
    for v in rows(&part["cases"]) {
        let state = |name: &str| state_bytes(&part["records"], v[name].as_str().unwrap());
        let (even, odd) = (state("state_0"), state("state_1"));
        let found = Found {
            copy_a: copy(&v["copy_a"]),
            copy_b: copy(&v["copy_b"]),
            states: [&even, &odd],
            keyring_mark: v["keyring_mark"].as_u64(),
        };
        let opened =
            found.open(|header, slot| Ok(Shares { slot: Some(slot), ..Shares::default() }.root(&header.store_id)));
        let name = &v["name"];
        if let Some(refused) = v.get("refused") {
            let expected = match refused.as_str().unwrap() {
                "locked" => Error::Locked,
                "rolled back" => Error::RolledBack,
                "panic" => Error::Panicked,
                other => panic!("{other}"),
            };
            assert_eq!(opened.map(|_| ()), Err(expected), "{name}");
            continue;
        }
        let opened = opened.unwrap();
        assert_eq!(opened.header.e, number::<u64>(&v["opens"]), "{name}");
        let mend = |what: &str| rows(&v["mend"]).iter().any(|m| m == what);
        let expected = (mend("A"), mend("B"), mend("old state"));
        assert_eq!((opened.mend_a, opened.mend_b, opened.mend_old_state), expected, "{name}");
    }
}
