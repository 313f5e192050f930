//! The door to the login's keyring: Secret Service, Keychain or Credential Manager.
//!
//! One entry for each vault holds a share of its root, and beside it the last epoch that was seen, so that profile and
//! share copied back together do not open. Whatever answers there may hang or ask a person: each call runs on a thread of
//! its own and is waited for only so long, and a wipe waits for none.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::Error;
use crate::attempts::{TALLY_BYTES, Tally};
use crate::cipher::Key;

const SERVICE: &str = "mayfly";
const MAGIC: &[u8; 8] = b"MFKR\x01\0\0\0";
const ENTRY_BYTES: usize = 48 + TALLY_BYTES;
/// How long a person may take to unlock the keyring.
const ASK: Duration = Duration::from_mins(1);
/// How long what nobody is asked for may take.
const TELL: Duration = Duration::from_secs(2);
/// The mark moves at most this often.
const MARK_EVERY_MS: u64 = 60_000;

/// What the keyring holds of one vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// An epoch that was certainly reached: nothing older opens.
    pub(crate) mark: u64,
    pub(crate) key: Key,
    pub(crate) tally: Tally,
}

impl Entry {
    /// As text, because not every keyring takes bytes.
    pub(crate) fn encode(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(ENTRY_BYTES));
        bytes.extend(MAGIC);
        bytes.extend(self.mark.to_be_bytes());
        bytes.extend(self.key.0);
        bytes.extend(self.tally.encode());
        Zeroizing::new(hex::encode(&*bytes))
    }

    pub(crate) fn decode(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(hex::decode(text).ok()?);
        let (mark, rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk()?;
        let (key, tally) = rest.split_first_chunk()?;
        Some(Self { mark: u64::from_be_bytes(*mark), key: Key(*key), tally: Tally::decode(tally)? })
    }
}

type Job = Box<dyn FnOnce(&Door) + Send>;
/// The entry, or why the system does not even say what it would be.
type Door = Result<keyring::Entry, keyring::Error>;

/// The entry of one vault, and the thread that asks for it.
pub(crate) struct Keyring {
    jobs: mpsc::Sender<Job>,
    noted: Arc<Mutex<Noted>>,
}

/// How the mark stands.
#[derive(Default)]
struct Noted {
    /// When it was last written, by the boot clock; nothing after a failure, so that the next wipe tries again.
    at_ms: Option<u64>,
    is_being_written: bool,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyring(..)")
    }
}

impl Keyring {
    /// The entry of the vault with this id.
    ///
    /// # Errors
    /// [`Error::KeyringUnavailable`] when the system gives no thread.
    pub(crate) fn of(store_id: &[u8; 16]) -> Result<Self, Error> {
        let (jobs, waiting) = mpsc::channel::<Job>();
        let name = hex::encode(store_id);
        let thread = std::thread::Builder::new().name("keyring".to_owned());
        let work = move || {
            let door = keyring::Entry::new(SERVICE, &name);
            while let Ok(job) = waiting.recv() {
                job(&door);
            }
        };
        thread.spawn(work).map_err(|_| Error::KeyringUnavailable)?;
        Ok(Self { jobs, noted: Arc::default() })
    }

    /// What is there. A person may be asked to unlock the keyring.
    ///
    /// # Errors
    /// [`Error::KeyringUnavailable`], [`Error::KeyringLocked`], [`Error::KeyringEmpty`].
    pub(crate) fn load(&self) -> Result<Entry, Error> {
        let text = self.ask(ASK, |entry| entry.get_password().map(Zeroizing::new))?;
        Entry::decode(&text).ok_or(Error::KeyringEmpty)
    }

    /// Puts it there, and looks whether it is there. A person may be asked to unlock the keyring.
    ///
    /// # Errors
    /// [`Error::KeyringUnavailable`], [`Error::KeyringLocked`].
    pub(crate) fn store(&self, entry: &Entry) -> Result<(), Error> {
        let text = entry.encode();
        self.ask(ASK, move |entry| entry.set_password(&text))?;
        if self.load()? == *entry { Ok(()) } else { Err(Error::KeyringUnavailable) }
    }

    /// The same where nobody may be kept waiting: it is tried, and no more.
    pub(crate) fn tell(&self, entry: &Entry) {
        let text = entry.encode();
        let _ = self.ask(TELL, move |entry| entry.set_password(&text));
    }

    /// Takes it away, as far as that is possible in a moment.
    pub(crate) fn remove(&self) {
        let _ = self.ask(TELL, keyring::Entry::delete_credential);
    }

    /// Moves the mark, at most once a minute, and waits for nothing. What fails is tried again after the next wipe.
    pub(crate) fn note(&self, entry: &Entry, boottime_ms: u64) {
        {
            let mut noted = lock(&self.noted);
            let is_fresh = noted.at_ms.is_some_and(|at| boottime_ms.saturating_sub(at) < MARK_EVERY_MS);
            if is_fresh || noted.is_being_written {
                return;
            }
            *noted = Noted { at_ms: Some(boottime_ms), is_being_written: true };
        }
        let (text, noted) = (entry.encode(), Arc::clone(&self.noted));
        let job: Job = Box::new(move |door| {
            let is_written = door.as_ref().is_ok_and(|entry| entry.set_password(&text).is_ok());
            let mut noted = lock(&noted);
            noted.is_being_written = false;
            if !is_written {
                noted.at_ms = None;
            }
        });
        // Without its thread there is nobody who could write it, and the next opener says so.
        let _ = self.jobs.send(job);
    }

    fn ask<T: Send + 'static>(
        &self,
        limit: Duration,
        job: impl FnOnce(&keyring::Entry) -> Result<T, keyring::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = mpsc::channel();
        let job: Job = Box::new(move |door| {
            // Whoever asked may have gone away.
            let _ = answer.send(match door {
                Ok(entry) => job(entry).map_err(|error| reason(&error)),
                Err(error) => Err(reason(error)),
            });
        });
        self.jobs.send(job).map_err(|_| Error::KeyringUnavailable)?;
        answered.recv_timeout(limit).unwrap_or(Err(Error::KeyringUnavailable))
    }
}

fn reason(error: &keyring::Error) -> Error {
    match error {
        keyring::Error::NoEntry => Error::KeyringEmpty,
        keyring::Error::NoStorageAccess(_) => Error::KeyringLocked,
        _ => Error::KeyringUnavailable,
    }
}

fn lock(noted: &Mutex<Noted>) -> std::sync::MutexGuard<'_, Noted> {
    noted.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_entry_reads_back_and_anything_else_is_refused() {
        let entry = Entry { mark: 7, key: Key([3; 32]), tally: Tally::default().cleared() };
        let text = entry.encode();
        assert_eq!(text.len(), 2 * ENTRY_BYTES);
        assert_eq!(Entry::decode(&text), Some(entry));
        for bad in ["", "4d", &text[2..], &format!("{}00", &*text), &text.replace("4d46", "4d47"), "zz"] {
            assert_eq!(Entry::decode(bad), None);
        }
    }
}
