/** Pure arithmetic of lives and countdowns. Moments are milliseconds since 1970 unless a name says otherwise. */
import type { MessageView } from './backend/bindings/MessageView';
import type { Timer } from './backend/bindings/Timer';

export const MINUTE_S = 60;
export const HOUR_S = 3600;
export const DAY_S = 86_400;
export const WEEK_S = 604_800;

/** An unread message that waits for its reader lives this long at most (the chat's unread cap). */
const UNREAD_CAP_S = 14 * DAY_S;

/** Below this many seconds the remaining time is told to the second. */
const EXACT_BELOW_S = 10 * MINUTE_S;

/** A life that runs: where it began and where it ends. */
export interface Life {
  readonly startsAt: number;
  readonly endsAt: number;
}

/** The life of a message whose timer has started, else null. */
export function lifeOf(message: Pick<MessageView, 'expires_at' | 'timer'>): Life | null {
  const ttl = message.timer.ttl_s;
  if (message.expires_at === null || ttl === null) return null;
  const endsAt = Date.parse(message.expires_at);
  return { startsAt: endsAt - ttl * 1000, endsAt };
}

/** How much of a life is left, from 1 at its start to 0 at its end. */
export function leftOf(life: Life, now: number): number {
  const length = life.endsAt - life.startsAt;
  if (length <= 0) return 0;
  return Math.min(1, Math.max(0, (life.endsAt - now) / length));
}

/** The last tenth of a life. */
export function isHot(life: Life, now: number): boolean {
  return leftOf(life, now) <= 0.1;
}

/** A whole number that shrinks with a life, from `steps` to 0, and the moment at which it shrinks next. */
export interface Step {
  readonly value: number;
  readonly changesAt: number | null;
}

/**
 * How many of `steps` (pixels) a life still covers. Rounded up, so that the last pixel goes at the deadline;
 * the answer names the moment of its own next change, so that nobody has to look before.
 */
export function stepOf(life: Life, steps: number, now: number): Step {
  const value = Math.ceil(leftOf(life, now) * steps);
  if (value <= 0 || steps <= 0) return { value: 0, changesAt: null };
  const length = life.endsAt - life.startsAt;
  return { value, changesAt: life.endsAt - ((value - 1) / steps) * length };
}

/** The moment at which the last tenth begins, while it lies ahead. */
export function hotFrom(life: Life, now: number): number | null {
  const from = life.endsAt - (life.endsAt - life.startsAt) * 0.1;
  return from > now ? from : null;
}

/** A remaining time as it is shown. */
export type Remaining =
  | { readonly unit: 'seconds'; readonly seconds: number }
  | { readonly unit: 'clock'; readonly minutes: number; readonly seconds: number }
  | { readonly unit: 'minutes' | 'hours' | 'days'; readonly count: number };

/** What a countdown says, and when it says something else. */
export interface Countdown {
  readonly remaining: Remaining;
  readonly changesAt: number | null;
}

/**
 * The countdown to `endsAt`. Seconds are rounded up: "0 s" is the deadline itself and never earlier.
 * Larger units are rounded down: they never promise more time than there is.
 */
export function countdownTo(endsAt: number, now: number): Countdown {
  const seconds = Math.max(0, Math.ceil((endsAt - now) / 1000));
  if (seconds === 0) return { remaining: { unit: 'seconds', seconds: 0 }, changesAt: null };
  if (seconds < EXACT_BELOW_S) {
    const changesAt = endsAt - (seconds - 1) * 1000;
    if (seconds < MINUTE_S) return { remaining: { unit: 'seconds', seconds }, changesAt };
    const minutes = Math.floor(seconds / MINUTE_S);
    return { remaining: { unit: 'clock', minutes, seconds: seconds % MINUTE_S }, changesAt };
  }
  const [unit, size] = coarseUnit(seconds);
  const count = Math.floor(seconds / size);
  // One second below the whole count is the first moment at which the count is smaller.
  return { remaining: { unit, count }, changesAt: endsAt - (count * size - 1) * 1000 };
}

function coarseUnit(seconds: number): ['minutes' | 'hours' | 'days', number] {
  if (seconds < HOUR_S) return ['minutes', MINUTE_S];
  if (seconds < 2 * DAY_S) return ['hours', HOUR_S];
  return ['days', DAY_S];
}

/** The longest that a message with this timer can live, in seconds; unbounded when the timer is off. */
export function longestLife(timer: Timer): number {
  if (timer.ttl_s === null) return Number.POSITIVE_INFINITY;
  return timer.mode === 'after_read' ? UNREAD_CAP_S + timer.ttl_s : timer.ttl_s;
}

/** Whether `to` keeps messages longer than `from`: then the other side is asked first. */
export function isLonger(to: Timer, from: Timer): boolean {
  return longestLife(to) > longestLife(from);
}

/** Whether two timers are the same rule; the mode of "off" means nothing. */
export function isSameTimer(a: Timer, b: Timer): boolean {
  return a.ttl_s === b.ttl_s && (a.ttl_s === null || a.mode === b.mode);
}

/** The local midnight after `now`. */
export function nextMidnight(now: number): number {
  const day = new Date(now);
  return new Date(day.getFullYear(), day.getMonth(), day.getDate() + 1).getTime();
}

/** The local day of a moment, as a number that rises by one a day. */
export function dayOf(moment: number): number {
  const day = new Date(moment);
  return Math.round(Date.UTC(day.getFullYear(), day.getMonth(), day.getDate()) / (DAY_S * 1000));
}
