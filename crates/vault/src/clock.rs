//! The only door to time.
//!
//! A vault asks a [`Clock`] and never the system, so that a test can move time and nothing can be kept alive by a clock
//! that is not asked.
#![allow(clippy::disallowed_methods)] // This is the door behind which the system's clocks may be asked.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use crate::time::UnixMs;

/// What [`Clock::wait`] gives.
pub type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

/// All that the clocks of a machine say at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The wall clock, which anybody can set.
    pub wall: UnixMs,
    /// Another value after every restart of the machine.
    pub boot_id: [u8; 16],
    /// Milliseconds since then, those spent in suspend included; nobody can set them.
    pub boottime_ms: u64,
}

/// A source of time.
pub trait Clock: Send + Sync + Debug {
    /// Reads all clocks at once.
    fn read(&self) -> Reading;
    /// Ends after `ms` of boot time, or as soon as the wall clock was set.
    fn wait(&self, ms: u64) -> Wait;
}

/// The clocks of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn read(&self) -> Reading {
        let wall = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
        };
        Reading { wall: UnixMs(wall), boot_id: boot_id(), boottime_ms: boottime_ms() }
    }

    fn wait(&self, ms: u64) -> Wait {
        Box::pin(system::wait(ms))
    }
}

/// The kernel's name for this boot. Where there is none, every start of the program counts as a boot of its own: the
/// boot clock then proves nothing across starts, which is the cautious side.
fn boot_id() -> [u8; 16] {
    static BOOT_ID: OnceLock<[u8; 16]> = OnceLock::new();
    *BOOT_ID.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let hex = text.trim().replace('-', "");
        match hex.parse::<crate::ItemId>() {
            Ok(id) => *id.as_bytes(),
            Err(_) => crate::cipher::random().unwrap_or_default(),
        }
    })
}

#[cfg(target_os = "linux")]
fn boottime_ms() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let ms = i128::from(time.tv_sec) * 1000 + i128::from(time.tv_nsec) / 1_000_000;
    u64::try_from(ms).unwrap_or(0)
}

#[cfg(not(target_os = "linux"))]
fn boottime_ms() -> u64 {
    static START: OnceLock<std::time::Instant> = OnceLock::new();
    let elapsed = START.get_or_init(std::time::Instant::now).elapsed();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(target_os = "linux")]
mod system {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
    };
    use tokio::io::unix::AsyncFd;

    /// A year: the second timer is there to be cancelled, not to ring.
    const FAR_S: i64 = 366 * 86_400;

    /// Two timers: one counts boot time and goes on in suspend, where a sleep of the runtime would stand still; the
    /// other is cancelled by the kernel when somebody sets the wall clock.
    pub(super) async fn wait(ms: u64) {
        let Ok((rings, set)) = timers(ms) else {
            tokio::time::sleep(Duration::from_millis(ms.min(super::TICK_MS))).await;
            return;
        };
        tokio::select! {
            _ = rings.readable() => {}
            _ = set.readable() => {}
        }
    }

    fn timers(ms: u64) -> io::Result<(AsyncFd<OwnedFd>, AsyncFd<OwnedFd>)> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let rings = timerfd_create(TimerfdClockId::Boottime, flags)?;
        let after = Timespec {
            tv_sec: i64::try_from(ms / 1000).unwrap_or(FAR_S).min(FAR_S),
            // A timer of zero would be disarmed instead of ringing at once.
            tv_nsec: i64::try_from(ms % 1000).unwrap_or(0) * 1_000_000 + i64::from(ms == 0),
        };
        timerfd_settime(&rings, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: zero, it_value: after })?;
        let set = timerfd_create(TimerfdClockId::Realtime, flags)?;
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        let far = Timespec { tv_sec: now.tv_sec.saturating_add(FAR_S), tv_nsec: 0 };
        let on_set = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        timerfd_settime(&set, on_set, &Itimerspec { it_interval: zero, it_value: far })?;
        // Deprecated for types that may close or swap their descriptor behind tokio's back; an owned one does neither, and
        // the newer name is `unsafe`, which this crate keeps to its one module for locked memory.
        #[allow(deprecated)]
        Ok((AsyncFd::new(rings)?, AsyncFd::new(set)?))
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::time::Duration;

    /// A tick: whoever waits reads the clocks again and sees a change or the end of a suspend.
    pub(super) async fn wait(ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms.min(super::TICK_MS))).await;
    }
}

/// The longest sleep where the kernel does not wake us for suspend and clock changes.
const TICK_MS: u64 = 15_000;

/// A clock that a test moves. Clones move together.
#[derive(Clone, Debug)]
pub struct MovableClock {
    hands: Arc<Mutex<Hands>>,
    moved: Arc<watch::Sender<()>>,
}

#[derive(Debug)]
struct Hands {
    reading: Reading,
    /// How often the wall clock was set or the machine restarted.
    sets: u64,
}

impl MovableClock {
    /// A machine that was switched on just now.
    pub fn new(wall: UnixMs) -> Self {
        let reading = Reading { wall, boot_id: *b"movable boot 001", boottime_ms: 0 };
        Self { hands: Arc::new(Mutex::new(Hands { reading, sets: 0 })), moved: Arc::new(watch::Sender::new(())) }
    }

    /// Time passes.
    pub fn advance(&self, ms: u64) {
        self.change(|hands| {
            hands.reading.wall = hands.reading.wall.plus_ms(i64::try_from(ms).unwrap_or(i64::MAX));
            hands.reading.boottime_ms = hands.reading.boottime_ms.saturating_add(ms);
        });
    }

    /// Somebody sets the wall clock.
    pub fn set_wall(&self, wall: UnixMs) {
        self.change(|hands| {
            hands.reading.wall = wall;
            hands.sets += 1;
        });
    }

    /// The machine restarts, in no time.
    pub fn reboot(&self) {
        self.change(|hands| {
            let number = u128::from_be_bytes(hands.reading.boot_id).wrapping_add(1);
            hands.reading.boot_id = number.to_be_bytes();
            hands.reading.boottime_ms = 0;
            hands.sets += 1;
        });
    }

    fn change(&self, change: impl FnOnce(&mut Hands)) {
        change(&mut self.hands.lock().unwrap_or_else(PoisonError::into_inner));
        self.moved.send_replace(());
    }

    fn look(&self) -> (Reading, u64) {
        let hands = self.hands.lock().unwrap_or_else(PoisonError::into_inner);
        (hands.reading, hands.sets)
    }
}

impl Clock for MovableClock {
    fn read(&self) -> Reading {
        self.look().0
    }

    fn wait(&self, ms: u64) -> Wait {
        let mut moved = self.moved.subscribe();
        let (start, sets) = self.look();
        let until = start.boottime_ms.saturating_add(ms);
        let clock = self.clone();
        Box::pin(async move {
            loop {
                let (now, sets_now) = clock.look();
                if now.boottime_ms >= until || sets_now != sets || moved.changed().await.is_err() {
                    return;
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_runs_and_keeps_its_boot() {
        let (first, second) = (SystemClock.read(), SystemClock.read());
        assert_eq!(first.boot_id, second.boot_id);
        assert_ne!(first.boot_id, [0; 16]);
        assert!(second.boottime_ms >= first.boottime_ms);
        assert!(first.wall > crate::T0);
    }

    #[tokio::test]
    async fn a_wait_of_the_system_clock_ends_after_its_time_and_not_before() {
        let before = SystemClock.read().boottime_ms;
        SystemClock.wait(30).await;
        assert!(SystemClock.read().boottime_ms - before >= 30);
    }

    #[tokio::test]
    async fn a_wait_of_the_movable_clock_ends_when_its_time_is_reached_or_the_wall_is_set() {
        let clock = MovableClock::new(UnixMs(0));
        let mut wait = clock.wait(1000);
        clock.advance(999);
        assert!(futures_pending(&mut wait).await);
        clock.advance(1);
        wait.await;
        let wait = clock.wait(u64::MAX);
        clock.set_wall(UnixMs(5));
        wait.await;
    }

    async fn futures_pending(wait: &mut Wait) -> bool {
        tokio::select! { biased; () = wait => false, () = std::future::ready(()) => true }
    }
}
