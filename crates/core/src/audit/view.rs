//! What an audit tells, as JSON. Never a word of the canary, a key or a message.

use std::path::PathBuf;

use serde::Serialize;

/// All that was found out.
#[derive(Debug, Clone, Serialize)]
pub struct AuditView {
    /// All in one word.
    pub verdict: Verdict,
    /// What is true of this machine.
    pub facts: Vec<FactView>,
    /// How it went with the canary.
    pub canary: CanaryView,
}

/// What comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The canary left nothing, and the machine is as it should be.
    Clean,
    /// The canary left nothing, but something on this machine may keep copies, or could not be asked.
    Weak,
    /// The canary, or a part of it, is still there; or the search could not see.
    Leak,
}

impl Verdict {
    pub(super) fn of(facts: &[FactView], canary: &CanaryView) -> Self {
        if !canary.is_clean() {
            Self::Leak
        } else if facts.iter().any(|fact| fact.state != FactState::Good) {
            Self::Weak
        } else {
            Self::Clean
        }
    }
}

/// One thing that is true of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FactView {
    /// What it is about: a stable name.
    pub about: &'static str,
    /// Whether it helps.
    pub state: FactState,
    /// The same for people.
    pub words: String,
}

/// Whether a fact helps to keep the promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FactState {
    /// As it should be.
    Good,
    /// Copies of what has died may remain.
    Weak,
    /// It could not be found out.
    Unknown,
}

/// How it went with the canary.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CanaryView {
    /// While it lived, the vault gave it back. Otherwise the rest proves nothing.
    pub could_be_read: bool,
    /// After its death the vault knows nothing of it.
    pub is_gone: bool,
    /// Files read to their end.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Files of the profile itself that could not be read.
    pub own_unreadable: u64,
    /// Where it was found after its death.
    pub finds: Vec<FindView>,
}

impl CanaryView {
    fn is_clean(&self) -> bool {
        self.could_be_read && self.is_gone && self.own_unreadable == 0 && self.files > 0 && self.finds.is_empty()
    }
}

/// A file in which the canary lay after its death.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FindView {
    /// The file; for whoever runs the audit, on their own screen.
    pub file: PathBuf,
    /// `text`, `utf16`, `base64`, `hex` or `name`.
    pub disguise: &'static str,
}
