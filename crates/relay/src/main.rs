//! `mayfly-relay`: the relay as a program.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use mayfly_relay::{Clock, Limits, Relay, RelayConfig, RelayError};

/// Holds padded ciphertext for a bounded time, and erases it on time.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7420")]
    listen: SocketAddr,
    /// The relay's own folder; it is made when missing.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Allow an address that others can reach.
    #[arg(long)]
    public: bool,
    /// An address by which clients know this relay, as ws://… or wss://…; may be given more than once.
    #[arg(long = "url", value_name = "URL")]
    urls: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(objection) = objection(&arguments) {
        complain(objection);
        return ExitCode::from(2);
    }
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("{error} ({})", error.code()));
            ExitCode::FAILURE
        }
    }
}

fn objection(arguments: &Arguments) -> Option<&'static str> {
    let ip = arguments.listen.ip();
    if !ip.is_loopback() && !arguments.public {
        return Some("This address can be reached by others. Add --public if that is meant.");
    }
    if ip.is_unspecified() && arguments.urls.is_empty() {
        return Some("Add --url with the address by which clients know this relay.");
    }
    None
}

async fn run(arguments: Arguments) -> Result<(), RelayError> {
    let signals = Signals::new().map_err(RelayError::Listen)?;
    let config = RelayConfig { listen: arguments.listen, data: arguments.data, limits: Limits::default() };
    let relay = Relay::start_as(config, Clock::system(), &arguments.urls).await?;
    // Whoever started the program may not read what it says; it serves all the same.
    let mut out = io::stdout();
    let _ = writeln!(out, "listening on {}", relay.url()).and_then(|()| out.flush());
    signals.wait().await;
    relay.stop().await;
    Ok(())
}

fn complain(text: &str) {
    // There is nowhere left to say that standard error is closed.
    let _ = writeln!(io::stderr(), "mayfly-relay: {text}");
}

/// The two polite ways of ending a program.
#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// Listens from now on, so that a signal during the start is not lost.
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn wait(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn wait(self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
