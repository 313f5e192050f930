//! How much of the dead can still be read: in the vault with every key that is left, and in a database that deletes as well
//! as it can.
//!
//! Both hold the same: messages in the order they came, each replaced once by a longer version, as receipts and edits do it,
//! in an order of chance; then half of them die.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use mayfly_core::ProfilePlace;
use mayfly_tests::forensics::{Loot, PageCipher, open_everything, read_pages};
use mayfly_vault::{Error, ItemId, Life, NewItem, RawKey, Urgency};

use crate::{
    Outcome,
    figure::Figure,
    plain::KEY,
    signal::Signal,
    vault::store::{BEGIN, Home, KIND, Store, second},
};

const COUNT: u32 = 20_000;
const MARK: &str = "a canary, number ";
const DIGITS: usize = 8;
const CHAT: [u8; 16] = [7; 16];
/// Lengths before and after the replacement.
const LENGTHS: [usize; 2] = [200, 330];
const LIFE_MS: i64 = 600_000;

/// Which messages, by number.
type Found = BTreeSet<u32>;

/// Measures what is left, and that the same search found everything before.
///
/// # Errors
/// Whatever goes wrong.
pub fn measure(print: &mut impl FnMut(&Figure)) -> Outcome<()> {
    let chance = Chance::draw()?;
    let home = Home::new()?;
    let ours = vault(&home, &chance)?;
    let theirs = signal(&home, &chance)?;
    let half = f64::from(COUNT / 2);
    for (name, ours, signal) in [
        ("unfound_before_death", f64::from(COUNT) - ours.alive, theirs.as_ref().map(|it| f64::from(COUNT) - it.alive)),
        ("dead_in_the_files", ours.in_files, theirs.as_ref().map(|it| it.in_files)),
        ("dead_with_every_key", ours.with_keys, theirs.as_ref().map(|it| it.in_files)),
        ("dead_in_an_older_image", ours.in_image, theirs.as_ref().map(|it| it.in_image)),
    ] {
        print(&Figure::single(name, ours, "of", "all that died", half).beside_signal(signal));
    }
    Ok(())
}

/// How many messages could be read.
struct Readable {
    /// Before anything died, of all.
    alive: f64,
    /// Of the dead: in the clear, in decrypted pages and log.
    in_files: f64,
    /// With every key that the present state and share give, besides.
    with_keys: f64,
    /// With an older image of all but the share file, besides.
    in_image: f64,
}

/// The same chance for both stores.
struct Chance {
    /// Orders of the replacements, from one.
    orders: Vec<u32>,
    dying: Found,
}

impl Chance {
    fn draw() -> Outcome<Self> {
        let mut keyed = (0..COUNT).map(|number| Ok((ItemId::random()?, number))).collect::<Result<Vec<_>, Error>>()?;
        keyed.sort_unstable_by_key(|(id, _)| *id.as_bytes());
        let orders = keyed.iter().map(|(_, number)| number + 1).collect();
        keyed.sort_unstable_by_key(|(id, _)| id.as_bytes().map(u8::reverse_bits));
        let dying = keyed.iter().take(COUNT as usize / 2).map(|(_, number)| *number).collect();
        Ok(Self { orders, dying })
    }

    /// When each message dies.
    fn lives(&self) -> Vec<i64> {
        (0..COUNT).map(|number| if self.dying.contains(&number) { LIFE_MS } else { 100 * LIFE_MS }).collect()
    }

    fn dead(&self, found: &Found) -> f64 {
        count(&found.intersection(&self.dying).copied().collect())
    }
}

fn vault(home: &Home, chance: &Chance) -> Outcome<Readable> {
    let store = home.create()?;
    fill(&store, chance)?;
    let place = ProfilePlace { dir: home.place().profile.clone(), share_dir: home.place().share.clone() };
    let key = store.vault.raw_key()?;
    // Without the share file the image is what a backup holds; with it, it shows that the search finds whatever lives.
    let whole = Loot::take(&place, &key, true)?;
    let image = Loot::take(&place, &key, false)?;
    let alive = opened(&[&whole]);
    store.clock.advance(LIFE_MS.unsigned_abs() + 1_000);
    store.wipe()?;
    store.settle()?;
    let after = Loot::take(&place, &key, true)?;
    let pages = in_pages(&after.path().join("profile").join("vault.db"), &key)?;
    let (with_keys, in_image) = (opened(&[&after]), opened(&[&after, &image]));
    Ok(Readable {
        alive: count(&alive),
        in_files: chance.dead(&pages),
        with_keys: chance.dead(&with_keys),
        in_image: chance.dead(&in_image),
    })
}

/// Inserts everything and replaces it once.
fn fill(store: &Store<'_>, chance: &Chance) -> Outcome<()> {
    let ids = (0..COUNT).map(|_| ItemId::random()).collect::<Result<Vec<_>, _>>()?;
    let numbered: Vec<(u32, ItemId, i64)> =
        (0..).zip(&ids).zip(chance.lives()).map(|((number, id), life_ms)| (number, *id, life_ms)).collect();
    let chat = Some(store.chat);
    store.vault.write_blocking(Urgency::User, move |writer| {
        for (number, id, life_ms) in numbered {
            let life = Life::Until(BEGIN.plus_ms(life_ms));
            writer.insert(&NewItem { id, chat, kind: KIND, life, body: &body(number, LENGTHS[0]) })?;
        }
        Ok::<(), Error>(())
    })?;
    let orders: Vec<(u32, ItemId)> =
        chance.orders.iter().filter_map(|order| ids.get(*order as usize - 1).map(|id| (order - 1, *id))).collect();
    Ok(store.vault.write_blocking(Urgency::User, move |writer| {
        orders.into_iter().try_for_each(|(number, id)| writer.replace(id, &body(number, LENGTHS[1])))
    })?)
}

fn signal(home: &Home, chance: &Chance) -> Outcome<Option<Readable>> {
    let (path, image) = (home.path().join("signal.db"), home.path().join("image.db"));
    let Some(mut signal) = Signal::open(&path)? else { return Ok(None) };
    let due_s: Vec<i64> = chance.lives().into_iter().map(|life_ms| second(BEGIN.plus_ms(life_ms))).collect();
    let filler = |length| "x".repeat(length);
    signal.insert(&due_s, CHAT, &filler(LENGTHS[0]), Some((MARK, 0)))?;
    signal.update(&chance.orders, &filler(LENGTHS[1]), MARK)?;
    copy(&path, &image)?;
    let key = |path: &Path| -> Outcome<RawKey> {
        let salt = std::fs::read(path)?.first_chunk().copied().ok_or("the database has no salt")?;
        Ok(RawKey { key: KEY, salt })
    };
    let alive = in_pages(&image, &key(&image)?)?;
    signal.erase(second(BEGIN.plus_ms(LIFE_MS)))?;
    let after = in_pages(&path, &key(&path)?)?;
    Ok(Some(Readable {
        alive: count(&alive),
        in_files: chance.dead(&after),
        with_keys: chance.dead(&after),
        in_image: chance.dead(&after.union(&alive).copied().collect()),
    }))
}

/// A database with its log, as they lie on the disk.
fn copy(from: &Path, to: &Path) -> Outcome<()> {
    let log = |path: &Path| PathBuf::from(format!("{}-wal", path.display()));
    std::fs::copy(from, to)?;
    std::fs::copy(log(from), log(to))?;
    Ok(())
}

fn body(number: u32, length: usize) -> Vec<u8> {
    let mut body = format!("{MARK}{number:0DIGITS$}").into_bytes();
    body.resize(length, b'x');
    body
}

/// The messages whose mark stands in any decrypted page or frame of the log.
fn in_pages(database: &Path, key: &RawKey) -> Outcome<Found> {
    let mut found = Found::new();
    let census = read_pages(database, &PageCipher::new(key.key, key.salt), &mut |page| {
        found.extend(numbers(&page.opened.bytes));
    })?;
    if census.authentic == 0 { Err("no page opened, so nothing was searched".into()) } else { Ok(found) }
}

/// The messages that open under any state, share and row that was ever found.
fn opened(loots: &[&Loot]) -> Found {
    open_everything(loots).iter().flat_map(|body| numbers(body)).collect()
}

/// The numbers behind all marks.
fn numbers(bytes: &[u8]) -> Vec<u32> {
    let mark = MARK.as_bytes();
    let after_mark = |window: &[u8]| std::str::from_utf8(window.strip_prefix(mark)?).ok()?.parse().ok();
    bytes.windows(mark.len() + DIGITS).filter_map(after_mark).collect()
}

fn count(found: &Found) -> f64 {
    u32::try_from(found.len()).map_or(f64::NAN, f64::from)
}
