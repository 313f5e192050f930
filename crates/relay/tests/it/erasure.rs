//! What is dead is in none of the relay's raw files.

use std::time::Duration;

use mayfly_relay::Limits;
use nostr::{Event, JsonUtil};
use tokio::time::sleep;

use crate::people::{House, canary, draft, house, message, present, start};

/// Events of many sizes in an order that tears pages apart: every third one lives `short` seconds.
async fn crowd(house: &House, route: &str, short: u64) -> (Vec<Event>, Vec<Event>) {
    let (mut dying, mut living) = (Vec::new(), Vec::new());
    let mut client = house.client().await;
    for n in 0..400usize {
        let is_short = n % 3 == 0;
        let lives = if is_short { short } else { 600 };
        let padding = "p".repeat((n * 7919) % 6_000);
        let event = draft(7420, &house.clock)
            .content(format!("{}{padding}", canary()))
            // Routes as random as real ones, so that the index is torn apart too.
            .tag(&["h", if n % 2 == 0 { route } else { &*canary().leak() }])
            .lives(lives)
            .thrown_away();
        client.place(&event).await;
        if is_short { dying.push(event) } else { living.push(event) }
    }
    (dying, living)
}

fn count(raw: &[u8], needles: &[Vec<u8>]) -> usize {
    let present = present(raw, needles).into_iter();
    present.filter(|is_present| *is_present).count()
}

/// How many of these events have their content in the files.
fn found(raw: &[u8], events: &[Event]) -> usize {
    let content = |event: &Event| event.content.as_bytes()[..64].to_vec();
    count(raw, &events.iter().map(content).collect::<Vec<_>>())
}

/// Traces in the index: ids, keys and routes of events.
fn traces(raw: &[u8], events: &[Event], shared_route: &str) -> usize {
    let ids = events.iter().map(|event| event.id.as_bytes().to_vec());
    let keys = events.iter().map(|event| event.pubkey.as_bytes().to_vec());
    let routes = events.iter().filter_map(|event| {
        let route = event.tags.iter().next()?.content()?;
        (route != shared_route).then(|| route.as_bytes().to_vec())
    });
    count(raw, &ids.chain(keys).chain(routes).collect::<Vec<_>>())
}

async fn until_a_second_after(house: &House, deadline_s: u64) {
    let left_ms = (deadline_s * 1000 + 1000).saturating_sub(house.clock.now_ms());
    sleep(Duration::from_millis(left_ms)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_after_its_expiration_an_event_is_in_no_raw_file() {
    #[cfg(feature = "sabotage")]
    if std::env::var_os("MAYFLY_RELAY_KEEPS_EXPIRED").is_some() {
        mayfly_relay::sabotage::keep_expired(true);
    }
    let house = house().await;
    let route = canary();
    let (dying, living) = crowd(&house, &route, 8).await;
    // The control: while they live, the same search finds every one of them.
    let raw = house.raw();
    assert_eq!(found(&raw, &dying), dying.len());
    assert!(traces(&raw, &dying, &route) > dying.len() * 2);
    assert_eq!(found(&raw, &living), living.len());
    let last = dying.iter().map(|event| event.created_at.as_secs() + 8).max().unwrap();
    until_a_second_after(&house, last).await;
    let raw = house.raw();
    assert_eq!(found(&raw, &dying), 0, "expired content is still in the files");
    assert_eq!(found(&raw, &living), living.len());
    // Ids and routes go with the next rebuild of the index, here a moment later at most.
    sleep(Duration::from_secs(2)).await;
    let raw = house.raw();
    assert_eq!(traces(&raw, &dying, &route), 0, "expired rows left traces in the index");
    assert!(traces(&raw, &living, &route) > living.len() * 2);
    let stored = house.client().await.messages(&route).await.len();
    let expected = living.iter().filter(|event| event.as_json().contains(&route)).count();
    assert_eq!(stored, expected);
    house.relay.stop().await;
}

#[cfg(feature = "sabotage")]
#[test]
fn a_relay_that_keeps_expired_events_is_caught() {
    // In a process of its own: the switch holds for all relays of a process.
    let test = "erasure::a_second_after_its_expiration_an_event_is_in_no_raw_file";
    let run = |is_sabotaged: bool| {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", test]);
        if is_sabotaged {
            command.env("MAYFLY_RELAY_KEEPS_EXPIRED", "1");
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("running 1 test"));
        (output.status.success(), said)
    };
    assert!(run(false).0);
    let (is_blind, said) = run(true);
    assert!(!is_blind && said.contains("expired content is still in the files"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expired_while_the_relay_was_off_is_gone_before_it_serves() {
    let house = house().await;
    let route = canary();
    let (dying, living) = crowd(&house, &route, 200).await;
    let House { relay, folder, clock, hand } = house;
    relay.stop().await;
    let files = folder.path().join("relay");
    assert_eq!(found(&crate::people::raw(&files), &dying), dying.len());
    hand.advance(Duration::from_mins(5));
    let relay = start(folder.path(), &clock, Limits::default()).await;
    let raw = crate::people::raw(&files);
    assert_eq!(found(&raw, &dying) + traces(&raw, &dying, &route), 0);
    assert_eq!(found(&raw, &living), living.len());
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_everything_has_expired_the_file_of_bodies_is_empty() {
    let house = house().await;
    let (dying, living) = crowd(&house, &canary(), 60).await;
    house.hand.advance(Duration::from_hours(1));
    sleep(Duration::from_millis(1_900)).await;
    let raw = house.raw();
    assert_eq!(found(&raw, &dying) + found(&raw, &living), 0);
    let bodies = house.folder.path().join("relay/bodies.bin");
    assert_eq!(std::fs::metadata(bodies).unwrap().len(), 0);
    house.relay.stop().await;
}

#[tokio::test]
async fn an_expired_event_is_not_handed_out_even_before_it_is_swept() {
    let house = house().await;
    let route = canary();
    let mut client = house.client().await;
    let event = message(&route, &house.clock).thrown_away();
    client.place(&event).await;
    assert_eq!(client.messages(&route).await.len(), 1);
    house.hand.advance(Duration::from_secs(61));
    assert_eq!(client.messages(&route).await, []);
    client.refused(&event, "invalid: the event has expired").await;
    house.relay.stop().await;
}
