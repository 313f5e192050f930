//! Single protections that a test can switch off, to prove that it would notice.
//!
//! Without the cargo feature `sabotage` nothing of this is reachable and its checks are constants.

#[cfg(feature = "sabotage")]
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(feature = "sabotage")]
static HIDES_ONLY: AtomicBool = AtomicBool::new(false);

/// What is expired is told to be wiped, but nothing is.
#[cfg(feature = "sabotage")]
pub fn hide_in_the_ui_only(is_on: bool) {
    HIDES_ONLY.store(is_on, Ordering::SeqCst);
}

#[cfg(feature = "sabotage")]
pub(crate) fn hides_only() -> bool {
    HIDES_ONLY.load(Ordering::SeqCst)
}

#[cfg(not(feature = "sabotage"))]
pub(crate) const fn hides_only() -> bool {
    false
}
