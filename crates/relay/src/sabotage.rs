//! Switches that break one protection each, so that a test can prove that it would notice.

use std::sync::atomic::{AtomicBool, Ordering};

static KEEP_EXPIRED: AtomicBool = AtomicBool::new(false);

/// Makes every relay of this process keep expired events instead of erasing them.
pub fn keep_expired(on: bool) {
    KEEP_EXPIRED.store(on, Ordering::SeqCst);
}

pub(crate) fn keeps_expired() -> bool {
    KEEP_EXPIRED.load(Ordering::SeqCst)
}
