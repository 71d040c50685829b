import type {
  LdkClaimedPart,
  LdkForwardingPolicy,
  LdkNetworkUpdate,
  LdkPathHop,
  LdkRoutingLimits,
} from './ldkNetworkTypes.js';

/** How the peer commits: `anchors` is `option_anchors`, `static_remotekey` the type without anchors. */
export type LdkChannelType = 'anchors' | 'static_remotekey' | 'other';

/** A block as LDK wants it. The hash is in internal byte order; a transaction's index is its position. */
export interface LdkBlock {
  height: number;
  hash: Uint8Array;
  /** 80 bytes. */
  header: Uint8Array;
  transactions: readonly Uint8Array[];
}

export interface LdkTip {
  height: number;
  hash: Uint8Array;
}

/** What an LDK node needs of a chain; see `ldkChain.ts` for the one over Rivulet's ChainBackend. */
export interface LdkChain {
  tip(): Promise<LdkTip>;
  /** The active chain's block at a height. */
  block(height: number): Promise<LdkBlock | undefined>;
  /** Broadcasts a package (parents first). Rejects with the reason when the chain refuses it. */
  broadcast(transactions: readonly Uint8Array[]): Promise<void>;
  /** Calls the listener after every change of the tip, until the returned function is called. */
  onTip(listener: () => void): () => void;
}

/** Makes a signed transaction that pays `valueSat` to `script`, without broadcasting it. */
export type LdkFund = (output: { script: Uint8Array; valueSat: bigint }) => Promise<Uint8Array>;

/** What a received payment does: `claim` at once, `fail` at once, or `hold` until claim/failPayment. */
export type LdkReceivePolicy = 'claim' | 'hold' | 'fail';

/** When the ChannelManager is written: after every entry into LDK, once a second, or at stop alone. */
export type LdkManagerPersistence = 'always' | 'second' | 'stop';

export interface LdkNodeOptions {
  /** 32 bytes. */
  seed: Uint8Array;
  /** Where state is kept, with fsync; without it state is in memory and survives `restart` alone. */
  dataDir?: string;
  channelType?: 'anchors' | 'static_remotekey';
  minimumDepth?: number;
  /** Blocks that the peer's own output waits after a force close; LDK allows no less than 144. */
  toSelfDelay?: number;
  maxAcceptedHtlcs?: number;
  /** Commits the node, when it opens or accepts, to the script that a cooperative close pays. */
  upfrontShutdown?: boolean;
  /** Channels asked for by peers are accepted by hand, at once, unless this is false. */
  acceptChannels?: boolean;
  receivePolicy?: LdkReceivePolicy;
  managerPersistence?: LdkManagerPersistence;
  /** 0 picks a free port, which is kept over restarts. */
  port?: number;
  feeratePerKw?: number;
  /** Lines of LDK's log from this level on are kept for error messages. */
  logLevel?: LdkLogLevel;
  /** Events kept in memory; older ones are dropped. */
  eventHistory?: number;
  /** What it asks for forwarding in channels opened from now on; LDK's defaults otherwise. */
  forwarding?: Partial<LdkForwardingPolicy>;
  /** Announced channels are looked up in the chain, from which LDK learns capacities, unless this is false. */
  checkAnnouncements?: boolean;
  /** Events tell the paths of payments, unless this is false: thousands of payments are faster without. */
  eventPaths?: boolean;
}

export type LdkLogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';

export interface LdkPeerInfo {
  pubkey: Uint8Array;
  /** The feature bits of the peer's `init`. */
  features: readonly number[];
}

export interface LdkHtlc {
  direction: 'in' | 'out';
  /** Absent while an outgoing HTLC waits in LDK's holding cell. */
  id?: bigint;
  amountMsat: bigint;
  paymentHash: Uint8Array;
  cltvExpiry: number;
}

export interface LdkChannel {
  channelId: Uint8Array;
  pubkey: Uint8Array;
  /** Internal byte order. */
  fundingTxid?: Uint8Array;
  fundingIndex?: number;
  shortChannelId?: bigint;
  /** What peers may call it in onions for it, and LDK in invoices. */
  inboundAlias?: bigint;
  channelType: LdkChannelType;
  capacitySat: bigint;
  isOutbound: boolean;
  isReady: boolean;
  /** Ready, and the peer is connected and synchronised. */
  isUsable: boolean;
  /** To be announced to the network once it has 6 confirmations. */
  isAnnounced: boolean;
  isShuttingDown: boolean;
  /** What can be sent: the local balance less reserve and pending HTLCs, never below 0. */
  outboundCapacityMsat: bigint;
  inboundCapacityMsat: bigint;
  nextOutboundHtlcLimitMsat: bigint;
  /** What the peer demands LDK to keep. */
  reserveSat: bigint;
  feeratePerKw: number;
  confirmations: number;
  htlcs: readonly LdkHtlc[];
}

export interface LdkClaimableBalance {
  kind:
    | 'channel'
    | 'awaiting_confirmations'
    | 'contentious'
    | 'htlc_timeout'
    | 'htlc_preimage'
    | 'revoked'
    | 'unknown';
  valueSat: bigint;
}

export interface LdkReceivedPayment {
  paymentHash: Uint8Array;
  amountMsat: bigint;
  /** Absent for a payment that is not spontaneous and whose preimage LDK does not know. */
  preimage?: Uint8Array;
  paymentSecret?: Uint8Array;
  customRecords: ReadonlyMap<bigint, Uint8Array>;
  /** The height at which a payment that is held has to be claimed or failed. */
  claimDeadline?: number;
}

/** LDK's events as plain data, so that they also travel between processes. */
export type LdkEvent =
  | { type: 'peers' }
  | { type: 'block'; height: number }
  | {
      type: 'channelPending';
      channelId: Uint8Array;
      userChannelId: bigint;
      pubkey: Uint8Array;
      fundingTxid: Uint8Array;
      fundingIndex: number;
    }
  | { type: 'channelReady'; channelId: Uint8Array; userChannelId: bigint; pubkey: Uint8Array }
  | {
      type: 'channelClosed';
      channelId: Uint8Array;
      userChannelId: bigint;
      pubkey: Uint8Array;
      reason: string;
    }
  | {
      type: 'channelRequest';
      temporaryChannelId: Uint8Array;
      pubkey: Uint8Array;
      fundingSat: bigint;
      channelType: LdkChannelType;
      accepted: boolean;
    }
  | { type: 'fundingFailed'; channelId: Uint8Array; userChannelId: bigint; reason: string }
  | ({ type: 'paymentClaimable' } & LdkReceivedPayment)
  | {
      type: 'paymentClaimed';
      paymentHash: Uint8Array;
      amountMsat: bigint;
      parts: readonly LdkClaimedPart[];
    }
  | {
      type: 'paymentSent';
      paymentId: Uint8Array;
      paymentHash: Uint8Array;
      preimage: Uint8Array;
      feeMsat: bigint;
    }
  | { type: 'paymentFailed'; paymentId: Uint8Array; reason: string }
  | {
      type: 'paymentPathSuccessful';
      paymentId: Uint8Array;
      paymentHash?: Uint8Array;
      /** Empty with `eventPaths: false`. */
      path: readonly LdkPathHop[];
    }
  | {
      type: 'paymentPathFailed';
      paymentId?: Uint8Array;
      paymentHash: Uint8Array;
      /** The destination said that trying again is in vain. */
      permanent: boolean;
      /** `on_path`, or `initial_send` and why. */
      reason: string;
      /** The channel that failed, where the error told. */
      shortChannelId?: bigint;
      networkUpdate?: LdkNetworkUpdate;
      path: readonly LdkPathHop[];
    }
  | {
      type: 'paymentForwarded';
      fromChannelId: Uint8Array;
      toChannelId: Uint8Array;
      /** Absent when the claim came from the chain. */
      feeMsat?: bigint;
      amountMsat?: bigint;
    }
  | {
      type: 'htlcHandlingFailed';
      /** The channel it came in by. */
      channelId: Uint8Array;
      /** `NextHopChannel`, `UnknownNextHop`, `InvalidForward`, `InvalidOnion`, `FailedPayment`. */
      reason: string;
      nextChannelId?: Uint8Array;
      /** What the onion asked for, where there is no such channel. */
      nextShortChannelId?: bigint;
    }
  | { type: 'probeSuccessful'; paymentId: Uint8Array; path: readonly LdkPathHop[] }
  | {
      type: 'probeFailed';
      paymentId: Uint8Array;
      path: readonly LdkPathHop[];
      shortChannelId?: bigint;
    }
  | { type: 'spendableOutputs'; valuesSat: readonly bigint[] }
  | { type: 'bumpTransaction'; kind: 'commitment' | 'htlcs' }
  | { type: 'broadcast'; txids: readonly Uint8Array[] }
  | { type: 'broadcastRefused'; txids: readonly Uint8Array[]; reason: string }
  | { type: 'other'; name: string };

export interface LdkKeysend extends LdkRoutingLimits {
  pubkey: Uint8Array;
  amountMsat: bigint;
  /** Types from 65536 on. */
  customRecords?: ReadonlyMap<bigint, Uint8Array>;
  /** 32 bytes; random by default. */
  preimage?: Uint8Array;
  /** With a payment secret, which lets LDK split the payment; without, it is one part. */
  withPaymentSecret?: boolean;
  finalCltvDelta?: number;
}

export interface LdkSentPayment {
  paymentHash: Uint8Array;
  preimage: Uint8Array;
  feeMsat: bigint;
}

export interface LdkOpenChannel {
  pubkey: Uint8Array;
  capacitySat: bigint;
  pushMsat?: bigint;
  /** A public channel. */
  announced?: boolean;
}

export interface LdkOpenedChannel {
  channelId: Uint8Array;
  fundingTxid: Uint8Array;
  fundingIndex: number;
}

export interface LdkChannelRef {
  channelId: Uint8Array;
  pubkey: Uint8Array;
}

/** Many keysend payments, driven inside the node's own process. */
export interface LdkSendMany {
  pubkey: Uint8Array;
  amountMsat: bigint;
  payments: number;
  inFlight: number;
}

export interface LdkSendManyResult {
  elapsedMs: number;
  /** One a payment, in the order of settling. */
  latenciesMs: Float64Array;
  /** Milliseconds from the start to the settling of each payment, ascending. */
  settledAtMs: Float64Array;
}
