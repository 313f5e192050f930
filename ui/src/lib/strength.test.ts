import { expect, it } from 'vitest';
import { strengthOf } from './strength';

it('goes by length, and is not fooled by repetition or by signs in place of letters', () => {
  for (const weak of ['', 'password', 'Tr0ub4dor&3', 'a'.repeat(30), 'abcdefghijklmnopqrstuvwxyz', 'password'.repeat(4)]) {
    expect([weak, strengthOf(weak)]).toEqual([weak, 'weak']);
  }
  expect(strengthOf('kettle mirror orbit')).toBe('fair');
  expect(strengthOf('kettle mirror orbit canvas')).toBe('strong');
});
