import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Reading } from './reading';

describe('the read rule', () => {
  const told = vi.fn<(ids: string[]) => Promise<void>>();
  let reading: Reading;

  beforeEach(() => {
    vi.useFakeTimers({ now: 0 });
    told.mockReset().mockResolvedValue();
    reading = new Reading(told);
  });
  afterEach(() => vi.useRealTimers());

  it('counts a message as read after one second in sight of an attentive window', () => {
    reading.setAttentive(true);
    reading.setVisible('a', true);
    vi.advanceTimersByTime(999);
    expect(told).not.toHaveBeenCalled();
    vi.advanceTimersByTime(100);
    expect(told).toHaveBeenCalledExactlyOnceWith(['a']);
  });

  it('never counts while the window has no focus', () => {
    reading.setVisible('a', true);
    vi.advanceTimersByTime(60_000);
    expect(told).not.toHaveBeenCalled();
  });

  it('begins anew when the focus was away', () => {
    reading.setAttentive(true);
    reading.setVisible('a', true);
    vi.advanceTimersByTime(900);
    reading.setAttentive(false);
    vi.advanceTimersByTime(5000);
    reading.setAttentive(true);
    vi.advanceTimersByTime(900);
    expect(told).not.toHaveBeenCalled();
    vi.advanceTimersByTime(200);
    expect(told).toHaveBeenCalledOnce();
  });

  it('begins anew when the message was scrolled away', () => {
    reading.setAttentive(true);
    reading.setVisible('a', true);
    vi.advanceTimersByTime(900);
    reading.setVisible('a', false);
    reading.setVisible('a', true);
    vi.advanceTimersByTime(900);
    expect(told).not.toHaveBeenCalled();
  });

  it('tells those that become read together in one call, and each once', () => {
    reading.setAttentive(true);
    for (const id of ['a', 'b', 'c']) {
      reading.setVisible(id, true);
      vi.advanceTimersByTime(10);
    }
    vi.advanceTimersByTime(3000);
    reading.setVisible('a', true);
    vi.advanceTimersByTime(3000);
    expect(told.mock.calls).toEqual([[['a', 'b', 'c']]]);
  });

  it('tries again when the backend refused', async () => {
    told.mockRejectedValueOnce(new Error('not focused'));
    reading.setAttentive(true);
    reading.setVisible('a', true);
    await vi.advanceTimersByTimeAsync(1100);
    expect(told).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(1100);
    expect(told).toHaveBeenCalledTimes(2);
  });

  it('does not try again what is out of sight by then', async () => {
    let refuse: (reason: Error) => void = () => undefined;
    told.mockReturnValueOnce(new Promise((_, reject) => (refuse = reject)));
    reading.setAttentive(true);
    reading.setVisible('a', true);
    vi.advanceTimersByTime(1100);
    reading.setVisible('a', false);
    refuse(new Error('not focused'));
    await vi.advanceTimersByTimeAsync(5000);
    expect(told).toHaveBeenCalledTimes(1);
  });

  it('counts nothing once the chat is left', () => {
    reading.setAttentive(true);
    reading.setVisible('a', true);
    reading.stop();
    vi.advanceTimersByTime(5000);
    expect(told).not.toHaveBeenCalled();
  });
});
