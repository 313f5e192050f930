//! Single protections that a test can switch off, to prove that it would notice.
//!
//! Without the cargo feature `sabotage` nothing of this is reachable and its checks are constants.

#[cfg(feature = "sabotage")]
use std::sync::atomic::{AtomicU8, Ordering};

/// One protection to leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "sabotage"), allow(dead_code))]
pub enum Sabotage {
    /// Everything as it should be.
    None = 0,
    /// The new state is written, but the share copies stay as they were.
    SkipW2,
    /// A rotation takes the old slot again.
    KeepOldSlot,
    /// Starting a timer leaves the old leaf alive.
    NoPunctureOnTimerStart,
    /// Replacing a body leaves the old leaf alive.
    NoPunctureOnReplace,
    /// Wraps and bodies are bound to nothing.
    NoAad,
    /// A replaced body is sealed under the old key.
    ReuseDek,
    /// A deadline is rounded down to the second.
    RoundDeadlineDown,
    /// What moves to a younger tree forgets the leaf that it leaves alive in the old one.
    ForgetWhereItHung,
    /// A wipe leaves out the second that has just begun.
    CutLate,
}

#[cfg(feature = "sabotage")]
static ON: AtomicU8 = AtomicU8::new(0);

/// Switches one sabotage on for the whole process; [`Sabotage::None`] switches it off.
#[cfg(feature = "sabotage")]
pub fn switch_on(sabotage: Sabotage) {
    ON.store(sabotage as u8, Ordering::SeqCst);
}

#[cfg(feature = "sabotage")]
pub(crate) fn is_on(sabotage: Sabotage) -> bool {
    ON.load(Ordering::SeqCst) == sabotage as u8
}

#[cfg(not(feature = "sabotage"))]
pub(crate) const fn is_on(_: Sabotage) -> bool {
    false
}
