//! When nobody has been at it for long enough.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use mayfly_core::Clock;

/// When a hand was last at it, by the boot clock: that one goes on while the machine sleeps, and nobody can set it.
pub struct Idle {
    clock: Arc<dyn Clock>,
    last_ms: AtomicU64,
}

impl std::fmt::Debug for Idle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Idle")
    }
}

impl Idle {
    /// Somebody is at it now.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let last_ms = AtomicU64::new(clock.read().boottime_ms);
        Self { clock, last_ms }
    }

    /// Somebody is at it.
    pub fn touch(&self) {
        self.last_ms.store(self.clock.read().boottime_ms, Ordering::Relaxed);
    }

    /// How many milliseconds are left of this many seconds without a hand at it.
    pub fn left_ms(&self, limit_s: u32) -> u64 {
        let passed = self.clock.read().boottime_ms.saturating_sub(self.last_ms.load(Ordering::Relaxed));
        (u64::from(limit_s) * 1000).saturating_sub(passed)
    }
}

#[cfg(test)]
mod tests {
    use mayfly_core::{MovableClock, UnixMs};

    use super::*;

    #[test]
    fn a_hand_at_it_begins_the_count_again_and_the_wall_clock_has_no_say() {
        let clock = MovableClock::new(UnixMs::T0);
        let idle = Idle::new(Arc::new(clock.clone()));
        clock.advance(9_000);
        assert_eq!(idle.left_ms(10), 1_000);
        clock.set_wall(UnixMs::T0.plus_ms(3_600_000));
        assert_eq!(idle.left_ms(10), 1_000);
        idle.touch();
        assert_eq!(idle.left_ms(10), 10_000);
        clock.advance(11_000);
        assert_eq!(idle.left_ms(10), 0);
    }
}
