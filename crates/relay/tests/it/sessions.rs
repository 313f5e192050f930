//! Store and forward, live delivery, paging, restarts.

use std::time::{Duration, Instant};

use mayfly_relay::{Limits, RelayError};
use nostr::{Alphabet, Filter, Keys, Kind, SingleLetterTag};
use nostr_sdk::Client as SdkClient;
use serde_json::json;

use crate::people::{canary, draft, house, house_with, message, start};

#[tokio::test]
async fn a_message_sent_while_nobody_listens_is_handed_out_later_and_after_a_restart() {
    let house = house().await;
    let route = canary();
    let sent = message(&route, &house.clock).thrown_away();
    let other = message(&canary(), &house.clock).thrown_away();
    let mut sender = house.client().await;
    sender.place(&sent).await;
    sender.place(&other).await;
    assert_eq!(house.client().await.messages(&route).await, [sent.clone()]);
    let house = house.restart().await;
    assert_eq!(house.client().await.messages(&route).await, [sent.clone()]);
    let (is_taken, reason) = house.client().await.publish(&sent).await;
    assert!(is_taken);
    assert_eq!(reason, "duplicate: already have this event");
    house.relay.stop().await;
}

#[tokio::test]
async fn two_people_with_an_ordinary_nostr_client_reach_each_other() {
    let house = house().await;
    let route = canary();
    let (alice, bob) = (SdkClient::default(), SdkClient::default());
    for person in [&alice, &bob] {
        person.add_relay(house.relay.url()).await.unwrap();
        person.connect().await;
    }
    let sent = message(&route, &house.clock).thrown_away();
    alice.send_event(&sent).await.unwrap();
    let by_route = Filter::new().kind(Kind::from(7420u16)).custom_tag(SingleLetterTag::lowercase(Alphabet::H), route);
    let found = bob.fetch_events(by_route, Duration::from_secs(10)).await.unwrap();
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [sent]);
    alice.shutdown().await;
    bob.shutdown().await;
    house.relay.stop().await;
}

#[tokio::test]
async fn a_typing_sign_reaches_who_listens_and_is_not_stored() {
    let house = house().await;
    let route = canary();
    let mut listener = house.client().await;
    let filter = json!({"kinds": [7420, 27420], "#h": [route]});
    assert_eq!(listener.ask(&[filter.clone()]).await.unwrap(), []);
    let typing = draft(27420, &house.clock).tag(&["h", &route]).thrown_away();
    let said = message(&route, &house.clock).thrown_away();
    let mut sender = house.client().await;
    sender.place(&typing).await;
    sender.place(&said).await;
    assert_eq!(listener.hear().await.unwrap(), json!(["EVENT", "asked", typing]));
    assert_eq!(listener.hear().await.unwrap(), json!(["EVENT", "asked", said]));
    assert_eq!(sender.ask(&[filter]).await.unwrap(), [said]);
    assert!(!crate::people::holds(&house.raw(), typing.content.as_bytes()));
    house.relay.stop().await;
}

#[tokio::test]
async fn paging_by_until_brings_every_event_even_of_one_crowded_second() {
    let limits = Limits { page: 20, ..Limits::default() };
    let house = house_with(limits).await;
    let route = canary();
    let begin = house.clock.now_s() - 10;
    let mut sender = house.client().await;
    let mut expected = Vec::new();
    for n in 0..70u64 {
        // 45 events share one second, which is more than two pages.
        let second = begin + if n < 45 { 5 } else { n % 5 };
        let event = message(&route, &house.clock).created_at(second).thrown_away();
        sender.place(&event).await;
        expected.push(event.id);
    }
    let mut reader = house.client().await;
    let (mut found, mut until) = (Vec::new(), u64::MAX >> 1);
    loop {
        let filter = json!({"kinds": [7420], "#h": [route], "until": until});
        let page = reader.ask(&[filter]).await.unwrap();
        let before = found.len();
        for event in page {
            until = until.min(event.created_at.as_secs());
            if !found.contains(&event.id) {
                found.push(event.id);
            }
        }
        if found.len() == before {
            break;
        }
    }
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    let few = json!({"kinds": [7420], "#h": [route], "limit": 3});
    assert_eq!(reader.ask(&[few]).await.unwrap().len(), 3);
    house.relay.stop().await;
}

#[tokio::test]
async fn the_newest_key_package_of_a_link_stands_and_older_ones_stay_away() {
    let house = house().await;
    let keys = Keys::generate();
    let now = house.clock.now_s();
    let package = |at: u64| draft(37420, &house.clock).created_at(at).tag(&["d", "link"]).lives(300).signed(&keys);
    let (old, new) = (package(now - 9), package(now - 5));
    let someone_elses = draft(37420, &house.clock).tag(&["d", "link"]).lives(300).thrown_away();
    let mut client = house.client().await;
    client.place(&old).await;
    client.place(&someone_elses).await;
    client.place(&new).await;
    let filter = json!({"kinds": [37420], "authors": [keys.public_key()], "#d": ["link"]});
    assert_eq!(client.ask(&[filter.clone()]).await.unwrap(), [new.clone()]);
    assert!(!crate::people::holds(&house.raw(), old.content.as_bytes()));
    client.refused(&old, "blocked: this event is deleted").await;
    let older = package(now - 7);
    client.refused(&older, "duplicate: a newer event holds this address").await;
    assert_eq!(client.ask(&[filter]).await.unwrap(), [new]);
    house.relay.stop().await;
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let house = house().await;
    house.client().await.place(&message("a", &house.clock).thrown_away()).await;
    let mut seen = 0;
    for file in std::fs::read_dir(house.folder.path().join("relay")).unwrap() {
        assert_eq!(file.unwrap().metadata().unwrap().permissions().mode() & 0o077, 0);
        seen += 1;
    }
    assert_eq!(seen, 3, "index, journal and bodies");
    house.relay.stop().await;
}

#[tokio::test]
async fn two_relays_live_in_one_process_but_not_in_one_folder() {
    let (one, two) = (house().await, house().await);
    let route = canary();
    let sent = message(&route, &one.clock).thrown_away();
    one.client().await.place(&sent).await;
    assert_eq!(two.client().await.messages(&route).await, []);
    let config = mayfly_relay::RelayConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        data: one.folder.path().join("relay"),
        limits: Limits::default(),
    };
    let refused = mayfly_relay::Relay::start(config).await;
    assert!(matches!(refused, Err(RelayError::DataInUse)), "{refused:?}");
    one.relay.stop().await;
    two.relay.stop().await;
}

#[tokio::test]
async fn stopping_ends_every_connection_and_frees_port_and_folder() {
    let house = house().await;
    let address = house.relay.address();
    let mut client = house.client().await;
    let filter = json!({"kinds": [7420], "#h": ["a"]});
    client.ask(&[filter]).await.unwrap();
    house.relay.stop().await;
    assert_eq!(client.hear().await, None);
    assert!(std::net::TcpStream::connect(address).is_err());
    let again = start(house.folder.path(), &house.clock, Limits::default()).await;
    again.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_let_go_instead_of_missing_events() {
    let limits = Limits { backlog_bytes: 256 * 1024, ..Limits::default() };
    let house = house_with(limits).await;
    let route = canary();
    let mut sleeper = house.client().await;
    let filter = json!({"kinds": [7420], "#h": [route]});
    sleeper.ask(&[filter]).await.unwrap();
    let mut sender = house.client().await;
    let body = "x".repeat(16 * 1024);
    let mut sent = 0;
    for n in 0..1_600 {
        let event = message(&route, &house.clock).content(format!("{n} {body}")).thrown_away();
        sender.place(&event).await;
        sent += 1;
    }
    let mut seen = 0;
    while let Some(answer) = sleeper.hear().await {
        assert!(answer[2]["content"].as_str().unwrap().starts_with(&format!("{seen} ")));
        seen += 1;
        if seen == sent {
            break;
        }
    }
    // Either it caught up with everything in order, or the line was cut: never a silent gap.
    assert!(seen > 0 && seen < sent, "the sleeper saw {seen} of {sent}");
    house.relay.stop().await;
}

#[tokio::test]
async fn a_publish_is_acknowledged_and_handed_on_within_milliseconds() {
    let house = house().await;
    let route = canary();
    let mut listener = house.client().await;
    let filter = json!({"kinds": [7420], "#h": [route]});
    listener.ask(&[filter]).await.unwrap();
    let mut sender = house.client().await;
    let (mut acknowledged, mut shown) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        let event = message(&route, &house.clock).content("x".repeat(700)).thrown_away();
        #[allow(clippy::disallowed_methods)]
        let begun = Instant::now();
        sender.place(&event).await;
        #[allow(clippy::disallowed_methods)]
        acknowledged.push(begun.elapsed());
        listener.hear().await.unwrap();
        #[allow(clippy::disallowed_methods)]
        shown.push(begun.elapsed());
    }
    acknowledged.sort();
    shown.sort();
    println!(
        "publish, debug build: ack p50 {:?} p99 {:?}, shown p50 {:?} p99 {:?}",
        acknowledged[100], acknowledged[198], shown[100], shown[198]
    );
    // A generous bound: it only has to notice a wait that does not belong (40 ms of Nagle's).
    assert!(shown[100] < Duration::from_millis(25), "{:?}", shown[100]);
    house.relay.stop().await;
}
