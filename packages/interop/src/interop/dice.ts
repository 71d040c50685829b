/** A linear congruential generator: the same walk for the same seed, on both sides of every race but time. */
export function createDice(seed: number): (sides: number) => number {
  let state = BigInt(seed);
  return (sides) => {
    state = (state * 6_364_136_223_846_793_005n + 1_442_695_040_888_963_407n) & ((1n << 64n) - 1n);
    return Number(state >> 33n) % sides;
  };
}
