//! Faults at every step: the real program is killed, or told that the disk is full or broken, at each call by which it
//! changes anything on disk. Whatever happens, exactly one state opens, nothing dead returns, and nothing living is lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use mayfly_core::ProfilePlace;
use mayfly_tests::{
    cli::{Answer, LIMIT, RelayProgram, Shell, field, meet, with_keyring},
    faulty::{self, Fault, Point},
    forensics::{Canaries, Canary, Loot, Scanner, open_everything},
    process::Program,
};
use mayfly_vault::RawKey;
use tempfile::TempDir;

const FAULTS: [Fault; 4] = [Fault::Kill, Fault::NoSpace, Fault::Broken, Fault::NoSpaceEver];
/// How many messages die, and how many live.
const EACH: usize = 5;
/// How long they have, as the timer and as a wait that is sure to outlast it.
const TIMER: &str = "20s";
const LIFE: Duration = Duration::from_secs(21);
/// How long a program may take that is traced, on a machine with more to do.
const PATIENCE: Duration = Duration::from_mins(2);

/// A person whose profile holds messages that are due and not wiped yet, to be put back as often as needed.
pub struct Victim {
    pub shell: Shell,
    /// Keeps the other one's profile; nobody opens it.
    _peer: Shell,
    dead: Vec<Canary>,
    pub living: Vec<Canary>,
    image: TempDir,
}

/// Something that a person does, and what may open the profile if it is cut short: what did before, or what is to after.
struct Act<'a> {
    name: &'a str,
    words: &'a [&'a str],
    input: &'a str,
    before: Option<&'a str>,
    after: Option<&'a str>,
    /// In CI every so manieth pair of point and fault is tried.
    share: usize,
}

impl Victim {
    /// A profile in which some have 20 seconds to live from now on.
    pub fn prepare(passphrase: Option<&str>) -> Self {
        let mut relay = RelayProgram::start().unwrap();
        let url = relay.url();
        let mut shell = Shell::with_profile("Anna", &[&url]).unwrap();
        let peer = Shell::with_profile("Bela", &[&url]).unwrap();
        meet(&shell, &peer).unwrap();
        if let Some(passphrase) = passphrase {
            let set = shell.command_with_input(&["passphrase", "set"]).unwrap();
            assert!(Program::run(set, &format!("{passphrase}\n"), LIMIT).unwrap().status.success());
        }
        shell.passphrase = passphrase.map(str::to_owned);
        let mut source = Canaries::new();
        let mut make = |name: &str| (0..EACH).map(|n| source.make(format!("{name} {n}")).unwrap()).collect::<Vec<_>>();
        let (dead, living) = (make("dead"), make("living"));
        for (canary, timer) in living.iter().map(|c| (c, "1h")).chain(dead.iter().map(|c| (c, TIMER))) {
            let words = ["send", "Bela", &canary.text(), "--timer", timer, "--mode", "after-send"];
            shell.done(&words).unwrap();
        }
        relay.kill().unwrap();
        let image = tempfile::Builder::new().prefix("mayfly-victim-").tempdir().unwrap();
        let victim = Self { shell, _peer: peer, dead, living, image };
        victim.keep();
        victim
    }

    /// What [`restore`](Self::restore) brings back from now on.
    pub fn keep(&self) {
        for (folder, name) in self.folders() {
            sh("rm", &["-rf".into(), self.image.path().join(name)]);
            sh("cp", &["-a".into(), folder, self.image.path().join(name)]);
        }
    }

    fn folders(&self) -> [(PathBuf, &'static str); 2] {
        let home = self.shell.home();
        // A keyring's file lies among the data, too.
        [(home.join("data"), "data"), (home.join("state"), "state")]
    }

    pub fn place(&self) -> ProfilePlace {
        self.place_if_any().unwrap()
    }

    /// Nothing where the folder of the share is gone.
    pub fn place_if_any(&self) -> Option<ProfilePlace> {
        let [(data, _), (state, _)] = self.folders();
        let dir = data.join("mayfly");
        let mut shares = std::fs::read_dir(state.join("mayfly")).ok()?;
        Some(ProfilePlace { dir, share_dir: shares.next()?.ok()?.path() })
    }

    /// All that a fault may hit.
    pub fn files(&self) -> Vec<PathBuf> {
        let ProfilePlace { dir, share_dir } = self.place();
        let of_profile = ["vault.db", "vault.db-wal", "vault.db-shm", "vault.db-journal", "state.0", "state.1", "lock"];
        let of_share = ["share", "attempts", "CACHEDIR.TAG"];
        let files = of_profile.map(|name| dir.join(name)).into_iter().chain(of_share.map(|name| share_dir.join(name)));
        files.chain([dir.clone(), share_dir.clone()]).collect()
    }

    /// Puts the profile back as it was: due, and not wiped.
    pub fn restore(&self) {
        for (folder, name) in self.folders() {
            sh("rm", &["-rf".into(), folder.clone()]);
            sh("cp", &["-a".into(), self.image.path().join(name), folder]);
        }
    }

    /// The labels of what opens with everything that is left in the files. Only without a passphrase.
    fn opened(&self) -> BTreeSet<String> {
        let scanner = Scanner::new(self.dead.iter().chain(&self.living)).unwrap();
        let loot = Loot::take(&self.place(), &raw_key(&self.shell), true).unwrap();
        let bodies = open_everything(&[&loot]);
        bodies.iter().flat_map(|body| scanner.bytes("body", body)).map(|hit| hit.label).collect()
    }

    /// Runs a verb with this passphrase.
    pub fn ask(&self, passphrase: Option<&str>, words: &[&str]) -> Answer {
        let (command, input) = match passphrase {
            Some(passphrase) => (self.shell.command_with_input(words).unwrap(), format!("{passphrase}\n")),
            None => (self.shell.command_without_input(words).unwrap(), String::new()),
        };
        Answer::of(&Program::run(command, &input, PATIENCE).unwrap()).unwrap()
    }

    /// Opens the profile as anybody would, and looks: one passphrase opens it, the living are there, and the dead are in
    /// no file. Gives what opened it.
    fn check<'a>(&self, act: &Act<'a>, what: &str) -> Option<&'a str> {
        let without = self.ask(None, &["messages", "Bela"]);
        let (opener, answer) = if without.status.success() {
            (None, without)
        } else {
            let candidates: BTreeSet<&str> = [act.before, act.after].into_iter().flatten().collect();
            let tried = candidates.into_iter().map(|one| (Some(one), self.ask(Some(one), &["messages", "Bela"])));
            let mut opened: Vec<_> = tried.filter(|(_, answer)| answer.status.success()).collect();
            assert_eq!(opened.len(), 1, "{what}: exactly one opens it, or nobody is asked: {:?}", without.stderr);
            opened.remove(0)
        };
        assert!(opener == act.before || opener == act.after, "{what}: {opener:?} opens it");
        let shown: BTreeSet<String> = answer.objects.iter().map(|m| field(m, "text").to_owned()).collect();
        for canary in &self.living {
            assert!(shown.contains(&canary.text()), "{what}: something living is lost");
        }
        for canary in &self.dead {
            assert!(!shown.contains(&canary.text()), "{what}: something dead returned");
        }
        if opener.is_none() {
            let left: Vec<String> = self.opened().into_iter().filter(|label| label.starts_with("dead")).collect();
            assert!(left.is_empty(), "{what}: what died opens from the files: {left:?}");
        }
        opener
    }

    /// Does it once, with this fault at this point. Gives the code of the error that the person saw.
    fn suffer(&self, act: &Act<'_>, point: &Point, fault: Fault) -> Option<String> {
        let what = format!("{}, {fault:?} at {} {} ({})", act.name, point.call, point.number, point.file);
        self.restore();
        let command = faulty::at(&self.command(act), point, fault, &self.files());
        let ended = Program::run(command, act.input, PATIENCE).unwrap_or_else(|error| panic!("{what}: {error}"));
        let said = ended.stderr.join("\n");
        assert!(!said.contains("panicked"), "{what}: {said}");
        let code = ended.stderr.iter().find_map(|line| {
            let told: serde_json::Value = serde_json::from_str(line).ok()?;
            Some(field(&told, "code").to_owned())
        });
        let is_killed = fault == Fault::Kill;
        assert!(is_killed || ended.status.success() || code.is_some(), "{what}: no code but {said}");
        let opener = self.check(act, &what);
        assert!(!ended.status.success() || opener == act.after, "{what}: it was said to be done");
        code
    }

    fn command(&self, act: &Act<'_>) -> Command {
        let with_input = !act.input.is_empty();
        let shell = &self.shell;
        (if with_input { shell.command_with_input(act.words) } else { shell.command_without_input(act.words) }).unwrap()
    }

    /// All points and faults of an act, or a share of them that is spread over all.
    fn suffer_all(&self, act: &Act<'_>, is_long: bool) {
        self.restore();
        let points = faulty::points(&self.command(act), act.input, &self.files()).unwrap();
        self.check(act, act.name);
        let mut of_files: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for point in &points {
            *of_files.entry((point.call, &point.file)).or_default() += 1;
        }
        println!("{}: {} points: {of_files:?}", act.name, points.len());
        assert!(points.len() > 20, "{}: only {} points were seen", act.name, points.len());
        let all: Vec<(&Point, Fault)> =
            FAULTS.into_iter().flat_map(|fault| points.iter().map(move |p| (p, fault))).collect();
        let step = if is_long { 1 } else { act.share };
        let tried: Vec<_> = all.iter().step_by(step).collect();
        let mut codes: BTreeMap<String, usize> = BTreeMap::new();
        for (point, fault) in &tried {
            if let Some(code) = self.suffer(act, point, *fault) {
                *codes.entry(code).or_default() += 1;
            }
        }
        println!("{}: {} of {} faults suffered; the person saw {codes:?}", act.name, tried.len(), all.len());
    }
}

/// The key that the database has now.
fn raw_key(shell: &Shell) -> RawKey {
    let key = shell.done(&["vault", "key"]).unwrap();
    let hex = |name: &str| hex::decode(field(&key[0], name)).unwrap();
    RawKey { key: hex("key").try_into().unwrap(), salt: hex("salt").try_into().unwrap() }
}

fn sh(program: &str, arguments: &[PathBuf]) {
    assert!(Command::new(program).args(arguments).stdin(Stdio::null()).status().unwrap().success());
}

const fn act<'a>(
    name: &'a str,
    words: &'a [&'a str],
    input: &'a str,
    [before, after]: [Option<&'a str>; 2],
    share: usize,
) -> Act<'a> {
    Act { name, words, input, before, after, share }
}

fn without_a_passphrase(is_long: bool) {
    let plain = Victim::prepare(None);
    // The control: with these files as they are, a thief reads the dead, too.
    assert_eq!(plain.opened().len(), 2 * EACH, "before the wipe all opens, or this search sees nothing");
    sleep(LIFE);
    plain.suffer_all(&act("wipe", &["chats"], "", [None, None], 7), is_long);
    plain.suffer_all(&act("renew the key", &["vault", "renew-key"], "", [None, None], 29), is_long);
    plain.suffer_all(&act("set", &["passphrase", "set"], "second\n", [None, Some("second")], 47), is_long);
}

fn with_a_passphrase(is_long: bool) {
    let guarded = Victim::prepare(Some("first"));
    sleep(LIFE);
    let first = Some("first");
    let change = act("change", &["passphrase", "change"], "first\nsecond\n", [first, Some("second")], 53);
    guarded.suffer_all(&change, is_long);
    let duress = act("set one for duress", &["passphrase", "duress"], "first\nhelp\n", [first, first], 71);
    guarded.suffer_all(&duress, is_long);
    guarded.suffer_all(&act("remove", &["passphrase", "remove"], "first\n", [first, None], 59), is_long);
}

fn with_a_keyring(is_long: bool) {
    if !has_keyring() {
        return;
    }
    let mut tied = Victim::prepare(None);
    tied.shell.wrapper = with_keyring();
    sleep(LIFE);
    tied.suffer_all(&act("tie to the keyring", &["keyring", "on"], "", [None, None], 61), is_long);
    tied.restore();
    tied.shell.done(&["keyring", "on"]).unwrap();
    tied.keep();
    tied.suffer_all(&act("untie from the keyring", &["keyring", "off"], "", [None, None], 67), is_long);
}

/// Whether a keyring can be started here.
fn has_keyring() -> bool {
    let has = ["dbus-run-session", "gnome-keyring-daemon"].iter().all(|program| {
        Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    });
    if !has {
        println!("SKIPPED faults with a keyring: dbus-run-session or gnome-keyring-daemon is missing");
    }
    has
}

#[test]
fn no_fault_at_a_step_of_a_wipe_or_of_a_change_of_access_loses_or_resurrects_anything() {
    without_a_passphrase(false);
}

#[test]
fn no_fault_at_a_step_of_a_change_of_the_passphrase_loses_or_resurrects_anything() {
    with_a_passphrase(false);
}

#[test]
fn no_fault_at_a_step_of_tying_to_the_keyring_loses_or_resurrects_anything() {
    with_a_keyring(false);
}

#[test]
#[ignore = "long"]
fn no_fault_at_all_steps_of_a_wipe_and_of_changes_of_access_loses_or_resurrects_anything() {
    without_a_passphrase(true);
}

#[test]
#[ignore = "long"]
fn no_fault_at_all_steps_of_changes_of_the_passphrase_loses_or_resurrects_anything() {
    with_a_passphrase(true);
}

#[test]
#[ignore = "long"]
fn no_fault_at_all_steps_of_tying_to_the_keyring_loses_or_resurrects_anything() {
    with_a_keyring(true);
}
