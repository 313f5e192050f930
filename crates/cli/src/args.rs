//! What can be typed.

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use clap::{Parser, Subcommand, ValueEnum};
use mayfly_core::view::{Timer, TimerMode};

/// Mayfly without a window: messages that die on time.
#[derive(Debug, Parser)]
#[command(name = "mayfly-cli", version, propagate_version = true)]
pub struct Args {
    /// The folder of the profile.
    #[arg(long, global = true, display_order = 100, value_name = "DIR", default_value = "mayfly-profile")]
    pub profile: PathBuf,
    /// One JSON object a line; errors as {"code","message"} on standard error.
    #[arg(long, global = true, display_order = 101)]
    pub json: bool,
    /// Read the passphrase as the first line of standard input.
    #[arg(long, global = true, display_order = 102)]
    pub passphrase_stdin: bool,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Create a profile.
    #[command(subcommand)]
    Profile(ProfileVerb),
    /// Make a link that somebody else can accept once.
    Invite,
    /// Accept somebody's link.
    Accept {
        /// The `mayfly:` link.
        link: String,
    },
    /// List the chats.
    Chats,
    /// List a chat's living messages, oldest first. Nothing counts as read by it, so no timer starts.
    Messages {
        /// A chat's id, the beginning of one (4 digits or more), or a name that only one chat has.
        chat: String,
    },
    /// Send words.
    Send {
        /// A chat's id, the beginning of one (4 digits or more), or a name that only one chat has.
        chat: String,
        /// The words.
        text: String,
        /// A timer for this message alone, such as 10s, 5m, 1h, 2d, 1w; never longer than the chat's.
        #[arg(long, value_parser = ttl)]
        timer: Option<Ttl>,
        /// From when the timer counts; the chat's mode if left out.
        #[arg(long)]
        mode: Option<Mode>,
        /// The id of the message that this answers.
        #[arg(long, value_name = "MESSAGE")]
        reply_to: Option<String>,
    },
    /// Put a sign under a message, in place of an earlier one of yours.
    React {
        /// A chat's id, the beginning of one (4 digits or more), or a name that only one chat has.
        chat: String,
        /// The message's id.
        message: String,
        /// An emoji; none takes yours away.
        emoji: Option<String>,
    },
    /// Give a message of yours other words, for 24 hours after it was sent. Its timer goes on.
    Edit {
        /// A chat's id, the beginning of one (4 digits or more), or a name that only one chat has.
        chat: String,
        /// The message's id.
        message: String,
        /// Its words from now on.
        text: String,
    },
    /// Destroy a message on this device.
    Delete {
        /// A chat's id, the beginning of one (4 digits or more), or a name that only one chat has.
        chat: String,
        /// The message's id.
        message: String,
        /// A message of yours, on the other's device too.
        #[arg(long)]
        everyone: bool,
    },
    /// Pin, silence, put away or block a chat on this device. Nobody else learns of it.
    Arrange {
        /// A chat's id, the beginning of one (4 digits or more), or a name that only one chat has.
        chat: String,
        /// What.
        how: How,
        /// On, or off.
        switch: Switch,
    },
    /// Mark all received messages of a chat as read: their timers start.
    Read {
        /// A chat's id, the beginning of one (4 digits or more), or a name that only one chat has.
        chat: String,
    },
    /// Set a chat's timer, or answer what the other side proposed.
    Timer {
        /// A chat's id, the beginning of one (4 digits or more), or a name that only one chat has.
        chat: String,
        /// Such as 10s, 5m, 1h, 2d, 1w or off; or accept, or decline.
        #[arg(value_parser = timer_word)]
        value: TimerWord,
        /// From when the timer counts; the chat's mode if left out.
        #[arg(long)]
        mode: Option<Mode>,
    },
    /// Have what is said in a chat from now on burn on this device: it is over as soon as the profile is locked or closed.
    Burn {
        /// A chat's id, the beginning of one (4 digits or more), or a name that only one chat has.
        chat: String,
        /// On, or off.
        switch: Switch,
    },
    /// Receive, publish and wipe, and tell it, one event a line.
    Listen {
        /// Stop after this long; without it, when interrupted.
        #[arg(long = "for", value_parser = duration, value_name = "TIME")]
        limit: Option<Duration>,
    },
    /// How the profile stands with its relays.
    Status,
    /// Set, change or remove the passphrase. Passphrases are lines of standard input, the present one first.
    #[command(subcommand)]
    Passphrase(PassphraseVerb),
    /// Tie the profile to the keyring of this login, or untie it.
    Keyring {
        /// On: it opens only where that keyring is, and no older copy of it does.
        switch: Switch,
    },
    /// Tie the profile to the TPM of this machine, or untie it.
    Tpm {
        /// On: within a minute of a death not even an image of the whole disk from before brings anything back.
        switch: Switch,
    },
    /// Tell what of the dead could be found on this machine. Lets a message of its own live and die here, and looks for it.
    Audit {
        /// Write its words into this file while it lives: a leak that has to be found.
        #[cfg(feature = "forensics")]
        #[arg(long, hide = true, value_name = "FILE")]
        plant: Option<PathBuf>,
    },
    /// Destroy the profile and remove its files. Nothing brings it back.
    Erase {
        /// Yes, destroy it.
        #[arg(long, required = true)]
        yes: bool,
    },
    /// Destroy the profile at once, without its passphrase and even while it is open elsewhere.
    Panic {
        /// Yes, destroy it.
        #[arg(long, required = true)]
        yes: bool,
    },
    /// Look inside (only in builds for attacking the files).
    #[cfg(feature = "forensics")]
    #[command(subcommand)]
    Vault(VaultVerb),
}

/// Verbs of profiles.
#[derive(Debug, Subcommand)]
pub enum ProfileVerb {
    /// Create a profile in the folder.
    Create {
        /// The name that contacts see.
        #[arg(long)]
        name: String,
        /// A relay that invitations name; up to four.
        #[arg(long = "relay", value_name = "URL")]
        relays: Vec<String>,
        /// Without a passphrase: who has this computer has the profile.
        #[arg(long, conflicts_with = "passphrase_stdin")]
        no_passphrase: bool,
    },
}

/// Verbs of the passphrase.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum PassphraseVerb {
    /// Set the first one.
    Set,
    /// Put another in its place. One for duress has to be set again afterwards.
    Change,
    /// Open without one from now on.
    Remove,
    /// Set another one that destroys everything when it is typed, and opens an empty profile.
    Duress {
        /// Take it away instead.
        #[arg(long)]
        off: bool,
    },
    /// Lock the window once nobody has been at it for so long.
    LockAfter {
        /// Such as 15m, from 10s to 24h; or never.
        #[arg(value_parser = lock_after)]
        time: LockAfter,
    },
    /// Destroy everything after so many wrong passphrases in a row. It binds who types here; who copies the files and tries
    /// elsewhere is slowed by the passphrase's own cost alone.
    Limit {
        /// A number from 3 on, or off.
        #[arg(value_parser = erase_after)]
        failures: EraseAfter,
    },
}

/// How a chat is arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum How {
    /// It stands above the others.
    Pinned,
    /// Nothing in it makes itself heard.
    Muted,
    /// It is put away until something is said there.
    Archived,
    /// Nothing is let in, and nothing can be sent.
    Blocked,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// From now on.
    On,
    /// No longer.
    Off,
}

/// After how many seconds; `None` is never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockAfter(pub Option<u32>);

fn lock_after(text: &str) -> Result<LockAfter, String> {
    if text == "never" {
        return Ok(LockAfter(None));
    }
    let seconds = duration(text).ok().and_then(|time| u32::try_from(time.as_secs()).ok());
    seconds.map(|seconds| LockAfter(Some(seconds))).ok_or_else(|| "write a time such as 15m, or never".to_owned())
}

/// After how many wrong passphrases; `None` is never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EraseAfter(pub Option<NonZeroU32>);

fn erase_after(text: &str) -> Result<EraseAfter, String> {
    if text == "off" {
        return Ok(EraseAfter(None));
    }
    let number = text.parse().ok().filter(|number: &NonZeroU32| number.get() >= 3);
    number.map(|number| EraseAfter(Some(number))).ok_or_else(|| "write a number from 3 on, or off".to_owned())
}

/// Verbs that look inside.
#[cfg(feature = "forensics")]
#[derive(Debug, Subcommand)]
pub enum VaultVerb {
    /// Print the database's raw key and salt, in hex.
    Key,
    /// Encrypt the database under a new key, as happens by itself once a week.
    RenewKey,
}

/// From when a timer counts.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Mode {
    /// From sending, one instant for everybody.
    AfterSend,
    /// From reading, on each device.
    AfterRead,
}

impl From<Mode> for TimerMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::AfterSend => Self::AfterSend,
            Mode::AfterRead => Self::AfterRead,
        }
    }
}

/// A life; `None` is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ttl(pub Option<u32>);

impl Ttl {
    /// The timer with this life, in `mode` or in that of `chat`.
    pub fn timer(self, mode: Option<Mode>, chat: Timer) -> Timer {
        Timer { mode: mode.map_or(chat.mode, TimerMode::from), ttl_s: self.0 }
    }
}

/// A word after `timer CHAT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimerWord {
    /// Set it.
    Set(Ttl),
    /// Accept the other side's proposal.
    Accept,
    /// Decline it.
    Decline,
}

fn timer_word(text: &str) -> Result<TimerWord, String> {
    match text {
        "accept" => Ok(TimerWord::Accept),
        "decline" => Ok(TimerWord::Decline),
        _ => ttl(text).map(TimerWord::Set),
    }
}

fn ttl(text: &str) -> Result<Ttl, String> {
    if text == "off" {
        return Ok(Ttl(None));
    }
    let seconds = duration(text)?.as_secs();
    u32::try_from(seconds).map(|seconds| Ttl(Some(seconds))).map_err(|_| "that is too long".to_owned())
}

/// A number and a unit: s, m, h, d or w.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write a number and a unit, such as 10s, 5m, 1h, 2d or 1w".to_owned();
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at_checked(split).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let unit_s: u64 = match unit {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit_s).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_are_numbers_with_a_unit() {
        assert_eq!(ttl("10s"), Ok(Ttl(Some(10))));
        assert_eq!(ttl("5m"), Ok(Ttl(Some(300))));
        assert_eq!(ttl("1w"), Ok(Ttl(Some(604_800))));
        assert_eq!(ttl("off"), Ok(Ttl(None)));
        assert_eq!(timer_word("accept"), Ok(TimerWord::Accept));
        for wrong in ["", "s", "10", "10y", "-1s", "1.5h", "99999999999999999999s", "18446744073709551615w"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_verbs_are_well_formed() {
        use clap::CommandFactory as _;
        Args::command().debug_assert();
    }
}
