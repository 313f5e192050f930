//! How soon a whole vault is destroyed while others write into it.

use std::sync::atomic::{AtomicBool, Ordering};

use mayfly_vault::{Life, Vault};

use crate::{
    Outcome,
    figure::Figure,
    stopwatch::{Disk, Samples, Start, rest},
    vault::store::{BEGIN, Home},
};

const ITEMS: u32 = 100_000;
const AT_ONCE: u32 = 20_000;
const ROUNDS: u32 = 20;
/// So long the writer is at it before.
const BUSY_MS: u64 = 200;
const DAY_MS: i64 = 86_400_000;

/// Measures from the call until nothing opens any more and the files are gone, with a writer that never rests.
///
/// # Errors
/// Whatever goes wrong, and a vault that is still there.
pub fn measure(print: &mut impl FnMut(&Figure)) -> Outcome<()> {
    let home = Home::new()?;
    let store = home.create()?;
    let chat = store.chat;
    for _ in 0..ITEMS / AT_ONCE {
        store.insert(vec![Life::Until(BEGIN.plus_ms(DAY_MS)); AT_ONCE as usize])?;
    }
    store.close()?;
    let whole = home.snapshot()?;
    let disk = Disk::new(home.path())?;
    let (mut panics, mut limits) = (Samples::default(), Samples::default());
    for _ in 0..ROUNDS {
        whole.put_back()?;
        let store = home.open(chat)?;
        limits.add(disk.write(3)?);
        let is_over = AtomicBool::new(false);
        let ms = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut written = 0_u32;
                while !is_over.load(Ordering::Relaxed)
                    && store.insert(vec![Life::Until(BEGIN.plus_ms(DAY_MS)); 10]).is_ok()
                {
                    written += 1;
                }
                written
            });
            rest(BUSY_MS);
            let start = Start::now();
            store.vault.panic()?;
            let ms = start.ms();
            is_over.store(true, Ordering::Relaxed);
            if writer.join().unwrap_or_default() == 0 {
                return Err("the writer was not at it".into());
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(ms)
        })?;
        if Vault::exists(home.place()) {
            return Err("the vault is still there".into());
        }
        panics.add(ms);
    }
    let limit = "three 4 KiB writes in place, each with fdatasync";
    print(&Figure::of("panic_p50", &panics, limit, &limits, 0.5));
    print(&Figure::of("panic_worst", &panics, limit, &limits, 1.0));
    Ok(())
}
