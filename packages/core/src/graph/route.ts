/** One channel of a route, and what its HTLC carries. */
export interface RouteHop {
  /** The node that this channel leads to, 33 bytes. */
  readonly nodeId: Uint8Array;
  /**
   * The channel, as the node that sends into it knows it: a real id, an alias, or what a hint says. For the
   * first hop it is `FirstHop.shortChannelId`.
   */
  readonly shortChannelId: bigint;
  /** 0 where the sending node is `node_id_1`, the lesser of both ids (BOLT 7). */
  readonly direction: 0 | 1;
  /** What the HTLC in this channel is worth. */
  readonly amountMsat: bigint;
  /** The HTLC expires so many blocks above the height at which the route is used. */
  readonly cltvDelta: number;
}

/** A way to the destination: never empty. The first hop is one of our own channels. */
export interface Route {
  readonly hops: readonly RouteHop[];
  /** What arrives. */
  readonly amountMsat: bigint;
  /** What the nodes on the way take: the first hop's amount less what arrives. */
  readonly feeMsat: bigint;
  /** The estimate that all channels carry it: above 0, at most 1. */
  readonly probability: number;
}

/** A channel of ours that a payment may begin with. */
export interface FirstHop {
  readonly nodeId: Uint8Array;
  /** Names it within one request; it is in no payload. */
  readonly shortChannelId: bigint;
  readonly spendableMsat: bigint;
  readonly minimumMsat: bigint;
}

/** A forwarding node behind which an unannounced channel begins (BOLT 11, field `r`). */
export interface HintHop {
  /** The node at the beginning of the channel. */
  readonly nodeId: Uint8Array;
  readonly shortChannelId: bigint;
  readonly feeBaseMsat: number;
  readonly feeProportionalMillionths: number;
  readonly cltvExpiryDelta: number;
  /** Unknown for those of BOLT 11. */
  readonly htlcMinimumMsat?: bigint;
  readonly htlcMaximumMsat?: bigint;
}

/** One direction of one channel, as a key: the id in decimals, a slash, the direction. */
export type DirectedChannel = `${bigint}/${0 | 1}`;

export interface RouteRequest {
  readonly source: Uint8Array;
  /** May be the source: then the route is a circle, whose last channel is one of `hints`. */
  readonly destination: Uint8Array;
  readonly amountMsat: bigint;
  /** What the destination asks for, in blocks. */
  readonly finalCltvDelta: number;
  readonly maxFeeMsat: bigint;
  /** The most that the first HTLC may last, in blocks, the final delta included. */
  readonly maxCltvDelta: number;
  readonly firstHops: readonly FirstHop[];
  /** Ways over unannounced channels, each ending at the destination. */
  readonly hints: readonly (readonly HintHop[])[];
  /** 1 where the destination takes one HTLC only. */
  readonly maxParts: number;
  /** How many hops the onion has room for, the last included: its payload is the longest. */
  readonly maxHops: number;
  /** Node ids in hex. */
  readonly excludedNodes: ReadonlySet<string>;
  readonly excludedChannels: ReadonlySet<DirectedChannel>;
  /** What payments of ours hold in channels now. */
  readonly inFlightMsat: ReadonlyMap<DirectedChannel, bigint>;
  /** Milliseconds since 1970, for estimates that decay. */
  readonly nowMs: number;
  readonly blockHeight: number;
}

/** Why there is no route: each is a sentence of its own to the user. */
export type NoRoute =
  /** None of our channels is usable. */
  | { readonly reason: 'no_channels' }
  /** All our channels together (or the best one, where one part is the limit) carry less. */
  | { readonly reason: 'insufficient_balance'; readonly spendableMsat: bigint }
  /** The destination is not in the graph and nobody gave a hint. */
  | { readonly reason: 'destination_unknown' }
  /** Nothing connects us at this amount, whatever it may cost. */
  | { readonly reason: 'no_path' }
  /** There is a route within all limits but this: what it would cost. */
  | { readonly reason: 'fee_limit'; readonly feeMsat: bigint }
  /** There is a route within all limits but this: how long it would last. */
  | { readonly reason: 'cltv_limit'; readonly cltvDelta: number }
  /** There is a route, but it has more hops than the onion has room for beside the records. */
  | { readonly reason: 'too_many_hops'; readonly hops: number };

export type RouteResult =
  | { readonly type: 'found'; readonly routes: readonly Route[] }
  | ({ readonly type: 'none' } & NoRoute);

/** What was seen of a channel's liquidity, and what it teaches. */
export interface LiquidityObservation {
  readonly shortChannelId: bigint;
  readonly direction: 0 | 1;
  /** That went through, or that did not. */
  readonly amountMsat: bigint;
  /**
   * `carried`: an HTLC of this amount passed, it may have come back later. `settled`: it passed and was
   * settled, so that so much less is there now. `refused`: it could not pass.
   */
  readonly outcome: 'carried' | 'settled' | 'refused';
}
