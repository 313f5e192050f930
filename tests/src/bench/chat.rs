//! Two people, one relay: from Send to the other's screen.

use std::time::Duration;

use mayfly_core::view::Event;
use mayfly_tests::people::{World, event};
use nostr::{Event as NostrEvent, EventBuilder, Filter, Keys, Kind, SingleLetterTag, Tag, TagKind, Timestamp};
use nostr_sdk::{Client, RelayPoolNotification};
use tokio::sync::broadcast;

use crate::{
    Outcome,
    figure::Figure,
    stopwatch::{Disk, Samples, Start},
};

const MESSAGES: u32 = 300;
/// The first ones warm caches and connections, and do not count.
const WARM_UP: u32 = 20;
/// How long the content of a short message's event is.
const CONTENT: usize = 1_400;
const MESSAGE_KIND: Kind = Kind::Custom(7_420);

/// Measures and hands out one figure after the other.
///
/// # Errors
/// Whatever goes wrong.
pub fn measure(print: &mut impl FnMut(&Figure)) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (shown, limits) = runtime.block_on(converse())?;
    let peer = "two fdatasyncs, and a bare event through this relay";
    for (name, share) in [("send_to_shown_p50", 0.5), ("send_to_shown_p99", 0.99)] {
        print(&Figure::paired(name, &shown, peer, &limits, share));
    }
    Ok(())
}

/// Sends message after message, each beside a bare event, and gives what both took.
async fn converse() -> Outcome<(Samples, Samples)> {
    let world = World::new().await?;
    let (anna, bela) = (world.person("Anna").await?, world.person("Bela").await?);
    let (chat, _) = world.meet(&anna, &bela).await?;
    let dir = tempfile::Builder::new().prefix("mayfly-bench-").tempdir()?;
    let disk = Disk::new(dir.path())?;
    let relay = anna.engine.profile().relays.into_iter().next().ok_or("there is no relay")?;
    let mut line = Line::new(&relay).await?;
    let mut events = bela.engine.events();
    let (mut shown, mut limits) = (Samples::default(), Samples::default());
    for round in 0..WARM_UP + MESSAGES {
        let text = format!("Message {round}, as long as most of them are.");
        let start = Start::now();
        anna.engine.send_message(chat, &text, None).await?;
        let is_it = |event: &Event| matches!(event, Event::MessageReceived { message } if message.text == text);
        event(&mut events, is_it).await?;
        let took = start.ms();
        // Receipts and deletions still go to and fro: they must not lie on the limit's way, nor on the next message's.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let limit = disk.write(2)? + line.round_trip().await?;
        if round >= WARM_UP {
            shown.add(took);
            limits.add(limit);
        }
    }
    Ok((shown, limits))
}

/// Two bare clients of a relay: one publishes, the other listens.
struct Line {
    sender: Client,
    receiver: Client,
    arrivals: broadcast::Receiver<RelayPoolNotification>,
    route: String,
}

impl Line {
    async fn new(relay: &str) -> Outcome<Self> {
        let route = "5a".repeat(32);
        let (sender, receiver) = (Client::default(), Client::default());
        for client in [&sender, &receiver] {
            client.add_relay(relay).await?;
            client.try_connect(Duration::from_secs(5)).await;
        }
        let tag = SingleLetterTag::lowercase(nostr::Alphabet::H);
        receiver.subscribe(Filter::new().kind(MESSAGE_KIND).custom_tag(tag, &route), None).await?;
        let arrivals = receiver.notifications();
        Ok(Self { sender, receiver, arrivals, route })
    }

    fn event(&self) -> Outcome<NostrEvent> {
        let now = Timestamp::from(mayfly_now_s());
        let tags = [Tag::custom(TagKind::custom("h"), [self.route.clone()]), Tag::expiration(now + 600_u64)];
        let content = "a".repeat(CONTENT);
        Ok(EventBuilder::new(MESSAGE_KIND, content)
            .tags(tags)
            .custom_created_at(now)
            .sign_with_keys(&Keys::generate())?)
    }

    /// Milliseconds from publishing an event until it has come out at the other end.
    async fn round_trip(&mut self) -> Outcome<f64> {
        let event = self.event()?;
        let start = Start::now();
        let (sent, arrived) = tokio::join!(self.sender.send_event(&event), arrival(&mut self.arrivals, &event));
        arrived?;
        let ms = start.ms();
        if sent?.success.is_empty() { Err("the relay did not take a bare event".into()) } else { Ok(ms) }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let (sender, receiver) = (self.sender.clone(), self.receiver.clone());
        tokio::spawn(async move { tokio::join!(sender.shutdown(), receiver.shutdown()) });
    }
}

async fn arrival(arrivals: &mut broadcast::Receiver<RelayPoolNotification>, awaited: &NostrEvent) -> Outcome<()> {
    let wait = async {
        loop {
            match arrivals.recv().await {
                Ok(RelayPoolNotification::Event { event, .. }) if event.id == awaited.id => return Ok(()),
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return Err("the line is closed".into()),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await?
}

fn mayfly_now_s() -> u64 {
    mayfly_relay::Clock::system().now_s()
}
