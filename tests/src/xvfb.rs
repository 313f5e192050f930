//! A display of a story's own, which nobody looks at: Xvfb on a free number, with or without a window
//! manager, and pictures of it.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::process::{Home, Program};

const START: Duration = Duration::from_secs(20);

/// A virtual screen of 1400 × 1000; gone with the value.
#[derive(Debug)]
pub struct Display {
    name: String,
    // Field order is drop order: the window manager goes before its screen.
    manager: Option<Program>,
    _server: Program,
    home: Home,
}

impl Display {
    /// Starts Xvfb on a display number that it finds free by itself.
    ///
    /// # Errors
    ///
    /// `NotFound` where Xvfb is not installed (`apt-get install xvfb`), `TimedOut` where it does not
    /// come up.
    pub fn start() -> io::Result<Self> {
        let home = Home::new()?;
        let mut command = home.command("Xvfb");
        // Xvfb writes the number it took to the descriptor named here: its standard output.
        command.args(["-displayfd", "1", "-screen", "0", "1400x1000x24"]);
        command.args(["-nolisten", "tcp", "-noreset"]);
        let server = Program::start(command)?;
        let is_number = |line: &str| !line.is_empty() && line.bytes().all(|b| b.is_ascii_digit());
        let name = format!(":{}", server.line(START, is_number)?);
        Ok(Self { name, manager: None, _server: server, home })
    }

    /// Adds a window manager: with one, windows can lose and gain focus.
    ///
    /// # Errors
    ///
    /// `NotFound` where openbox is not installed (`apt-get install openbox`).
    pub fn with_window_manager(mut self) -> io::Result<Self> {
        let mut command = self.home.command("openbox");
        command.args(["--sm-disable"]).env("DISPLAY", &self.name);
        self.manager = Some(Program::start(command)?);
        Ok(self)
    }

    /// The display's name, such as `:7`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets the variables under which a program opens its windows here, drawn in software.
    pub fn lend(&self, command: &mut Command) {
        command.env("DISPLAY", &self.name).env("GDK_BACKEND", "x11");
        command.env("LIBGL_ALWAYS_SOFTWARE", "1").env("MESA_SHADER_CACHE_DISABLE", "true");
    }

    /// Saves what stands on the screen as a PNG.
    ///
    /// # Errors
    ///
    /// `NotFound` where `import` is not installed (`apt-get install imagemagick`); otherwise when it
    /// could not take or save the picture.
    pub fn picture(&self, path: &Path) -> io::Result<()> {
        let mut command = self.home.command("import");
        command.args(["-window", "root"]).arg(path).env("DISPLAY", &self.name);
        let ended = Program::run(command, "", START)?;
        if ended.status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!("no picture was taken: {}", ended.stderr.join("; "))))
    }
}
