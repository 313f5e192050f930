import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { FakeBackend, chatOf, idOf } from '../backend/fake';
import { chats } from './chats.svelte';
import { Rest } from './rest';

let backend: FakeBackend;
let rest: Rest;
let detach: () => void;

function hide(isHidden: boolean): void {
  Object.defineProperty(document, 'hidden', { configurable: true, value: isHidden });
  document.dispatchEvent(new Event('visibilitychange'));
}

const after = async (ms: number) => {
  await vi.advanceTimersByTimeAsync(ms);
  return backend.callsOf('rest').length;
};

beforeEach(() => {
  vi.useFakeTimers();
  backend = new FakeBackend().install();
  chats.reset();
  rest = new Rest();
  detach = rest.attach();
});

afterEach(() => {
  detach();
  hide(false);
  vi.useRealTimers();
});

it('replaces a hidden page soon after something has died in it, and once', async () => {
  hide(true);
  expect(await after(60_000)).toBe(0);
  rest.note();
  expect(await after(4_000)).toBe(0);
  expect(await after(2_000)).toBe(1);
  expect(await after(600_000)).toBe(1);
  expect(backend.callsOf('rest')).toEqual([{ chat: null }]);
});

it('leaves a page alone that somebody is at, until nobody has been for five minutes', async () => {
  rest.note();
  await after(250_000);
  rest.touch(performance.now());
  expect(await after(299_000)).toBe(0);
  expect(await after(2_000)).toBe(1);
});

it('has a draft kept before the page goes', async () => {
  hide(true);
  backend.chats = [chatOf(1)];
  chats.write(idOf(1), 'half a sentence');
  rest.note();
  expect(await after(6_000)).toBe(1);
  expect(backend.calls.map(({ command }) => command).slice(-2)).toEqual(['set_draft', 'rest']);
});
