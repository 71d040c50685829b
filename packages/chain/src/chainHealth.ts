/**
 * How a source of blocks is doing.
 * - `ok`: it answers, and its chain is as new as it can be known to be.
 * - `behind`: it answers, but has not all blocks yet, or fewer than were seen before.
 * - `unreachable`: it does not answer, or refuses to.
 * - `stalled`: it answers, but its newest block is older than the network would let it be.
 * - `disagreeing`: servers show different chains; the one with the most work is followed.
 */
export type ChainState = 'ok' | 'behind' | 'unreachable' | 'stalled' | 'disagreeing';

/** One server of several. */
export interface ServerHealth {
  readonly url: string;
  readonly state: ChainState;
  /** Since when, in milliseconds since 1970. */
  readonly sinceMs: number;
  readonly tipHeight: number | undefined;
  /** The time in the header of its newest block, in milliseconds since 1970. */
  readonly tipTimeMs: number | undefined;
  /** For people. */
  readonly detail: string;
}

export interface ChainHealth {
  readonly state: ChainState;
  /** Since when, in milliseconds since 1970. */
  readonly sinceMs: number;
  readonly tipHeight: number | undefined;
  /** The time in the header of the newest block, in milliseconds since 1970. */
  readonly tipTimeMs: number | undefined;
  /** For people: what is wrong, and with whom. */
  readonly detail: string;
  /** Where there are several servers: each of them. */
  readonly servers?: readonly ServerHealth[];
}

/** Whether what is decided by the chain's height can be decided now. */
export function isCurrent({ state }: Pick<ChainHealth, 'state'>): boolean {
  switch (state) {
    case 'ok':
    case 'disagreeing':
      return true;
    case 'behind':
    case 'unreachable':
    case 'stalled':
      return false;
  }
}

/** Without a block for so long, a chain of ten-minute blocks has stopped: once in 65 million blocks by chance. */
export const defaultStallMs = 3 * 3_600_000;
