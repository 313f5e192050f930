//! People who talk: engines with profiles of their own, one relay and one clock that the test moves.

use std::{io, path::Path, sync::Arc, time::Duration};

use mayfly_core::{
    ChatId, Engine, Error, ItemId, MovableClock, NewProfile, ProfilePlace, Running, UnixMs,
    view::{Event, MessageView, Timer, TimerMode},
};
use mayfly_relay::{ClockHand, Relay, RelayConfig};
use tempfile::TempDir;
use tokio::sync::broadcast;

use crate::wiretap::Wiretap;

/// How long something may take that takes milliseconds on a machine with nothing else to do.
const LIMIT: Duration = Duration::from_secs(30);

/// A relay, a clock, and room for profiles.
#[derive(Debug)]
pub struct World {
    /// The clock of everybody in it but the relay.
    pub clock: MovableClock,
    /// Sets the relay's clock forward, which otherwise runs with the machine's.
    pub relay_hand: ClockHand,
    relay: Option<Relay>,
    relay_url: String,
    dir: TempDir,
}

/// One of the people.
#[derive(Debug)]
pub struct Person {
    /// The engine.
    pub engine: Engine,
    /// Where the profile lies.
    pub place: ProfilePlace,
    running: Option<Running>,
    clock: MovableClock,
}

impl World {
    /// A world that begins at the machine's own time, in a relay's tolerance.
    ///
    /// # Errors
    /// Fails when the relay cannot start.
    pub async fn new() -> io::Result<Self> {
        Self::known_as(&[]).await
    }

    /// A world in which somebody keeps all that the relay says.
    ///
    /// # Errors
    /// Fails when the relay or the tap cannot start.
    pub async fn tapped() -> io::Result<(Self, Wiretap)> {
        let mut tap = Wiretap::bind().await?;
        let mut world = Self::known_as(&[tap.url()]).await?;
        tap.lead_to(&world.relay_url);
        world.relay_url = tap.url();
        Ok((world, tap))
    }

    async fn known_as(relay_urls: &[String]) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("mayfly-world-").tempdir()?;
        let listen = ([127, 0, 0, 1], 0).into();
        let config = RelayConfig { listen, data: dir.path().join("relay"), limits: mayfly_relay::Limits::default() };
        let (relay_clock, relay_hand) = mayfly_relay::Clock::movable();
        let relay = Relay::start_as(config, relay_clock, relay_urls).await.map_err(io::Error::other)?;
        let clock = MovableClock::new(UnixMs(chrono_now_ms()));
        Ok(Self { clock, relay_hand, relay_url: relay.url(), relay: Some(relay), dir })
    }

    /// The whole second that runs on everybody's clock, counted as tags count.
    pub fn clock_second(&self) -> u64 {
        use mayfly_core::Clock as _;
        u64::try_from((self.clock.read().wall.0 - mayfly_vault::T0.0) / 1_000).unwrap_or_default()
    }

    /// Where the relay keeps its files.
    pub fn relay_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("relay")
    }

    /// Ends the relay.
    pub async fn stop_relay(&mut self) {
        if let Some(relay) = self.relay.take() {
            relay.stop().await;
        }
    }

    /// Somebody new, with a running engine.
    ///
    /// # Errors
    /// As [`Engine::create`].
    pub async fn person(&self, name: &str) -> Result<Person, Error> {
        let place = place(self.dir.path(), name);
        let new = NewProfile { name: name.to_owned(), passphrase: None, relays: vec![self.relay_url.clone()] };
        let engine = Engine::create(&place, new, Arc::new(self.clock.clone())).await?;
        let running = Some(engine.run());
        Ok(Person { engine, place, running, clock: self.clock.clone() })
    }

    /// Two people with a chat: the first invited, the second accepted, both are active. Gives each one's id of it.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn meet(&self, a: &Person, b: &Person) -> Result<(ChatId, ChatId), Error> {
        let invitation = a.engine.create_invitation().await?;
        let chat_b = b.engine.accept_invitation(&invitation.link).await?;
        let is_active = |chats: &[mayfly_core::view::ChatView]| {
            chats.iter().any(|chat| !chat.name.is_empty() && chat.state == mayfly_core::view::ChatState::Active)
        };
        eventually(|| Ok(is_active(&a.engine.chats()?) && is_active(&b.engine.chats()?))).await?;
        let chat_a = a.engine.chats()?.into_iter().next().ok_or(Error::ChatMissing)?;
        Ok((id(&chat_a.id)?, id(&chat_b.id)?))
    }
}

impl Person {
    /// Closes the app.
    ///
    /// # Errors
    /// As [`Engine::close`].
    pub async fn close(&mut self) -> Result<(), Error> {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
        self.engine.clone().close().await
    }

    /// Opens the app again, without letting it run yet.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub async fn open(&mut self) -> Result<(), Error> {
        self.engine = Engine::open(&self.place, None, Arc::new(self.clock.clone())).await?;
        Ok(())
    }

    /// Lets an opened app run.
    pub fn run(&mut self) {
        self.running = Some(self.engine.run());
    }

    /// Stops inbox, outbox and reaper; the vault stays open.
    pub async fn pause(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    /// The living messages of a chat.
    ///
    /// # Errors
    /// As [`Engine::messages`].
    pub fn messages(&self, chat: ChatId) -> Result<Vec<MessageView>, Error> {
        self.engine.messages(chat, None, 10_000)
    }

    /// Waits until a chat's living messages are as wanted, and gives them.
    ///
    /// # Errors
    /// [`Error::Store`] with `"story_timeout"` if they never are.
    pub async fn wait_for(
        &self,
        chat: ChatId,
        wanted: impl Fn(&[MessageView]) -> bool,
    ) -> Result<Vec<MessageView>, Error> {
        eventually(|| Ok(wanted(&self.messages(chat)?))).await?;
        self.messages(chat)
    }
}

/// Waits for an event.
///
/// # Errors
/// [`Error::Store`] with `"story_timeout"` if it never comes.
pub async fn event(events: &mut broadcast::Receiver<Event>, wanted: impl Fn(&Event) -> bool) -> Result<Event, Error> {
    let wait = async {
        loop {
            match events.recv().await {
                Ok(event) if wanted(&event) => return Ok(event),
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return Err(Error::Closed),
            }
        }
    };
    tokio::time::timeout(LIMIT, wait).await.map_err(|_| Error::Store("story_timeout"))?
}

/// Waits until something holds.
///
/// # Errors
/// [`Error::Store`] with `"story_timeout"` if it never does.
pub async fn eventually(holds: impl Fn() -> Result<bool, Error>) -> Result<(), Error> {
    let wait = async {
        while !holds()? {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    };
    tokio::time::timeout(LIMIT, wait).await.map_err(|_| Error::Store("story_timeout"))?
}

/// A profile of `name` below `dir`.
pub fn place(dir: &Path, name: &str) -> ProfilePlace {
    ProfilePlace { dir: dir.join(name), share_dir: dir.join(format!("{name}-share")) }
}

/// A message's or chat's id from its text.
///
/// # Errors
/// [`Error::MessageMissing`] if it is none.
pub fn id<T: std::str::FromStr>(text: &str) -> Result<T, Error> {
    text.parse().map_err(|_| Error::MessageMissing)
}

/// The ids of messages.
///
/// # Errors
/// As [`id`].
pub fn ids(messages: &[MessageView]) -> Result<Vec<ItemId>, Error> {
    messages.iter().map(|message| id(&message.id)).collect()
}

/// A timer after sending.
pub fn after_send(ttl_s: u32) -> Timer {
    Timer { mode: TimerMode::AfterSend, ttl_s: Some(ttl_s) }
}

/// A timer after reading.
pub fn after_read(ttl_s: u32) -> Timer {
    Timer { mode: TimerMode::AfterRead, ttl_s: Some(ttl_s) }
}

/// The machine's time: relays compare with theirs, so a story begins there and moves its own clock from there.
fn chrono_now_ms() -> i64 {
    use mayfly_core::Clock as _;
    mayfly_core::SystemClock.read().wall.0
}
