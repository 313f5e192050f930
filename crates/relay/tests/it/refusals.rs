//! Every refusal says why.

use std::time::Duration;

use mayfly_relay::Limits;
use nostr::{Event, JsonUtil, Keys};
use serde_json::{Value, json};

use crate::people::{canary, draft, house, house_with, message};

const DAY_S: u64 = 86_400;

#[tokio::test]
async fn an_event_that_breaks_a_rule_is_refused_by_name() {
    let house = house().await;
    let clock = &house.clock;
    let now = clock.now_s();
    let cases = [
        (draft(1, clock).lives(60), "blocked: this relay does not take events of this kind"),
        (draft(22242, clock).lives(60), "blocked: this relay does not take events of this kind"),
        (draft(7420, clock).tag(&["h", "a"]), "invalid: the event needs exactly one expiration tag"),
        (message("a", clock).lives(90), "invalid: the event needs exactly one expiration tag"),
        (
            draft(7420, clock).tag(&["h", "a"]).tag(&["expiration", "soon"]),
            "invalid: the event needs exactly one expiration tag",
        ),
        (draft(7420, clock).lives(60), "invalid: the event needs exactly one h tag"),
        (message("a", clock).tag(&["h", "b"]), "invalid: the event needs exactly one h tag"),
        (message(&"a".repeat(129), clock), "invalid: the event needs exactly one h tag"),
        (draft(27420, clock), "invalid: the event needs exactly one h tag"),
        (message("a", clock).tag(&["s", "1"]).tag(&["s", "2"]), "invalid: a commit has exactly one s tag"),
        (draft(1059, clock).lives(60), "invalid: the event needs exactly one p tag with a public key"),
        (
            draft(1059, clock).lives(60).tag(&["p", "bob"]),
            "invalid: the event needs exactly one p tag with a public key",
        ),
        (
            draft(1059, clock).lives(60).tag(&["p", &canary().to_uppercase()]),
            "invalid: the event needs exactly one p tag with a public key",
        ),
        (draft(37420, clock).lives(60), "invalid: the event needs exactly one d tag"),
        (draft(7420, clock).tag(&["h", "a"]).lives(0), "invalid: the event has expired"),
        (draft(7420, clock).tag(&["h", "a"]).lives(31 * DAY_S + 60), "invalid: the expiration lies too far ahead"),
        (
            draft(7420, clock).tag(&["h", "a"]).created_at(now - 4 * DAY_S - 60).lives(5 * DAY_S),
            "invalid: created_at lies too far in the past",
        ),
        (
            draft(7420, clock).tag(&["h", "a"]).created_at(now + 960).lives(60),
            "invalid: created_at lies too far in the future",
        ),
        (draft(5, clock), "invalid: a deletion names events by e or a tags, and not too many"),
        (draft(5, clock).tag(&["e", "that one"]), "invalid: a deletion names events by e or a tags, and not too many"),
        (draft(5, clock).tag(&["a", "1:2:3"]), "invalid: a deletion names events by e or a tags, and not too many"),
        (
            (0..200).fold(message("a", clock), |event, _| event.tag(&["t", "x"])),
            "invalid: the event has more tags than this relay takes",
        ),
    ];
    let mut client = house.client().await;
    for (event, reason) in cases {
        client.refused(&event.thrown_away(), reason).await;
    }
    assert_eq!(client.messages("a").await, []);
    let edges = [
        draft(7420, clock).tag(&["h", "a"]).lives(31 * DAY_S - 60),
        draft(7420, clock).tag(&["h", "a"]).created_at(now - 4 * DAY_S + 60).lives(5 * DAY_S),
        draft(7420, clock).tag(&["h", "a"]).created_at(now + 840).lives(60),
    ];
    for event in edges {
        client.place(&event.thrown_away()).await;
    }
    house.relay.stop().await;
}

#[tokio::test]
async fn a_forged_event_is_refused_by_name() {
    let house = house().await;
    let event = message("a", &house.clock).thrown_away();
    let forged = |field: &str, value: Value| {
        let mut json: Value = serde_json::from_str(&event.as_json()).unwrap();
        json[field] = value;
        Event::from_json(json.to_string()).unwrap()
    };
    let mut client = house.client().await;
    let content = forged("content", json!("another"));
    client.refused(&content, "invalid: invalid event ID").await;
    let other = message("b", &house.clock).thrown_away();
    let signature = forged("sig", json!(other.sig.to_string()));
    client.refused(&signature, "invalid: invalid event signature").await;
    client.place(&event).await;
    house.relay.stop().await;
}

#[tokio::test]
async fn an_event_above_128_kilobytes_is_refused_and_one_just_below_is_taken() {
    let house = house().await;
    let mut client = house.client().await;
    let frame = message("a", &house.clock).content("").thrown_away().as_json().len();
    let largest = 128 * 1024 - frame;
    let fits = message("a", &house.clock).content("x".repeat(largest)).thrown_away();
    client.place(&fits).await;
    let over = message("a", &house.clock).content("x".repeat(largest + 64)).thrown_away();
    client.refused(&over, "invalid: the event is larger than this relay takes").await;
    assert_eq!(client.messages("a").await, [fits]);
    // Far above, the relay does not even read on: it says so and ends the connection.
    let huge = message("a", &house.clock).content("x".repeat(1 << 20)).thrown_away();
    client.say(&json!(["EVENT", huge])).await;
    let answer = client.hear().await.unwrap();
    assert_eq!(answer, json!(["NOTICE", "invalid: this message is larger than the relay reads"]));
    assert_eq!(client.hear().await, None);
    house.relay.stop().await;
}

#[tokio::test]
async fn who_sends_too_fast_is_told_and_others_are_not_hindered() {
    let limits = Limits {
        events_burst: 5,
        events_per_minute: 60,
        queries_burst: 5,
        queries_per_minute: 60,
        ..Limits::default()
    };
    let house = house_with(limits).await;
    let mut client = house.client().await;
    for _ in 0..5 {
        client.place(&message("a", &house.clock).thrown_away()).await;
    }
    let slow = "rate-limited: slow down";
    client.refused(&message("a", &house.clock).thrown_away(), slow).await;
    let filter = json!({"kinds": [7420], "#h": ["a"]});
    for _ in 0..5 {
        assert_eq!(client.ask(&[filter.clone()]).await.unwrap().len(), 5);
    }
    assert_eq!(client.ask(&[filter]).await, Err(slow.to_owned()));
    client.say(&json!("nonsense")).await;
    assert_eq!(client.hear().await.unwrap(), json!(["NOTICE", slow]));
    // A deletion costs what it names.
    let mut other = house.client().await;
    let many = (0..6).fold(draft(5, &house.clock), |many, _| many.tag(&["e", &canary()]));
    other.refused(&many.thrown_away(), slow).await;
    other.place(&message("b", &house.clock).thrown_away()).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    client.place(&message("a", &house.clock).thrown_away()).await;
    house.relay.stop().await;
}

#[tokio::test]
async fn a_full_relay_says_so_and_has_room_again_after_a_deletion() {
    let limits = Limits { store_bytes: 20_000, tombstones: 3, ..Limits::default() };
    let house = house_with(limits).await;
    let keys = Keys::generate();
    let large = || message("a", &house.clock).content("x".repeat(9_000)).signed(&keys);
    let mut client = house.client().await;
    let first = large();
    client.place(&first).await;
    client.place(&message("a", &house.clock).content("y".repeat(9_000)).thrown_away()).await;
    let third = message("a", &house.clock).content("z".repeat(9_000)).thrown_away();
    client.refused(&third, "blocked: this relay is full").await;
    let deletion = draft(5, &house.clock).tag(&["e", &first.id.to_hex()]).signed(&keys);
    client.place(&deletion).await;
    client.place(&third).await;
    let many = (0..4).fold(draft(5, &house.clock), |many, _| many.tag(&["e", &canary()]));
    client.refused(&many.thrown_away(), "blocked: this relay is full").await;
    house.relay.stop().await;
}

#[tokio::test]
async fn a_question_that_is_too_wide_is_refused_by_name() {
    let limits = Limits { filters: 2, values: 3, subscriptions: 2, ..Limits::default() };
    let house = house_with(limits).await;
    let mut client = house.client().await;
    let small = json!({"kinds": [7420], "#h": ["a"]});
    let large = "invalid: the query has too many filters or values";
    let routes = "invalid: a query names exact h or s values";
    let cases = [
        (json!([small, small, small]), large),
        (json!([{"kinds": [7420], "#h": ["1", "2", "3", "4"]}]), large),
        (json!([{"kinds": [7420]}]), routes),
        (json!([{"kinds": [7420], "#h": []}]), routes),
        (json!([{"kinds": [7420], "#h": ["a"], "#t": ["b"]}]), routes),
        (json!([{"kinds": [5], "#h": ["a"]}]), "invalid: a query names its kinds, and only kinds of this relay"),
        (
            json!([{"kinds": [7420], "#h": ["a"], "search": "x"}]),
            "invalid: a query may hold only kinds, tag values, since, until and limit",
        ),
        (json!([{"kinds": [37420], "#d": ["a"]}]), "invalid: key packages are asked for alone, by author and d value"),
        (
            json!([{"kinds": [37420, 7420], "#h": ["a"]}]),
            "invalid: key packages are asked for alone, by author and d value",
        ),
    ];
    for (filters, reason) in cases {
        let asked = client.ask(filters.as_array().unwrap()).await;
        assert_eq!(asked, Err(reason.to_owned()), "{filters}");
    }
    for (name, answer) in [("1", "EOSE"), ("2", "EOSE"), ("3", "CLOSED")] {
        client.say(&json!(["REQ", name, small])).await;
        assert_eq!(client.hear().await.unwrap()[0], answer);
    }
    house.relay.stop().await;
}
