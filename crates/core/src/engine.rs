//! The engine: one open profile, and the only way in for both shells.

use std::{
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use mayfly_vault::{ChatId, Clock, ItemId, Passphrase, Urgency, Vault};
use tokio::{
    sync::{Notify, broadcast, mpsc, watch},
    task::JoinSet,
};

use crate::{
    Error, Link, ProfilePlace, chat,
    connection::Connection,
    contact,
    event::Events,
    inbox::{self, Inbox, Routes},
    invitation, message,
    mls::Identity,
    outbox::{self, Outbox},
    profile::{self, is_local},
    reaper,
    store::ProfileRecord,
    view::{
        ChatView, Connection as ConnectionState, Event, InvitationView, MessageView, ProfileView, StatusView, Timer,
    },
};

/// What a new profile begins with.
pub struct NewProfile {
    /// The name that contacts see, 1 to 64 characters.
    pub name: String,
    /// Asked for at each start, if set. Who loses it loses the profile.
    pub passphrase: Option<Passphrase>,
    /// The relays that invitations name, at most 4.
    pub relays: Vec<String>,
}

impl std::fmt::Debug for NewProfile {
    /// Shows nothing.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewProfile")
    }
}

/// An open profile. Clones share it.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    vault: Vault,
    identity: Arc<Identity>,
    profile: RwLock<ProfileRecord>,
    events: Events,
    routes: Arc<Routes>,
    wake_outbox: Arc<Notify>,
    idle: watch::Sender<bool>,
    status: watch::Sender<(ConnectionState, u32, u32)>,
    /// The lines to the relays while the engine runs.
    connection: Mutex<Option<Arc<Connection>>>,
}

impl std::fmt::Debug for Engine {
    /// Shows nothing.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

/// The engine's tasks: inbox, outbox, reaper. They end when this is stopped or dropped.
#[must_use = "the tasks end when this is dropped"]
pub struct Running {
    tasks: JoinSet<()>,
    engine: Engine,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Running")
    }
}

impl Running {
    /// Ends the tasks and the lines to the relays.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
        let connection = self.engine.inner.connection.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(connection) = connection {
            connection.shutdown().await;
        }
    }
}

impl Engine {
    /// Whether a profile stands there.
    pub fn exists(place: &ProfilePlace) -> bool {
        Vault::exists(&place.vault())
    }

    /// Whether opening the profile takes a passphrase.
    ///
    /// # Errors
    /// [`Error::ProfileMissing`].
    pub fn needs_passphrase(place: &ProfilePlace) -> Result<bool, Error> {
        Ok(Vault::needs_passphrase(&place.vault())?)
    }

    /// Creates a profile and opens it.
    ///
    /// # Errors
    /// [`Error::ProfileExists`], [`Error::NameInvalid`], [`Error::RelayInvalid`], [`Error::DiskFull`], [`Error::ReadOnly`].
    pub async fn create(place: &ProfilePlace, new: NewProfile, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let NewProfile { name, passphrase, relays } = new;
        profile::check_name(&name)?;
        profile::check_relays(&relays)?;
        let place = place.vault();
        // Argon2 and the first fsyncs take a second: not on a thread that serves others.
        let vault = blocking(move || Vault::create(&place, passphrase.as_ref(), clock)).await?;
        let record = vault.write(Urgency::User, move |writer| profile::create(writer, &name, &relays)).await?;
        Self::from_parts(vault, record)
    }

    /// Opens a profile. What died while it was closed is destroyed before this returns.
    ///
    /// # Errors
    /// [`Error::ProfileMissing`], [`Error::ProfileInUse`], [`Error::Locked`].
    pub async fn open(
        place: &ProfilePlace,
        passphrase: Option<Passphrase>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let place = place.vault();
        let vault = blocking(move || Vault::open(&place, passphrase.as_ref(), clock)).await?;
        let record = match vault.read(profile::load) {
            // What a passphrase for duress leaves, and a creation that broke off: an empty vault.
            Err(Error::ProfileMissing) => {
                vault.write(Urgency::User, |writer| profile::create(writer, profile::NAMELESS, &[])).await?
            }
            loaded => loaded?,
        };
        Self::from_parts(vault, record)
    }

    pub(crate) fn from_parts(vault: Vault, record: ProfileRecord) -> Result<Self, Error> {
        let inbox = profile::inbox_keys(&record)?.public_key().to_bytes();
        let identity = Identity::open(&record.signer, inbox)?;
        Ok(Self {
            inner: Arc::new(Inner {
                vault,
                identity: Arc::new(identity),
                profile: RwLock::new(record),
                events: Events::new(),
                routes: Arc::default(),
                wake_outbox: Arc::default(),
                idle: watch::channel(false).0,
                status: watch::channel((ConnectionState::NoRelay, 0, 0)).0,
                connection: Mutex::default(),
            }),
        })
    }

    /// Starts inbox, outbox and reaper on the current tokio runtime.
    pub fn run(&self) -> Running {
        let inner = &self.inner;
        let (incoming, arrivals) = mpsc::channel(1_024);
        let connection = Arc::new(Connection::new(incoming));
        *inner.connection.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&connection));
        let mut tasks = JoinSet::new();
        tasks.spawn(reaper::tell(inner.vault.clone(), inner.events.clone()));
        tasks.spawn(reaper::run(inner.vault.clone()));
        let inbox = Inbox {
            vault: inner.vault.clone(),
            identity: Arc::clone(&inner.identity),
            connection: Arc::clone(&connection),
            events: inner.events.clone(),
            routes: Arc::clone(&inner.routes),
            wake_outbox: Arc::clone(&inner.wake_outbox),
        };
        tasks.spawn(inbox.run(arrivals));
        let outbox = Outbox {
            vault: inner.vault.clone(),
            identity: Arc::clone(&inner.identity),
            connection: Arc::clone(&connection),
            events: inner.events.clone(),
            wake: Arc::clone(&inner.wake_outbox),
            idle: inner.idle.clone(),
        };
        tasks.spawn(self.clone().connect(Arc::clone(&connection), outbox));
        tasks.spawn(self.clone().watch_status(connection));
        Running { tasks, engine: self.clone() }
    }

    /// Opens the lines, then publishes: catch up first, then flush.
    async fn connect(self, connection: Arc<Connection>, outbox: Outbox) {
        let inner = &self.inner;
        let _ = inbox::refresh_routes(&inner.vault, &inner.routes, &connection).await;
        let invitations = inner.vault.read(invitation::all).unwrap_or_default();
        let inboxes = async {
            for invitation in &invitations {
                connection.open_inbox(&invitation.inbox.0, &invitation.relays).await;
            }
        };
        tokio::join!(inboxes, outbox.run());
    }

    async fn watch_status(self, connection: Arc<Connection>) {
        let mut changes = connection.changes();
        loop {
            let now = connection.state().await;
            let is_new = self.inner.status.send_if_modified(|status| std::mem::replace(status, now) != now);
            if is_new {
                self.inner.events.release([Event::StatusChanged { status: self.status() }]);
                if now.0 == ConnectionState::Connected {
                    self.inner.wake_outbox.notify_one();
                }
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// What happens from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.inner.events.subscribe()
    }

    /// The profile.
    pub fn profile(&self) -> ProfileView {
        let profile = self.profile_record();
        ProfileView {
            name: profile.name,
            relays: profile.relays,
            default_timer: profile.default_timer,
            erasure: self.inner.vault.tier().words().to_owned(),
            has_passphrase: self.inner.vault.has_passphrase(),
        }
    }

    pub(crate) fn profile_record(&self) -> ProfileRecord {
        self.inner.profile.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the profile's record, on the disk first.
    pub(crate) async fn change_profile(&self, change: impl FnOnce(&mut ProfileRecord)) -> Result<(), Error> {
        let mut record = self.profile_record();
        change(&mut record);
        let saved = record.clone();
        self.inner.vault.write(Urgency::User, move |writer| profile::save(writer, &saved)).await?;
        *self.inner.profile.write().unwrap_or_else(PoisonError::into_inner) = record;
        Ok(())
    }

    /// Sets the relays that invitations name from now on.
    ///
    /// # Errors
    /// [`Error::RelayInvalid`].
    pub async fn set_relays(&self, relays: Vec<String>) -> Result<ProfileView, Error> {
        let relays = profile::check_relays(&relays)?;
        self.change_profile(move |record| record.relays = relays).await?;
        if let Some(connection) = self.connection() {
            inbox::refresh_routes(&self.inner.vault, &self.inner.routes, &connection).await?;
        }
        Ok(self.profile())
    }

    /// Makes a one-time link that somebody else can accept within 7 days.
    ///
    /// # Errors
    /// [`Error::RelayRequired`] if the profile names no relay.
    pub async fn create_invitation(&self) -> Result<InvitationView, Error> {
        let relays = self.profile_record().relays;
        let identity = Arc::clone(&self.inner.identity);
        let (link, record) =
            self.inner.vault.write(Urgency::User, move |writer| invitation::create(writer, &identity, &relays)).await?;
        if let Some(connection) = self.connection() {
            connection.open_inbox(&record.inbox.0, &record.relays).await;
        }
        Ok(InvitationView {
            link: link.encode()?,
            expires_at: chat::instant(mayfly_vault::UnixMs(record.not_after_ms)),
            is_local_only: record.relays.iter().all(|relay| is_local(relay)),
        })
    }

    /// Accepts a link: the chat is there at once, and messages can be sent into it.
    ///
    /// # Errors
    /// [`Error::InvitationInvalid`], [`Error::InvitationExpired`], [`Error::InvitationOwn`], [`Error::InvitationUsed`].
    pub async fn accept_invitation(&self, link: &str) -> Result<ChatView, Error> {
        let link = Link::decode(link)?;
        if link.identity == self.inner.identity.public {
            return Err(Error::InvitationOwn);
        }
        let identity = Arc::clone(&self.inner.identity);
        let profile = self.profile_record();
        let view = self
            .inner
            .vault
            .write(Urgency::User, move |writer| contact::accept(writer, &identity, &profile, &link))
            .await?;
        self.inner.events.release([Event::ChatChanged { chat: view.clone() }]);
        if let Some(connection) = self.connection() {
            inbox::refresh_routes(&self.inner.vault, &self.inner.routes, &connection).await?;
        }
        self.wake();
        Ok(view)
    }

    /// All chats: those that are pinned first, then the one with the newest message.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn chats(&self) -> Result<Vec<ChatView>, Error> {
        self.inner.vault.read(|reader| {
            let mut views: Vec<ChatView> = chat::all(reader)?
                .iter()
                .map(|(id, record)| chat::view(reader, *id, record))
                .collect::<Result<_, _>>()?;
            let newest = |view: &ChatView| view.last.as_ref().map_or(view.created_at, |last| last.sent_at);
            views.sort_by_key(|view| std::cmp::Reverse((view.pinned_at.is_some(), newest(view))));
            Ok(views)
        })
    }

    /// One chat.
    ///
    /// # Errors
    /// [`Error::ChatMissing`].
    pub fn chat(&self, chat: ChatId) -> Result<ChatView, Error> {
        self.inner.vault.read(|reader| {
            let record = chat::load(reader, chat)?;
            chat::view(reader, chat, &record)
        })
    }

    /// A page of a chat's living messages, oldest first: the newest `limit`, or those before an order.
    ///
    /// # Errors
    /// [`Error::ChatMissing`].
    pub fn messages(&self, chat: ChatId, before: Option<i64>, limit: u32) -> Result<Vec<MessageView>, Error> {
        self.inner.vault.read(|reader| message::page(reader, chat, before, limit))
    }

    /// Sends words, with the chat's timer or a shorter one of the message's own. It is committed when this returns, and
    /// goes out by itself.
    ///
    /// # Errors
    /// [`Error::MessageEmpty`], [`Error::MessageTooLong`], [`Error::TimerInvalid`], [`Error::ChatMissing`].
    pub async fn send_message(&self, chat: ChatId, text: &str, timer: Option<Timer>) -> Result<MessageView, Error> {
        self.send(chat, text, timer, None).await
    }

    pub(crate) async fn send(
        &self,
        chat: ChatId,
        text: &str,
        timer: Option<Timer>,
        reply_to: Option<ItemId>,
    ) -> Result<MessageView, Error> {
        let identity = Arc::clone(&self.inner.identity);
        let text = zeroize::Zeroizing::new(text.to_owned());
        let message = self
            .inner
            .vault
            .write(Urgency::User, move |writer| message::send(writer, &identity, chat, &text, timer, reply_to))
            .await?;
        self.inner.events.release([Event::MessageQueued { message: message.clone() }]);
        self.wake();
        Ok(message)
    }

    /// Marks received messages as read: their timers start now, on this device.
    ///
    /// # Errors
    /// [`Error::ChatMissing`], [`Error::Store`].
    pub async fn mark_read(&self, chat: ChatId, ids: &[ItemId]) -> Result<(), Error> {
        let ids = ids.to_vec();
        let changed =
            self.inner.vault.write(Urgency::User, move |writer| message::mark_read(writer, chat, &ids)).await?;
        if changed.is_empty() {
            return Ok(());
        }
        self.inner.events.release(changed.into_iter().map(|message| Event::MessageChanged { message }));
        self.inner.events.release([Event::ChatChanged { chat: self.chat(chat)? }]);
        self.wake();
        Ok(())
    }

    /// Whether any relay is known: the profile's own, or one of a chat.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn knows_relays(&self) -> Result<bool, Error> {
        Ok(!self.profile_record().relays.is_empty() || !self.inner.vault.read(chat::all)?.is_empty())
    }

    /// How the profile stands with its relays.
    pub fn status(&self) -> StatusView {
        let (connection, relays_connected, relays_known) = *self.inner.status.borrow();
        StatusView {
            connection,
            relays_connected,
            relays_known,
            waiting: outbox::waiting(&self.inner.vault).unwrap_or_default(),
            erasure: self.inner.vault.tier().words().to_owned(),
        }
    }

    /// Waits until everything that was queued is published; `false` if it is not after `limit`.
    pub async fn flush(&self, limit: Duration) -> bool {
        let mut idle = self.inner.idle.subscribe();
        let all_out = async {
            // The outbox may have looked just before the last row was queued, so the store has the last word.
            while idle.wait_for(|is_idle| *is_idle).await.is_ok() && self.status().waiting > 0 {
                if idle.changed().await.is_err() {
                    break;
                }
            }
        };
        tokio::time::timeout(limit, all_out).await.is_ok() && self.status().waiting == 0
    }

    /// Closes the profile: whatever fell due is wiped, the clock's mark is sealed. Stop [`Running`] first.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::DiskFull`].
    pub async fn close(self) -> Result<(), Error> {
        Ok(self.inner.vault.close().await?)
    }

    /// Tells what a chat is like now.
    pub(crate) fn tell_chat(&self, chat: ChatView) {
        self.inner.events.release([Event::ChatChanged { chat }]);
    }

    /// The vault below, for the engine's other files.
    pub(crate) fn store(&self) -> &Vault {
        &self.inner.vault
    }

    /// Tells what happened.
    pub(crate) fn tell(&self, events: impl IntoIterator<Item = Event>) {
        self.inner.events.release(events);
    }

    /// Who this profile is among the members of its groups.
    pub(crate) fn identity(&self) -> Arc<Identity> {
        Arc::clone(&self.inner.identity)
    }

    /// Something waits to be published.
    pub(crate) fn wake(&self) {
        self.inner.idle.send_replace(false);
        self.inner.wake_outbox.notify_one();
    }

    fn connection(&self) -> Option<Arc<Connection>> {
        self.inner.connection.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Runs what blocks on a thread for it.
pub(crate) async fn blocking<T: Send + 'static>(
    job: impl FnOnce() -> Result<T, mayfly_vault::Error> + Send + 'static,
) -> Result<T, Error> {
    Ok(tokio::task::spawn_blocking(job).await.map_err(|_| Error::Store("task"))??)
}
