//! Making, opening, closing and destroying a whole vault.

use std::sync::Arc;

use mayfly_vault::{Error, Life, Passphrase, Place, Vault};

use crate::home::{Home, block_on, body, create_chat, insert, wipe, write};

#[test]
fn a_vault_opens_again_with_everything_that_was_acknowledged() {
    let home = Home::new();
    assert!(!Vault::exists(&home.place));
    assert_eq!(home.try_open(None).unwrap_err(), Error::Missing);
    let vault = home.create();
    let chat = create_chat(&vault);
    let id = insert(&vault, Some(chat), Life::Record, b"text").unwrap();
    assert!(Vault::exists(&home.place));
    for close in [true, false, true, false] {
        let vault = if close { vault.clone() } else { home.open() };
        if close && block_on(vault.close()).is_ok() {
            assert_eq!(vault.read(|r| r.item(id)), Err(Error::Closed));
            assert_eq!(insert(&vault, None, Life::Record, b""), Err(Error::Closed));
            assert_eq!(block_on(vault.wipe()), Err(Error::Closed));
            assert_eq!(block_on(vault.close()), Err(Error::Closed));
            continue;
        }
        if !close {
            assert_eq!(body(&vault, id).unwrap(), b"text");
        }
    }
}

#[test]
fn a_second_vault_is_not_made_over_the_first() {
    let home = Home::new();
    drop(home.create());
    let again = Vault::create(&home.place, None, Arc::new(home.clock.clone()));
    assert_eq!(again.unwrap_err(), Error::AlreadyCreated);
}

#[test]
fn a_profile_is_held_by_one_vault_at_a_time() {
    let home = Home::new();
    let vault = home.create();
    assert_eq!(home.try_open(None).unwrap_err(), Error::InUse);
    block_on(vault.close()).unwrap();
    let second = home.open();
    assert_eq!(home.try_open(None).unwrap_err(), Error::InUse);
    drop(second);
    home.open();
}

#[test]
fn only_the_right_passphrase_opens() {
    let home = Home::new();
    let pass = Passphrase::from("paßwort — ﬁve words".to_owned());
    let vault = Vault::create(&home.place, Some(&pass), Arc::new(home.clock.clone())).unwrap();
    let id = insert(&vault, None, Life::Record, b"text").unwrap();
    drop(vault);
    assert!(Vault::needs_passphrase(&home.place).unwrap());
    assert_eq!(home.try_open(None).unwrap_err(), Error::PassphraseNeeded);
    assert_eq!(home.try_open(Some("paßwort — five word")).unwrap_err(), Error::Locked);
    let vault = home.try_open(Some("paßwort — five words")).unwrap();
    assert_eq!(body(&vault, id).unwrap(), b"text");
}

#[test]
fn without_a_passphrase_none_is_asked_for() {
    let home = Home::new();
    assert_eq!(Vault::needs_passphrase(&home.place), Err(Error::Missing));
    drop(home.create());
    assert!(!Vault::needs_passphrase(&home.place).unwrap());
}

#[test]
fn without_its_share_file_a_vault_stays_locked_and_nothing_is_mended() {
    let home = Home::new();
    drop(home.create());
    let kept = home.copy(&home.place.share, "kept");
    std::fs::write(home.place.share.join("share"), vec![0; 8192]).unwrap();
    let before = std::fs::read(home.place.profile.join("state.1")).unwrap();
    assert_eq!(home.try_open(None).unwrap_err(), Error::Locked);
    assert_eq!(std::fs::read(home.place.profile.join("state.1")).unwrap(), before);
    std::fs::copy(kept.join("share"), home.place.share.join("share")).unwrap();
    home.open();
}

#[test]
fn a_share_that_this_build_cannot_supply_is_named_as_the_reason() {
    let home = Home::new();
    drop(home.create());
    for name in ["state.0", "state.1"] {
        let path = home.place.profile.join(name);
        let mut state = std::fs::read(&path).unwrap();
        if state.starts_with(b"MFST") {
            state[6] |= 16;
        }
        std::fs::write(path, state).unwrap();
    }
    assert_eq!(home.try_open(None).unwrap_err(), Error::ShareUnavailable);
}

#[test]
fn a_missing_database_is_not_replaced_by_an_empty_one() {
    let home = Home::new();
    drop(home.create());
    std::fs::rename(home.place.profile.join("vault.db"), home.place.profile.join("away")).unwrap();
    assert_eq!(home.try_open(None).unwrap_err(), Error::Disk(std::io::ErrorKind::NotFound));
    assert!(!home.place.profile.join("vault.db").exists());
}

/// Puts one file of an earlier copy back, as a crash at that point would have left it.
fn crash(file: &str, from: &std::path::Path, home: &Home) {
    let to = if file == "share" { &home.place.share } else { &home.place.profile };
    std::fs::copy(from.join(file), to.join(file)).unwrap();
}

#[test]
fn a_crash_anywhere_in_a_wipe_opens_again_and_ends_the_wipe() {
    // Which files are still the old ones, and which copies of the share: W1 torn, W1 done, B new and A old, W2 done.
    for step in 0..4 {
        let home = Home::new();
        let vault = home.create();
        let dead = insert(&vault, None, Life::Until(crate::home::START.plus_ms(1_000)), b"a").unwrap();
        let alive = insert(&vault, None, Life::Record, b"b").unwrap();
        let old = home.copy(&home.place.profile, "old");
        let old_share = home.copy(&home.place.share, "old share");
        home.clock.advance(2_000);
        block_on(vault.wipe()).unwrap();
        drop(vault);
        let share = std::fs::read(home.place.share.join("share")).unwrap();
        let old_copies = std::fs::read(old_share.join("share")).unwrap();
        let is_odd_current = std::fs::read(home.place.profile.join("state.1")).unwrap()[15] % 2 == 1;
        let (current, previous) = if is_odd_current { ("state.1", "state.0") } else { ("state.0", "state.1") };
        crash(previous, &old, &home);
        match step {
            0 => {
                let mut torn = std::fs::read(home.place.profile.join(current)).unwrap();
                torn[150..].fill(0);
                std::fs::write(home.place.profile.join(current), torn).unwrap();
                crash("share", &old_share, &home);
            }
            1 => crash("share", &old_share, &home),
            2 => {
                let mixed = [&old_copies[..4096], &share[4096..]].concat();
                std::fs::write(home.place.share.join("share"), mixed).unwrap();
            }
            _ => {}
        }
        let vault = home.open();
        assert_eq!(crate::home::item(&vault, dead), None, "step {step}");
        assert_eq!(body(&vault, alive).unwrap(), b"b", "step {step}");
        let copies = std::fs::read(home.place.share.join("share")).unwrap();
        assert_eq!(copies[..4096], copies[4096..], "both copies are of the new epoch");
        let states = ["state.0", "state.1"].map(|name| std::fs::read(home.place.profile.join(name)).unwrap());
        assert_eq!(states.iter().filter(|state| state.iter().all(|byte| *byte == 0)).count(), 1);
    }
}

#[test]
fn files_are_written_in_place_and_never_grow_shrink_or_move() {
    use std::os::unix::fs::MetadataExt;
    let home = Home::new();
    let vault = home.create();
    let files =
        [home.place.profile.join("state.0"), home.place.profile.join("state.1"), home.place.share.join("share")];
    let look = || files.clone().map(|file| std::fs::metadata(file).map(|found| (found.ino(), found.len())).unwrap());
    let before = look();
    assert_eq!(before.map(|(_, length)| length), [256 * 1024, 256 * 1024, 8192]);
    let id = insert(&vault, None, Life::Record, b"").unwrap();
    for _ in 0..20 {
        write(&vault, move |w| w.replace(id, b"again")).unwrap();
        wipe(&vault);
    }
    assert_eq!(look(), before);
    assert!(home.place.share.join("CACHEDIR.TAG").exists());
}

#[test]
fn a_state_that_outgrows_its_file_is_still_written_and_opens() {
    let home = Home::new();
    let vault = home.create();
    // Early deaths of timed items, each in a second of its own far from the others: the dearest thing for the frontier.
    let ids: Vec<_> = (1..400)
        .map(|n| insert(&vault, None, Life::Until(crate::home::START.plus_ms(n * 3_600_000)), b"a").unwrap())
        .collect();
    let alive = insert(&vault, None, Life::Until(crate::home::START.plus_ms(86_400_000)), b"alive").unwrap();
    write(&vault, move |w| ids.into_iter().try_for_each(|id| w.wipe(id).map(|_| ()))).unwrap();
    wipe(&vault);
    drop(vault);
    let longest = ["state.0", "state.1"].map(|name| std::fs::metadata(home.place.profile.join(name)).unwrap().len());
    assert!(longest.into_iter().max().unwrap() > 256 * 1024, "{longest:?}");
    let vault = home.open();
    assert_eq!(body(&vault, alive).unwrap(), b"alive");
}

#[test]
fn panic_destroys_an_open_vault_and_leaves_nothing_that_opens() {
    let home = Home::new();
    let vault = home.create();
    let id = insert(&vault, None, Life::Record, b"a").unwrap();
    let copy = home.copy(&home.place.profile, "copy");
    vault.panic().unwrap();
    assert_eq!(vault.read(|r| r.item(id)), Err(Error::Closed));
    assert!(!Vault::exists(&home.place));
    for file in ["vault.db", "vault.db-wal", "state.0", "state.1"] {
        assert!(!home.place.profile.join(file).exists(), "{file}");
    }
    drop(vault);
    // Not even the whole profile of before helps.
    for file in ["vault.db", "state.0", "state.1"] {
        std::fs::copy(copy.join(file), home.place.profile.join(file)).unwrap();
    }
    assert_eq!(home.try_open(None).unwrap_err(), Error::Locked);
}

#[test]
fn a_panic_that_broke_off_is_finished_by_the_next_opener() {
    let home = Home::new();
    drop(home.create());
    let mut share = std::fs::read(home.place.share.join("share")).unwrap();
    share[4096..].fill(0);
    share[4096..4100].copy_from_slice(b"MFPX");
    std::fs::write(home.place.share.join("share"), share).unwrap();
    assert!(Vault::exists(&home.place));
    assert_eq!(home.try_open(None).unwrap_err(), Error::Panicked);
    assert!(!Vault::exists(&home.place));
    assert!(!home.place.profile.join("vault.db").exists());
    // And a new life can begin there.
    home.create();
}

#[test]
fn panic_works_without_opening_and_where_nothing_is() {
    let home = Home::new();
    let nowhere = Place { profile: home.folder.path().join("no"), share: home.folder.path().join("where") };
    Vault::panic_at(&nowhere).unwrap();
    assert!(!nowhere.profile.exists());
    drop(home.create());
    Vault::panic_at(&home.place).unwrap();
    assert!(!Vault::exists(&home.place));
    assert_eq!(home.try_open(None).unwrap_err(), Error::Missing);
}

#[test]
fn a_panic_that_comes_from_elsewhere_ends_a_running_vault_for_good() {
    let home = Home::new();
    let vault = home.create();
    let id = insert(&vault, None, Life::Record, b"a").unwrap();
    // The files of before the panic, as its own descriptors still have them.
    let share = std::fs::File::open(home.place.share.join("share")).unwrap();
    let states = [0, 1].map(|n| std::fs::File::open(home.place.profile.join(format!("state.{n}"))).unwrap());
    Vault::panic_at(&home.place).unwrap();
    assert_eq!(block_on(vault.wipe()), Err(Error::Panicked));
    assert_eq!(block_on(vault.wipe()), Err(Error::Closed));
    assert_eq!(vault.read(|r| r.item(id)), Err(Error::Closed));
    drop(vault);
    let bytes = |mut file: std::fs::File| {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
        bytes
    };
    assert!(bytes(share).chunks(4096).all(|copy| copy.starts_with(b"MFPX")));
    assert!(states.map(bytes).iter().flatten().all(|byte| *byte == 0));
}

#[test]
fn the_tier_is_told_in_words() {
    let home = Home::new();
    let vault = home.create();
    assert!(vault.tier().words().len() > 20);
}

#[test]
fn after_erasing_not_a_file_is_left_wherever_it_was_broken_off() {
    let names = |home: &Home| -> Vec<String> {
        let folders = [&home.place.profile, &home.place.share].map(std::fs::read_dir);
        folders.into_iter().flatten().flatten().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let home = Home::new();
    let vault = home.create();
    assert_eq!(Vault::erase_at(&home.place), Err(Error::InUse));
    drop(vault);
    let all = names(&home);
    assert!(all.len() >= 8, "{all:?}");
    Vault::erase_at(&home.place).unwrap();
    assert!(!home.place.profile.exists() && !home.place.share.exists(), "{:?}", names(&home));
    // Whatever of it a kill left behind, the next call removes.
    for missing in all {
        let home = Home::new();
        drop(home.create());
        for folder in [&home.place.profile, &home.place.share] {
            let _ = std::fs::rename(folder.join(&missing), home.folder.path().join("away"));
        }
        Vault::erase_at(&home.place).unwrap();
        assert!(!home.place.profile.exists() && !home.place.share.exists(), "without {missing}: {:?}", names(&home));
        assert_eq!(home.try_open(None).unwrap_err(), Error::Missing);
    }
    // What somebody else put there stays.
    let home = Home::new();
    drop(home.create());
    std::fs::write(home.place.profile.join("a letter"), "").unwrap();
    Vault::erase_at(&home.place).unwrap();
    assert_eq!(names(&home), ["a letter"]);
}
