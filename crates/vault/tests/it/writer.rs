//! The one writer: order, groups, roll-back, faults.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use mayfly_vault::{Error, Life, NewItem, Urgency};

use crate::home::{Home, KIND, START, block_on, body, insert, item, random_id, write};

#[test]
fn a_job_that_fails_leaves_nothing_and_others_in_its_commit_stay() {
    let home = Home::new();
    let vault = home.create();
    let (failed, kept) = (random_id(), random_id());
    let new = |id| NewItem { id, chat: None, kind: KIND, life: Life::Record, body: b"a" };
    block_on(async {
        let job = vault.write(Urgency::User, move |w| {
            w.insert(&new(failed))?;
            Err::<(), Error>(Error::NoTimer)
        });
        let other = vault.write(Urgency::User, move |w| w.insert(&new(kept)).map(|_| ()));
        let (job, other): (_, Result<(), Error>) = tokio::join!(job, other);
        assert_eq!((job, other), (Err(Error::NoTimer), Ok(())));
    });
    assert_eq!(item(&vault, failed), None);
    assert!(item(&vault, kept).is_some());
}

#[test]
fn a_job_that_panics_leaves_nothing_and_the_writer_goes_on() {
    let home = Home::new();
    let vault = home.create();
    let id = random_id();
    let panicked = vault.write_blocking(Urgency::User, move |w| {
        w.insert(&NewItem { id, chat: None, kind: KIND, life: Life::Record, body: b"a" })?;
        assert!(id.as_bytes().is_empty(), "a fault, on purpose");
        Ok::<(), Error>(())
    });
    assert_eq!(panicked, Err(Error::JobPanicked));
    assert_eq!(item(&vault, id), None);
    let next = insert(&vault, None, Life::Record, b"b").unwrap();
    assert_eq!(body(&vault, next).unwrap(), b"b");
}

#[test]
fn destruction_comes_first_then_people_then_the_background() {
    let home = Home::new();
    let vault = home.create();
    let (go, gate) = mpsc::channel::<()>();
    let (entered, is_in) = mpsc::channel::<()>();
    let done = Arc::new(Mutex::new(Vec::new()));
    block_on(async {
        let blocker = vault.clone();
        let blocker = tokio::task::spawn_blocking(move || {
            blocker.write_blocking(Urgency::User, move |_| {
                entered.send(()).unwrap();
                gate.recv_timeout(Duration::from_secs(30)).unwrap();
                Ok::<(), Error>(())
            })
        });
        is_in.recv_timeout(Duration::from_secs(30)).unwrap();
        let job = |urgency, name: &'static str| {
            let done = Arc::clone(&done);
            vault.write(urgency, move |_| {
                done.lock().unwrap().push(name);
                Ok::<(), Error>(())
            })
        };
        // A write enters the queue when it is first polled; join polls in this order.
        let all = async {
            tokio::join!(
                job(Urgency::Background, "background"),
                job(Urgency::User, "user 1"),
                job(Urgency::User, "user 2"),
                job(Urgency::Wipe, "wipe"),
                async { go.send(()).map_err(|_| Error::Closed) },
            )
        };
        assert_eq!(all.await, (Ok(()), Ok(()), Ok(()), Ok(()), Ok(())));
        blocker.await.unwrap().unwrap();
    });
    assert_eq!(*done.lock().unwrap(), ["wipe", "user 1", "user 2", "background"]);
}

#[test]
fn a_wipe_is_irrecoverable_while_its_rows_still_wait_for_people() {
    let home = Home::new();
    let vault = home.create();
    write(&vault, |w| {
        (0..5_000).try_for_each(|_| {
            let life = Life::Until(START.plus_ms(1_000));
            w.insert(&NewItem { id: mayfly_vault::ItemId::random()?, chat: None, kind: KIND, life, body: b"a" })
                .map(|_| ())
        })
    })
    .unwrap();
    home.clock.advance(2_000);
    let mut wipes = vault.wipes();
    block_on(async {
        vault.wipe().await.unwrap();
        // Between two batches of the clean-up there is room for a person.
        for n in 0..10u8 {
            let insert = move |w: &mut mayfly_vault::Writer<'_>| {
                let id = mayfly_vault::ItemId::random()?;
                w.insert(&NewItem { id, chat: None, kind: KIND, life: Life::Record, body: &[n] })
            };
            vault.write(Urgency::User, insert).await.map_err(|error: Error| error).unwrap();
        }
        vault.settled().await.unwrap();
    });
    let mut removed = 0;
    while let Ok(batch) = wipes.try_recv() {
        assert!(batch.len() <= 200);
        removed += batch.len();
    }
    assert_eq!(removed, 5_000);
    assert_eq!(vault.read(|r| r.count(None, KIND)).unwrap(), 10);
}

#[test]
fn the_room_of_the_dead_is_given_back_to_the_disk() {
    const MANY: u64 = 3_000;
    let home = Home::new();
    let vault = home.create();
    let bytes = || std::fs::metadata(home.place.profile.join("vault.db")).unwrap().len();
    let fill = |deadline| {
        write(&vault, move |w| {
            for _ in 0..MANY {
                w.insert(&NewItem {
                    id: random_id(),
                    chat: None,
                    kind: KIND,
                    life: Life::Until(deadline),
                    body: &[7; 800],
                })?;
            }
            Ok(())
        })
        .unwrap();
        block_on(async { vault.wipe().await.and(vault.settled().await) }).unwrap();
        bytes()
    };
    let half = fill(START.plus_ms(90_000));
    let whole = fill(START.plus_ms(60_000));
    assert!(half > MANY * 800 && whole > 2 * MANY * 800, "{half} {whole}");
    home.clock.advance(61_000);
    block_on(async { vault.wipe().await.and(vault.settled().await) }).unwrap();
    assert!(bytes() < half + half / 4, "of {whole} bytes are left {}, after {half} before", bytes());
    assert_eq!(vault.read(|r| r.count(None, KIND)).unwrap(), MANY);
}

#[test]
fn a_committed_write_survives_a_vault_that_is_dropped_at_once() {
    let home = Home::new();
    let vault = home.create();
    let ids: Vec<_> = (0..50).map(|_| insert(&vault, None, Life::Record, b"a").unwrap()).collect();
    drop(vault);
    let vault = home.open();
    assert!(ids.into_iter().all(|id| body(&vault, id).is_some()));
}

#[test]
fn ten_thousand_seals_one_by_one_use_no_tag_twice() {
    let home = Home::new();
    let vault = home.create();
    let ids: Vec<_> = (0..300).map(|_| random_id()).collect();
    let all = ids.clone();
    write(&vault, move |w| {
        for id in &all {
            w.insert(&NewItem { id: *id, chat: None, kind: KIND, life: Life::Record, body: b"0" })?;
        }
        for round in 1..34u8 {
            for id in &all {
                w.replace(*id, &[round])?;
            }
        }
        Ok(())
    })
    .unwrap();
    crate::home::wipe(&vault);
    let copy = home.copy(&home.place.profile, "copy");
    let rows = crate::home::rows(&copy, &vault.raw_key().unwrap().key);
    let tags: std::collections::BTreeSet<u64> = rows.iter().map(|row| row.tau).collect();
    assert_eq!(tags.len(), rows.len());
    assert!(ids.iter().all(|id| body(&vault, *id).unwrap() == [33]));
}

#[test]
fn readers_meet_neither_errors_nor_damage_while_everything_changes_and_dies() {
    let home = Home::new();
    let vault = home.create();
    let chat = crate::home::create_chat(&vault);
    let is_over = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (vault, is_over) = (vault.clone(), Arc::clone(&is_over));
            std::thread::spawn(move || {
                let mut seen = 0;
                while !is_over.load(std::sync::atomic::Ordering::SeqCst) {
                    let items = vault.read(|r| r.page(Some(chat), KIND, None, 50)).unwrap();
                    assert!(items.iter().all(|item| item.body.is_some()), "damaged");
                    seen += items.len();
                }
                seen
            })
        })
        .collect();
    for round in 0..150i64 {
        let held = insert(&vault, Some(chat), Life::Held { limit: None }, b"held").unwrap();
        let record = insert(&vault, Some(chat), Life::Record, b"record").unwrap();
        let deadline = START.plus_ms((round + 3) * 1_000);
        write(&vault, move |w| {
            w.start_timer(held, deadline)?;
            w.replace(record, b"again")?;
            if round % 3 == 0 { w.wipe(record).map(|_| ()) } else { Ok(()) }
        })
        .unwrap();
        home.clock.advance(1_000);
        block_on(vault.wipe()).unwrap();
    }
    is_over.store(true, std::sync::atomic::Ordering::SeqCst);
    for reader in readers {
        assert!(reader.join().unwrap() > 0);
    }
    block_on(vault.settled()).unwrap();
    assert_eq!(vault.read(|r| r.count(Some(chat), KIND)).unwrap(), 103);
}
