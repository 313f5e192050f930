//! What one relay allows; every number that a client can run into stands here.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Where a relay listens, where it keeps its two files, and what it allows.
#[derive(Debug, Clone)]
pub struct RelayConfig {
    /// The address to bind; port 0 takes a free one.
    pub listen: SocketAddr,
    /// A folder of the relay's own; it is made when missing. One relay at a time may use it.
    pub data: PathBuf,
    /// Sizes, rates and spans.
    pub limits: Limits,
}

/// Sizes, rates and spans. The defaults are what `docs/relay.md` states.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest event, as JSON.
    pub event_bytes: usize,
    /// How far ahead an expiration may lie.
    pub life_s: u64,
    /// How far back `created_at` may lie: gift wraps are back-dated on purpose.
    pub past_s: u64,
    /// How far ahead `created_at` may lie: clocks differ.
    pub future_s: u64,
    /// Most tags in one event.
    pub tags: usize,
    /// Most events that one deletion may name.
    pub deletions: usize,
    /// Events, and ids named in deletions, that one connection may send in a minute, after
    /// [`Limits::events_burst`] at once.
    pub events_per_minute: u32,
    /// Events that one connection may send at once.
    pub events_burst: u32,
    /// Messages other than events in a minute, after [`Limits::queries_burst`] at once.
    pub queries_per_minute: u32,
    /// Messages other than events that one connection may send at once.
    pub queries_burst: u32,
    /// Most filters in one query.
    pub filters: usize,
    /// Most tag values in one filter.
    pub values: usize,
    /// Most subscriptions that one connection may hold.
    pub subscriptions: usize,
    /// Most events in one answer, newest first. An answer is cut only between two seconds, and
    /// its first second does not count, so that paging by `until` skips nothing.
    pub page: usize,
    /// A page also ends, at the end of a second, when it holds this much.
    pub page_bytes: usize,
    /// What may wait for a client that does not read; beyond it, the client is dropped and has to
    /// come back and ask, instead of missing events unknowingly.
    pub backlog_bytes: usize,
    /// Room for events on disk.
    pub store_bytes: u64,
    /// Most remembered deletions of events that have not come yet.
    pub tombstones: u64,
    /// Most connections at once.
    pub connections: usize,
}

const DAY_S: u64 = 24 * 60 * 60;

impl Default for Limits {
    fn default() -> Self {
        Self {
            event_bytes: 128 * 1024,
            life_s: 31 * DAY_S,
            past_s: 4 * DAY_S,
            future_s: 15 * 60,
            tags: 128,
            deletions: 100,
            events_per_minute: 6_000,
            events_burst: 3_000,
            queries_per_minute: 1_200,
            queries_burst: 300,
            filters: 16,
            values: 512,
            subscriptions: 128,
            page: 500,
            page_bytes: 8 * 1024 * 1024,
            backlog_bytes: 48 * 1024 * 1024,
            store_bytes: 1024 * 1024 * 1024,
            tombstones: 200_000,
            connections: 1_024,
        }
    }
}
