//! People at the command line: real `mayfly-cli` processes, each with a home of its own, and a real relay between them.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    process::{Command, ExitStatus},
    time::Duration,
};

use chrono::{DateTime, Utc};
use mayfly_core::{Clock as _, SystemClock};
use serde_json::Value;

use crate::process::{Ended, Home, Program, program};

/// How long something may take that takes a second on a machine with nothing else to do.
pub const LIMIT: Duration = Duration::from_secs(30);

/// What a build with keys to hand out says before anything else.
const ANNOUNCEMENT: &str = "mayfly-cli: this is a build for attacking the files; it can hand out keys.";

/// A relay process on a port that it keeps, whatever happens to it.
#[derive(Debug)]
pub struct RelayProgram {
    home: Home,
    address: SocketAddr,
    running: Option<Program>,
}

impl RelayProgram {
    /// Starts a relay with an empty store.
    ///
    /// # Errors
    /// Fails when the relay is not built or does not start.
    pub fn start() -> io::Result<Self> {
        let mut relay = Self { home: Home::new()?, address: ([127, 0, 0, 1], 0).into(), running: None };
        relay.resume()?;
        Ok(relay)
    }

    /// Starts it again, with its store and its port.
    ///
    /// # Errors
    /// Fails when the relay does not start.
    pub fn resume(&mut self) -> io::Result<()> {
        let mut command = self.home.command(program("mayfly-relay")?);
        command.arg("--listen").arg(self.address.to_string()).arg("--data").arg(self.home.data_dir().join("relay"));
        let running = Program::start(command)?;
        let line = running.line(LIMIT, |line| line.starts_with("listening on "))?;
        let address = line.rsplit("ws://").next().and_then(|address| address.parse().ok());
        self.address = address.ok_or_else(|| io::Error::other("the relay named no address"))?;
        self.running = Some(running);
        Ok(())
    }

    /// Kills it, as a power cut would.
    ///
    /// # Errors
    /// Fails when it had ended by itself.
    pub fn kill(&mut self) -> io::Result<()> {
        self.running.take().map_or(Ok(()), |running| running.kill().map(drop))
    }

    /// The number of its process; 0 where none runs.
    pub fn id(&self) -> u32 {
        self.running.as_ref().map_or(0, Program::id)
    }

    /// The address that profiles are given.
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }
}

/// One person: a home with one profile in it, and the program that opens it.
#[derive(Debug)]
pub struct Shell {
    home: Home,
    /// What each verb is given as the passphrase; none is asked for if this is `None`.
    pub passphrase: Option<String>,
    /// Set for every process, such as a preloaded library that lies about the time.
    pub environment: Vec<(String, String)>,
    /// A command that goes on as the program whose path and arguments follow.
    pub wrapper: Vec<String>,
}

/// Runs a program in a login of its own with GNOME's keyring, whose file lies in the home.
pub fn with_keyring() -> Vec<String> {
    ["dbus-run-session", "--", "sh", "-c", WITH_KEYRING].map(str::to_owned).to_vec()
}

/// The daemon is ended by its number: one whose bus has gone from under it may stay, and whoever waits for it with it.
const WITH_KEYRING: &str = "printf known | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1
    gdbus wait --session --timeout 20 org.freedesktop.secrets </dev/null >/dev/null 2>&1
    daemon=$(gdbus call --session --dest org.freedesktop.DBus --object-path /org/freedesktop/DBus \
        --method org.freedesktop.DBus.GetConnectionUnixProcessID org.freedesktop.secrets 2>/dev/null </dev/null |
        sed 's/.*uint32 \\([0-9]*\\).*/\\1/')
    \"$0\" \"$@\"
    status=$?
    [ -z \"$daemon\" ] || kill -KILL \"$daemon\" 2>/dev/null
    exit $status";

/// What one verb answered.
#[derive(Debug)]
pub struct Answer {
    /// How it ended.
    pub status: ExitStatus,
    /// The objects on standard output, one a line.
    pub objects: Vec<Value>,
    /// Standard error, without the announcement of a build for attacks.
    pub stderr: Vec<String>,
}

impl Shell {
    /// Somebody who has no profile yet.
    ///
    /// # Errors
    /// Fails when the home cannot be made.
    pub fn new() -> io::Result<Self> {
        Ok(Self { home: Home::new()?, passphrase: None, environment: Vec::new(), wrapper: Vec::new() })
    }

    /// Somebody with a profile that has no passphrase.
    ///
    /// # Errors
    /// Fails when the profile cannot be created.
    pub fn with_profile(name: &str, relays: &[&str]) -> io::Result<Self> {
        let shell = Self::new()?;
        let mut words = vec!["profile", "create", "--name", name, "--no-passphrase"];
        words.extend(relays.iter().flat_map(|relay| ["--relay", relay]));
        shell.done(&words)?;
        Ok(shell)
    }

    /// The home that everything of this person lies in.
    pub fn home(&self) -> &Path {
        self.home.root()
    }

    /// A verb that answers in JSON, not yet started.
    ///
    /// # Errors
    /// Fails when the program is not built.
    pub fn command(&self, words: &[&str]) -> io::Result<Command> {
        if self.passphrase.is_some() { self.command_with_input(words) } else { self.command_without_input(words) }
    }

    /// A verb that reads passphrases from its standard input, whether or not the profile has one.
    ///
    /// # Errors
    /// Fails when the program is not built.
    pub fn command_with_input(&self, words: &[&str]) -> io::Result<Command> {
        let mut command = self.command_without_input(&[])?;
        command.arg("--passphrase-stdin").args(words);
        Ok(command)
    }

    /// A verb that reads nothing.
    ///
    /// # Errors
    /// Fails when the program is not built.
    pub fn command_without_input(&self, words: &[&str]) -> io::Result<Command> {
        let program = program("mayfly-cli")?;
        let mut command = match self.wrapper.split_first() {
            Some((wrapper, arguments)) => {
                let mut command = self.home.command(wrapper);
                command.args(arguments).arg(program);
                command
            }
            None => self.home.command(program),
        };
        command.arg("--json").arg("--profile").arg(self.home.data_dir().join("mayfly"));
        command.args(words).envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    /// Runs a verb to its end.
    ///
    /// # Errors
    /// Fails when it does not end in time, or prints what is no JSON.
    pub fn run(&self, words: &[&str]) -> io::Result<Answer> {
        let input = self.passphrase.as_ref().map(|passphrase| format!("{passphrase}\n"));
        let ended = Program::run(self.command(words)?, &input.unwrap_or_default(), LIMIT)?;
        Answer::of(&ended)
    }

    /// Runs a verb that has to succeed, and gives its objects.
    ///
    /// # Errors
    /// As [`Shell::run`], and with the code it failed with.
    pub fn done(&self, words: &[&str]) -> io::Result<Vec<Value>> {
        let answer = self.run(words)?;
        match (answer.status.success(), answer.stderr.as_slice()) {
            (true, []) => Ok(answer.objects),
            _ => Err(io::Error::other(format!("{:?}: {}", words.first(), answer.stderr.join("\n")))),
        }
    }

    /// Runs a verb that has to fail, and gives the code it fails with; nothing may be printed but one error object.
    ///
    /// # Errors
    /// As [`Shell::run`], and when it succeeds or fails in another form than promised.
    pub fn refused(&self, words: &[&str]) -> io::Result<String> {
        let answer = self.run(words)?;
        let told = match answer.stderr.as_slice() {
            [line] => serde_json::from_str::<Value>(line).ok(),
            _ => None,
        };
        let code = told.as_ref().and_then(|told| told.get("code")?.as_str());
        let has_message =
            told.as_ref().and_then(|told| told.get("message")?.as_str()).is_some_and(|m| m.ends_with('.'));
        match code {
            Some(code) if answer.status.code() == Some(1) && answer.objects.is_empty() && has_message => {
                Ok(code.to_owned())
            }
            _ => Err(io::Error::other(format!("no refusal as promised: {answer:?}"))),
        }
    }

    /// Starts `listen`, which runs until it is stopped, killed or dropped.
    ///
    /// # Errors
    /// Fails when the program cannot be started.
    pub fn listen(&self) -> io::Result<Listener> {
        let mut program = Program::start(self.command(&["listen"])?)?;
        if let Some(passphrase) = &self.passphrase {
            program.write(&format!("{passphrase}\n"))?;
        }
        Ok(Listener { program })
    }
}

impl Answer {
    /// What a verb answered that has ended.
    ///
    /// # Errors
    /// Fails when it printed what is no JSON.
    pub fn of(ended: &Ended) -> io::Result<Self> {
        let objects = ended.stdout.iter().map(|line| serde_json::from_str(line)).collect::<Result<_, _>>()?;
        // The bus of a login of its own speaks there, too.
        let is_ours = |line: &&String| *line != ANNOUNCEMENT && !line.starts_with("dbus-daemon[");
        let stderr = ended.stderr.iter().filter(is_ours).cloned().collect();
        Ok(Self { status: ended.status, objects, stderr })
    }
}

/// A running `listen`.
#[derive(Debug)]
pub struct Listener {
    program: Program,
}

impl Listener {
    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.program.id()
    }

    /// Waits for an event, also one that came before the call.
    ///
    /// # Errors
    /// As [`Program::line`].
    pub fn event(&self, limit: Duration, wanted: impl Fn(&Value) -> bool) -> io::Result<Value> {
        let is_wanted = |line: &str| serde_json::from_str(line).is_ok_and(|event| wanted(&event));
        Ok(serde_json::from_str(&self.program.line(limit, is_wanted)?)?)
    }

    /// Waits for a message of the other side with these words, and gives it.
    ///
    /// # Errors
    /// As [`Listener::event`].
    pub fn received(&self, text: &str) -> io::Result<Value> {
        let is_it = |event: &Value| field(event, "event") == "message_received" && field(event, "message.text") == text;
        Ok(self.event(LIMIT, is_it)?.get("message").cloned().unwrap_or_default())
    }

    /// Waits until a chat is as wanted.
    ///
    /// # Errors
    /// As [`Listener::event`].
    pub fn chat(&self, wanted: impl Fn(&Value) -> bool) -> io::Result<Value> {
        let is_it = |event: &Value| field(event, "event") == "chat_changed" && event.get("chat").is_some_and(&wanted);
        Ok(self.event(LIMIT, is_it)?.get("chat").cloned().unwrap_or_default())
    }

    /// All events so far; a last line that a kill cut off is left out.
    pub fn events(&self) -> Vec<Value> {
        self.program.printed().0.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Ends it as a person does, and gives what it told.
    ///
    /// # Errors
    /// Fails when it does not end in time.
    pub fn stop(self) -> io::Result<Answer> {
        Answer::of(&self.program.stop(LIMIT)?)
    }

    /// Kills it, as a power cut would, and gives what it had told.
    ///
    /// # Errors
    /// Fails when it had ended by itself.
    pub fn kill(self) -> io::Result<Vec<Value>> {
        self.program.signal(rustix::process::Signal::KILL)?;
        // Its last lines are in the pipe still.
        let ended = self.program.end(LIMIT)?;
        Ok(ended.stdout.iter().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }
}

/// The text at a path of names with dots between; empty where there is none.
pub fn field<'a>(object: &'a Value, path: &str) -> &'a str {
    path.split('.').try_fold(object, |object, name| object.get(name)).and_then(Value::as_str).unwrap_or_default()
}

/// The moment in a field.
///
/// # Errors
/// Fails when there is no such field, or no moment in it.
pub fn moment(object: &Value, path: &str) -> io::Result<DateTime<Utc>> {
    field(object, path).parse().map_err(io::Error::other)
}

/// What this machine's wall clock says.
pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(SystemClock.read().wall.0).unwrap_or_default()
}

/// Lets two people meet: the first invites, the second accepts, and each knows the other's name afterwards. Gives each
/// one's id of the chat.
///
/// # Errors
/// Fails when they do not meet.
pub fn meet(inviter: &Shell, guest: &Shell) -> io::Result<(String, String)> {
    let invitation = inviter.done(&["invite"])?;
    let link = invitation.first().map(|object| field(object, "link")).unwrap_or_default().to_owned();
    guest.done(&["accept", &link])?;
    let is_known = |chat: &Value| !field(chat, "name").is_empty() && field(chat, "state") == "active";
    let (ours, theirs) = (inviter.listen()?, guest.listen()?);
    let ids = (ours.chat(is_known)?, theirs.chat(is_known)?);
    ours.stop()?;
    theirs.stop()?;
    Ok((field(&ids.0, "id").to_owned(), field(&ids.1, "id").to_owned()))
}
