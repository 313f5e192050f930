//! What opens a vault besides its files, and how that is changed.
//!
//! Each change is one rotation: the next epoch is sealed under the new shares, and its copy B is the one point from which
//! on the new ones open and the old ones do not. A crash before it leaves the old, a crash after it the new.

use crate::cipher::{Key, random};
use crate::keys::Keys;
use crate::locked::Locked;
use crate::queue::{Task, Urgency};
use crate::share::{Cost, Derived, Shares, bit, duress_mark};
use crate::state::Header;
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
}

/// The shares beside the slot, and the header that asks for them.
#[derive(Debug)]
pub(crate) struct Holding {
    pub(crate) header: Header,
    pub(crate) pass: Option<Locked>,
}

impl Change {
    /// What the next epoch is to be sealed under.
    ///
    /// # Errors
    /// [`Error::PassphraseWrong`], [`Error::PassphraseSet`], [`Error::PassphraseUnset`]; nothing has changed then.
    pub(crate) fn apply(self, keys: &Keys) -> Result<Holding, Error> {
        let mut holding = Holding { header: keys.header.clone(), pass: keys.pass.as_ref().map(copy) };
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
        Shares { pass: pass.as_ref(), slot: Some(slot), ..Shares::default() }.root(&self.header.store_id)
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

    /// The share of a passphrase that is the present one.
    fn prove(&self, pass: &Passphrase) -> Result<Key, Error> {
        let (held, salt, cost) = {
            let keys = self.shared().keys();
            let held = keys.pass.as_ref().ok_or(Error::PassphraseUnset)?.key();
            (held, keys.header.salt, keys.header.cost)
        };
        let share = pass.share(&salt, cost)?;
        if share.is_same(&held) { Ok(share) } else { Err(Error::PassphraseWrong) }
    }

    /// One rotation that makes the change, on the writer's thread before anything that waits.
    fn change(&self, change: Change) -> Result<(), Error> {
        self.ask(Urgency::Wipe, |finish| Task::Change(change, finish))
    }
}
