//! The handle: making, opening, asking and closing a vault.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use tokio::sync::{broadcast, oneshot};

use crate::clock::Clock;
use crate::keys::Shared;
use crate::opening::Elsewhere;
use crate::queue::{Finish, Job, Queue, Task, Urgency};
use crate::sql::Wiped;
use crate::time::UnixMs;
use crate::tpm::Tpm;
use crate::{Error, Passphrase, Place, Reader, Tier, Writer, panic, sql, start};

/// The mark of time is sealed at least this often.
const MARK_MS: i64 = 10 * 60_000;

/// An open vault; clones share it.
///
/// Dropping the last clone without [`close`](Self::close) is as safe as a power cut: nothing that was acknowledged is
/// lost, and nothing dead comes back.
#[derive(Clone)]
pub struct Vault {
    handle: Arc<Handle>,
}

struct Handle {
    place: Place,
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(..)")
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.queue.stop();
        self.join();
    }
}

impl Handle {
    /// Waits for the writer's end, unless it is the writer itself that asks.
    fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

impl Vault {
    /// Whether there is a vault in this place, or what is left of one that was destroyed halfway.
    pub fn exists(place: &Place) -> bool {
        start::exists(place)
    }

    /// Whether it asks for a passphrase.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Disk`].
    pub fn needs_passphrase(place: &Place) -> Result<bool, Error> {
        start::needs_passphrase(place)
    }

    /// Makes a vault.
    ///
    /// # Errors
    /// [`Error::AlreadyCreated`], [`Error::InUse`], [`Error::CipherMissing`], [`Error::Disk`].
    pub fn create(place: &Place, pass: Option<&Passphrase>, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let (shared, conn) = start::create(place, pass, clock)?;
        Self::run(place, shared, conn)
    }

    /// Opens a vault. What died while it was closed is destroyed, keys and rows, before this returns.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::InUse`], [`Error::Locked`], [`Error::PassphraseNeeded`],
    /// [`Error::ShareUnavailable`], [`Error::Panicked`], [`Error::CipherMissing`], [`Error::Newer`].
    pub fn open(place: &Place, pass: Option<&Passphrase>, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let (shared, conn) = start::open(place, pass, clock)?;
        Self::run(place, shared, conn)
    }

    /// Starts the writer and lets it wipe first of all.
    fn run(place: &Place, shared: Shared, conn: rusqlite::Connection) -> Result<Self, Error> {
        let (shared, queue) = (Arc::new(shared), Arc::new(Queue::default()));
        let thread = crate::queue::Machine::start(Arc::clone(&shared), Arc::clone(&queue), conn)?;
        let thread = Mutex::new(Some(thread));
        let vault = Self { handle: Arc::new(Handle { place: place.clone(), shared, queue, thread }) };
        match vault.ask(Urgency::Wipe, Task::Wipe) {
            // What time kills is dead all the same, and whatever lies on other pages may be read.
            Ok(()) | Err(Error::DatabaseDamaged) => {}
            Err(error) => return Err(error),
        }
        // Each turn waits behind one batch of the clean-up, which stands in the same lane.
        while vault.is_unsettled() {
            vault.write_blocking(Urgency::Background, |_| Ok::<(), Error>(()))?;
        }
        Ok(vault)
    }

    /// A clean-up that failed, on a full disk for instance, does not lock anybody out: what it was to remove has no key
    /// any more, and the next wipe tries again.
    fn is_unsettled(&self) -> bool {
        let progress = *self.shared().progress.borrow();
        progress.fault.is_none() && progress.settled < progress.wiped
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }

    /// Now, by the vault's rules: never before the last mark, whatever the wall clock says. Deadlines count from here.
    pub fn now(&self) -> UnixMs {
        self.shared().now().0.effective
    }

    /// The clock that the vault asks.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared().clock
    }

    /// Accepts a wall clock that runs further ahead than the vault believes by itself, until the next wipe seals it.
    /// For when somebody who can know has said that the clock is right.
    pub fn confirm_clock(&self) {
        self.shared().keys_mut().is_confirmed = true;
        self.shared().changed.notify_one();
    }

    /// Runs a job on the writer; resolves after its commit is on the disk. An error of the job undoes all it did.
    ///
    /// # Errors
    /// The job's own; [`Error::Closed`], [`Error::JobPanicked`], [`Error::Database`].
    pub async fn write<T, E, F>(&self, urgency: Urgency, job: F) -> Result<T, E>
    where
        F: FnOnce(&mut Writer<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = boxed(job, move |result| {
            // A caller that went away wants no answer; the job is kept all the same.
            let _ = answer.send(result);
        });
        self.handle.queue.push(urgency, Task::Write(job))?;
        answered.await.unwrap_or_else(|_| Err(E::from(Error::Closed)))
    }

    /// [`write`](Self::write) for callers outside any async runtime.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_blocking<T, E, F>(&self, urgency: Urgency, job: F) -> Result<T, E>
    where
        F: FnOnce(&mut Writer<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (answer, answered) = mpsc::channel();
        let job = boxed(job, move |result| {
            let _ = answer.send(result);
        });
        self.handle.queue.push(urgency, Task::Write(job))?;
        answered.recv().unwrap_or_else(|_| Err(E::from(Error::Closed)))
    }

    /// Reads one snapshot, on the caller's thread.
    ///
    /// # Errors
    /// The closure's own; [`Error::Closed`], [`Error::Database`].
    pub fn read<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: FnOnce(&Reader<'_>) -> Result<T, E>,
        E: From<Error>,
    {
        let _reading = self.shared().reading();
        let conn = self.shared().reader()?;
        conn.execute_batch("BEGIN").map_err(Error::from)?;
        let result = f(&Reader { shared: self.shared(), conn: &conn, may_look_again: true });
        conn.execute_batch("COMMIT").map_err(Error::from)?;
        self.shared().put_back(conn);
        result
    }

    /// Wipes everything that is due; resolves when it is irrecoverable. Rows and free pages follow in the background.
    ///
    /// # Errors
    /// [`Error::Disk`] when the new keys could not be written: nothing is certain then, and it has to be tried again.
    /// [`Error::Closed`].
    pub async fn wipe(&self) -> Result<(), Error> {
        self.ask_async(Urgency::Wipe, Task::Wipe).await
    }

    /// Encrypts the database under a new key, as happens by itself once a week. What an older copy of the database tells
    /// besides its items' seals, no key of now opens any more.
    ///
    /// # Errors
    /// [`Error::Disk`], [`Error::Database`]: nothing is lost; it can be tried again. [`Error::Closed`].
    pub async fn renew_database_key(&self) -> Result<(), Error> {
        self.ask_async(Urgency::Background, Task::RenewKey).await
    }

    /// Resolves when nothing moves from an older key tree to a younger one.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn moved(&self) -> Result<(), Error> {
        let mut progress = self.shared().progress.subscribe();
        let ended = |progress: &crate::keys::Progress| !progress.is_moving || self.shared().is_closed();
        progress.wait_for(ended).await.map_err(|_| Error::Closed)?;
        if self.shared().is_closed() { Err(Error::Closed) } else { Ok(()) }
    }

    /// How many bytes the key trees take in the state: it has 256 KiB from the start.
    pub fn tree_bytes(&self) -> usize {
        self.shared().keys().tree_bytes()
    }

    /// From how many bytes of trees on the living move to a younger one.
    #[cfg(feature = "forensics")]
    pub fn move_from_bytes(&self, bytes: usize) {
        self.shared().crowded_bytes.store(bytes, std::sync::atomic::Ordering::SeqCst);
    }

    /// Resolves when rows and pages of all wipes so far are cleared away.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Disk`]; the next wipe tries again. [`Error::Closed`].
    pub async fn settled(&self) -> Result<(), Error> {
        let mut progress = self.shared().progress.subscribe();
        let target = progress.borrow().wiped;
        let ended = |p: &crate::keys::Progress| p.settled >= target || p.fault.is_some() || self.shared().is_closed();
        let last = *progress.wait_for(ended).await.map_err(|_| Error::Closed)?;
        match last.fault {
            _ if last.settled >= target => Ok(()),
            Some(fault) => Err(fault),
            None => Err(Error::Closed),
        }
    }

    /// The rows that were cleared away because they had expired, after their removal was committed.
    pub fn wipes(&self) -> broadcast::Receiver<Arc<Vec<Wiped>>> {
        self.shared().wiped.subscribe()
    }

    /// When the next wipe is needed.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::Database`].
    pub fn next_wipe(&self) -> Result<Option<UnixMs>, Error> {
        let swept = *self.shared().swept();
        let (due, condemned) = if let Some(dues) = self.shared().dues() {
            (dues.next_due(swept.s_now), dues.next_condemned(swept.condemned))
        } else {
            self.read(|reader| {
                let due = sql::next_due(reader.conn, swept.s_now)?;
                Ok::<_, Error>((due, sql::next_condemned(reader.conn, swept.condemned)?))
            })?
        };
        let mark = self.shared().keys().mark.at.plus_ms(MARK_MS);
        let tpm = self.shared().tpm_due_in_ms().map(|ms| self.now().plus_ms(i64::try_from(ms).unwrap_or(i64::MAX)));
        let next = [due.map(crate::time::Second::begins), condemned.map(UnixMs), tpm].into_iter().flatten().min();
        Ok(Some(next.map_or(mark, |next| next.min(mark))))
    }

    /// Resolves when [`next_wipe`](Self::next_wipe) may have become earlier. For one waiter.
    pub async fn next_wipe_changed(&self) {
        self.shared().changed.notified().await;
    }

    /// Wipes once more, seals the mark of time, and lets go of the profile. Further calls give [`Error::Closed`].
    ///
    /// # Errors
    /// [`Error::Disk`], [`Error::Database`]; it is closed all the same. [`Error::Closed`] if it was already.
    pub async fn close(&self) -> Result<(), Error> {
        let result = self.ask_async(Urgency::Background, Task::Close).await;
        self.handle.join();
        result
    }

    /// Destroys this vault with everything in it, for good, without waiting for anything.
    ///
    /// # Errors
    /// [`Error::Disk`] when its key files could not be overwritten.
    pub fn panic(&self) -> Result<(), Error> {
        let shared = self.shared();
        let keyring = shared.gate.keyring();
        let tpm = {
            let keys = shared.keys();
            keys.tpm.as_ref().map(|_| Tpm::of(keys.header.tpm_counter))
        };
        let elsewhere = Elsewhere { keyring_id: keyring.as_ref().map(|_| shared.store_id), tpm };
        let destroyed = shared.files().panic(elsewhere);
        shared.keys_mut().forget_all();
        shared.shut();
        self.handle.queue.stop();
        destroyed?;
        if let Some(tpm) = tpm {
            let _ = tpm.undefine();
        }
        if let Some(keyring) = keyring {
            keyring.remove();
        }
        panic::remove_rest(&self.handle.place);
        Ok(())
    }

    /// Destroys the vault in this place, without opening it.
    ///
    /// # Errors
    /// [`Error::Disk`] when its key files could not be overwritten.
    pub fn panic_at(place: &Place) -> Result<(), Error> {
        panic::panic_at(place)
    }

    /// Destroys the vault in this place and removes every file of it and its entry in the keyring; folders, too, where
    /// nothing else is in them. Where nothing is, or only a part that an earlier call left, that is as good.
    ///
    /// # Errors
    /// [`Error::InUse`] while it is open; [`Error::Disk`]: what could be destroyed is, and the rest can be tried again.
    pub fn erase_at(place: &Place) -> Result<(), Error> {
        panic::erase_at(place)
    }

    /// What the disk under the keys can promise, as far as it was probed.
    pub fn tier(&self) -> Tier {
        if self.has_tpm() { Tier::Hardware } else { Tier::probe(&self.handle.place.share_file()) }
    }

    /// Lets wipes stand still behind a step, or go on to their end again: for whoever looks at the files in between.
    #[cfg(feature = "forensics")]
    pub fn stop_wipes_after(&self, step: Option<crate::Step>) {
        let number = step.map_or(0, |step| step as u8);
        self.shared().stop_after.store(number, std::sync::atomic::Ordering::SeqCst);
    }

    /// Has `watcher` called when a wipe begins and when what was due is irrecoverable, on the writer's thread.
    #[cfg(feature = "forensics")]
    pub fn watch_wipes(&self, watcher: impl Fn(crate::Step) + Send + 'static) {
        let watcher = crate::keys::Watcher(Box::new(watcher));
        *self.shared().watcher.lock().unwrap_or_else(PoisonError::into_inner) = Some(watcher);
    }

    /// Whether the key of a leaf can still be derived.
    #[cfg(test)]
    pub(crate) fn has_key(&self, leaf: crate::seal::Leaf) -> bool {
        self.shared().keys().leaf_key(leaf).is_some()
    }

    /// The key that opens the database file itself.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::Database`].
    #[cfg(feature = "forensics")]
    pub fn raw_key(&self) -> Result<crate::RawKey, Error> {
        let salt: String =
            self.read(|reader| reader.conn.query_row("PRAGMA cipher_salt", [], |row| row.get(0)).map_err(Error::from))?;
        let salt = salt.parse::<crate::ItemId>().map_err(|_| Error::Database(0))?;
        Ok(crate::RawKey { key: self.shared().keys().k_db.key().0, salt: *salt.as_bytes() })
    }

    pub(crate) async fn ask_async(&self, urgency: Urgency, task: impl FnOnce(Finish) -> Task) -> Result<(), Error> {
        let (answer, answered) = oneshot::channel();
        let finish: Finish = Box::new(move |result| {
            let _ = answer.send(result);
        });
        self.handle.queue.push(urgency, task(finish))?;
        answered.await.unwrap_or(Err(Error::Closed))
    }

    pub(crate) fn ask(&self, urgency: Urgency, task: impl FnOnce(Finish) -> Task) -> Result<(), Error> {
        let (answer, answered) = mpsc::channel();
        let finish: Finish = Box::new(move |result| {
            let _ = answer.send(result);
        });
        self.handle.queue.push(urgency, task(finish))?;
        answered.recv().unwrap_or(Err(Error::Closed))
    }
}

/// A job with its answer: the answer is given after the commit, with the job's result or the commit's error.
fn boxed<T, E, F, A>(job: F, answer: A) -> Job
where
    F: FnOnce(&mut Writer<'_>) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: From<Error> + Send + 'static,
    A: FnOnce(Result<T, E>) + Send + 'static,
{
    Box::new(move |writer| {
        // A fault in one job must not take the writer, and with it every later wipe, down. Nothing half-done stays:
        // the savepoint is rolled back, and the writer itself keeps nothing between jobs.
        let result = writer.map_err(E::from).and_then(|writer| {
            catch_unwind(AssertUnwindSafe(|| job(writer))).unwrap_or_else(|_| Err(E::from(Error::JobPanicked)))
        });
        let keep = result.is_ok();
        let finish: Finish = Box::new(move |committed| {
            answer(match committed {
                Err(error) if keep => Err(E::from(error)),
                _ => result,
            });
        });
        (keep, finish)
    })
}
