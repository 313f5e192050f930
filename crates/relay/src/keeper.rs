//! The keeper: index and bodies together, and what happens to an event between coming and going.
//!
//! Order of a save: body, then row. Of a death: row (and tombstone), then body zeroed. What a
//! crash leaves between the two lies outside all rows, and is zeroed when the bodies are opened.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use nostr::{Alphabet, Event, EventId, Filter, JsonUtil};

use crate::bodies::{Bodies, Extent};
use crate::clock::Clock;
use crate::index::{Entry, Index, Span};
use crate::limits::Limits;
use crate::page::Page;
use crate::refusal::Refusal;
use crate::rules::{self, Admitted, Filing};
use crate::store::StoreError;

/// Expired events erased in one go; requests are served in between.
const SWEEP_BATCH: usize = 1_000;
/// The journal is emptied this long after something was erased, so that many share the cost.
const TIDY_DELAY: Duration = Duration::from_millis(250);
/// Rebuilding the index may take at most one part in so many of the time.
const REBUILD_SHARE: u32 = 40;
/// With something to expire, the thread looks at the clock at least this often: a machine that
/// slept, or a clock that was set, is noticed.
const LOOK: Duration = Duration::from_millis(900);
const IDLE: Duration = Duration::from_hours(1);

/// Everything the store's thread owns.
#[derive(Debug)]
pub(crate) struct Keeper {
    index: Index,
    bodies: Bodies,
    clock: Clock,
    limits: Limits,
    /// Places without a row that still have to be zeroed: empty unless the disk refused.
    unwiped: Vec<Extent>,
    tombstones: u64,
    next_expiry: Option<u64>,
    /// Since when erased rows wait for the journal to be emptied.
    untidy_since: Option<Instant>,
    /// Whether the index was rebuilt since the last row was erased.
    is_stale: bool,
    rebuild_not_before: Instant,
    /// Set while erasing fails: nothing new is taken then, and it is tried again after this.
    stuck_until: Option<Instant>,
}

impl Keeper {
    /// Opens the two files in `folder`, making them when missing, and erases what is due before
    /// anything can be asked.
    ///
    /// # Errors
    ///
    /// When the folder cannot be used, is in use, or was written by another version.
    pub(crate) fn open(folder: &Path, clock: Clock, limits: Limits) -> Result<Self, StoreError> {
        make_folder(folder)?;
        // Made here and not by SQLite, so that only the owner may read it.
        drop(open_own(&folder.join("index.db"))?);
        let index = Index::open(&folder.join("index.db"))?;
        let bodies = open_own(&folder.join("bodies.bin"))?;
        let bodies = Bodies::open(bodies, &index.extents()?)?;
        let mut keeper = Self {
            tombstones: index.tombstones()?,
            next_expiry: index.next_expiry()?,
            index,
            bodies,
            clock,
            limits,
            unwiped: Vec::new(),
            untidy_since: Some(Clock::tick()),
            is_stale: true,
            rebuild_not_before: Clock::tick(),
            stuck_until: None,
        };
        while keeper.is_due() {
            keeper.sweep()?;
        }
        keeper.tidy()?;
        Ok(keeper)
    }

    /// How long the thread may wait for requests before it has to [`Keeper::tend`].
    pub(crate) fn patience(&self) -> Duration {
        let now = Clock::tick();
        if let Some(until) = self.stuck_until {
            return until.saturating_duration_since(now);
        }
        let tidy = self.untidy_since.map(|since| (since + TIDY_DELAY).saturating_duration_since(now));
        let rebuild = self.is_stale.then(|| self.rebuild_not_before.saturating_duration_since(now));
        let expiry = self.next_expiry.map(|second| {
            let left_ms = second.saturating_mul(1000).saturating_sub(self.clock.now_ms());
            match (self.is_due(), left_ms) {
                (true, _) => Duration::ZERO,
                (false, 0) => LOOK,
                (false, left_ms) => Duration::from_millis(left_ms).min(LOOK),
            }
        });
        let waits = [tidy, rebuild, expiry];
        waits.into_iter().flatten().min().unwrap_or(IDLE)
    }

    /// Erases what is due and tidies up after it. A failure is tried again in a second; until it
    /// succeeds nothing new is taken, for a relay that cannot erase must not collect.
    pub(crate) fn tend(&mut self) {
        let now = Clock::tick();
        if self.stuck_until.is_some_and(|until| now < until) {
            return;
        }
        let outcome = self.sweep_and_tidy(now);
        self.stuck_until = outcome.err().map(|_| now + Duration::from_secs(1));
    }

    /// Takes an event in, or acts on a deletion. The caller has checked the signature.
    ///
    /// # Errors
    ///
    /// The inner error is for the client; the outer one is the disk's.
    pub(crate) fn save(&mut self, event: &Event) -> Result<Result<(), Refusal>, StoreError> {
        if self.stuck_until.is_some() {
            return Ok(Err(Refusal::CannotErase));
        }
        let outcome = match rules::admit(event, self.clock.now_s(), &self.limits) {
            Ok(Admitted::Stored(filing)) => self.file(event, &filing),
            Ok(Admitted::Deletion) => self.delete(event),
            Ok(Admitted::Fleeting) => Ok(Err(Refusal::Kind)),
            Err(refusal) => Ok(Err(refusal)),
        };
        if !self.unwiped.is_empty() {
            self.stuck_until = Some(Clock::tick());
        }
        outcome
    }

    /// Whether an event with this id is here, or was deleted by someone with the right to.
    pub(crate) fn status(&self, id: &EventId) -> Result<Option<Refusal>, StoreError> {
        let id = id.as_bytes();
        if self.index.by_id(id)?.is_some_and(|entry| self.is_alive(&entry)) {
            return Ok(Some(Refusal::Duplicate));
        }
        let tombstones = self.index.tombstones_of(id)?;
        let is_deleted = tombstones.iter().any(|(is_settled, _)| *is_settled);
        Ok(is_deleted.then_some(Refusal::Deleted))
    }

    /// The living events that a filter asks for, newest first, one page of them.
    pub(crate) fn query(&mut self, filter: &Filter) -> Result<Vec<Event>, StoreError> {
        if rules::admit_filter(filter, &self.limits).is_err() {
            return Ok(Vec::new());
        }
        let mut events = Vec::new();
        for entry in self.page(filter)? {
            let body = self.bodies.read(entry.extent);
            let event = body.ok().and_then(|body| Event::from_json(body).ok());
            match event {
                Some(event) if event.id == entry.event_id() => events.push(event),
                // A power cut took the body: the row is worth nothing any more.
                _ => self.erase(&[entry], |_, _| Ok(()))?,
            }
        }
        let whole = nostr::filter::MatchEventOptions::new();
        events.retain(|event| filter.match_event(event, whole));
        Ok(events)
    }

    /// Leaves the files tidy; called once, when nobody can ask any more.
    pub(crate) fn close(mut self) {
        self.tend();
        // At the next start the same is done again before anything is served.
        let _ = self.tidy();
    }

    fn page(&self, filter: &Filter) -> Result<Vec<Entry>, StoreError> {
        let mut page = Page::new(filter.limit, &self.limits);
        let mut found = self.candidates(filter, &page)?;
        found.sort_by(|a, b| b.created_at.cmp(&a.created_at).then(a.id.cmp(&b.id)));
        found.dedup_by(|a, b| a.id == b.id);
        let on_page = |entry: &Entry| page.takes(entry.created_at, entry.extent.length);
        let end = found.iter().map(on_page).take_while(|is_on| *is_on).count();
        found.truncate(end);
        Ok(found)
    }

    fn candidates(&self, filter: &Filter, page: &Page) -> Result<Vec<Entry>, StoreError> {
        let last = i64::MAX.unsigned_abs();
        let span = Span {
            since: filter.since.map_or(0, |since| since.as_secs()).min(last),
            until: filter.until.map_or(last, |until| until.as_secs()).min(last),
            alive_at: self.clock.now_s(),
        };
        let mut found = Vec::new();
        for slot in rules::asked(filter, Alphabet::S) {
            let holder = self.index.by_slot(slot)?;
            found.extend(holder.filter(|entry| span.holds(entry)));
        }
        if rules::asked(filter, Alphabet::S).next().is_some() {
            let routes: Vec<_> = rules::asked(filter, Alphabet::H).collect();
            found.retain(|entry| routes.is_empty() || routes.contains(&&entry.route));
            return Ok(found);
        }
        let authors = filter.authors.as_ref();
        for kind in filter.kinds.iter().flatten() {
            for letter in [Alphabet::H, Alphabet::P, Alphabet::D] {
                for route in rules::asked(filter, letter) {
                    // Others may file under the same d value: all are looked at, for the limit
                    // counts only those of the author that was asked for.
                    let page = authors.map_or_else(|| page.clone(), |_| Page::endless());
                    let filing = (kind.as_u16(), route.as_str());
                    found.extend(self.index.by_route(filing, span, page)?);
                }
            }
        }
        if let Some(authors) = authors {
            found.retain(|entry| authors.iter().any(|key| *key.as_bytes() == entry.author));
        }
        Ok(found)
    }

    fn file(&mut self, event: &Event, filing: &Filing) -> Result<Result<(), Refusal>, StoreError> {
        self.clear_expired(event, filing)?;
        let replaced = match self.vet(event, filing)? {
            Ok(replaced) => replaced,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let body = event.as_json();
        let wanted = Extent { place: 0, length: body.len() as u64 }.room();
        if self.bodies.used().saturating_add(wanted) > self.limits.store_bytes {
            return Ok(Err(Refusal::Full));
        }
        let extent = self.bodies.write(body.as_bytes())?;
        let entry = entry_of(event, filing, extent);
        let bury = |index: &Index, old: &Entry| index.bury(&old.id, &old.author, true, old.expires_at);
        let inserted = self.index.atomically(|index| {
            for old in &replaced {
                index.remove(old.row_id)?;
                bury(index, old)?;
            }
            // The unique slot and id are checked once more here, by the index itself.
            index.insert(&entry, filing.slot.as_deref())
        });
        if let Err(error) = inserted {
            self.unwiped.push(extent);
            self.zero(&[])?;
            return Err(error);
        }
        self.expect_expiry(filing.expires_at);
        self.zero(&replaced)?;
        Ok(Ok(()))
    }

    /// Erases what would stand in the way of a new event and is only waiting for the sweep.
    fn clear_expired(&mut self, event: &Event, filing: &Filing) -> Result<(), StoreError> {
        let same_id = self.index.by_id(event.id.as_bytes())?;
        let same_slot = match &filing.slot {
            Some(slot) => self.index.by_slot(slot)?,
            None => None,
        };
        let mut over: Vec<_> = same_id.into_iter().chain(same_slot).collect();
        over.retain(|entry| !self.is_alive(entry));
        over.dedup_by(|a, b| a.row_id == b.row_id);
        if over.is_empty() {
            return Ok(());
        }
        self.erase(&over, |_, _| Ok(()))
    }

    /// What stands against an event beyond its own rules; else what it replaces.
    fn vet(&self, event: &Event, filing: &Filing) -> Result<Result<Vec<Entry>, Refusal>, StoreError> {
        let id = event.id.as_bytes();
        if self.index.by_id(id)?.is_some() {
            return Ok(Err(Refusal::Duplicate));
        }
        let author = event.pubkey.as_bytes();
        for (is_settled, deleted_by) in self.index.tombstones_of(id)? {
            let is_addressee =
                filing.kind == rules::WRAP && nostr::PublicKey::from_byte_array(deleted_by).to_hex() == filing.route;
            let counts = deleted_by == *author || is_addressee;
            // A commit cannot be deleted, neither before nor after it comes.
            if is_settled || (counts && filing.slot.is_none()) {
                return Ok(Err(Refusal::Deleted));
            }
        }
        if let Some(slot) = &filing.slot
            && self.index.by_slot(slot)?.is_some()
        {
            return Ok(Err(Refusal::SlotTaken));
        }
        if filing.kind != rules::KEY_PACKAGE {
            return Ok(Ok(Vec::new()));
        }
        let standing = self.index.at_address(filing, author)?;
        let is_alive = |old: &Entry| self.is_alive(old);
        let created_at = event.created_at.as_secs();
        let is_newer = |old: &Entry| old.created_at > created_at || (old.created_at == created_at && old.id < *id);
        if standing.iter().any(|old| is_alive(old) && is_newer(old)) {
            return Ok(Err(Refusal::Superseded));
        }
        Ok(Ok(standing))
    }

    /// Acts on a deletion: everything it names, or nothing when one may not be deleted.
    fn delete(&mut self, request: &Event) -> Result<Result<(), Refusal>, StoreError> {
        let key = *request.pubkey.as_bytes();
        let key_hex = request.pubkey.to_hex();
        let (mut doomed, mut awaited) = (Vec::new(), Vec::new());
        for value in rules::values(request, "e") {
            let Ok(id) = EventId::from_hex(value) else {
                return Ok(Err(Refusal::NothingNamed));
            };
            match self.index.by_id(id.as_bytes())? {
                Some(entry) if !entry.may_be_deleted_by(&key, &key_hex) => {
                    return Ok(Err(Refusal::NotYours));
                }
                Some(entry) if entry.has_slot => return Ok(Err(Refusal::CommitStays)),
                Some(entry) => doomed.push(entry),
                None => awaited.push(*id.as_bytes()),
            }
        }
        for value in rules::values(request, "a") {
            match self.at_coordinate(request, value)? {
                Ok(found) => doomed.extend(found),
                Err(refusal) => return Ok(Err(refusal)),
            }
        }
        let count = doomed.len() + awaited.len();
        if self.tombstones.saturating_add(count as u64) > self.limits.tombstones {
            return Ok(Err(Refusal::Full));
        }
        let awaited_until = self.clock.now_s().saturating_add(self.limits.life_s);
        self.erase(&doomed, |index, doomed| {
            for entry in doomed {
                index.bury(&entry.id, &key, true, entry.expires_at)?;
            }
            for id in &awaited {
                index.bury(id, &key, false, awaited_until)?;
            }
            Ok(())
        })?;
        self.tombstones = self.index.tombstones()?;
        if !awaited.is_empty() {
            self.expect_expiry(awaited_until);
        }
        Ok(Ok(()))
    }

    /// What an `a` tag (`kind:key:d`) of a deletion names: that address up to the deletion's time.
    fn at_coordinate(&self, request: &Event, value: &str) -> Result<Result<Vec<Entry>, Refusal>, StoreError> {
        let mut parts = value.splitn(3, ':');
        let (kind, key, route) = (parts.next(), parts.next(), parts.next());
        let (Some("37420"), Some(key), Some(route)) = (kind, key, route) else {
            return Ok(Err(Refusal::NothingNamed));
        };
        if key != request.pubkey.to_hex() {
            return Ok(Err(Refusal::NotYours));
        }
        let filing = Filing { kind: rules::KEY_PACKAGE, route: route.to_owned(), slot: None, expires_at: 0 };
        let mut found = self.index.at_address(&filing, request.pubkey.as_bytes())?;
        found.retain(|entry| entry.created_at <= request.created_at.as_secs());
        Ok(Ok(found))
    }

    /// Removes rows together with `also`, then overwrites their bodies.
    fn erase(
        &mut self,
        doomed: &[Entry],
        also: impl FnOnce(&Index, &[Entry]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.index.atomically(|index| {
            for entry in doomed {
                index.remove(entry.row_id)?;
            }
            also(index, doomed)
        })?;
        self.zero(doomed)
    }

    fn zero(&mut self, gone: &[Entry]) -> Result<(), StoreError> {
        if !gone.is_empty() {
            self.untidy_since.get_or_insert_with(Clock::tick);
            self.is_stale = true;
        }
        self.unwiped.extend(gone.iter().map(|entry| entry.extent));
        while let Some(extent) = self.unwiped.last().copied() {
            self.bodies.wipe(extent)?;
            self.unwiped.pop();
        }
        Ok(())
    }

    fn sweep_and_tidy(&mut self, now: Instant) -> Result<(), StoreError> {
        self.zero(&[])?;
        if self.is_due() {
            self.sweep()?;
        }
        let may_tidy = |since: Instant| now >= since + TIDY_DELAY;
        let may_rebuild = self.is_stale && now >= self.rebuild_not_before;
        if self.untidy_since.is_some_and(may_tidy) || (self.untidy_since.is_none() && may_rebuild) {
            self.tidy()?;
        }
        Ok(())
    }

    fn is_due(&self) -> bool {
        #[cfg(feature = "sabotage")]
        if crate::sabotage::keeps_expired() {
            return false;
        }
        let now_s = self.clock.now_s();
        self.next_expiry.is_some_and(|second| second <= now_s)
    }

    /// Erases one batch of what is due.
    fn sweep(&mut self) -> Result<(), StoreError> {
        let now_s = self.clock.now_s();
        let expired = self.index.expired(now_s, SWEEP_BATCH)?;
        let mut dropped = 0;
        self.erase(&expired, |index, _| {
            dropped = index.drop_tombstones(now_s)?;
            Ok(())
        })?;
        if dropped > 0 {
            self.tombstones = self.index.tombstones()?;
            self.untidy_since.get_or_insert_with(Clock::tick);
            self.is_stale = true;
        }
        self.next_expiry = self.index.next_expiry()?;
        Ok(())
    }

    /// Brings the zeros to the disk, rebuilds the index when its turn has come, and empties the
    /// journal.
    fn tidy(&mut self) -> Result<(), StoreError> {
        self.bodies.sync()?;
        let begun = Clock::tick();
        if self.is_stale && begun >= self.rebuild_not_before {
            self.index.rebuild()?;
            let ended = Clock::tick();
            let took = ended.saturating_duration_since(begun);
            self.rebuild_not_before = ended + took.saturating_mul(REBUILD_SHARE);
            self.is_stale = false;
        }
        self.index.empty_journal()?;
        self.untidy_since = None;
        Ok(())
    }

    fn is_alive(&self, entry: &Entry) -> bool {
        entry.expires_at > self.clock.now_s()
    }

    fn expect_expiry(&mut self, second: u64) {
        let next = self.next_expiry.map_or(second, |next| next.min(second));
        self.next_expiry = Some(next);
    }
}

fn entry_of(event: &Event, filing: &Filing, extent: Extent) -> Entry {
    Entry {
        row_id: 0,
        id: *event.id.as_bytes(),
        author: *event.pubkey.as_bytes(),
        kind: filing.kind,
        created_at: event.created_at.as_secs(),
        expires_at: filing.expires_at,
        route: filing.route.clone(),
        has_slot: filing.slot.is_some(),
        extent,
    }
}

/// Opens a file for the owner alone, making it when missing.
fn open_own(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    // Nobody else on the machine needs to see even ciphertext.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
