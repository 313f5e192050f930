//! A vault to measure: its place, its clock, its one chat.

use std::{
    fs::OpenOptions,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use mayfly_vault::{ChatId, Error, ItemId, Life, MovableClock, NewItem, Place, Step, T0, UnixMs, Urgency, Vault};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{Outcome, stopwatch::Start};

/// The kind of everything that is inserted.
pub const KIND: u8 = 19;
/// Some words of a person, as CBOR with their sender and times.
pub const BODY: [u8; 200] = [0x61; 200];
/// A screen full of messages.
pub const PAGE: u32 = 50;
/// When every store begins.
pub const BEGIN: UnixMs = T0.plus_ms(30_000_000_000);

/// How long a wipe took, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Wiped {
    /// W0 to W2: from its beginning until what was due was irrecoverable.
    pub ms: f64,
    /// From asking for it to the answer, with the ways between the threads and whatever stood in the queue.
    pub asked_ms: f64,
}

/// A folder for one vault, and what is needed to wait for it.
#[derive(Debug)]
pub struct Home {
    dir: TempDir,
    place: Place,
    runtime: Runtime,
}

/// An open vault with one chat, on a clock of its own.
#[derive(Debug)]
pub struct Store<'a> {
    home: &'a Home,
    /// Moves the vault's time.
    pub clock: MovableClock,
    /// The vault.
    pub vault: Vault,
    /// Its chat.
    pub chat: ChatId,
}

impl Home {
    /// A fresh folder.
    ///
    /// # Errors
    /// Fails when it cannot be made.
    pub fn new() -> Outcome<Self> {
        let dir = tempfile::Builder::new().prefix("mayfly-bench-").tempdir()?;
        let place = Place { profile: dir.path().join("profile"), share: dir.path().join("share") };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self { dir, place, runtime })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Where the vault lies.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Makes the vault and its chat.
    ///
    /// # Errors
    /// Whatever the vault says.
    pub fn create(&self) -> Outcome<Store<'_>> {
        let clock = MovableClock::new(BEGIN);
        let vault = Vault::create(&self.place, None, Arc::new(clock.clone()))?;
        // The method's own path is not general enough over the writer's lifetime.
        #[allow(clippy::redundant_closure_for_method_calls)]
        let chat = vault.write_blocking(Urgency::User, |writer| writer.create_chat())?;
        Ok(Store { home: self, clock, vault, chat })
    }

    /// Opens the vault, at the time when every store begins.
    ///
    /// # Errors
    /// Whatever the vault says.
    pub fn open(&self, chat: ChatId) -> Outcome<Store<'_>> {
        let clock = MovableClock::new(BEGIN);
        let vault = Vault::open(&self.place, None, Arc::new(clock.clone()))?;
        Ok(Store { home: self, clock, vault, chat })
    }

    /// Everything, of a vault that is closed.
    ///
    /// # Errors
    /// Fails when it cannot be read.
    pub fn snapshot(&self) -> Outcome<Snapshot> {
        let mut files = Vec::new();
        for folder in [&self.place.profile, &self.place.share] {
            for entry in std::fs::read_dir(folder)? {
                let path = entry?.path();
                let bytes = std::fs::read(&path)?;
                files.push((path, bytes));
            }
        }
        Ok(Snapshot(files))
    }

    /// What a wipe changes before the first row goes.
    ///
    /// # Errors
    /// Fails when it cannot be read.
    pub fn keys(&self) -> Outcome<Snapshot> {
        let profile = &self.place.profile;
        let files = [profile.join("state.0"), profile.join("state.1"), self.place.share.join("share")];
        Ok(Snapshot(
            files.into_iter().map(|path| std::fs::read(&path).map(|bytes| (path, bytes))).collect::<Result<_, _>>()?,
        ))
    }
}

impl Store<'_> {
    /// Inserts an item for each life in one transaction.
    ///
    /// # Errors
    /// Whatever the vault says.
    pub fn insert(&self, lives: Vec<Life>) -> Result<(), Error> {
        let chat = Some(self.chat);
        self.vault.write_blocking(Urgency::User, move |writer| {
            for life in lives {
                writer.insert(&NewItem { id: ItemId::random()?, chat, kind: KIND, life, body: &BODY })?;
            }
            Ok(())
        })
    }

    /// Wipes, and gives how long that took; rows follow behind.
    ///
    /// # Errors
    /// Whatever the vault says.
    pub fn wipe(&self) -> Result<Wiped, Error> {
        let steps = Arc::new(Mutex::new((None, None)));
        let stamps = Arc::clone(&steps);
        self.vault.watch_wipes(move |step| {
            let mut stamps = stamps.lock().unwrap_or_else(PoisonError::into_inner);
            match step {
                Step::W0 => stamps.0 = Some(Start::now()),
                _ => stamps.1 = stamps.0.map(Start::ms),
            }
        });
        let start = Start::now();
        self.home.runtime.block_on(self.vault.wipe())?;
        let asked_ms = start.ms();
        let (_, done) = *steps.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Wiped { ms: done.ok_or(Error::Closed)?, asked_ms })
    }

    /// Waits until the rows of all wipes are gone.
    ///
    /// # Errors
    /// Whatever the vault says.
    pub fn settle(&self) -> Result<(), Error> {
        self.home.runtime.block_on(self.vault.settled())
    }

    /// Closes the vault in order.
    ///
    /// # Errors
    /// Whatever the vault says.
    pub fn close(self) -> Result<(), Error> {
        self.home.runtime.block_on(self.vault.close())
    }

    /// How many items the chat has.
    ///
    /// # Errors
    /// Whatever the vault says.
    pub fn count(&self) -> Result<u64, Error> {
        self.vault.read(|reader| reader.count(Some(self.chat), KIND))
    }

    /// Reads and opens the newest page, and gives the milliseconds that took.
    ///
    /// # Errors
    /// Whatever the vault says; a page that is not full.
    pub fn page(&self) -> Outcome<f64> {
        let start = Start::now();
        let page = self.vault.read(|reader| reader.page(Some(self.chat), KIND, None, PAGE))?;
        let ms = start.ms();
        let is_full = page.len() == PAGE as usize && page.iter().all(|item| item.body.is_some());
        if is_full { Ok(ms) } else { Err("the page is not full".into()) }
    }
}

/// Files as they were.
#[derive(Debug)]
pub struct Snapshot(Vec<(PathBuf, Vec<u8>)>);

impl Snapshot {
    /// Writes them back in place, so that they keep their blocks on the disk. Only while the vault is closed.
    ///
    /// # Errors
    /// Fails when they cannot be written.
    pub fn put_back(&self) -> std::io::Result<()> {
        for (path, bytes) in &self.0 {
            let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
            file.write_all(bytes)?;
            file.set_len(bytes.len() as u64)?;
            file.sync_all()?;
        }
        Ok(())
    }
}

/// The second of a moment, as the peers count it.
pub fn second(at: UnixMs) -> i64 {
    (at.0 - T0.0) / 1_000
}
