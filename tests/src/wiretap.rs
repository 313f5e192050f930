//! Somebody in front of a relay who keeps every byte that it ever says, whatever is deleted there later.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
};

/// How an event begins in what a relay says (NIP-01).
const EVENT: &[u8] = b"[\"EVENT\",\"";

type Heard = Arc<Mutex<Vec<Vec<u8>>>>;

/// A way to a relay on which everything is kept.
#[derive(Debug)]
pub struct Wiretap {
    listener: Option<TcpListener>,
    address: SocketAddr,
    heard: Heard,
    task: Option<JoinHandle<()>>,
}

impl Wiretap {
    /// Takes an address; nobody is led on from it yet.
    ///
    /// # Errors
    /// Fails when there is no address to be had.
    pub async fn bind() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener: Some(listener), address, heard: Heard::default(), task: None })
    }

    /// The relay's address, as those know it who are listened to.
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Leads everybody on to the relay at this address, `ws://HOST:PORT`.
    pub fn lead_to(&mut self, relay: &str) {
        let Some(listener) = self.listener.take() else { return };
        let (relay, heard) = (relay.trim_start_matches("ws://").to_owned(), Arc::clone(&self.heard));
        self.task = Some(tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if let Ok(server) = TcpStream::connect(&relay).await {
                    tokio::spawn(pass_on(client, server, Arc::clone(&heard)));
                }
            }
        }));
    }

    /// Every event that the relay ever told anybody, by its id, in JSON.
    pub fn events(&self) -> BTreeMap<String, String> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.iter().flat_map(|stream| events_in(stream)).collect()
    }
}

impl Drop for Wiretap {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

async fn pass_on(client: TcpStream, server: TcpStream, heard: Heard) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let stream = {
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.push(Vec::new());
        heard.len() - 1
    };
    let keep = move |bytes: &[u8]| {
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stream) = heard.get_mut(stream) {
            stream.extend_from_slice(bytes);
        }
    };
    // Where one side hangs up, the other is hung up on.
    tokio::select! {
        () = copy(from_client, to_server, |_| ()) => {}
        () = copy(from_server, to_client, keep) => {}
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, keep: impl Fn(&[u8])) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let bytes = buffer.get(..count).unwrap_or_default();
        keep(bytes);
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

/// The events in what a relay said: text between the heads of frames, which are a few bytes each.
fn events_in(stream: &[u8]) -> Vec<(String, String)> {
    let starts = stream.windows(EVENT.len()).enumerate().filter(|(_, window)| *window == EVENT);
    let event = |at: usize| {
        let mut values = serde_json::Deserializer::from_slice(stream.get(at..)?).into_iter::<serde_json::Value>();
        let event = values.next()?.ok()?.get(2)?.clone();
        Some((event.get("id")?.as_str()?.to_owned(), event.to_string()))
    };
    starts.filter_map(|(at, _)| event(at)).collect()
}
