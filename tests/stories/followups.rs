//! What follows a message: answers, signs, other words, deletion for everyone. None of it outlives the message.

use mayfly_core::{
    ItemId,
    view::{Event, MessageView},
};
use mayfly_tests::{
    forensics::{Canaries, Canary, Loot, open_everything},
    people::{Person, World, after_read, after_send, event, id},
};

/// Whether anything that opens in a person's files as they are now holds a canary.
fn opens(person: &Person, canary: &Canary) -> bool {
    let loot = Loot::take(&person.place, &person.engine.raw_key().unwrap(), true).unwrap();
    let opened = open_everything(&[&loot]);
    assert!(!opened.is_empty(), "the thief must be able to open what is alive");
    let holds = |body: &[u8], word: &str| body.windows(word.len()).any(|window| window == word.as_bytes());
    opened.iter().any(|body| canary.words().iter().any(|word| holds(body, word)))
}

fn item(message: &MessageView) -> ItemId {
    id(&message.id).unwrap()
}

fn signs(message: &MessageView) -> Vec<(String, u32, bool)> {
    message.reactions.iter().map(|sign| (sign.emoji.clone(), sign.count, sign.is_mine)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_shows_what_it_answers_for_as_long_as_that_lives() {
    let world = World::new().await.unwrap();
    let (anna, bela) = (world.person("Anna").await.unwrap(), world.person("Bela").await.unwrap());
    let (chat_a, chat_b) = world.meet(&anna, &bela).await.unwrap();
    let canary = Canaries::new().make("source").unwrap();
    anna.engine.send_message(chat_a, &canary.text(), Some(after_send(30))).await.unwrap();
    let source = bela.wait_for(chat_b, |all| all.len() == 1).await.unwrap().remove(0);
    let answer = bela.engine.reply(chat_b, item(&source), "I see", Some(after_send(3_600))).await.unwrap();
    assert_eq!(answer.quote.as_ref().map(|quote| quote.text.clone()), Some(canary.text()));
    let all = anna.wait_for(chat_a, |all| all.len() == 2).await.unwrap();
    let quote = all[1].quote.as_ref().unwrap();
    assert_eq!((&quote.id, quote.text.as_str()), (&all[0].id, canary.text().as_str()));
    assert!(opens(&anna, &canary) && opens(&bela, &canary));

    let (mut told_a, mut told_b) = (anna.engine.events(), bela.engine.events());
    world.clock.advance(31_000);
    event(&mut told_a, |event| matches!(event, Event::MessagesWiped { .. })).await.unwrap();
    event(&mut told_b, |event| matches!(event, Event::MessagesWiped { .. })).await.unwrap();
    for (person, chat) in [(&anna, chat_a), (&bela, chat_b)] {
        let left = person.messages(chat).unwrap();
        assert_eq!(left.len(), 1, "the answer lives by its own timer");
        assert!(left[0].quote.is_none() && left[0].text == "I see");
        assert!(!opens(person, &canary), "the answer kept a copy of what it answered");
    }
    let gone = bela.engine.reply(chat_b, item(&source), "too late", None).await;
    assert_eq!(gone.unwrap_err().code(), "message_missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_person_has_one_sign_under_a_message_and_it_dies_with_it() {
    let world = World::new().await.unwrap();
    let (anna, bela) = (world.person("Anna").await.unwrap(), world.person("Bela").await.unwrap());
    let (chat_a, chat_b) = world.meet(&anna, &bela).await.unwrap();
    let sent = anna.engine.send_message(chat_a, "lunch?", Some(after_send(60))).await.unwrap();
    let received = bela.wait_for(chat_b, |all| all.len() == 1).await.unwrap().remove(0);
    let mine = bela.engine.react(chat_b, item(&received), "👍").await.unwrap();
    assert_eq!(signs(&mine), [("👍".to_owned(), 1, true)]);
    anna.wait_for(chat_a, |all| signs(&all[0]) == [("👍".to_owned(), 1, false)]).await.unwrap();
    anna.engine.react(chat_a, item(&sent), "👍").await.unwrap();
    bela.wait_for(chat_b, |all| signs(&all[0]) == [("👍".to_owned(), 2, true)]).await.unwrap();
    // A second one takes the place of the first, an empty one takes it away.
    bela.engine.react(chat_b, item(&received), "🎉").await.unwrap();
    let both = [("👍".to_owned(), 1, true), ("🎉".to_owned(), 1, false)];
    anna.wait_for(chat_a, |all| signs(&all[0]) == both).await.unwrap();
    bela.engine.react(chat_b, item(&received), "").await.unwrap();
    let all = anna.wait_for(chat_a, |all| all[0].reactions.len() == 1).await.unwrap();
    assert_eq!(all[0].expires_at, sent.expires_at, "a sign moves no deadline");
    assert_eq!(bela.engine.react(chat_b, item(&received), "words").await.unwrap_err().code(), "reaction_invalid");

    // A message that was read keeps its signs, and they hang from its deadline.
    bela.engine.mark_read(chat_b, &[item(&received)]).await.unwrap();
    assert_eq!(bela.messages(chat_b).unwrap()[0].reactions.len(), 1);
    world.clock.advance(61_000);
    assert!(anna.messages(chat_a).unwrap().is_empty() && bela.messages(chat_b).unwrap().is_empty());
    assert_eq!(bela.engine.react(chat_b, item(&received), "👍").await.unwrap_err().code(), "message_missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_words_replace_the_first_on_both_sides_and_move_no_deadline() {
    let world = World::new().await.unwrap();
    let (anna, bela) = (world.person("Anna").await.unwrap(), world.person("Bela").await.unwrap());
    let (chat_a, chat_b) = world.meet(&anna, &bela).await.unwrap();
    let canary = Canaries::new().make("first words").unwrap();
    let sent = anna.engine.send_message(chat_a, &canary.text(), Some(after_send(90_000))).await.unwrap();
    bela.wait_for(chat_b, |all| all.len() == 1).await.unwrap();
    assert!(opens(&anna, &canary) && opens(&bela, &canary), "or this test sees nothing");
    world.clock.advance(5_000);
    let edited = anna.engine.edit_message(chat_a, item(&sent), "better words").await.unwrap();
    assert!(edited.is_edited && edited.expires_at == sent.expires_at && edited.sent_at == sent.sent_at);
    let theirs = bela.wait_for(chat_b, |all| all[0].text == "better words").await.unwrap().remove(0);
    assert!(theirs.is_edited && theirs.expires_at == sent.expires_at);
    for person in [&anna, &bela] {
        person.engine.vault().wipe().await.unwrap();
        person.engine.vault().settled().await.unwrap();
        assert!(!opens(person, &canary), "the first words still open");
    }

    // Words of others, empty ones, and those of yesterday stay as they are.
    let refused = bela.engine.edit_message(chat_b, item(&theirs), "not mine").await;
    assert_eq!(refused.unwrap_err().code(), "message_not_own");
    let refused = anna.engine.edit_message(chat_a, item(&sent), "  ").await;
    assert_eq!(refused.unwrap_err().code(), "message_empty");
    world.clock.advance(86_400_000);
    let refused = anna.engine.edit_message(chat_a, item(&sent), "too late").await;
    assert_eq!(refused.unwrap_err().code(), "edit_too_late");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_for_everyone_opens_nowhere_even_if_the_deletion_comes_first() {
    let world = World::new().await.unwrap();
    let (anna, mut bela) = (world.person("Anna").await.unwrap(), world.person("Bela").await.unwrap());
    let (chat_a, chat_b) = world.meet(&anna, &bela).await.unwrap();
    let mut canaries = Canaries::new();
    let (first, second) = (canaries.make("fetched").unwrap(), canaries.make("not fetched").unwrap());
    let sent = anna.engine.send_message(chat_a, &first.text(), Some(after_read(3_600))).await.unwrap();
    let theirs = bela.wait_for(chat_b, |all| all.len() == 1).await.unwrap().remove(0);
    assert!(opens(&anna, &first) && opens(&bela, &first), "or this test sees nothing");
    let refused = bela.engine.delete_for_everyone(chat_b, item(&theirs)).await;
    assert_eq!(refused.unwrap_err().code(), "message_not_own");
    anna.engine.delete_for_everyone(chat_a, item(&sent)).await.unwrap();
    bela.wait_for(chat_b, <[MessageView]>::is_empty).await.unwrap();

    // Bela is away: the deletion waits for her beside the message.
    bela.close().await.unwrap();
    let sent = anna.engine.send_message(chat_a, &second.text(), None).await.unwrap();
    anna.engine.delete_for_everyone(chat_a, item(&sent)).await.unwrap();
    anna.engine.send_message(chat_a, "the last word", None).await.unwrap();
    bela.open().await.unwrap();
    bela.run();
    let left = bela.wait_for(chat_b, |all| all.iter().any(|message| message.text == "the last word")).await.unwrap();
    assert_eq!(left.len(), 1);
    for person in [&anna, &bela] {
        person.engine.vault().wipe().await.unwrap();
        person.engine.vault().settled().await.unwrap();
        assert!(!opens(person, &first) && !opens(person, &second));
    }
}
