//! What an open vault holds in memory, shared by its readers and its one writer.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rusqlite::Connection;
use tokio::sync::{Notify, broadcast, watch};

use crate::cipher::{Alg, Key, LABEL, mac};
use crate::clock::{Clock, Reading};
use crate::disk::{Files, ProfileLock};
use crate::gate::Gate;
use crate::lock::Dues;
use crate::locked::Locked;
use crate::seal::{Identity, Leaf};
use crate::sql::{Alive, Wiped};
use crate::state::Header;
use crate::time::{Mark, Now, cut, second_at};
use crate::tree::Frontier;
use crate::{ChatId, Error, ItemId, schema};

/// Half of what a state file holds from the start: the other half is for what dies early while the living move.
const CROWDED_BYTES: usize = crate::disk::STATE_BYTES / 2;
/// Connections kept for readers; more are opened when needed and closed afterwards.
const POOL: usize = 4;

/// The keys of an open vault. Only the writer's thread, and panic, change them.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) header: Header,
    pub(crate) pass: Option<Locked>,
    pub(crate) keyring: Option<Locked>,
    pub(crate) tpm: Option<Locked>,
    pub(crate) slot: Locked,
    pub(crate) mark: Mark,
    /// A wall clock that runs far ahead was confirmed; counts until the next mark, which then is that clock's.
    pub(crate) is_confirmed: bool,
    pub(crate) k_db: Locked,
    pub(crate) k_db_next: Option<Locked>,
    /// Old generation first; what is new hangs from the last.
    pub(crate) trees: Vec<Frontier>,
    /// What everything of a kind that burns hangs from, too. Never on any disk: nothing while it is locked, and another each
    /// time it is opened.
    fire: Option<Locked>,
    /// Keys of chats that were needed; emptied whenever leaves are punctured.
    chats: Mutex<HashMap<ChatId, Key>>,
}

impl Keys {
    pub(crate) fn new(opened: crate::opening::Opened, pass: Option<Locked>) -> Self {
        let crate::state::State { mark, k_db, k_db_next, trees } = opened.state;
        Self {
            header: opened.header,
            pass,
            keyring: None,
            tpm: None,
            slot: Locked::of(&opened.slot.key),
            mark,
            is_confirmed: false,
            k_db,
            k_db_next,
            trees,
            fire: None,
            chats: Mutex::default(),
        }
    }

    /// From here on there can be what burns.
    pub(crate) fn light(&mut self) -> Result<(), Error> {
        self.fire = Some(Locked::of(&Key::random()?));
        Ok(())
    }

    /// All that burns is ashes.
    pub(crate) fn burn(&mut self) {
        self.fire = None;
    }

    /// A chat's key for what burns in it.
    pub(crate) fn burning(&self, chat_key: &Key) -> Option<Key> {
        self.fire.as_ref().map(|fire| mac(fire, &[LABEL, b"burn", &chat_key.0]))
    }

    /// The key of a leaf, or nothing once it is gone.
    pub(crate) fn leaf_key(&self, leaf: Leaf) -> Option<Key> {
        self.trees.iter().find(|tree| tree.generation() == leaf.generation)?.eval(leaf.tag)
    }

    /// The tree that new items hang from.
    pub(crate) fn newest(&self) -> Option<&Frontier> {
        self.trees.last()
    }

    /// Whether the living are on their way from an older tree to a younger one.
    pub(crate) fn is_moving(&self) -> bool {
        self.trees.len() > 1
    }

    /// How many bytes the trees take in the state.
    pub(crate) fn tree_bytes(&self) -> usize {
        self.trees.iter().map(Frontier::encoded_bytes).sum()
    }

    pub(crate) fn cached_chat(&self, chat: ChatId) -> Option<Key> {
        lock(&self.chats).get(&chat).cloned()
    }

    pub(crate) fn cache_chat(&self, chat: ChatId, key: &Key) {
        lock(&self.chats).insert(chat, key.clone());
    }

    pub(crate) fn forget_chats(&self) {
        lock(&self.chats).clear();
    }

    /// Forgets everything, in memory and for good.
    pub(crate) fn forget_all(&mut self) {
        self.trees.clear();
        self.burn();
        self.forget_chats();
        self.pass = None;
        self.keyring = None;
        self.tpm = None;
        self.slot = Locked::zeroed(32);
        self.k_db = Locked::zeroed(32);
        self.k_db_next = None;
    }
}

/// How far the wipes have come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    /// How many wipes have passed W2.
    pub(crate) wiped: u64,
    /// How many of them are done with W5.
    pub(crate) settled: u64,
    /// The living are on their way to a younger tree, as far as the state on the disk knows.
    pub(crate) is_moving: bool,
    /// Why the last housekeeping stopped; the next wipe tries again.
    pub(crate) fault: Option<Error>,
}

/// What the last W0 has taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Swept {
    pub(crate) s_now: i64,
    pub(crate) condemned: i64,
}

/// A step of the wipe, for whoever examines the files in between or measures how long it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "forensics"), allow(dead_code))]
pub enum Step {
    /// The wipe begins, on the writer's thread.
    W0 = 1,
    /// The new share stands: what is dead is irrecoverable.
    W2 = 2,
    /// The rows of the dead are removed.
    W3 = 3,
    /// Free pages are given back, and the log is empty.
    W4 = 4,
    /// All the living hang from the younger tree, and the older one is still there.
    Moved = 5,
}

/// Everything that readers, the writer and the handle share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) database: PathBuf,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) alg: Alg,
    pub(crate) store_id: [u8; 16],
    keys: RwLock<Keys>,
    files: Mutex<Files>,
    pool: Mutex<Vec<Connection>>,
    lock_file: Mutex<Option<ProfileLock>>,
    pub(crate) gate: Gate,
    is_closed: AtomicBool,
    swept: Mutex<Swept>,
    /// While it is locked: what the wipes have to know.
    dues: Mutex<Option<Arc<Dues>>>,
    /// Held for reading by every reader: whoever has it for writing has the database for itself.
    readers: RwLock<()>,
    /// From so many bytes of trees on a younger one is begun.
    pub(crate) crowded_bytes: AtomicUsize,
    /// Nothing alive names the older tree any more.
    pub(crate) is_moved: AtomicBool,
    pub(crate) wiped: broadcast::Sender<Arc<Vec<Wiped>>>,
    pub(crate) changed: Notify,
    pub(crate) progress: watch::Sender<Progress>,
    #[cfg(feature = "forensics")]
    pub(crate) stop_after: std::sync::atomic::AtomicU8,
    #[cfg(feature = "forensics")]
    pub(crate) watcher: Mutex<Option<Watcher>>,
}

/// Somebody who is called at each step of each wipe, on the writer's thread.
#[cfg(feature = "forensics")]
pub(crate) struct Watcher(pub(crate) Box<dyn Fn(Step) + Send>);

#[cfg(feature = "forensics")]
impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watcher")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What our locks guard is whole between any two statements, so a panic elsewhere spoils nothing.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(
        database: PathBuf,
        clock: Arc<dyn Clock>,
        keys: Keys,
        files: Files,
        lock_file: ProfileLock,
        gate: Gate,
    ) -> Self {
        Self {
            database,
            clock,
            alg: keys.header.alg,
            store_id: keys.header.store_id,
            keys: RwLock::new(keys),
            files: Mutex::new(files),
            pool: Mutex::default(),
            lock_file: Mutex::new(Some(lock_file)),
            gate,
            is_closed: AtomicBool::new(false),
            swept: Mutex::new(Swept { s_now: -1, condemned: 0 }),
            dues: Mutex::default(),
            readers: RwLock::new(()),
            crowded_bytes: AtomicUsize::new(CROWDED_BYTES),
            is_moved: AtomicBool::new(false),
            wiped: broadcast::Sender::new(1024),
            changed: Notify::new(),
            progress: watch::Sender::default(),
            #[cfg(feature = "forensics")]
            stop_after: std::sync::atomic::AtomicU8::new(0),
            #[cfg(feature = "forensics")]
            watcher: Mutex::default(),
        }
    }

    /// The wipe has come this far.
    #[cfg(feature = "forensics")]
    pub(crate) fn reached(&self, step: Step) {
        if let Some(Watcher(watcher)) = &*lock(&self.watcher) {
            watcher(step);
        }
    }

    #[cfg(not(feature = "forensics"))]
    #[allow(clippy::unused_self)] // As its twin, which tells.
    pub(crate) const fn reached(&self, _step: Step) {}

    /// Whether the wipe is to stand still behind this step.
    #[cfg(feature = "forensics")]
    pub(crate) fn stops_after(&self, step: Step) -> bool {
        self.stop_after.load(Ordering::SeqCst) == step as u8
    }

    #[cfg(not(feature = "forensics"))]
    #[allow(clippy::unused_self)] // As its twin, which looks.
    pub(crate) const fn stops_after(&self, _step: Step) -> bool {
        false
    }

    pub(crate) fn keys(&self) -> RwLockReadGuard<'_, Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn keys_mut(&self) -> RwLockWriteGuard<'_, Keys> {
        self.keys.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn files(&self) -> MutexGuard<'_, Files> {
        lock(&self.files)
    }

    pub(crate) fn swept(&self) -> MutexGuard<'_, Swept> {
        lock(&self.swept)
    }

    /// What the wipes have to know while it is locked; nothing while it is not.
    pub(crate) fn dues(&self) -> Option<Arc<Dues>> {
        lock(&self.dues).clone()
    }

    pub(crate) fn set_dues(&self, dues: Option<Arc<Dues>>) {
        *lock(&self.dues) = dues;
    }

    pub(crate) fn now(&self) -> (Now, Reading) {
        let reading = self.clock.read();
        let keys = self.keys();
        (keys.mark.now(&reading, keys.is_confirmed), reading)
    }

    /// What a reader may see at this moment.
    pub(crate) fn alive(&self) -> Alive {
        let s_now = second_at(self.now().0.shown);
        Alive { s_now, cut: cut(s_now) }
    }

    pub(crate) fn identity(&self, item_id: ItemId, chat_id: Option<ChatId>, kind: u8) -> Identity<'_> {
        Identity { alg: self.alg, store_id: &self.store_id, item_id, chat_id, kind }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    /// No further call gets through; connections of readers that are idle are closed.
    pub(crate) fn shut(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        lock(&self.pool).clear();
        self.changed.notify_one();
        self.progress.send_modify(|_| {});
    }

    /// Lets the next opener in.
    pub(crate) fn release(&self) {
        *lock(&self.lock_file) = None;
    }

    /// A new connection under the database key.
    pub(crate) fn connect(&self) -> Result<Connection, Error> {
        let key = self.keys().k_db.key();
        schema::connect(&self.database, &key)
    }

    /// Keeps the database from being renewed while somebody reads.
    pub(crate) fn reading(&self) -> RwLockReadGuard<'_, ()> {
        self.readers.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody reads, closes all idle connections, and keeps readers waiting.
    pub(crate) fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        let alone = self.readers.write().unwrap_or_else(PoisonError::into_inner);
        lock(&self.pool).clear();
        alone
    }

    /// A connection for reading, from the pool where one is idle.
    pub(crate) fn reader(&self) -> Result<Connection, Error> {
        if self.is_closed() {
            return Err(Error::Closed);
        }
        self.check_unlocked()?;
        if let Some(conn) = lock(&self.pool).pop() {
            return Ok(conn);
        }
        let conn = self.connect()?;
        conn.execute_batch("PRAGMA query_only = ON;")?;
        Ok(conn)
    }

    /// Gives a connection back.
    pub(crate) fn put_back(&self, conn: Connection) {
        let mut pool = lock(&self.pool);
        if !self.is_closed() && pool.len() < POOL {
            pool.push(conn);
        }
    }
}
