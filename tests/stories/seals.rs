//! Seals belong to one item, one version of it and one life: whoever has the database's key can neither move one, nor use
//! one twice, nor open one whose time is up.

use std::time::Duration;

use mayfly_core::view::{MessageKind, MessageView};
use mayfly_tests::{
    forensics::{Canaries, Loot, Scanner, open_everything},
    people::{World, after_send},
    sabotage,
};
use mayfly_vault::RawKey;
use rusqlite::{Connection, params};

/// What a row needs to be opened by itself: tag, generation, wrapped key and body.
type Seal = (i64, i64, Vec<u8>, Vec<u8>);

/// Gives each of two items the other's seal, in the database of a profile that nobody has open.
fn swap_seals(database: &std::path::Path, key: &RawKey, one: &str, two: &str) {
    let connection = Connection::open(database).unwrap();
    connection.execute_batch(&format!("PRAGMA key = \"x'{}'\";", hex::encode(key.key))).unwrap();
    let seal = |id: &str| -> Seal {
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        connection
            .query_row("SELECT tau, gen, wrap, body FROM item WHERE item_id = unhex(?1)", [id], row)
            .expect("the message has a row of its own id")
    };
    let (of_one, of_two) = (seal(one), seal(two));
    for (id, (tau, generation, wrap, body)) in [(one, of_two), (two, of_one)] {
        let change = "UPDATE item SET tau = ?2, gen = ?3, wrap = ?4, body = ?5 WHERE item_id = unhex(?1)";
        assert_eq!(connection.execute(change, params![id, tau, generation, wrap, body]).unwrap(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_swaps_two_messages_in_the_database_makes_neither_say_the_others_words() {
    sabotage::from_environment();
    let world = World::new().await.unwrap();
    let (anna, mut bela) = (world.person("Anna").await.unwrap(), world.person("Bela").await.unwrap());
    let (chat_a, chat_b) = world.meet(&anna, &bela).await.unwrap();
    for text in ["yes", "no", "left alone"] {
        anna.engine.send_message(chat_a, text, Some(after_send(3_600))).await.unwrap();
    }
    let said = bela.wait_for(chat_b, |all| all.len() == 3).await.unwrap();
    let key = bela.engine.raw_key().unwrap();
    bela.close().await.unwrap();
    swap_seals(&bela.place.dir.join("vault.db"), &key, &said[0].id, &said[1].id);
    bela.open().await.unwrap();
    let mut now = bela.messages(chat_b).unwrap();
    let all = now.len();
    now.retain(|message| message.kind != MessageKind::Damaged);
    assert_eq!(
        (all, all - now.len()),
        (3, 2),
        "the two are said to be damaged, or a message says the words of another"
    );
    let was_said = |now: &&MessageView| said.iter().any(|then| then.id == now.id && then.text == now.text);
    assert_eq!(now.iter().filter(was_said).count(), now.len(), "a message says the words of another");
    assert_eq!(now.iter().map(|message| message.text.as_str()).collect::<Vec<_>>(), ["left alone"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_replaced_opens_with_no_key_of_what_stands_in_its_place() {
    sabotage::from_environment();
    let world = World::new().await.unwrap();
    let bela = world.person("Bela").await.unwrap();
    let canary = Canaries::new().make("relay").unwrap();
    let scanner = Scanner::new([&canary]).unwrap();
    let is_in = |loots: &[&Loot]| open_everything(loots).iter().any(|body| !scanner.bytes("body", body).is_empty());
    let usual = bela.engine.profile().relays;
    bela.engine.set_relays(vec![format!("wss://{}.example", canary.words()[0])]).await.unwrap();
    let before = Loot::take(&bela.place, &bela.engine.raw_key().unwrap(), false).unwrap();
    let control = Loot::take(&bela.place, &bela.engine.raw_key().unwrap(), true).unwrap();
    assert!(is_in(&[&before, &control]), "while it stands, the address opens, or this test sees nothing");

    bela.engine.set_relays(usual).await.unwrap();
    bela.engine.vault().wipe().await.unwrap();
    bela.engine.vault().settled().await.unwrap();
    let after = Loot::take(&bela.place, &bela.engine.raw_key().unwrap(), true).unwrap();
    assert!(!open_everything(&[&after]).is_empty(), "the profile itself still opens");
    assert!(!is_in(&[&before, &after]), "the replaced address came back");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_screen_shows_any_more_does_not_open_in_the_files_either() {
    sabotage::from_environment();
    let world = World::new().await.unwrap();
    let (anna, bela) = (world.person("Anna").await.unwrap(), world.person("Bela").await.unwrap());
    let (chat_a, chat_b) = world.meet(&anna, &bela).await.unwrap();
    let canary = Canaries::new().make("message").unwrap();
    let scanner = Scanner::new([&canary]).unwrap();
    let opens = || {
        let loot = Loot::take(&bela.place, &bela.engine.raw_key().unwrap(), true).unwrap();
        open_everything(&[&loot]).iter().any(|body| !scanner.bytes("body", body).is_empty())
    };
    anna.engine.send_message(chat_a, &canary.text(), Some(after_send(10))).await.unwrap();
    bela.wait_for(chat_b, |all| all.len() == 1).await.unwrap();
    assert!(opens(), "while it lives it opens, or this test sees nothing");
    world.clock.advance(11_000);
    assert!(bela.messages(chat_b).unwrap().is_empty(), "it is on no screen");
    // The reaper has to wake first, on a machine that may be busy.
    let mut is_left = true;
    for _ in 0..30 {
        is_left = is_left && opens();
        tokio::time::sleep(Duration::from_millis(if is_left { 100 } else { 0 })).await;
    }
    assert!(!is_left, "it is hidden and not wiped");
}
