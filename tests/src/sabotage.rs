//! Protections that can be left out, each to prove that a named story notices.
//!
//! A sabotage counts for the whole process. So the suite in `stories/sabotages.rs` runs each story that must break in a
//! process of its own, with the sabotage's name in the environment, and the story switches it on first of all.

use mayfly_vault::sabotage::{Sabotage as InVault, switch_on};

/// The variable that carries a sabotage's name.
pub const VARIABLE: &str = "MAYFLY_TEST_SABOTAGE";

/// Switches on what the environment names; without it, nothing.
///
/// # Panics
/// If there is no sabotage of that name: a list that does not switch anything on would prove nothing.
pub fn from_environment() {
    let Ok(name) = std::env::var(VARIABLE) else { return };
    match name.as_str() {
        "skip_w2" => switch_on(InVault::SkipW2),
        "keep_old_slot" => switch_on(InVault::KeepOldSlot),
        "no_puncture_on_timer_start" => switch_on(InVault::NoPunctureOnTimerStart),
        "no_puncture_on_replace" => switch_on(InVault::NoPunctureOnReplace),
        "no_aad" => switch_on(InVault::NoAad),
        "reuse_dek" => switch_on(InVault::ReuseDek),
        "round_deadline_down" => switch_on(InVault::RoundDeadlineDown),
        "hide_in_the_ui_only" => mayfly_core::sabotage::hide_in_the_ui_only(true),
        "relay_keeps_expired" => mayfly_relay::sabotage::keep_expired(true),
        other => {
            // A test program has nobody to hand an error to.
            #[allow(clippy::panic)]
            {
                panic!("there is no sabotage called {other}")
            }
        }
    }
}
