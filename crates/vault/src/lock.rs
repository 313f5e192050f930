//! Staying locked: the database is closed, and what is due dies on time all the same.
//!
//! What is kept for that says when something dies and which leaf it is, and nothing of what it is. Rows wait for the unlock.

use std::sync::Arc;

use rusqlite::Connection;
use zeroize::Zeroizing;

use crate::keys::{Shared, Swept};
use crate::locked::Locked;
use crate::queue::{Finish, Machine, Task, Urgency};
use crate::seal::Leaf;
use crate::tag::Tag;
use crate::time::Second;
use crate::{Error, Passphrase, Vault, sql, start};

/// A leaf in [`Dues`]: a number that says when, the tag, the generation; big-endian.
const LEAF_BYTES: usize = 8 + 8 + 4;
/// A due second in [`Dues`].
const SECOND_BYTES: usize = 4;

/// When what dies, as the database told it before it was closed.
#[derive(Debug)]
pub(crate) struct Dues {
    /// The seconds in which anything dies, rising.
    seconds: Locked,
    /// Leaves outside the timed region that go with their second.
    held: Locked,
    /// Leaves that were condemned and not yet dropped, with their numbers; the first has to go at this moment.
    condemned: Locked,
    condemned_by: Option<i64>,
    /// The database could not tell, so that every second may be one.
    is_blind: bool,
}

impl Dues {
    fn of(conn: &Connection, swept: Swept, is_moving: bool) -> Result<Self, Error> {
        let seconds = sql::due_seconds(conn, swept.s_now)?;
        let mut held = sql::dues_held(conn, swept.s_now)?;
        if is_moving {
            held.extend(sql::dues_moved(conn, swept.s_now)?);
        }
        let condemned = sql::condemned_after(conn, swept.condemned)?;
        let seconds: Zeroizing<Vec<u8>> = Zeroizing::new(seconds.iter().flat_map(|s| s.0.to_be_bytes()).collect());
        Ok(Self {
            seconds: locked(&seconds),
            held: leaves(&held),
            condemned: leaves(&condemned),
            condemned_by: sql::next_condemned(conn, swept.condemned)?,
            is_blind: false,
        })
    }

    /// For a database that does not tell: what is due by its tag dies in its second because each second is a wipe.
    fn blind() -> Self {
        Self {
            seconds: Locked::zeroed(0),
            held: Locked::zeroed(0),
            condemned: Locked::zeroed(0),
            condemned_by: None,
            is_blind: true,
        }
    }

    /// The first due second after `s_now`.
    pub(crate) fn next_due(&self, s_now: i64) -> Option<Second> {
        if self.is_blind {
            return Second::from_sql(s_now.saturating_add(1));
        }
        let seconds = self.seconds.chunks_exact(SECOND_BYTES).filter_map(|chunk| chunk.first_chunk::<SECOND_BYTES>());
        seconds.map(|chunk| Second(u32::from_be_bytes(*chunk))).find(|second| i64::from(second.0) > s_now)
    }

    /// When the first condemned leaf after number `last` has to go. There are some only where the wipe that comes with the
    /// lock failed, and all of them go with the next one.
    pub(crate) fn next_condemned(&self, last: i64) -> Option<i64> {
        self.condemned_by.filter(|_| each(&self.condemned).any(|(number, _)| number > last))
    }

    /// What [`Ledger::doomed`] gives.
    fn doomed(&self, swept: Swept, s_now: i64) -> (Vec<Leaf>, Option<i64>) {
        let condemned = each(&self.condemned).filter(|(number, _)| *number > swept.condemned);
        let held = each(&self.held).filter(|(due, _)| (swept.s_now + 1..=s_now).contains(due));
        let last = each(&self.condemned).map(|(number, _)| number).max();
        (condemned.chain(held).map(|(_, leaf)| leaf).collect(), last)
    }
}

fn locked(bytes: &[u8]) -> Locked {
    let mut buffer = Locked::zeroed(bytes.len());
    buffer.copy_from_slice(bytes);
    buffer
}

fn leaves(leaves: &[(i64, Leaf)]) -> Locked {
    let mut buffer = Locked::zeroed(leaves.len() * LEAF_BYTES);
    for (chunk, (number, leaf)) in buffer.chunks_exact_mut(LEAF_BYTES).zip(leaves) {
        let numbers = number.to_be_bytes().into_iter().chain(leaf.tag.to_sql().to_be_bytes());
        for (byte, value) in chunk.iter_mut().zip(numbers.chain(leaf.generation.to_be_bytes())) {
            *byte = value;
        }
    }
    buffer
}

fn each(leaves: &Locked) -> impl Iterator<Item = (i64, Leaf)> + '_ {
    leaves.chunks_exact(LEAF_BYTES).filter_map(|chunk| {
        let (number, rest) = chunk.split_first_chunk::<8>()?;
        let (tag, rest) = rest.split_first_chunk::<8>()?;
        let leaf = Leaf {
            tag: Tag::from_sql(i64::from_be_bytes(*tag))?,
            generation: u32::from_be_bytes(*rest.first_chunk()?),
        };
        Some((i64::from_be_bytes(*number), leaf))
    })
}

/// What tells a wipe which leaves go beside those that time alone drops.
#[derive(Clone, Copy)]
pub(crate) enum Ledger<'a> {
    Database(&'a Connection),
    Memory(&'a Dues),
}

impl Ledger<'_> {
    /// The leaves that time alone does not drop: those condemned, with the last number among them, and held ones that are
    /// due.
    pub(crate) fn doomed(&self, swept: Swept, s_now: i64, is_moving: bool) -> Result<(Vec<Leaf>, Option<i64>), Error> {
        let conn = match self {
            Self::Database(conn) => conn,
            Self::Memory(dues) => return Ok(dues.doomed(swept, s_now)),
        };
        let (mut leaves, last) = sql::condemned(conn)?;
        leaves.extend(sql::due_holds(conn, s_now)?);
        if is_moving {
            leaves.extend(sql::due_moved(conn, s_now)?);
        }
        Ok((leaves, last))
    }

    /// The first due second after `s_now`.
    pub(crate) fn next_due(&self, s_now: i64) -> Result<Option<Second>, Error> {
        match self {
            Self::Database(conn) => sql::next_due(conn, s_now),
            Self::Memory(dues) => Ok(dues.next_due(s_now)),
        }
    }
}

impl Vault {
    /// Whether it is locked.
    pub fn is_locked(&self) -> bool {
        self.shared().dues().is_some()
    }

    /// Wipes once more and closes the database: until [`unlock`](Self::unlock) nothing is read and nothing written, every
    /// call that would says [`Error::IsLocked`], and what falls due dies on time all the same. A read under way ends first.
    ///
    /// A vault without a passphrase cannot be locked, not even with a share in the keyring: that one is open as long as
    /// the login is, so that anybody could unlock it.
    ///
    /// # Errors
    /// [`Error::PassphraseUnset`]; [`Error::Closed`]. [`Error::Disk`], [`Error::Database`], [`Error::DatabaseDamaged`]:
    /// it is locked all the same, and the next wipe takes up what this one could not do.
    pub async fn lock(&self) -> Result<(), Error> {
        self.ask_async(Urgency::Wipe, Task::Lock).await
    }

    /// Opens a locked vault again, after a wipe. Takes about half a second, and must not run on a thread that serves others.
    /// The passphrase is asked for even where the vault is open.
    ///
    /// # Errors
    /// Those of [`check_passphrase`](Self::check_passphrase); [`Error::Disk`], [`Error::Database`]: it stays locked.
    pub fn unlock(&self, pass: &Passphrase) -> Result<(), Error> {
        self.check_passphrase(pass)?;
        self.ask(Urgency::Wipe, Task::Unlock)
    }
}

impl Shared {
    /// [`Error::IsLocked`] while it is.
    pub(crate) fn check_unlocked(&self) -> Result<(), Error> {
        if self.dues().is_some() { Err(Error::IsLocked) } else { Ok(()) }
    }
}

impl Machine {
    /// Locks; then everything that is asked for waits, is refused or is done without the database, until the unlock. Gives
    /// the task to close with, if that came instead.
    pub(crate) fn lock(&mut self, finish: Finish) -> Option<Task> {
        if self.shared.keys().pass.is_none() {
            finish(Err(Error::PassphraseUnset));
            return None;
        }
        let locked = self.close_database();
        let is_locked = self.shared.dues().is_some();
        finish(locked);
        if is_locked { self.stay_locked() } else { None }
    }

    fn close_database(&mut self) -> Result<(), Error> {
        // Stands where the database stood; nothing is asked of it.
        let nothing = Connection::open_in_memory()?;
        self.shared.gate.moves().hurry();
        let wiped = self.rotate(None);
        let is_moving = self.shared.keys().is_moving();
        let swept = *self.shared.swept();
        let (dues, told) = match Dues::of(&self.conn, swept, is_moving) {
            Ok(dues) => (dues, Ok(())),
            Err(error) => (Dues::blind(), Err(error)),
        };
        let alone = self.shared.alone();
        self.shared.set_dues(Some(Arc::new(dues)));
        {
            let mut keys = self.shared.keys_mut();
            keys.burn();
            keys.forget_chats();
        }
        self.conn = nothing;
        drop(alone);
        self.clear_state();
        self.shared.changed.notify_one();
        wiped.and(told)
    }

    fn stay_locked(&mut self) -> Option<Task> {
        while let Some(task) = self.queue.next() {
            match task {
                Task::Write(job) => {
                    let (_, finish) = job(Err(Error::IsLocked));
                    finish(Err(Error::IsLocked));
                }
                Task::Wipe(finish) => self.wipe(None, finish),
                Task::Change(_, finish) | Task::RenewKey(finish) => finish(Err(Error::IsLocked)),
                Task::Lock(finish) => finish(Ok(())),
                Task::Housekeep => self.clear_state(),
                Task::Move(_) => {}
                Task::Unlock(finish) => {
                    let result = self.open_database();
                    finish(result);
                    if result.is_ok() {
                        return None;
                    }
                }
                Task::Close(_) => return Some(task),
            }
        }
        None
    }

    /// W5 alone: the rows wait, and whoever waits for them is told why.
    pub(crate) fn clear_state(&mut self) {
        self.forget_errands();
        let e = self.shared.keys().header.e;
        let cleared = self.shared.files().zero_other_state(e);
        self.shared.note_epoch();
        self.shared.progress.send_modify(|progress| progress.fault = Some(cleared.err().unwrap_or(Error::IsLocked)));
    }

    fn open_database(&mut self) -> Result<(), Error> {
        let conn = self.shared.connect()?;
        start::clear_ashes(&conn)?;
        self.shared.keys_mut().light()?;
        match self.rotate_by(Ledger::Database(&conn), None) {
            // As when it is opened: what time kills is dead all the same.
            Ok(()) | Err(Error::DatabaseDamaged) => {}
            Err(error) => return Err(error),
        }
        self.conn = conn;
        self.shared.set_dues(None);
        self.forget_errands();
        self.clean_up_soon();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::print_stdout)]
    use std::collections::BTreeMap;

    use super::*;
    use crate::schedules::Dice;
    use crate::{ItemId, Life, MovableClock, NewItem, Place, T0, UnixMs};

    /// One living item: where it hangs, and the whole second it dies in.
    struct Living {
        leaf: Leaf,
        dies: Option<UnixMs>,
    }

    fn insert(vault: &Vault, dice: &mut Dice, living: &mut BTreeMap<ItemId, Living>) {
        let id = ItemId::random().unwrap();
        let deadline = vault.now().plus_ms(1 + dice.below(20_000));
        let life = match dice.below(4) {
            0 => Life::Held { limit: Some(deadline) },
            1 => Life::Held { limit: None },
            _ => Life::Until(deadline),
        };
        let item = NewItem { id, chat: None, kind: 16, life, body: b"text" };
        let insert = move |w: &mut crate::Writer<'_>| w.insert(&item).map(drop);
        vault.write_blocking(Urgency::User, insert).unwrap();
        let dies = match life {
            Life::Held { limit: None } | Life::Record => None,
            _ => Some(UnixMs((deadline.0 + 999).div_euclid(1000) * 1000)),
        };
        living.insert(id, Living { leaf: Leaf { tag: Tag(0), generation: 0 }, dies });
        if dice.below(4) == 0 {
            let first = *living.keys().next().unwrap();
            assert!(vault.write_blocking(Urgency::User, move |w| w.wipe(first)).unwrap());
            living.remove(&first);
        }
    }

    /// What the reaper does.
    fn wipe_if_due(vault: &Vault, living: &mut BTreeMap<ItemId, Living>) {
        if vault.next_wipe().unwrap().is_some_and(|due| due <= vault.now()) {
            vault.ask(Urgency::Wipe, Task::Wipe).unwrap();
        }
        let now = vault.now();
        if vault.is_locked() {
            for item in living.values() {
                assert_eq!(vault.has_key(item.leaf), item.dies.is_none_or(|dies| dies > now));
            }
        }
        living.retain(|_, item| item.dies.is_none_or(|dies| dies > now));
    }

    fn look(vault: &Vault, living: &mut BTreeMap<ItemId, Living>) {
        for (id, item) in living.iter_mut() {
            item.leaf = vault.read(|r| sql::item(r.conn, *id, r.alive())).unwrap().unwrap().leaf;
        }
        assert_eq!(vault.read(|r| r.count(None, 16)).unwrap(), living.len() as u64);
    }

    #[test]
    fn through_a_hundred_locks_and_unlocks_nothing_dies_early_or_late() {
        live_through(100);
    }

    #[test]
    #[ignore = "long"]
    fn through_a_thousand_locks_and_unlocks_nothing_dies_early_or_late() {
        live_through(1000);
    }

    fn live_through(count: u32) {
        let folder = tempfile::tempdir().unwrap();
        let place = Place { profile: folder.path().join("profile"), share: folder.path().join("share") };
        let clock = MovableClock::new(T0.plus_ms(40_000_000_345));
        let pass = Passphrase::from("word".to_owned());
        let vault = Vault::create(&place, Some(&pass), Arc::new(clock.clone())).unwrap();
        let (mut dice, mut living, mut locks) = (Dice::from_environment(), BTreeMap::new(), 0);
        while locks < count {
            for _ in 0..dice.below(3) {
                insert(&vault, &mut dice, &mut living);
            }
            look(&vault, &mut living);
            vault.ask(Urgency::Wipe, Task::Lock).unwrap();
            locks += 1;
            for _ in 0..dice.below(4) {
                clock.advance(dice.below(4_000).unsigned_abs());
                wipe_if_due(&vault, &mut living);
            }
            vault.ask(Urgency::Wipe, Task::Unlock).unwrap();
            wipe_if_due(&vault, &mut living);
            look(&vault, &mut living);
        }
    }
}
