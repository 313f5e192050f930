//! The vault: how soon the dead are irrecoverable, and what it costs beside the database alone.

use std::{path::Path, sync::Arc};

use mayfly_vault::{ChatId, Error, ItemId, Life, MovableClock, NewItem, Place, T0, UnixMs, Urgency, Vault};
use tokio::runtime::Runtime;

use crate::{
    Outcome,
    figure::Figure,
    plain::Plain,
    stopwatch::{Disk, Samples, Start, cpu_ms},
};

const KIND: u8 = 19;
/// Some words of a person, as CBOR with their sender and times.
const BODY: [u8; 200] = [0x61; 200];
const AT_ONCE: u32 = 1_000;
const MANY: u32 = 100_000;
const PAGE: u32 = 50;
const BEGIN: UnixMs = T0.plus_ms(30_000_000_000);

/// A vault with one chat, on a clock of its own.
struct Bench {
    runtime: Runtime,
    place: Place,
    clock: MovableClock,
    vault: Vault,
    chat: ChatId,
}

/// Measures and hands out one figure after the other.
///
/// # Errors
/// Whatever goes wrong.
pub fn measure(print: &mut impl FnMut(&Figure)) -> Outcome<()> {
    for (count, rounds, names) in [
        (1, 200, ["wipe_1_p50", "wipe_1_p99"]),
        (AT_ONCE, 100, ["wipe_1000_p50", "wipe_1000_p99"]),
        (MANY, 5, ["wipe_100000_p50", "wipe_100000_worst"]),
    ] {
        let dir = tempfile::Builder::new().prefix("mayfly-bench-").tempdir()?;
        let bench = Bench::new(dir.path())?;
        let (wipes, limits) = bench.wipes(&Disk::new(dir.path())?, count, rounds)?;
        let peer = "three 4 KiB writes in place, each with fdatasync";
        for (name, share) in names.into_iter().zip([0.5, if count == MANY { 1.0 } else { 0.99 }]) {
            print(&Figure::paired(name, &wipes, peer, &limits, share));
        }
    }
    beside_the_database(print)
}

fn beside_the_database(print: &mut impl FnMut(&Figure)) -> Outcome<()> {
    let dir = tempfile::Builder::new().prefix("mayfly-bench-").tempdir()?;
    let mut bench = Bench::new(dir.path())?;
    let mut plain = Plain::open(&dir.path().join("plain.db"))?;
    let chat = *bench.chat.as_bytes();
    let (mut ours, mut theirs) = (Samples::default(), Samples::default());
    for _ in 0..MANY / AT_ONCE {
        let ids = ids(AT_ONCE)?;
        let before = cpu_ms();
        bench.insert(ids.clone(), bench.vault.now().plus_ms(86_400_000))?;
        ours.add((cpu_ms() - before) / f64::from(AT_ONCE));
        let ids: Vec<[u8; 16]> = ids.iter().map(|id| *id.as_bytes()).collect();
        let before = cpu_ms();
        plain.insert(&ids, chat, 1_000_000, &BODY)?;
        theirs.add((cpu_ms() - before) / f64::from(AT_ONCE));
    }
    print(&Figure::paired("insert_cpu_p50", &ours, "SQLCipher alone, processor time of one insert", &theirs, 0.5));

    let (mut ours, mut theirs) = (Samples::default(), Samples::default());
    for _ in 0..500 {
        ours.add(bench.page(&bench.vault)?);
        theirs.add(page(&plain, chat)?);
    }
    for (name, share) in [("newest_page_p50", 0.5), ("newest_page_p99", 0.99)] {
        print(&Figure::of(name, &ours, "SQLCipher alone, the newest 50 of 100,000", &theirs, share));
    }

    let disk = Disk::new(dir.path())?;
    drop(plain);
    let (mut ours, mut theirs) = (Samples::default(), Samples::default());
    for _ in 0..20 {
        bench.runtime.block_on(bench.vault.close())?;
        let start = Start::now();
        bench.vault = Vault::open(&bench.place, None, Arc::new(bench.clock.clone()))?;
        bench.page(&bench.vault)?;
        ours.add(start.ms());
        let start = Start::now();
        page(&Plain::open(&dir.path().join("plain.db"))?, chat)?;
        theirs.add(start.ms() + disk.write(6)?);
    }
    let peer = "SQLCipher alone, and six writes with fdatasync";
    print(&Figure::paired("unlock_to_first_page_p50", &ours, peer, &theirs, 0.5));
    Ok(())
}

fn ids(count: u32) -> Result<Vec<ItemId>, Error> {
    (0..count).map(|_| ItemId::random()).collect()
}

/// Reads a page of the peer, and gives the time that took.
fn page(plain: &Plain, chat: [u8; 16]) -> Outcome<f64> {
    let start = Start::now();
    let page = plain.page(chat, 0, PAGE)?;
    let ms = start.ms();
    if page.len() == PAGE as usize { Ok(ms) } else { Err("the peer's page is not full".into()) }
}

impl Bench {
    fn new(dir: &Path) -> Outcome<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let place = Place { profile: dir.join("profile"), share: dir.join("share") };
        let clock = MovableClock::new(BEGIN);
        let vault = Vault::create(&place, None, Arc::new(clock.clone()))?;
        // The method's own path is not general enough over the writer's lifetime.
        #[allow(clippy::redundant_closure_for_method_calls)]
        let chat = vault.write_blocking(Urgency::User, |writer| writer.create_chat())?;
        Ok(Self { runtime, place, clock, vault, chat })
    }

    /// Inserts items in one transaction.
    fn insert(&self, ids: Vec<ItemId>, deadline: UnixMs) -> Result<(), Error> {
        let chat = Some(self.chat);
        self.vault.write_blocking(Urgency::User, move |writer| {
            for id in ids {
                writer.insert(&NewItem { id, chat, kind: KIND, life: Life::Until(deadline), body: &BODY })?;
            }
            Ok(())
        })
    }

    /// Lets so many items fall due, again and again, and measures until none of them can be recovered.
    fn wipes(&self, disk: &Disk, count: u32, rounds: u32) -> Outcome<(Samples, Samples)> {
        let (mut wipes, mut limits) = (Samples::default(), Samples::default());
        for _ in 0..rounds {
            let deadline = self.vault.now().plus_ms(600_000);
            for from in (0..count).step_by(AT_ONCE as usize) {
                // Over ten minutes, as a busy chat would have it.
                let deadline = deadline.plus_ms(-i64::from(from) * 5);
                self.insert(ids(AT_ONCE.min(count))?, deadline)?;
            }
            self.clock.advance(601_000);
            limits.add(disk.write(3)?);
            let start = Start::now();
            self.runtime.block_on(self.vault.wipe())?;
            wipes.add(start.ms());
            self.runtime.block_on(self.vault.settled())?;
            let left = self.vault.read(|reader| reader.count(Some(self.chat), KIND))?;
            if left > 0 {
                return Err("what was due is still there".into());
            }
        }
        Ok((wipes, limits))
    }

    /// Reads and opens the newest page, and gives the time that took.
    fn page(&self, vault: &Vault) -> Outcome<f64> {
        let start = Start::now();
        let page = vault.read(|reader| reader.page(Some(self.chat), KIND, None, PAGE))?;
        let ms = start.ms();
        let is_full = page.len() == PAGE as usize && page.iter().all(|item| item.body.is_some());
        if is_full { Ok(ms) } else { Err("the page is not full".into()) }
    }
}
