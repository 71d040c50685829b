import { createDice } from '../interop/dice.js';
import { dimensions, type Situation } from './situation.js';

const keys = Object.keys(dimensions) as (keyof Situation)[];

/** Every three values of a situation that go together, as one text each. */
function triplesOf(situation: Situation): string[] {
  const found: string[] = [];
  for (let a = 0; a < keys.length; a++)
    for (let b = a + 1; b < keys.length; b++)
      for (let c = b + 1; c < keys.length; c++) {
        const three = [keys[a], keys[b], keys[c]] as (keyof Situation)[];
        found.push(three.map((key) => `${key}=${situation[key]}`).join(' '));
      }
  return found;
}

function shuffled<T>(items: readonly T[], seed: number): T[] {
  const roll = createDice(seed);
  const left = [...items];
  const found: T[] = [];
  while (left.length > 0) {
    const index = roll(left.length);
    const [last] = left.splice(left.length - 1, 1) as [T];
    if (index < left.length) {
      found.push(left[index] as T);
      left[index] = last;
    } else found.push(last);
  }
  return found;
}

/**
 * At most `count` of the situations: as many different threes of values as they can have between them (most
 * faults need no more than three things to come together), then others. The same ones for a seed.
 */
export function sample(
  situations: readonly Situation[],
  { seed, count }: { readonly seed: number; readonly count: number },
): Situation[] {
  const order = shuffled(situations, seed);
  const chosen = new Set<Situation>();
  const seen = new Set<string>();
  const threes = new Map(order.map((situation) => [situation, triplesOf(situation)]));
  // First those that add much, then those that add anything.
  for (const least of [32, 16, 8, 4, 2, 1, 0]) {
    for (const situation of order) {
      if (chosen.size >= count) return situations.filter((one) => chosen.has(one));
      if (chosen.has(situation)) continue;
      const fresh = (threes.get(situation) ?? []).filter((three) => !seen.has(three));
      if (fresh.length < least) continue;
      chosen.add(situation);
      for (const three of fresh) seen.add(three);
    }
  }
  return situations.filter((one) => chosen.has(one));
}
