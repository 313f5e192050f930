//! What follows a message, between two real windows: an answer, a sign, other words, and the end for everyone.

use std::time::Duration;

use mayfly_tests::{
    two_windows::{begin, meet, say, two, until_gone},
    window::{Desk, Window},
};
use serde_json::json;

/// How long the other side may take to be reached.
const REACHED: Duration = Duration::from_secs(20);

/// Waits until an element of this test id holds the words.
async fn until_holds(window: &Window, id: &str, words: &str) {
    let holds = "return [...document.querySelectorAll(`[data-testid=\"${arguments[0]}\"]`)]
        .some((element) => element.innerText.includes(arguments[1]))";
    window.until(&format!("{id} is there"), holds, &[json!(id), json!(words)]).await.unwrap();
}

/// Opens the menu of the first message and picks from it.
async fn pick(window: &Window, id: &str) {
    window.click("message-more").await.unwrap();
    window.click(id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_a_sign_other_words_and_the_end_for_everyone_go_from_window_to_window() {
    let desks = [Desk::new(false).unwrap(), Desk::new(false).unwrap()];
    let [anna, bela] = two([&desks[0], &desks[1]]).await.unwrap();
    tokio::try_join!(begin(&anna, "Anna"), begin(&bela, "Bela")).unwrap();
    meet(&anna, &bela, ("Anna", "Bela")).await.unwrap();
    say(&anna, "quince harbour where").await.unwrap();
    bela.until_shows("quince harbour where").await.unwrap();

    pick(&bela, "menu-reply").await;
    until_holds(&bela, "about", "quince harbour").await;
    say(&bela, "at the mill").await.unwrap();
    until_holds(&anna, "quote", "quince harbour where").await;
    pick(&bela, "quick-reaction").await;
    until_holds(&anna, "reaction", "👍").await;
    if let Some(dir) = std::env::var_os("MAYFLY_PICTURES") {
        bela.click("message-more").await.unwrap();
        bela.picture(&std::path::Path::new(&dir).join("followups.png")).await.unwrap();
        bela.run("document.querySelector('dialog').dispatchEvent(new Event('cancel'))", &[]).await.unwrap();
    }

    pick(&anna, "menu-edit").await;
    anna.until("the words are in the field", "return document.querySelector('textarea').value !== ''", &[])
        .await
        .unwrap();
    say(&anna, " exactly").await.unwrap();
    until_holds(&bela, "message", "quince harbour where exactly").await;
    until_holds(&bela, "quote", "quince harbour where exactly").await;
    until_holds(&bela, "edited", "").await;

    pick(&anna, "menu-delete").await;
    anna.click("delete-for-everyone").await.unwrap();
    for window in [&anna, &bela] {
        until_gone(window, "quince harbour", REACHED).await.unwrap();
        assert!(window.shows("at the mill").await.unwrap(), "the answer lives by its own timer");
    }
    tokio::try_join!(anna.close(), bela.close()).unwrap();
}
