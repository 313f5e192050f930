//! The attacker's eyes: finds what is left of a message in files, database pages and file names.
//!
//! A search goes in three steps, and none of them asks the code under test:
//!
//! 1. [`Canaries`] hands out texts that occur nowhere else in the world; a story sends them.
//! 2. [`PageCipher`] decrypts every page of a `SQLCipher` database and every frame of its write-ahead
//!    log, whether or not the database itself still reaches them.
//! 3. [`Scanner`] looks for the canaries in all of it, in the encodings software is known to leave
//!    behind.
//!
//! A search that has never found anything proves nothing: [`leak`] plants one leak per place, and
//! each story shows first that its search sees it.

mod canary;
mod carve;
mod inflate;
pub mod leak;
mod loot;
mod memory;
mod scan;
mod sqlcipher;

pub use canary::{Canaries, Canary};
pub use carve::{Carved, Hoard, Opened};
pub use loot::{Loot, open_everything};
pub use memory::{Memories, MemorySearch, family};
pub use scan::{Encoding, Hit, Place, Report, Scanner};
pub use sqlcipher::{PAGE_BYTES, Page, PageCensus, PageCipher, PageKind, USABLE_BYTES, read_pages};
