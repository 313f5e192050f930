//! While a profile is locked its messages go on dying, and what others send meanwhile is there after the unlock.

use std::time::Duration;

use mayfly_core::{Error, Passphrase};
use mayfly_tests::{
    forensics::{Canaries, Canary, Loot, open_everything},
    people::{Person, World, after_send},
};

fn words() -> Passphrase {
    Passphrase::from("five words".to_owned())
}

/// Whether anything in a person's files, share file included, that opens with the database's key holds a canary.
fn opens(person: &Person, key: &mayfly_core::RawKey, canary: &Canary) -> bool {
    let loot = Loot::take(&person.place, key, true).unwrap();
    let opened = open_everything(&[&loot]);
    assert!(!opened.is_empty(), "the thief must be able to open what is alive");
    let holds = |body: &[u8], word: &[u8]| body.windows(word.len()).any(|window| window == word);
    opened.iter().any(|body| canary.words().iter().any(|word| holds(body, word.as_bytes())))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_profile_goes_on_wiping_and_receives_after_the_unlock() {
    let world = World::new().await.unwrap();
    let (anna, mut bela) = (world.person("Anna").await.unwrap(), world.person("Bela").await.unwrap());
    let (chat_a, chat_b) = world.meet(&anna, &bela).await.unwrap();
    assert_eq!(bela.engine.lock().await.unwrap_err().code(), "passphrase_unset");
    let canary = Canaries::new().make("locked").unwrap();
    anna.engine.send_message(chat_a, &canary.text(), Some(after_send(60))).await.unwrap();
    let received = bela.wait_for(chat_b, |all| all.len() == 1).await.unwrap().remove(0);
    let key = bela.engine.raw_key().unwrap();
    assert!(opens(&bela, &key, &canary));
    bela.engine.set_passphrase(words()).await.unwrap();

    bela.pause().await;
    let locked = bela.engine.lock().await.unwrap();
    assert!(matches!(bela.messages(chat_b), Err(error) if error.code() == "vault_is_locked"));
    anna.engine.send_message(chat_a, "meanwhile", None).await.unwrap();
    assert!(anna.engine.flush(Duration::from_mins(2)).await);

    let left = received.expires_at.unwrap().timestamp_millis() - bela.engine.vault().now().0;
    world.clock.advance(u64::try_from(left).unwrap() + 1);
    // The reaper of the locked profile wipes by itself: then the next one is far.
    let is_wiped = async {
        while bela.engine.vault().next_wipe().unwrap().unwrap().0
            < received.expires_at.unwrap().timestamp_millis() + 1_000
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(2), is_wiped).await.unwrap();
    assert!(bela.engine.is_locked());
    let wrong = locked.unlock(Passphrase::from("other words".to_owned())).await.unwrap_err();
    assert!(matches!(wrong, Error::Access(_)) && bela.engine.is_locked());

    bela.engine = locked.unlock(words()).await.unwrap();
    assert!(bela.messages(chat_b).unwrap().is_empty());
    // So that the thief can look again, who knows no passphrase here.
    bela.engine.remove_passphrase(words()).await.unwrap();
    assert!(!opens(&bela, &key, &canary));
    bela.run();
    let arrived = bela.wait_for(chat_b, |all| all.len() == 1).await.unwrap().remove(0);
    assert_eq!(arrived.text, "meanwhile");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_in_a_chat_that_burns_is_over_with_the_lock_and_the_rest_stays() {
    let world = World::new().await.unwrap();
    let (anna, mut bela) = (world.person("Anna").await.unwrap(), world.person("Bela").await.unwrap());
    let (chat_a, chat_b) = world.meet(&anna, &bela).await.unwrap();
    let mut source = Canaries::new();
    let (stays, theirs, ours) =
        (source.make("stays").unwrap(), source.make("theirs").unwrap(), source.make("ours").unwrap());
    anna.engine.send_message(chat_a, &stays.text(), Some(after_send(3_600))).await.unwrap();
    bela.wait_for(chat_b, |all| all.len() == 1).await.unwrap();
    assert!(bela.engine.set_burn_on_lock(chat_b, true).await.unwrap().burns_on_lock);
    anna.engine.send_message(chat_a, &theirs.text(), Some(after_send(3_600))).await.unwrap();
    let received = bela.wait_for(chat_b, |all| all.len() == 2).await.unwrap();
    bela.engine.mark_read(chat_b, &[received[1].id.parse().unwrap()]).await.unwrap();
    bela.engine.send_message(chat_b, &ours.text(), None).await.unwrap();
    let texts = |all: Vec<mayfly_core::view::MessageView>| all.into_iter().map(|m| m.text).collect::<Vec<_>>();
    assert_eq!(texts(bela.messages(chat_b).unwrap()), [stays.text(), theirs.text(), ours.text()]);
    anna.wait_for(chat_a, |all| all.len() == 3).await.unwrap();
    let key = bela.engine.raw_key().unwrap();
    // Not even while it lives does it open from the files; what does not burn does.
    assert_eq!([&stays, &theirs, &ours].map(|canary| opens(&bela, &key, canary)), [true, false, false]);

    bela.engine.set_passphrase(words()).await.unwrap();
    bela.pause().await;
    let locked = bela.engine.lock().await.unwrap();
    bela.engine = locked.unlock(words()).await.unwrap();
    bela.run();
    assert_eq!(texts(bela.messages(chat_b).unwrap()), [stays.text()]);
    assert_eq!(bela.engine.chat(chat_b).unwrap().unread, 1, "what stays was not read");
    assert_eq!(texts(anna.messages(chat_a).unwrap()).len(), 3, "it burns on this device alone");
    // And it goes on burning.
    anna.engine.send_message(chat_a, "once more", None).await.unwrap();
    bela.wait_for(chat_b, |all| all.len() == 2).await.unwrap();
    assert!(bela.engine.chat(chat_b).unwrap().burns_on_lock);
}
