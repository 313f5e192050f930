import { describe, expect, it } from 'vitest';
import { messageOf } from '../backend/fake';
import type { MessageView } from '../backend/bindings/MessageView';
import type { Entry } from './ledger';
import { changedAtStart, rowsOf } from './rows';

const noon = '2026-03-03T12:00:00';
const at = (number: number, moment: string, part: Partial<MessageView> = {}): Entry => {
  const message = messageOf(number, { sent_at: moment, ...part });
  return { id: message.id, order: number, isNotice: message.kind !== 'text', message, sentAt: moment };
};
const atNoon = (...numbers: number[]) => rowsOf(numbers.map((number) => at(number, noon)));
const days = (entries: Entry[]) => rowsOf(entries).map((row) => row.day);

describe('rows', () => {
  it('group what one side says within five minutes', () => {
    const rows = rowsOf([
      at(1, '2026-03-03T12:00:00'),
      at(2, '2026-03-03T12:04:00'),
      at(3, '2026-03-03T12:05:00', { sender: 'me' }),
      at(4, '2026-03-03T12:20:00', { sender: 'me' }),
    ]);
    expect(rows.map((row) => [row.isContinued, row.isLast])).toEqual([[false, false], [true, true], [false, true], [false, true]]);
  });

  it('group the living over what died between them', () => {
    const rows = rowsOf([at(1, noon), { ...at(2, noon), message: null }, at(3, noon)]);
    expect(rows.map((row) => [row.isContinued, row.isLast])).toEqual([[false, false], [false, true], [true, true]]);
  });

  it('name a day once, and again when a late message brings it back', () => {
    const next = '2026-03-04T12:00:00';
    expect(days([at(1, noon), at(2, noon), at(3, next), at(4, noon)])).toEqual([noon, null, next, noon]);
  });

  it('name a day above a shell until it is closed, and then above who is left', () => {
    const shell: Entry = { ...at(1, noon), message: null };
    expect(days([shell, at(2, noon)])).toEqual([noon, null]);
    expect(days([{ ...shell, sentAt: null }, at(2, noon)])).toEqual([null, noon]);
  });

  it('know a change at the start from one at the end', () => {
    expect(changedAtStart(atNoon(1, 2, 3), atNoon(0, 1, 2, 3))).toBe(true);
    expect(changedAtStart(atNoon(1, 2, 3), atNoon(1, 2, 3, 4))).toBe(false);
    expect(changedAtStart(atNoon(1, 2, 3), atNoon(2, 3))).toBe(true);
    expect(changedAtStart(atNoon(1, 2, 3), atNoon(1, 2))).toBe(false);
  });
});
