//! The relay from outside: over real websockets, and with its raw files under the lens.

#![allow(
    clippy::cloned_ref_to_slice_refs, // a list of one, to be read like a list of many
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod deletions;
mod erasure;
mod garbage;
mod people;
mod program;
mod refusals;
mod sessions;
mod slots;
mod wraps;
