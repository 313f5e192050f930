//! How chats are arranged on one's own device: pinned, put away, silent, shut.

use mayfly_core::view::{Arrangement, MessageState};
use mayfly_tests::people::{World, after_send, id};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_blocked_is_not_heard_and_not_told_so() {
    let world = World::new().await.unwrap();
    let (anna, bela) = (world.person("Anna").await.unwrap(), world.person("Bela").await.unwrap());
    let (chat_a, chat_b) = world.meet(&anna, &bela).await.unwrap();
    let before = anna.engine.send_message(chat_a, "before", None).await.unwrap();
    bela.wait_for(chat_b, |all| all.len() == 1).await.unwrap();
    anna.wait_for(chat_a, |all| all[0].state == MessageState::Delivered).await.unwrap();

    let view = bela.engine.arrange(chat_b, Arrangement::Blocked(true)).await.unwrap();
    assert!(view.is_blocked);
    let refused = bela.engine.send_message(chat_b, "no", None).await;
    assert_eq!(refused.unwrap_err().code(), "chat_blocked");
    let shut_out = anna.engine.send_message(chat_a, "while blocked", None).await.unwrap();
    // What takes back is let in: once it worked, the message before it came and was let fall.
    anna.engine.delete_for_everyone(chat_a, id(&before.id).unwrap()).await.unwrap();
    bela.wait_for(chat_b, <[mayfly_core::view::MessageView]>::is_empty).await.unwrap();

    bela.engine.arrange(chat_b, Arrangement::Blocked(false)).await.unwrap();
    anna.engine.send_message(chat_a, "after", None).await.unwrap();
    let heard = bela.wait_for(chat_b, |all| !all.is_empty()).await.unwrap();
    assert_eq!(heard.iter().map(|message| message.text.as_str()).collect::<Vec<_>>(), ["after"]);
    let ours = anna.wait_for(chat_a, |all| all.iter().any(|one| one.state == MessageState::Delivered)).await.unwrap();
    let untold = ours.iter().find(|message| message.id == shut_out.id).unwrap();
    assert_eq!(untold.state, MessageState::Sent, "no receipt tells that it was let fall, or that it came");
}

#[tokio::test(flavor = "multi_thread")]
async fn pinned_chats_stand_first_and_what_was_put_away_comes_back_when_something_is_said() {
    let world = World::new().await.unwrap();
    let (anna, bela) = (world.person("Anna").await.unwrap(), world.person("Bela").await.unwrap());
    let mut chats = Vec::new();
    for name in ["Cora", "Dora"] {
        let friend = world.person(name).await.unwrap();
        let invitation = anna.engine.create_invitation().await.unwrap();
        friend.engine.accept_invitation(&invitation.link).await.unwrap();
        mayfly_tests::people::eventually(|| Ok(anna.engine.chats()?.iter().any(|chat| chat.name == name)))
            .await
            .unwrap();
        let chat = anna.engine.chats().unwrap().into_iter().find(|chat| chat.name == name).unwrap();
        chats.push((id(&chat.id).unwrap(), friend));
        world.clock.advance(1_000);
    }
    drop(bela);
    let names = || anna.engine.chats().unwrap().into_iter().map(|chat| chat.name).collect::<Vec<_>>();
    assert_eq!(names(), ["Dora", "Cora"]);
    anna.engine.arrange(chats[0].0, Arrangement::Pinned(true)).await.unwrap();
    assert_eq!(names(), ["Cora", "Dora"]);

    let is_away = |chat| anna.engine.chat(chat).unwrap().is_archived;
    for (is_silent, stays_away) in [(false, false), (true, true)] {
        let (chat, friend) = &chats[1];
        let far = chrono::DateTime::UNIX_EPOCH + chrono::TimeDelta::days(200 * 365);
        let until = if is_silent { far } else { chrono::DateTime::UNIX_EPOCH };
        let view = anna.engine.arrange(*chat, Arrangement::Muted(until)).await.unwrap();
        assert_eq!(view.muted_until.is_some(), is_silent);
        anna.engine.arrange(*chat, Arrangement::Archived(true)).await.unwrap();
        assert!(is_away(*chat));
        let count = anna.messages(*chat).unwrap().len();
        let theirs = id(&friend.engine.chats().unwrap()[0].id).unwrap();
        friend.engine.send_message(theirs, "hello", Some(after_send(3_600))).await.unwrap();
        anna.wait_for(*chat, |all| all.len() == count + 1).await.unwrap();
        assert_eq!(is_away(*chat), stays_away);
    }
}
