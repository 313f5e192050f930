//! The first bytes of a connection: a websocket, or somebody who asks what this is (NIP-11).

use std::io;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::limits::Limits;

const HEAD_BYTES: usize = 8 * 1024;
const HEAD_TIME: Duration = Duration::from_secs(5);

/// What a connection wants.
#[derive(Debug, PartialEq, Eq)]
enum Wish {
    WebSocket,
    Information,
    /// A browser, mostly.
    Page,
}

/// Looks at a new connection without taking anything from it. Gives it back when it is to become a
/// websocket; else it has been answered and closed.
///
/// # Errors
///
/// When nothing sensible comes in time.
pub(crate) async fn greet(mut stream: TcpStream, limits: &Limits) -> io::Result<Option<TcpStream>> {
    let mut head = vec![0; HEAD_BYTES];
    let length = timeout(HEAD_TIME, peek_head(&stream, &mut head)).await??;
    let wish = wish(head.get(..length).unwrap_or_default());
    let (status, kind, body) = match wish {
        Wish::WebSocket => return Ok(Some(stream)),
        Wish::Information => ("200 OK", "application/nostr+json", information(limits).to_string()),
        Wish::Page => (
            "426 Upgrade Required",
            "text/plain; charset=utf-8",
            "This is a Mayfly relay. It is used by the app, not by a browser.\n".to_owned(),
        ),
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Access-Control-Allow-Origin: *\r\nUpgrade: websocket\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    // What was only looked at must be taken, or closing would cut the answer off.
    stream.read_exact(head.get_mut(..length).unwrap_or_default()).await?;
    timeout(HEAD_TIME, stream.write_all(answer.as_bytes())).await??;
    stream.shutdown().await?;
    Ok(None)
}

/// Waits for the whole head of an HTTP request and says how long it is.
async fn peek_head(stream: &TcpStream, head: &mut [u8]) -> io::Result<usize> {
    loop {
        let length = stream.peek(head).await?;
        let seen = head.get(..length).unwrap_or_default();
        if let Some(end) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok(end + 4);
        }
        let is_over = stream.ready(Interest::READABLE).await?.is_read_closed();
        if length == 0 || length >= HEAD_BYTES || is_over {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // Peeking at what has been seen returns at once, so the rest is waited for like this.
        sleep(Duration::from_millis(10)).await;
    }
}

fn wish(head: &[u8]) -> Wish {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let has = |name: &str, value: &str| {
        head.lines().any(|line| line.split_once(':').is_some_and(|(found, rest)| found == name && rest.contains(value)))
    };
    if has("upgrade", "websocket") {
        Wish::WebSocket
    } else if has("accept", "application/nostr+json") {
        Wish::Information
    } else {
        Wish::Page
    }
}

/// The relay information document. `mayfly.slots` tells clients that commits are serialised here.
fn information(limits: &Limits) -> Value {
    json!({
        "name": "Mayfly relay",
        "description": "Holds padded ciphertext for a bounded time, and erases it on time.",
        "software": "mayfly-relay",
        "version": env!("CARGO_PKG_VERSION"),
        "supported_nips": [1, 9, 11, 40, 42],
        "limitation": {
            "max_message_length": limits.event_bytes,
            "max_subscriptions": limits.subscriptions,
            "max_limit": limits.page,
            "default_limit": limits.page,
            "max_subid_length": 64,
            "max_event_tags": limits.tags,
            "auth_required": false,
            "restricted_writes": true,
            "created_at_lower_limit": limits.past_s,
            "created_at_upper_limit": limits.future_s
        },
        "retention": [{ "time": limits.life_s }],
        "mayfly": { "slots": true }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_connection_wants_is_read_from_its_head() {
        let upgrade = b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n";
        assert_eq!(wish(upgrade), Wish::WebSocket);
        let document = b"GET / HTTP/1.1\r\nAccept: application/nostr+json\r\n\r\n";
        assert_eq!(wish(document), Wish::Information);
        assert_eq!(wish(b"GET / HTTP/1.1\r\nAccept: text/html\r\n\r\n"), Wish::Page);
        assert_eq!(wish(b"\xff\xfe\r\n\r\n"), Wish::Page);
    }
}
