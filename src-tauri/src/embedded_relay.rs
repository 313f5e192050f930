//! The relay inside the app, so that a first start needs no service and no account.
//!
//! It listens on loopback, on a port chosen once and kept: links that name it must stay good. `MAYFLY_RELAY` names
//! relays in its place, and then it does not run.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use mayfly_relay::{Limits, Relay, RelayConfig};

use crate::{error::Error, paths};

/// The file that keeps the port.
const PORT_FILE: &str = "relay.port";

/// The relays that a new profile starts with, and the embedded one while it runs.
pub enum OwnRelay {
    /// Ours, on loopback.
    Embedded(Relay),
    /// Others, which the environment names.
    Elsewhere(Vec<String>),
}

impl std::fmt::Debug for OwnRelay {
    /// Shows no address.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OwnRelay")
    }
}

impl OwnRelay {
    /// Starts the embedded relay with its files in `folder`, unless `elsewhere` names relays, separated by commas.
    ///
    /// # Errors
    /// [`Error::Relay`], [`Error::NoFolder`].
    pub async fn start(folder: &Path, elsewhere: Option<&str>) -> Result<Self, Error> {
        let named: Vec<String> = elsewhere
            .unwrap_or_default()
            .split(',')
            .map(|relay| relay.trim().to_owned())
            .filter(|relay| !relay.is_empty())
            .collect();
        if !named.is_empty() {
            return Ok(Self::Elsewhere(named));
        }
        paths::make_private(folder).map_err(|_| Error::NoFolder)?;
        let port_file = folder.join(PORT_FILE);
        let kept = fs::read_to_string(&port_file).ok().and_then(|port| port.trim().parse::<u16>().ok());
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, kept.unwrap_or(0)));
        let config = RelayConfig { listen, data: folder.to_path_buf(), limits: Limits::default() };
        let relay = Relay::start(config).await?;
        if kept.is_none() {
            fs::write(&port_file, relay.address().port().to_string()).map_err(|_| Error::NoFolder)?;
        }
        Ok(Self::Embedded(relay))
    }

    /// The addresses for a new profile.
    pub fn urls(&self) -> Vec<String> {
        match self {
            Self::Embedded(relay) => vec![relay.url()],
            Self::Elsewhere(named) => named.clone(),
        }
    }

    /// Ends the embedded relay.
    pub async fn stop(self) {
        if let Self::Embedded(relay) = self {
            relay.stop().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_port_is_chosen_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let first = OwnRelay::start(folder.path(), None).await.unwrap();
        let urls = first.urls();
        assert!(urls[0].starts_with("ws://127.0.0.1:"), "it listens on loopback alone");
        first.stop().await;
        let second = OwnRelay::start(folder.path(), Some(" , ")).await.unwrap();
        assert_eq!(second.urls(), urls);
        second.stop().await;
    }

    #[tokio::test]
    async fn named_relays_take_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let relay = OwnRelay::start(folder.path(), Some("ws://127.0.0.1:1, wss://relay.example")).await.unwrap();
        assert_eq!(relay.urls(), ["ws://127.0.0.1:1", "wss://relay.example"]);
        assert!(!folder.path().join(PORT_FILE).exists());
    }
}
