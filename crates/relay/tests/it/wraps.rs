//! Gift wraps are for their addressee alone.

use std::time::Duration;

use nostr::{Event, Filter, Keys, Kind};
use nostr_sdk::Client as SdkClient;
use serde_json::json;

use crate::people::{Client, House, canary, draft, house, message};

const NOT_YOURS: &str = "error: you cannot request another user's gift wrap";

fn wrap(house: &House, to: &Keys) -> Event {
    let to = to.public_key().to_hex();
    draft(1059, &house.clock).tag(&["p", &to]).lives(600).thrown_away()
}

#[tokio::test]
async fn the_addressee_reads_its_wraps_with_an_ordinary_nostr_client() {
    let house = house().await;
    let bob = Keys::generate();
    let sent = wrap(&house, &bob);
    house.client().await.place(&sent).await;
    let client = SdkClient::builder().signer(bob.clone()).build();
    client.automatic_authentication(true);
    client.add_relay(house.relay.url()).await.unwrap();
    client.connect().await;
    let filter = Filter::new().kind(Kind::GiftWrap).pubkey(bob.public_key());
    let found = client.fetch_events(filter, Duration::from_secs(10)).await.unwrap();
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [sent]);
    client.shutdown().await;
    house.relay.stop().await;
}

#[tokio::test]
async fn nobody_else_reads_a_wrap_by_whatever_question() {
    let house = house().await;
    let (bob, eve) = (Keys::generate(), Keys::generate());
    let (bob_hex, eve_hex) = (bob.public_key().to_hex(), eve.public_key().to_hex());
    let sent = wrap(&house, &bob);
    house.client().await.place(&sent).await;
    let mut client = house.client().await;
    assert!(client.authenticate(&eve, &house.relay.url()).await.0);
    let alone = "invalid: gift wraps are asked for alone, by one p value";
    let questions = [
        (json!([{"kinds": [1059], "#p": [bob_hex]}]), NOT_YOURS),
        (json!([{"kinds": [1059], "#p": [eve_hex, bob_hex]}]), NOT_YOURS),
        (json!([{"kinds": [1059], "#p": [eve_hex]}, {"kinds": [1059], "#p": [bob_hex]}]), NOT_YOURS),
        (json!([{"kinds": [1059]}]), alone),
        (
            json!([{"kinds": [1059], "ids": [sent.id]}]),
            "invalid: a query may hold only kinds, tag values, since, until and limit",
        ),
        (json!([{"kinds": [1059], "authors": [sent.pubkey], "#p": [eve_hex]}]), alone),
        (json!([{"kinds": [1059, 7420], "#p": [bob_hex]}]), alone),
        (json!([{"kinds": [7420, 1059], "#h": ["a"]}]), alone),
        (json!([{"kinds": [7420], "#p": [bob_hex]}]), "invalid: a query names exact h or s values"),
        (json!([{"#p": [bob_hex]}]), "invalid: a query names its kinds, and only kinds of this relay"),
        (json!([{"kinds": [], "#p": [bob_hex]}]), "invalid: a query names its kinds, and only kinds of this relay"),
        (json!([{}]), "invalid: a query names its kinds, and only kinds of this relay"),
        (json!([{"ids": [sent.id]}]), "invalid: a query names its kinds, and only kinds of this relay"),
        (json!([{"authors": [sent.pubkey]}]), "invalid: a query names its kinds, and only kinds of this relay"),
        (
            json!([{"kinds": [7420], "#h": ["a"]}, {"#p": [bob_hex]}]),
            "invalid: a query names its kinds, and only kinds of this relay",
        ),
    ];
    for (filters, reason) in questions {
        let asked = client.ask(filters.as_array().unwrap()).await;
        assert_eq!(asked, Err(reason.to_owned()), "{filters}");
    }
    // What is harmless to ask brings nothing either: now, and when another wrap comes.
    let harmless = json!([{"kinds": [7420], "#h": [bob_hex]}, {"kinds": [1059], "#p": [eve_hex]}]);
    assert_eq!(client.ask(harmless.as_array().unwrap()).await, Ok(Vec::new()));
    house.client().await.place(&wrap(&house, &bob)).await;
    assert!(client.hears_nothing().await);
    house.client().await.place(&wrap(&house, &eve)).await;
    assert_eq!(client.hear().await.unwrap()[0], "EVENT");
    house.relay.stop().await;
}

#[tokio::test]
async fn counting_and_reconciling_tell_nothing() {
    let house = house().await;
    let bob = Keys::generate();
    house.client().await.place(&wrap(&house, &bob)).await;
    let mut client = house.client().await;
    let filter = json!({"kinds": [1059], "#p": [bob.public_key()]});
    client.say(&json!(["COUNT", "n", filter])).await;
    let answer = client.hear().await.unwrap();
    assert_eq!(answer, json!(["CLOSED", "n", "blocked: this relay does not count"]));
    client.say(&json!(["NEG-OPEN", "n", filter, "6100000200"])).await;
    let answer = client.hear().await.unwrap();
    assert_eq!(answer, json!(["NEG-ERR", "n", "blocked: this relay does not reconcile"]));
    client.say(&json!(["NEG-MSG", "n", "6100000200"])).await;
    assert_eq!(client.hear().await.unwrap()[0], "NEG-ERR");
    house.relay.stop().await;
}

#[tokio::test]
async fn without_authentication_nothing_is_read() {
    let house = house().await;
    let bob = Keys::generate();
    house.client().await.place(&wrap(&house, &bob)).await;
    let mut client = house.client().await;
    let filter = json!({"kinds": [1059], "#p": [bob.public_key()]});
    let asked = client.ask(&[filter]).await;
    assert_eq!(asked, Err("auth-required: you must auth".to_owned()));
    house.client().await.place(&wrap(&house, &bob)).await;
    assert!(client.hears_nothing().await);
    house.relay.stop().await;
}

#[tokio::test]
async fn an_authentication_meant_for_another_relay_opens_nothing_here() {
    let house = house().await;
    let bob = Keys::generate();
    house.client().await.place(&wrap(&house, &bob)).await;
    let port = house.relay.address().port();
    let filter = json!({"kinds": [1059], "#p": [bob.public_key()]});
    let reason = "invalid: the authentication names another relay";
    for other in ["ws://relay.example/", "ws://127.0.0.1:1", "wss://127.0.0.1", "nonsense"] {
        let mut client = house.client().await;
        let answer = client.authenticate(&bob, other).await;
        assert_eq!(answer, (false, reason.to_owned()), "{other}");
        assert!(client.ask(&[filter.clone()]).await.is_err());
    }
    for own in [format!("ws://127.0.0.1:{port}/"), format!("ws://localhost:{port}")] {
        let mut client = house.client().await;
        assert_eq!(client.authenticate(&bob, &own).await, (true, String::new()));
        assert_eq!(client.ask(&[filter.clone()]).await.unwrap().len(), 1);
    }
    house.relay.stop().await;
}

#[tokio::test]
async fn a_challenge_of_one_connection_is_worth_nothing_on_another() {
    let house = house().await;
    let bob = Keys::generate();
    let mut first = house.client().await;
    let filter = json!({"kinds": [1059], "#p": [bob.public_key()]});
    first.say(&json!(["REQ", "wraps", filter])).await;
    let challenge = first.hear().await.unwrap()[1].as_str().unwrap().to_owned();
    let url = house.relay.url();
    let event = draft(22242, &house.clock).tag(&["relay", &url]).tag(&["challenge", &challenge]).signed(&bob);
    let mut second: Client = house.client().await;
    second.say(&json!(["AUTH", event])).await;
    assert!(!second.verdict(&event).await.0);
    assert!(second.ask(&[filter]).await.is_err());
    // An authentication is not an event to be kept.
    second.refused(&event, "blocked: this relay does not take events of this kind").await;
    let listener = message(&canary(), &house.clock).thrown_away();
    second.place(&listener).await;
    house.relay.stop().await;
}
