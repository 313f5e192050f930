//! A store of a million messages, and the same in both peers: built once, for everything that is measured on much.

use mayfly_vault::{ChatId, Life, UnixMs};

use crate::{
    Outcome,
    figure::Figure,
    plain::Plain,
    signal::Signal,
    stopwatch::{Disk, Samples, Start, cpu_ms},
    vault::store::{BEGIN, BODY, Home, PAGE, Store, second},
};

/// So many messages die first.
pub const MANY: u32 = 100_000;
/// All messages.
pub const ALL: u32 = 1_000_000;
/// As long as the first to die take to do so, one after the other, beginning with [`BEGIN`]: a busy chat's ten minutes.
pub const MANY_DUE_MS: i64 = 600_000;
/// When the others begin to die…
const REST_FROM_MS: i64 = 86_400_000;
/// …and when the last has died.
pub const ALL_DUE_MS: i64 = 2 * REST_FROM_MS;
/// A timed wipe is cut short by closing the vault, but the clean-up may have got as far as two batches.
const LOST: u32 = 400;
/// How many wipes each size is timed for.
pub const ROUNDS: u32 = 100;
/// More than [`MANY`] at first, so that so many are left after the rounds of both sizes.
const SPARE: u32 = 2 * ROUNDS * LOST;
/// The processor time of an insert is measured in transactions of this size…
const AT_ONCE: u32 = 1_000;
/// …and so many of them; the rest is filled up in larger ones.
const MEASURED: u32 = 100;
const FILL: u32 = 20_000;

/// The three stores.
#[derive(Debug)]
pub struct Big {
    /// The vault's folder, with the peers' databases in it.
    pub home: Home,
    /// The chat that holds everything.
    pub chat: ChatId,
    /// The peer in a process of its own, where there is one.
    pub signal: Option<Signal>,
}

/// When each of `count` messages from number `first` on dies.
fn deadlines(first: u32, count: u32) -> Vec<UnixMs> {
    let early = MANY + SPARE;
    let deadline = |number: u32| {
        if number < early {
            BEGIN.plus_ms(1 + MANY_DUE_MS * i64::from(number) / i64::from(early))
        } else {
            BEGIN.plus_ms(REST_FROM_MS + REST_FROM_MS * i64::from(number - early) / i64::from(ALL))
        }
    };
    (first..first + count).map(deadline).collect()
}

impl Big {
    /// Builds all three, and measures what an insert costs meanwhile.
    ///
    /// # Errors
    /// Whatever goes wrong.
    pub fn build(print: &mut impl FnMut(&Figure)) -> Outcome<Self> {
        let home = Home::new()?;
        let store = home.create()?;
        let chat = store.chat;
        let mut peers = Peers {
            plain: Plain::open(&home.path().join("plain.db"))?,
            signal: Signal::open(&home.path().join("signal.db"))?,
            chat: *chat.as_bytes(),
        };
        let mut costs = [Samples::default(), Samples::default(), Samples::default()];
        let total = ALL + SPARE;
        let measured = MEASURED * AT_ONCE;
        for first in (0..measured).step_by(AT_ONCE as usize) {
            for (samples, cpu_ms) in costs.iter_mut().zip(insert(&store, &mut peers, first, AT_ONCE)?) {
                samples.add(cpu_ms / f64::from(AT_ONCE));
            }
        }
        for first in (measured..total).step_by(FILL as usize) {
            insert(&store, &mut peers, first, FILL.min(total - first))?;
        }
        let [ours, theirs, signals] = costs;
        let figure =
            Figure::paired("insert_cpu_p50", &ours, "SQLCipher alone, processor time of one insert", &theirs, 0.5);
        print(&figure.beside_signal(peers.signal.is_some().then(|| signals.quantile(0.5))));
        store.close()?;
        Ok(Self { home, chat, signal: peers.signal })
    }

    /// Measures reading.
    ///
    /// # Errors
    /// Whatever goes wrong.
    pub fn read(&mut self, print: &mut impl FnMut(&Figure)) -> Outcome<()> {
        let plain = Plain::open(&self.home.path().join("plain.db"))?;
        let chat = *self.chat.as_bytes();
        let store = self.home.open(self.chat)?;
        let mut series = [Samples::default(), Samples::default(), Samples::default()];
        for _ in 0..500 {
            let signal = self.signal.as_mut().map(|signal| signal.page(chat, PAGE)).transpose()?;
            let took = [store.page()?, page(&plain, chat)?, signal.map_or(f64::NAN, |took| took.ms)];
            series.iter_mut().zip(took).for_each(|(samples, ms)| samples.add(ms));
        }
        let [ours, theirs, signals] = &series;
        for (name, share) in [("newest_page_p50", 0.5), ("newest_page_p99", 0.99)] {
            let figure = Figure::of(name, ours, "SQLCipher alone, the newest 50 of 1,000,000", theirs, share);
            print(&figure.beside_signal(self.signal.is_some().then(|| signals.quantile(share))));
        }
        store.close()?;
        drop(plain);
        self.unlock(print)
    }

    /// Measures opening. There is no passphrase here: what it costs is Argon2's time, and comes on top.
    fn unlock(&mut self, print: &mut impl FnMut(&Figure)) -> Outcome<()> {
        let disk = Disk::new(self.home.path())?;
        let path = |name| self.home.path().join(name);
        let chat = *self.chat.as_bytes();
        let mut series = [Samples::default(), Samples::default(), Samples::default()];
        for _ in 0..20 {
            let start = Start::now();
            let store = self.home.open(self.chat)?;
            store.page()?;
            let ours = start.ms();
            store.close()?;
            let start = Start::now();
            page(&Plain::open(&path("plain.db"))?, chat)?;
            let theirs = start.ms() + disk.write(6)?;
            let mut signals = f64::NAN;
            if let Some(signal) = &mut self.signal {
                signal.close()?;
                signals = signal.open_page(&path("signal.db"), chat, PAGE)?.ms;
            }
            series.iter_mut().zip([ours, theirs, signals]).for_each(|(samples, ms)| samples.add(ms));
        }
        let [ours, theirs, signals] = &series;
        let peer = "SQLCipher alone, and six writes with fdatasync";
        let figure = Figure::paired("unlock_to_first_page_p50", ours, peer, theirs, 0.5);
        print(&figure.beside_signal(self.signal.is_some().then(|| signals.quantile(0.5))));
        Ok(())
    }
}

/// The stores that do the same work.
struct Peers {
    plain: Plain,
    signal: Option<Signal>,
    chat: [u8; 16],
}

/// Inserts the same messages everywhere; gives what each store's processor time was.
fn insert(store: &Store<'_>, peers: &mut Peers, first: u32, count: u32) -> Outcome<[f64; 3]> {
    let deadlines = deadlines(first, count);
    let lives: Vec<Life> = deadlines.iter().map(|deadline| Life::Until(*deadline)).collect();
    let before = cpu_ms();
    store.insert(lives)?;
    let ours = cpu_ms() - before;
    let due_s: Vec<i64> = deadlines.iter().map(|deadline| second(deadline.plus_ms(999))).collect();
    let before = cpu_ms();
    let messages: Vec<([u8; 16], i64)> = due_s
        .iter()
        .map(|due_s| Ok((*mayfly_vault::ItemId::random()?.as_bytes(), *due_s)))
        .collect::<Result<_, mayfly_vault::Error>>()?;
    peers.plain.insert(&messages, peers.chat, &BODY)?;
    let theirs = cpu_ms() - before;
    let text = String::from_utf8_lossy(&BODY);
    let signals = peers.signal.as_mut().map(|signal| signal.insert(&due_s, peers.chat, &text, None)).transpose()?;
    Ok([ours, theirs, signals.map_or(f64::NAN, |took| took.cpu_ms)])
}

/// Reads a page of the peer, and gives the milliseconds that took.
fn page(plain: &Plain, chat: [u8; 16]) -> Outcome<f64> {
    let start = Start::now();
    let page = plain.page(chat, 0, PAGE)?;
    let ms = start.ms();
    if page.len() == PAGE as usize { Ok(ms) } else { Err("the peer's page is not full".into()) }
}
