import { describe, expect, it } from 'vitest';
import { countdown, duration, timerRule } from './text';
import { countdownTo, hotFrom, isHot, isLonger, leftOf, lifeOf, stepOf } from './time';

const says = (ms: number) => countdown(countdownTo(ms, 0).remaining);

describe('a countdown', () => {
  it('speaks in the unit that matters', () => {
    expect([75_600_000, 3_480_000, 252_000, 9000, 172_800_000].map(says)).toEqual(['21 h', '58 min', '4:12', '9 s', '2 days']);
  });

  it('says 0 s at the deadline and never earlier', () => {
    expect([1, 0, -5000].map(says)).toEqual(['1 s', '0 s', '0 s']);
  });

  it('never promises more hours than there are', () => {
    expect(says(7_199_000)).toBe('1 h');
    expect(says(7_200_000)).toBe('2 h');
  });

  it('names the moment of its next change exactly', () => {
    for (const left of [500, 9000, 61_000, 599_500, 600_000, 700_000, 3_600_000, 5_000_000, 172_800_000, 900_000_000]) {
      const { changesAt } = countdownTo(left, 0);
      expect(changesAt).not.toBeNull();
      const next = changesAt ?? 0;
      expect(countdown(countdownTo(left, next - 1).remaining)).toBe(says(left));
      expect(countdown(countdownTo(left, next).remaining)).not.toBe(says(left));
    }
  });
});

describe('a fuse', () => {
  const life = { startsAt: 0, endsAt: 10_000 };

  it('loses its last pixel at the deadline', () => {
    expect(stepOf(life, 200, 9999).value).toBe(1);
    expect(stepOf(life, 200, 10_000)).toEqual({ value: 0, changesAt: null });
  });

  it('names the moment at which it loses its next pixel', () => {
    const { value, changesAt } = stepOf(life, 200, 1234);
    expect(stepOf(life, 200, (changesAt ?? 0) - 1).value).toBe(value);
    expect(stepOf(life, 200, changesAt ?? 0).value).toBe(value - 1);
  });

  it('is never longer than its room, and shows nothing without any', () => {
    expect(stepOf(life, 200, -5000).value).toBe(200);
    expect(stepOf(life, 0, 5).changesAt).toBeNull();
    expect(leftOf({ startsAt: 5, endsAt: 5 }, 0)).toBe(0);
  });

  it('turns hot in the last tenth', () => {
    expect(isHot(life, 8999)).toBe(false);
    expect(isHot(life, 9000)).toBe(true);
    expect(hotFrom(life, 8999)).toBe(9000);
    expect(hotFrom(life, 9000)).toBeNull();
  });

  it('has no life before its timer starts', () => {
    expect(lifeOf({ expires_at: null, timer: { mode: 'after_read', ttl_s: 10 } })).toBeNull();
    expect(lifeOf({ expires_at: '1970-01-01T00:00:10Z', timer: { mode: 'after_read', ttl_s: 10 } })).toEqual(life);
  });
});

describe('timers', () => {
  it('are said as rules', () => {
    expect(timerRule({ mode: 'after_read', ttl_s: 86_400 })).toBe('1 day after read');
    expect(timerRule({ mode: 'after_send', ttl_s: 90 })).toBe('1 min 30 s after sending');
    expect(timerRule({ mode: 'after_send', ttl_s: null })).toBe('Timer off');
    expect([5, 300, 28_800, 604_800, 2_419_200, 31_536_000].map(duration)).toEqual(['5 s', '5 min', '8 h', '1 week', '4 weeks', '52 weeks 1 day']);
  });

  it('are longer by the longest life that they allow', () => {
    const read = (ttl_s: number | null) => ({ mode: 'after_read', ttl_s }) as const;
    const sent = (ttl_s: number | null) => ({ mode: 'after_send', ttl_s }) as const;
    expect(isLonger(read(60), read(30))).toBe(true);
    expect(isLonger(read(30), sent(3600))).toBe(true);
    expect(isLonger(sent(604_800), read(86_400))).toBe(false);
    expect(isLonger(read(null), read(86_400))).toBe(true);
    expect(isLonger(read(null), sent(null))).toBe(false);
  });
});
