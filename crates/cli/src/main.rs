//! `mayfly-cli`: the headless shell over the same engine as the window's, for scripts and tests.
//!
//! Verbs and JSON fields are a promise: they change only with an entry in the CHANGELOG.

mod access;
mod args;
mod audit;
mod followup;
mod output;
mod verbs;

use std::process::ExitCode;

use clap::Parser as _;

/// What the program lets go of leaves nothing in its memory.
#[global_allocator]
static ALLOCATOR: mayfly_core::WipingAllocator = mayfly_core::WipingAllocator::new();

fn main() -> ExitCode {
    mayfly_core::hardening::forbid_dumps();
    let args = args::Args::parse();
    output::announce_forensics();
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().enable_all().build() else {
        return output::fail(args.json, &output::Failure::runtime());
    };
    match runtime.block_on(verbs::run(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => output::fail(args.json, &failure),
    }
}
