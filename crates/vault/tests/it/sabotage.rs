//! Each protection, switched off, must break a check that otherwise holds.
//!
//! The switch is one for the whole process, so each sabotaged check runs in a process of its own: this same binary,
//! told by two variables what to do.

use std::process::Command;

use mayfly_vault::sabotage::{Sabotage, switch_on};
use mayfly_vault::{Life, Vault};

use crate::adversary::a2;
use crate::home::{Home, START, body, insert, item, open_database, rows, write};

/// A promise, and whether it holds.
type Check = fn() -> bool;

fn dead_stay_dead() -> bool {
    let outcome = a2(100, true);
    outcome.recovered == 0
}

/// Somebody with the database key gives one item the seal of another.
fn seals_cannot_be_moved() -> bool {
    let home = Home::new();
    let vault = home.create();
    let (one, two) = (record(&vault, b"one"), record(&vault, b"two"));
    let key = vault.raw_key().unwrap().key;
    drop(vault);
    let conn = open_database(&home.place.profile.join("vault.db"), &key);
    conn.execute(
        "UPDATE item SET (tau, gen, wrap, body) = (SELECT tau, gen, wrap, body FROM item WHERE item_id = ?2)
         WHERE item_id = ?1",
        rusqlite::params![one.as_bytes(), two.as_bytes()],
    )
    .unwrap();
    drop(conn);
    let vault = home.open();
    item(&vault, one).unwrap().body.is_none() && body(&vault, two).unwrap() == b"two"
}

/// Two bodies under one key and nonce give away how they differ.
fn no_key_seals_twice() -> bool {
    let home = Home::new();
    let vault = home.create();
    let id = record(&vault, b"the same text");
    let sealed = |name: &str| {
        let copy = home.copy(&home.place.profile, name);
        let found = rows(&copy, &vault.raw_key().unwrap().key);
        found.into_iter().find(|row| row.id == id).unwrap().body
    };
    let before = sealed("before");
    write(&vault, move |w| w.replace(id, b"the same text")).unwrap();
    sealed("after") != before
}

fn nothing_dies_early() -> bool {
    let home = Home::new();
    let vault = home.create();
    let deadline = START.plus_ms(1_500);
    let id = insert(&vault, None, Life::Held { limit: None }, b"alive").unwrap();
    let promised = write(&vault, move |w| w.start_timer(id, deadline)).unwrap();
    home.clock.advance(1_499);
    promised >= deadline && body(&vault, id).is_some()
}

fn record(vault: &Vault, text: &[u8]) -> mayfly_vault::ItemId {
    insert(vault, None, Life::Record, text).unwrap()
}

const CHECKS: [(&str, Sabotage, Check); 7] = [
    ("skip W2", Sabotage::SkipW2, dead_stay_dead),
    ("keep the old slot", Sabotage::KeepOldSlot, dead_stay_dead),
    ("no puncture when a timer starts", Sabotage::NoPunctureOnTimerStart, dead_stay_dead),
    ("forget where it hung", Sabotage::ForgetWhereItHung, || crate::renewal::stolen_while_it_moves() == 0),
    ("no additional data", Sabotage::NoAad, seals_cannot_be_moved),
    ("reuse a key", Sabotage::ReuseDek, no_key_seals_twice),
    ("round the deadline down", Sabotage::RoundDeadlineDown, nothing_dies_early),
];

const WHICH: &str = "MAYFLY_SABOTAGED_CHECK";

#[test]
fn every_check_holds_without_sabotage() {
    for (name, _, check) in CHECKS {
        assert!(check(), "{name}");
    }
}

#[test]
fn no_sabotage_survives_its_check() {
    for (name, _, _) in CHECKS {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sabotage::one_sabotaged_check", "--ignored", "--nocapture"])
            .env(WHICH, name)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("CAUGHT"), "{name} survived: {said}");
    }
}

#[test]
#[ignore = "run by no_sabotage_survives_its_check, in a process of its own"]
fn one_sabotaged_check() {
    // Whoever runs the ignored tests too has named no sabotage; the parent always does.
    let Ok(name) = std::env::var(WHICH) else { return };
    let (_, sabotage, check) = CHECKS.into_iter().find(|(which, ..)| *which == name).unwrap();
    switch_on(sabotage);
    let holds = check();
    switch_on(Sabotage::None);
    #[allow(clippy::print_stdout)] // How the parent learns that the check itself said no, and not some other failure.
    if !holds {
        println!("CAUGHT");
    }
}
