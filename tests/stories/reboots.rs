//! Sleep and restarts between two starts of the real program, with a wall clock that is set to anything meanwhile: the boot
//! clock of each start is moved in a time namespace, and a restart has another boot id.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use mayfly_tests::cli::{LIMIT, RelayProgram, Shell, meet, moment, now};

use crate::clock_back::{library, wall_clock};

/// Puts another boot id in the place of the machine's, in a mount namespace, and goes on as the program.
const ANOTHER_BOOT: &str = "mount --bind \"$BOOT\" /proc/sys/kernel/random/boot_id && exec \"$0\" \"$@\"";

/// A profile with a message, on a machine that is put to sleep, restarted and lied to.
struct Machine {
    bela: Shell,
    _people: (Shell, RelayProgram),
    library: PathBuf,
    deadline: chrono::DateTime<chrono::Utc>,
}

impl Machine {
    /// A message with this life was received, and the program closed. Nothing where this cannot be played.
    fn with_message(story: &str, timer: &str) -> Option<Self> {
        let Some(library) = library() else {
            println!("SKIPPED {story}: libfaketime is not installed (apt-get install faketime)");
            return None;
        };
        let unshare = ["--mount", "--time", "--boottime", "1", "true"];
        if !Command::new("unshare").args(unshare).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
            println!("SKIPPED {story}: time namespaces take root here");
            return None;
        }
        let relay = RelayProgram::start().unwrap();
        let anna = Shell::with_profile("Anna", &[&relay.url()]).unwrap();
        let bela = Shell::with_profile("Bela", &[&relay.url()]).unwrap();
        meet(&anna, &bela).unwrap();
        anna.done(&["send", "Bela", "words", "--timer", timer, "--mode", "after-send"]).unwrap();
        let listener = bela.listen().unwrap();
        let received = listener.received("words").unwrap();
        listener.stop().unwrap();
        let deadline = moment(&received, "expires_at").unwrap();
        Some(Self { bela, _people: (anna, relay), library, deadline })
    }

    /// The machine as it is: no lies.
    fn true_again(&mut self) -> &mut Self {
        self.bela.wrapper.clear();
        self.bela.environment.clear();
        self
    }

    /// It slept for so long, and the wall clock says what it said before.
    fn slept(&mut self, seconds: u64) -> &mut Self {
        let seconds = seconds.to_string();
        self.bela.wrapper = ["unshare", "--time", "--boottime", &seconds].map(str::to_owned).to_vec();
        self
    }

    /// It was restarted ten seconds ago, and the wall clock was set.
    fn restarted(&mut self, wall: &str) -> &mut Self {
        let boot = self.bela.home().join("boot_id");
        std::fs::write(&boot, "0f0f0f0f-0000-4000-8000-0f0f0f0f0f0f\n").unwrap();
        let uptime: f64 = std::fs::read_to_string("/proc/uptime").unwrap().split(' ').next().unwrap().parse().unwrap();
        let offset = format!("{:.0}", -(uptime - 10.0).max(0.0));
        let wrapper = ["unshare", "--mount", "--time", "--boottime", &offset, "sh", "-c", ANOTHER_BOOT];
        self.bela.wrapper = wrapper.map(str::to_owned).to_vec();
        self.bela.environment = wall_clock(&self.library, wall);
        self.bela.environment.push(("BOOT".to_owned(), boot.to_str().unwrap().to_owned()));
        self
    }

    fn shows(&self) -> usize {
        self.bela.done(&["messages", "Anna"]).unwrap().len()
    }
}

#[test]
fn a_night_asleep_counts_though_the_wall_clock_was_set_back_by_it() {
    let Some(mut machine) = Machine::with_message("a night asleep", "1h") else { return };
    assert_eq!(machine.slept(1_800).shows(), 1, "half its life is left");
    assert_eq!(machine.slept(3_700).shows(), 0, "its life is over, whatever the wall clock says");
    assert_eq!(machine.true_again().shows(), 0, "nor does the true time bring it back");
}

#[test]
fn after_a_restart_a_clock_set_back_by_a_year_lengthens_no_life() {
    let Some(mut machine) = Machine::with_message("a restart with the clock set back", "15s") else { return };
    let machine = machine.restarted("-365d");
    assert_eq!(machine.shows(), 1, "it lives until its second");
    let listener = machine.bela.listen().unwrap();
    let is_wipe = |event: &serde_json::Value| event["event"] == "messages_wiped";
    listener.event(LIMIT, is_wipe).unwrap();
    let since = now() - machine.deadline;
    // What the mark was behind when the program was closed, and no more than the seconds that passed between the starts.
    assert!(since.num_seconds() < 15, "it outlived its time by {since}");
    listener.stop().unwrap();
    assert_eq!(machine.shows(), 0);
    assert_eq!(machine.true_again().shows(), 0, "nor does the true time bring it back");
}

#[test]
fn a_clock_set_forward_across_a_restart_kills_within_a_year_and_beyond_it_only_hides() {
    let Some(mut machine) = Machine::with_message("a restart with the clock set forward", "1h") else { return };
    assert_eq!(machine.restarted("+600d").shows(), 0, "what would be dead by then is not shown");
    assert_eq!(machine.true_again().shows(), 1, "and such a leap is not believed");
    assert_eq!(machine.restarted("+300d").shows(), 0);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(machine.true_again().shows(), 0, "weeks switched off are likely, and nothing tells them from a lie");
}
