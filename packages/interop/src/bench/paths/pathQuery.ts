/** What both implementations are asked alike. */
export interface PathQuery {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly amountMsat: bigint;
  readonly maxFeeMsat: bigint;
  readonly maxParts: number;
  /** The source's channels, which charge nothing. */
  readonly firstHops: readonly {
    readonly nodeId: Uint8Array;
    readonly shortChannelId: bigint;
    readonly capacitySat: number;
    readonly spendableMsat: bigint;
    readonly minimumMsat: bigint;
  }[];
}

export interface AnsweredHop {
  readonly nodeId: Uint8Array;
  readonly shortChannelId: bigint;
  /** What the HTLC in this channel is worth. */
  readonly amountMsat: bigint;
  /** Above the height at which the route is used. */
  readonly cltvDelta: number;
}

export interface PathAnswer {
  readonly elapsedMs: number;
  /** A list of hops a part. */
  readonly parts: readonly (readonly AnsweredHop[])[] | undefined;
  /** Why there is none. */
  readonly reason?: string;
}

/** Limits that are the same for all queries: those that LDK begins with. */
export const pathLimits = { finalCltvDelta: 42, maxCltvDelta: 1008, maxHops: 19 } as const;

/** The most that a payment may cost: what LDK's RouteParameters begin with. */
export function feeLimit(amountMsat: bigint): bigint {
  return amountMsat / 100n + 50_000n;
}

/** How a graph came into memory. */
export interface LoadedGraph {
  readonly loadMs: number;
  readonly channels: number;
  readonly nodes: number;
  /** By how much the resident memory grew. */
  readonly rssBytes: number;
  /** By how much the JavaScript heap and its buffers grew; LDK's are in WebAssembly. */
  readonly heapBytes: number | undefined;
}

/** What a process that finds paths is asked by its parent. */
export interface PathsChildMethods {
  /** Loads what `graphPath` holds: a gossip store for Rivulet, LDK's own format for LDK. */
  load(graphPath: string): Promise<LoadedGraph>;
  find(queries: readonly PathQuery[]): Promise<PathAnswer[]>;
}
