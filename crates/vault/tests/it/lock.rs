//! Locking: nothing is read or written, and what is due dies on time all the same.

use std::path::PathBuf;
use std::sync::Arc;

use mayfly_vault::{Error, ItemId, Life, Vault};

use crate::access::pass;
use crate::adversary::Loot;
use crate::home::{Home, block_on, body, create_chat, insert, rows, wipe, write};

fn create(home: &Home) -> Vault {
    Vault::create(&home.place, Some(&pass("word")), Arc::new(home.clock.clone())).unwrap()
}

fn lock(vault: &Vault) {
    block_on(vault.lock()).unwrap();
}

#[test]
fn a_locked_vault_gives_nothing_and_takes_nothing_until_its_passphrase_comes() {
    let home = Home::new();
    let vault = create(&home);
    let chat = create_chat(&vault);
    let id = insert(&vault, Some(chat), Life::Record, b"text").unwrap();
    lock(&vault);
    lock(&vault);
    assert!(vault.is_locked());
    assert_eq!(vault.read(|r| r.item(id)), Err(Error::IsLocked));
    assert_eq!(insert(&vault, None, Life::Record, b"no"), Err(Error::IsLocked));
    assert_eq!(vault.remove_passphrase(&pass("word")), Err(Error::IsLocked));
    assert_eq!(block_on(vault.renew_database_key()), Err(Error::IsLocked));
    assert_eq!(block_on(vault.settled()), Err(Error::IsLocked));
    assert_eq!(vault.set_erase_after(None), Err(Error::IsLocked));
    assert_eq!(vault.unlock(&pass("world")), Err(Error::PassphraseWrong));
    assert_eq!(vault.read(|r| r.item(id)), Err(Error::IsLocked));
    vault.unlock(&pass("word")).unwrap();
    assert!(!vault.is_locked());
    assert_eq!(body(&vault, id).unwrap(), b"text");
    insert(&vault, Some(chat), Life::Record, b"more").unwrap();
    wipe(&vault);
}

#[test]
fn without_a_passphrase_there_is_no_locking() {
    let home = Home::new();
    let vault = home.create();
    assert_eq!(block_on(vault.lock()), Err(Error::PassphraseUnset));
    assert!(!vault.is_locked());
    insert(&vault, None, Life::Record, b"text").unwrap();
}

#[test]
fn a_locked_vault_closes_and_opens_again_as_any_other() {
    let home = Home::new();
    let vault = create(&home);
    let id = insert(&vault, None, Life::Record, b"text").unwrap();
    for is_closed in [true, false] {
        let vault = if is_closed { vault.clone() } else { home.try_open(Some("word")).unwrap() };
        lock(&vault);
        if is_closed {
            block_on(vault.close()).unwrap();
        }
    }
    assert_eq!(body(&home.try_open(Some("word")).unwrap(), id).unwrap(), b"text");
}

#[test]
fn a_locked_vault_is_destroyed_as_any_other() {
    let home = Home::new();
    let vault = create(&home);
    lock(&vault);
    vault.panic().unwrap();
    assert!(!Vault::exists(&home.place));
}

/// Everything that lies on the disk at a moment: the profile, and apart from it the share.
fn image(home: &Home, name: &str) -> (PathBuf, PathBuf) {
    (home.copy(&home.place.profile, name), home.copy(&home.place.share, &format!("{name} share")))
}

#[test]
fn what_is_due_while_locked_dies_in_its_second_and_an_image_from_before_brings_nothing_back() {
    let home = Home::new();
    let vault = create(&home);
    let chat = create_chat(&vault);
    let due = vault.now().plus_ms(10_000);
    let life = [Life::Until(due), Life::Held { limit: Some(due) }];
    let dying: Vec<ItemId> = (0..20)
        .map(|n: usize| insert(&vault, Some(chat), life[n % 2], format!("dead {n}").as_bytes()).unwrap())
        .collect();
    let by_hand = insert(&vault, Some(chat), Life::Record, b"dead by hand").unwrap();
    let stays = insert(&vault, Some(chat), Life::Held { limit: None }, b"stays").unwrap();
    let database_key = vault.raw_key().unwrap().key;
    let words = [&pass("word")];
    let found = |images: &[&(PathBuf, PathBuf)], shares: &[&(PathBuf, PathBuf)]| {
        let profiles: Vec<PathBuf> = images.iter().map(|(profile, _)| profile.clone()).collect();
        let shares: Vec<PathBuf> = shares.iter().map(|(_, share)| share.clone()).collect();
        let texts = Loot::knowing(&profiles, &shares, &database_key, &words).everything();
        texts.iter().filter(|text| text.starts_with(b"dead")).count()
    };
    // The log has to be in the file for a copy that is opened elsewhere.
    let before = image(&home, "before");
    write(&vault, move |w| w.wipe(by_hand)).unwrap();
    lock(&vault);
    let locked = image(&home, "locked");
    assert_eq!(found(&[&before, &locked], &[&locked]), 20, "all but what was wiped by hand is alive");
    let next = vault.next_wipe().unwrap().unwrap();
    assert!(next >= due && next < due.plus_ms(1000), "{next:?}");
    home.clock.advance(u64::try_from(next.0 - vault.now().0).unwrap());
    block_on(vault.wipe()).unwrap();
    let after = image(&home, "after");
    assert!(vault.is_locked());
    assert_eq!(found(&[&before, &locked, &after], &[&after]), 0);
    assert_eq!(
        found(&[&before, &locked, &after], &[&before, &after]),
        21,
        "the share file from before would find them"
    );
    assert_eq!(rows(&after.0, &database_key).iter().filter(|row| dying.contains(&row.id)).count(), 20);
    assert!(vault.next_wipe().unwrap().unwrap() > vault.now().plus_ms(60_000));

    vault.unlock(&pass("word")).unwrap();
    assert!(dying.iter().all(|id| body(&vault, *id).is_none()));
    assert_eq!(body(&vault, stays).unwrap(), b"stays");
    wipe(&vault);
    let cleared = image(&home, "cleared");
    assert!(!rows(&cleared.0, &database_key).iter().any(|row| dying.contains(&row.id)));
    assert_eq!(found(&[&before, &locked, &after, &cleared], &[&after, &cleared]), 0);
}
