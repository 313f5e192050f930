//! One commit per slot.

use std::time::Duration;

use futures_util::future::join_all;
use nostr::{Event, Keys};
use serde_json::json;

use crate::people::{House, canary, draft, house, message};

const TAKEN: &str = "blocked: another commit holds this slot";

fn commit(house: &House, route: &str, slot: &str) -> Event {
    message(route, &house.clock).tag(&["s", slot]).thrown_away()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_commits_sent_at_once_to_one_slot_exactly_one_is_taken_and_found() {
    let house = house().await;
    let (route, slot) = (canary(), canary());
    let race = (0..12).map(|_| async {
        let event = commit(&house, &route, &slot);
        let verdict = house.client().await.publish(&event).await;
        (event, verdict)
    });
    let outcome = join_all(race).await;
    let winners: Vec<_> = outcome.iter().filter(|(_, (is_taken, _))| *is_taken).collect();
    assert_eq!(winners.len(), 1);
    for (event, (is_taken, reason)) in &outcome {
        assert!(*is_taken || reason == TAKEN, "{reason}");
        assert_eq!(*is_taken, event.id == winners[0].0.id);
    }
    let by_slot = json!({"kinds": [7420], "#s": [slot, canary()]});
    let found = house.client().await.ask(&[by_slot]).await.unwrap();
    assert_eq!(found, [winners[0].0.clone()]);
    let other = commit(&house, &route, &canary());
    house.client().await.place(&other).await;
    house.relay.stop().await;
}

#[tokio::test]
async fn a_slot_is_held_across_a_restart_and_free_when_its_commit_has_expired() {
    let house = house().await;
    let (route, slot) = (canary(), canary());
    let first = commit(&house, &route, &slot);
    house.client().await.place(&first).await;
    let house = house.restart().await;
    house.client().await.refused(&commit(&house, &route, &slot), TAKEN).await;
    house.hand.advance(Duration::from_secs(61));
    // At once, without waiting for the sweep.
    house.client().await.place(&commit(&house, &route, &slot)).await;
    house.relay.stop().await;
}

#[tokio::test]
async fn a_commit_cannot_be_deleted_neither_before_nor_after_it_comes() {
    let house = house().await;
    let (route, slot) = (canary(), canary());
    let keys = Keys::generate();
    let event = message(&route, &house.clock).tag(&["s", &slot]).signed(&keys);
    let deletion = draft(5, &house.clock).tag(&["e", &event.id.to_hex()]).signed(&keys);
    let mut client = house.client().await;
    client.place(&deletion).await;
    client.place(&event).await;
    client.refused(&deletion, "blocked: a commit stays until it expires").await;
    client.refused(&commit(&house, &route, &slot), TAKEN).await;
    assert_eq!(client.messages(&route).await, [event]);
    house.relay.stop().await;
}
