//! The one writer: a thread, its queue with three lanes, and commits that several jobs share.
//!
//! A queue instead of `SQLite`'s busy handler, because that one wakes waiters by chance: whoever clears up a hundred
//! thousand rows would make a person who writes a line wait for seconds.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use crate::access::Change;
use crate::keys::{Shared, Step};
use crate::lock::Ledger;
use crate::writer::Writer;
use crate::{Error, sql, wipe};

/// The writer's stack: group key agreement runs inside its jobs.
const STACK_BYTES: usize = 16 * 1024 * 1024;
/// So many jobs share one commit at most.
const GROUP: usize = 64;
/// So long nobody has to have written before the database is encrypted anew: it takes seconds.
const IDLE_MS: u64 = 10_000;
/// After so many turns of the lanes before it, the background gets one.
const PATIENCE: u32 = 16;

/// Which lane a job waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Destruction: before everything else.
    Wipe,
    /// Somebody waits for it.
    User,
    /// Nobody waits for it.
    Background,
}

/// Tells a waiting caller how its job ended, once that is certain.
pub(crate) type Finish = Box<dyn FnOnce(Result<(), Error>) + Send>;
/// A job in its savepoint, or told why it cannot run. Says whether to keep what it did.
pub(crate) type Job = Box<dyn FnOnce(Result<&mut Writer<'_>, Error>) -> (bool, Finish) + Send>;

/// What the writer does next.
pub(crate) enum Task {
    Write(Job),
    Wipe(Finish),
    /// A wipe that also changes what opens the vault.
    Change(Change, Finish),
    /// A last wipe, and the database is closed.
    Lock(Finish),
    /// The database is opened again.
    Unlock(Finish),
    /// One batch of W3, and after the last one W4 and W5.
    Housekeep,
    /// Some of the living move to the younger tree: those after this row.
    Move(i64),
    /// The database gets another key.
    RenewKey(Finish),
    Close(Finish),
}

#[derive(Default)]
struct Lanes {
    tasks: [VecDeque<Task>; 3],
    is_stopped: bool,
    /// Turns in a row that the background had to wait.
    waited: u32,
}

/// The writer's queue.
#[derive(Default)]
pub(crate) struct Queue {
    lanes: Mutex<Lanes>,
    ready: Condvar,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Queue(..)")
    }
}

impl Lanes {
    fn pop(&mut self) -> Option<Task> {
        let [wipe, user, background] = &mut self.tasks;
        if let Some(task) = wipe.pop_front() {
            return Some(task);
        }
        let is_patient = self.waited < PATIENCE || background.is_empty();
        if is_patient && let Some(task) = user.pop_front() {
            self.waited += 1;
            return Some(task);
        }
        self.waited = 0;
        background.pop_front()
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a task at the end of its lane.
    ///
    /// # Errors
    /// [`Error::Closed`] once the queue was stopped.
    pub(crate) fn push(&self, urgency: Urgency, task: Task) -> Result<(), Error> {
        let mut lanes = self.lock();
        if lanes.is_stopped {
            return Err(Error::Closed);
        }
        let [wipe, user, background] = &mut lanes.tasks;
        match urgency {
            Urgency::Wipe => wipe.push_back(task),
            Urgency::User => user.push_back(task),
            Urgency::Background => background.push_back(task),
        }
        self.ready.notify_one();
        Ok(())
    }

    /// Takes no more tasks and forgets those that wait; their callers are told that the vault is closed.
    pub(crate) fn stop(&self) {
        let waiting = {
            let mut lanes = self.lock();
            lanes.is_stopped = true;
            std::mem::take(&mut lanes.tasks)
        };
        // Dropped outside the lock: a dropped job may wake somebody who comes back to this queue.
        drop(waiting);
        self.ready.notify_all();
    }

    /// The next task, waiting for one; nothing once the queue was stopped.
    pub(crate) fn next(&self) -> Option<Task> {
        let mut lanes = self.lock();
        loop {
            if let Some(task) = lanes.pop() {
                return Some(task);
            }
            if lanes.is_stopped {
                return None;
            }
            lanes = self.ready.wait(lanes).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next job if that is what comes next: it may join the transaction that is open.
    fn next_write(&self) -> Option<Job> {
        let mut lanes = self.lock();
        match lanes.pop()? {
            Task::Write(job) => Some(job),
            task @ (Task::Wipe(_) | Task::Change(..) | Task::Lock(_) | Task::Unlock(_)) => {
                let [wipe, ..] = &mut lanes.tasks;
                wipe.push_front(task);
                None
            }
            task @ (Task::Housekeep | Task::Move(_) | Task::RenewKey(_) | Task::Close(_)) => {
                let [.., background] = &mut lanes.tasks;
                background.push_front(task);
                // It was its turn, and still is: putting it back must not cost it another sixteen.
                lanes.waited = PATIENCE;
                None
            }
        }
    }

    /// Every wipe that waits: one rotation serves them all.
    fn waiting_wipes(&self) -> Vec<Finish> {
        let mut lanes = self.lock();
        let [wipe, ..] = &mut lanes.tasks;
        let (wipes, others): (Vec<Task>, Vec<Task>) = wipe.drain(..).partition(|task| matches!(task, Task::Wipe(_)));
        wipe.extend(others);
        let finish = |task| if let Task::Wipe(finish) = task { Some(finish) } else { None };
        wipes.into_iter().filter_map(finish).collect()
    }
}

/// The thread that alone writes.
pub(crate) struct Machine {
    pub(crate) shared: Arc<Shared>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) conn: Connection,
    is_housekeeping: bool,
    is_moving: bool,
    is_renewing_key: bool,
    /// Boot time of the last transaction that somebody waited for.
    busy_ms: u64,
}

impl Machine {
    /// Starts the writer over this connection.
    ///
    /// # Errors
    /// [`Error::Disk`] when the system gives no thread.
    pub(crate) fn start(
        shared: Arc<Shared>,
        queue: Arc<Queue>,
        conn: Connection,
    ) -> Result<std::thread::JoinHandle<()>, Error> {
        let busy_ms = shared.clock.read().boottime_ms;
        let machine =
            Self { shared, queue, conn, is_housekeeping: false, is_moving: false, is_renewing_key: false, busy_ms };
        let thread = std::thread::Builder::new().name("vault writer".to_owned()).stack_size(STACK_BYTES);
        Ok(thread.spawn(move || machine.run())?)
    }

    fn run(mut self) {
        let mut closing = None;
        let mut brought = None;
        while let Some(task) = brought.take().or_else(|| self.queue.next()) {
            match task {
                Task::Lock(finish) => brought = self.lock(finish),
                // It was open already.
                Task::Unlock(finish) => finish(Ok(())),
                Task::Write(job) => self.write(job),
                Task::Wipe(finish) => self.wipe(None, finish),
                Task::Change(change, finish) => self.wipe(Some(change), finish),
                Task::Housekeep => self.housekeep(),
                Task::Move(after) => self.move_some(after),
                Task::RenewKey(finish) => {
                    self.is_renewing_key = false;
                    finish(self.shared.renew_database_key(&mut self.conn));
                }
                Task::Close(finish) => {
                    closing = Some((finish, self.last_wipe()));
                    break;
                }
            }
        }
        let Self { shared, queue, conn, .. } = self;
        shared.shut();
        queue.stop();
        // Before the lock file, so that the next opener finds the write-ahead log gone.
        drop(conn);
        shared.release();
        if let Some((finish, result)) = closing {
            finish(result);
        }
    }

    /// Runs a job, and others that wait, in one transaction; answers after the commit.
    fn write(&mut self, first: Job) {
        let begun = self.conn.execute_batch("BEGIN IMMEDIATE").map_err(Error::from);
        if let Err(error) = begun {
            let (_, finish) = first(Err(error));
            finish(Err(error));
            return;
        }
        let mut finished = Vec::new();
        let mut next = Some(first);
        let mut is_due_changed = false;
        while let Some(job) = next {
            let (finish, is_changed) = self.run_job(job);
            finished.push(finish);
            is_due_changed |= is_changed;
            // A failure such as a full disk ends the whole transaction by itself.
            if self.conn.is_autocommit() {
                break;
            }
            next = if finished.len() < GROUP { self.queue.next_write() } else { None };
        }
        let result = self.commit();
        self.busy_ms = self.shared.clock.read().boottime_ms;
        if result.is_ok() && is_due_changed {
            self.shared.changed.notify_one();
        }
        for finish in finished {
            finish(result);
        }
    }

    fn run_job(&self, job: Job) -> (Finish, bool) {
        let mut writer = Writer::new(&self.shared, &self.conn);
        let (keep, finish) = match self.conn.execute_batch("SAVEPOINT job") {
            Ok(()) => job(Ok(&mut writer)),
            Err(error) => job(Err(error.into())),
        };
        let end = if keep { "RELEASE job" } else { "ROLLBACK TO job; RELEASE job" };
        if self.conn.execute_batch(end).is_err() {
            // Neither kept nor undone for certain: give up the whole group, whose callers are told so.
            let _ = self.conn.execute_batch("ROLLBACK");
        }
        (finish, keep && writer.is_due_changed)
    }

    fn commit(&self) -> Result<(), Error> {
        if self.conn.is_autocommit() {
            return Err(Error::Database(rusqlite::ffi::SQLITE_ABORT));
        }
        let committed = self.conn.execute_batch("COMMIT");
        if committed.is_err() && !self.conn.is_autocommit() {
            let _ = self.conn.execute_batch("ROLLBACK");
        }
        Ok(committed?)
    }

    pub(crate) fn wipe(&mut self, change: Option<Change>, finish: Finish) {
        // A change that is refused answers for itself alone.
        let mut waiting = if change.is_none() { self.queue.waiting_wipes() } else { Vec::new() };
        waiting.push(finish);
        let result = self.rotate(change);
        if result.is_ok() {
            self.clean_up_soon();
        }
        for finish in waiting {
            finish(result);
        }
    }

    pub(crate) fn clean_up_soon(&mut self) {
        if !self.is_housekeeping && !self.shared.stops_after(Step::W2) {
            self.is_housekeeping = self.queue.push(Urgency::Background, Task::Housekeep).is_ok();
        }
    }

    /// What was begun is not under way any more: the next wipe begins it again.
    pub(crate) fn forget_errands(&mut self) {
        (self.is_housekeeping, self.is_moving, self.is_renewing_key) = (false, false, false);
    }

    pub(crate) fn rotate(&self, change: Option<Change>) -> Result<(), Error> {
        match self.shared.dues() {
            Some(dues) => self.rotate_by(Ledger::Memory(&dues), change),
            None => self.rotate_by(Ledger::Database(&self.conn), change),
        }
    }

    pub(crate) fn rotate_by(&self, ledger: Ledger<'_>, change: Option<Change>) -> Result<(), Error> {
        let rotated = self.shared.rotate(ledger, change);
        if matches!(rotated, Err(Error::Panicked)) {
            self.shared.keys_mut().forget_all();
            self.shared.shut();
            self.queue.stop();
        }
        rotated?;
        self.shared.progress.send_modify(|progress| {
            progress.wiped += 1;
            progress.is_moving = self.shared.keys().is_moving();
            progress.fault = None;
        });
        self.shared.changed.notify_one();
        Ok(())
    }

    /// One batch of the living moves to the younger tree; then back into the queue, or the older tree is left out.
    fn move_some(&mut self, after: i64) {
        self.is_moving = false;
        match self.shared.move_some(&mut self.conn, after) {
            Ok(Some(last)) => self.is_moving = self.queue.push(Urgency::Background, Task::Move(last)).is_ok(),
            Ok(None) if self.shared.stops_after(Step::Moved) => {}
            Ok(None) => {
                self.shared.has_moved();
                // A rotation that fails is tried again by the next wipe, as any other.
                let _ = self.queue.push(Urgency::Wipe, Task::Wipe(Box::new(|_| ())));
            }
            // The next wipe begins it again.
            Err(_) => {}
        }
    }

    /// What is to be renewed, once the last wipe is cleared away.
    fn renew(&mut self) {
        if !self.is_moving && self.shared.keys().is_moving() {
            self.is_moving = self.queue.push(Urgency::Background, Task::Move(0)).is_ok();
        }
        let idle_ms = self.shared.clock.read().boottime_ms.saturating_sub(self.busy_ms);
        if !self.is_renewing_key && idle_ms >= IDLE_MS && self.shared.is_database_key_old(&self.conn) == Ok(true) {
            let task = Task::RenewKey(Box::new(|_| ()));
            self.is_renewing_key = self.queue.push(Urgency::Background, task).is_ok();
        }
    }

    /// One batch of rows; then back into the queue, or W4 and W5 when nothing is left.
    fn housekeep(&mut self) {
        let batch = self.batch();
        if batch == Ok(false) && self.shared.stops_after(Step::W3) {
            self.is_housekeeping = false;
            self.shared.progress.send_modify(|progress| progress.settled = progress.wiped);
            return;
        }
        let done = batch.and_then(|more| if more { Ok(false) } else { self.finish_wipe().map(|()| true) });
        if done == Ok(false) {
            self.is_housekeeping = self.queue.push(Urgency::Background, Task::Housekeep).is_ok();
            return;
        }
        self.is_housekeeping = false;
        self.shared.progress.send_modify(|progress| match done {
            Ok(_) => progress.settled = progress.wiped,
            Err(error) => progress.fault = Some(error),
        });
        if done.is_ok() {
            self.renew();
        }
    }

    /// W3, one batch: whether there may be more.
    fn batch(&mut self) -> Result<bool, Error> {
        let swept = *self.shared.swept();
        let has_one_tree = !self.shared.keys().is_moving();
        let (wiped, more) = wipe::remove_batch(&mut self.conn, swept, has_one_tree)?;
        if !wiped.is_empty() {
            // Nobody may be listening, which is fine.
            let _ = self.shared.wiped.send(Arc::new(wiped));
        }
        Ok(more)
    }

    /// W4 and W5.
    fn finish_wipe(&mut self) -> Result<(), Error> {
        sql::tidy(&self.conn)?;
        if self.shared.stops_after(Step::W4) {
            return Ok(());
        }
        let e = self.shared.keys().header.e;
        self.shared.files().zero_other_state(e)?;
        self.shared.note_epoch();
        Ok(())
    }

    fn last_wipe(&mut self) -> Result<(), Error> {
        self.shared.gate.moves().hurry();
        self.rotate(None)?;
        if self.shared.dues().is_some() {
            self.clear_state();
            self.shared.tell_epoch();
            return Ok(());
        }
        while self.batch()? {}
        self.finish_wipe()?;
        self.shared.tell_epoch();
        self.shared.progress.send_modify(|progress| progress.settled = progress.wiped);
        Ok(())
    }
}
