/** A chat's log as rows of the list, one for each entry: days, groups. Pure. */
import { dayOf } from '../time';
import { isGap, type Entry } from './ledger';

/** A message, or what is left of its place. */
export interface Row {
  readonly key: string;
  readonly entry: Entry;
  /** The day to name above it, where one begins. */
  readonly day: string | null;
  /** The message above belongs to the same speaker and the same few minutes. */
  readonly isContinued: boolean;
  /** Nothing of the same group follows: the bubble gets its corner. */
  readonly isLast: boolean;
}

/** Two messages of one speaker that lie further apart than this are two groups. */
const GROUP_MS = 5 * 60 * 1000;

export function rowsOf(entries: readonly Entry[]): Row[] {
  const living = entries.filter((entry) => entry.message !== null);
  const places = new Map(living.map((entry, index) => [entry.id, index]));
  let day: number | null = null;
  return entries.map((entry) => {
    const place = places.get(entry.id);
    // Late messages are appended with the time they were sent, so one day can come up twice.
    const ofEntry = isGap(entry) || entry.sentAt === null ? day : dayOf(Date.parse(entry.sentAt));
    const startsDay = ofEntry !== day;
    day = ofEntry;
    return {
      key: entry.id,
      entry,
      day: startsDay ? entry.sentAt : null,
      isContinued: !startsDay && place !== undefined && isGroup(living[place - 1], entry),
      isLast: place === undefined || !isGroup(entry, living[place + 1]),
    };
  });
}

function isGroup(above: Entry | undefined, below: Entry | undefined): boolean {
  const [a, b] = [above?.message, below?.message];
  if (!a || !b || a.kind !== 'text' || b.kind !== 'text' || a.sender !== b.sender) return false;
  const [from, to] = [Date.parse(a.sent_at), Date.parse(b.sent_at)];
  return Math.abs(to - from) <= GROUP_MS && dayOf(from) === dayOf(to);
}

/**
 * Whether the rows grew or shrank at their beginning (older ones were loaded, the oldest died): then the list
 * holds its place from the end.
 */
export function changedAtStart(before: readonly Row[], after: readonly Row[]): boolean {
  const least = Math.min(before.length, after.length);
  let same = 0;
  while (same < least && before[same]?.key === after[same]?.key) same += 1;
  let tail = 0;
  while (tail < least && before.at(-1 - tail)?.key === after.at(-1 - tail)?.key) tail += 1;
  return tail > same;
}
