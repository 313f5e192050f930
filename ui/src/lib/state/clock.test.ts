import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Clock } from './clock';

function setVisible(state: 'visible' | 'hidden'): void {
  vi.spyOn(document, 'visibilityState', 'get').mockReturnValue(state);
  document.dispatchEvent(new window.Event('visibilitychange'));
}

describe('the scheduler', () => {
  beforeEach(() => vi.useFakeTimers({ now: 0 }));
  afterEach(() => vi.useRealTimers());

  it('asks a follower only at the moments that it named', () => {
    const seen: number[] = [];
    new Clock().follow((now) => {
      seen.push(now);
      return now < 3000 ? now + 1000 : null;
    });
    vi.advanceTimersByTime(60_000);
    expect(seen).toEqual([0, 1000, 2000, 3000]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('serves many with one timer', () => {
    const clock = new Clock();
    for (let i = 0; i < 50; i += 1) clock.follow((now) => now + 1000 + i);
    expect(vi.getTimerCount()).toBe(1);
  });

  it('wakes earlier for one who comes later', () => {
    const clock = new Clock();
    const near = vi.fn<(now: number) => number | null>().mockReturnValueOnce(100).mockReturnValue(null);
    clock.follow(() => 20_000);
    clock.follow(near);
    vi.advanceTimersByTime(100);
    expect(near).toHaveBeenCalledTimes(2);
  });

  it('asks nobody while the window is hidden, and everybody when it is seen again', () => {
    const clock = new Clock();
    const detach = clock.attach();
    const follower = vi.fn((now: number) => now + 100);
    clock.follow(follower);
    setVisible('hidden');
    vi.advanceTimersByTime(10_000);
    expect(follower).toHaveBeenCalledTimes(1);
    expect(vi.getTimerCount()).toBe(0);
    setVisible('visible');
    expect(follower).toHaveBeenCalledTimes(2);
    expect(follower).toHaveBeenLastCalledWith(10_000);
    detach();
  });

  it('forgets one who left', () => {
    const follower = vi.fn((now: number) => now + 100);
    const leave = new Clock().follow(follower);
    leave();
    vi.advanceTimersByTime(10_000);
    expect(follower).toHaveBeenCalledTimes(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('outlasts lives longer than a timer can be set', () => {
    const year = 365 * 86_400_000;
    const follower = vi.fn<(now: number) => number | null>().mockReturnValueOnce(year).mockReturnValue(null);
    new Clock().follow(follower);
    vi.advanceTimersByTime(3_600_000);
    expect(follower).toHaveBeenCalledTimes(1);
  });
});
