//! Shares, time and the key tree.

use serde_json::Value;

use super::{array, hex, key, number, part, rows, sha256, tag};
use crate::cipher::{Key, LABEL, mac};
use crate::clock::Reading;
use crate::share::{Cost, Passphrase, Shares, duress_mark, state_key};
use crate::tag::{Region, Tag};
use crate::time::{Mark, Second, cut, second_at};
use crate::tree::{Frontier, Range};
use crate::{T0, UnixMs};

fn ms(value: &Value) -> UnixMs {
    UnixMs(value.as_i64().unwrap())
}

#[test]
fn the_passphrase_becomes_its_share_in_any_unicode_form() {
    let part = part("share");
    let v = &part["argon2id"];
    let cost = Cost { m_kib: number(&v["m_kib"]), t: number(&v["t"]), p: number(&v["p"]) };
    assert!(cost.is_allowed());
    let typed = v["passphrase"].as_str().unwrap().to_owned();
    let normal = String::from_utf8(hex(&v["nfkc_utf8"])).unwrap();
    assert_ne!(typed, normal);
    for text in [typed, normal] {
        assert_eq!(Passphrase::from(text).share(&array(&v["salt"]), cost).unwrap(), key(&v["share"]));
    }
    let v = &part["duress"];
    assert_eq!(duress_mark(&key(&v["share"]), &array(&v["store_id"])), key(&v["mark"]));
}

#[test]
fn every_set_of_shares_gives_its_root_and_state_keys() {
    for v in rows(&part("share")["roots"]) {
        let share = |name: &str| v["shares"].get(name).map(key);
        let (pass, keyring, tpm, slot, remote) =
            (share("pass"), share("keyring"), share("tpm"), share("slot"), share("remote"));
        let shares = Shares {
            pass: pass.as_ref(),
            keyring: keyring.as_ref(),
            tpm: tpm.as_ref(),
            slot: slot.as_ref(),
            remote: remote.as_ref(),
        };
        let store_id = array(&v["store_id"]);
        let root = shares.root(&store_id);
        assert_eq!(root, key(&v["root"]));
        for state in rows(&v["state_keys"]) {
            assert_eq!(state_key(&root, &store_id, number(&state["e"])), key(&state["key"]));
        }
    }
}

#[test]
fn deadlines_are_rounded_up_to_seconds_that_a_tag_can_hold() {
    let part = part("time");
    assert_eq!(T0, ms(&part["t0_ms"]));
    for v in rows(&part["due"]) {
        let second = Second::due(ms(&v["deadline_ms"])).unwrap();
        assert_eq!(second.0, number::<u32>(&v["s"]), "{v}");
        assert_eq!(second.begins(), ms(&v["expires_at_ms"]), "{v}");
    }
    for v in rows(&part["refused"]) {
        // What does not even fit the type of a deadline cannot be asked for.
        if let Some(deadline) = v["deadline_ms"].as_i64() {
            assert_eq!(Second::due(UnixMs(deadline)), None, "{v}");
        }
    }
}

#[test]
fn now_follows_the_clocks_by_the_rules() {
    for v in rows(&part("time")["clock"]) {
        let (here, elsewhere) = ([1; 16], [2; 16]);
        let mark = Mark { at: ms(&v["mark_ms"]), boot_id: here, boottime_ms: 1000 };
        let reading = match v["elapsed_ms"].as_u64() {
            Some(elapsed) => Reading { wall: ms(&v["wall_ms"]), boot_id: here, boottime_ms: 1000 + elapsed },
            None => Reading { wall: ms(&v["wall_ms"]), boot_id: elsewhere, boottime_ms: 5 },
        };
        let now = mark.now(&reading, v["confirmed"].as_bool().unwrap());
        assert_eq!(now.effective, ms(&v["now_eff_ms"]), "{}", v["name"]);
        assert_eq!(now.shown, ms(&v["now_shown_ms"]), "{}", v["name"]);
    }
}

#[test]
fn now_cuts_the_tree_after_its_own_second() {
    let part = part("time");
    for v in rows(&part["now"]) {
        let s_now = second_at(ms(&v["now_ms"]));
        assert_eq!(Some(s_now), v["s_now"].as_i64(), "{v}");
        assert_eq!(cut(s_now), tag(&v["cut"]), "{v}");
    }
    let border = |name: &str, end: usize| tag(&part["regions"][name][end]);
    assert_eq!((border("timed", 0), border("timed", 1)), (Tag(0), Tag::HOLD));
    assert_eq!((border("hold", 0), border("hold", 1)), (Tag::HOLD, Tag::RECORD));
    assert_eq!((border("record", 0), border("record", 1)), (Tag::RECORD, Tag::END));
    assert!(matches!(Tag(Tag::HOLD.0 - 1).region(), Region::Timed(_)));
    assert_eq!((Tag::HOLD.region(), Tag(Tag::RECORD.0 - 1).region()), (Region::Hold, Region::Spill));
    assert_eq!(Tag::RECORD.region(), Region::Record);
}

#[test]
fn children_and_leaves_of_a_seed_are_as_given() {
    let part = part("tree");
    let seed = key(&part["seed"]);
    for (branch, v) in rows(&part["children"]).iter().enumerate() {
        let branch = u8::try_from(branch).unwrap();
        assert_eq!(mac(&seed.0, &[LABEL, b"ggm", &[branch]]), key(v));
    }
    for v in rows(&part["leaf_of_seed"]) {
        let generation: u32 = number(&v["gen"]);
        assert_eq!(mac(&seed.0, &[LABEL, b"leaf", &generation.to_be_bytes()]), key(&v["key"]));
    }
    for v in rows(&part["eval_fresh"]) {
        assert_eq!(Frontier::fresh(&seed, number(&v["gen"])).eval(tag(&v["tag"])), Some(key(&v["key"])), "{v}");
    }
}

#[test]
fn a_tree_that_is_cut_and_punctured_keeps_exactly_what_is_alive() {
    let part = part("tree");
    for script in rows(&part["scripts"]) {
        let mut tree = Frontier::fresh(&key(&part["seed"]), number(&script["gen"]));
        for step in rows(&script["steps"]) {
            let range = match step["op"].as_str().unwrap() {
                "advance" => Range::up_to(cut(step["s_now"].as_i64().unwrap())),
                "puncture" => Range::one(tag(&step["tag"])),
                "drop" => Range { lo: tag(&step["lo"]), hi: tag(&step["hi"]) },
                other => panic!("{other}"),
            };
            tree.drop_ranges(vec![range]);
            assert_eq!(tree.node_count(), number::<usize>(&step["nodes"]), "{}: {step}", script["name"]);
            assert_eq!(sha256(&encoded(&tree)), hex(&step["sha256"]), "{}: {step}", script["name"]);
        }
        let bytes = encoded(&tree);
        assert_eq!(bytes, hex(&script["encoded"]));
        let (back, rest) = Frontier::decode(&bytes).unwrap();
        assert!(rest.is_empty());
        assert_eq!(encoded(&back), bytes);
        for v in rows(&script["eval"]) {
            let expected = (!v["key"].is_null()).then(|| key(&v["key"]));
            for tree in [&tree, &back] {
                assert_eq!(tree.eval(tag(&v["tag"])), expected, "{}: {v}", script["name"]);
                assert_eq!(tree.is_open(tag(&v["tag"])), expected.is_some());
            }
        }
    }
}

#[test]
fn all_steps_of_a_script_at_once_leave_the_same_tree() {
    let part = part("tree");
    let script = &rows(&part["scripts"])[9];
    let mut tree = Frontier::fresh(&key(&part["seed"]), 0);
    let ranges = rows(&script["steps"]).iter().map(|step| Range::one(tag(&step["tag"]))).collect();
    tree.drop_ranges(ranges);
    assert_eq!(encoded(&tree), hex(&script["encoded"]));
}

fn encoded(tree: &Frontier) -> Vec<u8> {
    let mut out = Vec::new();
    tree.encode(&mut out);
    assert_eq!(out.len(), tree.encoded_bytes());
    out
}

#[test]
fn keys_are_silent_in_debug() {
    assert_eq!(format!("{:?}", Key([7; 32])), "Key(..)");
    assert_eq!(format!("{:?}", Passphrase::from("secret".to_owned())), "Passphrase(..)");
    assert!(!format!("{:?}", Frontier::fresh(&Key([7; 32]), 0)).contains('7'));
}
