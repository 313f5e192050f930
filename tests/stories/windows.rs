//! Two people in two real windows: two processes, two homes, two screens.

use std::time::Duration;

use chrono::{DateTime, Utc};
use mayfly_core::{Clock as _, SystemClock};
use mayfly_tests::{
    process::{Home, Program, program},
    two_windows::{begin, deadline, meet, say, set_message_timer, two, until_gone},
    window::{Desk, Window},
};
use serde_json::json;

const START: Duration = Duration::from_secs(20);

/// Milliseconds from now to a moment, by the machine's clock.
fn ms_until(moment: DateTime<Utc>) -> u64 {
    u64::try_from(moment.timestamp_millis() - SystemClock.read().wall.0).unwrap_or(0)
}

/// The words are there shortly before their deadline, and a second after it in no page's source.
async fn dies_on_time(windows: [&Window; 2], words: &str) {
    let at = deadline(windows[1], words).await.unwrap().expect("its timer runs");
    tokio::time::sleep(Duration::from_millis(ms_until(at).saturating_sub(700))).await;
    for window in windows {
        assert!(window.shows(words).await.unwrap(), "it died early");
    }
    tokio::time::sleep(Duration::from_millis(ms_until(at) + 1_000)).await;
    for window in windows {
        assert!(!window.shows(words).await.unwrap(), "it is still there a second after its deadline");
    }
}

/// The whole story: invite, accept, talk in both modes, and see it die.
async fn talk(desks: [&Desk; 2]) {
    let [anna, bela] = two(desks).await.unwrap();
    tokio::try_join!(begin(&anna, "Anna"), begin(&bela, "Bela")).unwrap();
    meet(&anna, &bela, ("Anna", "Bela")).await.unwrap();

    set_message_timer(&anna, 10, "after_send").await.unwrap();
    say(&anna, "gorse lantern after sending").await.unwrap();
    bela.until_shows("gorse lantern after sending").await.unwrap();
    dies_on_time([&anna, &bela], "gorse lantern after sending").await;

    set_message_timer(&bela, 10, "after_read").await.unwrap();
    say(&bela, "heron ballast after reading").await.unwrap();
    anna.until_shows("heron ballast after reading").await.unwrap();
    // Both windows have the focus of a screen of their own: standing there for a second is reading.
    let is_read = "return [...document.querySelectorAll('[data-testid=\"message\"]')]
        .some((message) => message.innerText.includes(arguments[0]) && message.dataset.expires)";
    for window in [&anna, &bela] {
        window.until("its timer starts", is_read, &[json!("heron ballast")]).await.unwrap();
    }
    let at = deadline(&bela, "heron ballast").await.unwrap().unwrap();
    until_gone(&anna, "heron ballast", Duration::from_millis(ms_until(at) + 1_000)).await.unwrap();
    until_gone(&bela, "heron ballast", Duration::from_millis(ms_until(at) + 1_000)).await.unwrap();
    tokio::try_join!(anna.close(), bela.close()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_windows_talk_through_a_relay_of_its_own_and_the_words_die_on_time() {
    let home = Home::new().unwrap();
    let mut command = home.command(program("mayfly-relay").unwrap());
    command.args(["--listen", "127.0.0.1:0", "--data"]).arg(home.root().join("relay"));
    let relay = Program::start(command).unwrap();
    let line = relay.line(START, |line| line.starts_with("listening on ")).unwrap();
    let url = line.trim_start_matches("listening on ").to_owned();
    let mut desks = [Desk::new(false).unwrap(), Desk::new(false).unwrap()];
    for desk in &mut desks {
        desk.variables.push(("MAYFLY_RELAY".to_owned(), url.clone()));
    }
    talk([&desks[0], &desks[1]]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_windows_talk_through_the_relay_inside_one_of_them() {
    let desks = [Desk::new(false).unwrap(), Desk::new(false).unwrap()];
    talk([&desks[0], &desks[1]]).await;
}

/// Gives the focus to the window with this name, as a click on it does.
fn focus(desk: &Desk, name: &str) {
    let mut command = desk.home.command("xdotool");
    command.args(["search", "--sync", "--onlyvisible", "--name", name, "windowactivate", "--sync"]);
    desk.display.lend(&mut command);
    let ended = Program::run(command, "", START).unwrap();
    assert!(ended.status.success(), "{:?}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_read_timer_starts_while_another_window_has_the_focus() {
    let desks = [Desk::new(false).unwrap(), Desk::new(true).unwrap()];
    let [anna, bela] = two([&desks[0], &desks[1]]).await.unwrap();
    tokio::try_join!(begin(&anna, "Anna"), begin(&bela, "Bela")).unwrap();
    meet(&anna, &bela, ("Anna", "Bela")).await.unwrap();
    // Some other program, on the same screen.
    let mut other = desks[1].home.command("xev");
    desks[1].display.lend(&mut other);
    let _other = Program::start(other).unwrap();
    focus(&desks[1], "Event Tester");
    bela.until("the focus goes", "return !document.hasFocus()", &[]).await.unwrap();

    set_message_timer(&anna, 60, "after_read").await.unwrap();
    say(&anna, "quarry thimble unread").await.unwrap();
    bela.until_shows("quarry thimble unread").await.unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(deadline(&bela, "quarry thimble").await.unwrap(), None, "nobody has read it");
    assert_eq!(deadline(&anna, "quarry thimble").await.unwrap(), None);

    focus(&desks[1], "^Mayfly$");
    let is_read = "return [...document.querySelectorAll('[data-testid=\"message\"]')]
        .some((message) => message.innerText.includes('quarry thimble') && message.dataset.expires)";
    for window in [&bela, &anna] {
        window.until("its timer starts", is_read, &[]).await.unwrap();
    }
    tokio::try_join!(anna.close(), bela.close()).unwrap();
}

/// Watches the page from before its first line: whether the words ever stood in it.
const OBSERVER: &str = "window.__seen = false;
    const look = () => { window.__seen ||= document.documentElement?.outerHTML.includes('WORDS') ?? false; };
    new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true, attributes: true });";

/// Where the chat list shows a chat's newest words: left, top, width and height in pixels of the screen.
type Spot = [u32; 4];

/// Captures a spot of the screen at 30 frames a second while the app starts; the frames, one byte a pixel.
async fn film_a_start(desk: &Desk, spot: Spot, seconds: u64) -> (Window, Vec<Vec<u8>>) {
    let [left, top, width, height] = spot;
    let film = desk.home.root().join("start.gray");
    let mut command = desk.home.command("ffmpeg");
    command.args(["-nostdin", "-loglevel", "error", "-y", "-f", "x11grab", "-draw_mouse", "0", "-framerate", "30"]);
    command.args(["-video_size", &format!("{width}x{height}"), "-i"]);
    command.arg(format!("{}+{left},{top}", desk.display.name()));
    command.args(["-t", &seconds.to_string(), "-pix_fmt", "gray", "-f", "rawvideo"]).arg(&film);
    let camera = Program::start(command).unwrap();
    let window = desk.open().await.unwrap();
    let ended = camera.end(Duration::from_secs(seconds + 20)).unwrap();
    assert!(ended.status.success(), "{:?}", ended.stderr);
    let bytes = std::fs::read(&film).unwrap();
    let frames: Vec<Vec<u8>> = bytes.chunks_exact((width * height) as usize).map(<[u8]>::to_vec).collect();
    assert!(frames.len() as u64 >= seconds * 20, "the camera missed too much: {} frames", frames.len());
    (window, frames)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_was_closed_over_a_deadline_shows_nothing_of_it_at_its_start() {
    let words = "juniper saddle at start";
    let mut desks = [Desk::new(false).unwrap(), Desk::new(false).unwrap()];
    let observer = desks[1].home.root().join("observer.js");
    std::fs::write(&observer, OBSERVER.replace("WORDS", words)).unwrap();
    desks[1].variables.push(("MAYFLY_E2E_SCRIPT".to_owned(), observer.to_string_lossy().into_owned()));
    let [anna, bela] = two([&desks[0], &desks[1]]).await.unwrap();
    tokio::try_join!(begin(&anna, "Anna"), begin(&bela, "Bela")).unwrap();
    meet(&anna, &bela, ("Anna", "Bela")).await.unwrap();
    set_message_timer(&anna, 45, "after_send").await.unwrap();
    say(&anna, words).await.unwrap();
    bela.until_shows(words).await.unwrap();
    let at = deadline(&bela, words).await.unwrap().unwrap();
    let spot = bela
        .run(
            "const box = document.querySelector('[data-testid=\"chat-row\"] [data-testid=\"preview\"]').getBoundingClientRect();
             return [box.left, box.top, box.width, box.height].map((side) => Math.floor(side / 2) * 2)",
            &[],
        )
        .await
        .unwrap();
    let spot: Spot = serde_json::from_value(spot).unwrap();
    bela.close().await.unwrap();

    // The control: while it lives, both the observer and the camera see it.
    let (bela, frames) = film_a_start(&desks[1], spot, 8).await;
    bela.until_shows(words).await.unwrap();
    let seen = frames.last().unwrap().clone();
    let is_blank = |frame: &[u8]| frame.iter().all(|pixel| *pixel == frame[0]);
    assert!(!is_blank(&seen), "the spot shows no words");
    let showing = frames.iter().filter(|frame| **frame == seen).count();
    assert!(showing >= 10, "only {showing} frames show the words that live");
    assert_eq!(bela.run("return window.__seen", &[]).await.unwrap(), json!(true));
    bela.close().await.unwrap();

    tokio::time::sleep(Duration::from_millis(ms_until(at) + 200)).await;
    let (bela, frames) = film_a_start(&desks[1], spot, 8).await;
    bela.until_shows("Anna").await.unwrap();
    assert_eq!(bela.run("return window.__seen", &[]).await.unwrap(), json!(false), "the page held the dead words");
    let showing = frames.iter().filter(|frame| **frame == seen).count();
    println!("start over a deadline: {} frames, {showing} with the dead words", frames.len());
    assert_eq!(showing, 0);
    tokio::try_join!(anna.close(), bela.close()).unwrap();
}
