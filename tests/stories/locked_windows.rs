//! The window locks: by hand, after a while, and when the login sleeps or locks. Then nothing of the profile is in it.

use std::time::Duration;

use mayfly_tests::{
    login::Login,
    process::{Program, program},
    two_windows::{begin, close_dialog, meet, say, two},
    window::{Desk, Window},
};

const WORDS: &str = "five words";

/// Opens what has to do with security.
async fn open_security(window: &Window) {
    window.click("security-open").await.unwrap();
    window
        .until("it is there", "return !!document.querySelector('[data-testid=\"security-lock\"]')", &[])
        .await
        .unwrap();
}

async fn until_locked(window: &Window) {
    let is_locked = "return !!document.querySelector('[data-testid=\"unlock-passphrase\"]')";
    window.until("the window locks", is_locked, &[]).await.unwrap();
}

async fn unlock(window: &Window) {
    until_locked(window).await;
    window.write("unlock-passphrase", WORDS).await.unwrap();
    window.click("unlock-submit").await.unwrap();
    window.until_shows("Nobody is here yet").await.unwrap();
}

/// A window over an empty profile with a passphrase.
async fn begin_with_passphrase(desk: &Desk) -> Window {
    let window = desk.open().await.unwrap();
    window.write("first-start-name", "Anna").await.unwrap();
    window.write("first-start-passphrase", WORDS).await.unwrap();
    window.click("first-start-create").await.unwrap();
    window.until_shows("Nobody is here yet").await.unwrap();
    window
}

async fn until_delayed(login: &Login, is_delayed: bool) {
    let until = async {
        while login.is_sleep_delayed().unwrap() != is_delayed {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(2), until).await.expect("the sleep waits for the lock, and no longer");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_window_locks_before_the_machine_sleeps_and_when_the_login_locks() {
    let login = Login::start().unwrap();
    let mut desk = Desk::new(false).unwrap();
    desk.variables.extend(login.variables());
    let window = begin_with_passphrase(&desk).await;
    until_delayed(&login, true).await;

    login.say_sleep(true).unwrap();
    until_locked(&window).await;
    until_delayed(&login, false).await;
    login.say_sleep(false).unwrap();
    until_delayed(&login, true).await;
    unlock(&window).await;

    login.lock().unwrap();
    unlock(&window).await;
    login.say_locked(true).unwrap();
    until_locked(&window).await;
    login.say_locked(false).unwrap();
    unlock(&window).await;
    window.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_nobody_is_at_locks_by_itself() {
    let desk = Desk::new(false).unwrap();
    begin_with_passphrase(&desk).await.close().await.unwrap();
    let mut command = desk.home.command(program("mayfly-cli").unwrap());
    command.arg("--profile").arg(desk.home.data_dir().join("mayfly").join("profile"));
    command.args(["--passphrase-stdin", "passphrase", "lock-after", "10s"]);
    let ended = Program::run(command, &format!("{WORDS}\n"), Duration::from_mins(1)).unwrap();
    assert!(ended.status.success(), "{:?}", ended.stderr);
    let window = desk.open().await.unwrap();
    unlock(&window).await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    window.run("dispatchEvent(new PointerEvent('pointerdown', { bubbles: true }))", &[]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert!(window.shows("Nobody is here yet").await.unwrap(), "it locked while somebody was at it");
    unlock(&window).await;
    window.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_window_holds_nothing_and_shows_after_the_unlock_what_came_meanwhile() {
    let desks = [Desk::new(false).unwrap(), Desk::new(false).unwrap()];
    let [anna, bela] = two([&desks[0], &desks[1]]).await.unwrap();
    tokio::try_join!(begin(&anna, "Anna"), begin(&bela, "Bela")).unwrap();
    meet(&anna, &bela, ("Anna", "Bela")).await.unwrap();
    say(&anna, "tamarisk before the lock").await.unwrap();
    bela.until_shows("tamarisk before the lock").await.unwrap();
    open_security(&bela).await;
    bela.click("security-passphrase-set").await.unwrap();
    for field in ["security-passphrase-fresh", "security-passphrase-again"] {
        bela.write(field, WORDS).await.unwrap();
    }
    bela.click("security-passphrase-save").await.unwrap();
    bela.until("it is set", "return !document.querySelector('[data-testid=\"security-passphrase-save\"]')", &[])
        .await
        .unwrap();
    close_dialog(&bela).await.unwrap();
    bela.click("lock-button").await.unwrap();
    until_locked(&bela).await;
    for words in ["tamarisk", "Anna", "Bela"] {
        assert!(!bela.shows(words).await.unwrap(), "the locked window holds {words}");
    }
    say(&anna, "sorrel while it is locked").await.unwrap();
    bela.write("unlock-passphrase", WORDS).await.unwrap();
    bela.click("unlock-submit").await.unwrap();
    bela.until_shows("sorrel while it is locked").await.unwrap();
    tokio::try_join!(anna.close(), bela.close()).unwrap();
}
