//! The vault from outside: its whole public face, and the attackers that it is made against.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod access;
mod adversary;
mod attempts;
mod burning;
mod home;
mod keyring;
mod life;
mod lock;
mod opening;
mod renewal;
mod sabotage;
mod tier;
mod time;
mod tpm;
mod writer;
