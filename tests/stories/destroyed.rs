//! Faults while a profile is destroyed: it is whole as before, or nothing of it opens any more, and never anything between.

use std::{collections::BTreeMap, process::Command, thread::sleep, time::Duration};

use mayfly_tests::{
    cli::{Answer, LIMIT, field},
    faulty::{self, Fault, Point},
    forensics::{Loot, Scanner, open_everything},
    process::Program,
};
use mayfly_vault::RawKey;

use crate::faults::Victim;

const FAULTS: [Fault; 4] = [Fault::Kill, Fault::NoSpace, Fault::Broken, Fault::NoSpaceEver];
const PATIENCE: Duration = Duration::from_mins(2);
const PASS: &str = "first";

/// A way to destroy: what is typed.
struct Way {
    name: &'static str,
    words: &'static [&'static str],
    input: &'static str,
    /// In CI every so manieth pair of point and fault is tried.
    share: usize,
}

const WAYS: [Way; 4] = [
    Way { name: "panic", words: &["panic", "--yes"], input: "", share: 5 },
    Way { name: "erase", words: &["erase", "--yes"], input: "", share: 11 },
    Way { name: "duress", words: &["messages", "Bela"], input: "help\n", share: 29 },
    Way { name: "one wrong passphrase too many", words: &["messages", "Bela"], input: "wrong\n", share: 7 },
];

fn command(victim: &Victim, way: &Way) -> Command {
    let shell = &victim.shell;
    (if way.input.is_empty() { shell.command_without_input(way.words) } else { shell.command_with_input(way.words) })
        .unwrap()
}

/// The labels of what opens from the files with the database's key, which is known from before.
fn opened(victim: &Victim, key: &RawKey) -> usize {
    let place = victim.place_if_any();
    let Some(loot) = place.and_then(|place| Loot::take(&place, key, true).ok()) else { return 0 };
    let scanner = Scanner::new(&victim.living).unwrap();
    open_everything(&[&loot]).iter().filter(|body| !scanner.bytes("body", body).is_empty()).count()
}

/// Whether it opens, whole; or does not, and nothing of it does.
fn is_whole(victim: &Victim, key: &RawKey, what: &str) -> bool {
    let answer = insist(victim, "first\n", &["messages", "Bela"]);
    if answer.status.success() {
        let shown: Vec<&str> = answer.objects.iter().map(|message| field(message, "text")).collect();
        assert!(victim.living.iter().all(|canary| shown.contains(&canary.text().as_str())), "{what}: half of it opens");
        return true;
    }
    let codes = ["profile_missing", "profile_destroyed", "locked"];
    assert!(codes.contains(&code(&answer).as_str()), "{what}: {:?}", answer.stderr);
    assert_eq!(opened(victim, key), 0, "{what}: words open from what is left of it");
    false
}

fn code(answer: &Answer) -> String {
    let told = answer.stderr.iter().find_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    told.map(|told| field(&told, "code").to_owned()).unwrap_or_default()
}

fn suffer(victim: &Victim, key: &RawKey, way: &Way, point: &Point, fault: Fault) -> bool {
    let what = format!("{}, {fault:?} at {} {} ({})", way.name, point.call, point.number, point.file);
    victim.restore();
    let command = faulty::at(&command(victim, way), point, fault, &victim.files());
    let ended = Program::run(command, way.input, PATIENCE).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(!ended.stderr.join("\n").contains("panicked"), "{what}: {:?}", ended.stderr);
    let is_whole = is_whole(victim, key, &what);
    assert!(!ended.status.success() || !is_whole, "{what}: it was said to be done");
    // The right passphrase has come meanwhile, and takes the wrong ones off the count.
    if is_whole && way.input != "wrong\n" {
        insist(victim, way.input, way.words);
        assert!(!self::is_whole(victim, key, &what), "{what}: it cannot be destroyed any more");
    }
    is_whole
}

/// Runs a verb, and again where it has to wait after wrong passphrases.
fn insist(victim: &Victim, input: &str, words: &[&str]) -> Answer {
    loop {
        let shell = &victim.shell;
        let command =
            if input.is_empty() { shell.command_without_input(words) } else { shell.command_with_input(words) };
        let answer = Answer::of(&Program::run(command.unwrap(), input, PATIENCE).unwrap()).unwrap();
        let told = answer.stderr.iter().find_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        match told.filter(|told| field(told, "code") == "too_many_attempts") {
            Some(told) => sleep(Duration::from_secs(told["wait_s"].as_u64().unwrap_or(1))),
            None => return answer,
        }
    }
}

fn suffer_all(is_long: bool) {
    let victim = Victim::prepare(Some(PASS));
    let set = |words: &[&str], input: &str| {
        let ended = Program::run(victim.shell.command_with_input(words).unwrap(), input, LIMIT).unwrap();
        Answer::of(&ended).unwrap()
    };
    assert!(set(&["passphrase", "duress"], "first\nhelp\n").status.success());
    assert!(set(&["passphrase", "limit", "3"], "first\n").status.success());
    let told = set(&["vault", "key"], "first\n");
    let hex = |name: &str| hex::decode(field(&told.objects[0], name)).unwrap();
    let key = RawKey { key: hex("key").try_into().unwrap(), salt: hex("salt").try_into().unwrap() };
    for way in WAYS {
        if way.input == "wrong\n" {
            victim.restore();
            for _ in 0..2 {
                assert!(!set(&["chats"], "wrong\n").status.success());
            }
        }
        if way.name == "panic" || way.input == "wrong\n" {
            victim.keep();
        }
        victim.restore();
        let points = faulty::points_of_failure(&command(&victim, &way), way.input, &victim.files()).unwrap();
        assert!(!is_whole(&victim, &key, way.name), "{} destroys nothing", way.name);
        let mut of_files: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for point in &points {
            *of_files.entry((point.call, &point.file)).or_default() += 1;
        }
        println!("{}: {} points: {of_files:?}", way.name, points.len());
        let all: Vec<(&Point, Fault)> = FAULTS.into_iter().flat_map(|f| points.iter().map(move |p| (p, f))).collect();
        let step = if is_long { 1 } else { way.share };
        let tried: Vec<_> = all.iter().step_by(step).collect();
        let whole = tried.iter().filter(|(point, fault)| suffer(&victim, &key, &way, point, *fault)).count();
        println!("{}: {} of {} faults suffered; {whole} left it whole", way.name, tried.len(), all.len());
    }
}

#[test]
fn a_fault_while_a_profile_is_destroyed_leaves_it_whole_or_gone() {
    suffer_all(false);
}

#[test]
#[ignore = "long"]
fn all_faults_while_a_profile_is_destroyed_leave_it_whole_or_gone() {
    suffer_all(true);
}
