/** How hard a passphrase is to guess, going by its length alone: a guess itself, and said as one. */
export type Strength = 'weak' | 'fair' | 'strong';

/** Bits below which a passphrase is weak, and from which it is strong. */
const FAIR_BITS = 45;
const STRONG_BITS = 70;

const kinds: [RegExp, number][] = [
  [/[a-z]/, 26],
  [/[A-Z]/, 26],
  [/[0-9]/, 10],
  [/[^a-zA-Z0-9]/, 33],
];

/** A character that repeats the one before it, or follows it in the alphabet, adds nothing. */
function surprises(passphrase: string): number {
  const codes = [...passphrase].map((letter) => letter.codePointAt(0) ?? 0);
  return codes.filter((code, index) => {
    const step = code - (codes[index - 1] ?? -9);
    return Math.abs(step) > 1;
  }).length;
}

/** The strength of a passphrase. */
export function strengthOf(passphrase: string): Strength {
  const pool = kinds.reduce((sum, [kind, size]) => sum + (kind.test(passphrase) ? size : 0), 0);
  const bits = pool === 0 ? 0 : surprises(passphrase) * Math.log2(pool);
  if (bits < FAIR_BITS) return 'weak';
  return bits < STRONG_BITS ? 'fair' : 'strong';
}
