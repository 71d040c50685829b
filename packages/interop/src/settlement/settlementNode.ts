import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { RegtestChain } from '@rivulet/chain';
import { bytesToHex } from '@rivulet/core/bytes';
import { type Channel, defaultAcceptPolicy, defaultOpeningLimits } from '@rivulet/core/channel';
import type { Transaction } from '@rivulet/core/tx';
import type { FeatureBits, Message } from '@rivulet/core/wire';
import { createLogger, defaultPaymentPolicy, type NodeOptions, RivuletNode } from '@rivulet/node';
import { openMemoryGossipStore, openStorage } from '@rivulet/storage';
import { type WatchedBackend, watchBackend } from './watchedBackend.js';

/** Blocks that each side's own money is delayed by: short, so that a situation takes few blocks. */
export const toSelfDelay = 20;

const logLinesKept = 300;

type Send = RivuletNode['peers']['send'];

/** One party: a RivuletNode on a real SQLite file, which may be stopped, killed, or set back to an older file. */
export class SettlementNode {
  readonly name: string;
  readonly #chain: RegtestChain;
  readonly #seed: Uint8Array;
  readonly #folder: string;
  readonly #logLines: string[] = [];
  /** All that it ever tried to broadcast, over all its lives. */
  readonly broadcasts = new Map<string, Transaction>();
  #file = 0;
  #node: RivuletNode | undefined;
  #watched: WatchedBackend | undefined;
  #caughtUpAt: string | undefined;
  #send: Send | undefined;
  /** Set before a start: what legacy nodes do not know. */
  simpleClose = true;

  constructor({
    name,
    chain,
    seed,
    folder,
  }: { name: string; chain: RegtestChain; seed: number; folder: string }) {
    this.name = name;
    this.#chain = chain;
    this.#seed = new Uint8Array(64).fill(seed);
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  get running(): boolean {
    return this.#node !== undefined;
  }

  get node(): RivuletNode {
    if (this.#node === undefined) throw new Error(`${this.name} is stopped`);
    return this.#node;
  }

  get logLines(): readonly string[] {
    return this.#logLines;
  }

  get path(): string {
    return join(this.#folder, `node-${this.#file}.db`);
  }

  /** Its channels with a neighbour. */
  channelsWith(other: { readonly nodeId: string }): Channel[] {
    return this.node.channels.filter(({ params }) => bytesToHex(params.remoteNodeId) === other.nodeId);
  }

  async start(): Promise<void> {
    const watched = watchBackend(this.#chain, this.broadcasts);
    const options: NodeOptions = {
      network: 'regtest',
      seed: this.#seed,
      storage: openStorage({ path: this.path }),
      gossipStore: openMemoryGossipStore(),
      backend: watched.backend,
      reconnect: false,
      policy: {
        // Deeper than any claim is undone here; outside of tests it is 100.
        watchDepth: 12,
        receive: { acceptKeysend: true, minAmountMsat: 1n },
        limits: { ...defaultOpeningLimits, toSelfDelay },
        accept: defaultAcceptPolicy,
        maxDustExposureMsat: 50_000_000n,
        anchors: true,
        ...defaultPaymentPolicy,
        // The payers know their only ways; nothing is to happen beside the situation.
        gossip: { enabled: true, checkFunding: false, limits: { relayIntervalMs: 20 } },
      },
      logger: createLogger({ level: 'info', to: { write: (line) => this.#keep(line) } }),
      parts: () => [
        {
          onCaughtUp: () => {
            this.#caughtUpAt = this.#chain.tip.hashHex;
          },
        },
      ],
    };
    const node = new RivuletNode(options);
    if (!this.simpleClose) forgetSimpleClose(node);
    this.#watched = watched;
    this.#node = node;
    this.#caughtUpAt = undefined;
    await node.start({ listen: { host: '127.0.0.1', port: 0 } });
  }

  #keep(line: string): void {
    this.#logLines.push(line.trimEnd());
    if (this.#logLines.length > logLinesKept * 2) this.#logLines.splice(0, logLinesKept);
  }

  /** Whether it has done all that follows from the chain as it is. */
  get quiet(): boolean {
    const { tip } = this.#chain;
    const node = this.#node;
    if (node === undefined) return true;
    if (node.blockHeight !== tip.height || this.#caughtUpAt !== tip.hashHex) return false;
    return this.#watched?.pending === 0;
  }

  async stop(): Promise<void> {
    const node = this.#node;
    this.#node = undefined;
    this.#send = undefined;
    await node?.stop();
  }

  /** Ends it as a crash does: the next life has what the files have now, and nothing is let out any more. */
  async kill(): Promise<void> {
    this.#watched?.kill();
    this.copyTo(this.#nextPath());
    await this.stop();
    this.#file++;
  }

  #nextPath(): string {
    return join(this.#folder, `node-${this.#file + 1}.db`);
  }

  /** What is stored at this moment, for `setBack`. */
  snapshot(): string {
    const path = join(this.#folder, `snapshot-${this.#file}.db`);
    this.copyTo(path);
    return path;
  }

  /** The stopped node's next life begins with an older copy: its data of since is lost, or it means to cheat. */
  setBack(snapshot: string): void {
    copyDatabase(snapshot, this.#nextPath());
    this.#file++;
  }

  copyTo(path: string): void {
    copyDatabase(this.path, path);
  }

  /**
   * Ends the connection around its next message of a type: with `before` that message and all that follows
   * it is lost, with `after` what the peer answers.
   */
  cut(when: 'before' | 'after', type: Message['type']): void {
    this.uncut();
    const { peers } = this.node;
    const send: Send = peers.send.bind(peers);
    this.#send = send;
    peers.send = (nodeId, messages) => {
      const index = messages.findIndex((message) => message.type === type);
      if (index < 0) return send(nodeId, messages);
      this.uncut();
      send(nodeId, messages.slice(0, when === 'before' ? index : index + 1));
      return peers.disconnect(nodeId);
    };
  }

  uncut(): void {
    if (this.#send !== undefined) this.node.peers.send = this.#send;
    this.#send = undefined;
  }
}

/** The file and the log beside it: what a crash leaves. */
function copyDatabase(from: string, to: string): void {
  copyFileSync(from, to);
  if (existsSync(`${from}-wal`)) copyFileSync(`${from}-wal`, `${to}-wal`);
}

/** option_simple_close (BOLT 9). */
const simpleCloseBit = 60;

/** The node negotiates closes as one does that does not know option_simple_close. */
function forgetSimpleClose({ peers }: RivuletNode): void {
  type Emit = (event: string, ...args: unknown[]) => boolean;
  const emit = peers.emit.bind(peers) as Emit;
  const forgetful: Emit = (event, ...args) => {
    if (event !== 'connected') return emit(event, ...args);
    const [info] = args as [{ readonly features: FeatureBits }];
    const features = Uint8Array.from(info.features);
    const index = features.length - 1 - (simpleCloseBit >> 3);
    features[index] = (features[index] ?? 0) & ~(0b11 << (simpleCloseBit & 7));
    // In place: who dialed has the same object.
    return emit(event, Object.assign(info, { features }));
  };
  peers.emit = forgetful as typeof peers.emit;
}
