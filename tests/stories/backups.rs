//! Yesterday's backup gives nothing back: adversary A2 of docs/vault.md on whole profiles.

use std::collections::BTreeSet;

use mayfly_core::view::MessageView;
use mayfly_tests::{
    forensics::{Canaries, Canary, Loot, Scanner, open_everything},
    people::{Person, World, after_read, after_send, ids},
    sabotage,
};

/// The labels of the canaries in anything that opens.
fn recovered(canaries: &[Canary], loots: &[&Loot]) -> BTreeSet<String> {
    let scanner = Scanner::new(canaries).unwrap();
    let bodies = open_everything(loots);
    bodies.iter().flat_map(|body| scanner.bytes("body", body)).map(|hit| hit.label).collect()
}

/// Sends messages of four sorts: each timer mode, read and unread. Those of even number die within the story.
async fn converse(
    world: &World,
    anna: &Person,
    bela: &Person,
    canaries: &[Canary],
) -> (mayfly_core::ChatId, mayfly_core::ChatId) {
    let (chat_a, chat_b) = world.meet(anna, bela).await.unwrap();
    for (n, canary) in canaries.iter().enumerate() {
        let ttl_s = if n % 2 == 0 { 60 } else { 50_000 };
        let timer = if n % 4 < 2 { after_send(ttl_s) } else { after_read(ttl_s) };
        anna.engine.send_message(chat_a, &canary.text(), Some(timer)).await.unwrap();
    }
    (chat_a, chat_b)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_from_before_the_wipe_and_all_that_came_after_it_open_nothing_that_died() {
    rob_before_and_after_the_wipe(1_000).await;
}

/// The same on a smaller profile: short enough to be told once for each sabotage.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_small_profile_opens_nothing_that_died_either() {
    sabotage::from_environment();
    rob_before_and_after_the_wipe(48).await;
}

/// Copies the reader's profile at each step, without its share file before the wipe, and opens what opens.
async fn rob_before_and_after_the_wipe(messages: usize) {
    let world = World::new().await.unwrap();
    let (anna, bela) = (world.person("Anna").await.unwrap(), world.person("Bela").await.unwrap());
    let mut source = Canaries::new();
    let canaries: Vec<Canary> = (0..messages).map(|n| source.make(format!("{n}")).unwrap()).collect();
    let (_, chat_b) = converse(&world, &anna, &bela, &canaries).await;
    let all = bela.wait_for(chat_b, |all| all.len() == messages).await.unwrap();
    let early = Loot::take(&bela.place, &bela.engine.raw_key().unwrap(), false).unwrap();

    // Half of each sort is read; of the rest those after reading have no clock yet.
    let number = |message: &MessageView| canaries.iter().position(|canary| canary.text() == message.text).unwrap();
    let read: Vec<MessageView> = all.into_iter().filter(|message| number(message) % 8 < 4).collect();
    bela.engine.mark_read(chat_b, &ids(&read).unwrap()).await.unwrap();
    let before = Loot::take(&bela.place, &bela.engine.raw_key().unwrap(), false).unwrap();
    let control = Loot::take(&bela.place, &bela.engine.raw_key().unwrap(), true).unwrap();
    let found = recovered(&canaries, &[&early, &before, &control]);
    assert_eq!(found.len(), messages, "without a wipe the thief reads everything, or this test sees nothing");

    world.clock.advance(65_000);
    let is_over = |n: usize| n.is_multiple_of(2) && (n % 4 < 2 || n % 8 < 4);
    let living = (0..messages).filter(|n| !is_over(*n)).count();
    bela.wait_for(chat_b, |all| all.len() == living).await.unwrap();
    bela.engine.vault().wipe().await.unwrap();
    bela.engine.vault().settled().await.unwrap();
    let after = Loot::take(&bela.place, &bela.engine.raw_key().unwrap(), true).unwrap();
    let found = recovered(&canaries, &[&early, &before, &after]);
    let dead_found = found.iter().filter(|label| is_over(label.parse().unwrap())).count();
    println!(
        "A2: {dead_found} of {} dead messages recovered, {} of {living} living",
        messages - living,
        found.len() - dead_found
    );
    assert_eq!(dead_found, 0, "the dead came back");
    assert_eq!(found.len(), living, "the living are all there");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_senders_backup_gives_nothing_back_either() {
    sabotage::from_environment();
    let world = World::new().await.unwrap();
    let (anna, bela) = (world.person("Anna").await.unwrap(), world.person("Bela").await.unwrap());
    let mut source = Canaries::new();
    let canaries: Vec<Canary> = (0..100).map(|n| source.make(format!("{n}")).unwrap()).collect();
    let (chat_a, chat_b) = converse(&world, &anna, &bela, &canaries).await;
    let all = bela.wait_for(chat_b, |all| all.len() == 100).await.unwrap();
    let before = Loot::take(&anna.place, &anna.engine.raw_key().unwrap(), false).unwrap();
    bela.engine.mark_read(chat_b, &ids(&all).unwrap()).await.unwrap();
    anna.wait_for(chat_a, |all| all.iter().all(|m| m.state == mayfly_core::view::MessageState::Read)).await.unwrap();
    world.clock.advance(65_000);
    anna.wait_for(chat_a, |all| all.len() == 50).await.unwrap();
    anna.engine.vault().wipe().await.unwrap();
    anna.engine.vault().settled().await.unwrap();
    let after = Loot::take(&anna.place, &anna.engine.raw_key().unwrap(), true).unwrap();
    let found = recovered(&canaries, &[&before, &after]);
    assert!(found.iter().all(|label| label.parse::<usize>().unwrap() % 2 == 1), "nothing that died");
    assert_eq!(found.len(), 50);
}
