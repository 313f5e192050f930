//! A wall clock that was set back lengthens no life: the real program, lied to about the time.

use std::{path::Path, process::Command, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use mayfly_tests::{
    cli::{LIMIT, RelayProgram, Shell, meet, moment, now},
    process::Program,
};

/// How far the lie puts the wall clock back.
const BACK: &str = "-1h";

fn lies(library: &Path) -> Vec<(String, String)> {
    wall_clock(library, BACK)
}

/// What libfaketime is told. Its threads-aware build is preloaded; the monotonic clocks stay true, as they do when
/// somebody sets a machine's clock.
pub fn wall_clock(library: &Path, lie: &str) -> Vec<(String, String)> {
    let library = library.to_str().unwrap().to_owned();
    let settings = [("LD_PRELOAD", library.as_str()), ("FAKETIME", lie), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
    settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Where Debian puts the library, on either machine; `None` where it is not installed.
pub fn library() -> Option<std::path::PathBuf> {
    let found = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    let mut candidates: Vec<_> = found.map(|dir| dir.join("faketime/libfaketimeMT.so.1")).collect();
    candidates.push("/usr/lib/faketime/libfaketimeMT.so.1".into());
    candidates.into_iter().find(|path| path.is_file())
}

/// What a program of the system takes for the time under these lies.
fn wall_clock_of_a_liar(person: &Shell) -> DateTime<Utc> {
    let mut command = Command::new("date");
    command.arg("+%s").envs(person.environment.clone());
    let ended = Program::run(command, "", LIMIT).unwrap();
    DateTime::from_timestamp(ended.stdout[0].parse().unwrap(), 0).unwrap()
}

#[test]
fn a_clock_an_hour_back_lengthens_no_life_of_what_was_received_before() {
    let Some(library) = library() else {
        println!("SKIPPED: libfaketime is not installed (apt-get install faketime)");
        return;
    };
    let relay = RelayProgram::start().unwrap();
    let anna = Shell::with_profile("Anna", &[&relay.url()]).unwrap();
    let mut bela = Shell::with_profile("Bela", &[&relay.url()]).unwrap();
    meet(&anna, &bela).unwrap();
    anna.done(&["send", "Bela", "ten seconds", "--timer", "10s", "--mode", "after-send"]).unwrap();
    let listener = bela.listen().unwrap();
    let received = listener.received("ten seconds").unwrap();
    let deadline = moment(&received, "expires_at").unwrap();
    listener.stop().unwrap();

    bela.environment = lies(&library);
    let lie = now() - wall_clock_of_a_liar(&bela);
    assert!((lie - TimeDelta::hours(1)).abs() < TimeDelta::seconds(5), "the lie works: {lie}");
    assert_eq!(bela.done(&["messages", "Anna"]).unwrap().len(), 1, "it lives until its second");
    let listener = bela.listen().unwrap();
    let is_wipe = |event: &serde_json::Value| event["ids"].as_array().is_some_and(|ids| ids.contains(&received["id"]));
    listener.event(LIMIT, is_wipe).unwrap();
    let late = now() - deadline;
    assert!(late >= TimeDelta::zero() && late <= TimeDelta::seconds(1), "{late}");
    listener.stop().unwrap();
    assert!(bela.done(&["messages", "Anna"]).unwrap().is_empty());
    bela.environment.clear();
    assert!(bela.done(&["messages", "Anna"]).unwrap().is_empty(), "nor does the true time bring it back");
}

#[test]
fn what_is_sent_and_received_under_a_clock_an_hour_back_goes_by_the_true_time() {
    let Some(library) = library() else {
        println!("SKIPPED: libfaketime is not installed (apt-get install faketime)");
        return;
    };
    let relay = RelayProgram::start().unwrap();
    let anna = Shell::with_profile("Anna", &[&relay.url()]).unwrap();
    let mut bela = Shell::with_profile("Bela", &[&relay.url()]).unwrap();
    meet(&anna, &bela).unwrap();
    bela.environment = lies(&library);

    let before = now();
    bela.done(&["send", "Anna", "mine", "--timer", "3s", "--mode", "after-send"]).unwrap();
    let mine = bela.done(&["messages", "Anna"]).unwrap().remove(0);
    let sent_at = moment(&mine, "sent_at").unwrap();
    assert!(sent_at >= before && sent_at <= now(), "the vault knows how much time has passed since it last was true");
    anna.done(&["send", "Bela", "yours", "--timer", "3s", "--mode", "after-send"]).unwrap();
    let listener = bela.listen().unwrap();
    let yours = listener.received("yours").unwrap();
    listener.stop().unwrap();
    for message in [&mine, &yours] {
        assert!(moment(message, "expires_at").unwrap() <= now() + TimeDelta::seconds(4));
    }
    std::thread::sleep((moment(&yours, "expires_at").unwrap() - now()).to_std().unwrap_or(Duration::ZERO));
    assert!(bela.done(&["messages", "Anna"]).unwrap().is_empty());
}

#[test]
fn a_profile_that_was_made_under_a_clock_an_hour_back_still_counts_every_second() {
    let Some(library) = library() else {
        println!("SKIPPED: libfaketime is not installed (apt-get install faketime)");
        return;
    };
    // Nothing can know the true time here; but time passes, and set back once more it goes on passing.
    let mut shell = Shell::new().unwrap();
    shell.environment = lies(&library);
    shell.done(&["profile", "create", "--name", "Anna", "--no-passphrase", "--relay", "ws://127.0.0.1:9"]).unwrap();
    let first = shell.done(&["invite"]).unwrap().remove(0);
    let lie = now() - (moment(&first, "expires_at").unwrap() - TimeDelta::days(7));
    assert!((lie - TimeDelta::hours(1)).abs() < TimeDelta::seconds(5), "the program itself believes the lie: {lie}");
    for (name, value) in &mut shell.environment {
        if name == "FAKETIME" {
            "-2h".clone_into(value);
        }
    }
    std::thread::sleep(Duration::from_secs(1));
    let second = shell.done(&["invite"]).unwrap().remove(0);
    let passed = moment(&second, "expires_at").unwrap() - moment(&first, "expires_at").unwrap();
    assert!(passed >= TimeDelta::seconds(1) && passed <= TimeDelta::seconds(10), "{passed}");
}
