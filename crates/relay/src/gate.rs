//! The gate in front of a connection.
//!
//! `LocalRelay` keeps the sessions, but it lets through what it should not: it counts and
//! reconciles for anybody, does not look which relay an authentication was meant for, reads
//! messages of 64 MB, refuses with "error: unknown", ends the connection at the first garbage, and
//! lets a slow reader miss events without a word. So each connection is two websockets: the
//! client's ends here, and what passes goes on to `LocalRelay` through a pipe in memory.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use nostr::{ClientMessage, Event, JsonUtil, RelayMessage, RelayUrl, SubscriptionId};
use nostr_relay_builder::LocalRelay;
use tokio::io::DuplexStream;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};

use crate::bucket::Bucket;
use crate::clock::Clock;
use crate::hello::greet;
use crate::limits::Limits;
use crate::refusal::Refusal;
use crate::rules;
use crate::store::Store;

const PIPE_BYTES: usize = 256 * 1024;
const HANDSHAKE_TIME: Duration = Duration::from_secs(5);
/// After this much silence the client is asked whether it is there; after as much again it is not.
const SILENCE: Duration = Duration::from_mins(1);
/// How long a client may leave its socket full.
const STALL: Duration = Duration::from_secs(30);
/// How long a closing connection may take to deliver its last words.
const FAREWELL: Duration = Duration::from_secs(2);
/// `LocalRelay` drops what a session has not taken up when 1,024 newer events have come; a client
/// that may be that far behind is let go before.
const LAG: u64 = 900;
/// A pipe that was quiet for so long has no backlog behind it.
const QUIET: Duration = Duration::from_millis(50);
/// Messages are read up to this many times the largest event, so that an event which is a little
/// too large can be refused by name.
const MESSAGE_FACTOR: usize = 4;
/// `["EVENT",` and `]`, and some air.
const ENVELOPE_BYTES: usize = 16;

/// What all connections of one relay share.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) local: LocalRelay,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) limits: Limits,
    /// The addresses under which this relay is itself, for AUTH.
    pub(crate) urls: Vec<RelayUrl>,
    /// Events let through so far, to notice who may have missed some.
    pub(crate) passed: AtomicU64,
}

/// Why a connection ended before the client closed it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error("the connection broke")]
    Io(#[from] io::Error),
    #[error("the websocket broke")]
    WebSocket(#[from] Box<tungstenite::Error>),
    #[error("the client was too slow")]
    TooSlow,
}

impl From<tungstenite::Error> for Ended {
    fn from(error: tungstenite::Error) -> Self {
        Self::WebSocket(Box::new(error))
    }
}

impl From<tokio::time::error::Elapsed> for Ended {
    fn from(_: tokio::time::error::Elapsed) -> Self {
        Self::TooSlow
    }
}

/// Serves one connection to its end.
///
/// # Errors
///
/// When it ended for another reason than that the client left.
pub(crate) async fn attend(house: Arc<House>, stream: TcpStream, peer: SocketAddr) -> Result<(), Ended> {
    // An acknowledgement is small and is waited for.
    stream.set_nodelay(true)?;
    let Some(stream) = greet(stream, &house.limits).await? else {
        return Ok(());
    };
    let largest = Some(house.limits.event_bytes.saturating_mul(MESSAGE_FACTOR));
    let config =
        WebSocketConfig::default().read_buffer_size(16 * 1024).max_message_size(largest).max_frame_size(largest);
    let accepting = tokio_tungstenite::accept_async_with_config(stream, Some(config));
    let (to_client, from_client) = timeout(HANDSHAKE_TIME, accepting).await??.split();
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    let local = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
    let (to_local, from_local) = local.split();
    let (backlog, waiting) = Backlog::new(house.limits.backlog_bytes);
    let mut writer = pin!(write(waiting, to_client));
    let outcome = {
        let mut inbound = Inbound::new(Arc::clone(&house), backlog.clone(), to_local);
        tokio::select! {
            _ = house.local.take_connection(far, peer) => Ok(()),
            ended = inbound.run(from_client) => ended,
            ended = pass_on(&house, backlog, from_local) => ended,
            ended = &mut writer => ended,
        }
    };
    // All senders are gone, so the writer ends when it has said everything.
    timeout(FAREWELL, writer).await??;
    outcome
}

/// Messages that wait for the client, bounded by their size.
#[derive(Clone)]
struct Backlog {
    queue: mpsc::UnboundedSender<(Message, OwnedSemaphorePermit)>,
    room: Arc<Semaphore>,
    most: usize,
}

type Waiting = mpsc::UnboundedReceiver<(Message, OwnedSemaphorePermit)>;

impl Backlog {
    fn new(bytes: usize) -> (Self, Waiting) {
        let most = bytes.clamp(1, Semaphore::MAX_PERMITS);
        let (queue, waiting) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(most));
        (Self { queue, room, most }, waiting)
    }

    fn permits(&self, message: &Message) -> u32 {
        u32::try_from(message.len().clamp(1, self.most)).unwrap_or(u32::MAX)
    }

    /// Whether there is room without waiting.
    fn has_room(&self, message: &Message) -> bool {
        self.room.available_permits() >= self.permits(message) as usize
    }

    /// Queues a message, waiting for room while the client reads.
    async fn send(&self, message: Message) -> Result<(), Ended> {
        let room = Arc::clone(&self.room);
        let permit = timeout(STALL, room.acquire_many_owned(self.permits(&message))).await?;
        let permit = permit.map_err(|_| Ended::TooSlow)?;
        self.queue.send((message, permit)).map_err(|_| Ended::TooSlow)
    }

    async fn say(&self, message: RelayMessage<'_>) -> Result<(), Ended> {
        self.send(Message::text(message.as_json())).await
    }
}

async fn write(
    mut waiting: Waiting,
    mut to_client: SplitSink<WebSocketStream<TcpStream>, Message>,
) -> Result<(), Ended> {
    while let Some((message, permit)) = waiting.recv().await {
        to_client.feed(message).await?;
        drop(permit);
        if waiting.is_empty() {
            to_client.flush().await?;
        }
    }
    Ok(to_client.close().await?)
}

/// Carries what `LocalRelay` says to the client, with the reasons that it does not know.
async fn pass_on(
    house: &House,
    backlog: Backlog,
    mut from_local: SplitStream<WebSocketStream<DuplexStream>>,
) -> Result<(), Ended> {
    let mut behind_since = None;
    loop {
        let next = if let Ok(next) = timeout(QUIET, from_local.next()).await {
            next
        } else {
            behind_since = None;
            from_local.next().await
        };
        let Some(message) = next.transpose()? else {
            return Ok(());
        };
        let Message::Text(text) = message else {
            continue;
        };
        let message = Message::text(amend(&house.store, text.as_str()));
        let passed = house.passed.load(Ordering::Relaxed);
        if !backlog.has_room(&message) {
            behind_since.get_or_insert(passed);
        }
        backlog.send(message).await?;
        let passed = house.passed.load(Ordering::Relaxed);
        if behind_since.is_some_and(|since| passed.saturating_sub(since) > LAG) {
            return Err(Ended::TooSlow);
        }
    }
}

/// Puts the reason into a refusal that `LocalRelay` could not explain.
fn amend(store: &Store, text: &str) -> String {
    let is_unexplained = text.starts_with("[\"OK\"") && text.contains("error: unknown");
    if is_unexplained
        && let Ok(RelayMessage::Ok { event_id, .. }) = RelayMessage::from_json(text)
        && let Some(reason) = store.reason(&event_id)
    {
        // NIP-01: an event that is here already is a success.
        let status = reason == Refusal::Duplicate;
        let message = Cow::Owned(reason.to_string());
        let explained = RelayMessage::Ok { event_id, status, message };
        return explained.as_json();
    }
    text.to_owned()
}

/// The way in.
struct Inbound {
    house: Arc<House>,
    backlog: Backlog,
    to_local: SplitSink<WebSocketStream<DuplexStream>, Message>,
    events: Bucket,
    queries: Bucket,
}

impl Inbound {
    fn new(house: Arc<House>, backlog: Backlog, to_local: SplitSink<WebSocketStream<DuplexStream>, Message>) -> Self {
        let now = Clock::tick();
        let limits = &house.limits;
        Self {
            events: Bucket::new(limits.events_burst, limits.events_per_minute, now),
            queries: Bucket::new(limits.queries_burst, limits.queries_per_minute, now),
            house,
            backlog,
            to_local,
        }
    }

    async fn run(&mut self, mut from_client: SplitStream<WebSocketStream<TcpStream>>) -> Result<(), Ended> {
        let mut is_asked = false;
        loop {
            let Ok(next) = timeout(SILENCE, from_client.next()).await else {
                if is_asked {
                    return Err(Ended::TooSlow);
                }
                is_asked = true;
                self.backlog.send(Message::Ping(Vec::new().into())).await?;
                continue;
            };
            is_asked = false;
            match next {
                Some(Ok(Message::Text(text))) => match self.screen(text.as_str()) {
                    Ok(()) => self.to_local.send(Message::Text(text)).await?,
                    Err(answer) => self.backlog.say(*answer).await?,
                },
                Some(Ok(Message::Binary(_))) => {
                    self.queries.take(1, Clock::tick());
                    self.backlog.say(notice(Refusal::Binary)).await?;
                }
                Some(Ok(Message::Close(_))) | None => return Ok(()),
                Some(Ok(_)) => {}
                Some(Err(tungstenite::Error::Capacity(_))) => {
                    return self.backlog.say(notice(Refusal::MessageTooLarge)).await;
                }
                Some(Err(error)) => return Err(error.into()),
            }
        }
    }

    /// Lets a message pass, or says what to answer instead.
    fn screen(&mut self, text: &str) -> Result<(), Box<RelayMessage<'static>>> {
        let Ok(message) = ClientMessage::from_json(text) else {
            let is_calm = self.queries.take(1, Clock::tick());
            let reason = if is_calm { Refusal::NotAMessage } else { Refusal::TooFast };
            return Err(Box::new(notice(reason)));
        };
        let answer = match message {
            ClientMessage::Event(event) => {
                let outcome = self.screen_event(&event, text.len());
                outcome.err().map(|reason| refused(&event, reason))
            }
            ClientMessage::Auth(event) => {
                let outcome = self.screen_auth(&event);
                outcome.err().map(|reason| refused(&event, reason))
            }
            ClientMessage::Req { subscription_id, filters } => {
                let outcome = self.screen_query(&filters);
                outcome.err().map(|reason| closed(subscription_id, reason))
            }
            ClientMessage::Count { subscription_id, .. } => Some(closed(subscription_id, Refusal::Count)),
            ClientMessage::NegOpen { subscription_id, .. } | ClientMessage::NegMsg { subscription_id, .. } => {
                Some(RelayMessage::NegErr {
                    subscription_id: Cow::Owned(subscription_id.into_owned()),
                    message: Cow::Owned(Refusal::Reconcile.to_string()),
                })
            }
            ClientMessage::Close(_) | ClientMessage::NegClose { .. } => None,
        };
        answer.map_or(Ok(()), |answer| Err(Box::new(answer)))
    }

    fn screen_event(&mut self, event: &Event, bytes: usize) -> Result<(), Refusal> {
        if !self.events.take(rules::cost(event), Clock::tick()) {
            return Err(Refusal::TooFast);
        }
        let limits = &self.house.limits;
        if bytes > limits.event_bytes.saturating_add(ENVELOPE_BYTES) {
            return Err(Refusal::EventTooLarge);
        }
        rules::admit(event, self.house.clock.now_s(), limits)?;
        self.house.passed.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// An authentication is for this relay only: another one could have been given it, and would
    /// pass it on to read in the client's name.
    fn screen_auth(&mut self, event: &Event) -> Result<(), Refusal> {
        self.take_query()?;
        let mut named = rules::values(event, "relay");
        let url = named.next().and_then(|url| RelayUrl::parse(url).ok());
        let is_ours = url.is_some_and(|url| self.house.urls.contains(&url));
        let fits = is_ours && named.next().is_none();
        fits.then_some(()).ok_or(Refusal::OtherRelay)
    }

    fn screen_query(&mut self, filters: &[Cow<'_, nostr::Filter>]) -> Result<(), Refusal> {
        self.take_query()?;
        let limits = &self.house.limits;
        if filters.len() > limits.filters {
            return Err(Refusal::QueryTooLarge);
        }
        let mut all = filters.iter();
        all.try_for_each(|filter| rules::admit_filter(filter, limits))
    }

    fn take_query(&mut self) -> Result<(), Refusal> {
        let is_calm = self.queries.take(1, Clock::tick());
        is_calm.then_some(()).ok_or(Refusal::TooFast)
    }
}

fn notice(reason: Refusal) -> RelayMessage<'static> {
    RelayMessage::Notice(Cow::Owned(reason.to_string()))
}

fn refused(event: &Event, reason: Refusal) -> RelayMessage<'static> {
    RelayMessage::Ok { event_id: event.id, status: false, message: Cow::Owned(reason.to_string()) }
}

fn closed(id: Cow<'_, SubscriptionId>, reason: Refusal) -> RelayMessage<'static> {
    RelayMessage::Closed { subscription_id: Cow::Owned(id.into_owned()), message: Cow::Owned(reason.to_string()) }
}
