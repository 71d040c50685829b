import type { ChannelKey } from './htlcRef.js';

/** Two peers with channels, and the connection between them. */
export class Link {
  /** The numbers of both nodes. */
  readonly ends: readonly [number, number];
  readonly keys: ChannelKey[] = [];
  readonly latencyMs: number;
  up = false;
  /** Of the connection: what was sent over an earlier one does not arrive. */
  generation = 0;
  /** When the last message arrives, in each direction: none overtakes another. */
  readonly lastArrivalMs: [number, number] = [0, 0];

  constructor(ends: readonly [number, number], latencyMs: number) {
    this.ends = ends;
    this.latencyMs = latencyMs;
  }

  otherEnd(of: number): number {
    return this.ends[0] === of ? this.ends[1] : this.ends[0];
  }
}
