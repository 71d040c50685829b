/** What a node asks of those whose payments it passes on. */
export interface LdkForwardingPolicy {
  feeBaseMsat: number;
  feeProportionalMillionths: number;
  /** LDK takes no less than 42. */
  cltvExpiryDelta: number;
}

/** One direction of a channel, as its latest `channel_update` says. */
export interface LdkGraphDirection extends LdkForwardingPolicy {
  enabled: boolean;
  htlcMinimumMsat: bigint;
  htlcMaximumMsat: bigint;
  timestamp: number;
}

/** A channel of the network graph. */
export interface LdkGraphChannel {
  shortChannelId: bigint;
  /** The lesser node id, 33 bytes. */
  nodeId1: Uint8Array;
  nodeId2: Uint8Array;
  /** Known where announcements are checked against the chain. */
  capacitySat?: bigint;
  oneToTwo?: LdkGraphDirection;
  twoToOne?: LdkGraphDirection;
}

/** A node of the network graph, and its `node_announcement` where there was one. */
export interface LdkGraphNode {
  nodeId: Uint8Array;
  shortChannelIds: readonly bigint[];
  announcement?: {
    /** Without the zeros at its end. */
    alias: string;
    /** 3 bytes. */
    rgb: Uint8Array;
    timestamp: number;
    /** `host:port`, of IPv4 alone. */
    addresses: readonly string[];
    features: readonly number[];
  };
}

/** What a node knows of the network by gossip. */
export interface LdkNetworkGraph {
  channels: readonly LdkGraphChannel[];
  nodes: readonly LdkGraphNode[];
}

export interface LdkAnnounceNode {
  /** At most 32 bytes of UTF-8. */
  alias: string;
  /** Black by default. */
  rgb?: Uint8Array;
  /** Announces the node's own address and port. */
  withAddress?: boolean;
}

export interface LdkCreateInvoice {
  /** Without it, the payer chooses. */
  amountMsat?: bigint;
  description: string;
  /** An hour by default. */
  expirySeconds?: number;
  /** Blocks; LDK takes no less than 24. */
  minFinalCltvDelta?: number;
  /** Of a preimage that LDK does not know: the payment is held, whatever the policy says. */
  paymentHash?: Uint8Array;
}

/** The channel before the last one, and the node that begins it (BOLT 11, field `r`). */
export interface LdkRouteHint extends LdkForwardingPolicy {
  nodeId: Uint8Array;
  shortChannelId: bigint;
}

/** A BOLT 11 invoice as LDK reads it. */
export interface LdkInvoice {
  text: string;
  payee: Uint8Array;
  paymentHash: Uint8Array;
  paymentSecret: Uint8Array;
  amountMsat?: bigint;
  /** Absent where the invoice has the hash of one. */
  description?: string;
  timestamp: bigint;
  expirySeconds: bigint;
  minFinalCltvDelta: bigint;
  features: readonly number[];
  routeHints: readonly (readonly LdkRouteHint[])[];
}

/** The limits that LDK's router keeps to. */
export interface LdkRoutingLimits {
  /** How often failed parts are tried again. */
  retries?: number;
  /** The most parts at a time; 10 is LDK's default. */
  maxParts?: number;
  /** 1 % and 50 sat by default. */
  maxFeeMsat?: bigint;
  /** Blocks; 1008 by default. */
  maxTotalCltvDelta?: number;
  /**
   * The share of a channel that one part may take, as a power of one half: 0 is all of it, 2, the default, a
   * quarter, which is given up where nothing else is found.
   */
  maxSaturationPowerOfHalf?: number;
}

export interface LdkPayInvoice extends LdkRoutingLimits {
  invoice: string;
  /** Where the invoice leaves it to the payer. */
  amountMsat?: bigint;
}

export interface LdkProbe {
  pubkey: Uint8Array;
  amountMsat: bigint;
  finalCltvDelta?: number;
}

/** A hop of a path that LDK chose. */
export interface LdkPathHop {
  nodeId: Uint8Array;
  shortChannelId: bigint;
  /** What this hop's node takes; the amount that arrives, at the last. */
  feeMsat: bigint;
  cltvExpiryDelta: number;
}

/** What an error said about the network. */
export type LdkNetworkUpdate =
  | { kind: 'channel'; shortChannelId: bigint; permanent: boolean }
  | { kind: 'node'; nodeId: Uint8Array; permanent: boolean };

/** One HTLC of a payment that was claimed. */
export interface LdkClaimedPart {
  channelId: Uint8Array;
  valueMsat: bigint;
  cltvExpiry: number;
}
