//! When things die: the pure rules of docs/wire.md, "Timers". No clock, no store, no network in here.
//!
//! All moments are [`UnixMs`] of the vault's clock; all lives are whole seconds.

use mayfly_vault::UnixMs;

use crate::{
    Error,
    view::{Timer, TimerMode},
};

/// An `AfterRead` message that nobody reads dies this long after sending.
pub const UNREAD_CAP_S: u32 = 14 * DAY_S;
/// The longest life a timer can give.
pub const MAX_TTL_S: u32 = 365 * DAY_S;
/// How long a relay keeps what has no timer, and the time a device may be away.
pub const OFFLINE_WINDOW_S: u32 = 30 * DAY_S;

/// How long after sending a message can be given other words, in milliseconds.
pub const EDIT_WINDOW_MS: i64 = 24 * 3_600 * 1_000;

/// The shortest and the longest time that a draft lies, in seconds: five minutes and a week.
const DRAFT_LIFE_S: std::ops::RangeInclusive<u32> = 300..=7 * DAY_S;

const HOUR_S: u32 = 3_600;
const DAY_S: u32 = 24 * HOUR_S;

/// The timer that a new profile's chats start with: one day after reading.
pub const DEFAULT_TIMER: Timer = Timer { mode: TimerMode::AfterRead, ttl_s: Some(DAY_S) };

/// Accepts a timer that a person or a peer asks for.
///
/// # Errors
/// [`Error::TimerInvalid`] for a life of 0 or of more than 365 days.
pub fn check(timer: Timer) -> Result<Timer, Error> {
    match timer.ttl_s {
        None | Some(1..=MAX_TTL_S) => Ok(timer),
        Some(_) => Err(Error::TimerInvalid),
    }
}

/// The timer a message gets that asks for `asked` in a chat with `chat`: its own where it lives no longer, else the chat's.
pub fn within(asked: Timer, chat: Timer) -> Timer {
    stricter(asked, chat)
}

/// The longest time, in seconds, that a message under `timer` can live; `None` is without end.
fn longest_life_s(timer: Timer) -> Option<u64> {
    let ttl_s = u64::from(timer.ttl_s?);
    Some(match timer.mode {
        TimerMode::AfterSend => ttl_s,
        TimerMode::AfterRead => ttl_s + u64::from(UNREAD_CAP_S),
    })
}

/// Whether `new` lets a message live longer than `old` does, and so needs the other side's consent.
pub fn is_weaker(new: Timer, old: Timer) -> bool {
    match (longest_life_s(new), longest_life_s(old)) {
        (None, Some(_)) => true,
        (Some(new), Some(old)) => new > old,
        (_, None) => false,
    }
}

/// The stricter of two timers, the same whichever comes first: both sides reach it in any order of arrival.
pub fn stricter(a: Timer, b: Timer) -> Timer {
    let rank =
        |timer: Timer| (longest_life_s(timer).unwrap_or(u64::MAX), timer.mode == TimerMode::AfterRead, timer.ttl_s);
    if rank(a) <= rank(b) { a } else { b }
}

/// What a message may do while its timer has not started, or what it lives by from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It dies then.
    Until(UnixMs),
    /// Its timer starts later; unread it dies at the limit. Without a limit its timer is off.
    Held(Option<UnixMs>),
    /// Its time was up before it came.
    Dead,
}

/// The moment a message counts as sent: a sender's fast clock lengthens nothing.
pub fn sent(sent_at: UnixMs, first_seen: UnixMs) -> UnixMs {
    sent_at.min(first_seen)
}

/// How a message lives from the moment it is stored, on either side.
pub fn life_at_start(timer: Timer, sent: UnixMs, now: UnixMs) -> Life {
    let Some(ttl_s) = timer.ttl_s else { return Life::Held(None) };
    match timer.mode {
        TimerMode::AfterSend => alive_until(sent.plus_ms(seconds(ttl_s)), now).map_or(Life::Dead, Life::Until),
        TimerMode::AfterRead => {
            alive_until(sent.plus_ms(seconds(UNREAD_CAP_S)), now).map_or(Life::Dead, |limit| Life::Held(Some(limit)))
        }
    }
}

/// The deadline once a message has been read at `read_at`; `None` where reading starts nothing.
///
/// For the sender's own copy `read_at` is the moment the first read receipt came.
pub fn deadline_after_read(timer: Timer, read_at: UnixMs) -> Option<UnixMs> {
    match (timer.mode, timer.ttl_s) {
        (TimerMode::AfterRead, Some(ttl_s)) => Some(read_at.plus_ms(seconds(ttl_s))),
        _ => None,
    }
}

/// How long, in seconds, words lie that somebody began to write in a chat and left: as long as messages live there, within
/// bounds.
pub fn draft_life_s(chat: Timer) -> u32 {
    chat.ttl_s.map_or(*DRAFT_LIFE_S.end(), |ttl_s| ttl_s.clamp(*DRAFT_LIFE_S.start(), *DRAFT_LIFE_S.end()))
}

/// How many seconds a relay is asked to keep an event with this timer: a class, so that it tells little of the life.
pub fn relay_life_s(timer: Timer, sent: UnixMs, now: UnixMs) -> u32 {
    match (timer.mode, timer.ttl_s) {
        (_, None) => OFFLINE_WINDOW_S,
        (TimerMode::AfterRead, Some(_)) => 14 * DAY_S,
        (TimerMode::AfterSend, Some(ttl_s)) => {
            let left_ms = sent.plus_ms(seconds(ttl_s)).0.saturating_sub(now.0);
            [HOUR_S, DAY_S, 7 * DAY_S, 14 * DAY_S]
                .into_iter()
                .find(|class_s| seconds(*class_s) >= left_ms)
                .unwrap_or(OFFLINE_WINDOW_S)
        }
    }
}

fn alive_until(deadline: UnixMs, now: UnixMs) -> Option<UnixMs> {
    (deadline > now).then_some(deadline)
}

fn seconds(s: u32) -> i64 {
    i64::from(s) * 1_000
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn timers() -> impl Strategy<Value = Timer> {
        (any::<bool>(), prop_oneof![Just(None), (1..=MAX_TTL_S).prop_map(Some)]).prop_map(|(read, ttl_s)| Timer {
            mode: if read { TimerMode::AfterRead } else { TimerMode::AfterSend },
            ttl_s,
        })
    }

    proptest! {
        #[test]
        fn the_stricter_of_two_is_the_same_in_any_order_and_never_weaker(a in timers(), b in timers(), c in timers()) {
            prop_assert_eq!(stricter(a, b), stricter(b, a));
            prop_assert_eq!(stricter(stricter(a, b), c), stricter(a, stricter(b, c)));
            prop_assert!(!is_weaker(stricter(a, b), a));
            prop_assert!(!is_weaker(stricter(a, b), b));
        }

        #[test]
        fn a_fast_clock_of_the_sender_lengthens_nothing(ahead in 0_i64..i64::from(MAX_TTL_S) * 1000, timer in timers()) {
            let now = UnixMs(1_800_000_000_000);
            let honest = life_at_start(timer, sent(now, now), now);
            let fast = life_at_start(timer, sent(now.plus_ms(ahead), now), now);
            prop_assert_eq!(honest, fast);
        }

        #[test]
        fn a_relay_keeps_an_event_at_least_as_long_as_it_lives(ttl_s in 1..=MAX_TTL_S, age_ms in 0_i64..100_000_000) {
            let sent = UnixMs(1_800_000_000_000);
            let now = sent.plus_ms(age_ms);
            let timer = Timer { mode: TimerMode::AfterSend, ttl_s: Some(ttl_s) };
            let kept_s = relay_life_s(timer, sent, now);
            let left_ms = (i64::from(ttl_s) * 1000 - age_ms).max(0);
            prop_assert!(kept_s == OFFLINE_WINDOW_S || i64::from(kept_s) * 1000 >= left_ms);
        }
    }

    #[test]
    fn a_message_whose_time_is_up_is_dead_on_arrival_in_the_very_millisecond() {
        let timer = Timer { mode: TimerMode::AfterSend, ttl_s: Some(10) };
        let sent = UnixMs(1_800_000_000_000);
        assert_eq!(life_at_start(timer, sent, sent.plus_ms(9_999)), Life::Until(sent.plus_ms(10_000)));
        assert_eq!(life_at_start(timer, sent, sent.plus_ms(10_000)), Life::Dead);
    }

    #[test]
    fn after_read_waits_for_the_reader_up_to_the_cap_and_then_runs_from_reading() {
        let timer = Timer { mode: TimerMode::AfterRead, ttl_s: Some(5) };
        let sent = UnixMs(1_800_000_000_000);
        assert_eq!(life_at_start(timer, sent, sent), Life::Held(Some(sent.plus_ms(14 * 86_400_000))));
        assert_eq!(deadline_after_read(timer, sent.plus_ms(7)), Some(sent.plus_ms(5_007)));
    }

    #[test]
    fn off_is_weaker_than_any_timer_and_nothing_is_weaker_than_off() {
        let off = Timer { mode: TimerMode::AfterSend, ttl_s: None };
        assert!(is_weaker(off, DEFAULT_TIMER));
        assert!(!is_weaker(DEFAULT_TIMER, off));
        assert!(!is_weaker(off, off));
    }

    #[test]
    fn lives_of_nothing_and_of_more_than_a_year_are_refused() {
        for ttl_s in [0, MAX_TTL_S + 1, u32::MAX] {
            assert!(check(Timer { mode: TimerMode::AfterSend, ttl_s: Some(ttl_s) }).is_err());
        }
        for days in [25, 30, 365] {
            assert!(check(Timer { mode: TimerMode::AfterRead, ttl_s: Some(days * 86_400) }).is_ok());
        }
    }
}
