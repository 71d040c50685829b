import type { BenchMeasurement } from './benchResult.js';

export interface RivuletChildOptions {
  /** 64 bytes. */
  seed: Uint8Array;
  dataDir: string;
  bitcoind: { url: string; user: string; password: string };
  /** Where it keeps what it learns of the network; in memory otherwise. */
  gossip?: { path: string; checkFunding: boolean };
  /** What it asks for forwarding; the node's default otherwise. */
  forwardingFee?: { feeBaseMsat: number; feeProportionalMillionths: number };
}

/** What the child tells once it runs. */
export interface RivuletChildStarted {
  nodeId: string;
  port: number;
  /** Where its wallet wants to be paid. */
  walletScript: Uint8Array;
  cryptoBackend: string;
}

export interface RivuletSendMany {
  destination: string;
  amountMsat: bigint;
  payments: number;
  inFlight: number;
}

interface RivuletChildStatus {
  height: number;
  usableChannels: number;
  /** Announced channels whose terms are known in both directions. */
  knownChannels: number;
  /** HTLCs that are not over yet, of all channels. */
  pendingHtlcs: number;
}

interface RivuletGossipStatus {
  channels: number;
  /** With channels. */
  nodes: number;
  /** Nodes that have announced themselves. */
  announcedNodes: number;
  /** Whether all of some peer's network was asked for, and is here. */
  synced: boolean;
  pendingVerification: number;
}

export interface RivuletUsage {
  rssBytes: number;
  /** Of this process since its start. */
  cpuMs: number;
}

/** What the parent may ask of the process of a node. */
export interface RivuletChildMethods {
  start(options: RivuletChildOptions): Promise<RivuletChildStarted>;
  connect(peer: { nodeId: string; port: number }): Promise<void>;
  openChannel(channel: {
    nodeId: string;
    capacitySat: bigint;
    pushMsat: bigint;
    announce?: boolean;
  }): Promise<void>;
  status(): Promise<RivuletChildStatus>;
  /** Cheap, however large the network. */
  gossipStatus(): Promise<RivuletGossipStatus>;
  sendMany(request: RivuletSendMany): Promise<BenchMeasurement>;
  /** After a garbage collection. */
  usage(): Promise<RivuletUsage>;
  stop(): Promise<void>;
}
