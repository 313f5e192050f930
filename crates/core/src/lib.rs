//! The core of Mayfly: chats, messages, timers, MLS, inbox and outbox.
//!
//! It knows no window and no text of the UI. A shell opens an [`Engine`], lets it [run](Engine::run) and listens to its
//! [events](Engine::events); the one path of a message is drawn in ARCHITECTURE.md.

mod access;
mod arrangement;
pub mod audit;
mod chat;
mod connection;
mod contact;
mod contract;
mod draft;
mod engine;
mod error;
mod event;
pub mod expiry;
mod followup;
#[cfg(feature = "forensics")]
mod forensics;
pub mod frame;
pub mod hardening;
mod inbox;
mod invitation;
mod lock;
mod message;
mod mls;
mod outbox;
pub mod payload;
mod place;
mod profile;
mod reaper;
mod receipt;
#[cfg(feature = "sabotage")]
pub mod sabotage;
#[cfg(not(feature = "sabotage"))]
mod sabotage;
mod store;
mod timer;
pub mod view;

pub use engine::{Engine, NewProfile, Running};
pub use error::Error;
pub use invitation::Link;
pub use lock::LockedProfile;
#[cfg(feature = "forensics")]
pub use mayfly_vault::RawKey;
pub use mayfly_vault::{ChatId, Clock, ItemId, MovableClock, Passphrase, SystemClock, UnixMs, WipingAllocator};
pub use place::ProfilePlace;
