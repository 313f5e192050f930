//! How much room the key trees take in the state after a life of reading, deleting and ratchets.

use std::sync::Arc;

use mayfly_vault::{Error, ItemId, Life, MovableClock, NewItem, Place, T0, Urgency, Vault};

use crate::{Outcome, figure::Figure};

const READS: usize = 10_000;
const EARLY_DEATHS: usize = 1_000;
const RATCHET_WRITES: usize = 100_000;
/// After so many of each there is a wipe, as there is one now and then in any life.
const BETWEEN_WIPES: usize = 100;
const KIND: u8 = 16;
const DAY_MS: i64 = 86_400_000;

/// The largest that the trees ever were, and what they are in the end, in KiB.
struct Room {
    largest: f64,
    at_the_end: f64,
}

/// Lives that life once with a younger tree whenever there is need of one, and once without.
///
/// # Errors
/// Whatever goes wrong.
pub fn measure(print: &mut impl FnMut(&Figure)) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let moving = runtime.block_on(live(None))?;
    let staying = runtime.block_on(live(Some(usize::MAX)))?;
    let peer = "the same without moving to a younger tree";
    print(&Figure::single("state_largest", moving.largest, "KiB", peer, staying.largest));
    print(&Figure::single("state_at_the_end", moving.at_the_end, "KiB", peer, staying.at_the_end));
    Ok(())
}

async fn live(move_from_bytes: Option<usize>) -> Outcome<Room> {
    let folder = tempfile::tempdir()?;
    let place = Place { profile: folder.path().join("profile"), share: folder.path().join("share") };
    let clock = MovableClock::new(T0.plus_ms(50_000_000_000));
    let vault = Vault::create(&place, None, Arc::new(clock.clone()))?;
    if let Some(bytes) = move_from_bytes {
        vault.move_from_bytes(bytes);
    }
    let mut room = Room { largest: 0.0, at_the_end: 0.0 };
    let ratchets: Vec<ItemId> = (0..20).map(|_| ItemId::random()).collect::<Result<_, _>>()?;
    let all = ratchets.clone();
    let insert = move |writer: &mut mayfly_vault::Writer<'_>| {
        for id in all {
            writer.insert(&NewItem { id, chat: None, kind: KIND, life: Life::Record, body: b"ratchet" })?;
        }
        Ok::<_, Error>(())
    };
    vault.write(Urgency::User, insert).await?;
    for round in 0..READS / BETWEEN_WIPES {
        let (now, ratchets) = (vault.now(), ratchets.clone());
        let far = move |n: usize| now.plus_ms(DAY_MS + 911_000 * i64::try_from(n).unwrap_or_default());
        let one_round = move |writer: &mut mayfly_vault::Writer<'_>| {
            for n in 0..BETWEEN_WIPES {
                let id = ItemId::random()?;
                writer.insert(&NewItem {
                    id,
                    chat: None,
                    kind: KIND,
                    life: Life::Held { limit: None },
                    body: b"read",
                })?;
                writer.start_timer(id, far(n))?;
            }
            for n in 0..EARLY_DEATHS * BETWEEN_WIPES / READS {
                let id = ItemId::random()?;
                let life = Life::Until(far(1_000 * (n + 1) + 10 * round));
                writer.insert(&NewItem { id, chat: None, kind: KIND, life, body: b"dies early" })?;
                writer.wipe(id)?;
            }
            for n in 0..RATCHET_WRITES * BETWEEN_WIPES / READS {
                let id = ratchets.get(n % ratchets.len()).ok_or(Error::NoItem)?;
                writer.replace(*id, b"another ratchet")?;
            }
            Ok::<_, Error>(())
        };
        vault.write(Urgency::User, one_round).await?;
        clock.advance(60_000);
        vault.wipe().await?;
        room.largest = room.largest.max(kib(vault.tree_bytes()));
        vault.settled().await?;
        vault.moved().await?;
    }
    room.at_the_end = kib(vault.tree_bytes());
    vault.close().await?;
    Ok(room)
}

#[allow(clippy::cast_precision_loss)] // Far below what a float holds exactly.
fn kib(bytes: usize) -> f64 {
    bytes as f64 / 1_024.0
}
