//! The program `mayfly-relay`, and what it says over plain HTTP.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use mayfly_relay::Clock;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::people::{Client, canary, house, message};

fn program(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_mayfly-relay"))
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[cfg(unix)]
#[tokio::test]
async fn the_program_says_where_it_listens_serves_and_ends_cleanly_without_another_word() {
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let listen = ["--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()];
        let mut child = program(&listen);
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap();
        assert!(url.starts_with("ws://127.0.0.1:"));
        let route = canary();
        let event = message(&route, &Clock::system()).thrown_away();
        let mut client = Client::connect(url).await;
        client.place(&event).await;
        assert_eq!(client.messages(&route).await, [event]);
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        assert!(child.wait().unwrap().success());
        let mut rest = String::new();
        out.read_to_string(&mut rest).unwrap();
        child.stderr.take().unwrap().read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_still_there_after_the_program_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let arguments = ["--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()];
    let route = canary();
    let mut expected = Vec::new();
    for _ in 0..5 {
        let mut child = program(&arguments);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut client = Client::connect(line.trim().strip_prefix("listening on ").unwrap()).await;
        let mut found: Vec<_> = client.messages(&route).await.iter().map(|event| event.id).collect();
        found.sort();
        assert_eq!(found, expected);
        for _ in 0..20 {
            let event = message(&route, &Clock::system()).thrown_away();
            client.place(&event).await;
            expected.push(event.id);
        }
        expected.sort();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn the_program_refuses_an_address_that_others_can_reach_unless_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let cases = [
        (vec!["--listen", "0.0.0.0:0", "--data", data], "--public"),
        (vec!["--listen", "0.0.0.0:0", "--data", data, "--public"], "--url"),
        (vec!["--listen", "127.0.0.1:0", "--data", data, "--url", "http://x"], "relay_public_url_invalid"),
        (vec!["--listen", "127.0.0.1:0", "--data", "/dev/null/x"], "relay_data_unusable"),
    ];
    for (arguments, word) in cases {
        let output = program(&arguments).wait_with_output().unwrap();
        assert!(!output.status.success());
        assert_eq!(output.stdout, b"");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(word), "{said}");
        assert!(!said.contains(data));
    }
}

async fn http(address: std::net::SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // In two pieces, as a slow network would.
    let (first, second) = head.split_at(head.len() / 2);
    stream.write_all(first.as_bytes()).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    stream.write_all(second.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn the_information_document_says_that_commits_have_slots() {
    let house = house().await;
    let address = house.relay.address();
    let head = "GET / HTTP/1.1\r\nHost: x\r\nAccept: application/nostr+json\r\n\r\n";
    let answer = http(address, head).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(answer.contains("Content-Type: application/nostr+json\r\n"));
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let document: Value = serde_json::from_str(body).unwrap();
    assert_eq!(document["mayfly"]["slots"], true);
    assert_eq!(document["limitation"]["max_message_length"], 131_072);
    let page = http(address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(page.starts_with("HTTP/1.1 426 "));
    house.relay.stop().await;
}
