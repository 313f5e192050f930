//! Words that somebody has begun to write: kept sealed, and dead in time.

use mayfly_core::view::Event;
use mayfly_tests::{
    forensics::{Canaries, Canary, Loot, open_everything},
    people::{Person, World, after_send, event, id},
};

/// Whether anything that opens in a person's files as they are now holds a canary.
fn opens(person: &Person, canary: &Canary) -> bool {
    let loot = Loot::take(&person.place, &person.engine.raw_key().unwrap(), true).unwrap();
    let opened = open_everything(&[&loot]);
    assert!(!opened.is_empty(), "the thief must be able to open what is alive");
    let holds = |body: &[u8], word: &str| body.windows(word.len()).any(|window| window == word.as_bytes());
    opened.iter().any(|body| canary.words().iter().any(|word| holds(body, word)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_outlives_a_restart_and_dies_when_a_message_of_its_chat_would() {
    let world = World::new().await.unwrap();
    let (mut anna, bela) = (world.person("Anna").await.unwrap(), world.person("Bela").await.unwrap());
    let (chat, _) = world.meet(&anna, &bela).await.unwrap();
    anna.engine.set_timer(chat, after_send(600)).await.unwrap();
    let canary = Canaries::new().make("draft").unwrap();
    anna.engine.set_draft(chat, &canary.text(), None).await.unwrap();
    anna.close().await.unwrap();
    anna.open().await.unwrap();
    anna.run();
    let draft = anna.engine.chat(chat).unwrap().draft.unwrap();
    assert_eq!((draft.text, draft.reply_to), (canary.text(), None));
    assert!(opens(&anna, &canary), "or this test sees nothing");

    let mut told = anna.engine.events();
    world.clock.advance(602_000);
    assert!(anna.engine.chat(chat).unwrap().draft.is_none());
    let wiped = event(&mut told, |event| matches!(event, Event::DraftWiped { .. })).await.unwrap();
    assert!(matches!(wiped, Event::DraftWiped { chat: named } if named == chat.to_string()));
    assert!(!opens(&anna, &canary));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_dies_with_the_message_it_answers_and_with_being_sent_or_emptied() {
    let world = World::new().await.unwrap();
    let (anna, bela) = (world.person("Anna").await.unwrap(), world.person("Bela").await.unwrap());
    let (chat_a, chat_b) = world.meet(&anna, &bela).await.unwrap();
    let mut canaries = Canaries::new();
    let (answer, sent, emptied) =
        (canaries.make("answer").unwrap(), canaries.make("sent").unwrap(), canaries.make("emptied").unwrap());
    bela.engine.send_message(chat_b, "a minute", Some(after_send(60))).await.unwrap();
    let source = anna.wait_for(chat_a, |all| all.len() == 1).await.unwrap().remove(0);
    anna.engine.set_draft(chat_a, &answer.text(), Some(id(&source.id).unwrap())).await.unwrap();
    assert_eq!(anna.engine.chat(chat_a).unwrap().draft.unwrap().reply_to, Some(source.id));
    world.clock.advance(61_000);
    assert!(anna.engine.chat(chat_a).unwrap().draft.is_none(), "it outlived what it answers");

    anna.engine.set_draft(chat_a, &emptied.text(), None).await.unwrap();
    anna.engine.set_draft(chat_a, "", None).await.unwrap();
    assert!(anna.engine.chat(chat_a).unwrap().draft.is_none());
    anna.engine.set_draft(chat_a, &sent.text(), None).await.unwrap();
    assert!(opens(&anna, &sent), "or this test sees nothing");
    anna.engine.send_message(chat_a, "something else", None).await.unwrap();
    assert!(anna.engine.chat(chat_a).unwrap().draft.is_none());
    anna.engine.vault().wipe().await.unwrap();
    anna.engine.vault().settled().await.unwrap();
    for canary in [&answer, &sent, &emptied] {
        assert!(!opens(&anna, canary), "{} came back", canary.label());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_chat_that_burns_the_draft_burns_too() {
    let world = World::new().await.unwrap();
    let (mut anna, bela) = (world.person("Anna").await.unwrap(), world.person("Bela").await.unwrap());
    let (chat, _) = world.meet(&anna, &bela).await.unwrap();
    anna.engine.set_draft(chat, "before", None).await.unwrap();
    anna.engine.set_burn_on_lock(chat, true).await.unwrap();
    anna.engine.set_draft(chat, "burns", None).await.unwrap();
    assert_eq!(anna.engine.chat(chat).unwrap().draft.unwrap().text, "burns");
    anna.close().await.unwrap();
    anna.open().await.unwrap();
    assert!(anna.engine.chat(chat).unwrap().draft.is_none());
}
