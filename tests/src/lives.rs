//! A vault's whole life in little: things that live and die in it, of every sort that its pages have to bear.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use mayfly_vault::{ChatId, Error, ItemId, Life, MovableClock, NewItem, Place, T0, UnixMs, Urgency, Vault};

use crate::forensics::{Canaries, Canary, Hoard, PageCipher};

/// The kind that the items are given.
const KIND: u8 = 16;
/// When the first die, after the beginning.
const FIRST_DEATH_MS: i64 = 10_000;
/// And every such time the next.
const BETWEEN_DEATHS_MS: i64 = 10_000;

/// What the rows go through, and so how they come to lie in the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// One after the other; what was written together dies together.
    Append,
    /// Those that die stand between those that live.
    Shuffled,
    /// Bodies are replaced and timers are started.
    Updated,
    /// Bodies need pages of their own.
    Overflowing,
}

impl Mix {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Append, Self::Shuffled, Self::Updated, Self::Overflowing];
}

/// A vault with items that die in groups, one group after the other, and as many that stay.
#[derive(Debug)]
pub struct Lives {
    /// The vault.
    pub vault: Vault,
    /// Its clock.
    pub clock: MovableClock,
    /// What each item says.
    pub canaries: Vec<Canary>,
    groups: Vec<BTreeSet<ItemId>>,
    living: BTreeSet<ItemId>,
    passed: usize,
}

impl Lives {
    /// Makes a vault in these folders and fills it: `groups` groups of `size` items each die, as many in all stay.
    ///
    /// # Errors
    /// Those of the vault; [`Error::Disk`] when the system gives no random numbers for texts.
    pub fn begin(place: &Place, mix: Mix, groups: usize, size: usize) -> Result<Self, Error> {
        let clock = MovableClock::new(T0.plus_ms(50_000_000_000));
        let vault = Vault::create(place, None, Arc::new(clock.clone()))?;
        let mut source = Canaries::new();
        let make = |n: usize| source.make(format!("{n}")).map_err(|error| Error::Disk(error.kind()));
        let canaries: Vec<Canary> = (0..2 * groups * size).map(make).collect::<Result<_, _>>()?;
        let mut lives =
            Self { vault, clock, canaries, groups: vec![BTreeSet::new(); groups], living: BTreeSet::new(), passed: 0 };
        lives.fill(mix, groups, size)?;
        Ok(lives)
    }

    fn fill(&mut self, mix: Mix, groups: usize, size: usize) -> Result<(), Error> {
        let start = self.vault.now();
        #[allow(clippy::redundant_closure_for_method_calls)] // The path is not general enough over its lifetime.
        let chat = self.vault.write_blocking(Urgency::User, |writer| writer.create_chat())?;
        let count = self.canaries.len();
        let mut all = Vec::with_capacity(count);
        for n in 0..count {
            let dies_in = match mix {
                // The first half dies, in order.
                Mix::Append => (n < groups * size).then_some(n / size),
                _ => n.is_multiple_of(2).then_some(n / 2 % groups),
            };
            let id = ItemId::random()?;
            match dies_in.and_then(|group| self.groups.get_mut(group)) {
                Some(group) => group.insert(id),
                None => self.living.insert(id),
            };
            all.push((n, id, dies_in.map(|group| death(start, group))));
        }
        for some in all.chunks(20) {
            self.insert(mix, chat, some)?;
        }
        if mix == Mix::Updated {
            self.update(&all)?;
        }
        Ok(())
    }

    fn insert(&self, mix: Mix, chat: ChatId, some: &[(usize, ItemId, Option<UnixMs>)]) -> Result<(), Error> {
        let far = self.vault.now().plus_ms(86_400_000_000);
        let text = |n: usize| self.canaries.get(n).map(Canary::text).unwrap_or_default();
        let new: Vec<_> = some.iter().map(|(n, id, death)| (*n, *id, death.unwrap_or(far), text(*n))).collect();
        self.vault.write_blocking(Urgency::User, move |writer| {
            for (n, id, death, text) in &new {
                let padding =
                    if mix == Mix::Overflowing { "long ".repeat(800 + n * 37 % 1_500) } else { String::new() };
                let body = format!("{padding}{text}");
                let chat = if n % 3 == 0 { None } else { Some(chat) };
                let life = if mix == Mix::Updated { Life::Held { limit: None } } else { Life::Until(*death) };
                writer.insert(&NewItem { id: *id, chat, kind: KIND, life, body: body.as_bytes() })?;
            }
            Ok::<_, Error>(())
        })
    }

    /// Each body is replaced by a longer one, and each timer is started; a wipe comes in between.
    fn update(&self, all: &[(usize, ItemId, Option<UnixMs>)]) -> Result<(), Error> {
        let far = self.vault.now().plus_ms(86_400_000_000);
        for some in all.chunks(20) {
            let text = |n: usize| self.canaries.get(n).map(Canary::text).unwrap_or_default();
            let new: Vec<_> = some.iter().map(|(n, id, death)| (*id, death.unwrap_or(far), text(*n))).collect();
            self.vault.write_blocking(Urgency::User, move |writer| {
                for (id, death, text) in &new {
                    writer.replace(*id, format!("longer than before: {text}").as_bytes())?;
                    writer.start_timer(*id, *death)?;
                }
                Ok::<_, Error>(())
            })?;
        }
        Ok(())
    }

    /// Time passes until the next group is due. Gives its number.
    pub fn pass_to_next_death(&mut self) -> usize {
        let ms = if self.passed == 0 { FIRST_DEATH_MS } else { BETWEEN_DEATHS_MS };
        self.clock.advance(u64::try_from(ms).unwrap_or_default() + 1_000 * u64::from(self.passed == 0));
        self.passed += 1;
        self.passed - 1
    }

    /// The items that are dead by now.
    pub fn dead(&self) -> BTreeSet<ItemId> {
        self.groups.iter().take(self.passed).flatten().copied().collect()
    }

    /// Those that are alive.
    pub fn living(&self) -> BTreeSet<ItemId> {
        self.groups.iter().skip(self.passed).flatten().chain(&self.living).copied().collect()
    }

    /// The cipher of the database's pages.
    ///
    /// # Errors
    /// Those of the vault.
    pub fn cipher(&self) -> Result<PageCipher, Error> {
        let key = self.vault.raw_key()?;
        Ok(PageCipher::new(key.key, key.salt))
    }
}

fn death(start: UnixMs, group: usize) -> UnixMs {
    start.plus_ms(FIRST_DEATH_MS + BETWEEN_DEATHS_MS * i64::try_from(group).unwrap_or(i64::MAX))
}

/// Searches every file below a folder.
///
/// # Errors
/// Fails when a file cannot be read.
pub fn search_files(hoard: &mut Hoard, dir: &Path, cipher: &PageCipher) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            search_files(hoard, &path, cipher)?;
        } else if path.is_file() {
            hoard.search(&std::fs::read(path)?, cipher);
        }
    }
    Ok(())
}

/// Folders for a vault below this one.
pub fn place_in(dir: &Path) -> Place {
    Place { profile: dir.join("profile"), share: dir.join("share") }
}
