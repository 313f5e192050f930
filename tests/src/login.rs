//! A login of a story's own: a system bus on which a stand-in for logind tells of sleep and of locking.

use std::{io, process::Command, time::Duration};

use crate::process::{Home, Program};

const START: Duration = Duration::from_secs(20);
const NAME: &str = "org.freedesktop.login1";
const ROOT: &str = "/org/freedesktop/login1";
const SESSION: &str = "/org/freedesktop/login1/session/c1";

/// The bus with one session on it; gone with the value.
#[derive(Debug)]
pub struct Login {
    address: String,
    // Field order is drop order: the stand-in goes before its bus.
    _logind: Program,
    _bus: Program,
    home: Home,
}

impl Login {
    /// Starts a bus and the stand-in of python3-dbusmock on it.
    ///
    /// # Errors
    /// `NotFound` where one of them is not installed, `TimedOut` where it does not come up.
    pub fn start() -> io::Result<Self> {
        let home = Home::new()?;
        let mut command = home.command("dbus-daemon");
        command.args(["--session", "--nofork", "--print-address"]);
        let bus = Program::start(command)?;
        let address = bus.line(START, |line| line.contains('='))?;
        // The distribution's own interpreter is the one that has the package.
        let mut command = home.command("/usr/bin/python3");
        command.args(["-m", "dbusmock", "--system", "--template", "logind"]);
        command.env("DBUS_SYSTEM_BUS_ADDRESS", &address);
        let logind = Program::start(command)?;
        let login = Self { address, _logind: logind, _bus: bus, home };
        login.ask("gdbus", &["wait", "--session", "--timeout", "20", NAME])?;
        login.call(ROOT, "org.freedesktop.DBus.Mock.AddSession", &["c1", "seat0", "1000", "somebody", "true"])?;
        Ok(login)
    }

    /// What a program needs to know to belong to this login.
    pub fn variables(&self) -> [(String, String); 2] {
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        [variable("DBUS_SYSTEM_BUS_ADDRESS", &self.address), variable("XDG_SESSION_ID", "c1")]
    }

    /// Locks the session as `loginctl lock-session` does.
    ///
    /// # Errors
    /// Fails when the stand-in does not answer.
    pub fn lock(&self) -> io::Result<()> {
        self.call(SESSION, "org.freedesktop.login1.Session.Lock", &[]).map(drop)
    }

    /// Says that the desktop has locked the screen by itself, or unlocked it.
    ///
    /// # Errors
    /// Fails when the stand-in does not answer.
    pub fn say_locked(&self, is_locked: bool) -> io::Result<()> {
        let is_locked = is_locked.to_string();
        self.call(SESSION, "org.freedesktop.login1.Session.SetLockedHint", &[&is_locked]).map(drop)
    }

    /// Says that the machine is about to sleep, or awake again.
    ///
    /// # Errors
    /// Fails when the stand-in does not answer.
    pub fn say_sleep(&self, is_going: bool) -> io::Result<()> {
        let arguments = format!("[<{is_going}>]");
        let emit = "org.freedesktop.DBus.Mock.EmitSignal";
        self.call(ROOT, emit, &["org.freedesktop.login1.Manager", "PrepareForSleep", "b", &arguments]).map(drop)
    }

    /// Whether somebody has the sleep wait for them.
    ///
    /// # Errors
    /// Fails when the stand-in does not answer.
    pub fn is_sleep_delayed(&self) -> io::Result<bool> {
        let all = self.call(ROOT, "org.freedesktop.login1.Manager.ListInhibitors", &[])?;
        Ok(all.contains("'sleep', 'Mayfly'") && all.contains("'delay'"))
    }

    fn call(&self, path: &str, method: &str, arguments: &[&str]) -> io::Result<String> {
        let call = ["call", "--session", "--dest", NAME, "--object-path", path, "--method", method];
        self.ask("gdbus", &[&call[..], arguments].concat())
    }

    fn ask(&self, program: &str, arguments: &[&str]) -> io::Result<String> {
        let mut command: Command = self.home.command(program);
        command.args(arguments).env("DBUS_SESSION_BUS_ADDRESS", &self.address);
        let ended = Program::run(command, "", START)?;
        if ended.status.success() {
            return Ok(ended.stdout.join("\n"));
        }
        Err(io::Error::other(format!("logind's stand-in refused: {}", ended.stderr.join("; "))))
    }
}
