//! Programs that a story starts have a home of their own and leave nothing running behind.

use std::io;
use std::path::Path;
use std::time::Duration;

use mayfly_tests::process::{Home, Program, program};
use mayfly_tests::xvfb::Display;

const LIMIT: Duration = Duration::from_secs(20);

fn shell(home: &Home, script: &str) -> std::process::Command {
    let mut command = home.command("sh");
    command.args(["-c", script]);
    command
}

fn is_running(pid: &str) -> bool {
    // A zombie is no longer running, it only waits to be collected.
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").trim_start().starts_with('Z'))
}

#[test]
fn a_program_lives_in_its_own_home() {
    let home = Home::new().unwrap();
    let script = "echo $HOME; echo $XDG_STATE_HOME; echo ${USER-none}; cat; echo oh >&2; exit 3";
    let ended = Program::run(shell(&home, script), "said\n", LIMIT).unwrap();
    let root = home.root().to_str().unwrap();
    assert_eq!(ended.stdout, [&format!("{root}/home"), &format!("{root}/state"), "none", "said"]);
    assert_eq!((ended.stderr.as_slice(), ended.status.code()), (["oh".to_owned()].as_slice(), Some(3)));
}

#[test]
fn letting_go_of_a_program_ends_everything_it_started() {
    let home = Home::new().unwrap();
    let script = "sleep 1000 & echo $!; sleep 1000";
    let program = Program::start(shell(&home, script)).unwrap();
    let child = program.line(LIMIT, |line| !line.is_empty()).unwrap();
    assert!(is_running(&child));
    drop(program);
    // The grandchild is collected by init, in its own time.
    let gone = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        !is_running(&child)
    });
    assert!(gone);
}

#[test]
fn a_line_that_does_not_come_is_an_error_that_says_why() {
    let home = Home::new().unwrap();
    let talking = Program::start(shell(&home, "echo why >&2; sleep 1000")).unwrap();
    let error = talking.line(Duration::from_millis(200), |_| true).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(error.to_string().contains("why"));
    let ending = Program::start(shell(&home, "echo other")).unwrap();
    let error = ending.line(LIMIT, |line| line == "wanted").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    let slow = Program::run(shell(&home, "sleep 1000"), "", Duration::from_millis(100));
    assert_eq!(slow.unwrap_err().kind(), io::ErrorKind::TimedOut);
}

#[test]
fn a_program_that_is_not_built_says_which_command_builds_it() {
    let error = program("mayfly-no-such-program").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(error.to_string().contains("./dev test"));
}

#[cfg(target_os = "linux")]
#[test]
fn two_displays_stand_side_by_side_and_can_be_pictured() {
    let dir = tempfile::tempdir().unwrap();
    let first = Display::start().unwrap().with_window_manager().unwrap();
    let second = Display::start().unwrap();
    assert_ne!(first.name(), second.name());
    for display in [&first, &second] {
        let path = dir.path().join("screen.png");
        display.picture(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap()[..8], *b"\x89PNG\r\n\x1a\n");
    }
}
