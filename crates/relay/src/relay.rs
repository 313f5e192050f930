//! A running relay: the listener, the connections, and their end.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;
use std::time::Duration;

use nostr::RelayUrl;
use nostr_relay_builder::builder::RateLimit;
use nostr_relay_builder::{LocalRelay, RelayBuilder};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{self, JoinSet};

use crate::clock::Clock;
use crate::error::RelayError;
use crate::gate::{self, House};
use crate::limits::{Limits, RelayConfig};
use crate::store::Store;

/// Longest subscription id, as NIP-01 has it.
const SUBSCRIPTION_ID: usize = 64;

/// A running relay. It ends with [`Relay::stop`], or in the background when dropped.
///
/// Several can run in one process, each with a data folder of its own.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    /// Dropping it is the sign to end.
    running: oneshot::Sender<()>,
    serving: task::JoinHandle<()>,
    store: JoinHandle<()>,
}

impl Relay {
    /// Opens the data folder, erases what is due, and begins to serve.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound or the data folder cannot be used.
    pub async fn start(config: RelayConfig) -> Result<Self, RelayError> {
        Self::start_as(config, Clock::system(), &[]).await
    }

    /// As [`Relay::start`], with a clock, and with the addresses by which clients elsewhere know
    /// this relay: an authentication must name one of them, or the address that was bound.
    ///
    /// # Errors
    ///
    /// As [`Relay::start`], and when a public address is not a relay address.
    pub async fn start_as(config: RelayConfig, clock: Clock, public_urls: &[String]) -> Result<Self, RelayError> {
        let RelayConfig { listen, data, limits } = config;
        let (store_clock, store_limits) = (clock.clone(), limits.clone());
        let opening = task::spawn_blocking(move || Store::open(&data, store_clock, store_limits));
        let stopped = |_| RelayError::DataUnusable(std::io::ErrorKind::Interrupted.into());
        let (store, thread) = opening.await.map_err(stopped)??;
        let listener = TcpListener::bind(listen).await.map_err(RelayError::Listen)?;
        let address = listener.local_addr().map_err(RelayError::Listen)?;
        let house = Arc::new(House {
            local: local_relay(&store, &limits),
            store,
            clock,
            limits,
            urls: own_urls(address, public_urls)?,
            passed: AtomicU64::new(0),
        });
        let (running, ended) = oneshot::channel();
        Ok(Self { address, running, serving: tokio::spawn(serve(listener, house, ended)), store: thread })
    }

    /// The address for clients on this machine, as `ws://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// The address that was bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections, then closes the files. When it returns nothing of the relay runs.
    pub async fn stop(self) {
        drop(self.running);
        // A task that panicked has ended too, which is all that is asked of it here.
        let _ = self.serving.await;
        let store = self.store;
        let _ = task::spawn_blocking(move || store.join()).await;
    }
}

/// The session loop. Rates are counted at the gate, which says so in its own words; here they only
/// must not interfere.
fn local_relay(store: &Store, limits: &Limits) -> LocalRelay {
    let rate_limit = RateLimit { max_reqs: limits.subscriptions, notes_per_minute: u32::MAX };
    LocalRelay::new(
        RelayBuilder::default()
            .database(store.clone())
            .auth_dm(true)
            .rate_limit(rate_limit)
            .max_subid_length(SUBSCRIPTION_ID)
            .max_filter_limit(limits.page)
            .default_filter_limit(limits.page),
    )
}

async fn serve(listener: TcpListener, house: Arc<House>, mut ended: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut ended => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) if connections.len() < house.limits.connections => {
                    connections.spawn(gate::attend(Arc::clone(&house), stream, peer));
                }
                Ok(_) => {}
                // Out of file handles, mostly: going on at once would only spin.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
        }
    }
    connections.shutdown().await;
}

/// The addresses by which clients may mean this relay. What a client's request says about the host
/// is no evidence: whoever passes on somebody else's authentication writes there what he likes.
fn own_urls(address: SocketAddr, public: &[String]) -> Result<Vec<RelayUrl>, RelayError> {
    let port = address.port();
    let mut names: Vec<String> = public.to_vec();
    if !address.ip().is_unspecified() {
        names.push(format!("ws://{address}"));
    }
    if address.ip().is_loopback() || (address.ip().is_unspecified() && public.is_empty()) {
        let loopback = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port);
        names.push(format!("ws://{loopback}"));
        names.push(format!("ws://127.0.0.1:{port}"));
        names.push(format!("ws://localhost:{port}"));
    }
    let urls = names.iter().map(|name| RelayUrl::parse(name));
    urls.collect::<Result<_, _>>().map_err(|_| RelayError::PublicUrl)
}
