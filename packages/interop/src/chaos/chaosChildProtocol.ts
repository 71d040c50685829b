import type { EndpointName, Payment } from '@rivulet/sdk';
import type { StorageFault } from './faultyStorage.js';

export interface ChaosChildOptions {
  /** 64 bytes. */
  readonly seed: Uint8Array;
  readonly dataDir: string;
  /** Of its listener; 0 for a free one. */
  readonly port: number;
  readonly chain:
    | { readonly kind: 'bitcoind'; readonly url: string; readonly user: string; readonly password: string }
    | { readonly kind: 'esplora'; readonly url: string };
  /** How far its clock is from the machine's. */
  readonly aheadMs: number;
}

export interface ChaosChildStarted {
  readonly nodeId: string;
  readonly port: number;
}

/** A channel, as far as the checks need it. */
export interface ChannelFacts {
  readonly channelId: string;
  readonly remoteNodeId: string;
  readonly localIsOpener: boolean;
  readonly anchors: boolean;
  /** In display order. */
  readonly fundingTxidHex: string;
  readonly fundingOutputIndex: number;
  readonly fundingSat: bigint;
  readonly pushMsat: bigint;
  readonly phase: string;
  readonly link: string;
  /** Why it failed. */
  readonly error?: string;
  readonly usable: boolean;
  readonly shuttingDown: boolean;
  readonly localMsat: bigint;
  readonly remoteMsat: bigint;
  readonly htlcs: number;
  /** The irrevocable one, and those that are on their way. */
  readonly feeratesPerKw: readonly number[];
}

export interface ChaosNodeState {
  readonly blockHeight: number;
  readonly synced: boolean;
  readonly channels: readonly ChannelFacts[];
  /** Channels that an internal fault stopped. */
  readonly stopped: readonly string[];
  /** What the node's own checks find, where they were run. */
  readonly broken?: readonly string[];
  /** Outgoing payments under way. */
  readonly sendings: number;
  readonly forwards: number;
  readonly onchain: { readonly confirmedSat: bigint; readonly unconfirmedSat: bigint };
  readonly peers: readonly string[];
  readonly rssBytes: number;
  readonly cpuMs: number;
}

export interface ChaosNodeBooks {
  readonly payments: readonly Payment[];
  /** Of forwards that were settled, over all time. */
  readonly forwardFeeMsat: bigint;
  /** All scripts that the wallet watches, in hex. */
  readonly walletScripts: readonly string[];
  readonly walletCoins: readonly { readonly outpoint: string; readonly valueSat: bigint }[];
  readonly integrity: readonly string[];
}

/** What the parent may ask of the process of a node. */
export interface ChaosChildMethods {
  start(options: ChaosChildOptions): Promise<ChaosChildStarted>;
  api(name: EndpointName, request: unknown): Promise<unknown>;
  arm(fault: StorageFault | undefined): Promise<void>;
  setClock(aheadMs: number): Promise<void>;
  height(): Promise<number>;
  /** With `check` the node's own checks are run, which costs it some milliseconds. */
  state(options: { readonly check: boolean }): Promise<ChaosNodeState>;
  books(): Promise<ChaosNodeBooks>;
  halt(): Promise<void>;
}

/** What the child tells of itself. */
export interface ChaosChildNotes {
  /** Payment hashes of hold invoices that are paid in full. */
  held: string;
  /** A storage fault has struck, and the process lives on. */
  storageFault: StorageFault;
}
