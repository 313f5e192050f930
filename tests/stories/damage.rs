//! Bytes that changed, files that went, disks that are full or may not be written: each is said, what is not touched stays
//! usable, nothing is lost by trying, and what is due dies all the same.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use mayfly_core::{ChatId, Engine, Error, NewProfile, ProfilePlace, view::MessageKind};
use mayfly_tests::{
    disk_image::{DiskImage, FileSystem},
    forensics::{Canaries, Canary, Loot, Scanner, open_everything},
    people::{Person, World, after_send},
};
use mayfly_vault::{MovableClock, RawKey, forensics::attack};
use rusqlite::{Connection, params};

/// A page of the database as it lies on the disk.
const PAGE: usize = 4_096;

fn sh(program: &str, arguments: &[&Path]) {
    assert!(Command::new(program).args(arguments).stdin(Stdio::null()).status().unwrap().success());
}

/// Bela's closed profile with messages that live an hour, and one that lives a minute.
async fn closed_profile(world: &World, count: usize) -> (Person, ChatId, RawKey) {
    let (anna, mut bela) = (world.person("Anna").await.unwrap(), world.person("Bela").await.unwrap());
    let (chat_a, chat_b) = world.meet(&anna, &bela).await.unwrap();
    for n in 0..count {
        anna.engine.send_message(chat_a, &format!("words {n}"), Some(after_send(3_600))).await.unwrap();
    }
    anna.engine.send_message(chat_a, "a minute", Some(after_send(60))).await.unwrap();
    bela.wait_for(chat_b, |all| all.len() == count + 1).await.unwrap();
    assert!(anna.engine.flush(std::time::Duration::from_mins(2)).await);
    let key = bela.engine.raw_key().unwrap();
    bela.close().await.unwrap();
    (bela, chat_b, key)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_missing_or_of_nothing_but_noise_lock_nobody_out_for_good() {
    let world = World::new().await.unwrap();
    let (mut bela, chat, _) = closed_profile(&world, 3).await;
    let place = bela.place.clone();
    let share = place.share_dir.join("share");
    let files = [share, place.share_dir.clone(), place.dir.join("vault.db"), place.dir.join("state.0")];
    let aside = place.dir.with_extension("aside");
    for file in files {
        sh("cp", &["-a".as_ref(), &place.dir, &aside]);
        sh("mv", &[&file, &file.with_extension("gone")]);
        let refused = bela.open().await;
        // Of the two states only one is in use.
        if !file.ends_with("state.0") || refused.is_err() {
            let refused = refused.unwrap_err();
            assert!(["locked", "store_damaged"].contains(&refused.code()), "{file:?}: {refused:?}");
        } else {
            bela.close().await.unwrap();
        }
        sh("rm", &["-rf".as_ref(), &file]);
        sh("mv", &[&file.with_extension("gone"), &file]);
        if file.ends_with("state.0") {
            // What was opened without it has gone on since.
            sh("rm", &["-rf".as_ref(), &place.dir]);
            sh("mv", &[&aside, &place.dir]);
            break;
        }
        sh("rm", &["-rf".as_ref(), &aside]);
        bela.open().await.unwrap();
        assert_eq!(bela.messages(chat).unwrap().len(), 4, "{file:?} was put back, and nothing is lost");
        bela.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_seal_is_shown_as_such_and_the_rest_can_be_read() {
    let world = World::new().await.unwrap();
    let (mut bela, chat, key) = closed_profile(&world, 4).await;
    bela.open().await.unwrap();
    let all = bela.messages(chat).unwrap();
    bela.close().await.unwrap();
    let connection = Connection::open(bela.place.dir.join("vault.db")).unwrap();
    connection.execute_batch(&format!("PRAGMA key = \"x'{}'\";", hex::encode(key.key))).unwrap();
    // The last byte of one wrap, and the first of another's body.
    let wrap = "UPDATE item SET wrap = CAST(substr(wrap, 1, 59) || x'00' AS BLOB) WHERE item_id = unhex(?1)";
    let body = "UPDATE item SET body = CAST(x'00' || substr(body, 2) AS BLOB) WHERE item_id = unhex(?1)";
    for (change, message) in [(wrap, &all[0]), (body, &all[1])] {
        assert_eq!(connection.execute(change, params![message.id]).unwrap(), 1);
    }
    drop(connection);
    bela.open().await.unwrap();
    let now = bela.messages(chat).unwrap();
    let kinds: Vec<bool> = now.iter().map(|message| message.kind == MessageKind::Damaged).collect();
    assert_eq!(kinds, [true, true, false, false, false], "two are damaged, each in its place");
    assert!(now.iter().zip(&all).skip(2).all(|(now, then)| now.text == then.text));
    assert!(now.iter().take(2).all(|message| message.text.is_empty()));
    // A damaged message still dies in its time.
    bela.run();
    world.clock.advance(3_700_000);
    bela.wait_for(chat, <[_]>::is_empty).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_page_of_the_database_is_damaged_it_is_said_and_what_is_due_dies_all_the_same() {
    let world = World::new().await.unwrap();
    let (mut bela, chat, _) = closed_profile(&world, 12).await;
    let (dir, database) = (bela.place.dir.clone(), bela.place.dir.join("vault.db"));
    let whole = dir.with_extension("whole");
    let (share, whole_share) = (bela.place.share_dir.clone(), dir.with_extension("whole-share"));
    sh("cp", &["-a".as_ref(), &dir, &whole]);
    sh("cp", &["-a".as_ref(), &share, &whole_share]);
    let pages = std::fs::read(&database).unwrap().len() / PAGE;
    // Now the one that had a minute is due.
    world.clock.advance(61_000);
    let due = (world.clock_second() - 1) * 256;
    let (mut usable, mut refused) = (0, 0);
    for page in 0..pages {
        for (from, to) in [(&whole, &dir), (&whole_share, &share)] {
            sh("rm", &["-rf".as_ref(), to]);
            sh("cp", &["-a".as_ref(), from, to]);
        }
        let mut bytes = std::fs::read(&database).unwrap();
        bytes[page * PAGE + 1_000..page * PAGE + 1_016].fill(0xA5);
        std::fs::write(&database, bytes).unwrap();
        match bela.open().await {
            Ok(()) => {
                match bela.messages(chat) {
                    Ok(all) => {
                        usable += 1;
                        assert!(all.iter().all(|message| message.text != "a minute"), "the dead are shown");
                    }
                    Err(error) => {
                        refused += 1;
                        assert_eq!(error.code(), "store_damaged", "page {page}: {error:?}");
                    }
                }
                // It may not close well; it has to come to its end.
                let _ = bela.close().await;
            }
            Err(error) => {
                refused += 1;
                assert!(["store_damaged", "locked"].contains(&error.code()), "page {page}: {error:?}");
            }
        }
        if page > 0 {
            assert!(!is_alive(&bela.place, due), "page {page} is damaged, and what was due lives on");
        }
    }
    println!("of {pages} damaged pages {usable} left all messages readable, {refused} were said");
    assert!(usable > 0 && refused > 0);
}

/// Whether the keys of a second can still be derived from the files.
fn is_alive(place: &ProfilePlace, tag: u64) -> bool {
    let read = |path: PathBuf| std::fs::read(path).unwrap();
    let states = [read(place.dir.join("state.0")), read(place.dir.join("state.1"))];
    let share = read(place.share_dir.join("share"));
    let dumps = attack(&[&states[0], &states[1]], &[&share], None);
    assert!(!dumps.is_empty(), "some state opens");
    dumps.iter().any(|dump| dump.generations().iter().any(|generation| dump.leaf(tag, *generation).is_some()))
}

fn place_on(disk: &DiskImage) -> ProfilePlace {
    ProfilePlace { dir: disk.path().join("profile"), share_dir: disk.path().join("share") }
}

async fn lonely_engine(place: &ProfilePlace, clock: &MovableClock) -> Engine {
    let new = NewProfile { name: "Anna".to_owned(), passphrase: None, relays: Vec::new() };
    Engine::create(place, new, Arc::new(clock.clone())).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_may_only_be_read_is_said_and_nothing_is_lost_on_it() {
    let Some(disk) = DiskImage::mount(FileSystem::Ext4).unwrap() else { return };
    let clock = MovableClock::new(mayfly_vault::T0.plus_ms(50_000_000_000));
    let place = place_on(&disk);
    lonely_engine(&place, &clock).await.close().await.unwrap();
    disk.remount("ro").unwrap();
    let refused = Engine::open(&place, None, Arc::new(clock.clone())).await.unwrap_err();
    assert!(matches!(refused, Error::ReadOnly), "{refused:?}");
    disk.remount("rw").unwrap();
    let engine = Engine::open(&place, None, Arc::new(clock)).await.unwrap();
    assert_eq!(engine.profile().name, "Anna");
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_no_wipe_and_says_so_to_who_writes() {
    use mayfly_vault::{ItemId, Life, NewItem, Place, Urgency, Vault};
    let Some(disk) = DiskImage::mount(FileSystem::Ext4).unwrap() else { return };
    let clock = MovableClock::new(mayfly_vault::T0.plus_ms(50_000_000_000));
    let place = Place { profile: disk.path().join("profile"), share: disk.path().join("share") };
    let vault = Vault::create(&place, None, Arc::new(clock.clone())).unwrap();
    let mut source = Canaries::new();
    let canaries: Vec<Canary> = (0..200).map(|n| source.make(format!("{n}")).unwrap()).collect();
    let soon = vault.now().plus_ms(10_000);
    let texts: Vec<String> = canaries.iter().map(Canary::text).collect();
    vault
        .write_blocking(Urgency::User, move |writer| {
            for text in &texts {
                let life = Life::Until(soon);
                writer.insert(&NewItem { id: ItemId::random()?, chat: None, kind: 16, life, body: text.as_bytes() })?;
            }
            Ok::<_, mayfly_vault::Error>(())
        })
        .unwrap();
    let key = vault.raw_key().unwrap();
    let _ = Command::new("dd")
        .args(["if=/dev/zero", "bs=64k"])
        .arg(format!("of={}", disk.path().join("filler").display()))
        .stderr(Stdio::null())
        .status()
        .unwrap();
    let body = vec![7; 1 << 20];
    let refused = vault.write_blocking(Urgency::User, move |writer| {
        let item = NewItem { id: ItemId::random()?, chat: None, kind: 16, life: Life::Record, body: &body };
        writer.insert(&item).map(|_| ())
    });
    assert_eq!(Error::from(refused.unwrap_err()).code(), "disk_full");
    clock.advance(11_000);
    vault.wipe().await.unwrap();
    let engine_place = ProfilePlace { dir: place.profile.clone(), share_dir: place.share.clone() };
    let scanner = Scanner::new(&canaries).unwrap();
    // The loot goes to another disk.
    let loot = Loot::take(&engine_place, &key, true).unwrap();
    let opened = open_everything(&[&loot]).iter().flat_map(|body| scanner.bytes("body", body)).count();
    assert_eq!(opened, 0, "on a full disk the dead die, too");
    sh("rm", &[&disk.path().join("filler")]);
    // A file system gives freed room back when it pleases.
    for _ in 0..600 {
        vault.wipe().await.unwrap();
        if vault.settled().await.is_ok() {
            vault.close().await.unwrap();
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    panic!("with room again the rows go, too");
}
