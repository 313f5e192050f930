//! Whatever bytes come, the relay goes on.

use futures_util::SinkExt;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::people::{Client, canary, house, message};

#[tokio::test]
async fn garbage_in_a_frame_is_answered_and_the_connection_goes_on() {
    let house = house().await;
    let mut client = house.client().await;
    let notice = json!(["NOTICE", "invalid: this is not a message that NIP-01 or NIP-42 knows"]);
    let deep = "[".repeat(100_000);
    for text in ["", "x", "[]", "{}", "[\"EVENT\"]", "[\"REQ\",1]", "[\"EVENT\",{}]", "\u{0}", &deep] {
        client.socket.send(Message::text(text)).await.unwrap();
        assert_eq!(client.hear().await.unwrap(), notice);
    }
    client.socket.send(Message::binary(vec![0, 1, 2])).await.unwrap();
    let answer = client.hear().await.unwrap();
    assert_eq!(answer, json!(["NOTICE", "invalid: messages are text, not binary"]));
    client.place(&message(&canary(), &house.clock).thrown_away()).await;
    house.relay.stop().await;
}

/// Text that is almost a message.
fn near_miss() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| json!(n).to_string()),
        ".{0,12}".prop_map(|s| json!(s).to_string()),
        Just(r##"{"kinds":[1059],"#p":[""]}"##.to_owned()),
        Just(r#"{"kinds":[65536],"limit":-1}"#.to_owned()),
        Just(r##"{"kinds":[7420],"#h":["a"],"until":18446744073709551615}"##.to_owned()),
        Just(r##"{"kinds":[7420],"#h":["a"],"limit":18446744073709551615}"##.to_owned()),
    ];
    let names = ["EVENT", "REQ", "CLOSE", "AUTH", "COUNT", "NEG-OPEN", "NEG-MSG", "NEG-CLOSE", "X"];
    let name = prop::sample::select(names.to_vec());
    let message =
        (name, prop::collection::vec(leaf, 0..5)).prop_map(|(name, rest)| format!("[\"{name}\",{}]", rest.join(",")));
    prop_oneof![".{0,40}", message]
}

#[test]
fn the_relay_survives_random_messages_and_random_bytes() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let house = runtime.block_on(house());
    let url = house.relay.url();
    let mut runner = TestRunner::new(Config::with_cases(60));
    let strategy = (prop::collection::vec(near_miss(), 1..20), prop::collection::vec(any::<u8>(), 1..600));
    let outcome = runner.run(&strategy, |(texts, bytes)| {
        runtime.block_on(throw(&url, &texts, &bytes));
        Ok(())
    });
    outcome.unwrap();
    let still = runtime.block_on(async {
        let event = message(&canary(), &house.clock).thrown_away();
        house.client().await.publish(&event).await
    });
    assert_eq!(still, (true, String::new()));
    runtime.block_on(house.relay.stop());
}

async fn throw(url: &str, texts: &[String], bytes: &[u8]) {
    let mut client = Client::connect(url).await;
    for text in texts {
        client.socket.send(Message::text(text.as_str())).await.unwrap();
    }
    // The relay must still answer behind all that.
    client.say(&json!(["COUNT", "last", {}])).await;
    let last = json!(["CLOSED", "last", "blocked: this relay does not count"]);
    while client.hear().await.expect("the relay hung up") != last {}
    // Bytes that are no frames, on an open websocket and on a bare connection.
    client.socket.get_mut().write_all(bytes).await.unwrap();
    drop(client);
    let mut bare = TcpStream::connect(url.strip_prefix("ws://").unwrap()).await.unwrap();
    bare.write_all(bytes).await.unwrap();
    bare.shutdown().await.unwrap();
    let mut answer = Vec::new();
    drop(bare.read_to_end(&mut answer).await);
}
