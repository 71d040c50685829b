import type { Settlement } from '../../channel/index.js';
import type { Route } from '../../graph/index.js';
import { readFailure, readFulfillAttribution } from '../../onion/index.js';

/** A node that kept an HTLC longer than it needs to pass it on. */
export interface SlowHop {
  /** 33 bytes. */
  readonly nodeId: Uint8Array;
  /** By itself: what it says less what the node behind it says. */
  readonly heldMs: number;
}

/**
 * The node on a route that held the HTLC longest by itself, where that is at least `thresholdMs` (BOLT 4: hold
 * times). A node can only make itself look slower than it is, or put its own delay upon the one behind it: then
 * the two together are known.
 * @param holdTimesMs of the hops from the first one on, as far as they are proved.
 */
export function slowestHop(
  route: Route,
  { holdTimesMs, thresholdMs }: { holdTimesMs: readonly number[]; thresholdMs: number },
): SlowHop | undefined {
  let slowest: SlowHop | undefined;
  holdTimesMs.forEach((heldMs, i) => {
    const hop = route.hops[i];
    // The last that is proved may have waited for one that is not.
    const isProvedAlone = i + 1 < holdTimesMs.length || i + 1 === route.hops.length;
    const ownMs = heldMs - (holdTimesMs[i + 1] ?? 0);
    if (hop === undefined || !isProvedAlone || ownMs < thresholdMs) return;
    if (slowest === undefined || ownMs > slowest.heldMs) slowest = { nodeId: hop.nodeId, heldMs: ownMs };
  });
  return slowest;
}

/** What an HTLC of ours came to, as far as it tells how long each hop held it. */
type Answer =
  | { readonly type: 'fulfilled'; readonly attributionData?: Uint8Array }
  | { readonly type: 'failed'; readonly settlement: Settlement }
  | { readonly type: 'timed_out_on_chain' };

/** How long each hop held an HTLC, as far as it is proved, from the first one on (BOLT 4: hold times). */
export function holdTimesOf(answer: Answer, sharedSecrets: readonly Uint8Array[]): readonly number[] {
  if (answer.type === 'fulfilled') {
    const { attributionData } = answer;
    return readFulfillAttribution({ sharedSecrets, attributionData })?.holdTimesMs ?? [];
  }
  if (answer.type !== 'failed' || answer.settlement.type !== 'fail') return [];
  const read = readFailure({ sharedSecrets, ...answer.settlement });
  return read.type === 'unattributable' ? [] : read.holdTimesMs;
}
