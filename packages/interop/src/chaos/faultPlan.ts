import { createDice } from '../interop/dice.js';
import type { StorageFault } from './faultyStorage.js';

/** Which node: its place in the list. */
type NodeIndex = number;

/** One thing that goes wrong, or that just happens, in the world of the nodes. */
export type Fault =
  | { readonly kind: 'kill'; readonly node: NodeIndex; readonly downMs: number }
  | { readonly kind: 'restart'; readonly node: NodeIndex; readonly downMs: number }
  /** Strikes when the node comes to that transaction; started again `downMs` after it ended. */
  | {
      readonly kind: 'storage';
      readonly node: NodeIndex;
      readonly fault: StorageFault;
      readonly downMs: number;
    }
  | { readonly kind: 'cut'; readonly wire: number }
  | { readonly kind: 'cut_after'; readonly wire: number; readonly bytes: number }
  | { readonly kind: 'half_close'; readonly wire: number; readonly side: 'near' | 'far' }
  | { readonly kind: 'delay'; readonly wire: number; readonly delayMs: number; readonly forMs: number }
  | { readonly kind: 'silence'; readonly wire: number; readonly forMs: number }
  | { readonly kind: 'refuse'; readonly wire: number; readonly forMs: number }
  /** From now on the node's clock is this far from the machine's. */
  | { readonly kind: 'clock'; readonly node: NodeIndex; readonly aheadMs: number }
  | { readonly kind: 'mine'; readonly blocks: number; readonly empty: boolean }
  | { readonly kind: 'reorganise'; readonly depth: number; readonly empty: boolean }
  /** As when the server is restarted without what waited in it. */
  | { readonly kind: 'lose_mempool' }
  | { readonly kind: 'feerate'; readonly feeratePerKw: number }
  | {
      readonly kind: 'chain_away';
      readonly node: NodeIndex;
      readonly how: 'silence' | 'refuse';
      readonly forMs: number;
    }
  /** `pick` chooses among the channels that are open then. */
  | { readonly kind: 'force_close'; readonly node: NodeIndex; readonly pick: number };

export interface PlannedFault {
  /** From the beginning of the faults. */
  readonly atMs: number;
  readonly fault: Fault;
}

type Dice = (sides: number) => number;
type Maker = (roll: Dice, world: { nodes: number; wires: number }) => Fault;

const between = (roll: Dice, low: number, high: number): number => low + roll(high - low + 1);
const hourMs = 3_600_000;

function storageFault(roll: Dice): StorageFault {
  const after = between(roll, 1, 12);
  switch (roll(10)) {
    case 0:
    case 1:
      return { kind: 'torn_commit', after, seed: roll(1_000_000) };
    case 2:
    case 3:
      return {
        kind: 'disk_full',
        when: roll(2) === 0 ? 'first_write' : 'commit',
        after,
        times: between(roll, 1, 4),
      };
    case 4:
      return { kind: 'io', when: roll(2) === 0 ? 'before' : 'lost_answer', after };
    default: {
      const whens = ['before_begin', 'before_commit', 'after_commit', 'after_release'] as const;
      return { kind: 'die', when: whens[roll(4)] as (typeof whens)[number], after };
    }
  }
}

/** How often each comes, in an average minute. */
const makers: readonly { readonly perMinute: number; readonly make: Maker }[] = [
  {
    perMinute: 2,
    make: (roll, { nodes }) => ({ kind: 'kill', node: roll(nodes), downMs: between(roll, 0, 6_000) }),
  },
  {
    perMinute: 0.5,
    make: (roll, { nodes }) => ({ kind: 'restart', node: roll(nodes), downMs: between(roll, 0, 4_000) }),
  },
  {
    perMinute: 8,
    make: (roll, { nodes }) => ({
      kind: 'storage',
      node: roll(nodes),
      fault: storageFault(roll),
      downMs: between(roll, 0, 3_000),
    }),
  },
  { perMinute: 2, make: (roll, { wires }) => ({ kind: 'cut', wire: roll(wires) }) },
  {
    perMinute: 3,
    make: (roll, { wires }) => ({ kind: 'cut_after', wire: roll(wires), bytes: between(roll, 1, 6_000) }),
  },
  {
    perMinute: 1,
    make: (roll, { wires }) => ({
      kind: 'half_close',
      wire: roll(wires),
      side: roll(2) === 0 ? 'near' : 'far',
    }),
  },
  {
    perMinute: 1.5,
    make: (roll, { wires }) => ({
      kind: 'delay',
      wire: roll(wires),
      delayMs: between(roll, 20, 1_500),
      forMs: between(roll, 1_000, 12_000),
    }),
  },
  {
    perMinute: 1,
    make: (roll, { wires }) => ({ kind: 'silence', wire: roll(wires), forMs: between(roll, 1_000, 25_000) }),
  },
  {
    perMinute: 0.7,
    make: (roll, { wires }) => ({ kind: 'refuse', wire: roll(wires), forMs: between(roll, 1_000, 10_000) }),
  },
  {
    perMinute: 1.5,
    make: (roll, { nodes }) => ({
      kind: 'clock',
      node: roll(nodes),
      // Now and then it is right again.
      aheadMs: roll(4) === 0 ? 0 : between(roll, -12 * hourMs, 12 * hourMs),
    }),
  },
  {
    perMinute: 9,
    make: (roll) => ({
      kind: 'mine',
      blocks: roll(6) === 0 ? between(roll, 2, 4) : 1,
      empty: roll(8) === 0,
    }),
  },
  {
    perMinute: 1.2,
    make: (roll) => ({
      kind: 'reorganise',
      depth: roll(10) === 0 ? 50 : between(roll, 1, 10),
      empty: roll(4) === 0,
    }),
  },
  {
    perMinute: 0.7,
    make: (roll) => ({
      kind: 'feerate',
      feeratePerKw: [253, 253, 500, 1_000, 2_500][roll(5)] as number,
    }),
  },
  {
    perMinute: 1.2,
    make: (roll, { nodes }) => ({
      kind: 'chain_away',
      node: roll(nodes),
      how: roll(2) === 0 ? 'silence' : 'refuse',
      forMs: between(roll, 1_000, 15_000),
    }),
  },
  {
    perMinute: 1.2,
    make: (roll, { nodes }) => ({ kind: 'force_close', node: roll(nodes), pick: roll(1_000) }),
  },
  { perMinute: 0.4, make: () => ({ kind: 'lose_mempool' }) },
];

/** All faults of a run, in order: the same for the same seed. */
export function planFaults(given: {
  readonly seed: number;
  readonly minutes: number;
  readonly nodes: number;
  readonly wires: number;
}): readonly PlannedFault[] {
  const { seed, minutes, ...world } = given;
  const endMs = minutes * 60_000;
  const planned: PlannedFault[] = [];
  makers.forEach(({ perMinute, make }, index) => {
    // Each kind has dice of its own: a change of one leaves the others as they are.
    const roll = createDice(seed * 1_000 + index + 1);
    for (let i = 0; i < 8; i++) roll(2);
    const meanMs = 60_000 / perMinute;
    let atMs = 0;
    for (;;) {
      // As rain falls: the time to the next one does not depend on the last.
      atMs += -Math.log((roll(1_000_000) + 1) / 1_000_001) * meanMs;
      if (atMs >= endMs) break;
      planned.push({ atMs: Math.round(atMs), fault: make(roll, world) });
    }
  });
  return planned.sort((a, b) => a.atMs - b.atMs);
}
