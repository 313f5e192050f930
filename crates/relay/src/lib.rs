//! Mayfly's relay: it takes ciphertext in, hands it out, and forgets it on time.
//!
//! The session loop is `nostr-relay-builder`'s `LocalRelay`. Around it stand three things of ours:
//! the gate in front of each connection, which says no and says why; the rules, which
//! are pure; and the store, one thread that owns an `SQLite` index and one file of bodies, in which
//! an event lies at exactly one place and is overwritten there when its time is up.
//!
//! What is accepted, refused, kept and forgotten is described in `docs/relay.md`.

mod bodies;
mod bucket;
mod clock;
mod error;
mod gate;
mod hello;
mod index;
mod keeper;
mod limits;
mod page;
mod refusal;
mod relay;
mod rules;
#[cfg(feature = "sabotage")]
pub mod sabotage;
mod store;

pub use crate::clock::{Clock, ClockHand};
pub use crate::error::RelayError;
pub use crate::limits::{Limits, RelayConfig};
pub use crate::relay::Relay;
