//! The rules of time, pure: which second something dies in, and what "now" is when clocks lie.

use crate::clock::Reading;
use crate::sabotage::{Sabotage, is_on};
use crate::tag::Tag;

/// How far the wall clock may run ahead of the base within one boot before it is doubted.
const AHEAD_IN_ONE_BOOT_MS: i64 = 2_000;
/// The same across a restart: weeks switched off are likely, more than this is not.
const AHEAD_ACROSS_BOOTS_MS: i64 = 400 * 86_400_000;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMs(pub i64);

impl UnixMs {
    /// 2026-01-01T00:00:00Z, where tags begin to count.
    pub const T0: UnixMs = UnixMs(1_767_225_600_000);

    /// This moment moved by `ms`, saturating at the ends.
    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

/// 2026-01-01T00:00:00Z, where tags begin to count.
pub const T0: UnixMs = UnixMs::T0;

/// A whole second since [`T0`] that a tag can hold: 0 to 2³¹ − 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Second(pub(crate) u32);

impl Second {
    const LAST: i64 = (1 << 31) - 1;

    fn in_range(second: i64) -> Option<Self> {
        (0..=Self::LAST).contains(&second).then(|| u32::try_from(second).ok().map(Self)).flatten()
    }

    /// The second in which something with this deadline dies: the deadline rounded up, so that nothing dies early.
    pub(crate) fn due(deadline: UnixMs) -> Option<Self> {
        let ms = deadline.0.checked_sub(T0.0)?;
        let down = ms.div_euclid(1000);
        let up = i64::from(ms.rem_euclid(1000) != 0 && !is_on(Sabotage::RoundDeadlineDown));
        Self::in_range(down.checked_add(up)?)
    }

    /// The moment at which this second begins: what is promised and shown as `expires_at`.
    pub(crate) fn begins(self) -> UnixMs {
        T0.plus_ms(i64::from(self.0) * 1000)
    }

    pub(crate) fn from_sql(value: i64) -> Option<Self> {
        Self::in_range(value)
    }
}

/// The second that runs at a moment, −1 before [`T0`].
pub(crate) fn second_at(now: UnixMs) -> i64 {
    now.0.saturating_sub(T0.0).div_euclid(1000).clamp(-1, Second::LAST)
}

/// The first tag that is still alive in second `s_now`.
pub(crate) fn cut(s_now: i64) -> Tag {
    let first = s_now.saturating_add(i64::from(!is_on(Sabotage::CutLate)));
    Tag(u64::try_from(first).unwrap_or(0) * 256)
}

/// The last moment that is sealed in the state, and where the boot clock stood then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) at: UnixMs,
    pub(crate) boot_id: [u8; 16],
    pub(crate) boottime_ms: u64,
}

/// What the clocks amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Now {
    /// What has died by this moment is destroyed; deadlines count from here.
    pub(crate) effective: UnixMs,
    /// What would have died by this moment is not shown; ahead of `effective` while the wall clock is doubted.
    pub(crate) shown: UnixMs,
}

impl Mark {
    /// "Now" by this mark and a reading: never before the mark, never before the mark plus the boot time since.
    ///
    /// A wall clock far ahead only hides until it is `confirmed`, because a clock can be set forward by accident and a
    /// key that was dropped does not come back.
    pub(crate) fn now(&self, reading: &Reading, confirmed: bool) -> Now {
        let same_boot = self.boot_id == reading.boot_id;
        let elapsed = if same_boot { reading.boottime_ms.saturating_sub(self.boottime_ms) } else { 0 };
        let base = self.at.plus_ms(i64::try_from(elapsed).unwrap_or(i64::MAX));
        let doubted = base.plus_ms(if same_boot { AHEAD_IN_ONE_BOOT_MS } else { AHEAD_ACROSS_BOOTS_MS });
        let shown = base.max(reading.wall);
        let effective = if reading.wall <= doubted || confirmed { shown } else { base };
        Now { effective, shown }
    }

    /// The mark of this moment.
    pub(crate) fn of(now: Now, reading: &Reading) -> Self {
        Self { at: now.effective, boot_id: reading.boot_id, boottime_ms: reading.boottime_ms }
    }
}
