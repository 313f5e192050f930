//! Wrong passphrases cost time, across restarts and copies, and one too many costs everything.

use std::num::NonZeroU32;
use std::sync::Arc;

use mayfly_vault::{Error, Life, Vault};

use crate::access::pass;
use crate::home::{Home, body, insert};

fn create(home: &Home) -> Vault {
    Vault::create(&home.place, Some(&pass("one")), Arc::new(home.clock.clone())).unwrap()
}

#[test]
fn wrong_passphrases_cost_a_wait_that_outlives_restarts_clocks_and_a_copied_back_profile() {
    let home = Home::new();
    let vault = create(&home);
    let id = insert(&vault, None, Life::Record, b"text").unwrap();
    drop(vault);
    let profile = home.copy(&home.place.profile, "copy");
    for _ in 0..3 {
        assert_eq!(home.try_open(Some("two")).unwrap_err(), Error::Locked);
    }
    let too_many = |wait_s| Error::TooManyAttempts { wait_s };
    assert_eq!(home.try_open(Some("one")).unwrap_err(), too_many(5));
    // What is refused before it is tried costs nothing more.
    assert_eq!(home.try_open(Some("two")).unwrap_err(), too_many(5));
    for name in ["state.0", "state.1", "vault.db"] {
        std::fs::copy(profile.join(name), home.place.profile.join(name)).unwrap();
    }
    home.clock.advance(1_000);
    home.clock.set_wall(crate::home::START.plus_ms(900_000));
    assert_eq!(home.try_open(Some("one")).unwrap_err(), too_many(4));
    home.clock.advance(4_000);
    assert_eq!(home.try_open(Some("two")).unwrap_err(), Error::Locked);
    assert_eq!(home.try_open(Some("one")).unwrap_err(), too_many(30));
    home.clock.reboot();
    assert_eq!(home.try_open(Some("one")).unwrap_err(), too_many(30));
    home.clock.advance(30_000);
    let vault = home.try_open(Some("one")).unwrap();
    assert_eq!(body(&vault, id).unwrap(), b"text");
    drop(vault);
    // The right one forgives.
    assert_eq!(home.try_open(Some("two")).unwrap_err(), Error::Locked);
    assert_eq!(home.try_open(None).unwrap_err(), Error::PassphraseNeeded);
    home.try_open(Some("one")).unwrap();
}

#[test]
fn a_passphrase_asked_for_while_open_is_counted_the_same_way() {
    let home = Home::new();
    let vault = create(&home);
    vault.set_duress(&pass("one"), Some(&pass("help"))).unwrap();
    vault.check_passphrase(&pass("one")).unwrap();
    assert_eq!(vault.check_passphrase(&pass("help")), Err(Error::Duress));
    for _ in 0..2 {
        assert_eq!(vault.check_passphrase(&pass("two")), Err(Error::PassphraseWrong));
    }
    assert_eq!(vault.change_passphrase(&pass("one"), &pass("two")), Err(Error::TooManyAttempts { wait_s: 5 }));
    home.clock.advance(5_000);
    vault.check_passphrase(&pass("one")).unwrap();
}

#[test]
fn one_wrong_passphrase_too_many_destroys_everything_where_that_was_asked_for() {
    let home = Home::new();
    let vault = create(&home);
    assert_eq!(vault.erase_after(), None);
    vault.set_erase_after(NonZeroU32::new(3)).unwrap();
    drop(vault);
    // A right one begins the count anew.
    for word in ["two", "two", "one", "two", "two"] {
        assert_eq!(home.try_open(Some(word)).is_ok(), word == "one");
    }
    assert_eq!(home.try_open(Some("one")).unwrap().erase_after(), NonZeroU32::new(3));
    for _ in 0..2 {
        assert_eq!(home.try_open(Some("two")).unwrap_err(), Error::Locked);
    }
    let copy = home.copy(&home.place.profile, "copy");
    assert_eq!(home.try_open(Some("two")).unwrap_err(), Error::Panicked);
    assert!(!Vault::exists(&home.place));
    for name in ["state.0", "state.1", "vault.db"] {
        std::fs::copy(copy.join(name), home.place.profile.join(name)).unwrap();
    }
    assert_eq!(home.try_open(Some("one")).unwrap_err(), Error::Locked);
}
