//! What opens a vault besides its files, and how that is changed.
//!
//! Each change is one rotation: the next epoch is sealed under the new shares, and its copy B is the one point from which
//! on the new ones open and the old ones do not. A crash before it leaves the old, a crash after it the new.

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::cipher::{Key, random};
use crate::gate::Tried;
use crate::keyring::{Entry, Keyring};
use crate::keys::{Keys, Shared};
use crate::locked::Locked;
use crate::queue::{Task, Urgency};
use crate::share::{Cost, Derived, Shares, bit, duress_mark};
use crate::state::Header;
use crate::tpm::Tpm;
use crate::{Error, Passphrase, Vault};

/// What one rotation changes about the shares, besides the slot that every rotation changes.
#[derive(Debug)]
pub(crate) enum Change {
    /// A first passphrase.
    SetPass(Derived),
    /// Another passphrase; `old` is checked once more when the change is made.
    ReplacePass { old: Key, new: Derived },
    /// From now on without one.
    RemovePass { old: Key },
    /// What the header says of a passphrase for duress.
    Duress { pass: Key, mark: [u8; 32] },
    /// A share that the keyring holds already.
    AddKeyring(Key),
    /// From now on without it.
    RemoveKeyring,
    /// A share that the TPM holds already, at this place.
    AddTpm(Tpm, Key),
    /// Another share in the same place; the TPM still holds the old one.
    MoveTpm(Key),
    /// From now on without it.
    RemoveTpm,
}

/// The shares beside the slot, and the header that asks for them.
#[derive(Debug)]
pub(crate) struct Holding {
    pub(crate) header: Header,
    pub(crate) pass: Option<Locked>,
    pub(crate) keyring: Option<Locked>,
    pub(crate) tpm: Option<Locked>,
    /// The TPM is still to be told its share: between copy B and copy A.
    pub(crate) is_tpm_moving: bool,
}

impl Change {
    /// What the next epoch is to be sealed under.
    ///
    /// # Errors
    /// [`Error::PassphraseWrong`], [`Error::PassphraseSet`], [`Error::PassphraseUnset`]; nothing has changed then.
    pub(crate) fn apply(self, keys: &Keys) -> Result<Holding, Error> {
        let mut holding = Holding {
            header: keys.header.clone(),
            pass: keys.pass.as_ref().map(copy),
            keyring: keys.keyring.as_ref().map(copy),
            tpm: keys.tpm.as_ref().map(copy),
            is_tpm_moving: false,
        };
        match self {
            Self::SetPass(new) => match holding.pass {
                Some(_) => return Err(Error::PassphraseSet),
                None => holding.set_pass(&new)?,
            },
            Self::ReplacePass { old, new } => {
                holding.check(&old)?;
                holding.set_pass(&new)?;
            }
            Self::RemovePass { old } => {
                holding.check(&old)?;
                holding.header = Header {
                    shares: holding.header.shares & !bit::PASS,
                    salt: [0; 16],
                    cost: Cost::NONE,
                    ..holding.header
                };
                holding.header.duress = random()?;
                holding.pass = None;
            }
            Self::Duress { pass, mark } => {
                holding.check(&pass)?;
                holding.header.duress = mark;
            }
            Self::AddKeyring(key) => {
                holding.header.shares |= bit::KEYRING;
                holding.keyring = Some(Locked::of(&key));
            }
            Self::RemoveKeyring => {
                holding.header.shares &= !bit::KEYRING;
                holding.keyring = None;
            }
            Self::AddTpm(tpm, key) => {
                holding.header.shares |= bit::TPM;
                holding.header.tpm_counter = tpm.header_field();
                holding.tpm = Some(Locked::of(&key));
            }
            Self::MoveTpm(key) => {
                holding.header.tpm_counter = holding.header.tpm_counter.wrapping_add(1);
                holding.tpm = Some(Locked::of(&key));
                holding.is_tpm_moving = true;
            }
            Self::RemoveTpm => {
                holding.header.shares &= !bit::TPM;
                holding.header.tpm_counter = 0;
                holding.tpm = None;
            }
        }
        Ok(holding)
    }
}

impl Holding {
    fn check(&self, pass: &Key) -> Result<(), Error> {
        let held = self.pass.as_ref().ok_or(Error::PassphraseUnset)?;
        if pass.is_same(&held.key()) { Ok(()) } else { Err(Error::PassphraseWrong) }
    }

    /// Under the new salt the passphrase for duress would not be known again, so its mark goes, too.
    fn set_pass(&mut self, new: &Derived) -> Result<(), Error> {
        self.header.shares |= bit::PASS;
        self.header.salt = new.salt;
        self.header.cost = new.cost;
        self.header.duress = random()?;
        self.pass = Some(Locked::of(&new.share));
        Ok(())
    }

    /// The root of the next epoch.
    pub(crate) fn root(&self, slot: &Key) -> Key {
        let pass = self.pass.as_ref().map(Locked::key);
        let (keyring, tpm) = (self.keyring.as_ref().map(Locked::key), self.tpm.as_ref().map(Locked::key));
        let shares = Shares {
            pass: pass.as_ref(),
            keyring: keyring.as_ref(),
            tpm: tpm.as_ref(),
            slot: Some(slot),
            remote: None,
        };
        shares.root(&self.header.store_id)
    }
}

fn copy(share: &Locked) -> Locked {
    Locked::of(&share.key())
}

/// All of these take about half a second for each passphrase, and must not run on a thread that serves others. What they
/// change is on the disk when they return; after an error nothing has changed.
impl Vault {
    /// Whether it asks for a passphrase.
    pub fn has_passphrase(&self) -> bool {
        self.shared().keys().pass.is_some()
    }

    /// Sets a passphrase where there was none.
    ///
    /// # Errors
    /// [`Error::PassphraseSet`], [`Error::Disk`], [`Error::Closed`].
    pub fn set_passphrase(&self, new: &Passphrase) -> Result<(), Error> {
        if self.has_passphrase() {
            return Err(Error::PassphraseSet);
        }
        self.change(Change::SetPass(Derived::fresh(new)?))
    }

    /// Puts another passphrase in the place of the present one. A passphrase for duress has to be set again afterwards.
    ///
    /// # Errors
    /// [`Error::PassphraseWrong`], [`Error::PassphraseUnset`], [`Error::Disk`], [`Error::Closed`].
    pub fn change_passphrase(&self, old: &Passphrase, new: &Passphrase) -> Result<(), Error> {
        let old = self.prove(old)?;
        self.change(Change::ReplacePass { old, new: Derived::fresh(new)? })
    }

    /// Opens without a passphrase from now on; one for duress goes with it.
    ///
    /// # Errors
    /// [`Error::PassphraseWrong`], [`Error::PassphraseUnset`], [`Error::Disk`], [`Error::Closed`].
    pub fn remove_passphrase(&self, old: &Passphrase) -> Result<(), Error> {
        let old = self.prove(old)?;
        self.change(Change::RemovePass { old })
    }

    /// Sets the passphrase that destroys everything when it is typed at the door, or takes it away. Nothing tells from the
    /// files whether there is one.
    ///
    /// # Errors
    /// [`Error::PassphraseWrong`], [`Error::PassphraseUnset`], [`Error::DuressIsPassphrase`], [`Error::Disk`],
    /// [`Error::Closed`].
    pub fn set_duress(&self, pass: &Passphrase, duress: Option<&Passphrase>) -> Result<(), Error> {
        let pass = self.prove(pass)?;
        let mark = match duress {
            None => random()?,
            Some(duress) => {
                let (salt, cost) = {
                    let keys = self.shared().keys();
                    (keys.header.salt, keys.header.cost)
                };
                let share = duress.share(&salt, cost)?;
                if share.is_same(&pass) {
                    return Err(Error::DuressIsPassphrase);
                }
                duress_mark(&share, &self.shared().store_id).0
            }
        };
        self.change(Change::Duress { pass, mark })
    }

    /// Whether the login's keyring holds a share of its key.
    pub fn has_keyring(&self) -> bool {
        self.shared().keys().keyring.is_some()
    }

    /// Ties the vault to this login: from now on it opens only with the share that the keyring holds, and a copy of profile
    /// and share that is older than what the keyring has seen does not open. A person may be asked to unlock the keyring.
    ///
    /// # Errors
    /// [`Error::KeyringUnavailable`], [`Error::KeyringLocked`], [`Error::Disk`], [`Error::Closed`].
    pub fn add_keyring(&self) -> Result<(), Error> {
        let gate = &self.shared().gate;
        let _one = gate.changing();
        self.shared().check_unlocked()?;
        if self.has_keyring() {
            return Ok(());
        }
        // So that what is on the disk is what is in memory, even if an earlier change failed half-way: the entry of that one
        // is about to be replaced.
        self.ask(Urgency::Wipe, Task::Wipe)?;
        let (key, mark) = (Key::random()?, self.shared().keys().header.e);
        let keyring = Arc::new(Keyring::of(&self.shared().store_id)?);
        // It has to be there before the first state asks for it; one that nothing asks for does no harm.
        keyring.store(&Entry { mark, key: key.clone(), tally: gate.tally() })?;
        self.change(Change::AddKeyring(key))?;
        gate.set_keyring(Some(keyring));
        Ok(())
    }

    /// Opens without the keyring from now on.
    ///
    /// # Errors
    /// [`Error::Disk`], [`Error::Closed`].
    pub fn remove_keyring(&self) -> Result<(), Error> {
        let gate = &self.shared().gate;
        let _one = gate.changing();
        if !self.has_keyring() {
            return Ok(());
        }
        self.change(Change::RemoveKeyring)?;
        if let Some(keyring) = gate.keyring() {
            gate.set_keyring(None);
            keyring.remove();
        }
        Ok(())
    }

    /// Whether the machine's TPM holds a share of its key.
    pub fn has_tpm(&self) -> bool {
        self.shared().keys().tpm.is_some()
    }

    /// Ties the vault to this machine's TPM: within a minute of a death, not even an image of the whole disk taken before
    /// brings it back.
    ///
    /// # Errors
    /// [`Error::TpmUnavailable`], [`Error::Disk`], [`Error::Closed`].
    pub fn add_tpm(&self) -> Result<(), Error> {
        let gate = &self.shared().gate;
        let _one = gate.changing();
        self.shared().check_unlocked()?;
        if self.has_tpm() {
            return Ok(());
        }
        self.ask(Urgency::Wipe, Task::Wipe)?;
        let (tpm, key) = (Tpm::define(&self.shared().store_id)?, Key::random()?);
        if let Err(refusal) = tpm.write(&key) {
            let _ = tpm.undefine();
            return Err(refusal.into());
        }
        self.change(Change::AddTpm(tpm, key))
    }

    /// Opens without the TPM from now on.
    ///
    /// # Errors
    /// [`Error::Disk`], [`Error::Closed`].
    pub fn remove_tpm(&self) -> Result<(), Error> {
        let _one = self.shared().gate.changing();
        if !self.has_tpm() {
            return Ok(());
        }
        let tpm = Tpm::of(self.shared().keys().header.tpm_counter);
        self.change(Change::RemoveTpm)?;
        // What it still holds opens nothing any more.
        let _ = tpm.undefine();
        Ok(())
    }

    /// After how many wrong passphrases in a row everything is destroyed; `None` is never. It is kept in clear beside the
    /// share, so it binds whoever types, and nobody who copies the files and tries elsewhere.
    ///
    /// # Errors
    /// [`Error::IsLocked`], [`Error::Disk`].
    pub fn set_erase_after(&self, failures: Option<NonZeroU32>) -> Result<(), Error> {
        self.shared().check_unlocked()?;
        self.shared().gate.attempts().set_erase_after(failures.map_or(0, NonZeroU32::get))
    }

    /// What [`set_erase_after`](Self::set_erase_after) set.
    pub fn erase_after(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.shared().gate.tally().erase_after)
    }

    /// Whether this is the present passphrase. Wrong ones are counted, and cost a wait, as they do at the door.
    ///
    /// # Errors
    /// [`Error::PassphraseWrong`], [`Error::PassphraseUnset`], [`Error::TooManyAttempts`], [`Error::Disk`].
    /// [`Error::Duress`]: let go of this vault and open the place anew with the same passphrase.
    /// [`Error::Panicked`]: it was one wrong passphrase too many.
    pub fn check_passphrase(&self, pass: &Passphrase) -> Result<(), Error> {
        self.prove(pass).map(drop)
    }

    /// The share of a passphrase that is the present one.
    fn prove(&self, pass: &Passphrase) -> Result<Key, Error> {
        let shared = self.shared();
        let (held, header, entry) = {
            let keys = shared.keys();
            let held = keys.pass.as_ref().ok_or(Error::PassphraseUnset)?.key();
            (held, keys.header.clone(), shared.gate.entry(keys.header.e, keys.keyring.as_ref()))
        };
        let entry = entry.as_ref().map(|(_, entry)| entry);
        match shared.gate.attempt(pass, &header, entry, &shared.clock.read())? {
            Tried::Share(derived) if derived.share.is_same(&held) => {
                shared.gate.passed()?;
                Ok(derived.share)
            }
            Tried::Duress(_) => Err(Error::Duress),
            Tried::Share(_) if shared.gate.is_spent() => {
                self.panic()?;
                Err(Error::Panicked)
            }
            Tried::Share(_) => Err(Error::PassphraseWrong),
        }
    }

    /// One rotation that makes the change, on the writer's thread before anything that waits.
    fn change(&self, change: Change) -> Result<(), Error> {
        self.ask(Urgency::Wipe, |finish| Task::Change(change, finish))
    }
}

impl Shared {
    /// When the share in the TPM is to be replaced next, in milliseconds from now.
    pub(crate) fn tpm_due_in_ms(&self) -> Option<u64> {
        self.keys().tpm.as_ref()?;
        self.gate.moves().due_in_ms(self.clock.read().boottime_ms)
    }

    /// Moves the keyring's mark to the present epoch, at most once a minute and without waiting: nothing of a wipe depends
    /// on it.
    pub(crate) fn note_epoch(&self) {
        if let Some((keyring, entry)) = self.entry() {
            keyring.note(&entry, self.clock.read().boottime_ms);
        }
    }

    /// The same at the very end, when there will be no later time.
    pub(crate) fn tell_epoch(&self) {
        if let Some((keyring, entry)) = self.entry() {
            keyring.tell(&entry);
        }
    }

    fn entry(&self) -> Option<(Arc<Keyring>, Entry)> {
        let keys = self.keys();
        self.gate.entry(keys.header.e, keys.keyring.as_ref())
    }
}
