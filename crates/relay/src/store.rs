//! The store as the session loop sees it: a handle to the one thread that owns the files.
//!
//! `SQLite` and file work would block the tasks that carry messages; on one thread of its own it
//! also needs no locks, and a checkpoint never waits for a reader.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

use nostr::util::BoxedFuture;
use nostr::{Event, EventId, Filter, Timestamp};
use nostr_relay_builder::prelude::{
    Backend, DatabaseError, DatabaseEventStatus, Events, NostrDatabase, RejectedReason, SaveEventStatus,
};
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::keeper::Keeper;
use crate::limits::Limits;
use crate::refusal::Refusal;

/// Reasons kept for clients that are about to be told.
const REASONS: usize = 1_024;

/// What went wrong with the relay's own files. Says nothing of what is in them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("the files of the relay cannot be read or written")]
    Io(#[source] io::Error),
    #[error("the relay's index failed")]
    Index(#[source] rusqlite::Error),
    #[error("another relay is using the files")]
    InUse,
    #[error("the files of the relay are damaged or from another version")]
    Damaged,
    #[error("the relay has stopped")]
    Stopped,
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData => Self::Damaged,
            _ => Self::Io(error),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, PermissionDenied, ReadOnly, SystemIoFailure,
        };
        match error.sqlite_error_code() {
            Some(DatabaseBusy | DatabaseLocked) => Self::InUse,
            Some(CannotOpen | ReadOnly | PermissionDenied | DiskFull | SystemIoFailure) => {
                Self::Io(io::Error::other(error))
            }
            _ => Self::Index(error),
        }
    }
}

type Job = Box<dyn FnOnce(&mut Keeper) + Send>;

/// A handle to the store. The thread ends, and the files close, with the last handle.
#[derive(Clone)]
pub(crate) struct Store {
    jobs: mpsc::Sender<Job>,
    /// Why the last saves were refused: `LocalRelay` forgets it, the gate asks for it.
    reasons: Arc<Mutex<VecDeque<(EventId, Refusal)>>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the files, erases what is due, and starts the thread.
    ///
    /// Blocks; to be called where blocking is allowed.
    ///
    /// # Errors
    ///
    /// When the folder cannot be used, is in use, or was written by another version.
    pub(crate) fn open(folder: &Path, clock: Clock, limits: Limits) -> Result<(Self, JoinHandle<()>), StoreError> {
        let keeper = Keeper::open(folder, clock, limits)?;
        let (jobs, waiting) = mpsc::channel();
        let thread = thread::Builder::new().name("mayfly-relay".into()).spawn(move || serve(keeper, &waiting))?;
        let store = Self { jobs, reasons: Arc::default() };
        Ok((store, thread))
    }

    /// Why the event was refused lately, if it was.
    pub(crate) fn reason(&self, id: &EventId) -> Option<Refusal> {
        let reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        let found = reasons.iter().rev().find(|(refused, _)| refused == id);
        found.map(|(_, reason)| *reason)
    }

    fn remember(&self, id: EventId, reason: Refusal) {
        let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        if reasons.len() >= REASONS {
            reasons.pop_front();
        }
        reasons.push_back((id, reason));
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Keeper) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |keeper| {
            // Nobody listens any more when the connection has gone; the work is done all the same.
            let _ = answer.send(work(keeper));
        });
        let stopped = || DatabaseError::backend(StoreError::Stopped);
        self.jobs.send(job).map_err(|_| stopped())?;
        let outcome = answered.await.map_err(|_| stopped())?;
        outcome.map_err(DatabaseError::backend)
    }
}

fn serve(mut keeper: Keeper, waiting: &mpsc::Receiver<Job>) {
    loop {
        match waiting.recv_timeout(keeper.patience()) {
            Ok(job) => job(&mut keeper),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
        keeper.tend();
    }
    keeper.close();
}

impl NostrDatabase for Store {
    fn backend(&self) -> Backend {
        Backend::SQLite
    }

    fn save_event<'a>(&'a self, event: &'a Event) -> BoxedFuture<'a, Result<SaveEventStatus, DatabaseError>> {
        Box::pin(async move {
            let id = event.id;
            let event = event.clone();
            match self.run(move |keeper| keeper.save(&event)).await? {
                Ok(()) => Ok(SaveEventStatus::Success),
                Err(refusal) => {
                    self.remember(id, refusal);
                    Ok(SaveEventStatus::Rejected(RejectedReason::Other))
                }
            }
        })
    }

    fn check_id<'a>(&'a self, event_id: &'a EventId) -> BoxedFuture<'a, Result<DatabaseEventStatus, DatabaseError>> {
        Box::pin(async move {
            let id = *event_id;
            Ok(match self.run(move |keeper| keeper.status(&id)).await? {
                Some(Refusal::Duplicate) => DatabaseEventStatus::Saved,
                Some(_) => DatabaseEventStatus::Deleted,
                None => DatabaseEventStatus::NotExistent,
            })
        })
    }

    /// Always nothing: no query of this relay asks by id.
    fn event_by_id<'a>(&'a self, _event_id: &'a EventId) -> BoxedFuture<'a, Result<Option<Event>, DatabaseError>> {
        Box::pin(async { Ok(None) })
    }

    /// Always 0: `LocalRelay` counts for anybody, gift wraps too.
    fn count(&self, _filter: Filter) -> BoxedFuture<'_, Result<usize, DatabaseError>> {
        Box::pin(async { Ok(0) })
    }

    fn query(&self, filter: Filter) -> BoxedFuture<'_, Result<Events, DatabaseError>> {
        Box::pin(async move {
            let found = self.run(move |keeper| keeper.query(&filter)).await?;
            let mut events = Events::default();
            events.extend(found);
            Ok(events)
        })
    }

    /// Always nothing: `LocalRelay` reconciles with anybody, gift wraps too.
    fn negentropy_items(&self, _filter: Filter) -> BoxedFuture<'_, Result<Vec<(EventId, Timestamp)>, DatabaseError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Not offered: events go by their expiration or by a signed deletion.
    fn delete(&self, _filter: Filter) -> BoxedFuture<'_, Result<(), DatabaseError>> {
        Box::pin(async { Err(DatabaseError::NotSupported) })
    }

    /// Not offered; see [`Store::delete`].
    fn wipe(&self) -> BoxedFuture<'_, Result<(), DatabaseError>> {
        Box::pin(async { Err(DatabaseError::NotSupported) })
    }
}
