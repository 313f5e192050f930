/** How hard a passphrase is to guess, going by its length alone: a guess itself, and said as one. */
export type Strength = 'weak' | 'fair' | 'strong';

/**
 * What a character of something that a person thought of is worth, at most. Words are worth less than letters drawn by
 * lot, and whoever guesses knows the words: four of them by lot are some 50 bits, in 20 to 28 letters.
 */
const BITS_EACH = 2;
/** Each guess costs 64 MiB for some tenths of a second: from 40 bits on that is centuries for one machine. */
const FAIR_BITS = 24;
const STRONG_BITS = 40;

/** Pairs of neighbours that have not been there before; one that repeats a character or counts on from it is none. */
function surprises(passphrase: string): number {
  const codes = [...passphrase].map((letter) => letter.codePointAt(0) ?? 0);
  const pairs = codes.map((code, index) => [codes[index - 1] ?? -9, code] as const);
  return new Set(pairs.filter(([before, code]) => Math.abs(code - before) > 1).map(String)).size;
}

/** The strength of a passphrase. */
export function strengthOf(passphrase: string): Strength {
  const bits = surprises(passphrase) * BITS_EACH;
  if (bits < FAIR_BITS) return 'weak';
  return bits < STRONG_BITS ? 'fair' : 'strong';
}
