//! What can go wrong between the window and the engine, with codes that the UI's table of texts goes by.

use mayfly_relay::RelayError;
use serde::{Serialize, Serializer, ser::SerializeStruct as _};

/// A refusal or a failure, as the window sees it: the core's own, or one of the shell's.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The core refused.
    #[error(transparent)]
    Core(#[from] mayfly_core::Error),
    /// The embedded relay did not start.
    #[error("Mayfly's own relay could not start: {0}")]
    Relay(#[from] RelayError),
    /// No profile is open yet, or it is closed already.
    #[error("The profile is not open.")]
    NotOpen,
    /// What came over the bridge was not sealed by the page that is there.
    #[error("The window and its program have lost each other. Close Mayfly and start it again.")]
    Bridge,
    /// A message cannot be read in a window that nobody looks at.
    #[error("Messages are marked as read only while the window is in front.")]
    NotFocused,
    /// The system names no place for the user's data, or it cannot be written.
    #[error("There is no folder that Mayfly can keep its data in.")]
    NoFolder,
}

impl Error {
    /// The stable word for the UI.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Core(error) => error.code(),
            Self::Relay(_) => "relay_not_started",
            Self::NotOpen => "not_open",
            Self::Bridge => "bridge_broken",
            Self::NotFocused => "not_focused",
            Self::NoFolder => "no_folder",
        }
    }
}

impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Self::Core(error) = self {
            return error.serialize(serializer);
        }
        let mut fields = serializer.serialize_struct("Error", 2)?;
        fields.serialize_field("code", self.code())?;
        fields.serialize_field("message", &self.to_string())?;
        fields.end()
    }
}
