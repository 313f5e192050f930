//! Deletions: acted on, not stored, and only from who may.

use std::time::Duration;

use nostr::{Event, Keys};
use serde_json::json;
use tokio::time::sleep;

use crate::people::{House, canary, draft, holds, house, message};

const NOT_YOURS: &str = "blocked: only its own key or its addressee may delete an event";
const DELETED: &str = "blocked: this event is deleted";

fn deletion(house: &House, events: &[&Event], keys: &Keys) -> Event {
    let mut draft = draft(5, &house.clock);
    for event in events {
        draft = draft.tag(&["e", &event.id.to_hex()]).tag(&["k", &event.kind.as_u16().to_string()]);
    }
    draft.signed(keys)
}

#[tokio::test]
async fn who_holds_the_events_own_key_deletes_it_for_good_and_from_the_raw_files() {
    let house = house().await;
    let (route, keys) = (canary(), Keys::generate());
    let event = message(&route, &house.clock).signed(&keys);
    let other = message(&route, &house.clock).thrown_away();
    let mut client = house.client().await;
    client.place(&event).await;
    client.place(&other).await;
    assert!(holds(&house.raw(), event.content.as_bytes()));
    let request = deletion(&house, &[&event], &keys);
    client.place(&request).await;
    assert!(!holds(&house.raw(), event.content.as_bytes()));
    assert_eq!(client.messages(&route).await, [other]);
    client.refused(&event, DELETED).await;
    let house = house.restart().await;
    house.client().await.refused(&event, DELETED).await;
    // The request is not kept, and what is remembered goes with the event's own time.
    assert!(!holds(&house.raw(), request.content.as_bytes()));
    assert!(holds(&house.raw(), event.id.as_bytes()));
    house.hand.advance(Duration::from_secs(61));
    sleep(Duration::from_millis(1_900)).await;
    assert!(!holds(&house.raw(), event.id.as_bytes()));
    house.relay.stop().await;
}

#[tokio::test]
async fn a_stranger_deletes_nothing_not_even_together_with_what_is_his() {
    let house = house().await;
    let (route, eve) = (canary(), Keys::generate());
    let event = message(&route, &house.clock).thrown_away();
    let hers = message(&route, &house.clock).signed(&eve);
    let mut client = house.client().await;
    client.place(&event).await;
    client.place(&hers).await;
    client.refused(&deletion(&house, &[&event], &eve), NOT_YOURS).await;
    client.refused(&deletion(&house, &[&hers, &event], &eve), NOT_YOURS).await;
    assert_eq!(client.messages(&route).await.len(), 2);
    house.relay.stop().await;
}

#[tokio::test]
async fn the_addressee_deletes_a_wrap_and_nobody_else_does() {
    let house = house().await;
    let (bob, eve) = (Keys::generate(), Keys::generate());
    let bob_hex = bob.public_key().to_hex();
    let wrap = draft(1059, &house.clock).tag(&["p", &bob_hex]).lives(600).thrown_away();
    let mut client = house.client().await;
    client.place(&wrap).await;
    client.refused(&deletion(&house, &[&wrap], &eve), NOT_YOURS).await;
    assert!(holds(&house.raw(), wrap.content.as_bytes()));
    client.place(&deletion(&house, &[&wrap], &bob)).await;
    assert!(!holds(&house.raw(), wrap.content.as_bytes()));
    client.refused(&wrap, DELETED).await;
    house.relay.stop().await;
}

#[tokio::test]
async fn a_deletion_that_comes_first_keeps_its_event_out_and_a_strangers_does_not() {
    let house = house().await;
    let (route, keys, bob) = (canary(), Keys::generate(), Keys::generate());
    let event = message(&route, &house.clock).signed(&keys);
    let bob_hex = bob.public_key().to_hex();
    let wrap = draft(1059, &house.clock).tag(&["p", &bob_hex]).lives(600).thrown_away();
    let safe = message(&route, &house.clock).thrown_away();
    let mut client = house.client().await;
    client.place(&deletion(&house, &[&event, &safe], &keys)).await;
    client.place(&deletion(&house, &[&wrap], &bob)).await;
    client.refused(&event, "blocked: this event was deleted").await;
    client.refused(&wrap, "blocked: this event was deleted").await;
    client.place(&safe).await;
    house.relay.stop().await;
}

#[tokio::test]
async fn a_key_package_is_deleted_by_its_address_up_to_the_deletions_time() {
    let house = house().await;
    let (keys, eve) = (Keys::generate(), Keys::generate());
    let package = draft(37420, &house.clock).tag(&["d", "link"]).lives(600).signed(&keys);
    let mut client = house.client().await;
    client.place(&package).await;
    let address = format!("37420:{}:link", keys.public_key());
    let by = |keys: &Keys, at: u64| draft(5, &house.clock).created_at(at).tag(&["a", &address]).signed(keys);
    let now = house.clock.now_s();
    client.refused(&by(&eve, now), NOT_YOURS).await;
    client.place(&by(&keys, now - 60)).await;
    let filter = json!({"kinds": [37420], "authors": [keys.public_key()], "#d": ["link"]});
    assert_eq!(client.ask(&[filter.clone()]).await.unwrap().len(), 1);
    client.place(&by(&keys, house.clock.now_s())).await;
    assert_eq!(client.ask(&[filter]).await.unwrap(), []);
    client.refused(&package, DELETED).await;
    house.relay.stop().await;
}
