//! A token bucket: so many at once, then so many a minute.

use std::time::Instant;

/// Thousandths, so that a slow trickle is not rounded away.
const WHOLE: u64 = 1000;

#[derive(Debug)]
pub(crate) struct Bucket {
    level: u64,
    brim: u64,
    per_minute: u64,
    filled: Instant,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn new(burst: u32, per_minute: u32, now: Instant) -> Self {
        let brim = u64::from(burst) * WHOLE;
        Self { level: brim, brim, per_minute: u64::from(per_minute), filled: now }
    }

    /// Takes `tokens` out, or nothing when there are fewer.
    pub(crate) fn take(&mut self, tokens: usize, now: Instant) -> bool {
        let span_ms = now.saturating_duration_since(self.filled).as_millis();
        let refill = u64::try_from(span_ms).unwrap_or(u64::MAX).saturating_mul(self.per_minute) / 60;
        if refill > 0 {
            self.level = self.level.saturating_add(refill).min(self.brim);
            self.filled = now;
        }
        let wanted = u64::try_from(tokens).unwrap_or(u64::MAX).saturating_mul(WHOLE);
        match self.level.checked_sub(wanted) {
            Some(left) => {
                self.level = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_passes_and_then_only_the_rate() {
        let start = crate::Clock::tick();
        let mut bucket = Bucket::new(5, 60, start);
        assert!((0..5).all(|_| bucket.take(1, start)));
        assert!(!bucket.take(1, start));
        assert!(!bucket.take(1, start + Duration::from_millis(900)));
        assert!(bucket.take(1, start + Duration::from_millis(1_100)));
        assert!(!bucket.take(1, start + Duration::from_millis(1_100)));
    }

    #[test]
    fn a_bucket_never_holds_more_than_its_burst() {
        let start = crate::Clock::tick();
        let mut bucket = Bucket::new(3, 6_000, start);
        let later = start + Duration::from_hours(1);
        assert!(bucket.take(3, later));
        assert!(!bucket.take(1, later));
    }

    #[test]
    fn a_slow_trickle_of_asking_does_not_starve_the_refill() {
        let start = crate::Clock::tick();
        let mut bucket = Bucket::new(1, 60, start);
        assert!(bucket.take(1, start));
        let passed = (1..=3_000u64).filter(|ms| bucket.take(1, start + Duration::from_millis(*ms))).count();
        assert_eq!(passed, 3);
    }
}
