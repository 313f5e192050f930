//! The share in the TPM, against a software TPM: swtpm, one for each scene.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mayfly_vault::{Error, Life, Tier, Vault};

use crate::home::{Home, START, block_on, body, insert, item, wipe};

const STAGE: &str = "MAYFLY_TPM_SCENE";
const SOCKET: &str = "MAYFLY_TPM";

/// A chip of the test's own; it keeps its state in the folder when it is switched off.
struct Chip(Child);

impl Chip {
    fn switch_on(socket: &Path) -> Self {
        let folder = socket.parent().unwrap().display();
        let child = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .args(["--tpmstate", &format!("dir={folder}")])
            .args(["--server", &format!("type=unixio,path={}", socket.display())])
            .args(["--ctrl", &format!("type=unixio,path={folder}/control")])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        for _ in 0..1200 {
            if socket.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Self(child)
    }
}

impl Drop for Chip {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs one of the scenes below with a chip of its own.
#[allow(clippy::print_stderr)] // What is skipped is said aloud.
fn with_a_chip(scene: &str) {
    if !Command::new("swtpm").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED {scene}: swtpm is missing");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("tpm::{scene}"), "--ignored", "--nocapture"])
        .env(STAGE, scene)
        .env(SOCKET, folder.path().join("socket"))
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// The chip of this scene; nothing where somebody runs the ignored tests without one.
fn chip() -> Option<Chip> {
    std::env::var_os(STAGE)?;
    Some(Chip::switch_on(Path::new(&std::env::var_os(SOCKET)?)))
}

macro_rules! scenes {
    ($($name:ident => $scene:ident),*) => {
        $(#[test] fn $name() { with_a_chip(stringify!($scene)); })*
    };
}

scenes! {
    an_image_of_the_whole_disk_from_before_a_wipe_does_not_open => whole_disk,
    the_tpm_is_written_when_something_died_and_at_most_once_a_minute => seldom,
    without_its_tpm_a_vault_stays_closed_and_a_wipe_goes_on => away,
    a_crash_around_the_move_leaves_exactly_one_epoch_that_opens => crash,
    a_tpm_that_falls_silent_in_the_middle_locks_nobody_out => silent,
    a_panic_and_an_erasure_give_the_place_in_the_tpm_up => panics
}

fn create() -> (Home, Vault) {
    let home = Home::new();
    let vault = home.create();
    assert_ne!(vault.tier(), Tier::Hardware);
    vault.add_tpm().unwrap();
    assert_eq!(vault.tier(), Tier::Hardware);
    (home, vault)
}

/// What the newest header says of the TPM: how often its share was replaced.
fn moves(home: &Home) -> u32 {
    let states = ["state.0", "state.1"].map(|name| std::fs::read(home.place.profile.join(name)).unwrap());
    let newest = states.iter().max_by_key(|state| state[8..16].to_vec()).unwrap();
    u32::from_be_bytes(newest[64..68].try_into().unwrap())
}

fn put_back(from: &Path, to: &Path) {
    let script = "rm -rf \"$2\" && cp -a \"$1\" \"$2\"";
    assert!(Command::new("sh").args(["-c", script, "sh"]).arg(from).arg(to).status().unwrap().success());
}

/// Copies of profile and share: with them whoever has them has the whole disk.
fn copies(home: &Home) -> [std::path::PathBuf; 2] {
    [home.copy(&home.place.profile, "image of the profile"), home.copy(&home.place.share, "image of the share")]
}

fn whole_disk_opens_again(with_tpm: bool) -> bool {
    let home = Home::new();
    let vault = home.create();
    if with_tpm {
        vault.add_tpm().unwrap();
    }
    let dead = insert(&vault, None, Life::Until(START.plus_ms(5_000)), b"dead").unwrap();
    let image = copies(&home);
    home.clock.advance(6_000);
    wipe(&vault);
    assert_eq!(item(&vault, dead), None);
    drop(vault);
    put_back(&image[0], &home.place.profile);
    put_back(&image[1], &home.place.share);
    // The image is carried to another clock, too.
    let past = mayfly_vault::MovableClock::new(START);
    match Vault::open(&home.place, None, std::sync::Arc::new(past)) {
        Ok(vault) => body(&vault, dead).is_some(),
        Err(error) => {
            assert_eq!(error, Error::Locked);
            false
        }
    }
}

#[test]
#[ignore = "a scene: run by a test of its own"]
fn whole_disk() {
    let Some(_chip) = chip() else { return };
    assert!(whole_disk_opens_again(false), "the attack works where there is no TPM");
    assert!(!whole_disk_opens_again(true));
}

#[test]
#[ignore = "a scene: run by a test of its own"]
fn seldom() {
    let Some(_chip) = chip() else { return };
    let (home, vault) = create();
    let before = moves(&home);
    wipe(&vault);
    assert_eq!(moves(&home), before, "nothing died");
    for n in 1..30 {
        insert(&vault, None, Life::Until(START.plus_ms(n * 1_000)), b"dead").unwrap();
    }
    for _ in 0..30 {
        home.clock.advance(1_000);
        wipe(&vault);
    }
    assert_eq!(moves(&home), before + 1);
    // It is owed, and the vault says when: a minute after the first.
    let wait = vault.next_wipe().unwrap().unwrap().0 - vault.now().0;
    assert!((29_000..=33_000).contains(&wait), "{wait}");
    home.clock.advance(wait.try_into().unwrap());
    wipe(&vault);
    assert_eq!(moves(&home), before + 2);
    home.clock.advance(600_000);
    wipe(&vault);
    assert_eq!(moves(&home), before + 2);
    // At the end it does not wait.
    insert(&vault, None, Life::Until(vault.now().plus_ms(1_000)), b"dead").unwrap();
    home.clock.advance(2_000);
    wipe(&vault);
    insert(&vault, None, Life::Until(vault.now().plus_ms(1_000)), b"dead").unwrap();
    home.clock.advance(2_000);
    block_on(vault.close()).unwrap();
    assert_eq!(moves(&home), before + 4);
    home.open();
}

#[test]
#[ignore = "a scene: run by a test of its own"]
fn away() {
    let Some(chip) = chip() else { return };
    let (home, vault) = create();
    let dead = insert(&vault, None, Life::Until(START.plus_ms(1_000)), b"dead").unwrap();
    let alive = insert(&vault, None, Life::Record, b"alive").unwrap();
    let image = home.copy(&home.place.profile, "image");
    drop(chip);
    std::fs::rename(std::env::var_os(SOCKET).unwrap(), home.folder.path().join("old socket")).unwrap();
    home.clock.advance(2_000);
    wipe(&vault);
    assert_eq!(item(&vault, dead), None);
    let wait = vault.next_wipe().unwrap().unwrap().0 - vault.now().0;
    assert!(wait > 50_000, "it is not tried again at once: {wait}");
    block_on(vault.close()).unwrap();
    let look = || ["state.0", "state.1"].map(|name| std::fs::read(home.place.profile.join(name)).unwrap());
    let before = look();
    assert_eq!(home.try_open(None).unwrap_err(), Error::TpmUnavailable);
    assert_eq!(look(), before);
    let _chip = self::chip();
    let count = moves(&home);
    let vault = home.open();
    assert_eq!(moves(&home), count + 1, "what died while it was away is made good");
    assert_eq!(body(&vault, alive).unwrap(), b"alive");
    // Without it again, once that was asked for; and the copy of before is worth nothing.
    vault.remove_tpm().unwrap();
    block_on(vault.close()).unwrap();
    home.open();
    put_back(&image, &home.place.profile);
    assert_eq!(home.try_open(None).unwrap_err(), Error::Locked);
}

#[test]
#[ignore = "a scene: run by a test of its own"]
fn crash() {
    let Some(chip) = chip() else { return };
    let (home, vault) = create();
    let socket = std::env::var_os(SOCKET).unwrap();
    let chips = Path::new(&socket).parent().unwrap().to_owned();
    let alive = insert(&vault, None, Life::Record, b"alive").unwrap();
    let dead = insert(&vault, None, Life::Until(START.plus_ms(1_000)), b"dead").unwrap();
    let [old_profile, old_share, old_chip] =
        [(&home.place.profile, "old profile"), (&home.place.share, "old share"), (&chips, "old chip")]
            .map(|(f, n)| home.copy(f, n));
    home.clock.advance(2_000);
    block_on(vault.wipe()).unwrap();
    drop(vault);
    drop(chip);
    let [profile, share, new_chip] =
        [(&home.place.profile, "new profile"), (&home.place.share, "new share"), (&chips, "new chip")]
            .map(|(f, n)| home.copy(f, n));
    let read = |folder: &Path, name: &str| std::fs::read(folder.join(name)).unwrap();
    let epoch = |state: &[u8]| u64::from_be_bytes(state[8..16].try_into().unwrap());
    let (current, previous) = if epoch(&read(&profile, "state.0")) > epoch(&read(&profile, "state.1")) {
        ("state.0", "state.1")
    } else {
        ("state.1", "state.0")
    };
    let (old_copies, new_copies) = (read(&old_share, "share"), read(&share, "share"));
    // Copy B written; the TPM told; copy A written.
    for (is_told, is_a_new) in [(false, false), (true, false), (true, true)] {
        put_back(if is_told { &new_chip } else { &old_chip }, &chips);
        let chip = self::chip();
        put_back(&profile, &home.place.profile);
        std::fs::write(home.place.profile.join(previous), read(&old_profile, previous)).unwrap();
        let copy_a = if is_a_new { &new_copies[..4096] } else { &old_copies[..4096] };
        std::fs::write(home.place.share.join("share"), [copy_a, &new_copies[4096..]].concat()).unwrap();
        assert!(read(&home.place.profile, current).starts_with(b"MFST"));
        let vault = home.open();
        assert_eq!(body(&vault, alive).unwrap(), b"alive", "{is_told} {is_a_new}");
        assert_eq!(item(&vault, dead), None, "the wipe is run again, or ended");
        drop(vault);
        drop(home.open());
        drop(chip);
    }
}

/// What the line to the chip does to an order to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Whole,
    /// It is carried out, and the answer is lost.
    AnswerLost,
    /// It never arrives.
    OrderLost,
}

/// A line between vault and chip that can break.
struct Wire {
    line: Arc<Mutex<Line>>,
    /// Whether it stays broken for whatever comes after such an order.
    is_dead: Arc<AtomicBool>,
}

impl Wire {
    fn between(vault: &Path, chip: &Path) -> Self {
        let listener = UnixListener::bind(vault).unwrap();
        let wire = Self { line: Arc::new(Mutex::new(Line::Whole)), is_dead: Arc::default() };
        let (line, is_dead, chip) = (Arc::clone(&wire.line), Arc::clone(&wire.is_dead), chip.to_owned());
        std::thread::spawn(move || {
            for vault in listener.incoming() {
                let mut vault = vault.unwrap();
                let order = message(&mut vault);
                let line = *line.lock().unwrap();
                let is_write = order[6..10] == 0x0137_u32.to_be_bytes();
                if line != Line::Whole
                    && (line == Line::OrderLost && is_write || is_dead.load(Ordering::SeqCst) && !is_write)
                {
                    continue;
                }
                let mut chip = UnixStream::connect(&chip).unwrap();
                chip.write_all(&order).unwrap();
                let answer = message(&mut chip);
                if line == Line::Whole || !is_write {
                    vault.write_all(&answer).unwrap();
                }
            }
        });
        wire
    }

    fn set(&self, line: Line, is_dead: bool) {
        *self.line.lock().unwrap() = line;
        self.is_dead.store(is_dead, Ordering::SeqCst);
    }
}

/// A whole command or response, by the length in its header.
fn message(stream: &mut UnixStream) -> Vec<u8> {
    let mut message = vec![0; 10];
    stream.read_exact(&mut message).unwrap();
    let length = u32::from_be_bytes(message[2..6].try_into().unwrap());
    message.resize(length.try_into().unwrap(), 0);
    stream.read_exact(&mut message[10..]).unwrap();
    message
}

#[test]
#[ignore = "a scene: run by a test of its own"]
fn silent() {
    if std::env::var_os(STAGE).is_none() {
        return;
    }
    let socket = std::path::PathBuf::from(std::env::var_os(SOCKET).unwrap());
    let behind = socket.with_extension("behind");
    let _chip = Chip::switch_on(&behind);
    let wire = Wire::between(&socket, &behind);
    for line in [Line::AnswerLost, Line::OrderLost] {
        for is_dead in [false, true] {
            for is_killed in [false, true] {
                let (home, vault) = create();
                let alive = insert(&vault, None, Life::Record, b"alive").unwrap();
                let dead = insert(&vault, None, Life::Until(START.plus_ms(1_000)), b"dead").unwrap();
                home.clock.advance(2_000);
                wire.set(line, is_dead);
                let wiped = block_on(vault.wipe());
                assert_eq!(wiped.is_ok(), !is_dead, "{line:?} {is_dead}: {wiped:?}");
                if is_killed {
                    // As a kill would leave it: nothing more is written.
                    let image = copies(&home);
                    wire.set(Line::Whole, false);
                    drop(vault);
                    put_back(&image[0], &home.place.profile);
                    put_back(&image[1], &home.place.share);
                } else {
                    wire.set(Line::Whole, false);
                    block_on(vault.wipe()).unwrap();
                    assert_eq!(item(&vault, dead), None);
                    insert(&vault, None, Life::Record, b"and on").unwrap();
                    block_on(vault.close()).unwrap();
                }
                let vault = home.open();
                assert_eq!(body(&vault, alive).unwrap(), b"alive", "{line:?} {is_dead} {is_killed}");
                assert_eq!(item(&vault, dead), None);
            }
        }
    }
}

#[test]
#[ignore = "a scene: run by a test of its own"]
fn panics() {
    let Some(_chip) = chip() else { return };
    for how in ["not at all", "panic", "erase"] {
        let (home, vault) = create();
        let image = copies(&home);
        match how {
            "panic" => vault.panic().unwrap(),
            _ => block_on(vault.close()).unwrap(),
        }
        if how == "erase" {
            Vault::erase_at(&home.place).unwrap();
        }
        put_back(&image[0], &home.place.profile);
        put_back(&image[1], &home.place.share);
        // Whether the chip still has the share of the image decides; nothing had died that would have replaced it.
        let opened = home.try_open(None).map(drop);
        assert_eq!(opened, if how == "not at all" { Ok(()) } else { Err(Error::TpmUnavailable) }, "{how}");
    }
}
