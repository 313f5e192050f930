//! A place for one vault, with a clock that the test moves.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use mayfly_vault::{
    ChatId, Error, Item, ItemId, Life, MovableClock, NewItem, Passphrase, Place, T0, UnixMs, Urgency, Vault,
};
use tempfile::TempDir;

pub const START: UnixMs = T0.plus_ms(40_000_000_345);
pub const KIND: u8 = 16;

pub struct Home {
    pub folder: TempDir,
    pub place: Place,
    pub clock: MovableClock,
}

impl Home {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place { profile: folder.path().join("profile"), share: folder.path().join("share") };
        Self { folder, place, clock: MovableClock::new(START) }
    }

    pub fn create(&self) -> Vault {
        Vault::create(&self.place, None, Arc::new(self.clock.clone())).unwrap()
    }

    pub fn try_open(&self, pass: Option<&str>) -> Result<Vault, Error> {
        let pass = pass.map(|pass| Passphrase::from(pass.to_owned()));
        Vault::open(&self.place, pass.as_ref(), Arc::new(self.clock.clone()))
    }

    pub fn open(&self) -> Vault {
        self.try_open(None).unwrap()
    }

    /// Copies a folder by another process: closing a database file of our own would drop the locks of `SQLite`.
    pub fn copy(&self, from: &Path, name: &str) -> PathBuf {
        let to = self.folder.path().join(name);
        assert!(Command::new("cp").arg("-a").arg(from).arg(&to).status().unwrap().success());
        to
    }
}

pub fn random_id() -> ItemId {
    ItemId::random().unwrap()
}

/// Inserts one item and gives its id.
pub fn insert(vault: &Vault, chat: Option<ChatId>, life: Life, body: &[u8]) -> Result<ItemId, Error> {
    let (id, body) = (random_id(), body.to_vec());
    insert_as(vault, id, chat, life, &body).map(|()| id)
}

pub fn insert_as(vault: &Vault, id: ItemId, chat: Option<ChatId>, life: Life, body: &[u8]) -> Result<(), Error> {
    let body = body.to_vec();
    vault.write_blocking(Urgency::User, move |w| {
        w.insert(&NewItem { id, chat, kind: KIND, life, body: &body }).map(|_| ())
    })
}

pub fn item(vault: &Vault, id: ItemId) -> Option<Item> {
    vault.read(|r| r.item(id)).unwrap()
}

pub fn body(vault: &Vault, id: ItemId) -> Option<Vec<u8>> {
    item(vault, id).map(|item| item.body.expect("not damaged").to_vec())
}

pub fn create_chat(vault: &Vault) -> ChatId {
    // The method's own path is not general enough over the writer's lifetime.
    #[allow(clippy::redundant_closure_for_method_calls)]
    vault.write_blocking(Urgency::User, |w| w.create_chat()).unwrap()
}

pub fn write<T: Send + 'static>(
    vault: &Vault,
    job: impl FnOnce(&mut mayfly_vault::Writer<'_>) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    vault.write_blocking(Urgency::User, job)
}

/// A runtime for what has to be awaited.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(future)
}

/// Wipes and waits until the rows are gone, too.
pub fn wipe(vault: &Vault) {
    block_on(async {
        vault.wipe().await.unwrap();
        vault.settled().await.unwrap();
    });
}

/// A row as it stands in a database file that was copied.
pub struct Row {
    pub id: ItemId,
    pub chat: Option<ChatId>,
    pub kind: u8,
    pub tau: u64,
    pub generation: u32,
    pub wrap: Vec<u8>,
    pub body: Vec<u8>,
}

/// Opens a copied database with the key in hand.
pub fn open_database(path: &Path, key: &[u8; 32]) -> rusqlite::Connection {
    let conn = rusqlite::Connection::open(path).unwrap();
    let hex: Vec<String> = key.iter().map(|byte| format!("{byte:02x}")).collect();
    conn.execute_batch(&format!("PRAGMA key = \"x'{}'\";", hex.concat())).unwrap();
    conn
}

/// Every row of `item` in a copied profile.
pub fn rows(profile: &Path, key: &[u8; 32]) -> Vec<Row> {
    let conn = open_database(&profile.join("vault.db"), key);
    let mut statement = conn.prepare("SELECT item_id, chat_id, kind, tau, gen, wrap, body FROM item").unwrap();
    let rows = statement.query_map([], |row| {
        Ok(Row {
            id: ItemId::from_bytes(row.get(0)?),
            chat: row.get::<_, Option<[u8; 16]>>(1)?.map(ChatId::from_bytes),
            kind: row.get(2)?,
            tau: row.get::<_, i64>(3)?.cast_unsigned(),
            generation: row.get(4)?,
            wrap: row.get(5)?,
            body: row.get(6)?,
        })
    });
    rows.unwrap().map(Result::unwrap).collect()
}
