//! The relays: one line for messages, and one for each inbox key, because a relay proves one key per connection.
//!
//! A line gathers what a relay had stored and hands it over as one batch, sorted by nobody yet; what comes later is
//! handed over one by one. Relays cut long answers, so older pages are asked for until one brings nothing new.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use nostr_sdk::{
    Alphabet, Client, ClientMessage, ClientOptions, Event, EventId, Filter, Keys, Kind, RelayMessage, RelayOptions,
    RelayPoolNotification, RelayStatus, RelayUrl, SingleLetterTag, SubscriptionId,
    prelude::{Monitor, MonitorNotification, RelayNotification},
};
use tokio::sync::{broadcast, mpsc, watch};

use crate::{outbox::MESSAGE_KIND, view::Connection as State};

/// A relay that has not finished telling what it stored by then is believed to have.
const END_OF_STORED_LIMIT: Duration = Duration::from_secs(10);
/// How often a line looks whether it must ask again.
const TICK: Duration = Duration::from_millis(250);
/// From this many stored events on, a relay may have cut its answer.
const PAGE_EVENTS: usize = 250;
/// How long a relay may take to answer to what was published.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How soon a lost relay is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// What a line hands over.
pub(crate) enum Incoming {
    /// Events with a route: all that a relay had stored, or a single live one.
    Messages(Vec<Event>),
    /// A wrap for one of our inbox keys (its public half).
    Wrap { inbox: [u8; 32], event: Box<Event> },
}

/// What relays said to an event.
#[derive(Default)]
pub(crate) struct Published {
    pub accepted: Vec<String>,
    pub refused: Vec<String>,
    pub unreachable: Vec<String>,
}

/// Which routes or inbox keys (in hex) to ask which relay for.
type Wanted = BTreeMap<RelayUrl, Vec<String>>;

/// All lines of a profile.
pub(crate) struct Connection {
    mail: Client,
    wanted: watch::Sender<Wanted>,
    inboxes: Mutex<HashMap<[u8; 32], Inbox>>,
    incoming: mpsc::Sender<Incoming>,
    changed: watch::Sender<u64>,
}

/// The line of one inbox key; its task ends with `wanted`.
struct Inbox {
    client: Client,
    _wanted: watch::Sender<Wanted>,
}

impl Connection {
    /// The lines, with nothing asked for yet. What arrives goes to `incoming`.
    pub(crate) fn new(incoming: mpsc::Sender<Incoming>) -> Self {
        let changed = watch::channel(0).0;
        let (mail, wanted) = Line::start(Subject::Messages, None, incoming.clone(), Some(changed.clone()));
        Self { mail, wanted, inboxes: Mutex::default(), incoming, changed }
    }

    /// Sets the routes to listen to, and the relays of the profile, which are kept at hand before any chat uses them.
    pub(crate) async fn want(&self, routes: impl IntoIterator<Item = (String, Vec<String>)>, at_hand: &[String]) {
        let mut wanted = Wanted::new();
        for url in at_hand.iter().filter_map(|relay| RelayUrl::parse(relay).ok()) {
            wanted.entry(url).or_default();
        }
        for (route, relays) in routes {
            for url in relays.iter().filter_map(|relay| RelayUrl::parse(relay).ok()) {
                wanted.entry(url).or_default().push(route.clone());
            }
        }
        listen(&self.mail, &self.wanted, wanted).await;
    }

    /// Listens for wraps to an inbox key.
    pub(crate) async fn open_inbox(&self, secret: &[u8; 32], relays: &[String]) {
        let Ok(secret) = nostr::SecretKey::from_slice(secret) else { return };
        let keys = Keys::new(secret);
        let inbox = keys.public_key().to_bytes();
        let name = keys.public_key().to_hex();
        if self.lock_inboxes().contains_key(&inbox) {
            return;
        }
        let (client, wanted) = Line::start(Subject::Wraps(inbox), Some(keys), self.incoming.clone(), None);
        self.lock_inboxes().insert(inbox, Inbox { client: client.clone(), _wanted: wanted.clone() });
        let urls = relays.iter().filter_map(|relay| RelayUrl::parse(relay).ok());
        listen(&client, &wanted, urls.map(|url| (url, vec![name.clone()])).collect()).await;
    }

    /// Stops listening for wraps to an inbox key, by its public half.
    pub(crate) async fn close_inbox(&self, inbox: &[u8; 32]) {
        let line = self.lock_inboxes().remove(inbox);
        if let Some(line) = line {
            line.client.shutdown().await;
        }
    }

    fn lock_inboxes(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Inbox>> {
        self.inboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes an event and waits for what the relays say.
    pub(crate) async fn publish(&self, event: Event, relays: Vec<String>) {
        self.publish_all(&[(event, relays)]).await;
    }

    /// Publishes events, each to its relays, and gives what these said to each. A relay gets them in this order, and so
    /// do those who listen there.
    pub(crate) async fn publish_all(&self, events: &[(Event, Vec<String>)]) -> Vec<Published> {
        let relays: BTreeSet<&String> = events.iter().flat_map(|(_, relays)| relays).collect();
        let answers = relays.into_iter().map(|relay| async move {
            let events = events.iter().filter(|(_, relays)| relays.contains(relay)).map(|(event, _)| event);
            (relay, self.publish_at(relay, events.collect()).await)
        });
        let answers: BTreeMap<&String, HashMap<EventId, bool>> =
            futures_util::future::join_all(answers).await.into_iter().collect();
        let judge = |(event, relays): &(Event, Vec<String>)| {
            let mut published = Published::default();
            for relay in relays {
                match answers.get(relay).and_then(|said| said.get(&event.id)) {
                    Some(true) => published.accepted.push(relay.clone()),
                    Some(false) => published.refused.push(relay.clone()),
                    None => published.unreachable.push(relay.clone()),
                }
            }
            published
        };
        events.iter().map(judge).collect()
    }

    /// Publishes events at one relay: whether each was taken or refused for good. What is not in the answer goes again.
    async fn publish_at(&self, relay: &str, events: Vec<&Event>) -> HashMap<EventId, bool> {
        let Ok(url) = RelayUrl::parse(relay) else { return events.iter().map(|event| (event.id, false)).collect() };
        let mut answers = HashMap::new();
        let _ = self.mail.pool().add_relay(&url, relay_options()).await;
        let _ = self.mail.connect_relay(&url).await;
        let Ok(relay) = self.mail.relay(&url).await else { return answers };
        let mut said = relay.notifications();
        let messages = events.iter().map(|event| ClientMessage::event((*event).clone())).collect();
        if !relay.is_connected() || relay.batch_msg(messages).is_err() {
            return answers;
        }
        let listen = async {
            let mut unheard: HashSet<EventId> = events.iter().map(|event| event.id).collect();
            while !unheard.is_empty() {
                match said.recv().await {
                    Ok(RelayNotification::Message { message: RelayMessage::Ok { event_id, status, message } }) => {
                        if unheard.remove(&event_id) && (status || is_refusal(&message)) {
                            answers.insert(event_id, status);
                        }
                    }
                    Ok(RelayNotification::RelayStatus { status }) if status != RelayStatus::Connected => break,
                    Ok(RelayNotification::Shutdown) | Err(broadcast::error::RecvError::Closed) => break,
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                }
            }
        };
        let _ = tokio::time::timeout(ANSWER_LIMIT, listen).await;
        answers
    }

    /// How it stands with all relays together, how many answer, and how many are in use.
    pub(crate) async fn state(&self) -> (State, u32, u32) {
        let relays = self.mail.relays().await;
        let connected = relays.values().filter(|relay| relay.status() == RelayStatus::Connected).count();
        // One that was tried more often than it answered, or was lost, is being tried again.
        let has_failed = relays.values().any(|relay| {
            relay.status() == RelayStatus::Disconnected || relay.stats().attempts() > relay.stats().success().max(1)
        });
        let state = match (connected, relays.len()) {
            (_, 0) => State::NoRelay,
            (0, _) if has_failed => State::Offline,
            (0, _) => State::Connecting,
            _ => State::Connected,
        };
        (state, u32::try_from(connected).unwrap_or(u32::MAX), u32::try_from(relays.len()).unwrap_or(u32::MAX))
    }

    /// Wakes whenever a relay was reached or lost.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Ends all lines.
    pub(crate) async fn shutdown(&self) {
        let inboxes: Vec<Inbox> = self.lock_inboxes().drain().map(|(_, line)| line).collect();
        for line in inboxes {
            line.client.shutdown().await;
        }
        self.mail.shutdown().await;
    }
}

/// Whether a relay's "no" is final, by the prefixes of NIP-01.
fn is_refusal(reason: &str) -> bool {
    ["blocked:", "invalid:", "restricted:", "pow:"].iter().any(|prefix| reason.contains(prefix))
}

fn relay_options() -> RelayOptions {
    RelayOptions::new().retry_interval(RETRY).adjust_retry_interval(true)
}

/// Points a line at relays and what to ask them for.
async fn listen(client: &Client, line: &watch::Sender<Wanted>, wanted: Wanted) {
    for url in wanted.keys() {
        let _ = client.pool().add_relay(url, relay_options()).await;
    }
    line.send_if_modified(|before| {
        let is_new = *before != wanted;
        *before = wanted;
        is_new
    });
    client.connect().await;
}

/// What a line asks for.
#[derive(Clone, Copy)]
enum Subject {
    /// Events with a route.
    Messages,
    /// Wraps for an inbox key (its public half). A relay shows them only to who proves the key.
    Wraps([u8; 32]),
}

impl Subject {
    fn filter(self, names: &[String]) -> Filter {
        let (kind, tag) = match self {
            Self::Messages => (Kind::Custom(MESSAGE_KIND), Alphabet::H),
            Self::Wraps(_) => (Kind::GiftWrap, Alphabet::P),
        };
        Filter::new().kind(kind).custom_tags(SingleLetterTag::lowercase(tag), names.iter().cloned())
    }
}

/// What is going on with one relay of a line.
struct Asked {
    /// The subscription that counts; others are leftovers.
    id: SubscriptionId,
    names: Vec<String>,
    /// The relay closed the subscription: before the key is proven it does, and whenever it likes.
    is_closed: bool,
    /// What the relay had stored, until it says that this was all.
    stored: Option<Stored>,
}

#[derive(Default)]
struct Stored {
    events: Vec<Event>,
    seen: HashSet<EventId>,
    /// The page of older events that is being asked for, and how many new ones it brought.
    page: Option<(SubscriptionId, usize)>,
    waited: Duration,
}

/// One connection to each of some relays, under one key or none, and what it is asking for.
struct Line {
    subject: Subject,
    client: Client,
    incoming: mpsc::Sender<Incoming>,
    changed: Option<watch::Sender<u64>>,
    relays: HashMap<RelayUrl, Asked>,
    next_id: u64,
}

impl Line {
    /// Starts a line's task; it ends when the sender it gives is dropped, or its client is shut down.
    fn start(
        subject: Subject,
        keys: Option<Keys>,
        incoming: mpsc::Sender<Incoming>,
        changed: Option<watch::Sender<u64>>,
    ) -> (Client, watch::Sender<Wanted>) {
        let monitor = Monitor::new(256);
        let statuses = monitor.subscribe();
        let options = ClientOptions::new().automatic_authentication(true);
        let builder = Client::builder().opts(options).monitor(monitor);
        let client = match keys {
            Some(keys) => builder.signer(keys).build(),
            None => builder.build(),
        };
        let (wanted, wishes) = watch::channel(Wanted::new());
        let line = Self { subject, client: client.clone(), incoming, changed, relays: HashMap::new(), next_id: 0 };
        tokio::spawn(line.run(client.notifications(), statuses, wishes));
        (client, wanted)
    }

    async fn run(
        mut self,
        mut notifications: broadcast::Receiver<RelayPoolNotification>,
        mut statuses: broadcast::Receiver<MonitorNotification>,
        mut wanted: watch::Receiver<Wanted>,
    ) {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                status = statuses.recv() => match status {
                    Ok(MonitorNotification::StatusChanged { relay_url, status }) => {
                        if let Some(changed) = &self.changed {
                            changed.send_modify(|count| *count += 1);
                        }
                        if status == RelayStatus::Connected {
                            let routes = wanted.borrow().get(&relay_url).cloned().unwrap_or_default();
                            self.ask(&relay_url, routes).await;
                        }
                    }
                    Err(broadcast::error::RecvError::Lagged(_)) => {
                        let all = wanted.borrow().clone();
                        self.ask_all(&all).await;
                    }
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                is_open = wanted.changed() => {
                    if is_open.is_err() { return; }
                    let wanted = wanted.borrow_and_update().clone();
                    self.ask_all(&wanted).await;
                }
                notification = notifications.recv() => match notification {
                    Ok(RelayPoolNotification::Message { relay_url, message }) => self.take(&relay_url, message).await,
                    Ok(RelayPoolNotification::Event { .. }) => {}
                    Err(broadcast::error::RecvError::Lagged(_)) => {
                        // Something was missed: ask for everything again.
                        self.relays.clear();
                        let all = wanted.borrow().clone();
                        self.ask_all(&all).await;
                    }
                    Ok(RelayPoolNotification::Shutdown) | Err(broadcast::error::RecvError::Closed) => return,
                },
                _ = ticks.tick() => self.ask_again().await,
            }
        }
    }

    /// Asks every relay from which something else is wanted now.
    async fn ask_all(&mut self, wanted: &Wanted) {
        for (url, names) in wanted {
            if self.relays.get(url).is_none_or(|asked| &asked.names != names) {
                self.ask(url, names.clone()).await;
            }
        }
    }

    /// Asks a relay for all it has stored under these names, and for what comes.
    async fn ask(&mut self, url: &RelayUrl, names: Vec<String>) {
        if names.is_empty() {
            return;
        }
        if let Some(before) = self.relays.remove(url) {
            self.send(url, ClientMessage::close(before.id)).await;
        }
        let id = self.new_id();
        self.send(url, ClientMessage::req(id.clone(), vec![self.subject.filter(&names)])).await;
        self.relays.insert(url.clone(), Asked { id, names, is_closed: false, stored: Some(Stored::default()) });
    }

    async fn take(&mut self, url: &RelayUrl, message: RelayMessage<'static>) {
        match message {
            RelayMessage::Event { subscription_id, event } => {
                self.take_event(url, &subscription_id, event.into_owned()).await;
            }
            RelayMessage::EndOfStoredEvents(id) => self.take_end(url, &id).await,
            RelayMessage::Closed { subscription_id, .. } => {
                if let Some(asked) = self.relays.get_mut(url).filter(|asked| asked.id == *subscription_id) {
                    asked.is_closed = true;
                }
            }
            _ => {}
        }
    }

    async fn take_event(&mut self, url: &RelayUrl, id: &SubscriptionId, event: Event) {
        let Some(asked) = self.relays.get_mut(url) else { return };
        let is_page = asked.stored.as_ref().and_then(|s| s.page.as_ref()).is_some_and(|(page, _)| page == id);
        if &asked.id != id && !is_page {
            return;
        }
        match &mut asked.stored {
            Some(stored) => {
                if stored.seen.insert(event.id) {
                    if let Some((_, brought)) = stored.page.as_mut().filter(|_| is_page) {
                        *brought += 1;
                    }
                    stored.events.push(event);
                }
            }
            None => self.hand_over(vec![event]).await,
        }
    }

    /// A relay told all that it would: ask for the page before, or hand the batch over.
    async fn take_end(&mut self, url: &RelayUrl, id: &SubscriptionId) {
        let Some(asked) = self.relays.get_mut(url) else { return };
        let Some(stored) = &mut asked.stored else { return };
        let is_more = match stored.page.take() {
            Some((page, brought)) if &page == id => brought > 0,
            None if &asked.id == id => stored.events.len() >= PAGE_EVENTS,
            page => {
                stored.page = page;
                return;
            }
        };
        let oldest = stored.events.iter().map(|event| event.created_at).min();
        let (Some(oldest), true) = (oldest, is_more) else {
            self.end_stored(url).await;
            return;
        };
        let filter = self.subject.filter(&asked.names).until(oldest);
        let page = SubscriptionId::new(format!("p{}", oldest.as_secs()));
        stored.page = Some((page.clone(), 0));
        stored.waited = Duration::ZERO;
        self.send(url, ClientMessage::req(page, vec![filter])).await;
    }

    async fn end_stored(&mut self, url: &RelayUrl) {
        let stored = self.relays.get_mut(url).and_then(|asked| asked.stored.take());
        self.hand_over(stored.unwrap_or_default().events).await;
    }

    async fn hand_over(&self, events: Vec<Event>) {
        match self.subject {
            Subject::Messages if events.is_empty() => {}
            Subject::Messages => {
                let _ = self.incoming.send(Incoming::Messages(events)).await;
            }
            Subject::Wraps(inbox) => {
                for event in events {
                    let _ = self.incoming.send(Incoming::Wrap { inbox, event: Box::new(event) }).await;
                }
            }
        }
    }

    /// Asks those relays again that closed the subscription, or never said that they told all they had.
    async fn ask_again(&mut self) {
        let mut again = Vec::new();
        for (url, asked) in &mut self.relays {
            let is_late = asked.stored.as_mut().is_some_and(|stored| {
                stored.waited += TICK;
                stored.waited > END_OF_STORED_LIMIT
            });
            if asked.is_closed || is_late {
                again.push((url.clone(), asked.names.clone()));
            }
        }
        for (url, names) in again {
            self.end_stored(&url).await;
            if self.client.relay(&url).await.is_ok_and(|relay| relay.status() == RelayStatus::Connected) {
                self.ask(&url, names).await;
            }
        }
    }

    async fn send(&self, url: &RelayUrl, message: ClientMessage<'static>) {
        let _ = self.client.send_msg_to([url], message).await;
    }

    fn new_id(&mut self) -> SubscriptionId {
        self.next_id += 1;
        SubscriptionId::new(format!("m{}", self.next_id))
    }
}
