//! Changes of what opens a vault: each is one step, and whoever has an older copy gains nothing by knowing either side.

use std::path::{Path, PathBuf};

use mayfly_vault::{Error, Life, Passphrase, Vault};

use crate::adversary::Loot;
use crate::home::{Home, START, body, insert, item, wipe};

pub fn pass(word: &str) -> Passphrase {
    Passphrase::from(word.to_owned())
}

fn create(home: &Home, word: Option<&str>) -> Vault {
    let word = word.map(pass);
    Vault::create(&home.place, word.as_ref(), std::sync::Arc::new(home.clock.clone())).unwrap()
}

#[test]
fn a_passphrase_is_set_changed_and_removed_and_only_the_present_one_opens() {
    let home = Home::new();
    let vault = create(&home, None);
    let id = insert(&vault, None, Life::Record, b"text").unwrap();
    assert_eq!(vault.change_passphrase(&pass("one"), &pass("two")), Err(Error::PassphraseUnset));
    vault.set_passphrase(&pass("one")).unwrap();
    assert_eq!(vault.set_passphrase(&pass("two")), Err(Error::PassphraseSet));
    assert_eq!(body(&vault, id).unwrap(), b"text");
    drop(vault);
    assert!(Vault::needs_passphrase(&home.place).unwrap());
    assert_eq!(home.try_open(Some("two")).unwrap_err(), Error::Locked);

    let vault = home.try_open(Some("one")).unwrap();
    assert_eq!(vault.change_passphrase(&pass("two"), &pass("three")), Err(Error::PassphraseWrong));
    vault.change_passphrase(&pass("one"), &pass("two")).unwrap();
    // The next rotations go on under the new one.
    wipe(&vault);
    drop(vault);
    assert_eq!(home.try_open(Some("one")).unwrap_err(), Error::Locked);

    let vault = home.try_open(Some("two")).unwrap();
    assert_eq!(vault.remove_passphrase(&pass("one")), Err(Error::PassphraseWrong));
    vault.remove_passphrase(&pass("two")).unwrap();
    assert!(!vault.has_passphrase());
    drop(vault);
    assert!(!Vault::needs_passphrase(&home.place).unwrap());
    assert_eq!(body(&home.open(), id).unwrap(), b"text");
}

/// Which passphrases of the two open a copy of the home; each is tried on a copy of its own.
fn opening(home: &Home, words: [Option<&str>; 2]) -> [bool; 2] {
    words.map(|word| {
        let copy = Home::new();
        for (from, to) in [(&home.place.profile, &copy.place.profile), (&home.place.share, &copy.place.share)] {
            assert!(std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
        }
        copy.try_open(word).is_ok()
    })
}

#[test]
fn a_crash_anywhere_in_a_change_leaves_exactly_one_passphrase_that_opens() {
    for (old, new) in [(None, Some("new")), (Some("old"), Some("new")), (Some("old"), None)] {
        let home = Home::new();
        let vault = create(&home, old);
        let (profile_before, share_before) =
            (home.copy(&home.place.profile, "profile before"), home.copy(&home.place.share, "share before"));
        match (old, new) {
            (None, Some(new)) => vault.set_passphrase(&pass(new)),
            (Some(old), Some(new)) => vault.change_passphrase(&pass(old), &pass(new)),
            (Some(old), None) => vault.remove_passphrase(&pass(old)),
            (None, None) => unreachable!(),
        }
        .unwrap();
        // Before W5 both states are there.
        let states: Vec<Vec<u8>> = ["state.0", "state.1"].map(|name| read(&home.place.profile.join(name))).to_vec();
        let share = read(&home.place.share.join("share"));
        drop(vault);
        let epoch =
            |state: &[u8]| (state.starts_with(b"MFST")).then(|| u64::from_be_bytes(state[8..16].try_into().unwrap()));
        let (current, previous) = if epoch(&states[0]) > epoch(&states[1]) { (0, 1) } else { (1, 0) };
        let old_state = read(&profile_before.join(format!("state.{previous}")));
        let old_share = read(&share_before.join("share"));
        // What stands on the disk after each step: W1 torn, W1 done, copy B torn, copy B done, copy A torn, copy A done.
        for step in 0..6 {
            let mut state = states[current].clone();
            if step == 0 {
                state[2048..].fill(0);
            }
            let done = |copy: usize, torn: usize, whole: usize| {
                let range = copy * 4096..(copy + 1) * 4096;
                match step {
                    _ if step >= whole => share[range].to_vec(),
                    _ if step == torn => {
                        [&share[range.start..range.start + 24], &old_share[range.start + 24..range.end]].concat()
                    }
                    _ => old_share[range].to_vec(),
                }
            };
            let copies = [done(0, 4, 5), done(1, 2, 3)].concat();
            write(&home.place.profile.join(format!("state.{current}")), &state);
            write(&home.place.profile.join(format!("state.{previous}")), &old_state);
            write(&home.place.share.join("share"), &copies);
            assert_eq!(Vault::needs_passphrase(&home.place).unwrap(), if step < 3 { old } else { new }.is_some());
            // Where none is asked for, whatever is typed does not matter.
            let asked = if step < 3 { old } else { new };
            let expected = [old, new].map(|word| asked.is_none() || word == asked);
            assert_eq!(opening(&home, [old, new]), expected, "{old:?} to {new:?}, step {step}");
        }
    }
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

/// One text that dies across two changes of the passphrase, and what everybody who knows all three passphrases gets.
fn a2_across_changes(with_old_share: bool) -> bool {
    let home = Home::new();
    let vault = create(&home, Some("one"));
    let profile = &home.place.profile;
    let dead = insert(&vault, None, Life::Until(START.plus_ms(5_000)), b"dead").unwrap();
    let alive = insert(&vault, None, Life::Record, b"alive").unwrap();
    let mut profiles = vec![home.copy(profile, "with one")];
    let mut shares: Vec<PathBuf> =
        with_old_share.then(|| home.copy(&home.place.share, "old share")).into_iter().collect();
    vault.change_passphrase(&pass("one"), &pass("two")).unwrap();
    profiles.push(home.copy(profile, "with two"));
    home.clock.advance(6_000);
    vault.remove_passphrase(&pass("two")).unwrap();
    profiles.push(home.copy(profile, "with none"));
    shares.push(home.copy(&home.place.share, "share after"));
    vault.set_passphrase(&pass("three")).unwrap();
    wipe(&vault);
    profiles.push(home.copy(profile, "with three"));
    shares.push(home.copy(&home.place.share, "share later"));
    assert_eq!(item(&vault, dead), None);
    assert_eq!(body(&vault, alive).unwrap(), b"alive");
    let key = vault.raw_key().unwrap().key;
    let words = ["one", "two", "three"].map(pass);
    let found = Loot::knowing(&profiles, &shares, &key, &words.each_ref()).everything();
    assert!(found.contains(b"alive".as_slice()), "the attack sees");
    found.contains(b"dead".as_slice())
}

#[test]
fn an_older_copy_opens_nothing_dead_with_any_passphrase_it_ever_had() {
    assert!(!a2_across_changes(false));
}

#[test]
fn an_older_copy_that_holds_the_share_too_does() {
    assert!(a2_across_changes(true));
}

/// The header of the newest state, without what is random in it.
fn header(home: &Home) -> Vec<u8> {
    let states = ["state.0", "state.1"].map(|name| read(&home.place.profile.join(name)));
    let mut header = states
        .into_iter()
        .filter(|state| state.starts_with(b"MFST"))
        .max_by_key(|state| state[8..16].to_vec())
        .unwrap();
    header.truncate(116);
    header
}

#[test]
fn the_passphrase_for_duress_destroys_everything_and_opens_an_empty_vault() {
    let home = Home::new();
    let vault = create(&home, Some("one"));
    let id = insert(&vault, None, Life::Record, b"text").unwrap();
    assert_eq!(vault.set_duress(&pass("two"), Some(&pass("three"))), Err(Error::PassphraseWrong));
    assert_eq!(vault.set_duress(&pass("one"), Some(&pass("one"))), Err(Error::DuressIsPassphrase));
    vault.set_duress(&pass("one"), Some(&pass("two"))).unwrap();
    let key = vault.raw_key().unwrap().key;
    drop(vault);
    // The real one still opens, and the mark outlives its rotations.
    assert_eq!(body(&home.try_open(Some("one")).unwrap(), id).unwrap(), b"text");
    let before = home.copy(&home.place.profile, "before");

    let vault = home.try_open(Some("two")).unwrap();
    assert_eq!(item(&vault, id), None);
    assert!(vault.has_passphrase());
    let again = insert(&vault, None, Life::Record, b"new life").unwrap();
    let shares = [home.copy(&home.place.share, "share after")];
    drop(vault);
    assert_eq!(home.try_open(Some("one")).unwrap_err(), Error::Locked);
    assert_eq!(body(&home.try_open(Some("two")).unwrap(), again).unwrap(), b"new life");
    let words = ["one", "two"].map(pass);
    assert!(Loot::knowing(&[before], &shares, &key, &words.each_ref()).everything().is_empty());
}

#[test]
fn nothing_tells_whether_a_passphrase_for_duress_was_set() {
    let look = |with_duress: bool| {
        let home = Home::new();
        let vault = create(&home, Some("one"));
        vault.set_duress(&pass("one"), with_duress.then(|| pass("two")).as_ref()).unwrap();
        drop(vault);
        let header = header(&home);
        assert!(header[68..100].iter().any(|byte| *byte != 0), "the mark is never empty");
        // All but epoch, ids, salt, mark, length and nonce, which differ between any two vaults.
        [&header[..8], &header[48..68]].concat()
    };
    assert_eq!(look(true), look(false));
}

#[test]
fn another_passphrase_takes_the_one_for_duress_along() {
    let home = Home::new();
    let vault = create(&home, Some("one"));
    let id = insert(&vault, None, Life::Record, b"text").unwrap();
    vault.set_duress(&pass("one"), Some(&pass("two"))).unwrap();
    vault.change_passphrase(&pass("one"), &pass("three")).unwrap();
    drop(vault);
    assert_eq!(home.try_open(Some("two")).unwrap_err(), Error::Locked);
    assert_eq!(body(&home.try_open(Some("three")).unwrap(), id).unwrap(), b"text");
}
