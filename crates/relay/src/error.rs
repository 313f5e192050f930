//! Why a relay could not start.

use std::io;

use crate::store::StoreError;

/// Why a relay could not start. Texts name no path and no key.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The address is taken, not of this machine, or not permitted.
    #[error("The relay cannot listen on that address.")]
    Listen(#[source] io::Error),
    /// The data folder cannot be made, read or written.
    #[error("The relay cannot use its data folder.")]
    DataUnusable(#[source] io::Error),
    /// Another relay works in this data folder.
    #[error("Another relay is using this data folder.")]
    DataInUse,
    /// The data folder holds something that this version did not write.
    #[error("The relay's data folder is damaged or from another version.")]
    DataDamaged,
    /// The public addresses given to the relay are not relay addresses.
    #[error("A public address of a relay begins with ws:// or wss://.")]
    PublicUrl,
}

impl RelayError {
    /// The stable code of this error, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Listen(_) => "relay_listen_failed",
            Self::DataUnusable(_) => "relay_data_unusable",
            Self::DataInUse => "relay_data_in_use",
            Self::DataDamaged => "relay_data_damaged",
            Self::PublicUrl => "relay_public_url_invalid",
        }
    }
}

impl From<StoreError> for RelayError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::InUse => Self::DataInUse,
            StoreError::Io(source) => Self::DataUnusable(source),
            StoreError::Damaged | StoreError::Index(_) | StoreError::Stopped => Self::DataDamaged,
        }
    }
}
