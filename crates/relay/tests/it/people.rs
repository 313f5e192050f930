//! Who takes part in the tests: a relay in a folder of its own, clients, and their events.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use mayfly_relay::{Clock, ClockHand, Limits, Relay, RelayConfig};
use nostr::{Event, EventBuilder, JsonUtil, Keys, Kind, Tag, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

const PATIENCE: Duration = Duration::from_secs(10);

/// A relay, its folder and its clock.
pub(crate) struct House {
    pub(crate) relay: Relay,
    pub(crate) folder: TempDir,
    pub(crate) clock: Clock,
    pub(crate) hand: ClockHand,
}

pub(crate) async fn house() -> House {
    house_with(Limits::default()).await
}

pub(crate) async fn house_with(limits: Limits) -> House {
    let folder = tempfile::tempdir().unwrap();
    let (clock, hand) = Clock::movable();
    let relay = start(folder.path(), &clock, limits).await;
    House { relay, folder, clock, hand }
}

pub(crate) async fn start(folder: &Path, clock: &Clock, limits: Limits) -> Relay {
    let config = RelayConfig { listen: "127.0.0.1:0".parse().unwrap(), data: folder.join("relay"), limits };
    Relay::start_as(config, clock.clone(), &[]).await.unwrap()
}

impl House {
    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.relay.url()).await
    }

    pub(crate) async fn restart(self) -> Self {
        self.relay.stop().await;
        let relay = start(self.folder.path(), &self.clock, Limits::default()).await;
        Self { relay, ..self }
    }

    /// Everything in the relay's folder, file after file.
    pub(crate) fn raw(&self) -> Vec<u8> {
        raw(&self.folder.path().join("relay"))
    }
}

pub(crate) fn raw(folder: &Path) -> Vec<u8> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files.iter().flat_map(|file| std::fs::read(file).unwrap()).collect()
}

pub(crate) fn holds(raw: &[u8], needle: &[u8]) -> bool {
    present(raw, &[needle.to_vec()])[0]
}

/// Which of the needles, of at least 8 bytes each, occur. Goes over the haystack once.
pub(crate) fn present(raw: &[u8], needles: &[Vec<u8>]) -> Vec<bool> {
    let head = |bytes: &[u8]| u64::from_le_bytes(bytes[..8].try_into().unwrap());
    let mut by_head: HashMap<u64, Vec<usize>> = HashMap::new();
    for (n, needle) in needles.iter().enumerate() {
        by_head.entry(head(needle)).or_default().push(n);
    }
    let mut present = vec![false; needles.len()];
    for (place, window) in raw.windows(8).enumerate() {
        for n in by_head.get(&head(window)).into_iter().flatten() {
            present[*n] |= raw[place..].starts_with(&needles[*n]);
        }
    }
    present
}

/// A client that shows every word of the wire.
pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<TcpStream>,
}

impl Client {
    pub(crate) async fn connect(url: &str) -> Self {
        let address = url.strip_prefix("ws://").unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        Self { socket }
    }

    pub(crate) async fn say(&mut self, message: &Value) {
        let text = Message::text(message.to_string());
        self.socket.send(text).await.unwrap();
    }

    /// The next message, or nothing when the relay has closed the connection.
    pub(crate) async fn hear(&mut self) -> Option<Value> {
        loop {
            let next = timeout(PATIENCE, self.socket.next()).await.expect("the relay is silent");
            match next {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return None,
            }
        }
    }

    /// Whether nothing comes for a moment.
    pub(crate) async fn hears_nothing(&mut self) -> bool {
        timeout(Duration::from_millis(300), self.socket.next()).await.is_err()
    }

    /// Sends an event and gives the relay's verdict.
    pub(crate) async fn publish(&mut self, event: &Event) -> (bool, String) {
        self.say(&json!(["EVENT", event])).await;
        self.verdict(event).await
    }

    pub(crate) async fn verdict(&mut self, event: &Event) -> (bool, String) {
        loop {
            let answer = self.hear().await.unwrap();
            if answer[0] == "OK" && answer[1] == json!(event.id) {
                let reason = answer[3].as_str().unwrap().to_owned();
                return (answer[2].as_bool().unwrap(), reason);
            }
        }
    }

    /// Publishes and expects success.
    pub(crate) async fn place(&mut self, event: &Event) {
        assert_eq!(self.publish(event).await, (true, String::new()));
    }

    /// Publishes and expects this refusal.
    pub(crate) async fn refused(&mut self, event: &Event, reason: &str) {
        assert_eq!(self.publish(event).await, (false, reason.to_owned()));
    }

    /// What is stored for these filters, or why the relay does not say.
    pub(crate) async fn ask(&mut self, filters: &[Value]) -> Result<Vec<Event>, String> {
        let mut query = vec![json!("REQ"), json!("asked")];
        query.extend_from_slice(filters);
        self.say(&Value::Array(query)).await;
        let mut events = Vec::new();
        loop {
            let answer = self.hear().await.unwrap();
            match answer[0].as_str().unwrap() {
                "EVENT" => events.push(Event::from_json(answer[2].to_string()).unwrap()),
                "EOSE" => return Ok(events),
                "CLOSED" => return Err(answer[2].as_str().unwrap().to_owned()),
                _ => {}
            }
        }
    }

    /// The messages stored under an `h` value.
    pub(crate) async fn messages(&mut self, route: &str) -> Vec<Event> {
        self.ask(&[json!({"kinds": [7420], "#h": [route]})]).await.unwrap()
    }

    /// Proves the key to the relay, as NIP-42 has it: asks for wraps, is given a challenge.
    pub(crate) async fn authenticate(&mut self, keys: &Keys, url: &str) -> (bool, String) {
        let filter = json!({"kinds": [1059], "#p": [keys.public_key()]});
        self.say(&json!(["REQ", "wraps", filter])).await;
        let answer = self.hear().await.unwrap();
        assert_eq!(answer[0], "AUTH");
        let closed = self.hear().await.unwrap();
        assert_eq!(closed[2], "auth-required: you must auth");
        let challenge = answer[1].as_str().unwrap();
        let tags = [tag(&["relay", url]), tag(&["challenge", challenge])];
        let event = EventBuilder::new(Kind::Authentication, "").tags(tags);
        let event = event.sign_with_keys(keys).unwrap();
        self.say(&json!(["AUTH", event])).await;
        self.verdict(&event).await
    }
}

pub(crate) fn tag(parts: &[&str]) -> Tag {
    Tag::parse(parts.iter().copied()).unwrap()
}

/// 64 hexadecimal digits that occur nowhere else.
pub(crate) fn canary() -> String {
    Keys::generate().public_key().to_hex()
}

/// An event in the making.
pub(crate) struct Draft {
    kind: u16,
    content: String,
    tags: Vec<Tag>,
    created_at: u64,
}

pub(crate) fn draft(kind: u16, clock: &Clock) -> Draft {
    Draft { kind, content: canary(), tags: Vec::new(), created_at: clock.now_s() }
}

/// A message under `route` that lives for a minute.
pub(crate) fn message(route: &str, clock: &Clock) -> Draft {
    draft(7420, clock).tag(&["h", route]).lives(60)
}

impl Draft {
    pub(crate) fn tag(mut self, parts: &[&str]) -> Self {
        self.tags.push(tag(parts));
        self
    }

    /// Adds an expiration so many seconds after `created_at`.
    pub(crate) fn lives(self, seconds: u64) -> Self {
        let expiration = (self.created_at + seconds).to_string();
        self.tag(&["expiration", &expiration])
    }

    pub(crate) fn content(mut self, content: impl Into<String>) -> Self {
        self.content = content.into();
        self
    }

    pub(crate) fn created_at(mut self, second: u64) -> Self {
        self.created_at = second;
        self
    }

    pub(crate) fn signed(self, keys: &Keys) -> Event {
        EventBuilder::new(Kind::from(self.kind), self.content)
            .tags(self.tags)
            .allow_self_tagging()
            .custom_created_at(Timestamp::from(self.created_at))
            .sign_with_keys(keys)
            .unwrap()
    }

    /// Signed by a key that nobody keeps.
    pub(crate) fn thrown_away(self) -> Event {
        self.signed(&Keys::generate())
    }
}
