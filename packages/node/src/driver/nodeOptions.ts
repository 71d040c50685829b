import type { ChainBackend, Network } from '@rivulet/chain';
import type { AcceptPolicy, Channel, ChannelFormat, OpeningLimits } from '@rivulet/core/channel';
import type { ForwardLimits } from '@rivulet/core/forwarding';
import type { ReceivePolicy } from '@rivulet/core/payment';
import type {
  GossipStore,
  IncomingPayment,
  ListedInvoice,
  NodeStorage,
  OutgoingPayment,
  StorageError,
} from '@rivulet/storage';
import type { GossipLimits } from '../gossip/index.js';
import type { Logger } from '../logging/logger.js';
import type { Scheduler } from '../peers/index.js';
import type { NodeProfile } from './announcing.js';
import type { ChannelPolicySettings } from './channelPolicies.js';
import type { RivuletNode } from './node.js';
import type { NodePart } from './nodePart.js';
import type { SendDefaults } from './payments/outgoing.js';
import type { KeysendPolicyPort, WaitingKeysend } from './payments/receiver.js';
import type { RebalancePolicy } from './rebalancer.js';

/** What a channel may do, and payments; see ChannelPolicy and AcceptPolicy of the core. */
export interface NodePolicy {
  readonly receive: ReceivePolicy;
  readonly limits: OpeningLimits;
  readonly accept: AcceptPolicy;
  readonly maxDustExposureMsat: bigint;
  readonly anchors: boolean;
  /** What new channels are, where the peer has it. */
  readonly defaultCommitment?: ChannelFormat['commitment'];
  readonly sending: SendDefaults;
  readonly forwarding: {
    readonly enabled: boolean;
    readonly limits: ForwardLimits;
    /** What holds for channels for which nothing else is set. */
    readonly policy: ChannelPolicySettings;
  };
  readonly rebalance: RebalancePolicy;
  /** Blocks for which a channel that is over on chain is still watched; BOLT 5 asks for 100. */
  readonly watchDepth?: number;
  readonly gossip: {
    /** Learn the network from peers, and pass on what was checked. */
    readonly enabled: boolean;
    /** Look on chain for the funding of every announced channel before it is believed. */
    readonly checkFunding: boolean;
    readonly limits?: Partial<GossipLimits>;
  };
}

/** Says whether something new may begin. */
export interface Admission {
  readonly accepting: boolean;
  /** Why no channel can be opened now, for people. */
  readonly whyNoChannels: string | undefined;
  /** What becomes of a keysend that has arrived: it is not settled yet. All are taken where it is absent. */
  readonly keysendPolicy?: KeysendPolicyPort | undefined;
  /** The database could not store a turn. */
  onStorageFailure?(error: StorageError): void;
}

export interface NodeOptions {
  readonly network: Network;
  /** 64 bytes: of the wallet's words. */
  readonly seed: Uint8Array;
  readonly storage: NodeStorage;
  readonly backend: ChainBackend;
  readonly policy: NodePolicy;
  readonly logger: Logger;
  /** What others see of this node once it has an announced channel. */
  readonly profile?: Pick<NodeProfile, 'alias' | 'rgbColor' | 'addresses'>;
  /** Where gossip is kept; in memory where it is absent. The node closes it. */
  readonly gossipStore?: GossipStore;
  /** Whether peers with channels are dialed when they are gone; unless it is false. */
  readonly reconnect?: boolean;
  readonly scheduler?: Scheduler;
  readonly randomBytes?: (count: number) => Uint8Array;
  /** Whether new HTLCs and channels may begin; what is under way goes on. Always, where it is absent. */
  readonly admission?: Admission;
  /** What else sees what channels see: backups, towers, checks. Called once, when the node is made. */
  readonly parts?: (node: RivuletNode) => readonly NodePart[];
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

export interface NodeEvents {
  payment: [payment: OutgoingPayment | IncomingPayment];
  /** A hold invoice is paid in full. */
  invoiceHeld: [invoice: ListedInvoice];
  /** A keysend that has arrived waits for somebody's decision. */
  keysendHeld: [keysend: WaitingKeysend];
  channel: [channel: Channel];
  peerConnected: [nodeId: string];
  peerDisconnected: [peer: { nodeId: string; reason: string }];
  /** Nothing new is taken from here on. */
  stopping: [];
  block: [tip: { height: number; hash: Uint8Array }];
}
