//! Mayfly's desktop shell: one window over the engine.
//!
//! It knows no SQL, no MLS and no relay frames. `hardening` runs before anything else, `setup` puts the pieces
//! together, `commands` are the window's way in, `state` holds the open profile.

#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

mod bridge;
mod commands;
mod embedded_relay;
mod error;
mod hardening;
mod idle;
#[cfg(target_os = "linux")]
mod logind;
mod paths;
mod setup;
mod state;
mod window;

use std::process::ExitCode;

/// What the program lets go of leaves nothing in its memory.
#[global_allocator]
static ALLOCATOR: mayfly_core::WipingAllocator = mayfly_core::WipingAllocator::new();

fn main() -> ExitCode {
    hardening::harden();
    setup::run()
}
