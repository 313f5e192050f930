//! How soon the dead are irrecoverable, however many they are.

use mayfly_vault::Life;

use crate::{
    Outcome,
    figure::Figure,
    signal::Signal,
    stopwatch::{Disk, Samples},
    vault::{
        big::{ALL, ALL_DUE_MS, Big, MANY, MANY_DUE_MS, ROUNDS},
        store::{BODY, Home, Snapshot, Store, second},
    },
};

const LIMIT: &str = "three 4 KiB writes in place, each with fdatasync";
/// The chat of the peer.
const CHAT: [u8; 16] = [7; 16];
/// Further than anything that is to die in one round.
const ROUND_MS: u64 = 601_000;

/// Wipes, each beside the disk's own time for three writes of the same moment.
#[derive(Debug, Default)]
struct Wipes {
    took: Samples,
    asked: Samples,
    limits: Samples,
}

impl Wipes {
    fn add(&mut self, disk: &Disk, store: &Store<'_>) -> Outcome<()> {
        self.limits.add(disk.write(3)?);
        let wiped = store.wipe()?;
        self.took.add(wiped.ms);
        self.asked.add(wiped.asked_ms);
        Ok(())
    }

    fn print(&self, print: &mut impl FnMut(&Figure), [p50, p99, asked]: [&'static str; 3], signal: Option<f64>) {
        print(&Figure::paired(p50, &self.took, LIMIT, &self.limits, 0.5).beside_signal(signal));
        print(&Figure::of(p99, &self.took, LIMIT, &self.limits, 0.99));
        print(&Figure::of(asked, &self.asked, LIMIT, &self.limits, 0.99));
    }
}

/// Measures the sizes that are quickly inserted anew for each wipe.
///
/// # Errors
/// Whatever goes wrong.
pub fn of_few(print: &mut impl FnMut(&Figure)) -> Outcome<()> {
    let sizes = [
        (1, ["wipe_1_p50", "wipe_1_p99", "wipe_1_asked_p99"]),
        (1_000, ["wipe_1000_p50", "wipe_1000_p99", "wipe_1000_asked_p99"]),
    ];
    for (count, names) in sizes {
        let home = Home::new()?;
        let store = home.create()?;
        let disk = Disk::new(home.path())?;
        let mut peer = Signal::open(&home.path().join("signal.db"))?;
        let (mut wipes, mut erased) = (Wipes::default(), Samples::default());
        for _ in 0..2 * ROUNDS {
            fall_due(&store, count)?;
            wipes.add(&disk, &store)?;
            store.settle()?;
            if store.count()? > 0 {
                return Err("what was due is still there".into());
            }
            if let Some(peer) = &mut peer {
                let due_s = second(store.vault.now());
                peer.insert(&vec![due_s; count as usize], CHAT, &String::from_utf8_lossy(&BODY), None)?;
                erased.add(peer.erase(due_s)?.ms);
            }
        }
        wipes.print(print, names, peer.is_some().then(|| erased.quantile(0.5)));
    }
    held(print)
}

/// Inserts so many items and moves the clock behind the last one's death.
fn fall_due(store: &Store<'_>, count: u32) -> Outcome<()> {
    let now = store.vault.now();
    store.insert((0..count).map(|number| Life::Until(now.plus_ms(600_000 - i64::from(number) * 500))).collect())?;
    store.clock.advance(ROUND_MS);
    Ok(())
}

/// Items whose timer never started hang from leaves of their own, one by one: the wipe has to look them up. So many unread
/// messages reach their limit at once only after weeks without power.
fn held(print: &mut impl FnMut(&Figure)) -> Outcome<()> {
    let home = Home::new()?;
    let store = home.create()?;
    let disk = Disk::new(home.path())?;
    let mut wipes = Wipes::default();
    for _ in 0..5 {
        let limit = Some(store.vault.now().plus_ms(600_000));
        store.insert(vec![Life::Held { limit }; MANY as usize])?;
        store.clock.advance(ROUND_MS);
        wipes.add(&disk, &store)?;
        store.settle()?;
    }
    print(&Figure::of("wipe_100000_unread_worst", &wipes.took, LIMIT, &wipes.limits, 1.0));
    Ok(())
}

/// Measures the sizes that are built once.
///
/// For each wipe the key files are put back as they were, which makes everything live again for as long as the clock
/// stands before its death. The vault is closed as soon as the dead are irrecoverable; what the clean-up has removed by then
/// was spare, so that never less than the number in the name is due. Beside each wipe of the million stands one of a single
/// item in a vault of its own.
///
/// # Errors
/// Whatever goes wrong.
pub fn of_many(print: &mut impl FnMut(&Figure), big: &mut Big) -> Outcome<()> {
    let keys = big.home.keys()?;
    let small = Home::new()?;
    let small = small.create()?;
    let disk = Disk::new(big.home.path())?;
    let (mut many, mut all, mut one) = (Wipes::default(), Wipes::default(), Wipes::default());
    for _ in 0..ROUNDS {
        again(big, &keys, MANY_DUE_MS, |store| many.add(&disk, store))?;
        again(big, &keys, ALL_DUE_MS, |store| {
            fall_due(&small, 1)?;
            one.add(&disk, &small)?;
            all.add(&disk, store)
        })?;
    }
    keys.put_back()?;
    let store = big.home.open(big.chat)?;
    if store.count()? < u64::from(ALL) {
        return Err("the clean-up was faster than thought: fewer were due than promised".into());
    }
    store.close()?;
    let [signal_many, signal_all] = erase(big)?;
    many.print(print, ["wipe_100000_p50", "wipe_100000_p99", "wipe_100000_asked_p99"], signal_many);
    all.print(print, ["wipe_1000000_p50", "wipe_1000000_p99", "wipe_1000000_asked_p99"], signal_all);
    let peer = "a wipe of a single item of the same moment";
    print(&Figure::of("wipe_1000000_beside_1_p50", &all.took, peer, &one.took, 0.5));
    Ok(())
}

/// Opens the big store with everything alive, lets what dies by then fall due, and closes it after `wipe` at once.
fn again(big: &Big, keys: &Snapshot, due_ms: i64, wipe: impl FnOnce(&Store<'_>) -> Outcome<()>) -> Outcome<()> {
    keys.put_back()?;
    let store = big.home.open(big.chat)?;
    store.clock.advance(due_ms.unsigned_abs() + 1_000);
    wipe(&store)
}

/// Lets Signal's database delete the same, as well as it can: once the first of them, and once all in a copy.
fn erase(big: &mut Big) -> Outcome<[Option<f64>; 2]> {
    let path = |name| big.home.path().join(name);
    let Some(signal) = &mut big.signal else { return Ok([None, None]) };
    signal.close()?;
    std::fs::copy(path("signal.db"), path("copy.db"))?;
    let begin = second(crate::vault::store::BEGIN);
    signal.reopen(&path("copy.db"))?;
    let all = signal.erase(begin + ALL_DUE_MS / 1_000)?.ms;
    signal.close()?;
    signal.reopen(&path("signal.db"))?;
    let many = signal.erase(begin + MANY_DUE_MS / 1_000 + 1)?.ms;
    Ok([Some(many), Some(all)])
}
