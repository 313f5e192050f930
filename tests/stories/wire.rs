//! A-wire: whoever kept every byte that a relay ever saw, and has the devices after the wipe, reads nothing of what was
//! delivered. Nor does an older image of a device help, for want of that day's share.

use std::{collections::BTreeSet, path::Path, process::Command, sync::Arc};

use mayfly_core::{ChatId, Engine, Error, ProfilePlace};
use mayfly_tests::{
    forensics::{Canaries, Canary, Loot, Scanner, open_everything},
    people::{Person, World, after_read, after_send, ids},
    sabotage,
};
use tempfile::TempDir;

const MESSAGES: usize = 60;

/// Dies within the story.
fn dies(n: usize) -> bool {
    n.is_multiple_of(2)
}

/// A device in somebody else's hands: a copy of a profile, and of a share that need not be of the same day.
struct Seized {
    dir: TempDir,
}

impl Seized {
    fn take(place: &ProfilePlace) -> Self {
        let dir = tempfile::Builder::new().prefix("mayfly-seized-").tempdir().unwrap();
        copy(&place.dir, &dir.path().join("profile"));
        copy(&place.share_dir, &dir.path().join("share"));
        Self { dir }
    }

    /// The same profile, with the share of another day.
    fn with_share_of(&self, other: &Self) -> Self {
        let dir = tempfile::Builder::new().prefix("mayfly-seized-").tempdir().unwrap();
        copy(&self.dir.path().join("profile"), &dir.path().join("profile"));
        copy(&other.dir.path().join("share"), &dir.path().join("share"));
        Self { dir }
    }

    async fn open(&self, world: &World) -> Result<Engine, Error> {
        let place = ProfilePlace { dir: self.dir.path().join("profile"), share_dir: self.dir.path().join("share") };
        Engine::open(&place, None, Arc::new(world.clock.clone())).await
    }
}

/// By another process: closing a descriptor of a live database in this one drops its locks.
fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

/// The messages that a device reads from events that somebody kept.
fn read_from_the_wire<'a>(
    engine: &Engine,
    events: impl IntoIterator<Item = &'a String>,
    scanner: &Scanner,
) -> BTreeSet<usize> {
    let said = events.into_iter().filter_map(|event| engine.decrypt_event(event)).flatten();
    let labels = said.flat_map(|bytes| scanner.bytes("said", &bytes)).map(|hit| hit.label);
    labels.map(|label| label.parse().unwrap()).collect()
}

/// Anna's and Bela's messages by turns, four of five of them hers.
async fn send(pair: [(&Person, ChatId); 2], canaries: &[Canary]) {
    for (n, canary) in canaries.iter().enumerate() {
        let (person, chat) = pair[usize::from(n % 5 == 4)];
        let ttl_s = if dies(n) { 60 } else { 50_000 };
        let timer = if n % 4 < 2 { after_send(ttl_s) } else { after_read(ttl_s) };
        person.engine.send_message(chat, &canary.text(), Some(timer)).await.unwrap();
    }
}

async fn all_is_read(pair: [(&Person, ChatId); 2]) {
    for (person, chat) in pair {
        let all = person.wait_for(chat, |all| all.len() == MESSAGES).await.unwrap();
        person.engine.mark_read(chat, &ids(&all).unwrap()).await.unwrap();
    }
    for (person, chat) in pair {
        use mayfly_core::view::MessageState::{Read, Seen};
        person.wait_for(chat, |all| all.iter().all(|message| matches!(message.state, Read | Seen))).await.unwrap();
        assert!(person.engine.flush(std::time::Duration::from_mins(2)).await);
    }
}

async fn half_of_it_dies(world: &World, pair: [(&Person, ChatId); 2]) {
    world.clock.advance(65_000);
    for (person, chat) in pair {
        person.wait_for(chat, |all| all.len() == MESSAGES / 2).await.unwrap();
        person.engine.vault().wipe().await.unwrap();
        person.engine.vault().settled().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_byte_of_the_relay_and_both_devices_after_the_wipe_read_nothing_that_was_delivered() {
    let (world, tap) = World::tapped().await.unwrap();
    let (anna, mut bela) = (world.person("Anna").await.unwrap(), world.person("Bela").await.unwrap());
    let (chat_a, chat_b) = world.meet(&anna, &bela).await.unwrap();
    let mut source = Canaries::new();
    let canaries: Vec<Canary> = (0..MESSAGES).map(|n| source.make(format!("{n}")).unwrap()).collect();
    let scanner = Scanner::new(&canaries).unwrap();
    let of_anna: BTreeSet<usize> = (0..MESSAGES).filter(|n| n % 5 != 4).collect();

    // Bela's device before anything was delivered: what it could read is what a relay can hold back (known-limits.md).
    bela.pause().await;
    send([(&anna, chat_a), (&bela, chat_b)], &canaries).await;
    assert!(anna.engine.flush(std::time::Duration::from_mins(2)).await);
    let undelivered = Seized::take(&bela.place);
    bela.run();
    all_is_read([(&anna, chat_a), (&bela, chat_b)]).await;
    half_of_it_dies(&world, [(&anna, chat_a), (&bela, chat_b)]).await;

    let events = tap.events();
    let thief = undelivered.open(&world).await.unwrap();
    let read = read_from_the_wire(&thief, events.values(), &scanner);
    println!("of {} events, {} messages open on a device that never got them", events.len(), read.len());
    assert_eq!(read, of_anna, "a device that never got them opens all of them, or this search sees nothing");

    for person in [&anna, &bela] {
        let seized = Seized::take(&person.place);
        let thief = seized.open(&world).await.unwrap();
        let read = read_from_the_wire(&thief, events.values(), &scanner);
        assert_eq!(read, BTreeSet::new(), "what was delivered opens again");
        let loot = Loot::take(&person.place, &person.engine.raw_key().unwrap(), true).unwrap();
        let hits = open_everything(&[&loot]).into_iter().flat_map(|body| scanner.bytes("body", &body));
        let opened: BTreeSet<usize> = hits.map(|hit| hit.label.parse().unwrap()).collect();
        assert_eq!(opened, (0..MESSAGES).filter(|n| !dies(*n)).collect(), "what lives in the vault, and nothing else");
    }
    // The same device with the share of after the wipe does not open at all.
    let after = Seized::take(&bela.place);
    let refused = undelivered.with_share_of(&after).open(&world).await.unwrap_err();
    assert!(matches!(refused, Error::Locked), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_older_version_of_a_ratchet_opens_within_a_minute_of_its_replacement() {
    sabotage::from_environment();
    let world = World::new().await.unwrap();
    let (anna, bela) = (world.person("Anna").await.unwrap(), world.person("Bela").await.unwrap());
    let (chat_a, chat_b) = world.meet(&anna, &bela).await.unwrap();
    let say = async |text: &str, count: usize| {
        anna.engine.send_message(chat_a, text, Some(after_send(50_000))).await.unwrap();
        bela.wait_for(chat_b, |all| all.len() == count).await.unwrap();
    };
    say("one", 1).await;
    bela.engine.vault().wipe().await.unwrap();
    let early = Loot::take(&bela.place, &bela.engine.raw_key().unwrap(), false).unwrap();
    let control = Loot::take(&bela.place, &bela.engine.raw_key().unwrap(), true).unwrap();
    let at_first: BTreeSet<Vec<u8>> = open_everything(&[&early, &control]).into_iter().collect();
    say("two", 2).await;
    assert!(anna.engine.flush(std::time::Duration::from_mins(2)).await);
    assert!(bela.engine.flush(std::time::Duration::from_mins(2)).await);

    // The bound that docs/vault.md names. Nobody asks for a wipe: the reaper does it.
    world.clock.advance(60_000);
    let mut left = BTreeSet::new();
    for _ in 0..600 {
        let after = Loot::take(&bela.place, &bela.engine.raw_key().unwrap(), true).unwrap();
        let now: BTreeSet<Vec<u8>> = open_everything(&[&after]).into_iter().collect();
        let with_early: BTreeSet<Vec<u8>> = open_everything(&[&early, &after]).into_iter().collect();
        assert!(!at_first.is_subset(&now), "something was replaced since, or this test sees nothing");
        left = with_early.difference(&now).cloned().collect();
        if left.is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        if std::env::var_os(sabotage::VARIABLE).is_some() {
            break;
        }
    }
    panic!("an older version of something opens: {} of them", left.len());
}
