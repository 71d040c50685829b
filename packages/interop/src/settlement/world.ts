import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { RegtestChain } from '@rivulet/chain';
import type { Channel } from '@rivulet/core/channel';
import { type ChannelType, type Transaction, txid, txidToHex } from '@rivulet/core/tx';
import { SettlementNode } from './settlementNode.js';

/** Of the channel between each two neighbours. */
export const fundingSat = 1_000_000n;
export const pushMsat = 400_000_000n;
/** More than anything here takes, so that what never comes is told and not waited for. */
const patienceMs = 30_000;

/** Something that did not come to be; the world says how it was then. */
export class SettlementError extends Error {}

/** A chain and two or three nodes on it, in a line: each has a channel with the next. */
export class World {
  readonly folder: string;
  readonly chain: RegtestChain;
  readonly nodes: readonly SettlementNode[];
  readonly commitment: ChannelType;

  constructor({
    parent,
    commitment,
    names,
    now,
  }: { parent: string; commitment: ChannelType; names: readonly string[]; now: () => number }) {
    this.folder = mkdtempSync(join(parent, 'world-'));
    this.commitment = commitment;
    this.chain = new RegtestChain({ now });
    this.nodes = names.map(
      (name, index) =>
        new SettlementNode({ name, chain: this.chain, seed: 21 + index, folder: join(this.folder, name) }),
    );
  }

  /** Starts all nodes, gives them coins, and opens the channels. */
  async begin({ simpleClose }: { simpleClose: boolean }): Promise<void> {
    for (const node of this.nodes) {
      node.simpleClose = simpleClose;
      await node.start();
    }
    for (const { node } of this.nodes)
      this.chain.mine({ blocks: 1, script: node.wallet.newAddress({ type: 'p2wpkh' }).script });
    await this.mine(100);
    for (const [index, to] of this.nodes.entries()) {
      const from = this.nodes[index - 1];
      if (from === undefined) continue;
      const peer = await this.connect(from, to);
      await from.node.openChannel({ peer, capacitySat: fundingSat, pushMsat, commitment: this.commitment });
    }
    await this.mine(6);
    await this.until(
      () => this.running.every(({ node }) => node.channels.every(isUsable)),
      'the channels are usable',
    );
  }

  get running(): readonly SettlementNode[] {
    return this.nodes.filter(({ running }) => running);
  }

  async connect(
    from: SettlementNode,
    to: SettlementNode,
  ): ReturnType<SettlementNode['node']['peers']['connect']> {
    const [address] = to.node.listening;
    return from.node.peers.connect({ nodeId: to.node.nodeId, ...address! });
  }

  /** Lets the event loop go round until something is as it shall be. */
  async until(holds: () => boolean, what: string): Promise<void> {
    const end = performance.now() + patienceMs;
    while (!holds()) {
      if (performance.now() > end) throw new SettlementError(`waited in vain until ${what}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** All nodes have done what follows from the chain as it is. */
  async quiet(): Promise<void> {
    await this.until(() => this.running.every(({ quiet }) => quiet), 'the nodes have followed the chain');
  }

  async mine(blocks: number): Promise<void> {
    this.chain.mine({ blocks });
    await this.quiet();
  }

  hexIdOf(tx: Transaction): string {
    return txidToHex(txid(tx));
  }

  idOf(tx: Transaction): Uint8Array {
    return txid(tx);
  }

  /** What spends an output in the mempool or the chain. */
  spender({ txid, index }: { txid: Uint8Array; index: number }): Transaction | undefined {
    const key = `${Buffer.from(txid).reverse().toString('hex')}:${index}`;
    const waiting = this.chain.mempool.spenderOf(key);
    if (waiting !== undefined) return waiting.tx;
    return this.chain.confirmedSpend({ txid, index })?.transaction.tx;
  }

  async end(): Promise<void> {
    for (const node of this.nodes) await node.stop();
    this.chain.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function isUsable({ phase, link }: Channel): boolean {
  return phase.name === 'open' && link === 'online';
}
