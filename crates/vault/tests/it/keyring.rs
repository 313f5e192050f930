//! The share in the login's keyring, against a real Secret Service: GNOME's, on a bus and in a home of its own.

use std::num::NonZeroU32;
use std::process::{Command, Stdio};
use std::sync::Arc;

use std::path::PathBuf;

use mayfly_vault::forensics::Known;
use mayfly_vault::{Error, Life, Vault};

use crate::access::pass;
use crate::adversary::Loot;
use crate::home::{Home, START, block_on, body, insert, wipe};

const STAGE: &str = "MAYFLY_KEYRING_SCENE";

/// Unlocks the keyring of an empty home and runs one of the scenes below on its bus.
#[allow(clippy::print_stderr)] // What is skipped is said aloud.
fn on_a_bus(scene: &str) {
    let has = |program: &str| Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok();
    if !has("dbus-run-session") || !has("gnome-keyring-daemon") {
        eprintln!("SKIPPED {scene}: dbus-run-session or gnome-keyring-daemon is missing");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let script = "printf known | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1 && exec \"$0\" --exact \"$1\" --ignored --nocapture";
    let output = Command::new("dbus-run-session")
        .args(["--", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .arg(format!("keyring::{scene}"))
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env(STAGE, scene)
        .envs(["HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME"].map(|name| (name, home.path())))
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

macro_rules! scenes {
    ($($name:ident => $scene:ident),*) => {
        $(#[test] fn $name() { on_a_bus(stringify!($scene)); })*
    };
}

scenes! {
    a_vault_that_the_keyring_knows_opens_and_an_older_copy_of_profile_and_share_does_not => rolled_back,
    without_its_entry_a_vault_stays_closed_and_nothing_is_changed => no_entry,
    a_locked_keyring_is_named_as_the_reason => locked,
    a_keyring_that_hangs_stops_no_wipe => hangs,
    the_keyring_remembers_wrong_passphrases_though_the_share_folder_is_copied_back => tries,
    a_panic_takes_the_entry_along => panics,
    who_knows_the_entry_opens_nothing_dead_in_a_copy_from_before => known_entry,
    the_key_in_the_keyring_is_one_that_the_root_is_made_of => needed
}

/// Whether this process was started on a bus of its own: whoever runs the ignored tests too must not touch a real keyring.
fn is_on_stage() -> bool {
    std::env::var_os(STAGE).is_some()
}

fn create() -> (Home, Vault) {
    let home = Home::new();
    let vault = home.create();
    vault.add_keyring().unwrap();
    assert!(vault.has_keyring());
    (home, vault)
}

fn store_id(home: &Home) -> String {
    let state = ["state.0", "state.1"].map(|name| std::fs::read(home.place.profile.join(name)).unwrap());
    let state = state.into_iter().find(|state| state.starts_with(b"MFST")).unwrap();
    hex::encode(&state[16..32])
}

fn entry(home: &Home) -> keyring::Entry {
    keyring::Entry::new("mayfly", &store_id(home)).unwrap()
}

/// The mark in the entry.
fn mark(entry: &keyring::Entry) -> u64 {
    u64::from_str_radix(&entry.get_password().unwrap()[16..32], 16).unwrap()
}

fn put_back(from: &std::path::Path, to: &std::path::Path) {
    let script = "rm -rf \"$2\" && cp -a \"$1\" \"$2\"";
    assert!(Command::new("sh").args(["-c", script, "sh"]).arg(from).arg(to).status().unwrap().success());
}

#[test]
#[ignore = "a scene: run by a test of its own"]
fn rolled_back() {
    if !is_on_stage() {
        return;
    }
    let (home, vault) = create();
    let id = insert(&vault, None, Life::Record, b"text").unwrap();
    block_on(vault.close()).unwrap();
    let entry = entry(&home);
    let before = mark(&entry);
    let profile = home.copy(&home.place.profile, "old profile");
    let share = home.copy(&home.place.share, "old share");

    let vault = home.open();
    assert_eq!(body(&vault, id).unwrap(), b"text");
    // Once a minute, and never ahead of what is on the disk.
    wipe(&vault);
    home.clock.advance(61_000);
    wipe(&vault);
    block_on(vault.close()).unwrap();
    assert!(mark(&entry) > before, "the mark has moved");
    block_on(home.open().close()).unwrap();

    put_back(&profile, &home.place.profile);
    put_back(&share, &home.place.share);
    assert_eq!(home.try_open(None).unwrap_err(), Error::RolledBack);
}

#[test]
#[ignore = "a scene: run by a test of its own"]
fn no_entry() {
    if !is_on_stage() {
        return;
    }
    let (home, vault) = create();
    insert(&vault, None, Life::Record, b"text").unwrap();
    block_on(vault.close()).unwrap();
    let entry = entry(&home);
    let kept = entry.get_password().unwrap();
    entry.delete_credential().unwrap();
    let look = || ["state.0", "state.1"].map(|name| std::fs::read(home.place.profile.join(name)).unwrap());
    let before = look();
    assert_eq!(home.try_open(None).unwrap_err(), Error::KeyringEmpty);
    assert_eq!(look(), before);
    entry.set_password(&kept).unwrap();
    let vault = home.open();
    // Without the keyring it opens again once that was asked for.
    vault.remove_keyring().unwrap();
    block_on(vault.close()).unwrap();
    assert!(matches!(entry.get_password(), Err(keyring::Error::NoEntry)));
    home.open();
}

fn send(arguments: &[&str]) -> String {
    let destination = if arguments[0].starts_with("org.freedesktop.DBus") {
        "org.freedesktop.DBus"
    } else {
        "org.freedesktop.secrets"
    };
    let path = if destination.ends_with("DBus") { "/org/freedesktop/DBus" } else { "/org/freedesktop/secrets" };
    let output = Command::new("dbus-send")
        .args(["--session", "--print-reply=literal", &format!("--dest={destination}"), path])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "a scene: run by a test of its own"]
fn locked() {
    if !is_on_stage() {
        return;
    }
    let (home, vault) = create();
    block_on(vault.close()).unwrap();
    send(&["org.freedesktop.Secret.Service.Lock", "array:objpath:/org/freedesktop/secrets/collection/login"]);
    // Nobody is there to answer the question that the keyring asks.
    assert_eq!(home.try_open(None).unwrap_err(), Error::KeyringLocked);
}

#[test]
#[ignore = "a scene: run by a test of its own"]
fn hangs() {
    if !is_on_stage() {
        return;
    }
    let (home, vault) = create();
    let said = send(&["org.freedesktop.DBus.GetConnectionUnixProcessID", "string:org.freedesktop.secrets"]);
    let service = said.split_whitespace().last().unwrap().to_owned();
    let signal = |name: &str| assert!(Command::new("kill").args([name, &service]).status().unwrap().success());
    home.clock.advance(61_000);
    signal("-STOP");
    let id = insert(&vault, None, Life::Until(vault.now().plus_ms(1_000)), b"text").unwrap();
    for _ in 0..3 {
        home.clock.advance(61_000);
        wipe(&vault);
    }
    assert_eq!(body(&vault, id), None);
    // Nor does it keep anybody in.
    block_on(vault.close()).unwrap();
    signal("-CONT");
    home.open();
}

#[test]
#[ignore = "a scene: run by a test of its own"]
fn tries() {
    if !is_on_stage() {
        return;
    }
    let home = Home::new();
    let vault = Vault::create(&home.place, Some(&pass("one")), Arc::new(home.clock.clone())).unwrap();
    vault.add_keyring().unwrap();
    vault.set_erase_after(NonZeroU32::new(50)).unwrap();
    block_on(vault.close()).unwrap();
    let share = home.copy(&home.place.share, "old share");
    for _ in 0..3 {
        assert_eq!(home.try_open(Some("two")).unwrap_err(), Error::Locked);
    }
    put_back(&share, &home.place.share);
    assert_eq!(home.try_open(Some("one")).unwrap_err(), Error::TooManyAttempts { wait_s: 5 });
    home.clock.advance(5_000);
    home.try_open(Some("one")).unwrap();
    home.try_open(Some("one")).unwrap();
}

#[test]
#[ignore = "a scene: run by a test of its own"]
fn panics() {
    if !is_on_stage() {
        return;
    }
    let (home, vault) = create();
    let entry = entry(&home);
    vault.panic().unwrap();
    assert!(matches!(entry.get_password(), Err(keyring::Error::NoEntry)));
    // And by whoever has not opened it.
    let (home, vault) = create();
    block_on(vault.close()).unwrap();
    let entry = self::entry(&home);
    let share = std::fs::read(home.place.share.join("share")).unwrap();
    Vault::erase_at(&home.place).unwrap();
    assert!(matches!(entry.get_password(), Err(keyring::Error::NoEntry)));
    assert!(!home.place.profile.exists() && !home.place.share.exists());
    // One that broke off before the keyring was asked is finished by whoever comes next.
    let (home, vault) = create();
    block_on(vault.close()).unwrap();
    let entry = self::entry(&home);
    let id: Vec<u8> = hex::decode(store_id(&home)).unwrap();
    let copy = [b"MFPX".as_slice(), &id, &vec![0; share.len() / 2 - 20]].concat();
    std::fs::write(home.place.share.join("share"), [copy.as_slice(), &copy].concat()).unwrap();
    for name in ["state.0", "state.1"] {
        std::fs::write(home.place.profile.join(name), vec![0; 256 * 1024]).unwrap();
    }
    assert_eq!(home.try_open(None).unwrap_err(), Error::Panicked);
    assert!(matches!(entry.get_password(), Err(keyring::Error::NoEntry)));
}

#[test]
#[ignore = "a scene: run by a test of its own"]
fn known_entry() {
    if !is_on_stage() {
        return;
    }
    let home = Home::new();
    let vault = home.create();
    let dead = insert(&vault, None, Life::Until(START.plus_ms(5_000)), b"dead").unwrap();
    insert(&vault, None, Life::Record, b"alive").unwrap();
    let profile = &home.place.profile;
    let mut profiles = vec![home.copy(profile, "without")];
    vault.add_keyring().unwrap();
    let kept = entry(&home).get_password().unwrap();
    profiles.push(home.copy(profile, "with"));
    let old_share = home.copy(&home.place.share, "old share");
    home.clock.advance(6_000);
    wipe(&vault);
    assert_eq!(body(&vault, dead), None);
    vault.remove_keyring().unwrap();
    wipe(&vault);
    profiles.push(home.copy(profile, "without again"));
    let shares = [home.copy(&home.place.share, "share after")];
    let key = vault.raw_key().unwrap().key;
    let known = [Known::default(), Known { keyring: Some(&kept), pass: None }];
    let found = |shares: &[PathBuf]| Loot::gather_by(&profiles, shares, &key, &known).everything();
    assert!(found(&shares).contains(b"alive".as_slice()) && !found(&shares).contains(b"dead".as_slice()));
    // The attack sees: with the share file of that time it gets what lived then.
    assert!(found(&[old_share]).contains(b"dead".as_slice()));
}

#[test]
#[ignore = "a scene: run by a test of its own"]
fn needed() {
    if !is_on_stage() {
        return;
    }
    let (home, vault) = create();
    block_on(vault.close()).unwrap();
    let entry = entry(&home);
    let kept = entry.get_password().unwrap();
    let other = if &kept[32..33] == "0" { "1" } else { "0" };
    entry.set_password(&[&kept[..32], other, &kept[33..]].concat()).unwrap();
    assert_eq!(home.try_open(None).unwrap_err(), Error::Locked);
    entry.set_password(&kept).unwrap();
    home.open();
}
