import type { ReceivePolicy } from '@rivulet/core/payment';
import type { NodeEvent, NodeService } from '@rivulet/sdk';
import type { ChangeSource } from './waitUntil.js';

/** What a Rivulet under test is started with; plain data, so that it travels to a child process. */
export interface RivuletOptions {
  /** 64 bytes. */
  readonly seed: Uint8Array;
  /** Where its database is; without it state is in memory and lost at a stop. */
  readonly dataDir?: string;
  /** 0 picks a free port, which is kept over restarts. */
  readonly port?: number;
  readonly receive?: ReceivePolicy;
  /** As the network knows it. */
  readonly alias?: string;
}

/** All that the API of a node can do, but its stream of events. */
export type RivuletApi = Omit<NodeService, 'subscribe'>;

/** A Rivulet under test, be it in this process or in one of its own. */
export interface RivuletPeer extends ChangeSource {
  readonly pubkey: Uint8Array;
  /** The same in hex, as the API has it. */
  readonly nodeId: string;
  /** On the loopback address. */
  readonly port: number;
  readonly api: RivuletApi;
  /** All that happened, over restarts too. */
  readonly events: readonly NodeEvent[];
  /** The newest lines of its log. */
  readonly logLines: readonly string[];

  /** Where it keeps what it learned of the network; absent for one that keeps it in memory. */
  readonly gossipPath?: string;

  /** For payments that arrive from now on. */
  setReceivePolicy(policy: ReceivePolicy): Promise<void>;
  /** With `crash` it ends wherever it is. */
  stop(options?: { crash?: boolean }): Promise<void>;
  /** Starts again from what is stored. */
  start(): Promise<void>;
}
