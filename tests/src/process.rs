//! Starts the programs a user would start, each in a process group and with a home of its own, and
//! ends that group when the story lets go of it.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

/// A home directory with all that the XDG rules place in it, gone with the value.
///
/// A program that runs in it finds no file of the machine's user, and whatever it writes lies under
/// [`Home::root`].
#[derive(Debug)]
pub struct Home {
    root: TempDir,
}

impl Home {
    /// A new, empty home.
    ///
    /// # Errors
    ///
    /// Fails when the directories cannot be made.
    pub fn new() -> io::Result<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        let home = Self { root: tempfile::Builder::new().prefix("mayfly-home-").tempdir()? };
        for (_, dir) in home.variables() {
            std::fs::create_dir_all(&dir)?;
        }
        // A runtime directory that others could enter is refused by D-Bus and others.
        let private = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(home.runtime_dir(), private)?;
        Ok(home)
    }

    /// The directory that holds everything.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// What programs find as `$XDG_STATE_HOME`.
    pub fn state_dir(&self) -> PathBuf {
        self.root().join("state")
    }

    /// What programs find as `$XDG_RUNTIME_DIR`.
    pub fn runtime_dir(&self) -> PathBuf {
        self.root().join("runtime")
    }

    /// What programs find as `$XDG_DATA_HOME`.
    pub fn data_dir(&self) -> PathBuf {
        self.root().join("data")
    }

    fn variables(&self) -> [(&'static str, PathBuf); 7] {
        [
            ("HOME", self.root().join("home")),
            ("XDG_CONFIG_HOME", self.root().join("config")),
            ("XDG_DATA_HOME", self.data_dir()),
            ("XDG_STATE_HOME", self.state_dir()),
            ("XDG_CACHE_HOME", self.root().join("cache")),
            ("XDG_RUNTIME_DIR", self.runtime_dir()),
            ("TMPDIR", self.root().join("tmp")),
        ]
    }

    /// A command that will run in this home, with nothing of the caller's environment but the search
    /// path and a language.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(self.variables()).current_dir(self.root());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("LANG", "C.UTF-8").env("RUST_BACKTRACE", "1");
        command
    }
}

/// The path of a program of this workspace, beside the one that is running: `./dev test` builds them
/// before the stories.
///
/// # Errors
///
/// `NotFound`, with the command that builds it.
pub fn program(name: &str) -> io::Result<PathBuf> {
    let running = std::env::current_exe()?;
    let dir = running.parent().unwrap_or(Path::new("."));
    // Tests run from `deps`, one level below the programs.
    let dir = if dir.ends_with("deps") { dir.parent().unwrap_or(dir) } else { dir };
    let path = dir.join(name);
    if path.is_file() {
        return Ok(path);
    }
    let message = format!("{name} is not built; `./dev test` builds it, or `./dev build-programs`");
    Err(io::Error::new(io::ErrorKind::NotFound, message))
}

/// A running program. Its whole process group is killed when this is dropped.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    output: Arc<Output>,
}

/// How a program ended, and what it said until then.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Exit code or signal.
    pub status: ExitStatus,
    /// All lines of standard output.
    pub stdout: Vec<String>,
    /// All lines of standard error.
    pub stderr: Vec<String>,
}

impl Program {
    /// Starts `command` in a process group of its own and reads along what it prints.
    ///
    /// # Errors
    ///
    /// Fails when the program cannot be started.
    pub fn start(mut command: Command) -> io::Result<Self> {
        let name = Path::new(command.get_program()).file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        command.process_group(0).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let output = Arc::new(Output::default());
        if let Some(stdout) = child.stdout.take() {
            output.follow(stdout, |lines| &mut lines.stdout);
        }
        if let Some(stderr) = child.stderr.take() {
            output.follow(stderr, |lines| &mut lines.stderr);
        }
        Ok(Self { name, child, output })
    }

    /// Runs `command` to its end, with `input` on its standard input.
    ///
    /// # Errors
    ///
    /// `TimedOut` when it is still running after `limit`; it is killed then.
    pub fn run(command: Command, input: &str, limit: Duration) -> io::Result<Ended> {
        let mut program = Self::start(command)?;
        program.write(input)?;
        program.end(limit)
    }

    /// The process id, which is also that of its group.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes to the program's standard input.
    ///
    /// # Errors
    ///
    /// Fails when the program has closed it.
    pub fn write(&mut self, input: &str) -> io::Result<()> {
        match (&mut self.child.stdin, input) {
            (_, "") => Ok(()),
            (Some(stdin), input) => stdin.write_all(input.as_bytes()),
            (None, _) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Waits for a line of standard output that `wanted` takes, also one that came before the call.
    ///
    /// # Errors
    ///
    /// `TimedOut` after `limit`, `UnexpectedEof` when the program ends without such a line; both show
    /// the last lines of standard error.
    pub fn line(&self, limit: Duration, wanted: impl Fn(&str) -> bool) -> io::Result<String> {
        let find = |lines: &Lines| lines.stdout.iter().find(|line| wanted(line)).cloned();
        let lines = self.output.wait(limit, |lines| find(lines).is_some());
        find(&lines).ok_or_else(|| {
            let kind = if lines.has_ended() { io::ErrorKind::UnexpectedEof } else { io::ErrorKind::TimedOut };
            self.failure(kind, "did not print the line that was waited for", &lines)
        })
    }

    /// What the program has printed so far: standard output, then standard error.
    pub fn printed(&self) -> (Vec<String>, Vec<String>) {
        let lines = self.output.lock();
        (lines.stdout.clone(), lines.stderr.clone())
    }

    /// Closes standard input and waits for the end.
    ///
    /// # Errors
    ///
    /// `TimedOut` when it is still running after `limit`; it is killed then.
    pub fn end(mut self, limit: Duration) -> io::Result<Ended> {
        drop(self.child.stdin.take());
        let lines = self.output.wait(limit, Lines::has_ended);
        if !lines.has_ended() {
            return Err(self.failure(io::ErrorKind::TimedOut, "did not end in time", &lines));
        }
        let (stdout, stderr) = (lines.stdout.clone(), lines.stderr.clone());
        drop(lines);
        Ok(Ended { status: self.child.wait()?, stdout, stderr })
    }

    /// Asks the program to end (`SIGTERM`) and waits until it has.
    ///
    /// # Errors
    ///
    /// As [`Program::end`].
    pub fn stop(self, limit: Duration) -> io::Result<Ended> {
        self.signal(Signal::TERM)?;
        self.end(limit)
    }

    /// Kills the whole group at once (`SIGKILL`), as a power cut would, and collects the dead.
    ///
    /// # Errors
    ///
    /// Fails when the group has already gone.
    pub fn kill(mut self) -> io::Result<ExitStatus> {
        self.signal(Signal::KILL)?;
        self.child.wait()
    }

    /// Sends a signal to the whole group.
    ///
    /// # Errors
    ///
    /// Fails when the group has gone.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process_group(Pid::from_child(&self.child), signal)?)
    }

    fn failure(&self, kind: io::ErrorKind, what: &str, lines: &Lines) -> io::Error {
        let last = lines.stderr.iter().rev().take(20).rev();
        let last: Vec<&str> = last.map(String::as_str).collect();
        io::Error::new(kind, format!("{} {what}; it said:\n{}", self.name, last.join("\n")))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The group may have gone already; what counts is that nothing of it is left.
        let _ = self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}

/// What a program has printed, filled by two threads.
#[derive(Debug, Default)]
struct Output {
    lines: Mutex<Lines>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    stdout: Vec<String>,
    stderr: Vec<String>,
    closed: u8,
}

impl Lines {
    /// Both streams are closed: the program and whatever it started have ended.
    fn has_ended(&self) -> bool {
        self.closed == 2
    }
}

impl Output {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `done` says so, the program has ended, or the limit is over.
    fn wait(&self, limit: Duration, done: impl Fn(&Lines) -> bool) -> MutexGuard<'_, Lines> {
        let going_on = |lines: &mut Lines| !done(lines) && !lines.has_ended();
        let waited = self.grown.wait_timeout_while(self.lock(), limit, going_on);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn follow(self: &Arc<Self>, stream: impl Read + Send + 'static, of: fn(&mut Lines) -> &mut Vec<String>) {
        let output = Arc::clone(self);
        thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while let Ok(1..) = reader.read_until(b'\n', &mut line) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                of(&mut output.lock()).push(text);
                output.grown.notify_all();
                line.clear();
            }
            output.lock().closed += 1;
            output.grown.notify_all();
        });
    }
}
