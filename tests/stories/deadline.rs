//! A message is there until the millisecond before its deadline, and nowhere a second after it.

use mayfly_core::view::{Event, MessageState, Sender};
use mayfly_tests::{
    forensics::{Canaries, Canary, Loot, open_everything},
    people::{Person, World, after_read, after_send, event, id, ids},
    sabotage,
};

/// Whether anything that still opens in a person's files, share file included, holds a canary.
fn opens(person: &Person, canary: &Canary) -> bool {
    let loot = Loot::take(&person.place, &person.engine.raw_key().unwrap(), true).unwrap();
    let opened = open_everything(&[&loot]);
    assert!(!opened.is_empty(), "the thief must be able to open what is alive");
    opened.iter().any(|body| canary.words().iter().any(|word| contains(body, word.as_bytes())))
}

fn contains(body: &[u8], word: &[u8]) -> bool {
    body.windows(word.len()).any(|window| window == word)
}

/// Milliseconds until a message's deadline, by the world's clock.
fn ms_left(person: &Person, message: &mayfly_core::view::MessageView) -> u64 {
    let left = message.expires_at.unwrap().timestamp_millis() - person.engine.vault().now().0;
    u64::try_from(left).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_send_it_lives_to_the_last_millisecond_and_then_is_gone_from_both_stores() {
    sabotage::from_environment();
    let world = World::new().await.unwrap();
    let (anna, bela) = (world.person("Anna").await.unwrap(), world.person("Bela").await.unwrap());
    let (chat_a, chat_b) = world.meet(&anna, &bela).await.unwrap();
    let canary = Canaries::new().make("after send").unwrap();
    let sent = anna.engine.send_message(chat_a, &canary.text(), Some(after_send(10))).await.unwrap();
    let received = bela.wait_for(chat_b, |all| all.len() == 1).await.unwrap().remove(0);
    assert_eq!(received.expires_at, sent.expires_at, "one instant for everybody");
    assert!(sent.expires_at.unwrap() >= sent.sent_at + chrono::TimeDelta::seconds(10), "never early");
    assert!(opens(&anna, &canary) && opens(&bela, &canary));

    let (mut told_a, mut told_b) = (anna.engine.events(), bela.engine.events());
    world.clock.advance(ms_left(&anna, &sent) - 1);
    assert_eq!(anna.messages(chat_a).unwrap()[0].text, canary.text());
    assert_eq!(bela.messages(chat_b).unwrap()[0].text, canary.text());

    world.clock.advance(1);
    assert!(anna.messages(chat_a).unwrap().is_empty(), "reads end with the second, before any wipe");
    assert!(bela.messages(chat_b).unwrap().is_empty());
    world.clock.advance(999);
    for (told, message) in [(&mut told_a, &sent.id), (&mut told_b, &received.id)] {
        let is_ours = |event: &Event| matches!(event, Event::MessagesWiped { ids, .. } if ids.contains(message));
        event(told, is_ours).await.unwrap();
    }
    assert!(!opens(&anna, &canary) && !opens(&bela, &canary), "a second after its deadline nothing opens it");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_read_the_clock_starts_at_reading_and_the_senders_copy_with_the_receipt() {
    sabotage::from_environment();
    let world = World::new().await.unwrap();
    let (anna, bela) = (world.person("Anna").await.unwrap(), world.person("Bela").await.unwrap());
    let (chat_a, chat_b) = world.meet(&anna, &bela).await.unwrap();
    let canary = Canaries::new().make("after read").unwrap();
    let sent = anna.engine.send_message(chat_a, &canary.text(), Some(after_read(10))).await.unwrap();
    let received = bela.wait_for(chat_b, |all| all.len() == 1).await.unwrap().remove(0);
    assert_eq!((sent.expires_at, received.expires_at), (None, None), "no clock runs before it was read");
    anna.wait_for(chat_a, |all| all[0].state == MessageState::Delivered).await.unwrap();

    world.clock.advance(600_000);
    assert_eq!((anna.messages(chat_a).unwrap().len(), bela.messages(chat_b).unwrap().len()), (1, 1));

    bela.engine.mark_read(chat_b, &[id(&received.id).unwrap()]).await.unwrap();
    let theirs = bela.messages(chat_b).unwrap().remove(0);
    let ours = anna.wait_for(chat_a, |all| all[0].state == MessageState::Read).await.unwrap().remove(0);
    assert!(theirs.expires_at.is_some() && ours.expires_at >= theirs.expires_at);

    let (mut told_a, mut told_b) = (anna.engine.events(), bela.engine.events());
    world.clock.advance(ms_left(&bela, &theirs) - 1);
    assert_eq!(bela.messages(chat_b).unwrap()[0].text, canary.text());
    world.clock.advance(2_001);
    event(&mut told_a, |event| matches!(event, Event::MessagesWiped { .. })).await.unwrap();
    event(&mut told_b, |event| matches!(event, Event::MessagesWiped { .. })).await.unwrap();
    assert!(!opens(&anna, &canary) && !opens(&bela, &canary));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_died_while_the_app_was_closed_is_gone_before_it_opens() {
    sabotage::from_environment();
    let world = World::new().await.unwrap();
    let (anna, mut bela) = (world.person("Anna").await.unwrap(), world.person("Bela").await.unwrap());
    let (chat_a, chat_b) = world.meet(&anna, &bela).await.unwrap();
    let mut canaries = Canaries::new();
    let (dies, lives) = (canaries.make("dies").unwrap(), canaries.make("lives").unwrap());
    anna.engine.send_message(chat_a, &dies.text(), Some(after_send(5))).await.unwrap();
    anna.engine.send_message(chat_a, &lives.text(), Some(after_send(3_600))).await.unwrap();
    bela.wait_for(chat_b, |all| all.len() == 2).await.unwrap();
    bela.close().await.unwrap();
    world.clock.advance(7_000);
    bela.open().await.unwrap();
    let left = bela.messages(chat_b).unwrap();
    assert_eq!(left.iter().map(|message| message.text.clone()).collect::<Vec<_>>(), [lives.text()]);
    assert!(!opens(&bela, &dies) && opens(&bela, &lives));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_lengthens_no_life() {
    let world = World::new().await.unwrap();
    let (anna, bela) = (world.person("Anna").await.unwrap(), world.person("Bela").await.unwrap());
    let (chat_a, _) = world.meet(&anna, &bela).await.unwrap();
    let sent = anna.engine.send_message(chat_a, "an hour back", Some(after_send(60))).await.unwrap();
    let hour_ago = anna.engine.vault().now().plus_ms(-3_600_000);
    world.clock.set_wall(hour_ago);
    assert_eq!(anna.messages(chat_a).unwrap().len(), 1);
    world.clock.advance(ms_left(&anna, &sent));
    assert!(anna.messages(chat_a).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_for_somebody_offline_arrives_later_unless_it_died_meanwhile() {
    let world = World::new().await.unwrap();
    let (anna, mut bela) = (world.person("Anna").await.unwrap(), world.person("Bela").await.unwrap());
    let (chat_a, chat_b) = world.meet(&anna, &bela).await.unwrap();
    bela.close().await.unwrap();
    for n in 0..120 {
        anna.engine.send_message(chat_a, &format!("number {n}"), Some(after_send(3_600))).await.unwrap();
    }
    anna.engine.send_message(chat_a, "too short", Some(after_send(30))).await.unwrap();
    anna.wait_for(chat_a, |all| all.iter().all(|message| message.state == MessageState::Sent)).await.unwrap();
    world.clock.advance(60_000);
    bela.open().await.unwrap();
    bela.run();
    let all = bela.wait_for(chat_b, |all| all.len() == 120).await.unwrap();
    let texts: Vec<String> = all.iter().map(|message| message.text.clone()).collect();
    let wanted: Vec<String> = (0..120).map(|n| format!("number {n}")).collect();
    assert_eq!(texts, wanted, "all of them, once, in the order they were written");
    bela.engine.mark_read(chat_b, &ids(&all).unwrap()).await.unwrap();
    anna.wait_for(chat_a, |all| all.iter().all(|message| message.state == MessageState::Read)).await.unwrap();
    assert!(all.iter().all(|message| message.sender == Sender::Them));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weaker_timer_waits_for_consent_and_a_stricter_one_does_not() {
    let world = World::new().await.unwrap();
    let (anna, bela) = (world.person("Anna").await.unwrap(), world.person("Bela").await.unwrap());
    let (chat_a, chat_b) = world.meet(&anna, &bela).await.unwrap();
    let timer_of = |person: &Person, chat| person.engine.chat(chat).unwrap().timer;
    let hour = after_read(3_600);
    anna.engine.set_timer(chat_a, hour).await.unwrap();
    mayfly_tests::people::eventually(|| Ok(timer_of(&bela, chat_b) == hour)).await.unwrap();

    let week = after_read(604_800);
    bela.engine.set_timer(chat_b, week).await.unwrap();
    assert_eq!(timer_of(&bela, chat_b), hour, "asking changes nothing");
    mayfly_tests::people::eventually(|| Ok(anna.engine.chat(chat_a)?.proposal.is_some())).await.unwrap();
    assert!(bela.engine.answer_timer(chat_b, true).await.is_err(), "nobody accepts for the other");
    anna.engine.answer_timer(chat_a, false).await.unwrap();
    mayfly_tests::people::eventually(|| Ok(bela.engine.chat(chat_b)?.proposal.is_none())).await.unwrap();
    assert_eq!((timer_of(&anna, chat_a), timer_of(&bela, chat_b)), (hour, hour));

    bela.engine.set_timer(chat_b, week).await.unwrap();
    mayfly_tests::people::eventually(|| Ok(anna.engine.chat(chat_a)?.proposal.is_some())).await.unwrap();
    anna.engine.answer_timer(chat_a, true).await.unwrap();
    mayfly_tests::people::eventually(|| Ok(timer_of(&bela, chat_b) == week)).await.unwrap();
    assert_eq!(timer_of(&anna, chat_a), week);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quick_burst_stands_in_the_order_it_was_written_with_somebody_who_is_online() {
    let world = World::new().await.unwrap();
    let (anna, bela) = (world.person("Anna").await.unwrap(), world.person("Bela").await.unwrap());
    let (chat_a, chat_b) = world.meet(&anna, &bela).await.unwrap();
    let wanted: Vec<String> = (0..200).map(|n| format!("number {n}")).collect();
    for text in &wanted {
        anna.engine.send_message(chat_a, text, None).await.unwrap();
    }
    let all = bela.wait_for(chat_b, |all| all.len() == wanted.len()).await.unwrap();
    let texts: Vec<String> = all.iter().map(|message| message.text.clone()).collect();
    assert_eq!(texts, wanted);
}
