import { expect, it } from 'vitest';
import { strengthOf } from './strength';

it('goes by length, and is not fooled by repetition', () => {
  expect(strengthOf('')).toBe('weak');
  expect(strengthOf('password')).toBe('weak');
  expect(strengthOf('aaaaaaaaaaaaaaaaaaaaaaaa')).toBe('weak');
  expect(strengthOf('abcdefghijklmnopqrstuvwxyz')).toBe('weak');
  expect(strengthOf('kettle mirror')).toBe('fair');
  expect(strengthOf('kettle mirror orbit canvas')).toBe('strong');
});
