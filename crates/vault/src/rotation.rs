//! W0 to W2: the keys of the dead go, and what is left is sealed under a new root.

use std::sync::atomic::Ordering;

use zeroize::Zeroizing;

use crate::Error;
use crate::access::{Change, Holding};
use crate::cipher::{Key, random};
use crate::keys::{Keys, Shared, Step, Swept};
use crate::lock::Ledger;
use crate::locked::Locked;
use crate::opening::Slot;
use crate::sabotage::{Sabotage, is_on};
use crate::seal::Leaf;
use crate::share::Shares;
use crate::state::{Header, State, seal_record};
use crate::time::{Mark, cut, second_at};
use crate::tpm::{Refusal, Tpm};
use crate::tree::Range;

/// The epoch that is about to be.
#[derive(Debug)]
pub(crate) struct Next {
    header: Header,
    slot: Slot,
    root: Key,
    /// The other shares, where they change.
    holding: Option<Holding>,
}

impl Next {
    /// The epoch after the present one, with the change that is asked for.
    fn after(keys: &Keys, change: Option<Change>) -> Result<Self, Error> {
        let holding = change.map(|change| change.apply(keys)).transpose()?;
        let e = keys.header.e + 1;
        let fresh = if is_on(Sabotage::KeepOldSlot) { keys.slot.key() } else { Key::random()? };
        let root = holding.as_ref().map_or_else(|| keys.root(&fresh), |holding| holding.root(&fresh));
        let header = holding.as_ref().map_or(&keys.header, |holding| &holding.header).clone();
        let header = Header { e, nonce: random()?, ..header };
        Ok(Self { header, slot: Slot { e, key: fresh }, root, holding })
    }
}

impl Keys {
    /// The root under another slot, the other shares being what they are.
    fn root(&self, slot: &Key) -> Key {
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

    /// Drops everything before the cut and the leaves, in memory.
    fn drop_dead(&mut self, s_now: i64, leaves: &[Leaf]) {
        for tree in &mut self.trees {
            let generation = tree.generation();
            let singles = leaves.iter().filter(|leaf| leaf.generation == generation);
            let mut ranges: Vec<Range> = singles.map(|leaf| Range::one(leaf.tag)).collect();
            ranges.push(Range::up_to(cut(s_now)));
            tree.drop_ranges(ranges);
        }
        if !leaves.is_empty() {
            self.forget_chats();
        }
    }

    /// The state as it is to be sealed.
    fn sealed_state(&mut self) -> Zeroizing<Vec<u8>> {
        let mut state = State {
            mark: self.mark,
            k_db: Locked::of(&self.k_db.key()),
            k_db_next: self.k_db_next.as_ref().map(|next| Locked::of(&next.key())),
            trees: std::mem::take(&mut self.trees),
        };
        let bytes = state.encode();
        self.trees = std::mem::take(&mut state.trees);
        bytes
    }
}

impl Shared {
    /// W0 to W2. When this returns, whatever was due is irrecoverable, in memory and on disk.
    ///
    /// Runs on the writer's thread between two transactions, so that the condemned leaves it reads are committed ones
    /// and nothing hangs itself from one of them meanwhile.
    ///
    /// `change` gives the new epoch other shares than the old one's; W2 is its one commit point, too.
    ///
    /// # Errors
    /// Those of `change`, which come before anything is done.
    /// [`Error::Disk`]: the old epoch or the new one still opens after a crash; the next call takes up from there.
    /// [`Error::DatabaseDamaged`], [`Error::Database`]: what is due by its tag is irrecoverable all the same; what the
    /// database would have named is not.
    /// [`Error::TpmUnavailable`]: the TPM fell silent in the middle, and has to say first which of both it holds.
    pub(crate) fn rotate(&self, ledger: Ledger<'_>, change: Option<Change>) -> Result<Swept, Error> {
        self.reached(Step::W0);
        let (now, reading) = self.now();
        let s_now = second_at(now.effective);
        // What time alone kills dies even where the pages that name the rest are damaged.
        let has_two_trees = self.keys().is_moving();
        let (leaves, last, fault) = match ledger.doomed(*self.swept(), s_now, has_two_trees) {
            Ok((leaves, last)) => (leaves, last, None),
            Err(fault) => (Vec::new(), None, Some(fault)),
        };
        self.settle_tpm()?;
        let swept_before = self.swept().s_now;
        let is_any_due = || ledger.next_due(swept_before).map(|due| due.is_some_and(|due| i64::from(due.0) <= s_now));
        if fault.is_some() || !leaves.is_empty() || is_any_due().unwrap_or(true) {
            self.gate.moves().owe();
        }
        // A change of the shares leaves the TPM alone; what is owed is moved with the next wipe.
        let is_moving = change.is_none() && self.tpm_due_in_ms() == Some(0);
        let change = if is_moving { Some(Change::MoveTpm(Key::random()?)) } else { change };
        let is_moved = self.is_moved.swap(false, Ordering::SeqCst);
        let (next, state, is_begun) = {
            let mut keys = self.keys_mut();
            let next = Next::after(&keys, change)?;
            keys.drop_dead(s_now, &leaves);
            let is_begun = keys.renew_trees(is_moved, self.crowded_bytes.load(Ordering::SeqCst))?;
            if is_begun {
                keys.drop_dead(s_now, &[]);
            }
            keys.mark = Mark::of(now, &reading);
            keys.is_confirmed = false;
            (next, keys.sealed_state(), is_begun)
        };
        let sealed = match self.seal(next, &state) {
            Ok(()) if is_moving => {
                self.gate.moves().moved(reading.boottime_ms);
                Ok(())
            }
            // The TPM is out of reach for now: everybody but who has an image of the whole disk is shut out without it, too.
            Err(Error::TpmUnavailable) if self.gate.pending().is_none() => {
                self.gate.moves().put_off(reading.boottime_ms);
                let next = Next::after(&self.keys(), None)?;
                self.seal(next, &state)
            }
            sealed => sealed,
        };
        if sealed.is_err() && is_begun {
            // Nothing may hang from a tree that is not on the disk for certain.
            self.keys_mut().trees.pop();
        }
        sealed?;
        self.reached(Step::W2);
        let condemned = last.unwrap_or(0);
        let mut swept = self.swept();
        *swept = Swept { s_now: swept.s_now.max(s_now), condemned: swept.condemned.max(condemned) };
        fault.map_or(Ok(*swept), Err)
    }

    /// W1 and W2.
    fn seal(&self, next: Next, state: &[u8]) -> Result<(), Error> {
        let mut next = next;
        let record = seal_record(&mut next.header, &next.root, state)?;
        let mut files = self.files();
        if files.is_copy_a_doubtful {
            // Copy B is the only good one: it must not be overwritten before A stands again.
            let current = self.current_slot();
            files.write_copy_a(&current)?;
        }
        files.write_state(next.header.e, &record)?;
        if is_on(Sabotage::SkipW2) {
            return Ok(());
        }
        files.write_copy_b(&next.slot)?;
        // A panic must not wait for the chip; after one nothing is written any more.
        drop(files);
        let next = self.tell_tpm(next)?;
        self.adopt(next)
    }

    /// From here an opener finds the new epoch, so it is the one in memory too, whatever becomes of copy A.
    fn adopt(&self, next: Next) -> Result<(), Error> {
        let Next { header, slot, holding, .. } = next;
        let mut files = self.files();
        {
            let mut keys = self.keys_mut();
            keys.header = header;
            keys.slot = Locked::of(&slot.key);
            if let Some(holding) = holding {
                keys.pass = holding.pass;
                keys.keyring = holding.keyring;
                keys.tpm = holding.tpm;
            }
        }
        files.write_copy_a(&slot)
    }

    /// Replaces the share in the TPM where the new epoch has another: then this is the commit, not copy B.
    fn tell_tpm(&self, next: Next) -> Result<Next, Error> {
        let moving = next.holding.as_ref().filter(|holding| holding.is_tpm_moving);
        let Some(share) = moving.and_then(|holding| holding.tpm.as_ref()).map(Locked::key) else { return Ok(next) };
        match Tpm::of(next.header.tpm_counter).write(&share) {
            Ok(()) => Ok(next),
            Err(Refusal::Undone(_)) => Err(Error::TpmUnavailable),
            Err(Refusal::Unknown) => {
                self.gate.set_pending(Some(next));
                self.settle_tpm()?;
                Err(Error::TpmUnavailable)
            }
        }
    }

    /// Asks the TPM which share it holds, if it fell silent while it was told another.
    fn settle_tpm(&self) -> Result<(), Error> {
        let mut pending = self.gate.pending();
        let Some(next) = pending.as_ref() else { return Ok(()) };
        let found = Tpm::of(next.header.tpm_counter).read()?;
        let is_moved =
            next.holding.as_ref().and_then(|holding| holding.tpm.as_ref()).is_some_and(|t| found.is_same(&t.key()));
        let next = pending.take().filter(|_| is_moved);
        drop(pending);
        match next {
            Some(next) => self.adopt(next),
            None => Ok(()),
        }
    }

    fn current_slot(&self) -> Slot {
        let keys = self.keys();
        Slot { e: keys.header.e, key: keys.slot.key() }
    }
}
