//! How much a wipe of much disturbs those who write and read meanwhile, its long clean-up included.

use std::sync::atomic::{AtomicBool, Ordering};

use mayfly_vault::Life;

use crate::{
    Outcome,
    figure::Figure,
    stopwatch::{Beat, Samples, rest},
    vault::{
        big::{ALL_DUE_MS, Big, MANY_DUE_MS},
        store::{BEGIN, Store},
    },
};

/// A person types less fast, a relay that hands out a backlog does not.
const WRITE_EVERY_MS: u64 = 20;
/// A page each time somebody scrolls.
const READ_EVERY_MS: u64 = 10;
const CALM_MS: u64 = 10_000;

/// Measures both, before and during the wipe.
///
/// # Errors
/// Whatever goes wrong.
pub fn measure(print: &mut impl FnMut(&Figure), big: &Big) -> Outcome<()> {
    let store = big.home.open(big.chat)?;
    let before = store.count()?;
    let calm = under_load(&store, || {
        rest(CALM_MS);
        Ok(())
    })?;
    store.clock.advance(MANY_DUE_MS.unsigned_abs() + 1_000);
    let wipe = under_load(&store, || {
        store.wipe()?;
        Ok(store.settle()?)
    })?;
    if store.count()? >= before {
        return Err("nothing was wiped meanwhile".into());
    }
    let peer = "the same without a wipe";
    for (name, share) in
        [("writers_in_a_wipe_p50", 0.5), ("writers_in_a_wipe_p99", 0.99), ("writers_in_a_wipe_worst", 1.0)]
    {
        print(&Figure::of(name, &wipe.writers, peer, &calm.writers, share));
    }
    for (name, share) in
        [("readers_in_a_wipe_p50", 0.5), ("readers_in_a_wipe_p99", 0.99), ("readers_in_a_wipe_worst", 1.0)]
    {
        print(&Figure::of(name, &wipe.readers, peer, &calm.readers, share));
    }
    Ok(())
}

/// What writers and readers waited.
struct Load {
    writers: Samples,
    readers: Samples,
}

/// Writes messages one by one and reads pages in an even beat for as long as `work` takes.
fn under_load(store: &Store<'_>, work: impl FnOnce() -> Outcome<()>) -> Outcome<Load> {
    let is_over = AtomicBool::new(false);
    let write = || -> Outcome<()> { Ok(store.insert(vec![Life::Until(BEGIN.plus_ms(ALL_DUE_MS))])?) };
    let read = || store.page().map(drop);
    std::thread::scope(|scope| {
        let writers = scope.spawn(|| repeat(WRITE_EVERY_MS, &is_over, write));
        let readers = scope.spawn(|| repeat(READ_EVERY_MS, &is_over, read));
        let worked = work();
        is_over.store(true, Ordering::Relaxed);
        let joined = |samples: std::thread::Result<Outcome<Samples>>| samples.unwrap_or(Err("a load broke off".into()));
        let (writers, readers) = (joined(writers.join())?, joined(readers.join())?);
        worked.map(|()| Load { writers, readers })
    })
}

fn repeat(every_ms: u64, is_over: &AtomicBool, work: impl Fn() -> Outcome<()>) -> Outcome<Samples> {
    let (mut beat, mut samples) = (Beat::new(every_ms), Samples::default());
    while !is_over.load(Ordering::Relaxed) {
        let start = beat.wait();
        work()?;
        samples.add(start.ms());
    }
    Ok(samples)
}
