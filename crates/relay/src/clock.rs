//! The only place of the relay that asks what time it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The relay's time. Clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock {
    ahead_ms: Option<Arc<AtomicU64>>,
}

/// Moves the clock it was made with; see [`Clock::movable`].
#[derive(Debug, Clone)]
pub struct ClockHand {
    ahead_ms: Arc<AtomicU64>,
}

impl Clock {
    /// The machine's own wall clock.
    pub fn system() -> Self {
        Self { ahead_ms: None }
    }

    /// A clock that runs with the machine's and can be set forward, for tests that must not wait a
    /// month. A relay notices a jump within a second.
    pub fn movable() -> (Self, ClockHand) {
        let ahead_ms = Arc::new(AtomicU64::new(0));
        let clock = Self { ahead_ms: Some(Arc::clone(&ahead_ms)) };
        (clock, ClockHand { ahead_ms })
    }

    /// Milliseconds since 1970. A machine whose clock stands before 1970 reads as 0.
    pub fn now_ms(&self) -> u64 {
        let ahead_ms = self.ahead_ms.as_ref().map_or(0, |ms| ms.load(Ordering::SeqCst));
        wall_ms().saturating_add(ahead_ms)
    }

    /// Whole seconds since 1970, rounded down: the unit of every time in an event.
    pub fn now_s(&self) -> u64 {
        self.now_ms() / 1000
    }

    /// A time that only grows, for measuring spans. It is never moved.
    pub(crate) fn tick() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "this is the door to monotonic time")]
        Instant::now()
    }
}

impl ClockHand {
    /// Sets the clock forward by `span`.
    pub fn advance(&self, span: Duration) {
        let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        self.ahead_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

fn wall_ms() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "this is the door to wall time")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
