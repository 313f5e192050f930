//! Faults at a chosen system call of a real program: it is killed there, or told that the disk is full or broken.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What happens at the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The program dies before the call does anything.
    Kill,
    /// The disk is full, once.
    NoSpace,
    /// The disk is broken, once.
    Broken,
    /// The disk is full, and stays so.
    NoSpaceEver,
}

impl Fault {
    fn words(self) -> &'static str {
        match self {
            Self::Kill => "signal=KILL",
            Self::NoSpace | Self::NoSpaceEver => "error=ENOSPC",
            Self::Broken => "error=EIO",
        }
    }
}

/// The calls by which anything on a disk changes.
const CALLS: [&str; 9] =
    ["write", "pwrite64", "fdatasync", "fsync", "ftruncate", "fallocate", "rename", "unlink", "unlinkat"];

/// The number-th call of this name that any one thread makes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// The call.
    pub call: &'static str,
    /// Counted from 1.
    pub number: usize,
    /// The file that it touches, by its last name; for a person who reads the list.
    pub file: String,
}

/// Runs a command to its end under `strace` and gives every point at which it changes one of these files or folders.
///
/// # Errors
/// Fails when there is no `strace`, or it is not allowed to trace.
pub fn points(command: &Command, input: &str, files: &[PathBuf]) -> io::Result<Vec<Point>> {
    let log = tempfile::NamedTempFile::new()?;
    let mut traced = wrapped(command, log.path(), files, None);
    if run(&mut traced, input)? {
        read(log.path())
    } else {
        Err(io::Error::other("the program failed without any fault"))
    }
}

/// The same for a program that ends with an error, as one does that was given a wrong passphrase.
///
/// # Errors
/// Fails when there is no `strace`, or it is not allowed to trace.
pub fn points_of_failure(command: &Command, input: &str, files: &[PathBuf]) -> io::Result<Vec<Point>> {
    let log = tempfile::NamedTempFile::new()?;
    run(&mut wrapped(command, log.path(), files, None), input)?;
    read(log.path())
}

fn read(log: &Path) -> io::Result<Vec<Point>> {
    let text = std::fs::read_to_string(log)?;
    let mut per_thread: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut points: BTreeMap<(&'static str, usize), String> = BTreeMap::new();
    for line in text.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        let Some(call) = CALLS.into_iter().find(|call| rest.strip_prefix(call).is_some_and(|r| r.starts_with('(')))
        else {
            continue;
        };
        let number = per_thread.entry((thread, call)).or_default();
        *number += 1;
        points.entry((call, *number)).or_insert_with(|| file_of(rest));
    }
    Ok(points.into_iter().map(|((call, number), file)| Point { call, number, file }).collect())
}

/// Prepares a command that meets a fault at a point, counted over these files and folders alone.
pub fn at(command: &Command, point: &Point, fault: Fault, files: &[PathBuf]) -> Command {
    let each = if fault == Fault::NoSpaceEver { "+" } else { "" };
    let inject = format!("inject={}:{}:when={}{each}", point.call, fault.words(), point.number);
    wrapped(command, Path::new("/dev/null"), files, Some(&inject))
}

fn wrapped(command: &Command, log: &Path, files: &[PathBuf], inject: Option<&str>) -> Command {
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qqq", "-y", "-s", "0", "-o"]).arg(log);
    traced.arg("-e").arg(format!("trace={}", CALLS.join(",")));
    // Nothing else: a runtime that cannot wake its threads by a write to a pipe would stand still.
    traced.args(files.iter().flat_map(|file| [OsStr::new("-P"), file.as_os_str()]));
    if let Some(inject) = inject {
        traced.args(["-e", inject]);
    }
    traced.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => traced.env(name, value),
            None => traced.env_remove(name),
        };
    }
    traced
}

/// Whether it succeeded.
fn run(command: &mut Command, input: &str) -> io::Result<bool> {
    use io::Write as _;
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    Ok(child.wait()?.success())
}

/// The last name of the path between angle brackets, as strace shows a descriptor, or between quotes.
fn file_of(call: &str) -> String {
    let between = |open: char, close: char| call.split(open).nth(1).and_then(|rest| rest.split(close).next());
    let path = between('<', '>').or_else(|| between('"', '"')).unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default().to_owned()
}
