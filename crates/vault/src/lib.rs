//! An encrypted store in which things die on time: keys first, rows later.
//!
//! Every item is sealed under a key of its own, and that key is wrapped under a leaf of a key tree which is ordered by the
//! second of death. The vault keeps only the part of the tree that is still alive. To let everything up to now die it
//! forgets the seeds on the left and seals the rest under a new root: one small step, however much dies, and no copy of
//! the old files brings anything back. `docs/vault.md` has the formats, the order of a wipe, and what it cannot do.
//!
//! The vault knows nothing of chats but that they share a key, and nothing of networks or windows.

mod access;
mod attempts;
pub mod blob;
mod cipher;
mod clock;
mod disk;
mod error;
#[cfg(feature = "forensics")]
pub mod forensics;
mod gate;
mod id;
mod item;
mod keyring;
mod keys;
mod lock;
mod locked;
mod opening;
mod panic;
mod queue;
mod reader;
mod renewal;
mod rotation;
#[cfg(feature = "sabotage")]
pub mod sabotage;
#[cfg(not(feature = "sabotage"))]
mod sabotage;
mod schema;
mod seal;
mod share;
mod sql;
mod start;
mod state;
mod tag;
mod tier;
mod time;
mod tpm;
mod tree;
mod vault;
mod wipe;
mod writer;

#[cfg(test)]
mod decoders;
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod vectors;

pub use clock::{Clock, MovableClock, Reading, SystemClock, Wait};
pub use disk::Place;
pub use error::Error;
#[cfg(feature = "forensics")]
pub use forensics::RawKey;
pub use id::{ChatId, ItemId, ParseIdError};
pub use item::{BURNING, Item, Life, NewItem};
#[cfg(feature = "forensics")]
pub use keys::Step;
pub use locked::WipingAllocator;
pub use queue::Urgency;
pub use reader::Reader;
pub use share::Passphrase;
pub use sql::Wiped;
pub use tier::Tier;
pub use time::{T0, UnixMs};
pub use vault::Vault;
pub use writer::Writer;
