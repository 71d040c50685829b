/** Numbers from 0 to below 1, the same for the same seed on every machine. */
export type BenchRandom = () => number;

/** The generator "mulberry32": 32 bits of state, good enough to draw networks and pairs. */
export function createBenchRandom(seed: number): BenchRandom {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** An integer from 0 to below `limit`. */
export function below(random: BenchRandom, limit: number): number {
  return Math.floor(random() * limit);
}

/** From `least` to `most`, each order of magnitude as likely as another. */
export function logUniform(random: BenchRandom, [least, most]: readonly [number, number]): number {
  return Math.round(least * (most / least) ** random());
}
